/* Know before you run: layers, shapes, parameters, FLOPs, memory, and the step time that this machine will take. */
#ifndef CFI_PLAN_PLAN_H
#define CFI_PLAN_PLAN_H

#include "config/settings.h"
#include "graph/graph.h"

/* Fills a plan (cuttlefish.h, free with cf_plan_free) for training `graph` by `settings`.
 *
 * The step time is measured, not modelled: an engine for this very graph makes steps at rate 0 for about 0.2 s and
 * the median counts, the first left out. They use the data set, which is loaded for the length of the call; where its
 * files are missing, a batch of made-up samples, and data_bytes and steps_per_epoch are 0.
 * threads  0: as cfi_pool_default_threads; threads run for the length of the call
 * Errors: CF_E_MEMORY, CF_E_USAGE (threads), CF_E_DATA (the files are malformed), CF_E_CONFIG (validation
 * leaves nothing to train on). *plan_out borrows nothing. */
cf_status cfi_plan_new(const cfi_settings *settings, const cfi_graph *graph, int threads, cf_plan **plan_out,
                       cf_error *error) __attribute__((warn_unused_result));

/* Places the network into `containers` (0: as the file says) and keeps what cf_plan_get_cluster and its like return. A
 * plan may be placed again. Errors: as cfi_cluster_plan; what was placed before stays. */
cf_status cfi_plan_place(cf_plan *plan, const cfi_settings *settings, const cfi_graph *graph, int containers,
                         cf_error *error) __attribute__((warn_unused_result));

#endif
