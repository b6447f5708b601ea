/* Cuttlefish as one of the workers that compare.py runs: the same protocol as peers/common.py.
 *
 *   ours --case a --threads 2 [--data FOLDER] [--chain-every 10]
 *
 * A training step is what `train` does: the step's indices, the optimizer step over the data set held as bytes, and
 * every tenth step the hash of all weights (--chain-every 0 leaves that out). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/philox.h"
#include "cases.h"
#include "engine/engine.h"

#define RANDOM_SAMPLE_COUNT 60000
#define PREDICT_BATCH_COUNT 60
#define LINE_SIZE 256

typedef struct worker {
    const char *case_name, *data_folder;
    int threads;
    int64_t chain_every;
    benchmark_case benchmark;
    cfi_dataset dataset;
    cfi_batches batches;
    cfi_engine *engine;
    int64_t *indices, *next_indices; /* owned, one batch each: of this step and the next, as `train` has them */
    int64_t next_rows;
    float *inputs;        /* owned, PREDICT_BATCH_COUNT batches of normalised rows */
    float *outputs;       /* owned, one batch */
    int64_t step;
    float loss;
    uint64_t chain;       /* keeps the hashes from being left out */
} worker;

static cf_status parse_arguments(worker *work, int count, char **values, cf_error *error)
{
    work->case_name = "a";
    work->data_folder = "";
    work->threads = 1;
    work->chain_every = 10;
    for (int i = 1; i < count; i += 2) {
        if (i + 1 == count) {
            return cfi_fail(error, CF_E_USAGE, "%s needs a value", values[i]);
        }
        if (strcmp(values[i], "--case") == 0) {
            work->case_name = values[i + 1];
        } else if (strcmp(values[i], "--data") == 0) {
            work->data_folder = values[i + 1];
        } else if (strcmp(values[i], "--threads") == 0) {
            work->threads = atoi(values[i + 1]);
        } else if (strcmp(values[i], "--chain-every") == 0) {
            work->chain_every = atoll(values[i + 1]);
        } else {
            return cfi_fail(error, CF_E_USAGE, "unknown option %s", values[i]);
        }
    }
    if (work->threads < 1 || work->threads > CFI_THREAD_COUNT_MAX || work->chain_every < 0) {
        return cfi_fail(error, CF_E_USAGE, "--threads or --chain-every is out of range");
    }
    return CF_OK;
}

/* Bytes of MNIST's shape: a fifth is not black, as in peers/common.py. */
static cf_status make_random_data(cfi_dataset *dataset, cf_error *error)
{
    memset(dataset, 0, sizeof *dataset);
    dataset->channels = 1;
    dataset->height = dataset->width = 28;
    dataset->features = 784;
    dataset->classes = 10;
    dataset->scale = 1.0f / 255.0f;
    cfi_samples *train = &dataset->train;
    train->bytes = cfi_calloc((size_t)RANDOM_SAMPLE_COUNT * 784, 1);
    train->labels = cfi_calloc(RANDOM_SAMPLE_COUNT, sizeof *train->labels);
    if (train->bytes == NULL || train->labels == NULL) {
        return cfi_fail_memory(error, "random samples");
    }
    train->count = RANDOM_SAMPLE_COUNT;
    uint32_t state = 1;
    for (int64_t i = 0; i < train->count * 784; i++) {
        state = state * 1664525u + 1013904223u;
        train->bytes[i] = (state >> 16) % 100 < 19 ? (uint8_t)(state >> 24) : 0;
    }
    for (int64_t i = 0; i < train->count; i++) {
        state = state * 1664525u + 1013904223u;
        train->labels[i] = (int32_t)((state >> 16) % 10);
    }
    return CF_OK;
}

static cf_status load_data(worker *work, cf_error *error)
{
    if (work->data_folder[0] == '\0') {
        return make_random_data(&work->dataset, error);
    }
    if (setenv("CUTTLEFISH_DATA", work->data_folder, 1) != 0) {
        return cfi_fail_memory(error, "the environment");
    }
    cfi_data_settings *settings = cfi_calloc(1, sizeof *settings);
    if (settings == NULL) {
        return cfi_fail_memory(error, "data settings");
    }
    settings->kind = CFI_DATA_MNIST;
    settings->deviation = 1.0;
    const cf_status status = cfi_dataset_load(settings, &work->dataset, error);
    cfi_free(settings);
    return status;
}

static cf_status make_engine(worker *work, cf_error *error)
{
    const cfi_dataset *dataset = &work->dataset;
    const cfi_shape input = {dataset->channels, dataset->height, dataset->width};
    CFI_TRY(benchmark_case_build(work->case_name, input, &work->benchmark, error));
    const cfi_training_settings *training = &work->benchmark.settings.training;
    const bool trains = work->benchmark.training;
    const cfi_engine_options options = {
        .graph = &work->benchmark.graph, .training = trains ? training : NULL, .dataset = trains ? dataset : NULL,
        .seed = work->benchmark.settings.seed, .batch_max = training->batch, .threads = work->threads,
    };
    CFI_TRY(cfi_engine_new(&options, &work->engine, error));
    CFI_TRY(cfi_batches_init(&work->batches, options.seed, dataset->train.count, 0, training->batch, true, error));
    work->indices = cfi_calloc((size_t)training->batch, sizeof *work->indices);
    work->next_indices = cfi_calloc((size_t)training->batch, sizeof *work->next_indices);
    const int64_t values = PREDICT_BATCH_COUNT * training->batch * dataset->features;
    work->inputs = cfi_calloc((size_t)values, sizeof *work->inputs);
    work->outputs = cfi_calloc((size_t)(training->batch * dataset->classes), sizeof *work->outputs);
    if (work->indices == NULL || work->next_indices == NULL || work->inputs == NULL || work->outputs == NULL) {
        return cfi_fail_memory(error, "batches");
    }
    work->next_rows = trains ? cfi_batches_step(&work->batches, 0, work->next_indices) : 0;
    for (int64_t i = 0; i < values; i++) {
        work->inputs[i] = (float)dataset->train.bytes[i] * dataset->scale;
    }
    return CF_OK;
}

static cf_status train_step(worker *work, cf_error *error)
{
    cfi_step_result result;
    const int64_t rows = work->next_rows;
    int64_t *const indices = work->next_indices;
    work->next_indices = work->indices;
    work->indices = indices;
    work->next_rows = cfi_batches_step(&work->batches, work->step + 1, work->next_indices);
    cfi_engine_prefetch(work->engine, work->next_indices, work->next_rows);
    const float rate = (float)work->benchmark.settings.training.optimizer.rate;
    CFI_TRY(cfi_engine_step(work->engine, work->step, work->indices, rows, rate, &result, error));
    work->loss = result.loss;
    work->step++;
    if (work->chain_every > 0 && work->step % work->chain_every == 0) {
        const cfi_hash hash = cfi_engine_state_hash(work->engine);
        uint64_t part;
        memcpy(&part, &hash, sizeof part);
        work->chain ^= part;
    }
    return CF_OK;
}

static cf_status predict_step(worker *work, cf_error *error)
{
    const int64_t rows = work->benchmark.settings.training.batch;
    const int64_t batch = work->step++ % PREDICT_BATCH_COUNT;
    return cfi_engine_predict(work->engine, work->inputs + batch * rows * work->dataset.features, rows, work->outputs,
                              error);
}

/* Whole steps for about `seconds`. */
static cf_status run_for(worker *work, double seconds, int64_t *steps_out, double *elapsed_out, cf_error *error)
{
    const uint64_t begin = cfi_clock_ns();
    double elapsed = 0.0;
    int64_t steps = 0;
    while (elapsed < seconds) {
        CFI_TRY(work->benchmark.training ? train_step(work, error) : predict_step(work, error));
        steps++;
        elapsed = (double)(cfi_clock_ns() - begin) * 1e-9;
    }
    *steps_out = steps;
    *elapsed_out = elapsed;
    return CF_OK;
}

static cf_status serve(worker *work, cf_error *error)
{
    char line[LINE_SIZE];
    int64_t steps;
    double seconds, elapsed;
    CFI_TRY(run_for(work, 0.5, &steps, &elapsed, error));
    printf("{\"ready\": true, \"mode\": \"%s\", \"version\": \"cuttlefish %s\", \"chain_every\": %lld}\n",
           cfi_engine_kernels(work->engine), cf_version(), (long long)work->chain_every);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "go %lf", &seconds) != 1) {
            continue;
        }
        CFI_TRY(run_for(work, seconds < 0.4 ? seconds / 4 : 0.1, &steps, &elapsed, error));
        CFI_TRY(run_for(work, seconds, &steps, &elapsed, error));
        printf("{\"steps\": %lld, \"seconds\": %.9g, \"loss\": %.6g, \"check\": \"%016llx\"}\n", (long long)steps,
               elapsed, (double)work->loss, (unsigned long long)work->chain);
        fflush(stdout);
    }
    return CF_OK;
}

int main(int argument_count, char **arguments)
{
    static worker work; /* too large for a small stack, and zeroed */
    cf_error error = {0};
    cf_status status = parse_arguments(&work, argument_count, arguments, &error);
    if (status == CF_OK) {
        status = load_data(&work, &error);
    }
    if (status == CF_OK) {
        status = make_engine(&work, &error);
    }
    if (status == CF_OK) {
        status = serve(&work, &error);
    }
    cfi_engine_free(work.engine);
    cfi_graph_fini(&work.benchmark.graph);
    cfi_dataset_fini(&work.dataset);
    cfi_free(work.indices);
    cfi_free(work.next_indices);
    cfi_free(work.inputs);
    cfi_free(work.outputs);
    if (status != CF_OK) {
        fprintf(stderr, "ours: %s\n", error.text);
        return status == CF_E_USAGE ? 2 : 1;
    }
    return 0;
}
