/* The controller: moves HEAD. It keeps nothing of its own: the record of HEAD is in the store, and what it knows beyond
 * that the units report again to whoever asks.
 *
 *   want  the record that should be in the store    stored  what is known to be there
 *
 * Each event may change what is wanted; one compare-and-swap at a time brings it there. A store that has come back
 * without the last records (wiped, restored from a copy) is brought up to date the same way, once all units have put
 * the states of HEAD into it again (PROTOCOL.md, REBASE). */
#include <string.h>

#include "base/alloc.h"
#include "shard/parts.h"

enum { ANNOUNCE_TICKS = 10 };

/* What a unit with state has reported last. */
typedef struct unit_report {
    uint32_t incarnation;
    uint64_t generation;
    int64_t durable;   /* -1: nothing known */
    int64_t end;
    bool is_evaluated;
} unit_report;

/* Nodes of one chain step as far as they have come; `nodes` of unit u are at u's offset. */
typedef struct chain_step {
    int64_t step;
    int received;
    bool *has;        /* (unit_count) */
    cfi_hash *nodes;  /* (all nodes) */
} chain_step;

typedef struct controller_own {
    unit_report *reports;    /* (unit_count) */
    int *node_offset;        /* (unit_count + 1) */
    chain_step *chains;
    int chain_count, chain_capacity;
    cfi_head stored;
    bool is_stored_known, is_stored_absent;
    bool has_epoch;          /* the record carries this controller's epoch */
    bool is_swapping;
    cfi_head swapping;       /* what the compare-and-swap under way writes */
    int64_t announce_ticks;
    char *plan_text, *next_text; /* of this plan and of the one asked for */
    uint32_t plan_put;       /* newest plan whose text is in the store */
    uint32_t next_plan;      /* 0: none is asked for */
    int64_t next_step_count;
} controller_own;

/* ---- Making ---- */

static bool has_state(const cfi_cluster *cluster, int unit)
{
    return cluster->units[unit].kind == CFI_UNIT_SHARD || cluster->units[unit].kind == CFI_UNIT_LOSS;
}

static cf_status controller_create(cfi_machine *machine, cf_error *error)
{
    const cfi_cluster *cluster = machine->cluster;
    const size_t units = (size_t)cluster->unit_count;
    controller_own *own = cfi_calloc(1, sizeof *own);
    if (own == NULL) {
        return cfi_fail_memory(error, "the controller");
    }
    machine->own = own;
    own->reports = cfi_calloc(units, sizeof *own->reports);
    own->node_offset = cfi_calloc(units + 1, sizeof *own->node_offset);
    machine->readers = cfi_calloc(units, sizeof *machine->readers);
    if (own->reports == NULL || own->node_offset == NULL || machine->readers == NULL) {
        return cfi_fail_memory(error, "the controller");
    }
    for (int u = 0; u < cluster->unit_count; u++) {
        const cfi_unit *unit = &cluster->units[u];
        cfi_tree_node nodes[CFI_TREE_NODES_MAX];
        const int64_t neurons = unit->kind == CFI_UNIT_SHARD ? cluster->stages[unit->stage].neurons : 0;
        own->reports[u] = (unit_report){.durable = -1, .end = INT64_MAX};
        own->node_offset[u + 1] = own->node_offset[u] + cfi_tree_split(unit->begin, unit->end, neurons, nodes);
        if (unit->kind != CFI_UNIT_CONTROLLER && unit->kind != CFI_UNIT_STORE) {
            machine->readers[machine->reader_count++] = (uint32_t)u;
        }
    }
    return cfi_cluster_print(cluster, &own->plan_text, error);
}

static void chain_fini(chain_step *chain)
{
    cfi_free(chain->has);
    cfi_free(chain->nodes);
}

static void controller_destroy(cfi_machine *machine)
{
    controller_own *own = machine->own;
    if (own != NULL) {
        for (int i = 0; i < own->chain_count; i++) {
            chain_fini(&own->chains[i]);
        }
        cfi_free(own->chains);
        cfi_free(own->reports);
        cfi_free(own->node_offset);
        cfi_free(own->plan_text);
        cfi_free(own->next_text);
        cfi_free(own);
    }
}

/* ---- Announcing HEAD ---- */

static void announce(cfi_machine *machine)
{
    controller_own *own = machine->own;
    cfi_frame_header header = part_header(machine, CFI_FRAME_HEAD, CFI_UNIT_ALL);
    header.step = header.head = (uint64_t)machine->record.step;
    header.tag = machine->generation;
    cfi_frame *frame = part_frame(machine, &header, CFI_HEAD_SIZE);
    if (frame != NULL) {
        cfi_head_encode(&machine->record, cfi_frame_payload(frame));
        cfi_frame_seal(frame);
        part_send(machine, frame, machine->readers, machine->reader_count);
        cfi_frame_unref(frame);
        own->announce_ticks = 0;
    }
}

/* ---- Chain ---- */

static chain_step *find_chain(controller_own *own, int64_t step)
{
    for (int i = 0; i < own->chain_count; i++) {
        if (own->chains[i].step == step) {
            return &own->chains[i];
        }
    }
    return NULL;
}

static chain_step *make_chain(cfi_machine *machine, int64_t step)
{
    controller_own *own = machine->own;
    if (own->chain_count == own->chain_capacity) {
        const int capacity = own->chain_capacity * 2 + 8;
        chain_step *chains = cfi_realloc(own->chains, (size_t)capacity, sizeof *chains);
        if (chains == NULL) {
            part_out_of_memory(machine);
            return NULL;
        }
        own->chains = chains;
        own->chain_capacity = capacity;
    }
    const int units = machine->cluster->unit_count;
    chain_step chain = {.step = step, .has = cfi_calloc((size_t)units, sizeof(bool)),
                        .nodes = cfi_calloc((size_t)own->node_offset[units], sizeof(cfi_hash))};
    if (chain.has == NULL || chain.nodes == NULL) {
        chain_fini(&chain);
        part_out_of_memory(machine);
        return NULL;
    }
    own->chains[own->chain_count] = chain;
    return &own->chains[own->chain_count++];
}

static void take_chain(cfi_machine *machine, int unit, int64_t step, const unsigned char *bytes)
{
    controller_own *own = machine->own;
    const int first = own->node_offset[unit], count = own->node_offset[unit + 1] - first;
    const bool is_wanted = step >= machine->record.step && step <= machine->record.step + 2 * machine->work->window + 2;
    chain_step *chain = find_chain(own, step);
    if (chain == NULL && is_wanted) {
        chain = make_chain(machine, step);
    }
    if (chain == NULL || chain->has[unit]) {
        return;
    }
    for (int n = 0; n < count; n++) {
        cfi_hash *hash = &chain->nodes[first + n];
        *hash = (cfi_hash){0, 0};
        for (int b = 0; b < 8; b++) {
            hash->low |= (uint64_t)bytes[n * 16 + b] << (8 * b);
            hash->high |= (uint64_t)bytes[n * 16 + 8 + b] << (8 * b);
        }
    }
    chain->has[unit] = true;
    chain->received++;
}

/* The root of the state tree at a chain step: each layer's tree, then the layers in order (engine.h,
 * cfi_engine_state_hash). False while nodes are missing. */
static bool chain_root(const cfi_machine *machine, int64_t step, cfi_hash *root_out)
{
    controller_own *own = machine->own;
    const cfi_cluster *cluster = machine->cluster;
    const chain_step *chain = find_chain(own, step);
    if (chain == NULL || chain->received < cluster->unit_count - CFI_UNIT_INDEX_SHARDS) {
        return false;
    }
    for (int s = 0; s < cluster->stage_count; s++) {
        const cfi_stage *stage = &cluster->stages[s];
        part_joiner joiner = {.depth = 0};
        for (int u = stage->first_unit; u < stage->first_unit + stage->unit_count; u++) {
            cfi_tree_node nodes[CFI_TREE_NODES_MAX];
            const int count = cfi_tree_split(cluster->units[u].begin, cluster->units[u].end, stage->neurons, nodes);
            for (int n = 0; n < count; n++) {
                part_joiner_add_hash(&joiner, nodes[n], chain->nodes[own->node_offset[u] + n], stage->neurons);
            }
        }
        *root_out = s == 0 ? joiner.hashes[0] : cfi_hash_join(*root_out, joiner.hashes[0]);
    }
    return true;
}

/* Adds the chain steps of (record->step, step] to the record's chain. */
static bool extend_chain(const cfi_machine *machine, cfi_head *record, int64_t step)
{
    const int64_t every = machine->work->chain_every;
    cfi_hash chain = record->chain;
    for (int64_t s = (record->step / every + 1) * every; s <= step; s += every) {
        cfi_hash root;
        if (!chain_root(machine, s, &root)) {
            return false;
        }
        chain = cfi_hash_join(chain, root);
    }
    record->chain = chain;
    return true;
}

static void forget_chains(cfi_machine *machine)
{
    controller_own *own = machine->own;
    int kept = 0;
    for (int i = 0; i < own->chain_count; i++) {
        if (own->chains[i].step < machine->record.step) {
            chain_fini(&own->chains[i]);
        } else {
            own->chains[kept++] = own->chains[i];
        }
    }
    own->chain_count = kept;
}

/* ---- What is wanted ---- */

static int64_t least_durable(const cfi_machine *machine)
{
    const controller_own *own = machine->own;
    int64_t least = INT64_MAX, most = -1;
    for (int u = 0; u < machine->cluster->unit_count; u++) {
        const bool is_left_out = CFI_PLANTED(16) && machine->cluster->units[u].kind == CFI_UNIT_SHARD;
        if (has_state(machine->cluster, u) && !is_left_out) {
            const unit_report *report = &own->reports[u];
            const int64_t durable = report->generation == machine->generation || CFI_PLANTED(6) ? report->durable : -1;
            least = durable < least ? durable : least;
            most = durable > most ? durable : most;
        }
    }
    return CFI_PLANTED(15) ? most : least;
}

/* The furthest step that any unit has reported as durable, which no HEAD was ever above; -1 while one has not
 * reported. */
static int64_t furthest_durable(const cfi_machine *machine)
{
    const controller_own *own = machine->own;
    int64_t furthest = 0;
    for (int u = 0; u < machine->cluster->unit_count; u++) {
        if (has_state(machine->cluster, u)) {
            if (own->reports[u].durable < 0) {
                return -1;
            }
            furthest = own->reports[u].durable > furthest ? own->reports[u].durable : furthest;
        }
    }
    return furthest;
}

static void want_end(const cfi_machine *machine, cfi_head *want)
{
    const controller_own *own = machine->own;
    const int64_t end = own->reports[CFI_UNIT_INDEX_LOSS].end;
    if (end < want->end && end >= want->step) {
        want->end = end;
    }
}

/* `train` ends its chain with the hash of the last state, unless that step was a chain step anyway. */
static void want_finished(const cfi_machine *machine, cfi_head *want)
{
    const controller_own *own = machine->own;
    cfi_hash root;
    if (want->is_finished || want->step != want->end || !own->reports[CFI_UNIT_INDEX_LOSS].is_evaluated) {
        return;
    }
    want->final_chain = want->chain;
    if (want->end == 0 || want->end % machine->work->chain_every != 0) {
        if (!chain_root(machine, want->end, &root)) {
            return;
        }
        want->final_chain = cfi_hash_join(want->chain, root);
    }
    want->is_finished = true;
}

/* A coming plan: first a limit that the source has not passed yet (it is never further than HEAD and the window), then,
 * with everything durable there, the switch. */
static void want_plan(const cfi_machine *machine, cfi_head *want)
{
    const controller_own *own = machine->own;
    const int64_t every = machine->work->persist_every;
    if (own->next_plan == 0 || own->plan_put < own->next_plan || want->plan == own->next_plan) {
        return;
    }
    if (want->limit == INT64_MAX) {
        const int64_t furthest = furthest_durable(machine);
        if (furthest < 0) {
            return; /* not all have reported: HEAD may have been further than a store that fell behind says */
        }
        const int64_t from = furthest > want->step ? furthest : want->step;
        want->limit = ((from + machine->work->window) / every + 1) * every;
    }
    const int64_t barrier = want->limit < want->end ? want->limit : want->end;
    if (want->step == barrier) {
        want->plan = own->next_plan;
        want->limit = INT64_MAX;
        if (want->end == machine->work->step_count || own->next_step_count < want->end) {
            want->end = own->next_step_count > want->step ? own->next_step_count : want->step;
        }
        want->is_finished = want->is_finished && want->end == want->step;
    }
}

static cfi_head find_wanted(const cfi_machine *machine)
{
    const controller_own *own = machine->own;
    cfi_head want = machine->record;
    if (!own->has_epoch) {
        want.epoch = (own->stored.epoch > want.epoch ? own->stored.epoch : want.epoch) + 1;
        return want;
    }
    const int64_t durable = least_durable(machine);
    const int64_t barrier = want.limit < want.end ? want.limit : want.end;
    const int64_t target = durable < barrier ? durable : barrier;
    want_end(machine, &want);
    if (target > want.step && (extend_chain(machine, &want, target) || CFI_PLANTED(17))) {
        want.step = target;
    }
    want_finished(machine, &want);
    want_plan(machine, &want);
    return want;
}

/* ---- Bringing it to the store ---- */

static bool is_same(const cfi_head *left, const cfi_head *right)
{
    unsigned char a[CFI_HEAD_SIZE], b[CFI_HEAD_SIZE];
    cfi_head_encode(left, a);
    cfi_head_encode(right, b);
    return memcmp(a, b, sizeof a) == 0;
}

static void swap(cfi_machine *machine, const cfi_head *want)
{
    controller_own *own = machine->own;
    unsigned char value[CFI_HEAD_SIZE], expected[CFI_HEAD_SIZE];
    cfi_head_encode(want, value);
    cfi_head_encode(&own->stored, expected);
    const cfi_store_request request = {
        .kind = CFI_STORE_CAS, .key = "head", .number = machine->generation, .value = value, .value_size = sizeof value,
        .expected = own->is_stored_absent ? NULL : expected,
        .expected_size = own->is_stored_absent ? 0 : sizeof expected};
    own->is_swapping = true;
    own->swapping = *want;
    part_request_send(machine, PART_FOR_CAS, &request, -1);
}

static void ask_stored(cfi_machine *machine)
{
    const cfi_store_request request = {.kind = CFI_STORE_GET, .key = "head"};
    if (!part_is_requesting(machine, PART_FOR_HEAD)) {
        part_request_send(machine, PART_FOR_HEAD, &request, -1);
    }
}

static void put_plan(cfi_machine *machine, uint32_t plan)
{
    const controller_own *own = machine->own;
    char key[CFI_STORE_KEY_SIZE_MAX];
    cfi_key_plan(key, sizeof key, plan);
    const char *text = plan == machine->cluster->id ? own->plan_text : own->next_text;
    const cfi_store_request request = {.kind = CFI_STORE_PUT, .key = key, .value = text, .value_size = strlen(text)};
    if (!part_is_requesting(machine, PART_FOR_PLAN)) {
        part_request_send(machine, PART_FOR_PLAN, &request, (int)plan);
    }
}

static bool controller_advance(cfi_machine *machine)
{
    controller_own *own = machine->own;
    if (own->is_swapping || !own->is_stored_known || own->plan_put < machine->cluster->id) {
        return false;
    }
    const cfi_head want = find_wanted(machine);
    if (is_same(&want, &own->stored)) {
        return false;
    }
    /* A store that is behind gets the record of HEAD only after the states of HEAD. */
    if (want.step > own->stored.step && want.step > 0 && least_durable(machine) < want.step) {
        return false;
    }
    swap(machine, &want);
    return false;
}

static void remove_old_states(cfi_machine *machine)
{
    const cfi_store_request request = {
        .kind = CFI_STORE_REMOVE_BELOW, .key = "state/",
        .number = (uint64_t)machine->record.step + (CFI_PLANTED(10) ? 1 : 0)};
    if (!part_is_requesting(machine, PART_FOR_REMOVE)) {
        part_request_send(machine, PART_FOR_REMOVE, &request, -1);
    }
}

static void go_to_plan(cfi_machine *machine, uint32_t plan)
{
    cfi_action *action = part_add_action(machine, CFI_ACTION_REPLAN);
    if (action != NULL) {
        action->plan = plan;
        machine->phase = PART_REPLANNED;
    }
}

static void swapped(cfi_machine *machine)
{
    controller_own *own = machine->own;
    const bool has_moved = own->swapping.step != machine->record.step;
    own->stored = machine->record = own->swapping;
    own->is_stored_absent = false;
    own->is_stored_known = own->has_epoch = true;
    machine->head = machine->step = machine->record.step;
    machine->counted.steps_done += has_moved;
    forget_chains(machine);
    announce(machine);
    if (has_moved) {
        remove_old_states(machine);
    }
    if (machine->record.plan > machine->cluster->id) {
        go_to_plan(machine, machine->record.plan);
    }
}

/* The first sight of the record: this controller's work begins, unless another plan is in force. */
static void begin(cfi_machine *machine, const cfi_head *stored, bool is_absent)
{
    controller_own *own = machine->own;
    if (stored->plan > machine->cluster->id) {
        go_to_plan(machine, stored->plan);
    } else if (stored->plan < machine->cluster->id && !is_absent) {
        own->is_stored_known = false; /* this plan is still to come */
    } else {
        machine->has_record = true;
        machine->phase = PART_RUN;
        put_plan(machine, machine->cluster->id);
    }
}

static void adopt(cfi_machine *machine, const cfi_head *record);

/* What is in the store now. A later epoch: another controller has replaced this one. An earlier record: the store has
 * lost what was written since; it will be written again. */
static void take_stored(cfi_machine *machine, const cfi_store_reply *reply, bool is_absent)
{
    controller_own *own = machine->own;
    cfi_head stored = {.limit = INT64_MAX, .end = machine->work->step_count, .plan = machine->cluster->id};
    if (!is_absent && cfi_head_decode(reply->value, reply->value_size, &stored, NULL) != CF_OK) {
        part_fail(machine, "the record of HEAD in the store is damaged");
        return;
    }
    own->stored = stored;
    own->is_stored_absent = is_absent;
    own->is_stored_known = true;
    if (!own->has_epoch && !(machine->has_record && stored.plan < machine->cluster->id)) {
        machine->record = stored;
        machine->head = machine->step = stored.step;
    }
    if (machine->phase == PART_HEAD) {
        begin(machine, &stored, is_absent);
    } else if (own->has_epoch && stored.epoch > machine->record.epoch) {
        part_end_replaced(machine, "another controller has taken over (epoch %u)", stored.epoch);
    } else if (own->has_epoch) {
        adopt(machine, &stored); /* HEAD goes forward only, whoever moved it */
    }
}

void part_controller_take(cfi_machine *machine, const part_request *request, const cfi_store_reply *reply)
{
    controller_own *own = machine->own;
    switch (request->purpose) {
    case PART_FOR_PLAN:
        /* The same plan written in other words (DIVERGED) is as good: the store's is what nodes read. */
        own->plan_put = (uint32_t)request->piece > own->plan_put ? (uint32_t)request->piece : own->plan_put;
        break;
    case PART_FOR_HEAD:
        if (!own->is_swapping) {
            take_stored(machine, reply, reply->outcome == CFI_STORE_ABSENT);
        }
        break;
    case PART_FOR_CAS:
        own->is_swapping = false;
        if (reply->outcome == CFI_STORE_DONE || CFI_PLANTED(18)) {
            swapped(machine);
            break;
        }
        take_stored(machine, reply, reply->value_size == 0);
        if (machine->phase == PART_RUN && is_same(&own->stored, &own->swapping)) {
            swapped(machine); /* it was this controller's own, and the answer got lost */
        }
        break;
    case PART_FOR_NOTHING:
    case PART_FOR_LEASE:
    case PART_FOR_HOLDER:
    case PART_FOR_STATE:
    case PART_FOR_PUT:
    case PART_FOR_REMOVE:
        break;
    }
}

void part_controller_generation(cfi_machine *machine)
{
    controller_own *own = machine->own;
    if (machine->phase == PART_RUN) {
        own->is_stored_known = false;
        own->plan_put = 0;
        ask_stored(machine);
        put_plan(machine, machine->cluster->id);
        announce(machine);
    }
}

/* ---- Reports ---- */

/* A unit knows a later HEAD than the store had when this controller started: the store has fallen behind. */
static void adopt(cfi_machine *machine, const cfi_head *record)
{
    if (record->step < 0 || record->plan != machine->cluster->id) {
        return;
    }
    if (record->epoch > machine->record.epoch) {
        machine->record.epoch = record->epoch + 1;
    }
    if (record->step > machine->record.step) {
        const uint32_t epoch = machine->record.epoch > record->epoch ? machine->record.epoch : record->epoch + 1;
        machine->record = *record;
        machine->record.epoch = epoch;
        machine->head = machine->step = record->step;
        part_note(machine, "the store is behind: HEAD %lld is known to the units", (long long)record->step);
        forget_chains(machine);
    }
}

/* A zombie, or a start whose lease is below those of before because the store has lost them: it will find out which. */
static void tell_stale(cfi_machine *machine, uint32_t unit, uint32_t incarnation)
{
    cfi_frame_header header = part_header(machine, CFI_FRAME_GONE, unit);
    header.block_lo = incarnation;
    cfi_frame *frame = part_frame(machine, &header, 0);
    if (frame != NULL) {
        cfi_frame_seal(frame);
        part_send_to(machine, frame, unit);
        cfi_frame_unref(frame);
    }
}

/* The store has an earlier plan, and a unit of this plan works: then this plan has been in
 * force, and the store has fallen behind. */
static bool is_in_force(cfi_machine *machine, const cfi_head *record)
{
    controller_own *own = machine->own;
    const bool is_earlier = own->stored.plan != 0 && own->stored.plan < machine->cluster->id;
    if (record->step < 0 || record->plan != machine->cluster->id || !is_earlier) {
        return false;
    }
    machine->record = *record;
    machine->has_record = true;
    machine->head = machine->step = record->step;
    machine->phase = PART_RUN;
    put_plan(machine, machine->cluster->id);
    announce(machine);
    return true;
}

static void take_report(cfi_machine *machine, const cfi_frame *frame)
{
    controller_own *own = machine->own;
    const int unit = (int)frame->header.source_unit;
    const int nodes = own->node_offset[unit + 1] - own->node_offset[unit];
    unit_report *known = &own->reports[unit];
    part_report_text report;
    const unsigned char *chains;
    if (!has_state(machine->cluster, unit) || (machine->phase != PART_RUN && machine->phase != PART_HEAD)) {
        return;
    }
    if (frame->header.source_incarnation < known->incarnation) {
        machine->counted.stale++;
        tell_stale(machine, (uint32_t)unit, known->incarnation);
        return;
    }
    if (part_report_read(frame, nodes, &report, &chains, NULL) != CF_OK) {
        machine->counted.refused++;
        return;
    }
    if (machine->phase == PART_HEAD && !is_in_force(machine, &report.record)) {
        return;
    }
    adopt(machine, &report.record);
    *known = (unit_report){frame->header.source_incarnation, report.generation, report.durable, report.end,
                           report.is_evaluated};
    for (int i = 0; i < report.chain_count && nodes > 0; i++) {
        int64_t step = 0;
        for (int b = 0; b < 8; b++) {
            step |= (int64_t)((uint64_t)chains[b] << (8 * b));
        }
        take_chain(machine, unit, step, chains + 8);
        chains += 8 + (size_t)nodes * 16;
    }
}

static void controller_frame(cfi_machine *machine, cfi_frame *frame)
{
    if (frame->header.kind == CFI_FRAME_REPORT) {
        take_report(machine, frame);
    }
}

static void controller_tick(cfi_machine *machine)
{
    controller_own *own = machine->own;
    if (machine->phase == PART_HEAD || (machine->phase == PART_RUN && !own->is_stored_known)) {
        ask_stored(machine);
    }
    if (machine->phase != PART_RUN) {
        return;
    }
    if (own->plan_put < machine->cluster->id) {
        put_plan(machine, machine->cluster->id);
    } else if (own->plan_put < own->next_plan) {
        put_plan(machine, own->next_plan);
    }
    if (machine->has_record && ++own->announce_ticks >= ANNOUNCE_TICKS) {
        announce(machine);
        ask_stored(machine); /* notices another controller, and a store that came back as another */
    }
}

void part_controller_replan(cfi_machine *machine, const char *text, size_t size)
{
    controller_own *own = machine->own;
    cfi_cluster next;
    cf_error error = {0};
    if (machine->phase != PART_RUN || !own->has_epoch || own->next_plan != 0 || own->plan_put < machine->cluster->id) {
        part_note(machine, "a new plan must wait: this one is not settled yet");
        return;
    }
    if (cfi_cluster_parse(text, size, &next, &error) != CF_OK) {
        part_note(machine, "the new plan cannot be read: %.180s", error.text);
        return;
    }
    char *copy = cfi_calloc(size + 1, 1);
    if (next.id != machine->cluster->id + 1 || next.digest != machine->cluster->digest || copy == NULL) {
        part_note(machine, "the new plan (%u) does not follow this one (%u)", next.id, machine->cluster->id);
        cfi_free(copy);
    } else {
        memcpy(copy, text, size);
        own->next_text = copy;
        own->next_plan = next.id;
        own->next_step_count = next.work.step_count;
        put_plan(machine, next.id);
    }
    cfi_cluster_fini(&next);
}

static void controller_missing(cfi_machine *machine)
{
    (void)machine;
}

static void controller_restart(cfi_machine *machine)
{
    (void)machine;
}

static bool controller_fits(const cfi_machine *machine, const cfi_frame *frame)
{
    (void)machine;
    (void)frame;
    return false;
}

const part_role part_controller = {
    .create = controller_create, .destroy = controller_destroy, .restart = controller_restart,
    .advance = controller_advance, .fits = controller_fits, .missing = controller_missing, .frame = controller_frame,
    .tick = controller_tick,
};
