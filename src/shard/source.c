/* The source: turns (seed, step) into the step's samples. It keeps nothing: what somebody needs again is made again.
 *
 * It works item by item: an item is one evaluation's micro-batch, or all micro-batches that train one step. The loss
 * acknowledges each (DONE), and the source is at most SOURCE_AHEAD items ahead of it, so that inboxes stay short. */
#include <string.h>

#include "base/alloc.h"
#include "shard/parts.h"

enum { SOURCE_AHEAD = 2, ANSWER_ITEMS_MAX = 16 };

/* Evaluation `index` of a step, or, with index == evaluations, its training. */
typedef struct source_item {
    int64_t step, index;
} source_item;

/* A question that waits for its answer. It is about the weights of one step: the first whose samples are not sent yet,
 * so that nobody can have gone on before the question reaches it. What is lost is put again, each time after twice as
 * long. */
typedef struct source_question {
    uint64_t tag;
    uint32_t number;        /* 0: the place is free */
    int64_t rows, ticks;
    int tries;
    float *samples;
} source_question;

enum { QUESTION_TICKS = 25, QUESTION_TRIES = 4 }; /* 7.5 s in all */

typedef struct source_own {
    source_question questions[PART_QUESTIONS_MAX];
    uint32_t last_number;
    cfi_batches batches;
    int64_t *indices;
    source_item next, done; /* the next to send; the first that the loss has not acknowledged */
    int64_t ahead;          /* items from done to next */
    int64_t stop;           /* the loss has said that training ends here */
    bool is_holding;        /* just started: wait for the loss to say how far all have come */
} source_own;

static cf_status source_create(cfi_machine *machine, cf_error *error)
{
    const cfi_settings *settings = machine->options.settings;
    const cfi_dataset *dataset = machine->options.dataset;
    source_own *own = cfi_calloc(1, sizeof *own);
    if (own == NULL) {
        return cfi_fail_memory(error, "the source");
    }
    machine->own = own;
    if (dataset == NULL) {
        return cfi_fail(error, CF_E_INTERNAL, "no data set was given");
    }
    CFI_TRY(cfi_batches_init(&own->batches, settings->seed, dataset->train.count, settings->data.validation,
                             settings->training.batch, settings->training.drop_last, error));
    if (own->batches.train_count != machine->work->train_count || dataset->test.count != machine->work->test_count ||
        own->batches.validation_count != machine->work->validation_count) {
        return cfi_fail(error, CF_E_DATA, "the data set has other samples than when the plan was made");
    }
    part_inbox_add_edge(&machine->inbox, CFI_FRAME_DONE, CFI_UNIT_INDEX_LOSS, 1); /* so that it is asked at the start */
    const cfi_stage *first = &machine->cluster->stages[0];
    machine->reader_count = first->unit_count;
    machine->readers = cfi_calloc((size_t)first->unit_count, sizeof *machine->readers);
    own->indices = cfi_calloc((size_t)cfi_work_rows_max(machine->work), sizeof *own->indices);
    if (machine->readers == NULL || own->indices == NULL) {
        return cfi_fail_memory(error, "the source");
    }
    for (int i = 0; i < first->unit_count; i++) {
        machine->readers[i] = (uint32_t)(first->first_unit + i);
    }
    return CF_OK;
}

static void source_destroy(cfi_machine *machine)
{
    source_own *own = machine->own;
    if (own != NULL) {
        for (int i = 0; i < PART_QUESTIONS_MAX; i++) {
            cfi_free(own->questions[i].samples);
        }
        cfi_free(own->indices);
        cfi_free(own);
    }
}

/* ---- Items ---- */

static bool is_before(source_item left, source_item right)
{
    return left.step < right.step || (left.step == right.step && left.index < right.index);
}

static source_item after(const cfi_machine *machine, source_item item)
{
    const bool has_training = cfi_work_rows(machine->work, item.step) > 0;
    const int64_t count = cfi_work_evaluations(machine->work, item.step) + (has_training ? 1 : 0);
    return item.index + 1 < count ? (source_item){item.step, item.index + 1} : (source_item){item.step + 1, 0};
}

static bool is_training(const cfi_machine *machine, source_item item)
{
    return item.index == cfi_work_evaluations(machine->work, item.step);
}

static void source_restart(cfi_machine *machine)
{
    source_own *own = machine->own;
    own->next = own->done = (source_item){machine->step + (CFI_PLANTED(12) ? 1 : 0), 0};
    own->ahead = 0;
    own->stop = INT64_MAX;
    own->is_holding = machine->step > 0;
}

/* ---- Samples ---- */

static const cfi_samples *find_samples(const cfi_machine *machine, int64_t step, const cfi_micro *micro)
{
    const source_own *own = machine->own;
    const cfi_dataset *dataset = machine->options.dataset;
    if (micro->is_training) {
        (void)cfi_batches_step(&own->batches, step, own->indices);
        return &dataset->train;
    }
    for (int64_t i = 0; i < micro->rows; i++) {
        const int64_t place = micro->first + i;
        own->indices[i] = micro->is_validation ? cfi_batches_validation(&own->batches, place) : place;
    }
    return micro->is_validation ? &dataset->train : &dataset->test;
}

static cfi_frame *make_samples(cfi_machine *machine, int64_t step, int64_t number)
{
    const source_own *own = machine->own;
    const cfi_micro micro = cfi_work_micro(machine->work, step, number);
    const cfi_samples *samples = find_samples(machine, step, &micro);
    const int64_t *indices = own->indices + (micro.is_training ? micro.first : 0);
    const bool is_bytes = samples->bytes != NULL;
    const size_t features = (size_t)machine->options.dataset->features;
    const size_t width = features * (is_bytes ? 1 : sizeof(float));
    cfi_frame_header header = part_header(machine, CFI_FRAME_FORWARD, CFI_UNIT_ALL);
    header.flags = is_bytes ? CFI_FRAME_BYTES : CFI_FRAME_SAMPLES;
    header.step = (uint64_t)step;
    header.micro = (uint32_t)number;
    header.rows = (uint32_t)micro.rows;
    header.cols = (uint32_t)features;
    cfi_frame *frame = part_frame(machine, &header, (size_t)micro.rows * width);
    for (int64_t i = 0; frame != NULL && i < micro.rows; i++) {
        const void *sample = is_bytes ? (const void *)(samples->bytes + (size_t)indices[i] * features)
                                      : (const void *)(samples->floats + (size_t)indices[i] * features);
        memcpy(cfi_frame_payload(frame) + (size_t)i * width, sample, width);
    }
    return frame;
}

static cfi_frame *make_labels(cfi_machine *machine, int64_t step, int64_t number)
{
    const source_own *own = machine->own;
    const cfi_micro micro = cfi_work_micro(machine->work, step, number);
    const cfi_samples *samples = find_samples(machine, step, &micro);
    const int64_t *indices = own->indices + (micro.is_training ? micro.first : 0);
    cfi_frame_header header = part_header(machine, CFI_FRAME_LABELS, CFI_UNIT_INDEX_LOSS);
    header.step = (uint64_t)step;
    header.micro = (uint32_t)number;
    header.rows = (uint32_t)micro.rows;
    header.cols = 1;
    cfi_frame *frame = part_frame(machine, &header, (size_t)micro.rows * sizeof(int32_t));
    for (int64_t i = 0; frame != NULL && i < micro.rows; i++) {
        memcpy(cfi_frame_payload(frame) + (size_t)i * sizeof(int32_t), &samples->labels[indices[i]], sizeof(int32_t));
    }
    return frame;
}

/* Micro-batch `number` to one unit, or to all that read it. Nothing is kept. */
static void send_micro(cfi_machine *machine, int64_t step, int64_t number, uint32_t target)
{
    if (target == CFI_UNIT_ALL || target != CFI_UNIT_INDEX_LOSS) {
        cfi_frame *samples = make_samples(machine, step, number);
        if (samples != NULL) {
            cfi_frame_seal(samples);
            if (target == CFI_UNIT_ALL) {
                part_send(machine, samples, machine->readers, machine->reader_count);
            } else {
                part_send_to(machine, samples, target);
            }
            cfi_frame_unref(samples);
        }
    }
    if (target == CFI_UNIT_ALL || target == CFI_UNIT_INDEX_LOSS) {
        cfi_frame *labels = make_labels(machine, step, number);
        if (labels != NULL) {
            cfi_frame_seal(labels);
            part_send_to(machine, labels, CFI_UNIT_INDEX_LOSS);
            cfi_frame_unref(labels);
        }
    }
}

static void send_item(cfi_machine *machine, source_item item, int64_t from, uint32_t target)
{
    const int64_t first = item.index;
    const int64_t end = is_training(machine, item) ? cfi_work_micros(machine->work, item.step) : first + 1;
    for (int64_t number = from > first ? from : first; number < end; number++) {
        send_micro(machine, item.step, number, target);
    }
}

/* ---- Work ---- */

/* Whether an item may be sent now: HEAD's window, a coming change of plan, the end, and early stopping, which is
 * decided by the evaluations before the step. */
static bool may_send(const cfi_machine *machine, source_item item)
{
    const source_own *own = machine->own;
    const int64_t end = part_end(machine) < own->stop ? part_end(machine) : own->stop;
    const bool trains = is_training(machine, item);
    if (own->is_holding || own->ahead >= SOURCE_AHEAD) {
        return false;
    }
    if (item.step >= machine->head + machine->work->window && !CFI_PLANTED(13)) {
        return false;
    }
    if (item.step >= machine->record.limit && !CFI_PLANTED(14)) {
        return false;
    }
    if (item.step > end || (item.step == end && trains)) {
        return false;
    }
    return !(trains && item.index > 0 && machine->options.settings->training.patience > 0 &&
             is_before(own->done, item));
}

static bool source_advance(cfi_machine *machine)
{
    source_own *own = machine->own;
    machine->phase = own->done.step > part_end(machine) ||
                             (own->done.step == part_end(machine) && is_training(machine, own->done))
                         ? PART_FINISHED : PART_RUN;
    if (!may_send(machine, own->next)) {
        return false;
    }
    send_item(machine, own->next, 0, CFI_UNIT_ALL);
    own->next = after(machine, own->next);
    own->ahead++;
    return true;
}

static void take_done(cfi_machine *machine, const cfi_frame *frame)
{
    source_own *own = machine->own;
    const source_item item = {(int64_t)frame->header.step, frame->header.micro};
    if (item.step < own->done.step || item.step > machine->head + machine->work->window) {
        return;
    }
    own->is_holding = false;
    if ((frame->header.flags & CFI_FRAME_STOP) != 0) {
        own->stop = item.step;
    }
    while (!is_before(item, own->done)) {
        own->done = after(machine, own->done);
        own->ahead--;
    }
    if (is_before(own->next, own->done)) {
        own->next = own->done;
        own->ahead = 0;
    }
    machine->step = own->done.step < part_end(machine) ? own->done.step : part_end(machine);
    machine->idle_ticks = 0;
    machine->ask_after = PART_ASK_TICKS;
}

/* ---- Questions ---- */

static int64_t question_step(const cfi_machine *machine)
{
    const source_own *own = machine->own;
    int64_t step = own->next.step < part_end(machine) ? own->next.step : part_end(machine);
    step = step < own->stop ? step : own->stop;
    return step < machine->record.limit ? step : machine->record.limit;
}

static void put_question(cfi_machine *machine, source_question *question)
{
    source_own *own = machine->own;
    const size_t features = (size_t)machine->options.dataset->features;
    cfi_frame_header header = part_header(machine, CFI_FRAME_FORWARD, CFI_UNIT_ALL);
    question->number = ++own->last_number == 0 ? ++own->last_number : own->last_number;
    question->ticks = 0;
    header.flags = CFI_FRAME_INFER | CFI_FRAME_SAMPLES;
    header.step = (uint64_t)question_step(machine);
    header.micro = question->number;
    header.rows = (uint32_t)question->rows;
    header.cols = (uint32_t)features;
    const size_t size = (size_t)question->rows * features * sizeof(float);
    cfi_frame *frame = part_frame(machine, &header, size);
    if (frame != NULL) {
        memcpy(cfi_frame_payload(frame), question->samples, size);
        cfi_frame_seal(frame);
        part_send(machine, frame, machine->readers, machine->reader_count);
        cfi_frame_unref(frame);
    }
}

static void answer(cfi_machine *machine, source_question *question, const void *bytes, size_t size)
{
    cfi_action *action = part_add_action(machine, CFI_ACTION_ANSWER);
    if (action != NULL) {
        action->tag = question->tag;
        action->bytes = size > 0 ? cfi_calloc(1, size) : NULL;
        if (action->bytes != NULL) {
            memcpy(action->bytes, bytes, size);
            action->size = size;
        }
    }
    cfi_free(question->samples);
    *question = (source_question){.number = 0};
}

static void source_infer(cfi_machine *machine, const cfi_machine_event *event)
{
    source_own *own = machine->own;
    const size_t values = (size_t)event->rows * (size_t)machine->options.dataset->features;
    source_question refused = {.tag = event->tag};
    for (int i = 0; i < PART_QUESTIONS_MAX && event->rows >= 1 && event->rows <= machine->work->batch; i++) {
        source_question *question = &own->questions[i];
        if (question->number == 0 && part_is_working(machine)) {
            *question = (source_question){.tag = event->tag, .rows = event->rows,
                                          .samples = cfi_calloc(values, sizeof(float))};
            if (question->samples == NULL) {
                part_out_of_memory(machine);
                return;
            }
            memcpy(question->samples, event->samples, values * sizeof(float));
            put_question(machine, question);
            return;
        }
    }
    answer(machine, &refused, NULL, 0);
}

static void take_outputs(cfi_machine *machine, const cfi_frame *frame)
{
    source_own *own = machine->own;
    const cfi_stage *last = &machine->cluster->stages[machine->cluster->stage_count - 1];
    for (int i = 0; i < PART_QUESTIONS_MAX; i++) {
        source_question *question = &own->questions[i];
        if (question->number != 0 && question->number == frame->header.micro &&
            frame->payload_size == (size_t)(question->rows * last->outputs) * sizeof(float)) {
            answer(machine, question, cfi_frame_payload(frame), frame->payload_size);
        }
    }
}

static void questions_tick(cfi_machine *machine)
{
    source_own *own = machine->own;
    for (int i = 0; i < PART_QUESTIONS_MAX; i++) {
        source_question *question = &own->questions[i];
        if (question->number != 0 && ++question->ticks >= (QUESTION_TICKS << question->tries)) {
            if (++question->tries == QUESTION_TRIES) {
                answer(machine, question, NULL, 0);
            } else {
                put_question(machine, question);
            }
        }
    }
}

static void source_frame(cfi_machine *machine, cfi_frame *frame)
{
    if (frame->header.kind == CFI_FRAME_DONE && frame->header.source_unit == CFI_UNIT_INDEX_LOSS &&
        part_is_working(machine)) {
        take_done(machine, frame);
    } else if (frame->header.kind == CFI_FRAME_OUTPUTS && frame->header.source_unit == CFI_UNIT_INDEX_LOSS) {
        take_outputs(machine, frame);
    }
}

static void source_answer(cfi_machine *machine, uint32_t unit, int64_t step, int64_t micro)
{
    const source_own *own = machine->own;
    const int64_t evaluations = cfi_work_evaluations(machine->work, step);
    source_item item = {step, micro < evaluations ? micro : evaluations};
    if (step < machine->head || CFI_PLANTED(23)) {
        return;
    }
    if (item.index == evaluations && cfi_work_rows(machine->work, step) == 0) {
        return;
    }
    for (int i = 0; i < ANSWER_ITEMS_MAX && is_before(item, own->next); i++, item = after(machine, item)) {
        send_item(machine, item, item.step == step ? micro : 0, unit);
        machine->counted.replayed++;
    }
}

static void source_missing(cfi_machine *machine)
{
    const source_own *own = machine->own;
    if (own->ahead > 0 || own->is_holding) {
        part_ask(machine, CFI_UNIT_INDEX_LOSS, CFI_FRAME_DONE);
    }
}

static void source_tick(cfi_machine *machine)
{
    source_own *own = machine->own;
    if (own->is_holding && part_is_working(machine) && machine->idle_ticks >= PART_ASK_TICKS) {
        own->is_holding = false;
    }
    questions_tick(machine);
}

static bool source_fits(const cfi_machine *machine, const cfi_frame *frame)
{
    (void)machine;
    (void)frame;
    return false; /* it takes no values into its inbox */
}

const part_role part_source = {
    .create = source_create, .destroy = source_destroy, .restart = source_restart, .advance = source_advance,
    .fits = source_fits, .missing = source_missing, .answer = source_answer, .frame = source_frame, .tick = source_tick,
    .infer = source_infer,
};
