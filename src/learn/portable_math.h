/* Elementary functions in double that give the same bits on every machine: only + - * / and sqrt, which
 * IEEE 754 rounds correctly, in a fixed order. libm's differ between versions and processors.
 *
 * For initial weights and learning rates, not for inner loops. Pure, any thread. The error bounds are checked by
 * portable_math_test.c against libm in long double. */
#ifndef CFI_LEARN_PORTABLE_MATH_H
#define CFI_LEARN_PORTABLE_MATH_H

#include <stdint.h>

/* e^x, within 1 ulp; infinity above 709.79, subnormal below -708.4, 0 below -745.2. NaN gives NaN. */
double cfi_exp(double x);

/* Natural logarithm, within 1 ulp; -infinity at 0 and NaN below. */
double cfi_log(double x);

/* cos(pi*x), |x| < 2^52, within 2 ulp; exact at multiples of 1/2. Taking pi out keeps the reduction exact. */
double cfi_cos_pi(double x);

/* base^exponent, exponent >= 0, by squaring: at most 2*log2(exponent) roundings. 0^0 = 1. */
double cfi_power_integer(double base, int64_t exponent);

/* base^exponent = exp(exponent*log(base)) for base >= 0; 0^0 = 1. The relative error grows with the power:
 * 2^-52 * (1 + |exponent*log(base)|). */
double cfi_power(double base, double exponent);

/* The x with Phi(x) = p, the standard normal's inverse distribution function, 0 < p < 1: relative error
 * below 1e-15. Source: Wichura, "Algorithm AS 241: The percentage points of the normal distribution",
 * Applied Statistics 37 (1988), 477-484, PPND16. */
double cfi_inverse_normal(double p);

#endif
