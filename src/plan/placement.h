/* A plan for people: a cluster, what it costs, and what one container would cost instead. Inside the room only. */
#ifndef CFI_PLAN_PLACEMENT_H
#define CFI_PLAN_PLACEMENT_H

#include "plan/cost.h"
#include "plan/place.h"

typedef struct cfi_placement {
    cfi_cluster cluster;
    cfi_cost cost;
    double free_seconds;  /* a step with everything in one container */
    char (*reasons)[CFI_CLUSTER_REASON_SIZE]; /* (containers), owned */
    char **units;         /* (containers), owned: names joined by ", " */
} cfi_placement;

/* core_flops, cores: as cfi_cost_options. Free with cfi_placement_free. */
cf_status cfi_placement_new(const cfi_cluster_options *options, double core_flops, int cores,
                            cfi_placement **placement_out, cf_error *error) __attribute__((warn_unused_result));
void cfi_placement_free(cfi_placement *placement); /* NULL is fine */

#endif
