#include "learn/portable_math.h"

#include <math.h>
#include <string.h>

#define LN2_HIGH 0x1.62e42fefa0000p-1   /* the first 36 bits of ln 2: k times it is exact */
#define LN2_LOW 0x1.cf79abc9e3b3ap-40   /* ln 2 - LN2_HIGH */
#define INVERSE_LN2 0x1.71547652b82fep0
#define SQRT2 0x1.6a09e667f3bcdp0
#define PI 0x1.921fb54442d18p1
#define PI_LOW 0x1.1a62633145c07p-53    /* pi - PI */
#define ROUND 0x1.8p52                  /* adding and subtracting rounds to an integer, ties to even */

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* 2^exponent for -1022 <= exponent <= 1023 */
static double power_of_two(int exponent)
{
    return from_bits((uint64_t)(exponent + 1023) << 52);
}

/* sum of coefficients[i] * x^i by Horner's rule */
static double polynomial(double x, const double *coefficients, int count)
{
    double sum = coefficients[count - 1];
    for (int i = count - 2; i >= 0; i--) {
        sum = sum * x + coefficients[i];
    }
    return sum;
}

/* x = k ln2 + r with |r| <= ln2/2, e^x = 2^k e^r; e^r by its Taylor series, whose first left-out term is
 * below 2^-57. 1 + (r + r^2 q) keeps the roundings of q out of the result. */
double cfi_exp(double x)
{
    static const double coefficients[] = {
        1.0 / 2,         1.0 / 6,          1.0 / 24,          1.0 / 120,          1.0 / 720,
        1.0 / 5040,      1.0 / 40320,      1.0 / 362880,      1.0 / 3628800,      1.0 / 39916800,
        1.0 / 479001600, 1.0 / 6227020800};
    if (x != x) {
        return x;
    }
    if (x > 709.79) {
        return (double)INFINITY;
    }
    if (x < -745.2) {
        return 0.0;
    }
    const double k = (x * INVERSE_LN2 + ROUND) - ROUND;
    const double high = x - k * LN2_HIGH, low = k * LN2_LOW;
    const double r = high - low;
    const double lost = (high - r) - low;
    const double q = polynomial(r, coefficients, (int)(sizeof coefficients / sizeof *coefficients));
    const double value = 1.0 + (r + (r * r * q + lost));
    const int exponent = (int)k, half = exponent / 2; /* in two steps, so that neither overflows */
    return value * power_of_two(half) * power_of_two(exponent - half);
}

/* x = 2^k m with m in [sqrt(1/2), sqrt(2)), f = m - 1, s = f / (2 + f):
 * log m = 2 atanh(s) = 2s + s R, R = sum_{i>=1} 2/(2i+1) s^(2i), and because 2s = f - s f and f^2/2 = h:
 * log m = f - (h - s (h + R)), where only f, which is exact, is large. */
double cfi_log(double x)
{
    static const double coefficients[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11, 2.0 / 13,
                                          2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23};
    uint64_t bits;
    int k = 0;
    if (x != x || x == (double)INFINITY) {
        return x;
    }
    if (x <= 0.0) {
        return x == 0.0 ? -(double)INFINITY : (double)NAN;
    }
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        k = -54;
    }
    memcpy(&bits, &x, sizeof bits);
    k += (int)(bits >> 52) - 1023;
    double m = from_bits((bits & 0x000fffffffffffffull) | 0x3ff0000000000000ull);
    if (m >= SQRT2) {
        m *= 0.5;
        k++;
    }
    const double f = m - 1.0;
    const double s = f / (2.0 + f);
    const double z = s * s;
    const double series = z * polynomial(z, coefficients, (int)(sizeof coefficients / sizeof *coefficients));
    const double h = 0.5 * f * f;
    return k * LN2_HIGH - ((h - (s * (h + series) + k * LN2_LOW)) - f);
}

/* sin(pi r) for |r| <= 1/4, by the Taylor series of the sine; the first left-out term is below 2^-57. */
static double sine_pi(double r)
{
    static const double coefficients[] = {
        -1.0 / 6,        1.0 / 120,        -1.0 / 5040,        1.0 / 362880,
        -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000};
    const double x = PI * r, z = x * x;
    return x + (x * z * polynomial(z, coefficients, 7) + PI_LOW * r);
}

/* cos(pi r) for |r| <= 1/4 */
static double cosine_pi(double r)
{
    static const double coefficients[] = {
        1.0 / 24,        -1.0 / 720,         1.0 / 40320,           -1.0 / 3628800,
        1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000};
    const double x = PI * r, z = x * x, half = 0.5 * z;
    const double value = 1.0 - half;
    return value + (((1.0 - value) - half) + z * z * polynomial(z, coefficients, 7));
}

double cfi_cos_pi(double x)
{
    const double turn = fabs(x) - 2.0 * floor(0.5 * fabs(x)); /* in [0, 2), exact */
    const double folded = turn > 1.0 ? 2.0 - turn : turn;     /* cos(2 pi - y) = cos y */
    if (folded <= 0.25) {
        return cosine_pi(folded);
    }
    return folded < 0.75 ? sine_pi(0.5 - folded) : -cosine_pi(1.0 - folded);
}

double cfi_power_integer(double base, int64_t exponent)
{
    double result = 1.0;
    while (exponent > 0) {
        if ((exponent & 1) != 0) {
            result *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    return result;
}

double cfi_power(double base, double exponent)
{
    if (exponent == 0.0) {
        return 1.0;
    }
    return base == 0.0 ? 0.0 : cfi_exp(exponent * cfi_log(base));
}

/* Three rational approximations of degree 7 over 7: the middle, the tails, the far tails (Wichura 1988). */
double cfi_inverse_normal(double p)
{
    static const double a[] = {
        3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
        1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
        3.3430575583588128105e4, 2.5090809287301226727e3};
    static const double b[] = {
        1.0, 4.2313330701600911252e1, 6.8718700749205790830e2,
        5.3941960214247511077e3, 2.1213794301586595867e4, 3.9307895800092710610e4,
        2.8729085735721942674e4, 5.2264952788528545610e3};
    static const double c[] = {
        1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
        3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
        2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double d[] = {
        1.0, 2.05319162663775882187e0, 1.67638483018380384940e0,
        6.89767334985100004550e-1, 1.48103976427480074590e-1, 1.51986665636164571966e-2,
        5.47593808499534494600e-4, 1.05075007164441684324e-9};
    static const double e[] = {
        6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
        2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
        2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double f[] = {
        1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1,
        1.48753612908506148525e-2, 7.86869131145613259100e-4, 1.84631831751005468180e-5,
        1.42151175831644588870e-7, 2.04426310338993978564e-15};
    const double q = p - 0.5;
    if (fabs(q) <= 0.425) {
        const double r = 0.180625 - q * q;
        return q * polynomial(r, a, 8) / polynomial(r, b, 8);
    }
    const double r = sqrt(-cfi_log(q < 0.0 ? p : 1.0 - p));
    const double tail = r <= 5.0 ? polynomial(r - 1.6, c, 8) / polynomial(r - 1.6, d, 8)
                                 : polynomial(r - 5.0, e, 8) / polynomial(r - 5.0, f, 8);
    return q < 0.0 ? -tail : tail;
}
