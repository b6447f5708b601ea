/* Durability: states to volume and store, chain nodes, and the report of both. */
#include <string.h>

#include "base/alloc.h"
#include "shard/parts.h"

static part_state *find_state(cfi_machine *machine, int64_t step)
{
    for (int i = 0; i < machine->state_count; i++) {
        if (machine->states[i].step == step) {
            return &machine->states[i];
        }
    }
    return NULL;
}

/* Makes a place for the state of machine->step, with the request that puts `bytes` into the store. */
static part_state *add_state(cfi_machine *machine, const unsigned char *bytes)
{
    char key[CFI_STORE_KEY_SIZE_MAX];
    if (machine->state_count == machine->state_capacity) {
        const int capacity = machine->state_capacity * 2 + 4;
        part_state *states = cfi_realloc(machine->states, (size_t)capacity, sizeof *states);
        if (states == NULL) {
            part_out_of_memory(machine);
            return NULL;
        }
        machine->states = states;
        machine->state_capacity = capacity;
    }
    cfi_key_state(key, sizeof key, machine->state_stage, machine->me->begin, machine->me->end, machine->step);
    const cfi_store_request request = {
        .kind = CFI_STORE_PUT, .key = key, .value = bytes, .value_size = machine->state_size};
    cfi_frame *put = part_request_frame(machine, &request);
    if (put == NULL) {
        return NULL;
    }
    part_state *state = &machine->states[machine->state_count++];
    *state = (part_state){.step = machine->step, .put = put, .tag = put->header.tag};
    return state;
}

/* Saves W[step] and hands `bytes` on to the volume. */
static void persist(cfi_machine *machine, bool on_volume, bool in_store)
{
    unsigned char *bytes = cfi_calloc(1, machine->state_size);
    if (bytes == NULL) {
        part_out_of_memory(machine);
        return;
    }
    machine->role->save(machine, bytes);
    part_state *state = add_state(machine, bytes);
    cfi_action *action = state != NULL && !on_volume ? part_add_action(machine, CFI_ACTION_PERSIST) : NULL;
    if (action != NULL) {
        action->step = machine->step;
        action->incarnation = machine->incarnation;
        action->bytes = bytes;
        action->size = machine->state_size;
    } else {
        cfi_free(bytes);
    }
    if (state != NULL) {
        state->on_volume = on_volume || CFI_PLANTED(4);
        state->in_store = in_store || CFI_PLANTED(5);
        state->generation = machine->generation;
        if (!in_store) {
            part_request_resend(machine, PART_FOR_PUT, state->put, state->tag, -1);
        }
    }
}

void part_keep_loaded(cfi_machine *machine, bool from_volume, bool from_store)
{
    if (machine->state_size > 0 && machine->step > 0 && find_state(machine, machine->step) == NULL) {
        persist(machine, from_volume, from_store);
    }
}

/* ---- Chain ---- */

static bool has_chain(const cfi_machine *machine, int64_t step)
{
    for (int i = 0; i < machine->chain_count; i++) {
        if (machine->chains[i].step == step) {
            return true;
        }
    }
    return false;
}

/* The hashes of this shard's maximal tree nodes from those of its neurons, which are used up. */
static void make_nodes(const cfi_machine *machine, cfi_hash *hashes, cfi_hash *joined)
{
    const cfi_unit *me = machine->me;
    cfi_tree_node nodes[CFI_TREE_NODES_MAX];
    const int node_count = cfi_tree_split(me->begin, me->end, machine->cluster->stages[me->stage].neurons, nodes);
    for (int n = 0; n < node_count; n++) {
        joined[n] = part_join_leaves(hashes + (nodes[n].begin - me->begin), nodes[n].end - nodes[n].begin);
    }
}

static void note_chain(cfi_machine *machine)
{
    if (machine->role->hashes == NULL || has_chain(machine, machine->step)) {
        return;
    }
    if (machine->chain_count == machine->chain_capacity) {
        const int capacity = machine->chain_capacity * 2 + 4;
        part_chain *chains = cfi_realloc(machine->chains, (size_t)capacity, sizeof *chains);
        if (chains == NULL) {
            part_out_of_memory(machine);
            return;
        }
        machine->chains = chains;
        machine->chain_capacity = capacity;
    }
    const size_t neurons = (size_t)(machine->me->end - machine->me->begin);
    cfi_hash *hashes = cfi_calloc(neurons, sizeof *hashes);
    cfi_hash *nodes = cfi_calloc((size_t)machine->node_count, sizeof *nodes);
    if (hashes == NULL || nodes == NULL) {
        cfi_free(nodes);
        part_out_of_memory(machine);
    } else {
        machine->role->hashes(machine, hashes);
        make_nodes(machine, hashes, nodes);
        machine->chains[machine->chain_count++] = (part_chain){machine->step, nodes};
    }
    cfi_free(hashes);
}

void part_reached(cfi_machine *machine)
{
    if (machine->state_size == 0) {
        return;
    }
    if (cfi_work_is_chain_step(machine->work, machine->step, part_end(machine))) {
        note_chain(machine);
    }
    if (cfi_work_is_persist_step(machine->work, machine->step, part_end(machine)) &&
        find_state(machine, machine->step) == NULL) {
        persist(machine, false, false);
    }
}

/* ---- Acknowledgements ---- */

void part_persisted(cfi_machine *machine, int64_t step, cf_status status)
{
    part_state *state = find_state(machine, step);
    if (status != CF_OK) {
        part_fail(machine, "the state of step %lld could not be written to the volume", (long long)step);
    } else if (state != NULL && !state->on_volume) {
        state->on_volume = true;
        part_report(machine);
    }
}

static part_state *state_of_tag(cfi_machine *machine, uint64_t tag)
{
    for (int i = 0; i < machine->state_count; i++) {
        if (machine->states[i].tag == tag) {
            return &machine->states[i];
        }
    }
    return NULL;
}

void part_put_answered(cfi_machine *machine, const part_request *request, const cfi_store_reply *reply)
{
    part_state *state = state_of_tag(machine, request->tag);
    if (reply->outcome == CFI_STORE_DIVERGED) {
        part_fail(machine, "divergence: the store has another state of %s: a wrong processor or program", reply->key);
    } else if (state != NULL) {
        state->in_store = true;
        state->generation = reply->generation;
        part_report(machine);
    }
}

static bool has_request(const cfi_machine *machine, uint64_t tag)
{
    for (int i = 0; i < PART_REQUESTS_MAX; i++) {
        if (machine->requests[i].purpose == PART_FOR_PUT && machine->requests[i].tag == tag) {
            return true;
        }
    }
    return false;
}

void part_states_renew(cfi_machine *machine)
{
    for (int i = 0; i < machine->state_count; i++) {
        part_state *state = &machine->states[i];
        cfi_store_request request;
        if (cfi_store_request_read(state->put, &request, NULL) != CF_OK) {
            continue;
        }
        cfi_frame *put = part_request_frame(machine, &request);
        if (put == NULL) {
            return;
        }
        cfi_frame_unref(state->put);
        state->put = put;
        state->tag = put->header.tag;
    }
    for (int i = 0; i < PART_REQUESTS_MAX; i++) {
        if (machine->requests[i].purpose == PART_FOR_PUT) {
            part_request_done(machine, &machine->requests[i]);
        }
    }
    part_put_again(machine);
}

void part_put_again(cfi_machine *machine)
{
    for (int i = 0; i < machine->state_count && !CFI_PLANTED(6); i++) {
        const part_state *state = &machine->states[i];
        const bool is_there = state->in_store && state->generation == machine->generation;
        if (!is_there && !has_request(machine, state->tag)) {
            part_request_resend(machine, PART_FOR_PUT, state->put, state->tag, -1);
        }
    }
}

/* ---- Report ---- */

int64_t part_durable(const cfi_machine *machine)
{
    int64_t durable = machine->head;
    for (int i = 0; CFI_PLANTED(19) && i < machine->record_count; i++) {
        durable = machine->records[i].step > durable ? machine->records[i].step : durable;
    }
    for (int i = 0; i < machine->state_count; i++) {
        const part_state *state = &machine->states[i];
        const bool in_store = state->in_store && (state->generation == machine->generation || CFI_PLANTED(6));
        if (state->step >= machine->head && !(state->on_volume && in_store)) {
            return state->step == machine->head ? -1 : durable;
        }
        durable = state->step > durable ? state->step : durable;
    }
    return durable;
}

void part_report(cfi_machine *machine)
{
    if (machine->state_size == 0 || !part_is_working(machine)) {
        return;
    }
    const bool is_loss = machine->me->kind == CFI_UNIT_LOSS;
    const part_report_text report = {
        .durable = part_durable(machine), .generation = machine->generation,
        .record = machine->has_record ? machine->record : (cfi_head){.step = -1},
        .end = is_loss ? part_loss_end(machine) : INT64_MAX,
        .is_evaluated = is_loss && part_loss_is_evaluated(machine), .chain_count = machine->chain_count};
    cfi_frame_header header = part_header(machine, CFI_FRAME_REPORT, CFI_UNIT_INDEX_CONTROLLER);
    header.step = (uint64_t)report.durable;
    cfi_frame *frame = part_frame(machine, &header, part_report_size(machine->chain_count, machine->node_count));
    if (frame != NULL) {
        part_report_write(cfi_frame_payload(frame), &report, machine->chains, machine->node_count);
        cfi_frame_seal(frame);
        part_send_to(machine, frame, CFI_UNIT_INDEX_CONTROLLER);
        cfi_frame_unref(frame);
        machine->report_ticks = 0;
        while (CFI_PLANTED(22) && machine->chain_count > 0) {
            cfi_free(machine->chains[--machine->chain_count].nodes);
        }
    }
}

/* ---- Forgetting ---- */

static void forget_chains(cfi_machine *machine)
{
    int kept = 0;
    for (int i = 0; i < machine->chain_count; i++) {
        const part_chain *chain = &machine->chains[i];
        const bool is_last = chain->step == part_end(machine) && !machine->record.is_finished;
        if (machine->has_record && chain->step <= machine->record.step && !is_last) {
            cfi_free(chain->nodes);
        } else {
            machine->chains[kept++] = *chain;
        }
    }
    machine->chain_count = kept;
}

static void forget_records(cfi_machine *machine, int64_t below)
{
    int kept = 0;
    for (int i = 0; i < machine->record_count; i++) {
        if (machine->records[i].step < below) {
            cfi_free((void *)(uintptr_t)machine->records[i].bytes);
        } else {
            machine->records[kept++] = machine->records[i];
        }
    }
    machine->record_count = kept;
}

void part_states_forget(cfi_machine *machine, int64_t below)
{
    int kept = 0;
    for (int i = 0; i < machine->state_count; i++) {
        if (machine->states[i].step < below) {
            cfi_frame_unref(machine->states[i].put);
        } else {
            machine->states[kept++] = machine->states[i];
        }
    }
    machine->state_count = kept;
    forget_chains(machine);
    /* The volume's records are needed while HEAD may still reach them before this machine does. */
    forget_records(machine, part_is_working(machine) && machine->step > below ? below + 1 : below);
}

void part_states_clear(cfi_machine *machine)
{
    for (int i = 0; i < machine->state_count; i++) {
        cfi_frame_unref(machine->states[i].put);
    }
    machine->state_count = 0;
    for (int i = 0; i < machine->chain_count; i++) {
        cfi_free(machine->chains[i].nodes);
    }
    machine->chain_count = 0;
    forget_records(machine, INT64_MAX);
}
