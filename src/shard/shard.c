/* A shard: a slice of one stage's neurons. For each micro-batch it waits for all of its input and sends its outputs,
 * then waits for the gradient by its outputs and sends that by its inputs; after all of them it updates itself. */
#include <string.h>

#include "base/alloc.h"
#include "learn/schedule.h"
#include "shard/parts.h"

enum { EDGE_FORWARD = 0, EDGE_BACKWARD = 1, EDGE_SCALE = 2 };

typedef struct shard_own {
    const cfi_stage *stage, *next;  /* next NULL: the loss follows */
    void *compute;
    int64_t evaluations, micros;    /* of the step */
    int64_t backwards;              /* training micro-batches done; forwards are machine->next_micro */
    bool norm_sent;
    int64_t leaf_count;             /* of the next stage's tree over its neurons; 1 for the loss */
    cfi_tree_node leaves[CFI_TREE_NODES_MAX]; /* own nodes of the tree over neurons, in leaves of the grain */
    int leaf_nodes;
    float *scratch;                 /* (leaf_nodes, inputs, rows): the gradient by the whole input */
    cfi_gradient_piece *pieces;     /* (units of the next stage) */
} shard_own;

static const cfi_compute_ops *ops_of(const cfi_machine *machine)
{
    return machine->options.compute;
}

static int64_t outputs_of(const cfi_stage *stage, const cfi_unit *unit)
{
    return (unit->end - unit->begin) * stage->outputs_per_neuron;
}

static bool clips(const cfi_machine *machine)
{
    return machine->options.settings->training.clip_norm > 0;
}

/* ---- Making ---- */

static cf_status set_edges(cfi_machine *machine, shard_own *own, cf_error *error)
{
    const cfi_cluster *cluster = machine->cluster;
    const int stage = machine->me->stage;
    const bool is_last = stage == cluster->stage_count - 1;
    const cfi_stage *before = stage > 0 ? &cluster->stages[stage - 1] : NULL;
    own->next = is_last ? NULL : &cluster->stages[stage + 1];
    part_inbox_add_edge(&machine->inbox, CFI_FRAME_FORWARD, before ? before->first_unit : CFI_UNIT_INDEX_SOURCE,
                        before ? before->unit_count : 1);
    part_inbox_add_edge(&machine->inbox, CFI_FRAME_BACKWARD, is_last ? CFI_UNIT_INDEX_LOSS : own->next->first_unit,
                        is_last ? 1 : own->next->unit_count);
    if (clips(machine)) {
        part_inbox_add_edge(&machine->inbox, CFI_FRAME_SCALE, CFI_UNIT_INDEX_LOSS, 1);
    }
    const part_edge *readers = &machine->inbox.edges[EDGE_BACKWARD]; /* who reads forward answers backward */
    machine->reader_count = readers->count;
    machine->readers = cfi_calloc((size_t)readers->count, sizeof *machine->readers);
    own->pieces = cfi_calloc((size_t)readers->count, sizeof *own->pieces);
    if (machine->readers == NULL || own->pieces == NULL) {
        return cfi_fail_memory(error, "edges");
    }
    for (int i = 0; i < readers->count; i++) {
        machine->readers[i] = readers->first_unit + (uint32_t)i;
    }
    return CF_OK;
}

static int64_t leaves_of(int64_t neurons, int64_t grain)
{
    return (neurons + grain - 1) / grain;
}

static cf_status shard_create(cfi_machine *machine, cf_error *error)
{
    const cfi_cluster *cluster = machine->cluster;
    const cfi_unit *me = machine->me;
    shard_own *own = cfi_calloc(1, sizeof *own);
    if (own == NULL) {
        return cfi_fail_memory(error, "a shard");
    }
    machine->own = own;
    own->stage = &cluster->stages[me->stage];
    CFI_TRY(set_edges(machine, own, error));
    own->leaf_count = own->next != NULL ? leaves_of(own->next->neurons, own->next->grain) : 1;
    own->leaf_nodes = cfi_tree_split(me->begin / own->stage->grain, leaves_of(me->end, own->stage->grain),
                                     leaves_of(own->stage->neurons, own->stage->grain), own->leaves);
    if (me->stage > 0) {
        own->scratch = cfi_calloc((size_t)(own->leaf_nodes * own->stage->inputs),
                                  (size_t)machine->work->batch * sizeof(float));
        if (own->scratch == NULL) {
            return cfi_fail_memory(error, "input gradients");
        }
    }
    cfi_compute_options options = {
        .graph = machine->options.graph, .training = &machine->options.settings->training,
        .seed = machine->options.settings->seed, .stage = own->stage, .is_first = me->stage == 0, .begin = me->begin,
        .end = me->end, .forward_rows = cfi_work_rows_max(machine->work)};
    cfi_dataset_byte_scale(&machine->options.settings->data, &options.scale, &options.shift);
    CFI_TRY(ops_of(machine)->shard_new(&options, &own->compute, error));
    machine->neuron_size = ops_of(machine)->neuron_state_size(own->compute);
    machine->state_size = machine->neuron_size * (size_t)(me->end - me->begin);
    cfi_tree_node nodes[CFI_TREE_NODES_MAX];
    machine->node_count = cfi_tree_split(me->begin, me->end, own->stage->neurons, nodes);
    return CF_OK;
}

static void shard_destroy(cfi_machine *machine)
{
    shard_own *own = machine->own;
    if (own != NULL) {
        ops_of(machine)->shard_free(own->compute);
        cfi_free(own->scratch);
        cfi_free(own->pieces);
        cfi_free(own);
    }
}

/* ---- State ---- */

static void shard_begin(cfi_machine *machine)
{
    const shard_own *own = machine->own;
    ops_of(machine)->initialise(own->compute);
}

static void shard_load(cfi_machine *machine, int64_t begin, int64_t end, const unsigned char *bytes)
{
    const shard_own *own = machine->own;
    ops_of(machine)->state_set(own->compute, begin, end, bytes);
}

static void shard_save(cfi_machine *machine, unsigned char *bytes)
{
    const shard_own *own = machine->own;
    ops_of(machine)->state_get(own->compute, machine->me->begin, machine->me->end, bytes);
}

static void shard_hashes(cfi_machine *machine, cfi_hash *hashes)
{
    const shard_own *own = machine->own;
    ops_of(machine)->neuron_hashes(own->compute, hashes);
}

static void shard_restart(cfi_machine *machine)
{
    shard_own *own = machine->own;
    own->evaluations = cfi_work_evaluations(machine->work, machine->step);
    own->micros = cfi_work_micros(machine->work, machine->step);
    own->backwards = 0;
    own->norm_sent = false;
    machine->next_micro = 0;
}

/* ---- Whether a value is what it must be ---- */

static bool fits_forward(const cfi_machine *machine, const cfi_frame *frame, int64_t rows)
{
    const shard_own *own = machine->own;
    const cfi_frame_header *header = &frame->header;
    const int64_t inputs = own->stage->inputs;
    if (machine->me->stage == 0) {
        const bool is_bytes = (header->flags & CFI_FRAME_BYTES) != 0;
        return header->cols == inputs && frame->payload_size == (uint64_t)(rows * inputs) * (is_bytes ? 1 : 4) &&
               (is_bytes || (header->flags & CFI_FRAME_SAMPLES) != 0);
    }
    const cfi_unit *unit = &machine->cluster->units[header->source_unit];
    const int64_t cols = outputs_of(&machine->cluster->stages[machine->me->stage - 1], unit);
    return header->cols == cols && frame->payload_size == (uint64_t)(rows * cols) * sizeof(float);
}

static int64_t backward_nodes(const cfi_machine *machine, uint32_t unit_index)
{
    const shard_own *own = machine->own;
    if (own->next == NULL) {
        return 1;
    }
    const cfi_unit *unit = &machine->cluster->units[unit_index];
    cfi_tree_node nodes[CFI_TREE_NODES_MAX];
    return cfi_tree_split(unit->begin / own->next->grain, leaves_of(unit->end, own->next->grain), own->leaf_count,
                          nodes);
}

static bool shard_fits(const cfi_machine *machine, const cfi_frame *frame)
{
    const shard_own *own = machine->own;
    const cfi_frame_header *header = &frame->header;
    if (header->kind == CFI_FRAME_SCALE) {
        return header->micro == 0 && frame->payload_size == sizeof(float);
    }
    if (header->micro >= (uint64_t)cfi_work_micros(machine->work, (int64_t)header->step)) {
        return false;
    }
    const cfi_micro micro = cfi_work_micro(machine->work, (int64_t)header->step, header->micro);
    if (header->rows != micro.rows) {
        return false;
    }
    if (header->kind == CFI_FRAME_FORWARD) {
        return fits_forward(machine, frame, micro.rows);
    }
    const int64_t outputs = outputs_of(own->stage, machine->me);
    return micro.is_training && header->cols == outputs &&
           frame->payload_size == (uint64_t)(backward_nodes(machine, header->source_unit) * outputs * micro.rows) *
                                      sizeof(float);
}

/* ---- Forward ---- */

/* Puts one frame's slice into the slot; returns the stage whose value was not finite first, or -1. */
static int64_t take_input(cfi_machine *machine, const cfi_micro *micro, const cfi_frame *frame)
{
    const shard_own *own = machine->own;
    const cfi_frame_header *header = &frame->header;
    const unsigned char *payload = cfi_frame_payload(frame);
    if ((header->flags & CFI_FRAME_BYTES) != 0) {
        ops_of(machine)->input_bytes(own->compute, micro->slot, micro->rows, payload);
    } else if ((header->flags & CFI_FRAME_SAMPLES) != 0) {
        ops_of(machine)->input_samples(own->compute, micro->slot, micro->rows, (const float *)(const void *)payload);
    } else {
        const cfi_stage *before = own->stage - 1;
        const int64_t first = machine->cluster->units[header->source_unit].begin * before->outputs_per_neuron;
        ops_of(machine)->input(own->compute, micro->slot, first, header->cols, micro->rows,
                               (const float *)(const void *)payload);
    }
    return (header->flags & CFI_FRAME_NONFINITE) != 0 ? (int64_t)header->tag : -1;
}

static bool forward(cfi_machine *machine)
{
    shard_own *own = machine->own;
    const int64_t number = machine->next_micro, outputs = outputs_of(own->stage, machine->me);
    cfi_frame *const *inputs = part_inbox_whole(&machine->inbox, EDGE_FORWARD, machine->step, number);
    if (inputs == NULL) {
        return false;
    }
    const cfi_micro micro = cfi_work_micro(machine->work, machine->step, number);
    cfi_frame_header header = part_header(machine, CFI_FRAME_FORWARD, CFI_UNIT_ALL);
    header.micro = (uint32_t)number;
    header.rows = (uint32_t)micro.rows;
    header.cols = (uint32_t)outputs;
    int64_t nonfinite = -1;
    for (int i = 0; i < machine->inbox.edges[EDGE_FORWARD].count; i++) {
        const int64_t stage = take_input(machine, &micro, inputs[i]);
        nonfinite = stage >= 0 && (nonfinite < 0 || stage < nonfinite) ? stage : nonfinite;
    }
    cfi_frame *frame = part_frame(machine, &header, (size_t)(outputs * micro.rows) * sizeof(float));
    if (frame == NULL) {
        return false;
    }
    ops_of(machine)->forward(own->compute, machine->step, micro.slot, micro.rows, micro.is_training,
                             (float *)(void *)cfi_frame_payload(frame));
    if (nonfinite < 0 && ops_of(machine)->has_nonfinite(own->compute, micro.slot, micro.rows)) {
        nonfinite = machine->me->stage;
    }
    if (nonfinite >= 0) {
        frame->header.flags |= CFI_FRAME_NONFINITE;
        frame->header.tag = (uint64_t)nonfinite;
    }
    part_publish(machine, frame, CFI_UNIT_ALL);
    part_inbox_use(&machine->inbox, EDGE_FORWARD, machine->step, number);
    machine->next_micro++;
    return true;
}

/* ---- Questions: forward through the weights as they are, in the slot that training does not use ---- */

static bool shard_fits_question(const cfi_machine *machine, const cfi_frame *frame)
{
    return frame->header.rows >= 1 && frame->header.rows <= machine->work->batch &&
           (machine->me->stage > 0 || (frame->header.flags & CFI_FRAME_SAMPLES) != 0) &&
           fits_forward(machine, frame, frame->header.rows);
}

static bool answer_question(cfi_machine *machine)
{
    shard_own *own = machine->own;
    part_question *question = part_whole_question(machine);
    if (question == NULL) {
        return false;
    }
    const int64_t outputs = outputs_of(own->stage, machine->me);
    const cfi_micro micro = {.slot = CFI_SLOT_FORWARD, .rows = question->frames[0]->header.rows};
    cfi_frame_header header = part_header(machine, CFI_FRAME_FORWARD, CFI_UNIT_ALL);
    header.flags = CFI_FRAME_INFER;
    header.micro = question->number;
    header.rows = (uint32_t)micro.rows;
    header.cols = (uint32_t)outputs;
    for (int i = 0; i < machine->inbox.edges[EDGE_FORWARD].count; i++) {
        (void)take_input(machine, &micro, question->frames[i]);
    }
    cfi_frame *frame = part_frame(machine, &header, (size_t)(outputs * micro.rows) * sizeof(float));
    if (frame != NULL) {
        ops_of(machine)->forward(own->compute, machine->step, micro.slot, micro.rows, false,
                                 (float *)(void *)cfi_frame_payload(frame));
        cfi_frame_seal(frame);
        part_send(machine, frame, machine->readers, machine->reader_count);
        cfi_frame_unref(frame);
    }
    part_question_done(machine, question);
    return true;
}

/* ---- Backward ---- */

/* The gradient by one unit's outputs: its rows of every node. */
static void send_backward(cfi_machine *machine, const cfi_micro *micro, int64_t number, uint32_t target)
{
    const shard_own *own = machine->own;
    const cfi_unit *unit = &machine->cluster->units[target];
    const int64_t cols = outputs_of(own->stage - 1, unit);
    const int64_t first = unit->begin * (own->stage - 1)->outputs_per_neuron;
    const size_t values = (size_t)(cols * micro->rows);
    cfi_frame_header header = part_header(machine, CFI_FRAME_BACKWARD, target);
    header.micro = (uint32_t)number;
    header.rows = (uint32_t)micro->rows;
    header.cols = (uint32_t)cols;
    cfi_frame *frame = part_frame(machine, &header, (size_t)own->leaf_nodes * values * sizeof(float));
    if (frame == NULL) {
        return;
    }
    for (int n = 0; n < own->leaf_nodes; n++) {
        memcpy(cfi_frame_payload(frame) + (size_t)n * values * sizeof(float),
               own->scratch + (n * own->stage->inputs + first) * micro->rows, values * sizeof(float));
    }
    part_publish(machine, frame, target);
}

static void set_pieces(cfi_machine *machine, cfi_frame *const *frames, int count)
{
    shard_own *own = machine->own;
    for (int i = 0; i < count; i++) {
        cfi_gradient_piece *piece = &own->pieces[i];
        piece->values = (const float *)(const void *)cfi_frame_payload(frames[i]);
        piece->leaf_begin = 0;
        piece->leaf_end = 1;
        if (own->next != NULL) {
            const cfi_unit *unit = &machine->cluster->units[frames[i]->header.source_unit];
            piece->leaf_begin = unit->begin / own->next->grain;
            piece->leaf_end = leaves_of(unit->end, own->next->grain);
        }
    }
}

static bool backward(cfi_machine *machine)
{
    shard_own *own = machine->own;
    const int64_t number = own->evaluations + own->backwards;
    if (number >= machine->next_micro) {
        return false;
    }
    cfi_frame *const *frames = part_inbox_whole(&machine->inbox, EDGE_BACKWARD, machine->step, number);
    if (frames == NULL) {
        return false;
    }
    const cfi_micro micro = cfi_work_micro(machine->work, machine->step, number);
    const int count = machine->inbox.edges[EDGE_BACKWARD].count;
    set_pieces(machine, frames, count);
    ops_of(machine)->backward(own->compute, micro.slot, micro.rows, own->pieces, count, own->leaf_count);
    if (machine->me->stage > 0) {
        for (int n = 0; n < own->leaf_nodes; n++) {
            ops_of(machine)->input_gradient(own->compute, micro.slot, micro.rows, own->leaves[n], 0, own->stage->inputs,
                                            own->scratch + n * own->stage->inputs * micro.rows);
        }
        const part_edge *before = &machine->inbox.edges[EDGE_FORWARD];
        for (int i = 0; i < before->count; i++) {
            send_backward(machine, &micro, number, before->first_unit + (uint32_t)i);
        }
    }
    part_inbox_use(&machine->inbox, EDGE_BACKWARD, machine->step, number);
    own->backwards++;
    return true;
}

/* ---- The step's end ---- */

/* Tree nodes of the squared gradients, to the loss, which knows the norm of all (docs/math/optimizers.md). */
static void send_norm(cfi_machine *machine, int64_t rows)
{
    shard_own *own = machine->own;
    const cfi_unit *me = machine->me;
    cfi_tree_node nodes[CFI_TREE_NODES_MAX];
    const int count = cfi_tree_split(me->begin, me->end, own->stage->neurons, nodes);
    float *squares = cfi_calloc((size_t)(me->end - me->begin), sizeof *squares);
    const cfi_frame_header header = part_header(machine, CFI_FRAME_NORM, CFI_UNIT_INDEX_LOSS);
    cfi_frame *frame = part_frame(machine, &header, (size_t)count * sizeof(float));
    if (squares == NULL || frame == NULL) {
        cfi_free(squares);
        cfi_frame_unref(frame);
        part_out_of_memory(machine);
        return;
    }
    ops_of(machine)->squares(own->compute, rows, squares);
    float *sums = (float *)(void *)cfi_frame_payload(frame);
    for (int n = 0; n < count; n++) {
        sums[n] = cfi_tree_sum(squares + (nodes[n].begin - me->begin), nodes[n].end - nodes[n].begin);
    }
    part_publish(machine, frame, CFI_UNIT_INDEX_LOSS);
    own->norm_sent = true;
    cfi_free(squares);
}

/* False while the factor is not known. */
static bool find_scale(cfi_machine *machine, int64_t rows, float *scale_out)
{
    const shard_own *own = machine->own;
    *scale_out = 1.0f;
    if (!clips(machine)) {
        return true;
    }
    if (!own->norm_sent) {
        send_norm(machine, rows);
    }
    cfi_frame *const *frames = part_inbox_whole(&machine->inbox, EDGE_SCALE, machine->step, 0);
    if (frames == NULL) {
        return false;
    }
    memcpy(scale_out, cfi_frame_payload(frames[0]), sizeof *scale_out);
    return true;
}

static bool update(cfi_machine *machine)
{
    shard_own *own = machine->own;
    const int64_t rows = cfi_work_rows(machine->work, machine->step);
    float scale;
    const int64_t left = own->micros - own->evaluations - own->backwards;
    if (rows == 0 || part_is_ahead(machine) || left > (CFI_PLANTED(11) ? 1 : 0) || machine->next_micro < own->micros ||
        !find_scale(machine, rows, &scale)) {
        return false;
    }
    const cfi_training_settings *training = &machine->options.settings->training;
    const float rate = cfi_schedule_rate(training, machine->work->steps_per_epoch, machine->step);
    ops_of(machine)->update(own->compute, machine->step, rows, rate, scale);
    machine->step++;
    machine->counted.steps_done++;
    shard_restart(machine);
    part_reached(machine);
    return true;
}

static bool shard_advance(cfi_machine *machine)
{
    const shard_own *own = machine->own;
    const bool has_forward = machine->next_micro < own->micros;
    machine->phase = machine->step >= part_end(machine) && machine->next_micro >= own->evaluations ? PART_FINISHED
                                                                                                  : PART_RUN;
    return answer_question(machine) || backward(machine) || (has_forward && forward(machine)) || update(machine);
}

static void shard_missing(cfi_machine *machine)
{
    const shard_own *own = machine->own;
    const bool is_over = machine->step >= part_end(machine);
    if (machine->next_micro < (is_over ? own->evaluations : own->micros)) {
        part_ask_missing(machine, EDGE_FORWARD, machine->next_micro);
    }
    if (own->evaluations + own->backwards < machine->next_micro) {
        part_ask_missing(machine, EDGE_BACKWARD, own->evaluations + own->backwards);
    }
    if (own->norm_sent) {
        part_ask_missing(machine, EDGE_SCALE, 0);
    }
}

const part_role part_shard = {
    .create = shard_create, .destroy = shard_destroy, .begin = shard_begin, .load = shard_load, .save = shard_save,
    .hashes = shard_hashes, .restart = shard_restart, .advance = shard_advance, .fits = shard_fits,
    .fits_question = shard_fits_question, .missing = shard_missing,
};
