/* Which container on which host: the search. Inside the room only. */
#ifndef CFI_PLAN_SCHEDULE_H
#define CFI_PLAN_SCHEDULE_H

#include "plan/place.h"

typedef struct cfi_schedule {
    const cfi_settings *settings;
    const cfi_graph *graph;
    const cfi_cluster *cluster;
    const bool *allowed;      /* (containers, hosts); at least one true for each container */
    const cfi_host *hosts;
    int host_count;           /* at least 1 */
} cfi_schedule;

/* hosts_out (containers): never one that is not allowed, nor more on one than its memory and cpu. CF_E_CONFIG: no room
 * (or none was found: finding one is NP-hard, and three orders are tried); CF_E_LIMIT: exhaustive, and too many. */
cf_status cfi_schedule_solve(const cfi_schedule *schedule, cfi_place_algorithm algorithm, int *hosts_out,
                             cf_error *error) __attribute__((warn_unused_result));

/* Seconds of one step when containers run where `hosts` says. CF_E_MEMORY. */
cf_status cfi_schedule_seconds(const cfi_schedule *schedule, const int *hosts, double *seconds_out, cf_error *error)
    __attribute__((warn_unused_result));

#endif
