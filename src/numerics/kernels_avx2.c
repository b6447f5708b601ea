#include "numerics/tables.h"

#if defined(__AVX2__) && defined(__FMA__)
#include "numerics/simd_avx2.h"
#define TABLE cfi_kernels_avx2
#define TABLE_NAME "avx2"
#include "numerics/kernels_body.h"
#endif
