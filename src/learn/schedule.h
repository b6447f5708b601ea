/* The learning rate of each step. Pure, any thread; the same bits everywhere (learn/portable_math.h). */
#ifndef CFI_LEARN_SCHEDULE_H
#define CFI_LEARN_SCHEDULE_H

#include "config/settings.h"

/* Learning rate of optimizer step `step` (0-based) of epochs * steps_per_epoch.
 *
 * Warm-up: while step < warmup_steps the rate is rate * (step + 1) / warmup_steps, whatever the schedule. From
 * there on the schedule is taken at `step` itself: warm-up replaces its first steps and does not shift it.
 * Source: docs/math/optimizers.md, "Schedules". */
float cfi_schedule_rate(const cfi_training_settings *training, int64_t steps_per_epoch, int64_t step);

#endif
