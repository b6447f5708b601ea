/* What must hold, looked at as it happens. The numbers are those of README.md. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "sim/world.h"

static bool is_equal(cfi_hash left, cfi_hash right)
{
    return left.low == right.low && left.high == right.high;
}

/* ---- 1, 2: HEAD ---- */

static void check_chain(sim_world *world, const cfi_head *head)
{
    const sim_golden *golden = &world->sim->golden;
    if (head->step > world->sim->work.step_count || head->step < 0) {
        sim_violate(world, 2, "HEAD is at step %" PRId64 ", after the end", head->step);
    } else if (!is_equal(head->chain, golden->chain[head->step])) {
        sim_violate(world, 1, "the chain at HEAD %" PRId64 " is not that of train", head->step);
    } else if (head->is_finished && !is_equal(head->final_chain, golden->final_chain[head->step])) {
        sim_violate(world, 1, "the chain at the end, step %" PRId64 ", is not that of train", head->step);
    }
}

static bool find_state(const sim_world *world, const cfi_unit *unit, int64_t step, const void **value_out,
                       size_t *size_out)
{
    char key[CFI_STORE_KEY_SIZE_MAX];
    cfi_key_state(key, sizeof key, unit->stage, unit->begin, unit->end, step);
    return world->keeper.inner.ops->get(world->keeper.inner.self, key, value_out, size_out, NULL) == CF_OK;
}

/* HEAD says that every unit's state of this step is durable, on its volume and in the store. */
static void check_durable(sim_world *world, const cfi_head *head)
{
    const uint32_t plan_id = world->keeper.has_head ? world->keeper.head.plan : head->plan; /* that got there */
    const cfi_cluster *plan = &world->plans[plan_id - 1];
    const int64_t restored_at = world->keeper.restored_at;
    const bool was_put_back = restored_at >= 0 && restored_at + 10 * SIM_SECOND > world->now;
    const bool has_moved = world->keeper.has_head && head->step > world->keeper.head.step;
    if (!has_moved || was_put_back) {
        return; /* the store's copy is older than what it had told */
    }
    for (int u = CFI_UNIT_INDEX_LOSS; u < plan->unit_count; u++) {
        const cfi_unit *unit = &plan->units[u];
        const void *value = NULL;
        size_t size = 0;
        if (world->persisted[((int)plan_id - 1) * SIM_UNITS_MAX + u] < head->step) {
            sim_violate(world, 2, "HEAD goes to %" PRId64 ", and %s never had that state on a volume", head->step,
                        unit->name);
        } else if (!find_state(world, unit, head->step, &value, &size)) {
            sim_violate(world, 2, "HEAD goes to %" PRId64 ", and the store lacks that state of %s", head->step,
                        unit->name);
        }
    }
}

static void check_move(sim_world *world, const cfi_head *head)
{
    const cfi_head *before = &world->keeper.head;
    const cfi_work *work = &world->plans[0].work;
    const int64_t moved = head->step - before->step;
    if (moved < 0 || head->epoch < before->epoch || head->plan < before->plan || head->plan > before->plan + 1) {
        sim_violate(world, 2, "HEAD goes back from step %" PRId64 " epoch %u plan %u to step %" PRId64
                    " epoch %u plan %u", before->step, before->epoch, before->plan, head->step, head->epoch,
                    head->plan);
    } else if (head->step % work->persist_every != 0 && head->step != head->end) {
        sim_violate(world, 2, "HEAD is at step %" PRId64 ", no multiple of %" PRId64, head->step, work->persist_every);
    } else if (before->step + work->window + work->persist_every < head->step && world->keeper.restored_at < 0) {
        sim_violate(world, 2, "HEAD moves by %" PRId64 " steps; the window is %" PRId64, moved, work->window);
    } else if (before->is_finished && !head->is_finished) {
        sim_violate(world, 2, "training is over, and then not");
    }
}

void sim_check_head(sim_world *world, const cfi_head *head)
{
    sim_say(world, "HEAD: step %" PRId64 ", plan %u, epoch %u%s", head->step, head->plan, head->epoch,
            head->is_finished ? ", finished" : "");
    if (head->plan < 1 || head->plan > (uint32_t)world->plan_count) {
        sim_violate(world, 2, "HEAD names plan %u, which nobody made", head->plan);
        return;
    }
    if (world->keeper.has_head) {
        check_move(world, head);
    }
    check_chain(world, head);
    check_durable(world, head);
    if ((int)head->plan - 1 > world->plan_in_force) {
        world->plan_in_force = (int)head->plan - 1;
    }
}

/* ---- 6, 7: bounds ---- */

/* No unit holds more than its neighbours may send within the window: for each step, evaluations and micro-batches. */
static int64_t frames_max(const sim_world *world, const cfi_cluster *plan)
{
    const cfi_work *work = &plan->work;
    const int64_t evaluations = (work->validation_count + work->test_count) / work->batch + 2;
    const int64_t each = work->micro_batches + 4 + evaluations;
    (void)world;
    return (work->window + work->persist_every + 2) * each * 2 * plan->unit_count;
}

/* What a unit has done beyond HEAD is what its death costs; and nobody goes beyond the barrier of a coming plan. */
static void check_ahead(sim_world *world, const cfi_cluster *plan, const char *name, int64_t step)
{
    const cfi_head *head = &world->keeper.head;
    if (step > world->keeper.highest + plan->work.window) {
        sim_violate(world, 7, "%s is at step %" PRId64 ", HEAD was never beyond %" PRId64 ", the window is %" PRId64,
                    name, step, world->keeper.highest, plan->work.window);
    } else if (world->keeper.has_head && head->plan == plan->id && step > head->limit) {
        sim_violate(world, 7, "%s is at step %" PRId64 ", beyond the barrier %" PRId64 " of the coming plan", name,
                    step, head->limit);
    }
}

void sim_check_unit(sim_world *world, const sim_process *process, const sim_unit *unit)
{
    const cfi_cluster *plan = &world->plans[process->plan];
    const char *name = plan->units[unit->index].name;
    cfi_machine_status status;
    cfi_machine_status_get(unit->machine, &status);
    const int64_t most = frames_max(world, plan);
    if (status.inbox_frames > most || status.outbox_frames > most) {
        sim_violate(world, 6, "%s holds %" PRId64 " frames in and %" PRId64 " out; the bound is %" PRId64, name,
                    status.inbox_frames, status.outbox_frames, most);
    }
    if (plan->units[unit->index].kind != CFI_UNIT_CONTROLLER) {
        check_ahead(world, plan, name, status.step);
    }
}

/* ---- 3, 4: no alarm, no unit that gives up ---- */

void sim_check_failure(sim_world *world, const sim_process *process, const sim_unit *unit, const char *text)
{
    const char *name = world->plans[process->plan].units[unit->index].name;
    cfi_machine_status status;
    cfi_machine_status_get(unit->machine, &status);
    const bool is_replaced = world->keeper.has_head && world->keeper.head.plan > world->plans[process->plan].id;
    const uint32_t lease = world->leases_ever[process->plan * SIM_UNITS_MAX + unit->index];
    if (strncmp(text, "divergence", 10) == 0) {
        sim_violate(world, 3, "%s: %s", name, text);
    } else if (!process->is_disk_hurt && status.incarnation >= lease && !is_replaced) {
        sim_violate(world, 4, "%s: %s", name, text);
    }
}

/* ---- 8: fencing ---- */

static void say_request(sim_world *world, const cfi_frame *request, const cfi_store_request *asked,
                        const cfi_store_reply *answer)
{
    static const char *const kinds[] = {"?", "get", "put", "cas", "lease", "remove below", "list"};
    static const char *const outcomes[] = {"done", "absent", "conflict", "diverged", "stale", "full", "failed"};
    sim_say(world, "store: unit %u incarnation %u: %s %s: %s", request->header.source_unit,
            request->header.source_incarnation, kinds[asked->kind], asked->key, outcomes[answer->outcome]);
}

void sim_check_request(sim_world *world, const cfi_frame *request, const cfi_frame *reply)
{
    cfi_store_request asked;
    cfi_store_reply answer;
    const cfi_frame_header *header = &request->header;
    if (cfi_store_request_read(request, &asked, NULL) != CF_OK || cfi_store_reply_read(reply, &answer, NULL) != CF_OK ||
        header->plan < 1 || header->plan > SIM_PLANS_MAX || header->source_unit >= SIM_UNITS_MAX) {
        sim_violate(world, 8, "the store answered what cannot be read");
        return;
    }
    say_request(world, request, &asked, &answer);
    uint32_t *lease = &world->leases[(header->plan - 1) * SIM_UNITS_MAX + header->source_unit];
    if (answer.outcome != CFI_STORE_DONE) {
        return;
    }
    if (asked.kind == CFI_STORE_LEASE && answer.value_size == 4) {
        const unsigned char *bytes = answer.value;
        const uint32_t given = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                               (uint32_t)bytes[3] << 24;
        if (given <= *lease) {
            sim_violate(world, 8, "unit %u was given incarnation %u after %u", header->source_unit, given, *lease);
        }
        *lease = given;
        uint32_t *ever = &world->leases_ever[lease - world->leases];
        *ever = given > *ever ? given : *ever;
    } else if (asked.kind == CFI_STORE_PUT || asked.kind == CFI_STORE_CAS || asked.kind == CFI_STORE_REMOVE_BELOW) {
        if (header->source_incarnation < *lease) {
            sim_violate(world, 8, "unit %u changed %s as incarnation %u, while %u holds the lease",
                        header->source_unit, asked.key, header->source_incarnation, *lease);
        }
    }
}

/* ---- The end ---- */

bool sim_is_finished(const sim_world *world)
{
    if (!world->keeper.has_head || !world->keeper.head.is_finished) {
        return false;
    }
    const int plan = (int)world->keeper.head.plan - 1;
    for (int c = 0; c < world->plans[plan].container_count; c++) {
        const int current = world->places[world->place_of[plan][c]].current;
        if (current < 0 || world->processes[current].plan != plan || world->processes[current].wanted_plan != 0) {
            return false;
        }
        const sim_process *process = &world->processes[current];
        for (int u = 0; u < process->unit_count; u++) {
            cfi_machine_status status;
            cfi_machine_status_get(process->units[u].machine, &status);
            if (!status.is_finished) {
                return false;
            }
        }
    }
    return true;
}

/* The newest plan whose pieces of this stage's last state are all in the store: a plan that came into force at the very
 * end has none of its own. NULL: there is none. */
static const cfi_cluster *find_pieces(const sim_world *world, int plan, int stage_index, int64_t step)
{
    for (; plan >= 0; plan--) {
        const cfi_stage *stage = &world->plans[plan].stages[stage_index];
        const void *value = NULL;
        size_t size = 0;
        int found = 0;
        for (int i = 0; i < stage->unit_count; i++) {
            found += find_state(world, &world->plans[plan].units[stage->first_unit + i], step, &value, &size);
        }
        if (found == stage->unit_count) {
            return &world->plans[plan];
        }
    }
    return NULL;
}

/* The calm run, which comes first, says what the last states must be. */
static void compare_state(sim_world *world, const cfi_stage *stage, const cfi_unit *unit, const void *value,
                          size_t size)
{
    sim_golden *golden = &world->sim->golden;
    const size_t one = size / (size_t)(unit->end - unit->begin);
    if (golden->states[unit->stage] == NULL) {
        golden->states[unit->stage] = cfi_calloc((size_t)stage->neurons, one);
        golden->state_sizes[unit->stage] = (size_t)stage->neurons * one;
        world->is_short |= golden->states[unit->stage] == NULL;
    }
    unsigned char *whole = golden->states[unit->stage];
    if (whole == NULL || (size_t)unit->end * one > golden->state_sizes[unit->stage]) {
        sim_violate(world, 1, "the last state of %s has %zu bytes", unit->name, size);
    } else if (golden->end < 0) {
        memcpy(whole + (size_t)unit->begin * one, value, size);
    } else if (memcmp(whole + (size_t)unit->begin * one, value, size) != 0) {
        sim_violate(world, 1, "the last state of %s is not what an undisturbed run has", unit->name);
    }
}

/* The last states of one stage as the store holds them. */
static void check_states(sim_world *world, int stage_index, int64_t step)
{
    const cfi_cluster *plan = find_pieces(world, world->plan_in_force, stage_index, step);
    if (plan == NULL) {
        sim_violate(world, 1, "the store lacks the last state of stage %d", stage_index);
        return;
    }
    const cfi_stage *stage = &plan->stages[stage_index];
    for (int i = 0; i < stage->unit_count; i++) {
        const cfi_unit *unit = &plan->units[stage->first_unit + i];
        const void *value = NULL;
        size_t size = 0;
        if (find_state(world, unit, step, &value, &size)) {
            compare_state(world, stage, unit, value, size);
        }
    }
}

void sim_check_end(sim_world *world)
{
    sim_golden *golden = &world->sim->golden;
    const cfi_head *head = &world->keeper.head;
    if (golden->end >= 0 && golden->end != head->end) {
        sim_violate(world, 1, "training ended at step %" PRId64 " instead of %" PRId64, head->end, golden->end);
        return;
    }
    for (int s = 0; s < world->sim->stage_count && head->step > 0; s++) {
        check_states(world, s, head->step);
    }
    if (!world->result->has_failed) {
        golden->end = head->end;
    }
}
