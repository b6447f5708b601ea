/* A fingerprint of everything that decides the weights, so that a run is never continued as another one. */
#ifndef CFI_ENGINE_DIGEST_H
#define CFI_ENGINE_DIGEST_H

#include "base/hash.h"
#include "data/dataset.h"
#include "graph/graph.h"

/* Writes the digest's text (CFI_HASH_TEXT_SIZE bytes): seed, graph, training settings, and the training samples
 * themselves. Not in it, so that a resumed run may change them: epochs (unless the schedule depends on them),
 * patience, checkpoint settings, micro_batches, paths, names.
 * Cost: one XXH3-128 over the samples, about 10 ms for MNIST. CF_E_MEMORY. */
cf_status cfi_config_digest(const cfi_settings *settings, const cfi_graph *graph, const cfi_dataset *dataset,
                            char *text_out, cf_error *error) __attribute__((warn_unused_result));

#endif
