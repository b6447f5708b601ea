/* Small networks for the simulator's tests: settings, graph and made-up samples. */
#ifndef TESTS_SIM_SMALL_H
#define TESTS_SIM_SMALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "config/config.h"
#include "engine/compute.h"
#include "sim/sim.h"

enum { SMALL_FEATURES = 4, SMALL_CLASSES = 3, SMALL_SAMPLES = 44, SMALL_TESTS = 10 };

typedef struct small_network {
    cfi_settings settings;
    cfi_graph graph;
    cfi_dataset dataset;
    cfi_compute_ops compute;
    cfi_sim *sim;
} small_network;

/* 4-6-3, every neuron may be a shard of its own. */
static const char small_plain[] =
    "name: small\n"
    "seed: 3\n"
    "data: {dataset: mnist}\n"
    "network:\n"
    "  layers:\n"
    "    - dense: {name: hidden, units: 6, activation: tanh, grain: 1}\n"
    "    - dense: {name: out, units: 3, grain: 1}\n"
    "training: {batch: 8, sample_grain: 1, chain_every: 1, optimizer: {sgd: {rate: 0.1, momentum: 0.9}}}\n";

/* Clipping, dropout, validation, three layers, a last batch that is smaller, a chain of every third step. */
static const char small_rich[] =
    "name: rich\n"
    "seed: 4\n"
    "data: {dataset: mnist, validation: 9}\n"
    "network:\n"
    "  layers:\n"
    "    - dense: {name: one, units: 5, activation: relu, grain: 1}\n"
    "    - dropout: {rate: 0.2}\n"
    "    - dense: {name: two, units: 4, activation: sigmoid, grain: 2}\n"
    "    - dense: {name: out, units: 3, grain: 1}\n"
    "training: {batch: 8, sample_grain: 2, chain_every: 3, clip_norm: 0.5, optimizer: {adam: {rate: 0.01}}}\n";

static inline void small_problem(void *user, cfi_mark mark, const char *path, const char *text)
{
    (void)user;
    (void)mark;
    print_message("%s: %s\n", path, text);
}

static inline void small_samples(cfi_samples *samples, int count, int salt)
{
    samples->count = count;
    samples->bytes = cfi_calloc((size_t)count, SMALL_FEATURES);
    samples->labels = cfi_calloc((size_t)count, sizeof(int32_t));
    assert_non_null(samples->bytes);
    assert_non_null(samples->labels);
    for (int i = 0; i < count; i++) {
        samples->labels[i] = (i + salt) % SMALL_CLASSES;
        for (int j = 0; j < SMALL_FEATURES; j++) {
            samples->bytes[i * SMALL_FEATURES + j] =
                (uint8_t)(i * 37 + salt * 5 + j * 11 + 60 * (j == samples->labels[i]));
        }
    }
}

static inline void small_init(small_network *small, const char *text, int64_t steps, int containers)
{
    cf_error error = {0};
    cfi_problems problems = {0};
    const cfi_config_sources sources = {.text = text};
    const cfi_shape input = {SMALL_FEATURES, 1, 1};
    *small = (small_network){.dataset = {.channels = SMALL_FEATURES, .height = 1, .width = 1,
                                         .features = SMALL_FEATURES, .classes = SMALL_CLASSES,
                                         .scale = 1.0f / 255.0f}};
    if (cfi_config_load(&sources, &small->settings, &problems, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    cfi_problems_fini(&problems);
    small_samples(&small->dataset.train, SMALL_SAMPLES, 0);
    small_samples(&small->dataset.test, SMALL_TESTS, 1);
    if (cfi_graph_build(&small->settings, input, SMALL_CLASSES, small_problem, NULL, &small->graph, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    if (cfi_native_compute(&small->compute, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    const cfi_sim_options options = {.settings = &small->settings, .graph = &small->graph, .dataset = &small->dataset,
                                     .compute = &small->compute, .steps = steps, .containers = containers};
    if (cfi_sim_new(&options, &small->sim, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
}

static inline void small_fini(small_network *small)
{
    cfi_sim_free(small->sim);
    cfi_dataset_fini(&small->dataset);
    cfi_graph_fini(&small->graph);
    cfi_settings_fini(&small->settings);
}

/* A number from the environment, or `usual`. */
static inline int64_t small_number(const char *name, int64_t usual)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoll(text, NULL, 10) : usual;
}

static inline cfi_sim_result small_run(small_network *small, const cfi_sim_run *run)
{
    cf_error error = {0};
    cfi_sim_result result;
    if (cfi_sim_seed(small->sim, run, &result, &error) != CF_OK) {
        fail_msg("seed %llu: %s", (unsigned long long)run->seed, error.text);
    }
    return result;
}

#endif
