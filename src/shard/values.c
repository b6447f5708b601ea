/* Values that travel between units: made, kept, asked for, answered. */
#include "shard/parts.h"

cfi_frame_header part_header(const cfi_machine *machine, cfi_frame_kind kind, uint32_t target)
{
    const cfi_cluster *cluster = machine->cluster;
    return (cfi_frame_header){
        .kind = (uint8_t)kind,
        .run = {cluster->run[0], cluster->run[1]},
        .digest = cluster->digest,
        .epoch = machine->record.epoch,
        .plan = cluster->id,
        .source_unit = (uint32_t)machine->options.unit,
        .source_incarnation = machine->incarnation,
        .target_unit = target,
        .tensor = machine->me->stage >= 0 ? (uint32_t)machine->me->stage : CFI_TENSOR_INPUT,
        .step = (uint64_t)machine->step,
        .block_lo = (uint32_t)machine->me->begin,
        .block_n = (uint32_t)(machine->me->end - machine->me->begin),
        .head = (uint64_t)machine->head,
    };
}

cfi_frame *part_frame(cfi_machine *machine, const cfi_frame_header *header, size_t payload_size)
{
    cfi_frame *frame = NULL;
    if (cfi_frame_new(header, payload_size, &frame, NULL) != CF_OK) {
        part_out_of_memory(machine);
        return NULL;
    }
    return frame;
}

static void send_kept(cfi_machine *machine, const part_sent *sent)
{
    if (sent->target == CFI_UNIT_ALL) {
        part_send(machine, sent->frame, machine->readers, machine->reader_count);
    } else {
        part_send_to(machine, sent->frame, sent->target);
    }
}

void part_publish(cfi_machine *machine, cfi_frame *frame, uint32_t target)
{
    cfi_frame_seal(frame);
    const part_sent sent = {frame, target};
    send_kept(machine, &sent);
    if (!CFI_PLANTED(1) && !part_outbox_add(&machine->outbox, frame, target)) {
        part_out_of_memory(machine);
    }
    cfi_frame_unref(frame);
}

/* ---- Asking ---- */

static void send_need(cfi_machine *machine, uint32_t unit)
{
    cfi_frame_header header = part_header(machine, CFI_FRAME_NEED, unit);
    header.micro = (uint32_t)machine->next_micro;
    cfi_frame *frame = part_frame(machine, &header, 0);
    if (frame != NULL) {
        cfi_frame_seal(frame);
        part_send_to(machine, frame, unit);
        cfi_frame_unref(frame);
        machine->counted.needs_sent++;
    }
}

void part_ask(cfi_machine *machine, uint32_t unit, uint8_t kind)
{
    if (machine->waiting_for < 0) {
        machine->waiting_for = (int)unit;
        machine->waiting_kind = kind;
    }
    if (machine->is_asking && !CFI_PLANTED(2)) {
        send_need(machine, unit);
    }
}

void part_ask_missing(cfi_machine *machine, int edge, int64_t micro)
{
    const part_edge *wanted = &machine->inbox.edges[edge];
    const part_group *group = part_inbox_find(&machine->inbox, edge, machine->step, micro);
    for (int i = 0; i < wanted->count; i++) {
        if (group == NULL || group->hashes[i] == 0) {
            part_ask(machine, wanted->first_unit + (uint32_t)i, wanted->kind);
        }
    }
}

void part_ask_all(cfi_machine *machine)
{
    for (int e = 0; e < machine->inbox.edge_count && !CFI_PLANTED(2); e++) {
        const part_edge *edge = &machine->inbox.edges[e];
        for (int i = 0; i < edge->count; i++) {
            send_need(machine, edge->first_unit + (uint32_t)i);
        }
    }
}

/* ---- Taking ---- */

/* A value of a step that is over: worth a look, whether it is the same as before. */
static void compare_old(cfi_machine *machine, int edge, const cfi_frame *frame)
{
    const cfi_frame_header *header = &frame->header;
    const part_group *group = part_inbox_find(&machine->inbox, edge, (int64_t)header->step, header->micro);
    const uint32_t place = header->source_unit - machine->inbox.edges[edge].first_unit;
    machine->counted.duplicates++;
    if (group != NULL && group->hashes[place] != 0 && group->hashes[place] != frame->payload_hash) {
        part_fail(machine, "divergence: %s of step %llu from %s came with two contents: a wrong processor or program",
                  cfi_frame_kind_name(header->kind), (unsigned long long)header->step,
                  machine->cluster->units[header->source_unit].name);
    }
}

void part_take_value(cfi_machine *machine, cfi_frame *frame)
{
    const cfi_frame_header *header = &frame->header;
    const int edge = part_inbox_edge(&machine->inbox, header);
    if (edge < 0 || !part_is_working(machine)) {
        return; /* not for this unit, or before it knows what it needs: it will ask */
    }
    if ((header->flags & CFI_FRAME_INFER) != 0) {
        part_take_question(machine, frame);
        return;
    }
    if (header->step > (uint64_t)(machine->step + machine->work->window)) {
        machine->counted.stale++;
        return;
    }
    if ((int64_t)header->step < machine->step) {
        compare_old(machine, edge, frame);
        return;
    }
    if (!machine->role->fits(machine, frame)) {
        machine->counted.refused++;
        return;
    }
    switch (part_inbox_add(&machine->inbox, edge, frame)) {
    case PART_TAKEN:
        break;
    case PART_DUPLICATE:
    case PART_DIVERGED:
        compare_old(machine, edge, frame);
        break;
    case PART_NO_MEMORY:
        part_out_of_memory(machine);
        break;
    }
}

/* ---- Answering ---- */

static bool is_reader(const cfi_machine *machine, uint32_t unit)
{
    for (int i = 0; i < machine->reader_count; i++) {
        if (machine->readers[i] == unit) {
            return true;
        }
    }
    return false;
}

/* Whoever knows a HEAD has its record too, chain included: so the chain is lost only with everybody. */
static void send_gone(cfi_machine *machine, uint32_t unit)
{
    const cfi_frame_header header = part_header(machine, CFI_FRAME_GONE, unit);
    cfi_frame *frame = part_frame(machine, &header, CFI_HEAD_SIZE);
    if (frame != NULL) {
        cfi_head_encode(&machine->record, cfi_frame_payload(frame));
        cfi_frame_seal(frame);
        part_send_to(machine, frame, unit);
        cfi_frame_unref(frame);
    }
}

void part_answer_need(cfi_machine *machine, const cfi_frame *frame)
{
    const uint32_t unit = frame->header.source_unit;
    const int64_t from = (int64_t)frame->header.step;
    if (!part_is_working(machine)) {
        return; /* it will ask again */
    }
    if (from < machine->head) {
        send_gone(machine, unit);
    }
    if (machine->role->answer != NULL) {
        machine->role->answer(machine, unit, from, frame->header.micro);
    }
    const bool reads_all = is_reader(machine, unit);
    for (int i = machine->outbox.begin; i < machine->outbox.end; i++) {
        const part_sent *sent = &machine->outbox.items[i];
        const bool is_theirs = sent->target == unit || (sent->target == CFI_UNIT_ALL && reads_all);
        if (is_theirs && (int64_t)sent->frame->header.step >= from) {
            part_send_to(machine, sent->frame, unit);
            machine->counted.replayed++;
        }
    }
}

void part_forget(cfi_machine *machine)
{
    const int64_t below = CFI_PLANTED(3) ? machine->head + machine->work->persist_every : machine->head;
    part_outbox_forget(&machine->outbox, below);
    part_inbox_forget(&machine->inbox, machine->head < machine->step ? machine->head : machine->step);
    part_states_forget(machine, machine->head);
}
