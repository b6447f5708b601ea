#include "data/decimal.h"

#include <float.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Powers of ten that a double holds exactly. */
static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define EXACT_POWER_MAX 22
#define EXACT_DIGITS_MAX 15 /* 10^15 < 2^53: so many digits are exact in a double */
#define EXPONENT_CLAMP 100000

/* A number taken apart: digits * 10^exponent. */
struct parts {
    bool negative;
    uint64_t digits; /* the first EXACT_DIGITS_MAX significant ones */
    int significant; /* how many there are in all                  */
    int exponent;
};

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* Digits from *text on; returns how many there were. */
static size_t take_digits(const char **text, bool fraction, struct parts *parts)
{
    const char *start = *text;
    for (; is_digit(**text); (*text)++) {
        const int digit = **text - '0';
        parts->exponent -= fraction && parts->exponent > -EXPONENT_CLAMP;
        if (parts->significant == 0 && digit == 0) {
            continue;
        }
        if (parts->significant < EXACT_DIGITS_MAX) {
            parts->digits = 10 * parts->digits + (uint64_t)digit;
        }
        parts->significant += parts->significant <= EXACT_DIGITS_MAX;
    }
    return (size_t)(*text - start);
}

static bool take_exponent(const char **text, struct parts *parts)
{
    (*text)++;
    const bool negative = **text == '-';
    *text += **text == '-' || **text == '+';
    const char *start = *text;
    int exponent = 0;
    for (; is_digit(**text); (*text)++) {
        exponent = exponent < EXPONENT_CLAMP ? 10 * exponent + (**text - '0') : exponent;
    }
    parts->exponent += negative ? -exponent : exponent;
    return *text > start;
}

static bool take_apart(const char *text, struct parts *parts)
{
    memset(parts, 0, sizeof *parts);
    parts->negative = *text == '-';
    text += *text == '-' || *text == '+';
    size_t digit_count = take_digits(&text, false, parts);
    if (*text == '.') {
        text++;
        digit_count += take_digits(&text, true, parts);
    }
    if (digit_count == 0) {
        return false;
    }
    if ((*text == 'e' || *text == 'E') && !take_exponent(&text, parts)) {
        return false;
    }
    return *text == '\0';
}

/* strtod under the "C" locale, whatever the host program has set. */
static double parse_slowly(const char *text)
{
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const locale_t before = plain != (locale_t)0 ? uselocale(plain) : (locale_t)0;
    const double value = strtod(text, NULL);
    if (plain != (locale_t)0) {
        uselocale(before);
        freelocale(plain);
    }
    return value;
}

bool cfi_decimal_parse(const char *text, double *value_out)
{
    struct parts parts;
    if (!take_apart(text, &parts)) {
        return false;
    }
    /* Both operands exact, so one correctly rounded operation gives the correctly rounded result (Clinger, "How to
     * read floating point numbers accurately", PLDI 1990). */
    const bool exact = FLT_EVAL_METHOD == 0 && parts.significant <= EXACT_DIGITS_MAX &&
                       parts.exponent <= EXACT_POWER_MAX && parts.exponent >= -EXACT_POWER_MAX;
    if (!exact) {
        *value_out = parse_slowly(text);
        return true;
    }
    double value = (double)parts.digits;
    value = parts.exponent < 0 ? value / exact_powers[-parts.exponent] : value * exact_powers[parts.exponent];
    *value_out = parts.negative ? -value : value;
    return true;
}

bool cfi_decimal_is_not_finite(const char *text)
{
    static const char *const words[] = {"nan", "inf", "infinity", "na", "n/a", "null"};
    text += *text == '-' || *text == '+';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

const char *cfi_quote(const char *text, char quote[CFI_QUOTE_SIZE])
{
    enum { SHOWN_MAX = 32 };
    size_t length = 0;
    for (; text[length] != '\0' && length < SHOWN_MAX; length++) {
        quote[length] = text[length] >= ' ' && text[length] < 0x7f ? text[length] : '?';
    }
    memcpy(quote + length, text[length] == '\0' ? "" : "...", text[length] == '\0' ? 1 : sizeof "...");
    return quote;
}
