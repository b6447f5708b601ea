#include "reference/trial.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/philox.h"
#include "learn/schedule.h"

static float test_uniform(uint64_t seed, uint32_t kind, uint32_t index)
{
    return cfi_uniform_float(cfi_draw(seed, CFI_PURPOSE_TEST, kind, index, 0, 0).word[0]);
}

static void make_bytes(cfi_dataset *dataset, int64_t count, uint64_t seed)
{
    dataset->train.bytes = cfi_calloc((size_t)count, sizeof(uint8_t));
    assert_non_null(dataset->train.bytes);
    dataset->scale = 1.0f / 255.0f;
    dataset->shift = -0.1f;
    for (int64_t i = 0; i < count; i++) {
        const bool blank = test_uniform(seed, 1, (uint32_t)i) < 0.8f;
        dataset->train.bytes[i] = blank ? 0 : (uint8_t)(256.0f * test_uniform(seed, 0, (uint32_t)i));
    }
}

static void make_floats(cfi_dataset *dataset, int64_t count, uint64_t seed)
{
    dataset->train.floats = cfi_calloc((size_t)count, sizeof(float));
    assert_non_null(dataset->train.floats);
    for (int64_t i = 0; i < count; i++) {
        dataset->train.floats[i] = 2.0f * test_uniform(seed, 0, (uint32_t)i) - 1.0f;
    }
}

static void make_dataset(trial_network *trial, const trial_options *options)
{
    cfi_dataset *dataset = &trial->dataset;
    dataset->channels = options->input.channels;
    dataset->height = options->input.height;
    dataset->width = options->input.width;
    dataset->features = cfi_shape_features(options->input);
    dataset->classes = options->classes;
    dataset->train.count = options->samples > 0 ? options->samples : 70;
    const int64_t values = dataset->train.count * dataset->features;
    dataset->train.labels = cfi_calloc((size_t)dataset->train.count, sizeof(int32_t));
    assert_non_null(dataset->train.labels);
    if (options->sparse) {
        make_bytes(dataset, values, options->seed);
    } else {
        make_floats(dataset, values, options->seed);
    }
    for (int64_t i = 0; i < dataset->train.count; i++) {
        dataset->train.labels[i] =
            (int32_t)(test_uniform(options->seed, 2, (uint32_t)i) * (float)options->classes);
    }
}

static void print_problem(void *user, cfi_mark mark, const char *path, const char *text)
{
    (void)mark;
    print_error("%s: %s: %s\n", (const char *)user, path, text);
}

static void make_graph(trial_network *trial, const trial_options *options)
{
    cfi_settings *settings = &trial->settings;
    char name[CFI_NAME_SIZE_MAX];
    memcpy(trial->layers, options->layers, sizeof trial->layers);
    settings->layers = trial->layers;
    while (settings->layer_count < TRIAL_LAYERS_MAX && trial->layers[settings->layer_count].mark.line != 0) {
        cfi_layer_settings *layer = &trial->layers[settings->layer_count++];
        snprintf(layer->name, sizeof layer->name, "%s%d", cfi_layer_kind_name(layer->kind),
                 settings->layer_count);
    }
    settings->loss = options->loss;
    settings->training = options->training;
    settings->seed = options->seed;
    cfi_training_settings *training = &settings->training;
    training->batch = training->batch > 0 ? training->batch : 70;
    training->sample_grain = training->sample_grain > 0 ? training->sample_grain : 64;
    training->epochs = training->epochs > 0 ? training->epochs : 5;
    training->chain_every = 1;
    snprintf(name, sizeof name, "%s", options->name);
    assert_int_equal(cfi_graph_build(settings, options->input, options->classes, print_problem, name,
                                     &trial->graph, NULL), CF_OK);
}

static void make_engine(trial_network *trial, const trial_options *options)
{
    cf_error error = {0};
    const cfi_engine_options engine_options = {
        .graph = &trial->graph,
        .training = &trial->settings.training,
        .dataset = &trial->dataset,
        .seed = options->seed,
        .batch_max = trial->settings.training.batch,
        .threads = options->threads > 0 ? options->threads : 1,
    };
    if (cfi_engine_new(&engine_options, &trial->engine, &error) != CF_OK) {
        fail_msg("%s: %s", options->name, error.text);
    }
}

static void copy_weights(trial_network *trial)
{
    int count, parameter_count;
    const cfi_tensor *tensors = cfi_engine_tensors(trial->engine, &count, &parameter_count);
    for (int i = 0; i < parameter_count; i++) {
        reference_set(trial->reference, i / 2, i % 2 == 1, tensors[i].values, tensors[i].count);
    }
}

void trial_init(trial_network *trial, const trial_options *options)
{
    memset(trial, 0, sizeof *trial);
    make_dataset(trial, options);
    make_graph(trial, options);
    const int64_t batch = trial->settings.training.batch;
    assert_int_equal(cfi_batches_init(&trial->batches, options->seed, trial->dataset.train.count, 0, batch,
                                      trial->settings.training.drop_last, NULL), CF_OK);
    trial->indices = calloc((size_t)batch, sizeof *trial->indices);
    trial->labels = calloc((size_t)batch, sizeof *trial->labels);
    trial->inputs = calloc((size_t)(batch * trial->dataset.features), sizeof *trial->inputs);
    assert_true(trial->indices != NULL && trial->labels != NULL && trial->inputs != NULL);
    make_engine(trial, options);
    trial->reference = reference_new(&trial->graph, &trial->settings.training, options->seed);
    copy_weights(trial);
}

void trial_fini(trial_network *trial)
{
    cfi_engine_free(trial->engine);
    reference_free(trial->reference);
    cfi_graph_fini(&trial->graph);
    cfi_dataset_fini(&trial->dataset);
    free(trial->indices);
    free(trial->labels);
    free(trial->inputs);
}

static double input_value(const cfi_dataset *dataset, int64_t place)
{
    return dataset->train.bytes != NULL
               ? (double)fmaf((float)dataset->train.bytes[place], dataset->scale, dataset->shift)
               : (double)dataset->train.floats[place];
}

void trial_gather(trial_network *trial, int64_t step)
{
    const int64_t features = trial->dataset.features;
    trial->rows = cfi_batches_step(&trial->batches, step, trial->indices);
    for (int64_t row = 0; row < trial->rows; row++) {
        const int64_t index = trial->indices[row];
        trial->labels[row] = trial->dataset.train.labels[index];
        for (int64_t i = 0; i < features; i++) {
            trial->inputs[row * features + i] = input_value(&trial->dataset, index * features + i);
        }
    }
}

static float rate_of(const trial_network *trial, int64_t step)
{
    return cfi_schedule_rate(&trial->settings.training, trial->batches.steps_per_epoch, step);
}

float trial_engine_step(trial_network *trial, int64_t step)
{
    cf_error error = {0};
    cfi_step_result result = {0};
    trial_gather(trial, step);
    const float rate = rate_of(trial, step);
    if (cfi_engine_step(trial->engine, step, trial->indices, trial->rows, rate, &result, &error) != CF_OK) {
        fail_msg("step %lld: %s", (long long)step, error.text);
    }
    return result.loss;
}

void trial_step(trial_network *trial, int64_t step, double *engine_loss_out, double *reference_loss_out)
{
    *engine_loss_out = (double)trial_engine_step(trial, step);
    *reference_loss_out = reference_step(trial->reference, trial->inputs, trial->labels, trial->rows, step,
                                         (double)rate_of(trial, step));
}

double trial_distance(const double *values, const double *exact, int64_t count)
{
    double distance = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i]) || !isfinite(exact[i])) {
            return (double)INFINITY;
        }
        distance = fmax(distance, fabs(values[i] - exact[i]));
        size = fmax(size, fabs(exact[i]));
    }
    return size > 0 ? distance / size : distance;
}

double trial_parameter_error(const trial_network *trial)
{
    int count, parameter_count;
    double worst = 0;
    const cfi_tensor *tensors = cfi_engine_tensors(trial->engine, &count, &parameter_count);
    for (int i = 0; i < parameter_count; i++) {
        const reference_tensor *exact = reference_get(trial->reference, i / 2, i % 2 == 1);
        double *values = calloc((size_t)tensors[i].count, sizeof *values);
        assert_non_null(values);
        for (int64_t k = 0; k < tensors[i].count; k++) {
            values[k] = (double)tensors[i].values[k];
        }
        worst = fmax(worst, trial_distance(values, exact->values, tensors[i].count));
        free(values);
    }
    return worst;
}
