#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void check_text(cfi_hash hash, const char *expected)
{
    char text[CFI_HASH_TEXT_SIZE];
    cfi_hash_text(hash, text);
    assert_string_equal(text, expected);
}

/* Expected values: xxhsum -H2 (xxhash 0.8.1) of the same bytes. */
static void the_text_form_is_that_of_xxhsum(void **state)
{
    (void)state;
    check_text(cfi_hash_bytes("", 0), "99aa06d3014798d86001c324468d497f");
    check_text(cfi_hash_bytes("cuttlefish", 10), "fd89477b2d3cdf5316b8ea1d744135ee");
}

static void the_text_form_puts_the_high_word_first_and_keeps_zeros(void **state)
{
    (void)state;
    check_text((cfi_hash){.low = 0xab, .high = 1}, "000000000000000100000000000000ab");
    check_text((cfi_hash){0, 0}, "00000000000000000000000000000000");
}

/* xxhsum -H2 of 32 bytes: 1, 2, 3, 4 as little-endian 64-bit words. */
static void a_join_hashes_both_sides_little_endian_low_word_first(void **state)
{
    (void)state;
    check_text(cfi_hash_join((cfi_hash){1, 2}, (cfi_hash){3, 4}), "93e085440feb4ed733491ce3a4ecfabd");
}

static void a_join_depends_on_the_order_of_its_sides(void **state)
{
    (void)state;
    const cfi_hash a = cfi_hash_bytes("a", 1), b = cfi_hash_bytes("b", 1);
    const cfi_hash ab = cfi_hash_join(a, b), ba = cfi_hash_join(b, a);
    assert_false(ab.low == ba.low && ab.high == ba.high);
}

/* 1,000 bytes take the long-input path of XXH3; each flipped bit must show. */
static void every_bit_of_a_long_input_counts(void **state)
{
    (void)state;
    unsigned char bytes[1000];
    memset(bytes, 0x5a, sizeof bytes);
    const cfi_hash whole = cfi_hash_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] ^= (unsigned char)(1u << (i % 8));
        const cfi_hash changed = cfi_hash_bytes(bytes, sizeof bytes);
        assert_false(changed.low == whole.low && changed.high == whole.high);
        bytes[i] ^= (unsigned char)(1u << (i % 8));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_form_is_that_of_xxhsum),
        cmocka_unit_test(the_text_form_puts_the_high_word_first_and_keeps_zeros),
        cmocka_unit_test(a_join_hashes_both_sides_little_endian_low_word_first),
        cmocka_unit_test(a_join_depends_on_the_order_of_its_sides),
        cmocka_unit_test(every_bit_of_a_long_input_counts),
    };
    return cmocka_run_group_tests_name("base.hash", tests, NULL, NULL);
}
