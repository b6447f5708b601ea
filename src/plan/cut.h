/* Stages -> shards -> containers. Inside the room only. */
#ifndef CFI_PLAN_CUT_H
#define CFI_PLAN_CUT_H

#include "plan/place.h"

/* Fills stages and units (each with the container it would have without hints: a number below the unit count, shared by
 * those that belong together). */
cf_status cfi_cut(const cfi_cluster_options *options, cfi_cluster *cluster, cf_error *error)
    __attribute__((warn_unused_result));

/* Joins containers by `together`, checks `apart` and `slots`, then numbers the containers in the order of their first
 * units and fills them (name, cpu, memory). */
cf_status cfi_cut_join(const cfi_cluster_options *options, cfi_cluster *cluster, cf_error *error)
    __attribute__((warn_unused_result));

/* The units that a member of a hint names, first..last; a neuron is the shard that holds it. False: none (the name was
 * not checked by config/). */
bool cfi_cut_member(const cfi_cluster *cluster, const cfi_graph *graph, const char *member, int *first_out,
                    int *last_out);

/* FLOPs of one neuron for one sample, forward and backward. */
int64_t cfi_cut_neuron_flops(const cfi_graph *graph, const cfi_stage *stage);

#endif
