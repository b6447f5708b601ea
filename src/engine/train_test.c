#include "engine/train.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/philox.h"

enum { TRAIN_COUNT = 120, TEST_COUNT = 30, VALIDATION = 20, BATCH = 8, STEPS_PER_EPOCH = 13, EPOCHS = 6 };

/* Two features, two classes, one hidden layer, momentum and dropout: state of every kind, and quick. */
typedef struct fixture {
    cfi_settings settings;
    cfi_layer_settings layers[3];
    cfi_graph graph;
    cfi_dataset dataset;
    float train_values[TRAIN_COUNT * 2], test_values[TEST_COUNT * 2];
    int32_t train_labels[TRAIN_COUNT], test_labels[TEST_COUNT];
    char folder[64];
} fixture;

/* Points of the square [-1, 1), labelled by the sign of x*y. */
static void fill_samples(float *values, int32_t *labels, int count, uint32_t sample)
{
    for (int i = 0; i < count; i++) {
        const cfi_philox_block block = cfi_draw(1, CFI_PURPOSE_TEST, 0, (uint32_t)i, 0, sample);
        values[2 * i] = 2 * cfi_uniform_float(block.word[0]) - 1;
        values[2 * i + 1] = 2 * cfi_uniform_float(block.word[1]) - 1;
        labels[i] = values[2 * i] * values[2 * i + 1] > 0;
    }
}

static void fill_layers(fixture *f)
{
    f->layers[0] = (cfi_layer_settings){.kind = CFI_LAYER_DENSE, .name = "hidden", .units = 8,
                                        .activation = CFI_ACTIVATION_RELU, .init = CFI_INIT_HE_NORMAL};
    f->layers[1] = (cfi_layer_settings){.kind = CFI_LAYER_DROPOUT, .name = "dropout", .dropout_rate = 0.25};
    f->layers[2] = (cfi_layer_settings){.kind = CFI_LAYER_DENSE, .name = "output", .units = 2,
                                        .init = CFI_INIT_GLOROT_UNIFORM};
}

static void ignore_problem(void *user, cfi_mark mark, const char *path, const char *text)
{
    (void)user;
    (void)mark;
    print_error("%s: %s\n", path, text);
}

static int setup(void **state)
{
    fixture *f = cfi_calloc(1, sizeof *f);
    assert_non_null(f);
    fill_layers(f);
    f->settings = (cfi_settings){.name = "tiny", .seed = 7, .layers = f->layers, .layer_count = 3,
                                 .data = {.kind = CFI_DATA_CSV, .validation = VALIDATION}};
    f->settings.training = (cfi_training_settings){
        .epochs = EPOCHS, .batch = BATCH, .sample_grain = 64, .micro_batches = 1, .chain_every = 10,
        .checkpoints_kept = 2,
        .optimizer = {.kind = CFI_OPTIMIZER_SGD, .rate = 0.1, .momentum = 0.9},
        .schedule = {.kind = CFI_SCHEDULE_CONSTANT, .factor = 1, .every_epochs = 1, .power = 1}};
    fill_samples(f->train_values, f->train_labels, TRAIN_COUNT, 1);
    fill_samples(f->test_values, f->test_labels, TEST_COUNT, 2);
    f->dataset = (cfi_dataset){.channels = 2, .height = 1, .width = 1, .features = 2, .classes = 2, .scale = 1,
                               .train = {TRAIN_COUNT, NULL, f->train_values, f->train_labels},
                               .test = {TEST_COUNT, NULL, f->test_values, f->test_labels}};
    assert_int_equal(cfi_graph_build(&f->settings, (cfi_shape){2, 1, 1}, 2, ignore_problem, NULL, &f->graph, NULL),
                     CF_OK);
    strcpy(f->folder, "/tmp/cuttlefish-train-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    *state = f;
    return chdir(f->folder);
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[128];
    cfi_file_fail_after(UINT64_MAX);
    cfi_alloc_fail_after(UINT64_MAX);
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    cfi_graph_fini(&f->graph);
    cfi_free(f);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static cfi_train_job make_job(fixture *f, const char *folder, int resume, int64_t steps)
{
    const cfi_train_job job = {.settings = &f->settings, .graph = &f->graph, .dataset = &f->dataset,
                               .options = {.run_folder = folder, .resume = resume, .steps = steps, .threads = 1}};
    return job;
}

static cf_train_result must_train(fixture *f, const char *folder, int resume, int64_t steps)
{
    const cfi_train_job job = make_job(f, folder, resume, steps);
    cf_train_result result;
    cf_error error = {.code = CF_OK, .text = ""};
    if (cfi_train(&job, &result, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    return result;
}

static void check_same(const cf_train_result *result, const cf_train_result *expected)
{
    assert_string_equal(result->chain, expected->chain);
    assert_string_equal(result->weights, expected->weights);
    assert_int_equal(result->steps, expected->steps);
    assert_int_equal(result->epochs, expected->epochs);
    assert_int_equal(result->samples, expected->samples);
    assert_true(result->loss == expected->loss && result->accuracy == expected->accuracy);
}

/* The metrics file with its times taken out. Free with cfi_free. */
static char *read_metrics(const char *folder)
{
    static const char *const times[] = {"\"samples_per_second\": ", "\"seconds\": "};
    char path[256], *text;
    size_t size;
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    assert_int_equal(cfi_file_read(path, 1 << 20, &text, &size, NULL), CF_OK);
    for (size_t i = 0; i < 2; i++) {
        for (char *at = strstr(text, times[i]); at != NULL; at = strstr(at + 1, times[i])) {
            char *from = at + strlen(times[i]);
            const size_t length = strspn(from, "0123456789.e+-");
            memmove(from, from + length, strlen(from + length) + 1);
        }
    }
    return text;
}

static void check_same_metrics(const char *folder, const char *expected_folder)
{
    char *metrics = read_metrics(folder), *expected = read_metrics(expected_folder);
    assert_string_equal(metrics, expected);
    cfi_free(metrics);
    cfi_free(expected);
}

static uint32_t draw(uint32_t element, uint32_t below)
{
    return cfi_draw(3, CFI_PURPOSE_TEST, 1, element, 0, 0).word[0] % below;
}

/* ---- The result ---- */

static void training_learns_and_reports(void **state)
{
    fixture *f = *state;
    f->settings.training.epochs = 40;
    const cf_train_result result = must_train(f, NULL, 0, -1);
    assert_int_equal(result.steps, 40 * STEPS_PER_EPOCH);
    assert_int_equal(result.epochs, 40);
    assert_int_equal(result.samples, 40 * (TRAIN_COUNT - VALIDATION));
    assert_true(result.accuracy > 0.8);
    assert_true(result.loss > 0 && result.loss < 0.6);
    assert_true(result.seconds > 0 && result.samples_per_second > 0);
    assert_int_equal(result.threads, 1);
    assert_string_equal(result.run_folder, "runs/tiny");
    assert_true(cfi_file_exists("runs/tiny/result.json"));
    assert_true(cfi_file_exists("runs/tiny/checkpoints/step-0000000520/manifest.json"));
    assert_false(cfi_file_exists("runs/tiny/checkpoints/step-0000000494"));
}

static void the_same_file_gives_the_same_bits_and_another_seed_others(void **state)
{
    fixture *f = *state;
    const cf_train_result first = must_train(f, NULL, 0, -1), second = must_train(f, NULL, 0, -1);
    check_same(&second, &first);
    assert_string_equal(second.run_folder, "runs/tiny-2");
    check_same_metrics("runs/tiny-2", "runs/tiny");
    f->settings.seed = 8;
    const cf_train_result other = must_train(f, NULL, 0, -1);
    assert_string_not_equal(other.chain, first.chain);
    assert_string_not_equal(other.weights, first.weights);
}

/* Thirteen steps are one join with the same state, be it as a multiple of 13 or as the last step. */
static void the_chain_takes_each_multiple_and_the_last_step_once(void **state)
{
    fixture *f = *state;
    f->settings.training.chain_every = 13;
    const cf_train_result multiple = must_train(f, "a", 0, 13);
    f->settings.training.chain_every = 14;
    const cf_train_result last = must_train(f, "b", 0, 13);
    f->settings.training.chain_every = 12;
    const cf_train_result both = must_train(f, "c", 0, 13);
    assert_string_equal(multiple.chain, last.chain);
    assert_string_equal(multiple.weights, both.weights);
    assert_string_not_equal(multiple.chain, both.chain);
}

static void without_a_run_folder_nothing_is_written(void **state)
{
    fixture *f = *state;
    const cf_train_result with = must_train(f, "with", 0, -1);
    cfi_train_job job = make_job(f, NULL, 0, -1);
    cf_train_result without;
    job.options.no_run_folder = 1;
    assert_int_equal(cfi_train(&job, &without, NULL), CF_OK);
    check_same(&without, &with);
    assert_string_equal(without.run_folder, "");
    assert_false(cfi_file_exists("runs"));
}

static void no_steps_write_the_initial_weights(void **state)
{
    fixture *f = *state;
    const cf_train_result result = must_train(f, NULL, 0, 0);
    assert_int_equal(result.steps, 0);
    assert_true(isfinite(result.loss));
    assert_true(cfi_file_exists("runs/tiny/checkpoints/step-0000000000/weights.safetensors"));
    const cf_train_result again = must_train(f, NULL, 1, -1);
    assert_string_not_equal(result.weights, again.weights);
    const cf_train_result whole = must_train(f, "whole", 0, -1);
    check_same(&again, &whole);
}

static void the_figures_come_from_the_best_set_there_is(void **state)
{
    fixture *f = *state;
    const cf_train_result test = must_train(f, "a", 0, -1);
    f->dataset.test.count = 0;
    const cf_train_result validation = must_train(f, "b", 0, -1);
    f->settings.data.validation = 0;
    const cf_train_result training = must_train(f, "c", 0, -1);
    const cf_train_result nothing = must_train(f, "d", 0, 0);
    assert_true(fabs(test.accuracy * TEST_COUNT - round(test.accuracy * TEST_COUNT)) < 1e-9);
    assert_true(fabs(validation.accuracy * VALIDATION - round(validation.accuracy * VALIDATION)) < 1e-9);
    assert_true(fabs(training.accuracy * TRAIN_COUNT - round(training.accuracy * TRAIN_COUNT)) < 1e-9);
    assert_true(test.loss != validation.loss && validation.loss != training.loss);
    assert_string_equal(test.chain, validation.chain);
    assert_true(isnan(nothing.loss) && isnan(nothing.accuracy));
}

/* ---- Stopping and going on ---- */

static void twenty_stops_at_random_steps_change_nothing(void **state)
{
    fixture *f = *state;
    f->settings.training.checkpoint_every = 7;
    const cf_train_result whole = must_train(f, "whole", 0, -1);
    int64_t step = 0;
    for (uint32_t stop = 0; stop < 20; stop++) {
        step += draw(stop, 7);
        must_train(f, "stopped", 1, step);
    }
    assert_true(step < whole.steps);
    const cf_train_result stopped = must_train(f, "stopped", 1, -1);
    check_same(&stopped, &whole);
    check_same_metrics("stopped", "whole");
}

/* Cancels at the event whose number comes up. */
typedef struct canceller {
    int64_t until;
    int64_t last_step;
    int64_t events;
} canceller;

static int cancel_later(void *user, const cf_event *event)
{
    canceller *c = user;
    assert_true(event->step >= c->last_step); /* never goes back within one call */
    c->last_step = event->step;
    c->events++;
    return c->until-- <= 0;
}

static void twenty_cancels_at_random_events_change_nothing(void **state)
{
    fixture *f = *state;
    f->settings.training.epochs = 20;
    f->settings.training.checkpoint_every = 9;
    const cf_train_result whole = must_train(f, "whole", 0, -1);
    for (uint32_t stop = 0; stop < 20; stop++) {
        canceller c = {.until = draw(100 + stop, 6)};
        cf_train_result result;
        cf_error error;
        cfi_train_job job = make_job(f, "cancelled", 1, -1);
        job.options.on_event = cancel_later;
        job.options.user = &c;
        assert_int_equal(cfi_train(&job, &result, &error), CF_E_CANCELLED);
        char expected[96];
        snprintf(expected, sizeof expected, "cancelled after step %lld; --resume goes on from there",
                 (long long)result.steps);
        assert_string_equal(error.text, expected);
        assert_true(result.steps < whole.steps);
        assert_int_equal(result.steps, c.last_step);
    }
    const cf_train_result cancelled = must_train(f, "cancelled", 1, -1);
    check_same(&cancelled, &whole);
    check_same_metrics("cancelled", "whole");
}

/* Trains in a child that is killed after `microseconds`; false when it was quicker than that. */
static bool train_until_killed(fixture *f, const char *folder, long microseconds)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const cfi_train_job job = make_job(f, folder, 1, -1);
        cf_train_result result;
        _exit(cfi_train(&job, &result, NULL) == CF_OK ? 0 : 1);
    }
    const struct timespec wait = {.tv_sec = 0, .tv_nsec = microseconds * 1000};
    nanosleep(&wait, NULL);
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

static void twenty_kills_at_random_moments_change_nothing(void **state)
{
    fixture *f = *state;
    f->settings.training.epochs = 500;
    f->settings.training.checkpoint_every = 100;
    const cf_train_result whole = must_train(f, "whole", 0, -1);
    int killed_count = 0;
    for (uint32_t i = 0; i < 20; i++) {
        killed_count += train_until_killed(f, "killed", (long)(1000 + draw(200 + i, 60000)));
    }
    assert_true(killed_count > 5); /* else this machine is too quick for the test to mean anything */
    const cf_train_result killed = must_train(f, "killed", 1, -1);
    check_same(&killed, &whole);
    check_same_metrics("killed", "whole");
}

static void a_finished_run_resumes_to_the_same_result(void **state)
{
    fixture *f = *state;
    const cf_train_result whole = must_train(f, NULL, 0, -1), again = must_train(f, NULL, 1, -1);
    check_same(&again, &whole);
    assert_string_equal(again.run_folder, "runs/tiny");
}

static void epochs_may_be_added_to_a_finished_run(void **state)
{
    fixture *f = *state;
    f->settings.training.epochs = 3;
    must_train(f, "longer", 0, -1);
    f->settings.training.epochs = 5;
    const cf_train_result longer = must_train(f, "longer", 1, -1), whole = must_train(f, "whole", 0, -1);
    check_same(&longer, &whole);
    check_same_metrics("longer", "whole");
}

static void a_damaged_newest_checkpoint_costs_steps_but_no_bit(void **state)
{
    fixture *f = *state;
    f->settings.training.checkpoint_every = 10;
    const cf_train_result whole = must_train(f, "whole", 0, -1);
    must_train(f, "damaged", 0, 45);
    assert_int_equal(truncate("damaged/checkpoints/step-0000000045/state.safetensors", 60), 0);
    const cf_train_result damaged = must_train(f, "damaged", 1, -1);
    check_same(&damaged, &whole);
    check_same_metrics("damaged", "whole");
}

static void another_training_is_not_continued(void **state)
{
    fixture *f = *state;
    cf_train_result result;
    cf_error error;
    const cf_train_result before = must_train(f, "run", 0, 20);
    const cfi_train_job job = make_job(f, "run", 1, 30);
    const char *expected = "run: cannot resume: the network, its training settings, its data or its seed differ from "
                           "what this run was started with (see its network.yaml); restore them, or train without "
                           "--resume";
    f->settings.training.optimizer.rate = 0.05;
    assert_int_equal(cfi_train(&job, &result, &error), CF_E_CONFIG);
    assert_string_equal(error.text, expected);
    f->settings.training.optimizer.rate = 0.1;
    f->train_values[17] += 1.0f;
    assert_int_equal(cfi_train(&job, &result, &error), CF_E_CONFIG);
    assert_string_equal(error.text, expected);
    f->train_values[17] -= 1.0f;
    f->settings.training.optimizer.momentum = 0;
    assert_int_equal(cfi_train(&job, &result, &error), CF_E_SHAPE);
    assert_string_equal(error.text, "run: cannot resume, the network is another one: run/checkpoints/step-0000000020: "
                                    "its optimizer has state, that of this network has none");
    f->settings.training.optimizer.momentum = 0.9;
    const cf_train_result after = must_train(f, "run", 1, 20);
    check_same(&after, &before);
}

/* ---- Failures ---- */

static void after_any_failing_write_the_run_goes_on_to_the_same_bits(void **state)
{
    fixture *f = *state;
    f->settings.training.epochs = 1;
    f->settings.training.checkpoint_every = 7;
    const cf_train_result whole = must_train(f, "whole", 0, -1);
    cf_status status = CF_E_IO;
    uint64_t failures = 0;
    for (; status != CF_OK; failures++) {
        cf_train_result result;
        cf_error error = {.code = CF_OK, .text = ""};
        const cfi_train_job job = make_job(f, "full", 0, -1);
        assert_int_equal(system("rm -rf full"), 0);
        cfi_file_fail_after(failures);
        status = cfi_train(&job, &result, &error);
        cfi_file_fail_after(UINT64_MAX);
        if (status != CF_OK) {
            assert_int_equal(status, CF_E_IO);
            assert_non_null(strstr(error.text, "No space left on device"));
        }
        const cf_train_result resumed = must_train(f, "full", 1, -1);
        check_same(&resumed, &whole);
        check_same_metrics("full", "whole");
    }
    assert_true(failures > 40);
}

static void any_failing_allocation_is_reported(void **state)
{
    fixture *f = *state;
    f->settings.training.epochs = 1;
    cf_status status = CF_E_MEMORY;
    uint64_t failures = 0;
    for (; status != CF_OK; failures++) {
        cf_train_result result;
        cf_error error = {.code = CF_OK, .text = ""};
        const cfi_train_job job = make_job(f, "short", 1, -1);
        cfi_alloc_fail_after(failures);
        status = cfi_train(&job, &result, &error);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_true(status == CF_OK || (status == CF_E_MEMORY && strstr(error.text, "out of memory") != NULL));
    }
    assert_true(failures > 10);
}

static void an_explicit_folder_with_a_run_is_refused(void **state)
{
    fixture *f = *state;
    cf_train_result result;
    cf_error error;
    const cf_train_result before = must_train(f, "run", 0, 20);
    const cfi_train_job job = make_job(f, "run", 0, 30);
    assert_int_equal(cfi_train(&job, &result, &error), CF_E_EXISTS);
    assert_string_equal(error.text, "run: holds a run already; go on with it by --resume, or name another folder");
    const cf_train_result after = must_train(f, "run", 1, 20);
    check_same(&after, &before);
}

static void a_value_that_is_not_finite_stops_training_and_keeps_the_checkpoint(void **state)
{
    fixture *f = *state;
    cf_train_result result;
    cf_error error;
    f->settings.training.checkpoint_every = 1;
    f->settings.training.optimizer.rate = 1e30;
    const cfi_train_job job = make_job(f, "run", 0, -1);
    assert_int_equal(cfi_train(&job, &result, &error), CF_E_NUMERIC);
    assert_non_null(strstr(error.text, "step"));
    assert_true(cfi_file_exists("run/checkpoints/step-0000000001/manifest.json"));
}

/* ---- Early stopping ---- */

static void early_stopping_stops_and_a_resumed_run_stops_at_the_same_step(void **state)
{
    fixture *f = *state;
    f->settings.training.epochs = 500;
    f->settings.training.patience = 3;
    f->settings.training.optimizer.rate = 0.5;
    const cf_train_result whole = must_train(f, "whole", 0, -1);
    assert_true(whole.epochs > 3 && whole.epochs < 500);
    assert_int_equal(whole.steps % STEPS_PER_EPOCH, 0);
    must_train(f, "stopped", 1, whole.steps - STEPS_PER_EPOCH - 5);
    must_train(f, "stopped", 1, whole.steps - STEPS_PER_EPOCH);
    const cf_train_result stopped = must_train(f, "stopped", 1, -1), again = must_train(f, "stopped", 1, -1);
    check_same(&stopped, &whole);
    check_same(&again, &whole);
}

static void early_stopping_without_validation_samples_is_refused(void **state)
{
    fixture *f = *state;
    cf_train_result result;
    cf_error error;
    f->settings.training.patience = 3;
    f->settings.data.validation = 0;
    const cfi_train_job job = make_job(f, NULL, 0, -1);
    assert_int_equal(cfi_train(&job, &result, &error), CF_E_CONFIG);
    assert_string_equal(error.text, "training.patience: early stopping watches the validation loss, and "
                                    "data.validation is 0; set samples aside there, or set patience to 0");
    assert_false(cfi_file_exists("runs"));
}

static void wrong_options_are_refused_before_anything_is_made(void **state)
{
    fixture *f = *state;
    cf_train_result result;
    cf_error error;
    cfi_train_job job = make_job(f, NULL, 0, -1);
    job.options.threads = 257;
    assert_int_equal(cfi_train(&job, &result, &error), CF_E_USAGE);
    assert_string_equal(error.text, "threads: 257 is not from 0 to 256");
    job = make_job(f, NULL, 1, -1);
    job.options.no_run_folder = 1;
    assert_int_equal(cfi_train(&job, &result, &error), CF_E_USAGE);
    assert_string_equal(error.text, "resuming needs the run folder");
    assert_false(cfi_file_exists("runs"));
}

/* ---- Events and cost ---- */

typedef struct event_counts {
    int64_t kinds[CF_EVENT_END + 1];
    cf_event first, last;
} event_counts;

static int count_events(void *user, const cf_event *event)
{
    event_counts *counts = user;
    if (event->kind == CF_EVENT_START) {
        counts->first = *event;
    }
    counts->kinds[event->kind]++;
    counts->last = *event;
    return 0;
}

static void events_come_in_their_kinds(void **state)
{
    fixture *f = *state;
    event_counts counts;
    cf_train_result result;
    cfi_train_job job = make_job(f, NULL, 0, -1);
    memset(&counts, 0, sizeof counts);
    job.options.on_event = count_events;
    job.options.user = &counts;
    assert_int_equal(cfi_train(&job, &result, NULL), CF_OK);
    assert_int_equal(counts.kinds[CF_EVENT_START], 1);
    assert_true(counts.kinds[CF_EVENT_STEP] >= 1);
    assert_int_equal(counts.kinds[CF_EVENT_EVALUATION], EPOCHS);
    assert_int_equal(counts.kinds[CF_EVENT_CHECKPOINT], EPOCHS);
    assert_int_equal(counts.kinds[CF_EVENT_END], 1);
    assert_int_equal(counts.last.kind, CF_EVENT_END);
    assert_int_equal(counts.last.step, EPOCHS * STEPS_PER_EPOCH);
    assert_int_equal(counts.last.epoch, EPOCHS);
    assert_int_equal(counts.first.step_count, EPOCHS * STEPS_PER_EPOCH);
    assert_true(isnan(counts.first.loss) && isnan(counts.first.test_loss));
    assert_true(counts.last.test_accuracy == result.accuracy);
}

static void the_steps_of_training_allocate_nothing(void **state)
{
    fixture *f = *state;
    uint64_t used[2];
    f->settings.training.epochs = 1000;
    f->settings.training.batch = 100; /* one step an epoch, with its evaluation: 2,000 against 20 of both */
    for (int i = 0; i < 2; i++) {
        cf_train_result result;
        cfi_train_job job = make_job(f, NULL, 0, i == 0 ? 20 : 2000);
        job.options.no_run_folder = 1;
        const uint64_t before = cfi_alloc_count();
        assert_int_equal(cfi_train(&job, &result, NULL), CF_OK);
        used[i] = cfi_alloc_count() - before;
    }
    assert_int_equal(used[0], used[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(training_learns_and_reports),
        TEST(the_same_file_gives_the_same_bits_and_another_seed_others),
        TEST(the_chain_takes_each_multiple_and_the_last_step_once),
        TEST(without_a_run_folder_nothing_is_written),
        TEST(no_steps_write_the_initial_weights),
        TEST(the_figures_come_from_the_best_set_there_is),
        TEST(twenty_stops_at_random_steps_change_nothing),
        TEST(twenty_cancels_at_random_events_change_nothing),
        TEST(twenty_kills_at_random_moments_change_nothing),
        TEST(a_finished_run_resumes_to_the_same_result),
        TEST(epochs_may_be_added_to_a_finished_run),
        TEST(a_damaged_newest_checkpoint_costs_steps_but_no_bit),
        TEST(another_training_is_not_continued),
        TEST(after_any_failing_write_the_run_goes_on_to_the_same_bits),
        TEST(any_failing_allocation_is_reported),
        TEST(an_explicit_folder_with_a_run_is_refused),
        TEST(a_value_that_is_not_finite_stops_training_and_keeps_the_checkpoint),
        TEST(early_stopping_stops_and_a_resumed_run_stops_at_the_same_step),
        TEST(early_stopping_without_validation_samples_is_refused),
        TEST(wrong_options_are_refused_before_anything_is_made),
        TEST(events_come_in_their_kinds),
        TEST(the_steps_of_training_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
