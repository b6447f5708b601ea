#include "plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"

#define CSV_FILE "train.csv"

typedef struct fixture {
    cfi_settings settings;
    cfi_layer_settings layers[4];
    cfi_graph graph;
    char folder[64];
} fixture;

static void ignore_problem(void *user, cfi_mark mark, const char *path, const char *text)
{
    (void)user;
    (void)mark;
    print_error("%s: %s\n", path, text);
}

/* 4 features -> dense 8 -> dropout -> dense 2, from a CSV file that a test may write. */
static int setup(void **state)
{
    fixture *f = cfi_calloc(1, sizeof *f);
    assert_non_null(f);
    f->layers[0] = (cfi_layer_settings){.kind = CFI_LAYER_DENSE, .name = "hidden", .units = 8,
                                        .activation = CFI_ACTIVATION_TANH, .init = CFI_INIT_GLOROT_UNIFORM};
    f->layers[1] = (cfi_layer_settings){.kind = CFI_LAYER_DROPOUT, .name = "dropout", .dropout_rate = 0.5};
    f->layers[2] = (cfi_layer_settings){.kind = CFI_LAYER_DENSE, .name = "output", .units = 2,
                                        .init = CFI_INIT_GLOROT_UNIFORM};
    f->settings = (cfi_settings){.name = "planned", .seed = 7, .layers = f->layers, .layer_count = 3,
                                 .data = {.kind = CFI_DATA_CSV, .csv_train = CSV_FILE, .validation = 6}};
    f->settings.training = (cfi_training_settings){
        .epochs = 2, .batch = 16, .sample_grain = 64, .micro_batches = 1, .chain_every = 10, .checkpoints_kept = 2,
        .optimizer = {.kind = CFI_OPTIMIZER_SGD, .rate = 0.1, .momentum = 0.9},
        .schedule = {.kind = CFI_SCHEDULE_CONSTANT, .factor = 1, .every_epochs = 1, .power = 1}};
    assert_int_equal(cfi_graph_build(&f->settings, (cfi_shape){4, 1, 1}, 2, ignore_problem, NULL, &f->graph, NULL),
                     CF_OK);
    strcpy(f->folder, "/tmp/cuttlefish-plan-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    *state = f;
    return chdir(f->folder);
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    cfi_graph_fini(&f->graph);
    cfi_free(f);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void write_csv(int rows)
{
    for (int i = 0; i < rows; i++) {
        char line[64];
        const int length = snprintf(line, sizeof line, "%d,%d,%d,%d,%d\n", i, i % 3, i % 5, i % 7, i % 2);
        assert_int_equal(cfi_file_append(CSV_FILE, line, (size_t)length, NULL), CF_OK);
    }
}

static void layers_and_counts_are_exact(void **state)
{
    fixture *f = *state;
    cf_plan *plan;
    write_csv(54);
    assert_int_equal(cfi_plan_new(&f->settings, &f->graph, 1, &plan, NULL), CF_OK);
    const cf_plan_summary summary = cf_plan_get_summary(plan);
    const cf_plan_layer hidden = cf_plan_get_layer(plan, 0), dropout = cf_plan_get_layer(plan, 1);
    assert_int_equal(summary.layer_count, 3);
    assert_int_equal(summary.parameters, 4 * 8 + 8 + 8 * 2 + 2);
    assert_int_equal(summary.forward_flops, cfi_graph_forward_flops(&f->graph));
    assert_int_equal(summary.training_flops, cfi_graph_training_flops(&f->graph));
    assert_int_equal(summary.batch, 16);
    assert_int_equal(summary.steps_per_epoch, 3); /* 48 samples */
    assert_int_equal(summary.data_bytes, 54 * (4 * 4 + 4));
    assert_int_equal(summary.threads, 1);
    assert_true(summary.kernels[0] != '\0');
    assert_string_equal(hidden.name, "hidden");
    assert_string_equal(hidden.kind, "dense");
    assert_string_equal(hidden.activation, "tanh");
    assert_int_equal(hidden.input[0], 4);
    assert_int_equal(hidden.output[0], 8);
    assert_int_equal(hidden.parameters, 40);
    assert_string_equal(dropout.activation, "");
    assert_int_equal(dropout.parameters, 0);
    cf_plan_free(plan);
}

static void memory_adds_up_and_speed_follows_from_the_step_time(void **state)
{
    fixture *f = *state;
    cf_plan *plan;
    write_csv(54);
    assert_int_equal(cfi_plan_new(&f->settings, &f->graph, 2, &plan, NULL), CF_OK);
    const cf_plan_summary s = cf_plan_get_summary(plan);
    assert_int_equal(s.memory_bytes, s.weight_bytes + s.optimizer_bytes + s.activation_bytes + s.data_bytes);
    assert_true(s.weight_bytes >= s.parameters * 4 && s.optimizer_bytes >= s.parameters * 4);
    assert_true(s.activation_bytes > 0);
    assert_true(s.predicted_step_seconds > 0);
    const double samples = s.predicted_samples_per_second * s.predicted_step_seconds;
    const double flops = s.measured_gflops * 1e9 * s.predicted_step_seconds;
    assert_true(samples > 15.999 && samples < 16.001);
    assert_true(flops > 15.999 * (double)s.training_flops && flops < 16.001 * (double)s.training_flops);
    cf_plan_free(plan);
}

static void without_its_files_a_plan_is_made_from_made_up_samples(void **state)
{
    fixture *f = *state;
    cf_plan *plan;
    assert_int_equal(cfi_plan_new(&f->settings, &f->graph, 1, &plan, NULL), CF_OK);
    const cf_plan_summary summary = cf_plan_get_summary(plan);
    assert_int_equal(summary.data_bytes, 0);
    assert_int_equal(summary.steps_per_epoch, 0);
    assert_true(summary.predicted_samples_per_second > 0);
    cf_plan_free(plan);
}

static void a_placed_plan_tells_its_containers(void **state)
{
    fixture *f = *state;
    cf_plan *plan;
    cf_error error;
    write_csv(54);
    assert_int_equal(cfi_plan_new(&f->settings, &f->graph, 1, &plan, NULL), CF_OK);
    assert_int_equal(cf_plan_get_cluster(plan).container_count, 0);
    assert_int_equal(cfi_plan_place(plan, &f->settings, &f->graph, 12, NULL), CF_OK);
    const cf_plan_cluster cluster = cf_plan_get_cluster(plan);
    const cf_plan_container source = cf_plan_get_container(plan, 2), neuron = cf_plan_get_container(plan, 5);
    assert_true(cluster.container_count == 14 && cluster.unit_count == 14 && cluster.limit_count == 0);
    assert_true(cluster.predicted_step_seconds > 0 && cluster.single_step_seconds > 0);
    assert_true(cluster.window >= 2 * cluster.persist_every);
    assert_string_equal(source.name, "source");
    assert_string_equal(neuron.units, "hidden.1");
    assert_true(neuron.neurons == 1 && neuron.parameters == 5 && neuron.messages_in == 3);
    assert_non_null(strstr(neuron.reason, "12 containers were asked for"));
    assert_int_equal(cfi_plan_place(plan, &f->settings, &f->graph, 13, &error), CF_E_USAGE);
    assert_int_equal(cf_plan_get_cluster(plan).container_count, 14); /* what was there stays */
    assert_int_equal(cfi_plan_place(plan, &f->settings, &f->graph, 1, NULL), CF_OK);
    assert_string_equal(cf_plan_get_container(plan, 2).units, "source, loss, hidden, output");
    cf_plan_free(plan);
}

static void any_failing_allocation_of_a_placement_is_reported(void **state)
{
    fixture *f = *state;
    cf_plan *plan;
    cf_status status = CF_E_MEMORY;
    uint64_t failures = 0;
    assert_int_equal(cfi_plan_new(&f->settings, &f->graph, 1, &plan, NULL), CF_OK);
    for (; status != CF_OK; failures++) {
        cfi_alloc_fail_after(failures);
        status = cfi_plan_place(plan, &f->settings, &f->graph, 5, NULL);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_true(status == CF_E_MEMORY || status == CF_OK);
    }
    assert_true(failures > 20);
    cf_plan_free(plan);
}

static void data_of_another_width_is_refused(void **state)
{
    fixture *f = *state;
    cf_plan *plan;
    cf_error error;
    assert_int_equal(cfi_file_append(CSV_FILE, "1,2,0\n3,4,1\n5,6,0\n", 18, NULL), CF_OK);
    assert_int_equal(cfi_plan_new(&f->settings, &f->graph, 1, &plan, &error), CF_E_DATA);
    assert_string_equal(error.text, "the data set has changed since the network was loaded");
}

static void a_wrong_number_of_threads_is_refused(void **state)
{
    fixture *f = *state;
    cf_plan *plan;
    cf_error error;
    assert_int_equal(cfi_plan_new(&f->settings, &f->graph, -1, &plan, &error), CF_E_USAGE);
    assert_string_equal(error.text, "threads: -1 is not from 0 to 256");
}

static void any_failing_allocation_is_reported(void **state)
{
    fixture *f = *state;
    cf_status status = CF_E_MEMORY;
    uint64_t failures = 0;
    write_csv(54);
    for (; status != CF_OK; failures++) {
        cf_plan *plan = NULL;
        cfi_alloc_fail_after(failures);
        status = cfi_plan_new(&f->settings, &f->graph, 1, &plan, NULL);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_true(status == CF_E_MEMORY || status == CF_OK);
        cf_plan_free(plan);
    }
    assert_true(failures > 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(layers_and_counts_are_exact),
        TEST(memory_adds_up_and_speed_follows_from_the_step_time),
        TEST(without_its_files_a_plan_is_made_from_made_up_samples),
        TEST(a_placed_plan_tells_its_containers),
        TEST(any_failing_allocation_of_a_placement_is_reported),
        TEST(data_of_another_width_is_refused),
        TEST(a_wrong_number_of_threads_is_refused),
        TEST(any_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
