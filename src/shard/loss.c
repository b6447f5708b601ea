/* The loss: joins the logits of the last stage, computes losses and their gradient, and keeps the figures of the
 * training as its state: running sums of the epoch, and early stopping. The same bookkeeping as engine/train.c. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "shard/parts.h"

enum { EDGE_FORWARD = 0, EDGE_LABELS = 1, EDGE_NORM = 2, STATE_FIELDS = 12 };

typedef struct loss_figures {
    double epoch_loss_sum, best_validation_loss, validation_loss, validation_accuracy, test_loss, test_accuracy;
    int64_t epoch_correct, epoch_samples, samples, epochs_without_gain, evaluated_step, stopped_step;
} loss_figures;

typedef struct loss_own {
    const cfi_stage *last;
    void *compute;
    float *logits, *gradient, *losses;   /* (outputs, rows) twice; (batch) */
    int32_t *labels, *predicted;         /* (rows) */
    loss_figures figures;                /* as of W[step] and what of the step is done */
    int64_t evaluations, micros;
    int64_t batch_correct;
    double set_loss_sum[2];              /* of the evaluation going on: validation, test */
    int64_t set_correct[2];
    bool is_published;                   /* the clipping factor */
} loss_own;

/* ---- Making ---- */

static cf_status make_buffers(cfi_machine *machine, loss_own *own, cf_error *error)
{
    const size_t rows = (size_t)cfi_work_rows_max(machine->work), outputs = (size_t)own->last->outputs;
    own->logits = cfi_calloc(rows * outputs, sizeof(float));
    own->gradient = cfi_calloc(rows * outputs, sizeof(float));
    own->losses = cfi_calloc(rows, sizeof(float));
    own->labels = cfi_calloc(rows, sizeof(int32_t));
    own->predicted = cfi_calloc(rows, sizeof(int32_t));
    if (own->logits == NULL || own->gradient == NULL || own->losses == NULL || own->labels == NULL ||
        own->predicted == NULL) {
        return cfi_fail_memory(error, "the loss");
    }
    return machine->options.compute->loss_new(machine->options.graph, (int64_t)rows, &own->compute, error);
}

static cf_status loss_create(cfi_machine *machine, cf_error *error)
{
    const cfi_cluster *cluster = machine->cluster;
    loss_own *own = cfi_calloc(1, sizeof *own);
    if (own == NULL) {
        return cfi_fail_memory(error, "the loss");
    }
    machine->own = own;
    own->last = &cluster->stages[cluster->stage_count - 1];
    part_inbox_add_edge(&machine->inbox, CFI_FRAME_FORWARD, own->last->first_unit, own->last->unit_count);
    part_inbox_add_edge(&machine->inbox, CFI_FRAME_LABELS, CFI_UNIT_INDEX_SOURCE, 1);
    const int shards = cluster->unit_count - CFI_UNIT_INDEX_SHARDS;
    if (machine->options.settings->training.clip_norm > 0) {
        part_inbox_add_edge(&machine->inbox, CFI_FRAME_NORM, CFI_UNIT_INDEX_SHARDS, shards);
    }
    machine->reader_count = shards; /* of the clipping factor */
    machine->readers = cfi_calloc((size_t)shards, sizeof *machine->readers);
    if (machine->readers == NULL) {
        return cfi_fail_memory(error, "the loss");
    }
    for (int i = 0; i < shards; i++) {
        machine->readers[i] = (uint32_t)(CFI_UNIT_INDEX_SHARDS + i);
    }
    machine->neuron_size = machine->state_size = STATE_FIELDS * 8;
    return make_buffers(machine, own, error);
}

static void loss_destroy(cfi_machine *machine)
{
    loss_own *own = machine->own;
    if (own != NULL) {
        machine->options.compute->loss_free(own->compute);
        cfi_free(own->logits);
        cfi_free(own->gradient);
        cfi_free(own->losses);
        cfi_free(own->labels);
        cfi_free(own->predicted);
        cfi_free(own);
    }
}

/* ---- State ---- */

static void loss_begin(cfi_machine *machine)
{
    loss_own *own = machine->own;
    own->figures = (loss_figures){
        .best_validation_loss = (double)INFINITY, .validation_loss = (double)NAN, .validation_accuracy = (double)NAN,
        .test_loss = (double)NAN, .test_accuracy = (double)NAN, .evaluated_step = -1, .stopped_step = INT64_MAX};
}

_Static_assert(sizeof(loss_figures) == STATE_FIELDS * 8, "the state is the figures, eight bytes each");

static void put_fields(unsigned char *bytes, const void *fields)
{
    for (int i = 0; i < STATE_FIELDS; i++) {
        uint64_t value;
        memcpy(&value, (const char *)fields + i * 8, sizeof value);
        for (int b = 0; b < 8; b++) {
            bytes[i * 8 + b] = (unsigned char)(value >> (8 * b));
        }
    }
}

static void loss_load(cfi_machine *machine, int64_t begin, int64_t end, const unsigned char *bytes)
{
    loss_own *own = machine->own;
    (void)begin;
    (void)end;
    for (int i = 0; i < STATE_FIELDS; i++) {
        uint64_t value = 0;
        for (int b = 0; b < 8; b++) {
            value |= (uint64_t)bytes[i * 8 + b] << (8 * b);
        }
        memcpy((char *)&own->figures + i * 8, &value, sizeof value);
    }
}

static void loss_save(cfi_machine *machine, unsigned char *bytes)
{
    const loss_own *own = machine->own;
    put_fields(bytes, &own->figures);
}

static void loss_restart(cfi_machine *machine)
{
    loss_own *own = machine->own;
    own->evaluations = cfi_work_evaluations(machine->work, machine->step);
    own->micros = cfi_work_micros(machine->work, machine->step);
    own->batch_correct = 0;
    own->is_published = false;
    memset(own->set_loss_sum, 0, sizeof own->set_loss_sum);
    memset(own->set_correct, 0, sizeof own->set_correct);
    machine->next_micro = 0;
}

static bool loss_fits(const cfi_machine *machine, const cfi_frame *frame)
{
    const loss_own *own = machine->own;
    const cfi_frame_header *header = &frame->header;
    const cfi_unit *unit = &machine->cluster->units[header->source_unit];
    if (header->kind == CFI_FRAME_NORM) {
        cfi_tree_node nodes[CFI_TREE_NODES_MAX];
        const int count = cfi_tree_split(unit->begin, unit->end, machine->cluster->stages[unit->stage].neurons, nodes);
        return header->micro == 0 && frame->payload_size == (size_t)count * sizeof(float);
    }
    if (header->micro >= (uint64_t)cfi_work_micros(machine->work, (int64_t)header->step)) {
        return false;
    }
    const int64_t rows = cfi_work_micro(machine->work, (int64_t)header->step, header->micro).rows;
    if (header->kind == CFI_FRAME_LABELS) {
        return header->rows == rows && frame->payload_size == (uint64_t)rows * sizeof(int32_t);
    }
    const int64_t cols = (unit->end - unit->begin) * own->last->outputs_per_neuron;
    return header->rows == rows && header->cols == cols &&
           frame->payload_size == (uint64_t)(rows * cols) * sizeof(float);
}

/* ---- One micro-batch ---- */

/* Logits and labels of the micro-batch into the buffers. False when a label is no class: a damaged sender. */
static bool gather(cfi_machine *machine, const cfi_micro *micro, cfi_frame *const *logits, const cfi_frame *labels)
{
    loss_own *own = machine->own;
    for (int i = 0; i < own->last->unit_count; i++) {
        const cfi_unit *unit = &machine->cluster->units[logits[i]->header.source_unit];
        const int64_t first = unit->begin * own->last->outputs_per_neuron;
        memcpy(own->logits + first * micro->rows, cfi_frame_payload(logits[i]), logits[i]->payload_size);
    }
    memcpy(own->labels, cfi_frame_payload(labels), labels->payload_size);
    for (int64_t s = 0; s < micro->rows; s++) {
        if (own->labels[s] < 0 || own->labels[s] >= machine->options.graph->classes) {
            part_fail(machine, "label %d of step %lld is no class", (int)own->labels[s], (long long)machine->step);
            return false;
        }
    }
    return true;
}

static void send_gradients(cfi_machine *machine, const cfi_micro *micro)
{
    const loss_own *own = machine->own;
    for (int i = 0; i < own->last->unit_count; i++) {
        const uint32_t target = (uint32_t)(own->last->first_unit + i);
        const cfi_unit *unit = &machine->cluster->units[target];
        const int64_t cols = (unit->end - unit->begin) * own->last->outputs_per_neuron;
        cfi_frame_header header = part_header(machine, CFI_FRAME_BACKWARD, target);
        header.micro = (uint32_t)machine->next_micro;
        header.rows = (uint32_t)micro->rows;
        header.cols = (uint32_t)cols;
        const size_t size = (size_t)(cols * micro->rows) * sizeof(float);
        cfi_frame *frame = part_frame(machine, &header, size);
        if (frame != NULL) {
            memcpy(cfi_frame_payload(frame),
                   own->gradient + unit->begin * own->last->outputs_per_neuron * micro->rows, size);
            part_publish(machine, frame, target);
        }
    }
}

static void send_done(cfi_machine *machine, int64_t item, bool stops)
{
    cfi_frame_header header = part_header(machine, CFI_FRAME_DONE, CFI_UNIT_INDEX_SOURCE);
    header.micro = (uint32_t)item;
    header.flags = stops ? CFI_FRAME_STOP : 0;
    cfi_frame *frame = part_frame(machine, &header, 0);
    if (frame != NULL) {
        part_publish(machine, frame, CFI_UNIT_INDEX_SOURCE);
    }
}

/* ---- Evaluation ---- */

static double share(double sum, int64_t count)
{
    return count > 0 ? sum / (double)count : (double)NAN;
}

static void note_validation(cfi_machine *machine)
{
    loss_own *own = machine->own;
    loss_figures *figures = &own->figures;
    const cfi_training_settings *training = &machine->options.settings->training;
    const bool is_epoch_end = machine->step > 0 && machine->step % machine->work->steps_per_epoch == 0;
    if (machine->work->validation_count == 0 || !is_epoch_end) {
        return;
    }
    if (figures->validation_loss < figures->best_validation_loss - training->min_delta) {
        figures->best_validation_loss = figures->validation_loss;
        figures->epochs_without_gain = 0;
    } else {
        figures->epochs_without_gain++;
    }
    if (training->patience > 0 && figures->epochs_without_gain >= training->patience) {
        figures->stopped_step = machine->step;
    }
}

static void end_evaluation(cfi_machine *machine)
{
    loss_own *own = machine->own;
    loss_figures *figures = &own->figures;
    const cfi_work *work = machine->work;
    figures->validation_loss = share(own->set_loss_sum[0], work->validation_count);
    figures->validation_accuracy = share((double)own->set_correct[0], work->validation_count);
    figures->test_loss = share(own->set_loss_sum[1], work->test_count);
    figures->test_accuracy = share((double)own->set_correct[1], work->test_count);
    figures->evaluated_step = machine->step;
    note_validation(machine);
}

static void evaluate_micro(cfi_machine *machine, const cfi_micro *micro, int64_t correct)
{
    loss_own *own = machine->own;
    const int set = micro->is_validation ? 0 : 1;
    for (int64_t first = 0; first < micro->rows; first += machine->work->batch) { /* batch by batch, as `train` does */
        const int64_t left = micro->rows - first;
        own->set_loss_sum[set] +=
            (double)cfi_tree_sum(own->losses + first, left < machine->work->batch ? left : machine->work->batch);
    }
    own->set_correct[set] += correct;
    if (machine->next_micro == own->evaluations - 1) {
        end_evaluation(machine);
    }
    send_done(machine, machine->next_micro, own->figures.stopped_step == machine->step);
}

/* ---- Training ---- */

static void end_batch(cfi_machine *machine)
{
    loss_own *own = machine->own;
    loss_figures *figures = &own->figures;
    const int64_t rows = cfi_work_rows(machine->work, machine->step);
    const float loss = cfi_tree_sum(own->losses, rows) / (float)rows;
    if (machine->step % machine->work->steps_per_epoch == 0) {
        figures->epoch_loss_sum = 0;
        figures->epoch_correct = figures->epoch_samples = 0;
    }
    figures->samples += rows;
    figures->epoch_samples += rows;
    figures->epoch_correct += own->batch_correct;
    figures->epoch_loss_sum += (double)loss * (double)rows;
    send_done(machine, own->evaluations, false);
}

/* The stage whose values were not finite first, from the frames' flags; -1 when all were. */
static int64_t nonfinite_stage(const loss_own *own, cfi_frame *const *logits)
{
    int64_t first = -1;
    for (int i = 0; i < own->last->unit_count; i++) {
        const cfi_frame_header *header = &logits[i]->header;
        const bool is_bad = (header->flags & CFI_FRAME_NONFINITE) != 0;
        first = is_bad && (first < 0 || (int64_t)header->tag < first) ? (int64_t)header->tag : first;
    }
    return first;
}

static bool is_finite(cfi_machine *machine, const cfi_micro *micro, cfi_frame *const *logits)
{
    const loss_own *own = machine->own;
    if (!micro->is_training || isfinite(cfi_tree_sum(own->losses + micro->first, micro->rows))) {
        return true;
    }
    const cfi_cluster *cluster = machine->cluster;
    const int64_t found = nonfinite_stage(own, logits);
    const int64_t stage = found >= 0 && found < cluster->stage_count ? found : cluster->stage_count - 1;
    part_fail(machine, "step %lld: the loss is not finite; first in layer '%s'. A smaller learning rate or "
              "training.clip_norm helps", (long long)machine->step,
              machine->options.graph->layers[cluster->stages[stage].layer].name);
    return false;
}

static bool take_micro(cfi_machine *machine)
{
    loss_own *own = machine->own;
    const int64_t number = machine->next_micro;
    cfi_frame *const *logits = part_inbox_whole(&machine->inbox, EDGE_FORWARD, machine->step, number);
    cfi_frame *const *labels = part_inbox_whole(&machine->inbox, EDGE_LABELS, machine->step, number);
    if (number >= own->micros || logits == NULL || labels == NULL) {
        return false;
    }
    const cfi_micro micro = cfi_work_micro(machine->work, machine->step, number);
    const int64_t batch_rows = micro.is_training ? cfi_work_rows(machine->work, machine->step) : micro.rows;
    if (!gather(machine, &micro, logits, labels[0])) {
        return false;
    }
    machine->options.compute->loss(own->compute, micro.rows, batch_rows, own->logits, own->labels,
                                   micro.is_training ? own->gradient : NULL,
                                   own->losses + (micro.is_training ? micro.first : 0), own->predicted);
    if (!is_finite(machine, &micro, logits)) {
        return false;
    }
    int64_t correct = 0;
    for (int64_t s = 0; s < micro.rows; s++) {
        correct += own->predicted[s] == own->labels[s];
    }
    if (micro.is_training) {
        own->batch_correct += correct;
        send_gradients(machine, &micro);
    } else {
        evaluate_micro(machine, &micro, correct);
    }
    part_inbox_use(&machine->inbox, EDGE_FORWARD, machine->step, number);
    part_inbox_use(&machine->inbox, EDGE_LABELS, machine->step, number);
    machine->next_micro++;
    if (micro.is_training && machine->next_micro == own->micros) {
        end_batch(machine);
    }
    return true;
}

/* ---- Questions ---- */

static bool loss_fits_question(const cfi_machine *machine, const cfi_frame *frame)
{
    const loss_own *own = machine->own;
    const cfi_frame_header *header = &frame->header;
    const cfi_unit *unit = &machine->cluster->units[header->source_unit];
    const int64_t cols = (unit->end - unit->begin) * own->last->outputs_per_neuron;
    return header->rows >= 1 && header->rows <= machine->work->batch && header->cols == cols &&
           frame->payload_size == (uint64_t)(cols * header->rows) * sizeof(float);
}

/* Outputs, sample by sample, to the source. The logits' buffer is free: micro-batches are taken whole. */
static bool answer_question(cfi_machine *machine)
{
    loss_own *own = machine->own;
    part_question *question = part_whole_question(machine);
    if (question == NULL) {
        return false;
    }
    const int64_t rows = question->frames[0]->header.rows, outputs = own->last->outputs;
    cfi_frame_header header = part_header(machine, CFI_FRAME_OUTPUTS, CFI_UNIT_INDEX_SOURCE);
    header.micro = question->number;
    header.rows = (uint32_t)rows;
    header.cols = (uint32_t)outputs;
    for (int i = 0; i < own->last->unit_count; i++) {
        const cfi_frame *slice = question->frames[i];
        const int64_t first = machine->cluster->units[slice->header.source_unit].begin * own->last->outputs_per_neuron;
        memcpy(own->logits + first * rows, cfi_frame_payload(slice), slice->payload_size);
    }
    machine->options.compute->probabilities(own->compute, rows, own->logits);
    cfi_frame *frame = part_frame(machine, &header, (size_t)(rows * outputs) * sizeof(float));
    if (frame != NULL) {
        float *values = (float *)(void *)cfi_frame_payload(frame);
        for (int64_t i = 0; i < rows * outputs; i++) {
            values[i] = own->logits[i % outputs * rows + i / outputs];
        }
        cfi_frame_seal(frame);
        part_send_to(machine, frame, CFI_UNIT_INDEX_SOURCE);
        cfi_frame_unref(frame);
    }
    part_question_done(machine, question);
    return true;
}

/* ---- Clipping: the factor is PyTorch's, as in engine/native ---- */

static float clip_scale(const cfi_machine *machine, cfi_frame *const *norms)
{
    const cfi_cluster *cluster = machine->cluster;
    float squares = 0.0f;
    for (int s = 0; s < cluster->stage_count; s++) {
        const cfi_stage *stage = &cluster->stages[s];
        part_joiner joiner = {.depth = 0};
        for (int u = 0; u < stage->unit_count; u++) {
            const cfi_unit *unit = &cluster->units[stage->first_unit + u];
            const float *sums =
                (const float *)(const void *)cfi_frame_payload(norms[stage->first_unit + u - CFI_UNIT_INDEX_SHARDS]);
            cfi_tree_node nodes[CFI_TREE_NODES_MAX];
            const int count = cfi_tree_split(unit->begin, unit->end, stage->neurons, nodes);
            for (int n = 0; n < count; n++) {
                part_joiner_add_sum(&joiner, nodes[n], sums[n], stage->neurons);
            }
        }
        squares += joiner.sums[0];
    }
    const float norm = (float)machine->options.settings->training.clip_norm;
    const float scale = norm / (sqrtf(squares) + 1e-6f);
    return scale < 1.0f ? scale : 1.0f;
}

/* True when the step needs no factor, or it has been sent. */
static bool publish_scale(cfi_machine *machine)
{
    loss_own *own = machine->own;
    if (machine->options.settings->training.clip_norm <= 0 || own->is_published) {
        return true;
    }
    cfi_frame *const *norms = part_inbox_whole(&machine->inbox, EDGE_NORM, machine->step, 0);
    if (norms == NULL) {
        return false;
    }
    const float scale = clip_scale(machine, norms);
    const cfi_frame_header header = part_header(machine, CFI_FRAME_SCALE, CFI_UNIT_ALL);
    cfi_frame *frame = part_frame(machine, &header, sizeof scale);
    if (frame == NULL) {
        return false;
    }
    memcpy(cfi_frame_payload(frame), &scale, sizeof scale);
    part_publish(machine, frame, CFI_UNIT_ALL);
    part_inbox_use(&machine->inbox, EDGE_NORM, machine->step, 0);
    own->is_published = true;
    return true;
}

static bool loss_advance(cfi_machine *machine)
{
    loss_own *own = machine->own;
    const bool is_over = machine->step >= part_end(machine) || own->figures.stopped_step == machine->step;
    machine->phase = is_over && machine->next_micro >= own->evaluations ? PART_FINISHED : PART_RUN;
    if (answer_question(machine)) {
        return true;
    }
    if (take_micro(machine)) {
        if (part_loss_is_evaluated(machine) && machine->next_micro == own->evaluations) {
            part_report(machine);
        }
        return true;
    }
    const bool trains = cfi_work_rows(machine->work, machine->step) > 0;
    if (machine->phase == PART_FAILED || !trains || part_is_ahead(machine) ||
        machine->next_micro < own->micros || !publish_scale(machine)) {
        return false;
    }
    machine->step++;
    machine->counted.steps_done++;
    loss_restart(machine);
    part_reached(machine);
    return true;
}

static void loss_missing(cfi_machine *machine)
{
    const loss_own *own = machine->own;
    const bool is_over = machine->step >= part_end(machine) || own->figures.stopped_step == machine->step;
    if (machine->next_micro < (is_over ? own->evaluations : own->micros)) {
        part_ask_missing(machine, EDGE_FORWARD, machine->next_micro);
        part_ask_missing(machine, EDGE_LABELS, machine->next_micro);
    } else if (!is_over && machine->inbox.edge_count > EDGE_NORM) {
        part_ask_missing(machine, EDGE_NORM, 0);
    }
}

/* ---- What others want to know ---- */

int64_t part_loss_end(const cfi_machine *machine)
{
    const loss_own *own = machine->own;
    return own->figures.stopped_step;
}

bool part_loss_is_evaluated(const cfi_machine *machine)
{
    const loss_own *own = machine->own;
    const bool is_over = machine->step >= part_end(machine) || own->figures.stopped_step == machine->step;
    return is_over && (own->evaluations == 0 || own->figures.evaluated_step == machine->step);
}

void part_loss_status(const cfi_machine *machine, cfi_machine_status *status)
{
    const loss_own *own = machine->own;
    const loss_figures *figures = &own->figures;
    status->loss = share(figures->epoch_loss_sum, figures->epoch_samples);
    status->accuracy = share((double)figures->epoch_correct, figures->epoch_samples);
    status->validation_loss = figures->validation_loss;
    status->validation_accuracy = figures->validation_accuracy;
    status->test_loss = figures->test_loss;
    status->test_accuracy = figures->test_accuracy;
    status->samples = figures->samples;
    status->stopped_early = figures->stopped_step <= machine->step;
    status->is_finished = status->is_finished && part_loss_is_evaluated(machine); /* a late start has that before it */
}

const part_role part_loss = {
    .create = loss_create, .destroy = loss_destroy, .begin = loss_begin, .load = loss_load, .save = loss_save,
    .restart = loss_restart, .advance = loss_advance, .fits = loss_fits, .fits_question = loss_fits_question,
    .missing = loss_missing,
};
