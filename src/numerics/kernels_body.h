/* The whole table for one instruction set: include after a simd_*.h, with TABLE and TABLE_NAME defined. */
#include <stdbool.h>
#include <stddef.h>

#include "numerics/kernels_tile.h"

#include "numerics/kernels_math.h"

#include "numerics/kernels_elementwise.h"

const cfi_kernels TABLE = {
    .name = TABLE_NAME,
    .lanes = VL,
    .tile = tile_compute,
    .activate = activate,
    .activation_gradient = activation_gradient,
    .loss = loss,
    .softmax = softmax,
    .update = update,
    .transpose = transpose,
    .gather_bytes = gather_bytes,
    .multiply = multiply,
    .max_pool = max_pool,
    .max_pool_gradient = max_pool_gradient,
    .average_pool = average_pool,
    .average_pool_gradient = average_pool_gradient,
    .square_sum = square_sum,
    .has_nonfinite = has_nonfinite,
    .exponential = exponential,
    .logarithm = logarithm,
};
