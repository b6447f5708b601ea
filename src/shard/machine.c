/* One machine: making, the transition, status. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "shard/parts.h"

static const part_role *role_of(cfi_unit_kind kind)
{
    switch (kind) {
    case CFI_UNIT_CONTROLLER:
        return &part_controller;
    case CFI_UNIT_SOURCE:
        return &part_source;
    case CFI_UNIT_LOSS:
        return &part_loss;
    case CFI_UNIT_SHARD:
        return &part_shard;
    case CFI_UNIT_STORE:
        break;
    }
    return NULL;
}

cf_status cfi_machine_new(const cfi_machine_options *options, cfi_machine **machine_out, cf_error *error)
{
    const cfi_cluster *cluster = options->cluster;
    const part_role *role = role_of(cluster->units[options->unit].kind);
    if (role == NULL) {
        return cfi_fail(error, CF_E_INTERNAL, "the store is no machine");
    }
    cfi_machine *machine = cfi_calloc(1, sizeof *machine);
    if (machine == NULL) {
        return cfi_fail_memory(error, "a unit");
    }
    machine->options = *options;
    machine->cluster = cluster;
    machine->work = &cluster->work;
    machine->me = &cluster->units[options->unit];
    machine->role = role;
    machine->state_stage = machine->me->stage;
    machine->waiting_for = -1;
    machine->ask_after = PART_ASK_TICKS;
    machine->record.end = cluster->work.step_count;
    machine->record.limit = INT64_MAX;
    cf_status status = part_inbox_init(&machine->inbox, cluster->work.window + 3, error);
    if (status == CF_OK) {
        status = role->create(machine, error);
    }
    if (status != CF_OK) {
        cfi_error_prefix(error, "%s", machine->me->name);
        cfi_machine_free(machine);
        return status;
    }
    *machine_out = machine;
    return CF_OK;
}

void cfi_machine_free(cfi_machine *machine)
{
    if (machine == NULL) {
        return;
    }
    machine->role->destroy(machine);
    part_requests_clear(machine);
    part_questions_clear(machine);
    part_states_clear(machine);
    part_inbox_fini(&machine->inbox);
    part_outbox_fini(&machine->outbox);
    cfi_free(machine->states);
    cfi_free(machine->chains);
    cfi_free(machine->records);
    cfi_free(machine->readers);
    cfi_free(machine);
}

size_t cfi_machine_record_size(const cfi_machine *machine)
{
    return machine->state_size;
}

int cfi_machine_record_slots(const cfi_machine *machine)
{
    return (int)(machine->work->window / machine->work->persist_every) + 3;
}

/* ---- The transition ---- */

/* From the controller: a later incarnation of this unit was heard of. From a neighbour: HEAD is further than that. */
static void take_gone(cfi_machine *machine, const cfi_frame *frame)
{
    cfi_head record;
    if (frame->header.source_unit == CFI_UNIT_INDEX_CONTROLLER) {
        part_doubt_lease(machine, frame->header.block_lo);
    } else if (machine->role != &part_controller &&
               cfi_head_decode(cfi_frame_payload(frame), frame->payload_size, &record, NULL) == CF_OK) {
        part_take_record(machine, &record);
    }
}

static void take_head_frame(cfi_machine *machine, const cfi_frame *frame)
{
    cfi_head record;
    if (machine->role == &part_controller || machine->phase < PART_HEAD ||
        cfi_head_decode(cfi_frame_payload(frame), frame->payload_size, &record, NULL) != CF_OK) {
        return;
    }
    part_note_generation(machine, frame->header.tag);
    part_take_record(machine, &record);
}

static void take_frame(cfi_machine *machine, cfi_frame *frame)
{
    const cfi_frame_header *header = &frame->header;
    const cfi_cluster *cluster = machine->cluster;
    if (header->run[0] != cluster->run[0] || header->run[1] != cluster->run[1] || header->digest != cluster->digest) {
        machine->counted.refused++;
        return;
    }
    if (header->kind == CFI_FRAME_STORE_REPLY) {
        if (header->target_unit == (uint32_t)machine->options.unit) {
            part_store_reply(machine, frame);
        }
        return;
    }
    if (header->kind == CFI_FRAME_HEAD) {
        take_head_frame(machine, frame);
        return;
    }
    if (header->plan != cluster->id || header->source_unit >= (uint32_t)cluster->unit_count) {
        machine->counted.stale++;
        return;
    }
    if (header->target_unit != CFI_UNIT_ALL && header->target_unit != (uint32_t)machine->options.unit) {
        return;
    }
    if ((int64_t)header->head > machine->heard_head) {
        machine->heard_head = (int64_t)header->head;
    }
    if (header->kind == CFI_FRAME_NEED) {
        part_answer_need(machine, frame);
    } else if (header->kind == CFI_FRAME_GONE) {
        take_gone(machine, frame);
    } else if (machine->role->frame != NULL) {
        machine->role->frame(machine, frame);
    } else {
        part_take_value(machine, frame);
    }
}

/* One target is read from its action, which may have moved while actions were added. */
static void point_at_targets(cfi_actions *actions)
{
    for (int i = 0; i < actions->count; i++) {
        cfi_action *action = &actions->items[i];
        if (action->is_single) {
            action->targets = &action->target;
        }
    }
}

void cfi_machine_step(cfi_machine *machine, const cfi_machine_event *event, cfi_actions *actions)
{
    machine->actions = actions;
    if (machine->phase != PART_FAILED && machine->phase != PART_REPLANNED) {
        switch (event->kind) {
        case CFI_MACHINE_START:
            part_start(machine, event);
            break;
        case CFI_MACHINE_FRAME:
            take_frame(machine, event->frame);
            break;
        case CFI_MACHINE_PERSISTED:
            part_persisted(machine, event->step, event->status);
            break;
        case CFI_MACHINE_TICK:
            part_life_tick(machine);
            if (machine->role->tick != NULL) {
                machine->role->tick(machine);
            }
            break;
        case CFI_MACHINE_REPLAN:
            if (machine->role == &part_controller) {
                part_controller_replan(machine, event->text, event->text_size);
            }
            break;
        case CFI_MACHINE_INFER:
            if (machine->role->infer != NULL) {
                machine->role->infer(machine, event);
            }
            break;
        }
        part_go_on(machine);
    }
    point_at_targets(actions);
    machine->actions = NULL;
}

/* ---- Status ---- */

static const char *phase_name(part_phase phase)
{
    static const char *const names[] = {"new", "lease", "head", "load", "run", "finished", "failed", "replanned"};
    return names[phase];
}

void cfi_machine_status_get(const cfi_machine *machine, cfi_machine_status *status_out)
{
    cfi_machine_status status = machine->counted;
    status.phase = phase_name(machine->phase);
    status.step = machine->step;
    status.head = machine->head;
    status.incarnation = machine->incarnation;
    status.plan = machine->cluster->id;
    status.inbox_frames = machine->inbox.frames;
    status.outbox_frames = machine->outbox.end - machine->outbox.begin;
    status.outbox_bytes = machine->outbox.bytes;
    status.waiting_for = machine->waiting_for;
    status.waiting_kind = machine->waiting_for >= 0 ? cfi_frame_kind_name(machine->waiting_kind) : "";
    status.waiting_ticks = machine->waiting_for >= 0 ? machine->idle_ticks : 0;
    status.is_finished = machine->has_record && machine->record.is_finished;
    status.has_failed = machine->phase == PART_FAILED;
    memcpy(status.text, machine->failure, sizeof status.text);
    status.loss = status.accuracy = status.validation_loss = status.validation_accuracy = (double)NAN;
    status.test_loss = status.test_accuracy = (double)NAN;
    status.chain[0] = '\0';
    if (machine->role == &part_controller && machine->has_record) {
        cfi_hash_text(machine->record.is_finished ? machine->record.final_chain : machine->record.chain, status.chain);
    }
    if (machine->role == &part_loss) {
        part_loss_status(machine, &status);
    }
    *status_out = status;
}
