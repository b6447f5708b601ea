#include "learn/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define STEPS_PER_EPOCH 50
#define EPOCHS 12
#define RATE 0.1

static cfi_training_settings training(cfi_schedule_settings schedule)
{
    return (cfi_training_settings){.epochs = EPOCHS, .optimizer.rate = RATE, .schedule = schedule};
}

/* The float next to the closed form in libm's double, or one next to it. */
static void assert_rate(float rate, double expected)
{
    assert_true(fabs((double)rate - expected) <= fabs(expected) * 0x1p-23);
}

static void a_constant_rate_is_the_files_rate(void **state)
{
    (void)state;
    const cfi_training_settings settings = training((cfi_schedule_settings){.kind = CFI_SCHEDULE_CONSTANT});
    assert_true(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 0) == (float)RATE);
    assert_true(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 599) == (float)RATE);
}

static void step_multiplies_at_the_start_of_every_nth_epoch(void **state)
{
    (void)state;
    const cfi_training_settings settings =
        training((cfi_schedule_settings){.kind = CFI_SCHEDULE_STEP, .factor = 0.5, .every_epochs = 3});
    assert_rate(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 0), 0.1);
    assert_rate(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 149), 0.1);
    assert_rate(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 150), 0.05);
    assert_rate(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 299), 0.05);
    assert_rate(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 300), 0.025);
    assert_rate(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 599), 0.0125);
}

static void exponential_decays_at_every_step(void **state)
{
    (void)state;
    const cfi_training_settings settings =
        training((cfi_schedule_settings){.kind = CFI_SCHEDULE_EXPONENTIAL, .factor = 0.9, .every_epochs = 2});
    for (int64_t step = 0; step < EPOCHS * STEPS_PER_EPOCH; step++) {
        assert_rate(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, step),
                    RATE * pow(0.9, (double)step / (2.0 * STEPS_PER_EPOCH)));
    }
    assert_rate(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 100), RATE * 0.9);
}

static void polynomial_falls_to_the_end_rate(void **state)
{
    (void)state;
    const cfi_training_settings settings =
        training((cfi_schedule_settings){.kind = CFI_SCHEDULE_POLYNOMIAL, .power = 1.5, .end_rate = 0.01});
    for (int64_t step = 0; step < EPOCHS * STEPS_PER_EPOCH; step++) {
        assert_rate(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, step),
                    0.01 + 0.09 * pow(1.0 - (double)step / 600.0, 1.5));
    }
    assert_true(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 600) == 0.01f);
    assert_true(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 100000) == 0.01f); /* stays there */
}

static void cosine_falls_along_half_a_wave(void **state)
{
    (void)state;
    const cfi_training_settings settings =
        training((cfi_schedule_settings){.kind = CFI_SCHEDULE_COSINE, .end_rate = 0.02});
    for (int64_t step = 0; step < EPOCHS * STEPS_PER_EPOCH; step++) {
        assert_rate(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, step),
                    0.02 + 0.08 * (1.0 + cos(acos(-1.0) * (double)step / 600.0)) / 2.0);
    }
    assert_true(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 0) == 0.1f);
    assert_rate(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 300), 0.06);
    assert_true(cfi_schedule_rate(&settings, STEPS_PER_EPOCH, 1000) == 0.02f);
}

static void warm_up_rises_in_a_straight_line_and_does_not_shift_the_schedule(void **state)
{
    (void)state;
    for (int kind = CFI_SCHEDULE_CONSTANT; kind <= CFI_SCHEDULE_COSINE; kind++) {
        const cfi_schedule_settings schedule = {.kind = (cfi_schedule_kind)kind, .factor = 0.7,
                                                .every_epochs = 1, .power = 2, .end_rate = 0.001};
        const cfi_training_settings settings = training(schedule);
        cfi_training_settings warm = settings;
        warm.schedule.warmup_steps = 80;
        for (int64_t step = 0; step < 80; step++) {
            assert_rate(cfi_schedule_rate(&warm, STEPS_PER_EPOCH, step), RATE * (double)(step + 1) / 80.0);
        }
        for (int64_t step = 80; step < 600; step++) {
            assert_true(cfi_schedule_rate(&warm, STEPS_PER_EPOCH, step) ==
                        cfi_schedule_rate(&settings, STEPS_PER_EPOCH, step));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_constant_rate_is_the_files_rate),
        cmocka_unit_test(step_multiplies_at_the_start_of_every_nth_epoch),
        cmocka_unit_test(exponential_decays_at_every_step),
        cmocka_unit_test(polynomial_falls_to_the_end_rate),
        cmocka_unit_test(cosine_falls_along_half_a_wave),
        cmocka_unit_test(warm_up_rises_in_a_straight_line_and_does_not_shift_the_schedule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
