#include "numerics/tables.h"

#if defined(__AVX512F__)
#include "numerics/simd_avx512.h"
#define TABLE cfi_kernels_avx512
#define TABLE_NAME "avx512"
#include "numerics/kernels_body.h"
#endif
