/* The coefficients of one optimizer step, computed once in double so that the kernels only multiply and add. */
#ifndef CFI_LEARN_OPTIMIZER_H
#define CFI_LEARN_OPTIMIZER_H

#include "config/settings.h"
#include "numerics/kernels.h"

/* step is 0-based; rate is the schedule's for this step. Source: docs/math/optimizers.md. */
cfi_update cfi_optimizer_prepare(const cfi_optimizer_settings *optimizer, int64_t step, float rate);

/* Arrays of state that each parameter has: 0 (sgd without momentum) to 2, and what they are called in checkpoints. */
int cfi_optimizer_state_count(const cfi_optimizer_settings *optimizer);
const char *cfi_optimizer_state_name(const cfi_optimizer_settings *optimizer, int index);

#endif
