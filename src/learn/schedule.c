#include "learn/schedule.h"

#include <math.h>

#include "learn/portable_math.h"

static double scheduled_rate(const cfi_training_settings *training, int64_t steps_per_epoch, int64_t step)
{
    const cfi_schedule_settings *schedule = &training->schedule;
    const double rate = training->optimizer.rate, end = schedule->end_rate;
    const int64_t step_count = training->epochs * steps_per_epoch;
    /* `train --steps` may go beyond the epochs; the schedule then stays at its end. */
    const double progress = step < step_count ? (double)step / (double)step_count : 1.0;
    switch (schedule->kind) {
    case CFI_SCHEDULE_CONSTANT:
        break;
    case CFI_SCHEDULE_STEP: {
        const double drops = floor((double)(step / steps_per_epoch) / schedule->every_epochs);
        return rate * cfi_power_integer(schedule->factor, (int64_t)drops);
    }
    case CFI_SCHEDULE_EXPONENTIAL:
        return rate * cfi_power(schedule->factor,
                                (double)step / (schedule->every_epochs * (double)steps_per_epoch));
    case CFI_SCHEDULE_POLYNOMIAL:
        return end + (rate - end) * cfi_power(1.0 - progress, schedule->power);
    case CFI_SCHEDULE_COSINE:
        return end + (rate - end) * (1.0 + cfi_cos_pi(progress)) / 2.0;
    }
    return rate;
}

float cfi_schedule_rate(const cfi_training_settings *training, int64_t steps_per_epoch, int64_t step)
{
    const int64_t warmup = training->schedule.warmup_steps;
    if (step < warmup) {
        return (float)(training->optimizer.rate * (double)(step + 1) / (double)warmup);
    }
    return (float)scheduled_rate(training, steps_per_epoch, step);
}
