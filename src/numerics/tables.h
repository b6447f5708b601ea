/* The tables that numerics/ may hold; choose.c knows which of them this build and processor have. */
#ifndef CFI_NUMERICS_TABLES_H
#define CFI_NUMERICS_TABLES_H

#include "numerics/kernels.h"

extern const cfi_kernels cfi_kernels_scalar;
extern const cfi_kernels cfi_kernels_avx2;
extern const cfi_kernels cfi_kernels_avx512;
extern const cfi_kernels cfi_kernels_neon;

#endif
