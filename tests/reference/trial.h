/* A small network with seeded data, held by the engine and by the reference at once: what the tests in
 * tests/integration compare. Everything here ends the test on failure (cmocka). */
#ifndef REFERENCE_TRIAL_H
#define REFERENCE_TRIAL_H

#include "engine/engine.h"
#include "reference/reference.h"

#define TRIAL_LAYERS_MAX 12

/* Layers in one line each; mark.line tells a given layer from the empty rest of an array. */
#define TRIAL_WEIGHTED(layer_kind, count, function)                                                           \
    .kind = (layer_kind), .units = (count), .activation = CFI_ACTIVATION_##function, .leaky_slope = 0.1,      \
    .init = CFI_INIT_NIELSEN, .mark = {.line = 1}
#define DENSE(count, function) {TRIAL_WEIGHTED(CFI_LAYER_DENSE, count, function)}
#define DENSE_GRAIN(count, function, leaf) {TRIAL_WEIGHTED(CFI_LAYER_DENSE, count, function), .grain = (leaf)}
/* CONV(filters, kernel height, width, stride height, width, VALID | SAME | NUMBER, zeros, activation) */
#define CONV(count, kh, kw, sh, sw, pad, zeros, function)                                                     \
    {TRIAL_WEIGHTED(CFI_LAYER_CONV2D, count, function), .kernel = {kh, kw}, .stride = {sh, sw},               \
     .padding_kind = CFI_PADDING_##pad, .padding = (zeros)}
#define CONV_GRAIN(count, k, function, leaf)                                                                  \
    {TRIAL_WEIGHTED(CFI_LAYER_CONV2D, count, function), .kernel = {k, k}, .stride = {1, 1}, .grain = (leaf)}
/* POOL(MAX | AVG, window height, width, stride height, width) */
#define POOL(which, kh, kw, sh, sw)                                                                           \
    {.kind = CFI_LAYER_##which##_POOL, .kernel = {kh, kw}, .stride = {sh, sw}, .mark = {.line = 1}}
#define FLATTEN {.kind = CFI_LAYER_FLATTEN, .mark = {.line = 1}}
#define DROPOUT(share) {.kind = CFI_LAYER_DROPOUT, .dropout_rate = (share), .mark = {.line = 1}}

/* What a trial is made of; zeros stand for: 1 thread, sample_grain 64, 70 samples, batch 70. */
typedef struct trial_options {
    const char *name;
    cfi_shape input;
    int64_t classes;
    cfi_loss_kind loss;
    cfi_layer_settings layers[TRIAL_LAYERS_MAX];
    cfi_training_settings training; /* batch, sample_grain, optimizer, clip_norm, schedule, epochs are used */
    int64_t samples;
    int threads;
    uint64_t seed;
    bool sparse;                    /* inputs as of MNIST: bytes, four of five 0; otherwise floats in [-1, 1) */
} trial_options;

typedef struct trial_network {
    cfi_settings settings;
    cfi_layer_settings layers[TRIAL_LAYERS_MAX];
    cfi_graph graph;
    cfi_dataset dataset;
    cfi_batches batches;
    cfi_engine *engine;
    reference_network *reference;
    int64_t *indices;   /* of the current step */
    double *inputs;     /* (rows, features) of the current step */
    int32_t *labels;
    int64_t rows;
} trial_network;

/* Builds everything; the reference starts from the engine's initial weights. End with trial_fini. */
void trial_init(trial_network *trial, const trial_options *options);
void trial_fini(trial_network *trial);

/* Gathers the samples of optimizer step `step` into indices, inputs, labels, rows. */
void trial_gather(trial_network *trial, int64_t step);

/* One step of the engine / of both, at the schedule's rate. Losses are those before the step. */
float trial_engine_step(trial_network *trial, int64_t step);
void trial_step(trial_network *trial, int64_t step, double *engine_loss_out, double *reference_loss_out);

/* Largest distance between the engine's parameters and the reference's, relative to the largest value of the
 * tensor. */
double trial_parameter_error(const trial_network *trial);

/* Distance of two arrays, relative to the largest of `exact` (absolute when all are 0). */
double trial_distance(const double *values, const double *exact, int64_t count);

#endif
