/* What an engine offers: one network's arithmetic, step by step. No files, no clock, no data order in here:
 * training (train.c) brings those together. engine/native is the first engine.
 *
 * Threads: an engine owns its worker threads and is called by one thread at a time.
 * Determinism: weights after step s are a function of (graph, settings, seed, samples, indices), whatever the
 * thread count or kernel table (docs/math/arithmetic.md). */
#ifndef CFI_ENGINE_ENGINE_H
#define CFI_ENGINE_ENGINE_H

#include "base/hash.h"
#include "data/dataset.h"
#include "learn/tensor.h"
#include "graph/graph.h"

typedef struct cfi_engine cfi_engine;

typedef struct cfi_engine_options {
    const cfi_graph *graph;                  /* borrowed until free */
    const cfi_training_settings *training;   /* borrowed until free; NULL: forward only, no gradients held */
    const cfi_dataset *dataset;              /* borrowed until free; NULL: only predict with floats */
    uint64_t seed;
    int64_t batch_max;                       /* most rows of a step or forward call */
    int threads;                             /* 0: CUTTLEFISH_THREADS, or as many cores as have enough to do */
} cfi_engine_options;

typedef struct cfi_step_result {
    float loss;                              /* mean over the rows */
    int64_t correct;                         /* rows whose largest output is the label */
} cfi_step_result;

cf_status cfi_engine_new(const cfi_engine_options *options, cfi_engine **engine_out, cf_error *error)
    __attribute__((warn_unused_result));
void cfi_engine_free(cfi_engine *engine);

/* Sets weights to their initial values (learn/initialise.h), optimizer state to zero. Done by cfi_engine_new too. */
void cfi_engine_initialise(cfi_engine *engine);

/* One optimizer step `step` (0-based) over `rows` training samples of the dataset, at learning rate `rate`.
 * Allocates nothing. CF_E_NUMERIC when loss or gradients are not finite: text names layer and step. */
cf_status cfi_engine_step(cfi_engine *engine, int64_t step, const int64_t *indices, int64_t rows, float rate,
                          cfi_step_result *result_out, cf_error *error) __attribute__((warn_unused_result));

/* Asks the cache for the training samples that the next step will read; a hint, made while the caller has them. */
void cfi_engine_prefetch(const cfi_engine *engine, const int64_t *indices, int64_t rows);

/* Forward only over samples of the dataset: loss sum and right answers over `rows` <= batch_max samples; predicted
 * (room for rows, or NULL) receives each row's class. Dropout is off. */
cf_status cfi_engine_evaluate(cfi_engine *engine, const cfi_samples *samples, const int64_t *indices, int64_t rows,
                              double *loss_sum_out, int64_t *correct_out, int32_t *predicted, cf_error *error)
    __attribute__((warn_unused_result));

/* Forward only: inputs (rows, features) already normalised, row-major -> outputs (rows, output features): probabilities
 * for softmax and binary cross-entropy, else the last layer's outputs. rows <= batch_max. */
cf_status cfi_engine_predict(cfi_engine *engine, const float *inputs, int64_t rows, float *outputs, cf_error *error)
    __attribute__((warn_unused_result));

/* Parameters first, in layer order (weight, bias), then optimizer state in the same order. The array is owned by the
 * engine; values may be written (then call cfi_engine_weights_changed). */
const cfi_tensor *cfi_engine_tensors(const cfi_engine *engine, int *count_out, int *parameter_count_out);
void cfi_engine_weights_changed(cfi_engine *engine);

/* Root of the state tree (docs/math/arithmetic.md): every neuron's weight row, bias and optimizer state. */
cfi_hash cfi_engine_state_hash(cfi_engine *engine);

/* XXH3-128 over all parameters in layer order (weight, then bias), little endian: the `weights` of the result. */
cfi_hash cfi_engine_weights_hash(const cfi_engine *engine);

const char *cfi_engine_kernels(const cfi_engine *engine);
int cfi_engine_threads(const cfi_engine *engine);

/* Bytes held: weights, optimizer state, activations and scratch, in this order. */
void cfi_engine_memory(const cfi_engine *engine, int64_t bytes_out[3]);

#endif
