/* What holds for every plan, wherever it comes from. */
#ifndef CFI_PLAN_CLUSTER_CHECK_H
#define CFI_PLAN_CLUSTER_CHECK_H

#include "plan/cluster.h"

#define CFI_CLUSTER_UNIT_COUNT_MAX 100000 /* units of a plan, and its containers */

/* Ranges tile each stage at multiples of its grain, indices are in range, names differ, no container is empty, and the
 * order of work makes sense. CF_E_DATA names what does not hold; CF_E_MEMORY. */
cf_status cfi_cluster_check(const cfi_cluster *cluster, cf_error *error) __attribute__((warn_unused_result));

#endif
