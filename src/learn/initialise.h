/* Initial weights: a pure function of (seed, layer, index), so that any part of a layer can be made alone. */
#ifndef CFI_LEARN_INITIALISE_H
#define CFI_LEARN_INITIALISE_H

#include "graph/graph.h"

/* Fills rows [row_begin, row_end) of a layer with weights, as they stand before the first step.
 *
 * layer    has weights (weight_index >= 0)
 * weights  (row_end - row_begin, fan_in) row-major; the values are those of the same rows of the whole layer
 * biases   (row_end - row_begin)
 * Cost     about 50 ns a value, allocates nothing     Thread  any
 * Source   docs/math/initialisation.md */
void cfi_initialise_layer(const cfi_layer *layer, uint64_t seed, int64_t row_begin, int64_t row_end,
                          float *weights, float *biases);

#endif
