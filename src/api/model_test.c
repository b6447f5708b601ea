#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cuttlefish/cuttlefish.h"

#define ROWS 40

/* A folder of its own with a small CSV set: two clouds on very different scales, so that standardising matters. */
static int enter_folder(void **state)
{
    static char folder[] = "/tmp/cuttlefish-model-XXXXXX";
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) {
        return -1;
    }
    *state = folder;
    FILE *file = fopen("points.csv", "w");
    for (int i = 0; file != NULL && i < ROWS; i++) {
        const int cloud = i % 2;
        fprintf(file, "%d,%.4f,%s\n", 1000 + cloud * 300 + i * 7 % 11, 0.01 * cloud + 0.0001 * i,
                cloud ? "up" : "down");
    }
    return file != NULL ? fclose(file) : -1;
}

static int leave_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", (const char *)*state);
    return chdir("/") == 0 ? system(command) : -1;
}

static cf_network *new_network(void)
{
    cf_error error = {CF_OK, ""};
    cf_network *network = NULL;
    const char *text = "name: points\n"
                       "data: {csv: {train: points.csv, test: points.csv, standardise: true}, validation: 8}\n"
                       "network: {layers: [dense: {units: 6, activation: tanh}, dense: {units: 2}]}\n"
                       "training: {epochs: 30, batch: 8, optimizer: {sgd: {rate: 0.5}}}\n";
    if (cf_network_parse(text, "points", &network, NULL, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    return network;
}

static void train(const cf_network *network, const char *folder, cf_train_result *result)
{
    cf_error error = {CF_OK, ""};
    const cf_train_options options = {.run_folder = folder, .steps = -1, .threads = 1};
    if (cf_train(network, &options, result, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
}

static cf_model *open_model(const cf_network *network, const char *path)
{
    cf_error error = {CF_OK, ""};
    cf_model *model = NULL;
    if (cf_model_open(network, path, 1, &model, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    return model;
}

static void predictions_of_raw_values_agree_with_the_evaluation(void **state)
{
    (void)state;
    static cf_train_result result;
    float values[ROWS][2], outputs[ROWS][2];
    int64_t right = 0, count = 0, confusion[4];
    double loss = 0.0, accuracy = 0.0;
    cf_data *data = NULL;
    cf_network *network = new_network();
    train(network, "agree", &result);
    cf_model *model = open_model(network, "agree");
    assert_int_equal(cf_data_open(network, &data, NULL), CF_OK);
    int64_t labels[ROWS];
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(cf_data_sample(data, CF_DATA_TEST, i, values[i], &labels[i], NULL), CF_OK);
        assert_true(values[i][0] > 900.0f); /* raw, not standardised */
    }
    assert_int_equal(cf_model_predict(model, values[0], ROWS, outputs[0], NULL), CF_OK);
    for (int i = 0; i < ROWS; i++) {
        assert_true(fabsf(outputs[i][0] + outputs[i][1] - 1.0f) < 1e-5f);
        right += (outputs[i][1] > outputs[i][0]) == (labels[i] == 1);
    }
    assert_int_equal(cf_model_evaluate(model, CF_DATA_TEST, &loss, &accuracy, &count, confusion, NULL), CF_OK);
    assert_int_equal(count, ROWS);
    assert_true(fabs(accuracy - (double)right / ROWS) < 1e-12);
    assert_int_equal(confusion[0] + confusion[3], right);
    assert_int_equal(confusion[0] + confusion[1] + confusion[2] + confusion[3], ROWS);
    assert_true(accuracy > 0.9);
    assert_true(fabs(accuracy - result.accuracy) < 1e-12);
    assert_string_equal(cf_model_class_name(model, 0), "down");
    assert_string_equal(cf_model_class_name(model, 1), "up");
    assert_string_equal(cf_model_class_name(model, 2), "");
    cf_data_free(data);
    cf_model_free(model);
    cf_network_free(network);
}

static void training_and_validation_parts_are_the_split(void **state)
{
    (void)state;
    static cf_train_result result;
    double loss = 0.0, accuracy = 0.0;
    int64_t count = 0;
    cf_network *network = new_network();
    train(network, "split", &result);
    cf_model *model = open_model(network, "split");
    assert_int_equal(cf_model_evaluate(model, CF_DATA_TRAIN, &loss, &accuracy, &count, NULL, NULL), CF_OK);
    assert_int_equal(count, ROWS - 8);
    assert_int_equal(cf_model_evaluate(model, CF_DATA_VALIDATION, &loss, &accuracy, &count, NULL, NULL), CF_OK);
    assert_int_equal(count, 8);
    cf_model_free(model);
    cf_network_free(network);
}

static void saved_weights_predict_the_same_bits(void **state)
{
    (void)state;
    static cf_train_result result;
    const float input[2] = {1234.0f, 0.004f};
    float first[2], second[2];
    cf_network *network = new_network();
    train(network, "saved", &result);
    cf_model *model = open_model(network, "saved");
    assert_int_equal(cf_model_save(model, "saved.safetensors", NULL), CF_OK);
    assert_int_equal(cf_model_predict(model, input, 1, first, NULL), CF_OK);
    cf_model_free(model);
    model = open_model(network, "saved.safetensors");
    cf_network_free(network); /* a model keeps what it needs */
    assert_int_equal(cf_model_predict(model, input, 1, second, NULL), CF_OK);
    assert_memory_equal(first, second, sizeof first);
    cf_model_free(model);
}

static void the_newest_run_is_the_default(void **state)
{
    (void)state;
    static cf_train_result first, second;
    char *path = NULL;
    cf_network *network = new_network();
    assert_int_equal(cf_model_default_run(network, &path, NULL), CF_E_NOT_FOUND);
    train(network, NULL, &first);
    train(network, NULL, &second);
    assert_string_not_equal(first.run_folder, second.run_folder);
    assert_string_equal(first.weights, second.weights);
    assert_int_equal(cf_model_default_run(network, &path, NULL), CF_OK);
    assert_string_equal(path, second.run_folder);
    cf_string_free(path);
    cf_network_free(network);
}

static int cancel_at_step_30(void *user, const cf_event *event)
{
    *(int64_t *)user = event->step;
    return event->step >= 30;
}

static void a_cancelled_run_resumes_to_the_same_bits(void **state)
{
    (void)state;
    static cf_train_result whole, cancelled, resumed;
    int64_t last = 0;
    cf_error error = {CF_OK, ""};
    cf_network *network = new_network();
    train(network, "whole", &whole);
    cf_train_options options = {.run_folder = "cancelled", .steps = -1, .threads = 1,
                                .on_event = cancel_at_step_30, .user = &last};
    assert_int_equal(cf_train(network, &options, &cancelled, &error), CF_E_CANCELLED);
    assert_true(cancelled.steps >= 30 && cancelled.steps < whole.steps);
    options.on_event = NULL;
    options.resume = 1;
    assert_int_equal(cf_train(network, &options, &resumed, &error), CF_OK);
    assert_string_equal(resumed.chain, whole.chain);
    assert_string_equal(resumed.weights, whole.weights);
    assert_int_equal(cf_train(network, &(cf_train_options){.run_folder = "whole", .steps = -1}, &resumed, &error),
                     CF_E_EXISTS);
    cf_network_free(network);
}

static void another_network_cannot_open_the_weights(void **state)
{
    (void)state;
    static cf_train_result result;
    cf_error error = {CF_OK, ""};
    cf_model *model = NULL;
    cf_network *network = new_network(), *other = NULL;
    train(network, "shapes", &result);
    const char *text = "name: other\ndata: {csv: {train: points.csv}}\nnetwork: {layers: [dense: {units: 2}]}\n";
    assert_int_equal(cf_network_parse(text, "other", &other, NULL, NULL), CF_OK);
    assert_int_equal(cf_model_open(other, "shapes", 1, &model, &error), CF_E_SHAPE);
    assert_non_null(strstr(error.text, "dense1"));
    assert_int_equal(cf_model_open(other, "nowhere", 1, &model, &error), CF_E_NOT_FOUND);
    assert_null(model);
    cf_network_free(network);
    cf_network_free(other);
}

static void wrong_indices_are_refused(void **state)
{
    (void)state;
    cf_error error = {CF_OK, ""};
    cf_data *data = NULL;
    int64_t label = 0, rows = 0, indices[8];
    cf_network *network = new_network();
    assert_int_equal(cf_data_open(network, &data, NULL), CF_OK);
    assert_int_equal(cf_data_count(data, CF_DATA_TRAIN), ROWS - 8);
    assert_int_equal(cf_data_count(data, CF_DATA_VALIDATION), 8);
    assert_int_equal(cf_data_batch_size(data), 8);
    assert_int_equal(cf_data_steps_per_epoch(data), 4);
    assert_int_equal(cf_data_sample(data, CF_DATA_TEST, ROWS, NULL, &label, &error), CF_E_USAGE);
    assert_string_equal(error.text, "test:40: there are 40 such samples, counted from 0");
    assert_int_equal(cf_data_sample(data, CF_DATA_TRAIN, ROWS - 1, NULL, &label, &error), CF_OK);
    assert_int_equal(cf_data_sample(data, CF_DATA_VALIDATION, -1, NULL, &label, &error), CF_E_USAGE);
    assert_int_equal(cf_data_batch(data, -1, indices, &rows, &error), CF_E_USAGE);
    assert_int_equal(cf_data_batch(data, 0, indices, &rows, &error), CF_OK);
    assert_int_equal(rows, 8);
    assert_int_equal(cf_data_get("cifar", NULL, NULL, NULL, &error), CF_E_USAGE);
    assert_string_equal(error.text, "unknown data set 'cifar' (known: mnist)");
    cf_data_free(data);
    cf_network_free(network);
}

/* Everything after loading, with the n-th allocation failing. */
static cf_status use_all(const cf_network *network, cf_error *error)
{
    static cf_train_result result;
    const cf_train_options options = {.run_folder = "sweep", .steps = 3, .threads = 1, .resume = 1};
    double loss = 0.0, accuracy = 0.0;
    int64_t count = 0;
    cf_model *model = NULL;
    cf_status status = cf_train(network, &options, &result, error);
    if (status == CF_OK) {
        status = cf_model_open(network, "sweep", 1, &model, error);
    }
    if (status == CF_OK) {
        status = cf_model_evaluate(model, CF_DATA_TEST, &loss, &accuracy, &count, NULL, error);
    }
    if (status == CF_OK) {
        status = cf_model_save(model, "sweep.safetensors", error);
    }
    cf_model_free(model);
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    cf_network *network = new_network();
    for (uint64_t n = 0;; n++) {
        cf_error error = {CF_OK, ""};
        cfi_alloc_fail_after(n);
        const cf_status status = use_all(network, &error);
        cfi_alloc_fail_after(UINT64_MAX);
        if (status == CF_OK) {
            assert_true(n > 10);
            break;
        }
        if (status != CF_E_MEMORY) {
            fail_msg("allocation %d: status %d: %s", (int)n, (int)status, error.text);
        }
    }
    cf_network_free(network);
}

static void every_failing_write_is_reported_and_nothing_is_lost(void **state)
{
    (void)state;
    static cf_train_result result;
    cf_network *network = new_network();
    for (uint64_t n = 0;; n++) {
        cf_error error = {CF_OK, ""};
        const cf_train_options options = {.run_folder = "writes", .steps = -1, .threads = 1, .resume = 1};
        cfi_file_fail_after(n);
        const cf_status status = cf_train(network, &options, &result, &error);
        cfi_file_fail_after(UINT64_MAX);
        if (status == CF_OK) {
            assert_true(n > 10);
            break;
        }
        const bool names_place = strstr(error.text, "writes") != NULL || strncmp(error.text, ".:", 2) == 0;
        if (status != CF_E_IO || !names_place) {
            fail_msg("write %d: status %d: %s", (int)n, (int)status, error.text);
        }
    }
    static cf_train_result whole;
    train(network, "writes-whole", &whole);
    assert_string_equal(result.chain, whole.chain);
    cf_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_run_is_the_default),
        cmocka_unit_test(predictions_of_raw_values_agree_with_the_evaluation),
        cmocka_unit_test(training_and_validation_parts_are_the_split),
        cmocka_unit_test(saved_weights_predict_the_same_bits),
        cmocka_unit_test(a_cancelled_run_resumes_to_the_same_bits),
        cmocka_unit_test(another_network_cannot_open_the_weights),
        cmocka_unit_test(wrong_indices_are_refused),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(every_failing_write_is_reported_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
