#include "data/test_files.h"

#include <math.h>

#include "base/philox.h"
#include "data/decimal.h"

static void numbers_are_rounded_correctly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"0", 0}, {"-0", -0.0}, {"1", 1}, {"+1.5", 1.5}, {"1.", 1}, {".5", 0.5}, {"0.1", 0.1}, {"1e22", 1e22},
        {"1e23", 1e23}, {"123456789012345", 123456789012345.0}, {"1234567890123456", 1234567890123456.0},
        {"000000000000000000000000000001", 1}, {"0.000000000000000000000000000001", 1e-30},
        {"9007199254740993", 9007199254740992.0}, {"2.2250738585072011e-308", 2.2250738585072011e-308},
        {"4.9406564584124654e-324", 0x1p-1074}, {"1e-400", 0}, {"1e400", INFINITY},
        {"1e99999999999999999999", INFINITY}, {"1e-99999999999999999999", 0},
        {"1.7976931348623158e308", 0x1.fffffffffffffp1023}, {"1.7976931348623159e308", INFINITY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double value = NAN;
        if (!cfi_decimal_parse(cases[i].text, &value) || value != cases[i].value ||
            signbit(value) != signbit(cases[i].value)) {
            fail_msg("%s: %.17g", cases[i].text, value);
        }
    }
}

static void anything_else_is_no_number(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "+", ".", "-.", "e5", "1e", "1e+", "1.2.3", " 1", "1 ", "1,5", "0x1",
                                        "nan", "inf", "1f", "--1", "1_0", "\xD9\xA1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double value = 77;
        assert_false(cfi_decimal_parse(texts[i], &value));
        assert_true(value == 77);
    }
    assert_true(cfi_decimal_is_not_finite("-Infinity"));
    assert_true(cfi_decimal_is_not_finite("NaN"));
    assert_false(cfi_decimal_is_not_finite("name"));
}

/* The quick way against the C library, on 17 digits (which take the slow way) and fewer. */
static void printed_doubles_come_back(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        const cfi_philox_block block = cfi_draw(1, CFI_PURPOSE_TEST, i, 0, 0, 0);
        const double scale = ldexp(1, (int)(block.word[2] % 120) - 60);
        const double value = (cfi_uniform_double(block.word[0], block.word[1]) - 0.5) * scale;
        for (int digits = 1; digits <= 17; digits++) {
            char text[64];
            double back;
            snprintf(text, sizeof text, block.word[3] % 2 == 0 ? "%.*e" : "%.*g", digits, value);
            assert_true(cfi_decimal_parse(text, &back));
            assert_true(back == strtod(text, NULL));
        }
    }
}

static void quotes_are_short_and_printable(void **state)
{
    (void)state;
    char quote[CFI_QUOTE_SIZE];
    assert_string_equal(cfi_quote("a\tb\x7f\xff", quote), "a?b??");
    assert_string_equal(cfi_quote("01234567890123456789012345678901", quote), "01234567890123456789012345678901");
    assert_string_equal(cfi_quote("012345678901234567890123456789012", quote), "01234567890123456789012345678901...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_rounded_correctly),
        cmocka_unit_test(anything_else_is_no_number),
        cmocka_unit_test(printed_doubles_come_back),
        cmocka_unit_test(quotes_are_short_and_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
