/* Tests of this room: a network from a few lines of YAML, and a plan for it. */
#ifndef CFI_PLAN_PLAN_FIXTURE_H
#define CFI_PLAN_PLAN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "config/config.h"
#include "plan/place.h"

#define MNIST_30_10                                                       \
    "name: mnist\ndata: {dataset: mnist}\nnetwork: {layers: [{dense: {name: hidden, units: 30, activation: " \
    "sigmoid}}, {dense: {name: output, units: 10}}]}\n"

typedef struct network {
    cfi_settings settings;
    cfi_graph graph;
} network;

static inline void report_mistake(void *user, cfi_mark mark, const char *path, const char *text)
{
    (void)user;
    (void)mark;
    print_error("%s: %s\n", path, text);
}

/* The text and one more, which is laid over it by --set for each line "path=value". */
static inline void network_init(network *n, const char *text, const char *const *sets, cfi_shape input)
{
    cfi_problems problems = {0};
    cf_error error = {0};
    size_t count = 0;
    while (sets != NULL && sets[count] != NULL) {
        count++;
    }
    const cfi_config_sources sources = {.text = text, .text_name = "t.yaml", .sets = sets, .set_count = count};
    if (cfi_config_load(&sources, &n->settings, &problems, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(cfi_graph_build(&n->settings, input, 10, report_mistake, NULL, &n->graph, &error), CF_OK);
    cfi_problems_fini(&problems);
}

static inline void mnist_init(network *n, const char *const *sets)
{
    network_init(n, MNIST_30_10, sets, (cfi_shape){1, 28, 28});
}

static inline void network_fini(network *n)
{
    cfi_graph_fini(&n->graph);
    cfi_settings_fini(&n->settings);
}

static inline cfi_cluster_options network_options(const network *n, int containers)
{
    return (cfi_cluster_options){.settings = &n->settings, .graph = &n->graph, .train_count = 60000,
                                 .test_count = 10000, .steps = -1, .containers = containers};
}

static inline void plan_for(const network *n, int containers, cfi_cluster *cluster)
{
    const cfi_cluster_options options = network_options(n, containers);
    cf_error error = {0};
    if (cfi_cluster_plan(&options, cluster, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
}

#endif
