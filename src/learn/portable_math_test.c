#include "learn/portable_math.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/philox.h"

#define SAMPLES 1000000
#define PI_LONG 3.14159265358979323846264338327950288L

/* A uniform number in (low, high); `index` names it. */
static double uniform(uint32_t index, double low, double high)
{
    const cfi_philox_block block = cfi_draw(1, CFI_PURPOSE_TEST, 0, index, 0, 0);
    return low + (high - low) * cfi_uniform_double(block.word[0], block.word[1]);
}

/* Distance to the exact value in units of the last place of the exact value. */
static double ulps(double value, long double exact)
{
    const double size = fabs((double)exact);
    const double ulp = nextafter(size, (double)INFINITY) - size;
    return (double)(fabsl((long double)value - exact) / (long double)ulp);
}

typedef struct worst_case {
    double ulps, x;
} worst_case;

static void note(worst_case *worst, double x, double value, long double exact)
{
    const double error = ulps(value, exact);
    if (!(error <= worst->ulps)) {
        *worst = (worst_case){error, x};
    }
}

static void expect_within(const char *name, worst_case worst, double most)
{
    printf("%s: %.3f ulp at %.17g\n", name, worst.ulps, worst.x);
    assert_true(worst.ulps <= most);
}

static void exponentials_are_within_one_ulp(void **state)
{
    (void)state;
    worst_case worst = {0, 0};
    for (uint32_t i = 0; i < SAMPLES; i++) {
        const double wide = uniform(i, -708, 709.7), narrow = uniform(i, -2, 2);
        note(&worst, wide, cfi_exp(wide), expl((long double)wide));
        note(&worst, narrow, cfi_exp(narrow), expl((long double)narrow));
    }
    expect_within("exp", worst, 1.0);
}

static void exponentials_end_where_doubles_end(void **state)
{
    (void)state;
    assert_true(cfi_exp(0.0) == 1.0);
    assert_true(cfi_exp(-0.0) == 1.0);
    assert_true(cfi_exp(709.78) < (double)INFINITY);
    assert_true(cfi_exp(710.0) == (double)INFINITY);
    assert_true(cfi_exp((double)INFINITY) == (double)INFINITY);
    assert_true(cfi_exp(-746.0) == 0.0);
    assert_true(cfi_exp(-(double)INFINITY) == 0.0);
    assert_true(fabs(cfi_exp(-740.0) - exp(-740.0)) <= 0x1p-1074); /* subnormal */
    assert_true(isnan(cfi_exp((double)NAN)));
}

static void logarithms_are_within_one_ulp(void **state)
{
    (void)state;
    worst_case worst = {0, 0};
    for (uint32_t i = 0; i < SAMPLES; i++) {
        const double small = uniform(i, 0, 1), near = uniform(i, 0.7, 1.5);
        const double wide = cfi_exp(uniform(i, -700, 700));
        note(&worst, small, cfi_log(small), logl((long double)small));
        note(&worst, near, cfi_log(near), logl((long double)near));
        note(&worst, wide, cfi_log(wide), logl((long double)wide));
    }
    expect_within("log", worst, 1.0);
}

static void logarithms_end_where_doubles_end(void **state)
{
    (void)state;
    assert_true(cfi_log(1.0) == 0.0);
    assert_true(cfi_log(0.0) == -(double)INFINITY);
    assert_true(isnan(cfi_log(-1.0)));
    assert_true(isnan(cfi_log((double)NAN)));
    assert_true(cfi_log((double)INFINITY) == (double)INFINITY);
    assert_true(ulps(cfi_log(0x1p-1074), logl(0x1p-1074L)) <= 1.0);
}

/* PI_LONG * x is not exact, so that its cosine would be wrong near the zeros; there the sine of the distance to
 * the zero, which is exact, stands in. */
static long double exact_cos_pi(double x)
{
    const double turn = fabs(fmod(x, 2.0)); /* exact, as are the differences below */
    const double folded = turn > 1.0 ? 2.0 - turn : turn;
    return fabs(folded - 0.5) < 0.25 ? sinl(PI_LONG * (long double)(0.5 - folded))
                                     : cosl(PI_LONG * (long double)folded);
}

static void cosines_are_within_two_ulp(void **state)
{
    (void)state;
    worst_case worst = {0, 0};
    for (uint32_t i = 0; i < SAMPLES; i++) {
        const double once = uniform(i, 0, 1), often = uniform(i, -1000, 1000);
        note(&worst, once, cfi_cos_pi(once), exact_cos_pi(once));
        note(&worst, often, cfi_cos_pi(often), exact_cos_pi(often));
    }
    expect_within("cos_pi", worst, 2.0);
}

static void cosines_are_exact_at_half_turns(void **state)
{
    (void)state;
    for (int turn = -3; turn <= 3; turn++) {
        assert_true(cfi_cos_pi(2.0 * turn) == 1.0);
        assert_true(cfi_cos_pi(2.0 * turn + 1.0) == -1.0);
        assert_true(cfi_cos_pi(2.0 * turn + 0.5) == 0.0);
        assert_true(cfi_cos_pi(2.0 * turn - 0.5) == 0.0);
    }
    assert_true(cfi_cos_pi(1.0 / 3.0) - 0.5 < 1e-15 && cfi_cos_pi(1.0 / 3.0) - 0.5 > -1e-15);
}

static void powers_match_libm(void **state)
{
    (void)state;
    assert_true(cfi_power_integer(2.0, 10) == 1024.0);
    assert_true(cfi_power_integer(0.5, 3) == 0.125);
    assert_true(cfi_power_integer(7.0, 0) == 1.0);
    assert_true(cfi_power_integer(0.0, 0) == 1.0);
    assert_true(cfi_power(0.0, 2.0) == 0.0);
    assert_true(cfi_power(0.0, 0.0) == 1.0);
    assert_true(cfi_power(1.0, 123.5) == 1.0);
    for (uint32_t i = 0; i < 100000; i++) {
        const double base = uniform(2 * i, 0, 2), exponent = uniform(2 * i + 1, 0, 40);
        const long double exact = powl((long double)base, (long double)exponent);
        const double slack = 1.0 + fabs(exponent * log(base)); /* as the header promises */
        assert_true(fabsl((long double)cfi_power(base, exponent) - exact) <= exact * 0x1p-52L * slack);
        const double whole = floor(exponent);
        const long double exact_whole = powl((long double)base, (long double)whole);
        assert_true(fabsl((long double)cfi_power_integer(base, (int64_t)whole) - exact_whole) <=
                    exact_whole * 0x1p-52L * (whole + 1.0L));
    }
}

/* One Newton step with the distribution function from libm tells how far off x is. */
static long double normal_error(double p, double x)
{
    const long double lower = 0.5L * erfcl(-(long double)x / sqrtl(2.0L));
    const long double density = expl(-0.5L * (long double)x * (long double)x) / sqrtl(2.0L * PI_LONG);
    return fabsl((lower - (long double)p) / density / (long double)x);
}

static void normal_quantiles_invert_the_distribution_function(void **state)
{
    (void)state;
    long double worst = 0;
    for (uint32_t i = 0; i < SAMPLES; i++) {
        /* the lower half and far into its tail; the upper half is its mirror image */
        const double p = uniform(i, 0, 0.4999), far = cfi_exp(uniform(i, -700, -1));
        worst = fmaxl(worst, normal_error(p, cfi_inverse_normal(p)));
        worst = fmaxl(worst, normal_error(far, cfi_inverse_normal(far)));
    }
    printf("inverse_normal: relative error %.3Lg\n", worst);
    assert_true(worst < 1e-15L);
}

/* Wichura 1988 gives these three values to check an implementation. */
static void normal_quantiles_match_the_published_ones(void **state)
{
    (void)state;
    assert_true(fabs(cfi_inverse_normal(0.25) + 0.6744897501960817) < 1e-15);
    assert_true(fabs(cfi_inverse_normal(0.001) + 3.090232306167814) < 4e-15);
    assert_true(fabs(cfi_inverse_normal(1e-20) + 9.262340089798408) < 1e-14);
    assert_true(cfi_inverse_normal(0.5) == 0.0);
}

static void normal_quantiles_are_symmetric(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 10000; i++) {
        const double p = floor(uniform(i, 1, 0x1p30)) * 0x1p-31; /* 1 - p is exact */
        assert_true(cfi_inverse_normal(1.0 - p) == -cfi_inverse_normal(p));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponentials_are_within_one_ulp),
        cmocka_unit_test(exponentials_end_where_doubles_end),
        cmocka_unit_test(logarithms_are_within_one_ulp),
        cmocka_unit_test(logarithms_end_where_doubles_end),
        cmocka_unit_test(cosines_are_within_two_ulp),
        cmocka_unit_test(cosines_are_exact_at_half_turns),
        cmocka_unit_test(powers_match_libm),
        cmocka_unit_test(normal_quantiles_invert_the_distribution_function),
        cmocka_unit_test(normal_quantiles_match_the_published_ones),
        cmocka_unit_test(normal_quantiles_are_symmetric),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
