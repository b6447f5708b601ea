/* The shard arithmetic that the native engine offers to the state machines. */
#ifndef CFI_ENGINE_COMPUTE_H
#define CFI_ENGINE_COMPUTE_H

#include "shard/compute.h"

/* Fills the table; its name is that of the kernels chosen as cfi_kernels_choose does, at this call and again by each
 * `new` function. CF_E_USAGE when CUTTLEFISH_KERNELS names none that can run here. */
cf_status cfi_native_compute(cfi_compute_ops *ops_out, cf_error *error) __attribute__((warn_unused_result));

#endif
