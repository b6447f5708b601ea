#include "numerics/tables.h"

#if defined(__aarch64__)
#include "numerics/simd_neon.h"
#define TABLE cfi_kernels_neon
#define TABLE_NAME "neon"
#include "numerics/kernels_body.h"
#endif
