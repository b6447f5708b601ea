/* A machine's life: lease, HEAD, loading, work. PROTOCOL.md: R2 (restart from HEAD), R3 (fast-forward). */
#include <string.h>

#include "base/alloc.h"
#include "shard/parts.h"

enum { POLL_TICKS = 50 }; /* without progress: HEAD is read from the store, in case everybody else is gone */

static void load_begin(cfi_machine *machine);
static void ask_lease(cfi_machine *machine);

/* ---- Start ---- */

static bool keep_records(cfi_machine *machine, const cfi_machine_event *event)
{
    machine->records = cfi_calloc((size_t)event->record_count, sizeof *machine->records);
    if (machine->records == NULL) {
        return event->record_count == 0;
    }
    for (int i = 0; i < event->record_count; i++) {
        const cfi_record *record = &event->records[i];
        void *bytes = cfi_calloc(1, record->size);
        if (bytes == NULL) {
            return false;
        }
        memcpy(bytes, record->bytes, record->size);
        machine->records[machine->record_count] = *record;
        machine->records[machine->record_count++].bytes = bytes;
        machine->floor = record->incarnation > machine->floor ? record->incarnation : machine->floor;
    }
    return true;
}

void part_start(cfi_machine *machine, const cfi_machine_event *event)
{
    const uint64_t start[3] = {event->boot, machine->cluster->id, (uint64_t)machine->options.unit};
    machine->last_tag = cfi_hash_bytes(start, sizeof start).low & ~(uint64_t)UINT32_MAX; /* no late answer fits */
    if (!keep_records(machine, event)) {
        part_out_of_memory(machine);
        return;
    }
    machine->phase = PART_LEASE;
    ask_lease(machine);
}

static void ask_head(cfi_machine *machine)
{
    const cfi_store_request request = {.kind = CFI_STORE_GET, .key = "head"};
    if (!part_is_requesting(machine, PART_FOR_HEAD)) {
        part_request_send(machine, PART_FOR_HEAD, &request, -1);
    }
}

static void ask_lease(cfi_machine *machine)
{
    const cfi_store_request request = {.kind = CFI_STORE_LEASE, .key = "lease", .number = machine->floor};
    if (!part_is_requesting(machine, PART_FOR_LEASE)) {
        part_request_send(machine, PART_FOR_LEASE, &request, -1);
        machine->lease_tag = machine->last_tag;
    }
}

/* The incarnation in a lease's value; 0 when there is none. */
static uint32_t read_lease(const cfi_store_reply *reply)
{
    const unsigned char *bytes = reply->value;
    uint32_t incarnation = 0;
    for (int i = 0; i < 4 && reply->outcome == CFI_STORE_DONE && reply->value_size == 4; i++) {
        incarnation |= (uint32_t)bytes[i] << (8 * i);
    }
    return incarnation;
}

static void take_lease(cfi_machine *machine, const cfi_store_reply *reply)
{
    const uint32_t incarnation = read_lease(reply);
    if (machine->phase == PART_LEASE && incarnation > 0) {
        machine->incarnation = incarnation;
        machine->phase = PART_HEAD;
        ask_head(machine);
    } else if (incarnation > machine->incarnation) { /* taken again: part_doubt_lease, or the request came twice */
        machine->incarnation = incarnation;
        part_states_renew(machine);
        part_report(machine);
    }
}

void part_doubt_lease(cfi_machine *machine, uint32_t heard)
{
    char key[CFI_STORE_KEY_SIZE_MAX];
    if (heard <= machine->incarnation || !part_is_working(machine) || part_is_requesting(machine, PART_FOR_HOLDER)) {
        return;
    }
    machine->floor = heard > machine->floor ? heard : machine->floor;
    cfi_key_lease(key, sizeof key, machine->cluster->id, machine->options.unit);
    const cfi_store_request request = {.kind = CFI_STORE_GET, .key = key};
    part_request_send(machine, PART_FOR_HOLDER, &request, -1);
}

static void take_holder(cfi_machine *machine, const cfi_store_reply *reply)
{
    if (read_lease(reply) > machine->incarnation) {
        part_end_replaced(machine, "a later start of %s has taken its place", machine->me->name);
    } else if (part_is_working(machine)) {
        ask_lease(machine);
    }
}

/* ---- HEAD ---- */

static void learn_head(cfi_machine *machine, int64_t head)
{
    if (head <= machine->head) {
        return;
    }
    machine->head = head;
    part_forget(machine);
    const bool is_behind = part_is_working(machine) && head > machine->step;
    if ((is_behind && !CFI_PLANTED(8)) || machine->phase == PART_LOAD) {
        load_begin(machine); /* R3: what is below HEAD is gone everywhere; own W[head] is durable */
    }
}

static void replan(cfi_machine *machine, uint32_t plan)
{
    cfi_action *action = part_add_action(machine, CFI_ACTION_REPLAN);
    if (action != NULL) {
        action->plan = plan;
        machine->phase = PART_REPLANNED;
    }
}

/* HEAD as `found` says it. A step goes with its chain, from whoever has the later one; limit, end and whether training
 * is over are the controller's word: of a later epoch, or of the same one later on. */
static void merge_record(cfi_machine *machine, const cfi_head *found)
{
    cfi_head *known = &machine->record;
    cfi_head merged = *known;
    if (!machine->has_record || found->epoch > known->epoch ||
        (found->epoch == known->epoch && found->step >= known->step)) {
        merged = *found;
    }
    const cfi_head *later = machine->has_record && known->step > found->step ? known : found;
    merged.step = later->step;
    merged.chain = later->chain;
    merged.end = merged.end < merged.step ? later->end : merged.end;
    *known = merged;
    machine->has_record = true;
}

void part_take_record(cfi_machine *machine, const cfi_head *found)
{
    if (found->plan > machine->cluster->id) {
        replan(machine, found->plan);
        return;
    }
    if (found->plan < machine->cluster->id || machine->phase < PART_HEAD) {
        return; /* this plan is still to come; or it is too early to know what to do with it */
    }
    merge_record(machine, found);
    if (machine->phase == PART_HEAD) {
        machine->head = machine->record.step;
        load_begin(machine);
        return;
    }
    if (!CFI_PLANTED(7)) {
        learn_head(machine, machine->record.step);
    }
    if (part_is_working(machine)) {
        const int known = machine->chain_count;
        part_reached(machine); /* the end may have been learnt just now */
        if (machine->chain_count > known) {
            part_report(machine);
        }
    }
    part_states_forget(machine, machine->head);
}

/* ---- Loading W[head] ---- */

static void run(cfi_machine *machine, bool from_volume, bool from_store)
{
    machine->phase = PART_RUN;
    machine->idle_ticks = 0;
    machine->ask_after = PART_ASK_TICKS;
    part_keep_loaded(machine, from_volume, from_store);
    part_reached(machine);
    part_report(machine);
    part_ask_all(machine);
}

static const cfi_record *find_record(const cfi_machine *machine)
{
    const cfi_record *found = NULL;
    for (int i = 0; i < machine->record_count; i++) {
        const cfi_record *record = &machine->records[i];
        const bool fits = record->size == machine->state_size;
        if (fits && (record->step == machine->head || (CFI_PLANTED(9) && record->step > machine->head))) {
            found = record;
        }
    }
    return found;
}

static void ask_state(cfi_machine *machine, int64_t begin, int64_t end, int piece)
{
    char key[CFI_STORE_KEY_SIZE_MAX];
    cfi_key_state(key, sizeof key, machine->state_stage, begin, end, machine->head);
    const cfi_store_request request = {.kind = CFI_STORE_GET, .key = key};
    part_request_send(machine, PART_FOR_STATE, &request, piece);
}

static void drop_state_requests(cfi_machine *machine)
{
    for (int i = 0; i < PART_REQUESTS_MAX; i++) {
        if (machine->requests[i].purpose == PART_FOR_STATE) {
            part_request_done(machine, &machine->requests[i]);
        }
    }
}

static void load_begin(cfi_machine *machine)
{
    machine->phase = PART_LOAD;
    machine->step = machine->head;
    machine->next_micro = 0;
    machine->pieces_missing = 0;
    part_inbox_clear(&machine->inbox);
    drop_state_requests(machine);
    machine->role->restart(machine);
    if (machine->state_size == 0) {
        run(machine, true, true);
    } else if (machine->head == 0) {
        machine->role->begin(machine);
        run(machine, true, true);
    } else if (find_record(machine) != NULL) {
        const cfi_record *record = find_record(machine);
        machine->step = record->step;
        machine->role->load(machine, machine->me->begin, machine->me->end, record->bytes);
        run(machine, true, false);
    } else {
        ask_state(machine, machine->me->begin, machine->me->end, -1);
    }
}

/* This plan's shard has no state of its own at HEAD: the plan before had it in other pieces. The loss was whole then
 * too, under the same key. */
static void ask_earlier(cfi_machine *machine)
{
    const cfi_cluster *cluster = machine->cluster;
    for (int i = 0; i < cluster->earlier_count && machine->me->stage >= 0; i++) {
        const cfi_earlier *earlier = &cluster->earlier[i];
        if (earlier->stage == machine->me->stage && earlier->begin < machine->me->end &&
            earlier->end > machine->me->begin && machine->pieces_missing < PART_REQUESTS_MAX / 2) {
            ask_state(machine, earlier->begin, earlier->end, i);
            machine->pieces_missing++;
        }
    }
}

static bool take_piece(cfi_machine *machine, int piece, const cfi_store_reply *reply)
{
    const cfi_earlier *earlier = &machine->cluster->earlier[piece];
    const int64_t begin = earlier->begin > machine->me->begin ? earlier->begin : machine->me->begin;
    const int64_t end = earlier->end < machine->me->end ? earlier->end : machine->me->end;
    if (reply->value_size != (size_t)(earlier->end - earlier->begin) * machine->neuron_size) {
        part_fail(machine, "%s in the store has %zu bytes, which is no state of that part", reply->key,
                  reply->value_size);
        return false;
    }
    const unsigned char *bytes = reply->value;
    const int64_t skipped = CFI_PLANTED(24) ? 0 : begin - earlier->begin;
    machine->role->load(machine, begin, end, bytes + (size_t)skipped * machine->neuron_size);
    return true;
}

static void take_state(cfi_machine *machine, const part_request *request, const cfi_store_reply *reply)
{
    if (machine->phase != PART_LOAD) {
        return;
    }
    if (reply->outcome == CFI_STORE_ABSENT) {
        if (request->piece < 0) {
            ask_earlier(machine);
        }
        return; /* a later tick asks again: a store that lost it will be given it again */
    }
    if (request->piece >= 0) {
        if (take_piece(machine, request->piece, reply) && --machine->pieces_missing == 0) {
            run(machine, false, false);
        }
        return;
    }
    if (reply->value_size != machine->state_size) {
        part_fail(machine, "%s in the store has %zu bytes instead of %zu", reply->key, reply->value_size,
                  machine->state_size);
        return;
    }
    machine->role->load(machine, machine->me->begin, machine->me->end, reply->value);
    run(machine, false, true);
}

/* ---- The store's replies ---- */

void part_note_generation(cfi_machine *machine, uint64_t generation)
{
    if (generation == 0 || generation == machine->generation) {
        return;
    }
    const bool is_first = machine->generation == 0;
    machine->generation = generation;
    if (machine->role == &part_controller) {
        part_controller_generation(machine);
    } else if (!is_first) {
        part_put_again(machine);
        part_report(machine);
    }
}

static void take_head(cfi_machine *machine, const cfi_store_reply *reply)
{
    cfi_head record;
    if (reply->outcome == CFI_STORE_DONE && cfi_head_decode(reply->value, reply->value_size, &record, NULL) == CF_OK) {
        part_take_record(machine, &record);
    }
}

/* Under the lease of now: the lease was taken twice, because its request was repeated, and this one used the first. */
static void renew_request(cfi_machine *machine, part_request *old)
{
    const part_request taken = *old;
    cfi_store_request request;
    cfi_frame *kept = cfi_frame_ref(taken.frame);
    part_request_done(machine, old);
    cfi_frame *frame = cfi_store_request_read(kept, &request, NULL) == CF_OK ? part_request_frame(machine, &request)
                                                                             : NULL;
    if (frame != NULL) {
        part_request_resend(machine, taken.purpose, frame, frame->header.tag, taken.piece);
        cfi_frame_unref(frame);
    }
    cfi_frame_unref(kept);
}

/* FULL, FAILED and STALE are the same for all requests. True: nothing more to do. */
static bool take_trouble(cfi_machine *machine, part_request *request, const cfi_store_reply *reply)
{
    if (reply->outcome == CFI_STORE_STALE && request->frame->header.source_incarnation < machine->incarnation) {
        renew_request(machine, request);
        return true;
    }
    if (reply->outcome == CFI_STORE_STALE) {
        part_end_replaced(machine, "a later start of %s has taken its place", machine->me->name);
        part_request_done(machine, request);
        return true;
    }
    if (reply->outcome == CFI_STORE_FULL || reply->outcome == CFI_STORE_FAILED) {
        part_note(machine, "the store cannot %s %.60s: %.*s", reply->outcome == CFI_STORE_FULL ? "hold" : "serve",
                  reply->key, (int)(reply->value_size < 120 ? reply->value_size : 120),
                  reply->value != NULL ? (const char *)reply->value : "");
        return true; /* the request stays and is repeated */
    }
    return false;
}

static part_request *find_request(cfi_machine *machine, uint64_t tag)
{
    for (int i = 0; i < PART_REQUESTS_MAX; i++) {
        if (machine->requests[i].purpose != PART_FOR_NOTHING && machine->requests[i].tag == tag) {
            return &machine->requests[i];
        }
    }
    return NULL;
}

void part_store_reply(cfi_machine *machine, const cfi_frame *frame)
{
    cfi_store_reply reply;
    part_request *request = find_request(machine, frame->header.tag);
    if (cfi_store_reply_read(frame, &reply, NULL) != CF_OK) {
        return;
    }
    if (request == NULL) { /* a second answer, or one to an earlier start */
        if (reply.kind == CFI_STORE_LEASE && frame->header.tag == machine->lease_tag) {
            take_lease(machine, &reply); /* a second lease: what was done under the first is refused from now on */
        }
        return;
    }
    part_note_generation(machine, reply.generation);
    if (take_trouble(machine, request, &reply)) {
        return;
    }
    const part_request taken = *request;
    cfi_frame *kept = cfi_frame_ref(taken.frame);
    part_request_done(machine, request);
    switch (taken.purpose) {
    case PART_FOR_LEASE:
        take_lease(machine, &reply);
        break;
    case PART_FOR_HOLDER:
        take_holder(machine, &reply);
        break;
    case PART_FOR_STATE:
        take_state(machine, &taken, &reply);
        break;
    case PART_FOR_PUT:
        part_put_answered(machine, &taken, &reply);
        break;
    case PART_FOR_HEAD:
        if (machine->role != &part_controller) {
            take_head(machine, &reply);
            break;
        }
        part_controller_take(machine, &taken, &reply);
        break;
    case PART_FOR_PLAN:
    case PART_FOR_CAS:
        part_controller_take(machine, &taken, &reply);
        break;
    case PART_FOR_NOTHING:
    case PART_FOR_REMOVE:
        break;
    }
    cfi_frame_unref(kept);
}

/* ---- Ticks and work ---- */

static void ask_again(cfi_machine *machine)
{
    machine->waiting_for = -1;
    machine->is_asking = ++machine->idle_ticks >= machine->ask_after;
    if (machine->is_asking) {
        const int64_t longer = machine->idle_ticks < PART_ASK_TICKS_MAX ? machine->idle_ticks : PART_ASK_TICKS_MAX;
        machine->ask_after = machine->idle_ticks + longer;
    }
    machine->role->missing(machine);
    machine->is_asking = false;
    if (machine->idle_ticks >= PART_REQUEST_TICKS && part_is_requesting(machine, PART_FOR_PUT)) {
        machine->waiting_for = CFI_UNIT_INDEX_STORE; /* whoever else is waited for waits for this in the end */
        machine->waiting_kind = CFI_FRAME_STORE_REPLY;
    }
    if (machine->waiting_for < 0 && part_is_ahead(machine) && machine->step < part_end(machine)) {
        machine->waiting_for = CFI_UNIT_INDEX_CONTROLLER;
        machine->waiting_kind = CFI_FRAME_HEAD;
    }
    if (machine->heard_head > machine->head || (machine->idle_ticks % POLL_TICKS == 0 && machine->waiting_for >= 0)) {
        ask_head(machine);
    }
}

void part_life_tick(cfi_machine *machine)
{
    part_requests_tick(machine);
    if (machine->phase == PART_HEAD && machine->role != &part_controller) {
        ask_head(machine);
    } else if (machine->phase == PART_LOAD && !part_is_requesting(machine, PART_FOR_STATE) &&
               ++machine->idle_ticks % PART_REQUEST_TICKS == 0) {
        load_begin(machine);
    } else if (part_is_working(machine) && machine->role != &part_controller) {
        part_put_again(machine);
        ask_again(machine);
        const bool is_done = machine->record.is_finished && machine->chain_count == 0;
        if (!is_done && ++machine->report_ticks >= PART_REPORT_TICKS) {
            part_report(machine);
        }
    }
}

void part_go_on(cfi_machine *machine)
{
    while (part_is_working(machine) && machine->role->advance(machine)) {
        machine->idle_ticks = 0;
        machine->ask_after = PART_ASK_TICKS;
        machine->waiting_for = -1;
    }
}
