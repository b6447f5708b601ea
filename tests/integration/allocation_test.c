/* The training step allocates nothing after the first: proven by the allocator's own count, for a dense and for a
 * convolutional network, with every optimizer state and with dropout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "config/config.h"
#include "engine/engine.h"
#include "graph/graph.h"

#define SAMPLES 64
#define SIDE 12
#define CLASSES 4
#define STEPS 200

typedef struct training_fixture {
    cfi_settings settings;
    cfi_graph graph;
    cfi_dataset dataset;
    cfi_batches batches;
    cfi_engine *engine;
    int64_t indices[SAMPLES];
} training_fixture;

static const char dense_text[] =
    "data: {dataset: mnist}\n"
    "network:\n"
    "  layers:\n"
    "    - dense: {units: 40, activation: relu}\n"
    "    - dropout: {rate: 0.3}\n"
    "    - dense: {units: 4}\n"
    "training: {batch: 20, clip_norm: 1.0, optimizer: {sgd: {rate: 0.01, momentum: 0.9}}}\n";

static const char convolution_text[] =
    "data: {dataset: mnist}\n"
    "network:\n"
    "  layers:\n"
    "    - conv2d: {filters: 5, kernel: 3, padding: same, activation: tanh}\n"
    "    - max_pool: {size: 2}\n"
    "    - conv2d: {filters: 7, kernel: 3, activation: leaky_relu}\n"
    "    - avg_pool: {size: 2}\n"
    "    - flatten\n"
    "    - dense: {units: 4}\n"
    "training: {batch: 20, optimizer: {adam: {rate: 0.001}}}\n";

static void ignore_problem(void *user, cfi_mark mark, const char *path, const char *text)
{
    (void)user;
    (void)mark;
    print_message("%s: %s\n", path, text);
}

static void make_dataset(cfi_dataset *dataset)
{
    *dataset = (cfi_dataset){.channels = 1, .height = SIDE, .width = SIDE, .features = SIDE * SIDE,
                             .classes = CLASSES, .scale = 1.0f / 255.0f};
    dataset->train.count = SAMPLES;
    dataset->train.bytes = cfi_calloc(SAMPLES, SIDE * SIDE);
    dataset->train.labels = cfi_calloc(SAMPLES, sizeof(int32_t));
    assert_non_null(dataset->train.bytes);
    assert_non_null(dataset->train.labels);
    for (int i = 0; i < SAMPLES; i++) {
        dataset->train.labels[i] = i % CLASSES;
        for (int j = 0; j < SIDE * SIDE; j++) {
            dataset->train.bytes[i * SIDE * SIDE + j] = (uint8_t)(i * 37 + j * (i % CLASSES + 1) * 11);
        }
    }
}

static void begin(training_fixture *fixture, const char *text, int threads)
{
    cf_error error = {0};
    cfi_problems problems = {0};
    const cfi_config_sources sources = {.text = text};
    memset(fixture, 0, sizeof *fixture);
    if (cfi_config_load(&sources, &fixture->settings, &problems, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    make_dataset(&fixture->dataset);
    const cfi_shape input = {1, SIDE, SIDE};
    if (cfi_graph_build(&fixture->settings, input, CLASSES, ignore_problem, NULL, &fixture->graph, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    const cfi_training_settings *training = &fixture->settings.training;
    assert_int_equal(cfi_batches_init(&fixture->batches, 1, SAMPLES, 0, training->batch, false, &error), CF_OK);
    const cfi_engine_options options = {.graph = &fixture->graph, .training = training, .seed = 1,
                                        .dataset = &fixture->dataset, .batch_max = training->batch,
                                        .threads = threads};
    if (cfi_engine_new(&options, &fixture->engine, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
}

static void end(training_fixture *fixture)
{
    cfi_engine_free(fixture->engine);
    cfi_graph_fini(&fixture->graph);
    cfi_dataset_fini(&fixture->dataset);
    cfi_settings_fini(&fixture->settings);
}

static float make_step(training_fixture *fixture, int64_t step)
{
    cf_error error = {0};
    cfi_step_result result;
    const int64_t rows = cfi_batches_step(&fixture->batches, step, fixture->indices);
    if (cfi_engine_step(fixture->engine, step, fixture->indices, rows, 0.01f, &result, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    return result.loss;
}

static void expect_no_allocation(const char *text, int threads)
{
    training_fixture fixture;
    begin(&fixture, text, threads);
    const float first_loss = make_step(&fixture, 0);
    const uint64_t before = cfi_alloc_count();
    float loss = 0.0f;
    for (int64_t step = 1; step < STEPS; step++) { /* whole and partial batches: 64 = 20 + 20 + 20 + 4 */
        loss = make_step(&fixture, step);
        cfi_engine_state_hash(fixture.engine);
    }
    assert_int_equal(cfi_alloc_count() - before, 0);
    assert_true(loss < first_loss); /* these were real steps */
    end(&fixture);
}

static void steps_of_a_dense_network_allocate_nothing(void **state)
{
    (void)state;
    expect_no_allocation(dense_text, 1);
    expect_no_allocation(dense_text, 2);
}

static void steps_of_a_convolutional_network_allocate_nothing(void **state)
{
    (void)state;
    expect_no_allocation(convolution_text, 1);
    expect_no_allocation(convolution_text, 2);
}

static void evaluation_allocates_nothing_either(void **state)
{
    (void)state;
    training_fixture fixture;
    cf_error error = {0};
    double loss = 0.0;
    int64_t correct = 0;
    begin(&fixture, convolution_text, 2);
    (void)make_step(&fixture, 0);
    const uint64_t before = cfi_alloc_count();
    for (int i = 0; i < 10; i++) {
        assert_int_equal(cfi_engine_evaluate(fixture.engine, &fixture.dataset.train, fixture.indices, 20, &loss,
                                             &correct, NULL, &error), CF_OK);
    }
    assert_int_equal(cfi_alloc_count() - before, 0);
    end(&fixture);
}

static void the_counter_sees_an_allocation(void **state)
{
    (void)state;
    const uint64_t before = cfi_alloc_count();
    cfi_free(cfi_calloc(1, 1));
    assert_int_equal(cfi_alloc_count() - before, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_counter_sees_an_allocation),
        cmocka_unit_test(steps_of_a_dense_network_allocate_nothing),
        cmocka_unit_test(steps_of_a_convolutional_network_allocate_nothing),
        cmocka_unit_test(evaluation_allocates_nothing_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
