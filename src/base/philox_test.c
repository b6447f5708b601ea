#include "base/philox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void check_block(cfi_philox_block block, uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3)
{
    assert_int_equal(block.word[0], w0);
    assert_int_equal(block.word[1], w1);
    assert_int_equal(block.word[2], w2);
    assert_int_equal(block.word[3], w3);
}

/* The three published vectors of philox4x32, 10 rounds (Random123, kat_vectors): zeros, ones, digits of pi. */
static void the_published_vectors_come_out(void **state)
{
    (void)state;
    const uint32_t zeros[4] = {0, 0, 0, 0};
    const uint32_t ones[4] = {0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu};
    const uint32_t pi_counter[4] = {0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u};
    const uint32_t pi_key[2] = {0xa4093822u, 0x299f31d0u};
    check_block(cfi_philox(zeros, zeros), 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u);
    check_block(cfi_philox(ones, ones), 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu);
    check_block(cfi_philox(pi_counter, pi_key), 0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u);
}

static void a_draw_is_philox_of_its_names(void **state)
{
    (void)state;
    const uint64_t seed = 0x0123456789abcdefu;
    const uint32_t counter[4] = {1, 2, 3, 4};
    const uint32_t key[2] = {0x89abcdefu, (uint32_t)CFI_PURPOSE_TEST ^ 0x01234567u * 0x9e3779b9u};
    const cfi_philox_block expected = cfi_philox(counter, key);
    const cfi_philox_block block = cfi_draw(seed, CFI_PURPOSE_TEST, 1, 2, 3, 4);
    check_block(block, expected.word[0], expected.word[1], expected.word[2], expected.word[3]);
}

/* A small seed leaves the purpose word alone: the published vector is reachable through the project's naming. */
static void a_draw_with_seed_and_names_zero_has_the_purpose_as_second_key(void **state)
{
    (void)state;
    const uint32_t counter[4] = {0, 0, 0, 0};
    const uint32_t key[2] = {7, CFI_PURPOSE_WEIGHT};
    const cfi_philox_block expected = cfi_philox(counter, key);
    const cfi_philox_block block = cfi_draw(7, CFI_PURPOSE_WEIGHT, 0, 0, 0, 0);
    check_block(block, expected.word[0], expected.word[1], expected.word[2], expected.word[3]);
}

static void every_name_of_a_draw_changes_it(void **state)
{
    (void)state;
    const cfi_philox_block blocks[] = {
        cfi_draw(1, CFI_PURPOSE_TEST, 0, 0, 0, 0),
        cfi_draw(2, CFI_PURPOSE_TEST, 0, 0, 0, 0),
        cfi_draw(1 + ((uint64_t)1 << 32), CFI_PURPOSE_TEST, 0, 0, 0, 0),
        cfi_draw(1, CFI_PURPOSE_DROPOUT, 0, 0, 0, 0),
        cfi_draw(1, CFI_PURPOSE_TEST, 1, 0, 0, 0),
        cfi_draw(1, CFI_PURPOSE_TEST, 0, 1, 0, 0),
        cfi_draw(1, CFI_PURPOSE_TEST, 0, 0, 1, 0),
        cfi_draw(1, CFI_PURPOSE_TEST, 0, 0, 0, 1),
    };
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(&blocks[i], &blocks[j], sizeof blocks[i]);
        }
    }
}

static void uniform_numbers_stay_inside_their_interval(void **state)
{
    (void)state;
    assert_true(cfi_uniform_float(0) == 0.0f);
    assert_true(cfi_uniform_float(0xffffffffu) == 1.0f - 0x1p-24f);
    assert_true(cfi_uniform_double(0, 0) == 0x1p-53);
    assert_true(cfi_uniform_double(0xffffffffu, 0xffffffffu) == 1.0 - 0x1p-53);
    assert_true(cfi_uniform_double(0x80000000u, 0) == 0.5 + 0x1p-53);
}

/* 4 * 50,000 uniforms: mean 1/2 and variance 1/12 within five standard errors (0.00065 and 0.00017). */
static void uniform_numbers_have_the_right_mean_and_variance(void **state)
{
    (void)state;
    enum { BLOCK_COUNT = 50000 };
    double sum = 0, sum_of_squares = 0;
    for (uint32_t i = 0; i < BLOCK_COUNT; i++) {
        const cfi_philox_block block = cfi_draw(11, CFI_PURPOSE_TEST, 0, i, 0, 0);
        for (int j = 0; j < 4; j++) {
            const double value = (double)cfi_uniform_float(block.word[j]);
            sum += value;
            sum_of_squares += value * value;
        }
    }
    const double mean = sum / (4.0 * BLOCK_COUNT);
    const double variance = sum_of_squares / (4.0 * BLOCK_COUNT) - mean * mean;
    assert_true(mean > 0.5 - 0.00325 && mean < 0.5 + 0.00325);
    assert_true(variance > 1.0 / 12 - 0.00085 && variance < 1.0 / 12 + 0.00085);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_come_out),
        cmocka_unit_test(a_draw_is_philox_of_its_names),
        cmocka_unit_test(a_draw_with_seed_and_names_zero_has_the_purpose_as_second_key),
        cmocka_unit_test(every_name_of_a_draw_changes_it),
        cmocka_unit_test(uniform_numbers_stay_inside_their_interval),
        cmocka_unit_test(uniform_numbers_have_the_right_mean_and_variance),
    };
    return cmocka_run_group_tests_name("base.philox", tests, NULL, NULL);
}
