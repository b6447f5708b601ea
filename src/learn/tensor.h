/* A named array of parameters or optimizer state: what engines own and checkpoints hold. */
#ifndef CFI_LEARN_TENSOR_H
#define CFI_LEARN_TENSOR_H

#include "base/limits.h"
#include "base/status.h"

/* One named parameter or state tensor, row-major float32 (weight layout as PyTorch's). */
typedef struct cfi_tensor {
    char name[CFI_NAME_SIZE_MAX + 32];       /* "hidden.weight", "hidden.bias", "hidden.weight.momentum", ... */
    int64_t dims[4];
    int dim_count;
    int64_t count;                           /* product of dims */
    float *values;                           /* owned by the engine */
} cfi_tensor;

#endif
