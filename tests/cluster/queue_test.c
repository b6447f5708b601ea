/* A cluster of machines in one queue: no faults, no node, no clock. Whatever the cut, chain and figures are those of
 * `train`. The simulator (src/sim) is for everything that goes wrong. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/handles.h"
#include "base/alloc.h"
#include "engine/compute.h"
#include "engine/engine.h"
#include "learn/schedule.h"
#include "plan/place.h"
#include "shard/machine.h"
#include "store/request.h"

enum { UNITS_MAX = 300, QUEUE_MAX = 1 << 16, BATCH = 32 };

typedef struct letter {
    cfi_frame *frame;
    uint32_t unit;
} letter;

typedef struct queue_cluster {
    cf_network *network;
    cfi_dataset dataset;
    cfi_cluster cluster;
    cfi_compute_ops compute;
    cfi_machine *machines[UNITS_MAX];
    cfi_store store;
    cfi_store_server server;
    letter *letters;
    int first, last;
    int64_t frames;
    cfi_actions actions;
    bool has_failed;
    float *answer;      /* to the last question; NULL: none, or that there is none now */
    size_t answer_size;
    uint64_t answer_tag;
    int answers;
} queue_cluster;

static void post(queue_cluster *q, cfi_frame *frame, uint32_t unit)
{
    q->letters[q->last] = (letter){cfi_frame_ref(frame), unit};
    q->last = (q->last + 1) % QUEUE_MAX;
    assert_int_not_equal(q->first, q->last);
}

static void step(queue_cluster *q, int unit, const cfi_machine_event *event);

static void take_answer(queue_cluster *q, cfi_action *action)
{
    cfi_free(q->answer);
    q->answer = (float *)(void *)action->bytes;
    q->answer_size = action->size;
    q->answer_tag = action->tag;
    q->answers++;
    action->bytes = NULL;
}

static void perform(queue_cluster *q, int unit)
{
    cfi_actions actions = q->actions;
    memset(&q->actions, 0, sizeof q->actions);
    assert_false(actions.is_short);
    for (int i = 0; i < actions.count; i++) {
        const cfi_action *action = &actions.items[i];
        if (action->kind == CFI_ACTION_SEND) {
            for (int t = 0; t < action->target_count; t++) {
                post(q, action->frame, action->targets[t]);
            }
        } else if (action->kind == CFI_ACTION_PERSIST) {
            step(q, unit, &(cfi_machine_event){.kind = CFI_MACHINE_PERSISTED, .step = action->step});
        } else if (action->kind == CFI_ACTION_FAIL) {
            print_message("%s failed: %s\n", q->cluster.units[unit].name, action->text);
            q->has_failed = true;
        } else if (action->kind == CFI_ACTION_ANSWER) {
            take_answer(q, &actions.items[i]);
        }
    }
    cfi_actions_fini(&actions);
}

static void step(queue_cluster *q, int unit, const cfi_machine_event *event)
{
    cfi_machine_step(q->machines[unit], event, &q->actions);
    perform(q, unit);
}

static void deliver(queue_cluster *q)
{
    const letter next = q->letters[q->first];
    q->first = (q->first + 1) % QUEUE_MAX;
    q->frames++;
    if (next.unit == CFI_UNIT_INDEX_STORE) {
        cfi_frame *reply = NULL;
        assert_int_equal(cfi_store_server_answer(&q->server, next.frame, &reply, NULL), CF_OK);
        post(q, reply, reply->header.target_unit);
        cfi_frame_unref(reply);
    } else {
        step(q, (int)next.unit, &(cfi_machine_event){.kind = CFI_MACHINE_FRAME, .frame = next.frame});
    }
    cfi_frame_unref(next.frame);
}

static void queue_init(queue_cluster *q, const char *yaml, int64_t steps)
{
    cf_error error = {0};
    memset(q, 0, sizeof *q);
    q->letters = cfi_calloc(QUEUE_MAX, sizeof *q->letters);
    if (cf_network_parse(yaml, "test.yaml", &q->network, NULL, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(cfi_dataset_load(&q->network->settings.data, &q->dataset, &error), CF_OK);
    const cfi_cluster_options options = {
        .settings = &q->network->settings, .graph = &q->network->graph, .train_count = q->dataset.train.count,
        .test_count = q->dataset.test.count, .steps = steps};
    if (cfi_cluster_plan(&options, &q->cluster, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    q->cluster.run[0] = 11;
    q->cluster.digest = 12;
    assert_int_equal(cfi_native_compute(&q->compute, &error), CF_OK);
    assert_int_equal(cfi_store_open("memory", &(cfi_store_options){0}, &q->store, &error), CF_OK);
    q->server = (cfi_store_server){.store = q->store, .generation = 5, .unit = CFI_UNIT_INDEX_STORE};
    for (int u = 0; u < q->cluster.unit_count; u++) {
        const cfi_machine_options machine = {
            .settings = &q->network->settings, .graph = &q->network->graph, .cluster = &q->cluster, .unit = u,
            .compute = &q->compute, .dataset = u == CFI_UNIT_INDEX_SOURCE ? &q->dataset : NULL};
        if (u != CFI_UNIT_INDEX_STORE && cfi_machine_new(&machine, &q->machines[u], &error) != CF_OK) {
            fail_msg("%s", error.text);
        }
    }
}

static void queue_fini(queue_cluster *q)
{
    while (q->first != q->last) {
        cfi_frame_unref(q->letters[q->first].frame);
        q->first = (q->first + 1) % QUEUE_MAX;
    }
    for (int u = 0; u < q->cluster.unit_count; u++) {
        cfi_machine_free(q->machines[u]);
    }
    cfi_store_close(&q->store);
    cfi_free(q->answer);
    cfi_cluster_fini(&q->cluster);
    cfi_dataset_fini(&q->dataset);
    cf_network_free(q->network);
    cfi_free(q->letters);
}

static void tick(queue_cluster *q)
{
    for (int u = 0; u < q->cluster.unit_count; u++) {
        if (q->machines[u] != NULL) {
            step(q, u, &(cfi_machine_event){.kind = CFI_MACHINE_TICK});
        }
    }
}

static void start_all(queue_cluster *q)
{
    for (int u = 0; u < q->cluster.unit_count; u++) {
        if (q->machines[u] != NULL) {
            step(q, u, &(cfi_machine_event){.kind = CFI_MACHINE_START, .boot = 1});
        }
    }
}

/* Runs to the end; returns the number of ticks it took (a healthy cluster needs hardly any). */
static int run(queue_cluster *q)
{
    int ticks = 0;
    for (;;) {
        cfi_machine_status status;
        while (q->first != q->last) {
            deliver(q);
            assert_false(q->has_failed);
        }
        cfi_machine_status_get(q->machines[CFI_UNIT_INDEX_CONTROLLER], &status);
        if (status.is_finished || ++ticks > 1000) {
            return ticks;
        }
        tick(q);
    }
}

static void expect_same_as_train(const char *yaml, int64_t steps)
{
    queue_cluster q;
    cf_train_result result;
    cf_error error = {0};
    queue_init(&q, yaml, steps);
    cf_train_options options = CF_TRAIN_OPTIONS_DEFAULT;
    options.steps = steps;
    options.threads = 1;
    options.no_run_folder = 1;
    if (cf_train(q.network, &options, &result, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    start_all(&q);
    const int ticks = run(&q);
    cfi_machine_status controller, loss;
    cfi_machine_status_get(q.machines[CFI_UNIT_INDEX_CONTROLLER], &controller);
    cfi_machine_status_get(q.machines[CFI_UNIT_INDEX_LOSS], &loss);
    print_message("%d units, %lld steps, %lld frames, %d ticks, chain %s\n", q.cluster.unit_count,
                  (long long)controller.head, (long long)q.frames, ticks, controller.chain);
    assert_true(controller.is_finished);
    assert_int_equal(controller.head, result.steps);
    assert_string_equal(controller.chain, result.chain);
    assert_int_equal(loss.samples, result.samples);
    const bool has_test = q.dataset.test.count > 0;
    const double accuracy = has_test ? loss.test_accuracy
                                     : q.cluster.work.validation_count > 0 ? loss.validation_accuracy : loss.accuracy;
    assert_true(accuracy == result.accuracy || (isnan(accuracy) && isnan(result.accuracy)));
    queue_fini(&q);
}

#define SPIRALS "data: {csv: {train: " CF_SOURCE_DIR "/examples/csv/spirals_train.csv, test: " CF_SOURCE_DIR \
                "/examples/csv/spirals_test.csv}, validation: 40}\n"
#define DENSE_NET "network: {layers: [{dense: {name: a, units: 10, activation: tanh}}, " \
                  "{dense: {name: b, units: 7, activation: relu}}, {dense: {name: c, units: 3}}]}\n"

static void one_container_for_each_layer(void **state)
{
    (void)state;
    expect_same_as_train("name: t\nseed: 3\n" SPIRALS DENSE_NET "training: {batch: 32, epochs: 3}\n", -1);
}

static void one_container_for_each_neuron(void **state)
{
    (void)state;
    expect_same_as_train("name: t\nseed: 3\n" SPIRALS DENSE_NET
                         "training: {batch: 32, epochs: 3}\nplacement: {neurons_per_container: 1}\n", -1);
}

static void groups_of_neurons_and_micro_batches(void **state)
{
    (void)state;
    for (int micro = 1; micro <= 4; micro *= 2) {
        char yaml[1024];
        snprintf(yaml, sizeof yaml, "name: t\nseed: 3\n" SPIRALS DENSE_NET
                 "training: {batch: 32, sample_grain: 8, micro_batches: %d, epochs: 2, optimizer: {adam: {}}}\n"
                 "placement: {neurons_per_container: {a: 3, b: 5, c: 2}}\n", micro);
        expect_same_as_train(yaml, -1);
    }
}

static void clipping_needs_the_norm_of_all(void **state)
{
    (void)state;
    expect_same_as_train("name: t\nseed: 4\n" SPIRALS DENSE_NET
                         "training: {batch: 32, clip_norm: 0.05, epochs: 2}\n"
                         "placement: {neurons_per_container: 2}\n", -1);
}

static void dropout_masks_are_those_of_the_whole(void **state)
{
    (void)state;
    expect_same_as_train("name: t\nseed: 4\n" SPIRALS
                         "network: {layers: [{dense: {name: a, units: 12, activation: relu}}, {dropout: {rate: 0.3}}, "
                         "{dense: {name: b, units: 3}}]}\n"
                         "training: {batch: 32, epochs: 2}\nplacement: {neurons_per_container: 1}\n", -1);
}

static void early_stopping_ends_at_the_same_step(void **state)
{
    (void)state;
    expect_same_as_train("name: t\nseed: 5\n" SPIRALS DENSE_NET
                         "training: {batch: 32, epochs: 60, early_stopping: {patience: 2, min_delta: 0.02}}\n"
                         "placement: {neurons_per_container: 4}\n", -1);
}

static void the_end_may_be_anywhere(void **state)
{
    (void)state;
    for (int64_t steps = 0; steps < 26; steps += 5) {
        expect_same_as_train("name: t\nseed: 6\n" SPIRALS DENSE_NET
                             "training: {batch: 32, epochs: 3}\nplacement: {neurons_per_container: 5}\n", steps);
    }
}

/* ---- Questions ---- */

/* Puts a question and lets the cluster go on until it is answered. */
static void ask(queue_cluster *q, const float *samples, int64_t rows, uint64_t tag)
{
    const int before = q->answers;
    step(q, CFI_UNIT_INDEX_SOURCE, &(cfi_machine_event){.kind = CFI_MACHINE_INFER, .samples = samples, .rows = rows,
                                                        .tag = tag});
    for (int ticks = 0; q->answers == before && ticks < 1000; ticks++) {
        while (q->first != q->last && q->answers == before) {
            deliver(q);
        }
        if (q->answers == before) {
            tick(q);
        }
    }
    assert_int_equal(q->answers, before + 1);
    assert_true(q->answer_tag == tag);
}

/* The engine after `steps` steps at a constant rate, as train makes them; its network has nothing that another thing
 * than the step decides. */
static cfi_engine *train_engine(const queue_cluster *q, int64_t steps)
{
    const cfi_training_settings *training = &q->network->settings.training;
    const cfi_engine_options options = {.graph = &q->network->graph, .training = training, .dataset = &q->dataset,
                                        .seed = q->network->settings.seed, .batch_max = training->batch, .threads = 1};
    int64_t indices[BATCH];
    cfi_batches batches;
    cfi_engine *engine = NULL;
    cfi_step_result result;
    assert_int_equal(training->batch, BATCH);
    assert_int_equal(cfi_engine_new(&options, &engine, NULL), CF_OK);
    assert_int_equal(cfi_batches_init(&batches, q->network->settings.seed, q->dataset.train.count,
                                      q->cluster.work.validation_count, BATCH, false, NULL), CF_OK);
    for (int64_t s = 0; s < steps; s++) {
        const int64_t rows = cfi_batches_step(&batches, s, indices);
        const float rate = cfi_schedule_rate(training, batches.steps_per_epoch, s);
        assert_int_equal(cfi_engine_step(engine, s, indices, rows, rate, &result, NULL), CF_OK);
    }
    return engine;
}

/* Which step's weights gave the answer; -1: none up to `end`. */
static int64_t find_step(const queue_cluster *q, const float *samples, int64_t rows, int64_t end)
{
    float expected[BATCH * 3];
    int64_t found = -1;
    for (int64_t step_number = 0; found < 0 && step_number <= end; step_number++) {
        cfi_engine *engine = train_engine(q, step_number);
        assert_int_equal(cfi_engine_predict(engine, samples, rows, expected, NULL), CF_OK);
        found = memcmp(expected, q->answer, (size_t)rows * 3 * sizeof(float)) == 0 ? step_number : -1;
        cfi_engine_free(engine);
    }
    return found;
}

static void questions_get_the_bits_of_the_engine(void **state)
{
    (void)state;
    enum { STEPS = 48 };
    queue_cluster q;
    queue_init(&q, "name: t\nseed: 3\n" SPIRALS DENSE_NET
                   "training: {batch: 32, epochs: 9}\nplacement: {neurons_per_container: 2}\n", STEPS);
    const float *samples = q.dataset.train.floats;
    ask(&q, samples, 4, 1);
    assert_null(q.answer); /* it has not started: no answer now */
    start_all(&q);
    int64_t before = 0;
    for (uint64_t tag = 2; tag < 12; tag++) {
        cfi_machine_status status;
        for (int i = 0; i < 100 && q.first != q.last; i++) {
            deliver(&q);
        }
        cfi_machine_status_get(q.machines[CFI_UNIT_INDEX_SOURCE], &status);
        const int64_t rows = (int64_t)tag % 3 == 0 ? BATCH : (int64_t)tag % 5 + 1;
        ask(&q, samples, rows, tag);
        if (q.answer == NULL) {
            assert_string_not_equal(status.phase, "run");
            continue;
        }
        assert_int_equal(q.answer_size, (size_t)rows * 3 * sizeof(float));
        const int64_t at = find_step(&q, samples, rows, STEPS);
        print_message("%lld rows: W[%lld], source at %lld\n", (long long)rows, (long long)at, (long long)status.step);
        assert_in_range(at, before, STEPS);
        before = at;
    }
    assert_true(before > 0);
    (void)run(&q);
    ask(&q, samples, BATCH, 99);
    assert_int_equal(find_step(&q, samples, BATCH, STEPS), STEPS);
    ask(&q, samples, 0, 100);
    assert_null(q.answer);
    ask(&q, samples, BATCH + 1, 101);
    assert_null(q.answer);
    queue_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_container_for_each_layer),
        cmocka_unit_test(one_container_for_each_neuron),
        cmocka_unit_test(groups_of_neurons_and_micro_batches),
        cmocka_unit_test(clipping_needs_the_norm_of_all),
        cmocka_unit_test(dropout_masks_are_those_of_the_whole),
        cmocka_unit_test(early_stopping_ends_at_the_same_step),
        cmocka_unit_test(the_end_may_be_anywhere),
        cmocka_unit_test(questions_get_the_bits_of_the_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
