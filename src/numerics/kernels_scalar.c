#include "numerics/tables.h"

#include "numerics/simd_scalar.h"
#define TABLE cfi_kernels_scalar
#define TABLE_NAME "scalar"
#include "numerics/kernels_body.h"
