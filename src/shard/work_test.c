#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shard/compute.h"
#include "shard/work.h"

static cfi_work some_work(void)
{
    return (cfi_work){.train_count = 100, .validation_count = 20, .test_count = 133, .batch = 32, .sample_grain = 8,
                      .micro_batches = 4, .steps_per_epoch = 4, .step_count = 10, .chain_every = 3, .persist_every = 4,
                      .window = 8};
}

static void a_step_has_its_batch_in_micro_batches(void **state)
{
    (void)state;
    const cfi_work work = some_work();
    assert_int_equal(cfi_work_rows(&work, 0), 32);
    assert_int_equal(cfi_work_rows(&work, 3), 4); /* the epoch's last */
    assert_int_equal(cfi_work_rows(&work, 10), 0);
    assert_int_equal(cfi_work_micros(&work, 0), 4);
    assert_int_equal(cfi_work_micros(&work, 3), 1);
    const cfi_micro micro = cfi_work_micro(&work, 1, 3);
    assert_true(micro.is_training);
    assert_int_equal(micro.slot, 3);
    assert_int_equal(micro.first, 24);
    assert_int_equal(micro.rows, 8);
    assert_int_equal(cfi_work_micro(&work, 3, 0).rows, 4);
}

static void an_epoch_ends_with_evaluations_before_the_next_step(void **state)
{
    (void)state;
    const cfi_work work = some_work();
    assert_int_equal(cfi_work_evaluations(&work, 0), 0);
    assert_int_equal(cfi_work_evaluations(&work, 3), 0);
    assert_int_equal(cfi_work_evaluations(&work, 4), 3); /* 20 of validation, 128 and 5 of test */
    assert_int_equal(cfi_work_micros(&work, 4), 7);
    const cfi_micro validation = cfi_work_micro(&work, 4, 0), test = cfi_work_micro(&work, 4, 2);
    assert_true(validation.is_validation && !validation.is_training);
    assert_int_equal(validation.slot, CFI_SLOT_FORWARD);
    assert_int_equal(validation.rows, 20);
    assert_true(!test.is_validation && !test.is_training);
    assert_int_equal(test.first, 128);
    assert_int_equal(test.rows, 5);
    assert_true(cfi_work_micro(&work, 4, 3).is_training);
    assert_int_equal(cfi_work_micro(&work, 4, 3).slot, 0);
}

static void the_end_is_evaluated_wherever_it_is(void **state)
{
    (void)state;
    cfi_work work = some_work();
    assert_int_equal(cfi_work_evaluations(&work, 10), 3);
    assert_int_equal(cfi_work_micros(&work, 10), 3);
    work.step_count = 0;
    assert_int_equal(cfi_work_evaluations(&work, 0), 3);
    work.validation_count = work.test_count = 0;
    assert_int_equal(cfi_work_micros(&work, 0), 0);
}

static void every_sample_is_in_exactly_one_micro_batch(void **state)
{
    (void)state;
    cfi_work work = some_work();
    for (work.micro_batches = 1; work.micro_batches <= 4; work.micro_batches *= 2) {
        for (int64_t step = 0; step <= work.step_count; step++) {
            int64_t next = 0;
            for (int64_t m = cfi_work_evaluations(&work, step); m < cfi_work_micros(&work, step); m++) {
                const cfi_micro micro = cfi_work_micro(&work, step, m);
                assert_int_equal(micro.first, next);
                assert_true(micro.rows > 0);
                next += micro.rows;
            }
            assert_int_equal(next, cfi_work_rows(&work, step));
        }
    }
}

static void chain_and_persist_steps_include_the_end(void **state)
{
    (void)state;
    const cfi_work work = some_work();
    assert_false(cfi_work_is_chain_step(&work, 0, 10));
    assert_true(cfi_work_is_chain_step(&work, 3, 10));
    assert_true(cfi_work_is_chain_step(&work, 10, 10));
    assert_true(cfi_work_is_chain_step(&work, 0, 0));
    assert_false(cfi_work_is_persist_step(&work, 0, 10));
    assert_true(cfi_work_is_persist_step(&work, 8, 10));
    assert_false(cfi_work_is_persist_step(&work, 9, 10));
    assert_true(cfi_work_is_persist_step(&work, 10, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_has_its_batch_in_micro_batches),
        cmocka_unit_test(an_epoch_ends_with_evaluations_before_the_next_step),
        cmocka_unit_test(the_end_is_evaluated_wherever_it_is),
        cmocka_unit_test(every_sample_is_in_exactly_one_micro_batch),
        cmocka_unit_test(chain_and_persist_steps_include_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
