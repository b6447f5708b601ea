/* Training: brings an engine, the data order, the clock, events and the run folder together.
 *
 * The weights, the chain and the decision to stop early are functions of (file, data, seed) alone, however often the
 * training was stopped, killed and resumed. Between evaluations and checkpoints the loop allocates nothing. */
#ifndef CFI_ENGINE_TRAIN_H
#define CFI_ENGINE_TRAIN_H

#include "config/settings.h"
#include "data/dataset.h"
#include "graph/graph.h"

typedef struct cfi_train_job {
    const cfi_settings *settings; /* all borrowed for the length of the call */
    const cfi_graph *graph;
    const cfi_dataset *dataset;
    cf_train_options options;     /* cuttlefish.h; steps -1 = as the file says. Zeroed memory means "0 steps" */
} cfi_train_job;

/* Trains as cf_train describes. `epochs` of the result are the finished ones. Figures of the result: of the test set,
 * else of the validation set, else of the running epoch; after a cancel in mid-epoch of the running epoch.
 * On CF_OK and CF_E_CANCELLED result_out is filled and a checkpoint of the last step is durable (unless no_run_folder).
 * On any other failure result_out is untouched and the run can be resumed from its last checkpoint.
 * Errors: CF_E_CONFIG (early stopping without validation samples; resuming a run whose file, data or seed differ),
 * CF_E_USAGE, CF_E_EXISTS, CF_E_IO, CF_E_MEMORY, CF_E_LIMIT, CF_E_SHAPE, CF_E_NUMERIC, CF_E_CANCELLED. */
cf_status cfi_train(const cfi_train_job *job, cf_train_result *result_out, cf_error *error)
    __attribute__((warn_unused_result));

#endif
