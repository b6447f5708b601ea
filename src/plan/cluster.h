/* A network cut into parts that run apart: stages, units, containers. What `plan` decides and every node reads.
 *
 * A stage is a layer with weights and the layers without that follow it (activation, pool, flatten and dropout belong
 * to the neuron or channel they follow). A shard is a contiguous range of a stage's neurons, cut at multiples of the
 * layer's grain. Units are what can be addressed: controller, store, source, loss and the shards. A container hosts one
 * or more.
 *
 * Plain values: no pointers into settings or graph, so that a plan can be stored and read elsewhere. Immutable once
 * made. */
#ifndef CFI_PLAN_CLUSTER_H
#define CFI_PLAN_CLUSTER_H

#include "base/hash.h"
#include "graph/graph.h"

typedef enum cfi_unit_kind {
    CFI_UNIT_CONTROLLER, CFI_UNIT_STORE, CFI_UNIT_SOURCE, CFI_UNIT_LOSS, CFI_UNIT_SHARD
} cfi_unit_kind;

/* The first units of every plan, so that they are found without one; shards follow in stage order, then by neuron. */
enum { CFI_UNIT_INDEX_CONTROLLER = 0, CFI_UNIT_INDEX_STORE = 1, CFI_UNIT_INDEX_SOURCE = 2, CFI_UNIT_INDEX_LOSS = 3,
       CFI_UNIT_INDEX_SHARDS = 4 };

#define CFI_UNIT_NAME_SIZE (CFI_NAME_SIZE_MAX + 32)
#define CFI_CONTAINER_NAME_SIZE (CFI_NAME_SIZE_MAX + 48)

typedef struct cfi_stage {
    int layer;               /* index in the graph of the layer with weights                   */
    int layer_end;           /* one past the last layer that goes with it                      */
    int64_t neurons, grain;  /* of the layer with weights                                      */
    int64_t inputs, outputs; /* features: of its input, and of its output (layer_end - 1)      */
    int64_t outputs_per_neuron; /* outputs / neurons; a shard's output features are contiguous */
    int first_unit, unit_count; /* its shards */
} cfi_stage;

typedef struct cfi_unit {
    cfi_unit_kind kind;
    int stage;               /* shards; else -1 */
    int64_t begin, end;      /* neurons; else 0, 0 */
    int container;
    char name[CFI_UNIT_NAME_SIZE]; /* "controller", "store", "source", "loss", "hidden" (whole), "hidden.3",
                              * "hidden.0-15" */
} cfi_unit;

typedef struct cfi_container {
    char name[CFI_CONTAINER_NAME_SIZE]; /* of its first unit, "+2" added when it hosts two more; unlike any other */
    char endpoint[256];      /* where its inbound queue is; given by the orchestrator, "" before */
    char host[CFI_NAME_SIZE_MAX], zone[CFI_NAME_SIZE_MAX]; /* "" = any */
    double cpu;              /* cores */
    int64_t memory;          /* bytes */
} cfi_container;

/* A range of neurons that the plan before had as one shard: where this plan's shards find their first state. */
typedef struct cfi_earlier {
    int stage;
    int64_t begin, end;
} cfi_earlier;

/* Everything about the order of work; what a node needs to know without the data set. */
typedef struct cfi_work {
    int64_t train_count, validation_count, test_count; /* samples */
    int64_t batch, sample_grain, micro_batches;
    bool drop_last;
    int64_t steps_per_epoch;
    int64_t step_count;      /* training ends after this many steps (or earlier, by patience) */
    int64_t chain_every;
    int64_t persist_every;   /* HEAD moves in multiples of this */
    int64_t window;          /* steps that anyone may be ahead of HEAD; >= 2 * persist_every */
} cfi_work;

typedef struct cfi_cluster {
    uint32_t id;             /* of the plan: 1, 2, ... */
    uint64_t run[2];         /* random, made by `up` */
    uint64_t digest;         /* of what decides the weights, and the numerics' version */
    char name[CFI_NAME_SIZE_MAX]; /* of the network */
    cfi_work work;
    cfi_stage *stages;       /* all owned */
    int stage_count;
    cfi_unit *units;
    int unit_count;
    cfi_container *containers;
    int container_count;
    cfi_earlier *earlier;    /* empty in plan 1 */
    int earlier_count;
} cfi_cluster;

void cfi_cluster_fini(cfi_cluster *cluster); /* safe on a zeroed one */

/* Fills stages (units not counted yet) from a graph. CF_E_UNSUPPORTED when a layer without weights other than flatten
 * comes before the first one with: the text names it. */
cf_status cfi_cluster_stages(const cfi_graph *graph, cfi_stage **stages_out, int *count_out, cf_error *error)
    __attribute__((warn_unused_result));

/* The plan as JSON text and back. Reading trusts nothing: ranges must tile each stage at multiples of the grain,
 * indices be in range, counts within limits. *text_out is freed with cfi_free. CF_E_DATA, CF_E_MEMORY. */
cf_status cfi_cluster_print(const cfi_cluster *cluster, char **text_out, cf_error *error)
    __attribute__((warn_unused_result));
cf_status cfi_cluster_parse(const char *text, size_t length, cfi_cluster *cluster_out, cf_error *error)
    __attribute__((warn_unused_result));

/* Index of the unit or container of that name, -1 when there is none. */
int cfi_cluster_find_unit(const cfi_cluster *cluster, const char *name);
int cfi_cluster_find_container(const cfi_cluster *cluster, const char *name);

#endif
