/* What a plan costs: work, messages, bytes, memory and the time of a step, by a model with fixed constants.
 *
 * The model takes a step as phases (samples out, forward stage by stage, loss, backward stage by stage), since each
 * stage waits for all of the one before. A phase lasts as long as its most loaded container, or as its host's cores
 * need for all of them, whichever is longer; micro-batches overlap phases. Only figures for people and
 * `persist_every: auto` depend on it, never a weight. */
#ifndef CFI_PLAN_COST_H
#define CFI_PLAN_COST_H

#include "plan/cluster.h"

typedef struct cfi_cost_options {
    const cfi_settings *settings;
    const cfi_graph *graph;
    double core_flops;  /* FLOP/s of one core; 0: the table's */
    int cores;          /* of each host that does not say; 0: the table's */
} cfi_cost_options;

/* Of one unit or container for one step. */
typedef struct cfi_cost_part {
    int64_t neurons, parameters;
    int64_t memory;                  /* bytes: weights, optimizer, gradients, activations, kept messages */
    int64_t state;                   /* bytes of its durable state */
    int64_t messages_in, messages_out, bytes_in, bytes_out;
    double forward, backward;        /* seconds of processor time, messages included */
} cfi_cost_part;

enum { CFI_COST_LIMITS_MAX = 8, CFI_COST_LIMIT_SIZE = 256, CFI_COST_PATH_SIZE = 512 };

typedef struct cfi_cost {
    cfi_cost_part *containers;       /* (container_count), owned */
    cfi_cost_part total;
    double step_seconds;
    char path[CFI_COST_PATH_SIZE];   /* the critical path: the slowest container of each phase and its time */
    char limits[CFI_COST_LIMITS_MAX][CFI_COST_LIMIT_SIZE]; /* what this plan would run into */
    int limit_count;
} cfi_cost;

/* Free with cfi_cost_fini. CF_E_MEMORY. */
cf_status cfi_cost_estimate(const cfi_cost_options *options, const cfi_cluster *cluster, cfi_cost *cost_out,
                            cf_error *error) __attribute__((warn_unused_result));
void cfi_cost_fini(cfi_cost *cost); /* safe on a zeroed one */

/* Each unit's share: parts_out (unit_count). */
void cfi_cost_units(const cfi_cost_options *options, const cfi_cluster *cluster, cfi_cost_part *parts_out);

/* Seconds that `bytes` take from one host to another. */
double cfi_cost_travel(int64_t bytes);
double cfi_cost_cores(const cfi_cost_options *options, double cpu); /* of a host with `cpu` (0 = not said) */

/* persist_every and window of a plan whose other figures are there; by the table's constants alone, so that the same
 * plan gets the same figures everywhere. CF_E_MEMORY. */
cf_status cfi_cost_window(const cfi_settings *settings, const cfi_graph *graph, cfi_cluster *cluster, cf_error *error)
    __attribute__((warn_unused_result));

#endif
