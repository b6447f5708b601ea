/* From a network and its settings to a plan: what is cut where, what shares a container, and on which host it runs.
 *
 * The cut (placement.neurons_per_container, or a number of containers), then the hints: `together` puts all shards of
 * what it names into one container, however finely they are cut; `apart`, `slots` and hosts only say no. Nothing here
 * changes a weight. The same options give the same plan, byte for byte. */
#ifndef CFI_PLAN_PLACE_H
#define CFI_PLAN_PLACE_H

#include "plan/cluster.h"

typedef enum cfi_place_algorithm {
    CFI_PLACE_HEFT,       /* by longest way to the end, each to where it ends first                       */
    CFI_PLACE_GREEDY,     /* in the order of the data, each to where it ends first (TensorFlow, 2015)     */
    CFI_PLACE_EXHAUSTIVE  /* all assignments; CF_E_LIMIT beyond a million of them: for tests              */
} cfi_place_algorithm;

typedef struct cfi_cluster_options {
    const cfi_settings *settings;
    const cfi_graph *graph;
    int64_t train_count;      /* samples in the training file, validation included (how many of these: settings) */
    int64_t test_count;
    int64_t steps;            /* -1: epochs * steps per epoch */
    int containers;           /* beside controller and store; 0: as the file says. Hints may join some of them */
    const cfi_cluster *before; /* NULL for plan 1; else its number + 1, run and digest are taken on */
    cfi_place_algorithm algorithm;
} cfi_cluster_options;

/* Fills a plan (cfi_cluster_fini). run and digest stay 0 without `before`; endpoints are "".
 * CF_E_CONFIG: what is wished cannot be; the text names what stands in the way and the cure. CF_E_USAGE: `before` is of
 * another network, or more containers than there can be. CF_E_UNSUPPORTED (as cfi_cluster_stages), CF_E_LIMIT,
 * CF_E_MEMORY. */
cf_status cfi_cluster_plan(const cfi_cluster_options *options, cfi_cluster *cluster_out, cf_error *error)
    __attribute__((warn_unused_result));

/* Why a container is as it is, as one line: the cut, the hints that join it or say where, and its host. */
#define CFI_CLUSTER_REASON_SIZE 512
void cfi_cluster_reason(const cfi_cluster_options *options, const cfi_cluster *cluster, int container,
                        char reason[CFI_CLUSTER_REASON_SIZE]);

#endif
