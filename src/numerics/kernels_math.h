/* exp, log, tanh, activations and losses, written once over the vector type of simd_*.h.
 *
 * Polynomials: single-precision coefficients of S. L. Moshier's Cephes library (expf, logf, tanhf), evaluated with
 * fused multiply-adds; errors are measured against libm in double by kernels_test.c (<= 2 ulp). */

INLINE vf v_abs(vf x)
{
    return v_from_bits(v_int_and(v_bits(x), v_int_set1(0x7FFFFFFF)));
}

/* e^x. NaN stays NaN; above 88.73 infinity, below -103.98 zero, with subnormal results in between. */
INLINE vf v_exp(vf x)
{
    x = v_if_less(x, v_set1(-104.0f), v_set1(-104.0f), x);
    x = v_if_less(v_set1(89.0f), x, v_set1(89.0f), x);
    /* Adding 1.5 * 2^23 leaves the rounded integer in the low bits: one rounding rule on every processor. */
    const vf magic = v_set1(12582912.0f);
    const vf shifted = v_fma(x, v_set1(1.44269504088896341f), magic);
    const vf n = v_sub(shifted, magic);
    vf r = v_fma(n, v_set1(-0.693359375f), x);
    r = v_fma(n, v_set1(2.12194440e-4f), r);
    vf p = v_set1(1.9875691500e-4f);
    p = v_fma(p, r, v_set1(1.3981999507e-3f));
    p = v_fma(p, r, v_set1(8.3334519073e-3f));
    p = v_fma(p, r, v_set1(4.1665795894e-2f));
    p = v_fma(p, r, v_set1(1.6666665459e-1f));
    p = v_fma(p, r, v_set1(5.0000001201e-1f));
    const vf value = v_add(v_fma(p, v_mul(r, r), r), v_set1(1.0f));
    /* 2^n in two factors, so that neither end of the range is lost to an exponent that does not exist. */
    const vi exponent = v_int_sub(v_bits(shifted), v_bits(magic));
    const vi half = v_int_shift_right_signed(exponent, 1);
    const vi bias = v_int_set1(127);
    const vf scale_1 = v_from_bits(v_int_shift_left(v_int_add(half, bias), 23));
    const vf scale_2 = v_from_bits(v_int_shift_left(v_int_add(v_int_sub(exponent, half), bias), 23));
    return v_mul(v_mul(value, scale_1), scale_2);
}

/* Natural logarithm of a finite x >= 2^-126 (losses only take it of numbers >= 1). */
INLINE vf v_log(vf x)
{
    const vi bits = v_bits(x);
    vf exponent = v_from_int(v_int_sub(v_int_shift_right(bits, 23), v_int_set1(126)));
    vf m = v_from_bits(v_int_add(v_int_and(bits, v_int_set1(0x007FFFFF)), v_int_set1(0x3F000000)));
    const vf root_half = v_set1(0.707106781186547524f);
    exponent = v_if_less(m, root_half, v_sub(exponent, v_set1(1.0f)), exponent);
    m = v_sub(v_if_less(m, root_half, v_add(m, m), m), v_set1(1.0f));
    const vf z = v_mul(m, m);
    vf p = v_set1(7.0376836292e-2f);
    p = v_fma(p, m, v_set1(-1.1514610310e-1f));
    p = v_fma(p, m, v_set1(1.1676998740e-1f));
    p = v_fma(p, m, v_set1(-1.2420140846e-1f));
    p = v_fma(p, m, v_set1(1.4249322787e-1f));
    p = v_fma(p, m, v_set1(-1.6668057665e-1f));
    p = v_fma(p, m, v_set1(2.0000714765e-1f));
    p = v_fma(p, m, v_set1(-2.4999993993e-1f));
    p = v_fma(p, m, v_set1(3.3333331174e-1f));
    vf y = v_mul(v_mul(p, m), z);
    y = v_fma(exponent, v_set1(-2.12194440e-4f), y);
    y = v_fma(z, v_set1(-0.5f), y);
    return v_fma(exponent, v_set1(0.693359375f), v_add(m, y));
}

/* 1 / (1 + e^-x), with e^-|x| so that neither end overflows, and one correction of the quotient by what rounding
 * took from 1 + e and from the division. */
INLINE vf v_sigmoid(vf x)
{
    const vf one = v_set1(1.0f), zero = v_set1(0.0f);
    const vf e = v_exp(v_sub(zero, v_abs(x)));
    const vf numerator = v_if_less(x, zero, e, one), sum = v_add(one, e);
    const vf lost = v_sub(e, v_sub(sum, one));
    const vf quotient = v_div(numerator, sum), minus = v_sub(zero, quotient);
    const vf rest = v_fma(minus, lost, v_fma(minus, sum, numerator));
    return v_add(quotient, v_div(rest, sum));
}

INLINE vf v_tanh(vf x)
{
    const vf one = v_set1(1.0f), size = v_abs(x), z = v_mul(x, x);
    vf p = v_set1(-5.70498872745e-3f);
    p = v_fma(p, z, v_set1(2.06390887954e-2f));
    p = v_fma(p, z, v_set1(-5.37397155531e-2f));
    p = v_fma(p, z, v_set1(1.33314422036e-1f));
    p = v_fma(p, z, v_set1(-3.33332819422e-1f));
    const vf small = v_fma(v_mul(p, z), x, x);
    const vf grown = v_add(v_exp(v_add(size, size)), one);
    const vf large = v_sub(one, v_div(v_set1(2.0f), grown));
    const vf large_signed = v_if_less(x, v_set1(0.0f), v_sub(v_set1(0.0f), large), large);
    return v_if_less(size, v_set1(0.625f), small, large_signed);
}

/* Runs `expression` of x (a vector loaded from `in`) over count values, the last vector partly. */
#define ELEMENTWISE(in, out, expression)                        \
    for (int64_t i = 0; i < count; i += VL) {                   \
        const int64_t lanes = count - i;                        \
        const vf x = lanes >= VL ? v_load((in) + i) : v_load_n((in) + i, lanes); \
        const vf y = (expression);                              \
        if (lanes >= VL) {                                      \
            v_store((out) + i, y);                              \
        } else {                                                \
            v_store_n((out) + i, y, lanes);                     \
        }                                                       \
    }

static void exponential(const float *in, float *out, int64_t count)
{
    ELEMENTWISE(in, out, v_exp(x))
}

static void logarithm(const float *in, float *out, int64_t count)
{
    ELEMENTWISE(in, out, v_log(x))
}

static void activate(cfi_activation activation, float slope, float *values, int64_t count)
{
    const vf zero = v_set1(0.0f), slope_v = v_set1(slope);
    switch (activation) {
    case CFI_ACTIVATION_IDENTITY:
        break;
    case CFI_ACTIVATION_RELU: /* NaN stays NaN, so that training stops at it */
        ELEMENTWISE(values, values, v_if_less(x, zero, zero, x))
        break;
    case CFI_ACTIVATION_LEAKY_RELU:
        ELEMENTWISE(values, values, v_if_less(x, zero, v_mul(x, slope_v), x))
        break;
    case CFI_ACTIVATION_SIGMOID:
        ELEMENTWISE(values, values, v_sigmoid(x))
        break;
    case CFI_ACTIVATION_TANH:
        ELEMENTWISE(values, values, v_tanh(x))
        break;
    }
}

/* count is a multiple of CFI_COLUMN_ALIGN here, as all activations are. */
static void activation_gradient(cfi_activation activation, float slope, const float *y, float *dy, int64_t count)
{
    const vf zero = v_set1(0.0f), one = v_set1(1.0f), slope_v = v_set1(slope);
#define GRADIENT(expression)                          \
    for (int64_t i = 0; i < count; i += VL) {         \
        const vf f = v_load(y + i), g = v_load(dy + i); \
        v_store(dy + i, (expression));                \
    }
    switch (activation) {
    case CFI_ACTIVATION_IDENTITY:
        break;
    case CFI_ACTIVATION_RELU:
        GRADIENT(v_if_less(zero, f, g, zero))
        break;
    case CFI_ACTIVATION_LEAKY_RELU:
        GRADIENT(v_if_less(f, zero, v_mul(g, slope_v), g))
        break;
    case CFI_ACTIVATION_SIGMOID:
        GRADIENT(v_mul(g, v_mul(f, v_sub(one, f))))
        break;
    case CFI_ACTIVATION_TANH:
        GRADIENT(v_mul(g, v_sub(one, v_mul(f, f))))
        break;
    }
#undef GRADIENT
}

/* ---- Losses: one vector of lanes at a time, classes ascending ---- */

INLINE vf lane_max(const float *z, int64_t outputs, int64_t lanes)
{
    vf largest = v_load(z);
    for (int64_t k = 1; k < outputs; k++) {
        const vf x = v_load(z + k * lanes);
        largest = v_if_less(largest, x, x, largest);
    }
    return largest;
}

static void softmax(float *z, int64_t outputs, int64_t lanes)
{
    for (int64_t s = 0; s < lanes; s += VL) {
        const vf largest = lane_max(z + s, outputs, lanes);
        vf sum = v_set1(0.0f);
        for (int64_t k = 0; k < outputs; k++) {
            const vf e = v_exp(v_sub(v_load(z + k * lanes + s), largest));
            v_store(z + k * lanes + s, e);
            sum = v_add(sum, e);
        }
        for (int64_t k = 0; k < outputs; k++) {
            v_store(z + k * lanes + s, v_div(v_load(z + k * lanes + s), sum));
        }
    }
}

INLINE vf loss_softmax(const float *z, int64_t outputs, int64_t lanes, vi label, vf scale, float *gradient)
{
    const vf largest = lane_max(z, outputs, lanes);
    vf sum = v_set1(0.0f), at_label = v_set1(0.0f);
    for (int64_t k = 0; k < outputs; k++) {
        const vf x = v_load(z + k * lanes);
        const vf e = v_exp(v_sub(x, largest));
        sum = v_add(sum, e);
        at_label = v_if_int_equal(label, v_int_set1((int32_t)k), x, at_label);
        if (gradient != NULL) {
            v_store(gradient + k * lanes, e);
        }
    }
    for (int64_t k = 0; gradient != NULL && k < outputs; k++) {
        const vf target = v_if_int_equal(label, v_int_set1((int32_t)k), v_set1(1.0f), v_set1(0.0f));
        const vf p = v_div(v_load(gradient + k * lanes), sum);
        v_store(gradient + k * lanes, v_mul(v_sub(p, target), scale));
    }
    return v_sub(v_add(v_log(sum), largest), at_label);
}

/* Target of output k: one-hot, or with one output the label itself (0 or 1). */
INLINE vf target_of(vi label, int64_t outputs, int64_t k)
{
    const vi hit = v_int_set1(outputs == 1 ? 1 : (int32_t)k);
    return v_if_int_equal(label, hit, v_set1(1.0f), v_set1(0.0f));
}

INLINE vf loss_quadratic(const float *z, int64_t outputs, int64_t lanes, vi label, vf scale, float *gradient)
{
    vf sum = v_set1(0.0f);
    for (int64_t k = 0; k < outputs; k++) {
        const vf difference = v_sub(v_load(z + k * lanes), target_of(label, outputs, k));
        sum = v_fma(difference, difference, sum);
        if (gradient != NULL) {
            v_store(gradient + k * lanes, v_mul(difference, scale));
        }
    }
    return v_mul(sum, v_set1(0.5f));
}

INLINE vf loss_binary(const float *z, int64_t outputs, int64_t lanes, vi label, vf scale, float *gradient)
{
    const vf zero = v_set1(0.0f), one = v_set1(1.0f);
    vf sum = zero;
    for (int64_t k = 0; k < outputs; k++) {
        const vf x = v_load(z + k * lanes), target = target_of(label, outputs, k);
        const vf positive = v_if_less(x, zero, zero, x);
        const vf tail = v_log(v_add(one, v_exp(v_sub(zero, v_abs(x)))));
        sum = v_add(sum, v_add(v_sub(positive, v_mul(x, target)), tail));
        if (gradient != NULL) {
            v_store(gradient + k * lanes, v_mul(v_sub(v_sigmoid(x), target), scale));
        }
    }
    return sum;
}

static void loss(cfi_loss_kind kind, const float *z, int64_t outputs, int64_t lanes, int64_t rows,
                 const int32_t *labels, float scale, float *gradient, float *losses)
{
    for (int64_t s = 0; s < lanes; s += VL) {
        const vi label = v_int_load(labels + s);
        float *g = gradient != NULL ? gradient + s : NULL;
        vf value = v_set1(0.0f);
        switch (kind) {
        case CFI_LOSS_SOFTMAX_CROSS_ENTROPY:
            value = loss_softmax(z + s, outputs, lanes, label, v_set1(scale), g);
            break;
        case CFI_LOSS_MSE:
            value = loss_quadratic(z + s, outputs, lanes, label, v_set1(scale), g);
            break;
        case CFI_LOSS_BINARY_CROSS_ENTROPY:
            value = loss_binary(z + s, outputs, lanes, label, v_set1(scale), g);
            break;
        }
        v_store(losses + s, value);
    }
    for (int64_t s = rows; s < lanes; s++) {
        losses[s] = 0.0f;
        for (int64_t k = 0; gradient != NULL && k < outputs; k++) {
            gradient[k * lanes + s] = 0.0f;
        }
    }
}
