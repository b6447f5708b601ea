/* Optimizers, pools and what moves values, written once over the vector type of simd_*.h. */

/* ---- Optimizers other than sgd (kernels_tile.h has that) ---- */

INLINE vf update_rmsprop(const cfi_update *u, vf w, vf g, vf *s1, vf *s2)
{
    g = v_fma(v_set1(u->weight_decay), w, g);
    *s1 = v_fma(v_set1(u->decay), *s1, v_mul(v_mul(v_set1(u->one_minus_decay), g), g));
    vf step = v_div(g, v_add(v_sqrt(*s1), v_set1(u->epsilon)));
    if (u->has_momentum) {
        *s2 = v_fma(v_set1(u->momentum), *s2, step);
        step = *s2;
    }
    return v_fma(v_set1(-u->rate), step, w);
}

INLINE vf update_adam(const cfi_update *u, vf w, vf g, vf *s1, vf *s2)
{
    if (u->kind == CFI_OPTIMIZER_ADAM) {
        g = v_fma(v_set1(u->weight_decay), w, g);
    } else {
        w = v_mul(v_set1(u->decoupled), w);
    }
    *s1 = v_fma(v_set1(u->beta1), *s1, v_mul(v_set1(u->one_minus_beta1), g));
    *s2 = v_fma(v_set1(u->decay), *s2, v_mul(v_mul(v_set1(u->one_minus_decay), g), g));
    const vf root = v_div(v_sqrt(*s2), v_set1(u->correction2_root));
    const vf step = v_div(*s1, v_add(root, v_set1(u->epsilon)));
    return v_fma(v_set1(-u->correction1), step, w);
}

/* Applies STEP (an expression giving the new w from w0, g0 and the states a, b) to every vector, the last one partly;
 * states that the optimizer does not have are not touched. */
#define PARTIAL_LOAD(p) (n >= VL ? v_load((p) + i) : v_load_n((p) + i, n))
#define PARTIAL_STORE(p, x)           \
    if (n >= VL) {                    \
        v_store((p) + i, (x));        \
    } else {                          \
        v_store_n((p) + i, (x), n);   \
    }
#define UPDATE_LOOP(uses_s1, uses_s2, STEP)                           \
    for (int64_t i = 0; i < count; i += VL) {                         \
        const int64_t n = count - i;                                  \
        const vf w0 = PARTIAL_LOAD(w), g0 = PARTIAL_LOAD(g);          \
        vf a = uses_s1 ? PARTIAL_LOAD(s1) : v_set1(0.0f);             \
        vf b = uses_s2 ? PARTIAL_LOAD(s2) : v_set1(0.0f);             \
        const vf new_w = (STEP);                                      \
        PARTIAL_STORE(w, new_w)                                       \
        if (uses_s1) {                                                \
            PARTIAL_STORE(s1, a)                                      \
        }                                                             \
        if (uses_s2) {                                                \
            PARTIAL_STORE(s2, b)                                      \
        }                                                             \
        (void)a;                                                      \
        (void)b;                                                      \
    }

INLINE void update_row(const cfi_update *u, float *w, float *s1, float *s2, const float *g, int64_t count)
{
    const bool sgd = u->kind == CFI_OPTIMIZER_SGD, rmsprop = u->kind == CFI_OPTIMIZER_RMSPROP;
    if (sgd && u->has_momentum) {
        UPDATE_LOOP(true, false, update_sgd(u, w0, g0, &a))
    } else if (sgd) {
        UPDATE_LOOP(false, false, update_sgd(u, w0, g0, &a))
    } else if (rmsprop && u->has_momentum) {
        UPDATE_LOOP(true, true, update_rmsprop(u, w0, g0, &a, &b))
    } else if (rmsprop) {
        UPDATE_LOOP(true, false, update_rmsprop(u, w0, g0, &a, &b))
    } else {
        UPDATE_LOOP(true, true, update_adam(u, w0, g0, &a, &b))
    }
}

static void update(const cfi_update *u, float *w, float *s1, float *s2, const float *g, int64_t rows, int64_t count,
                   int64_t stride, int64_t g_stride)
{
    const cfi_update copy = *u; /* on the stack, so that the compiler knows no store into w changes it */
    for (int64_t r = 0; r < rows; r++) {
        update_row(&copy, w + r * stride, s1 != NULL ? s1 + r * stride : NULL, s2 != NULL ? s2 + r * stride : NULL,
                   g + r * g_stride, count);
    }
}

/* ---- Pools: one output position, all lanes; taps in row order ---- */

static void max_pool(const cfi_window *window, const float *x, float *y)
{
    for (int64_t s = 0; s < window->lanes; s += VL) {
        vf largest = v_load(x + s);
        for (int64_t i = 0; i < window->height; i++) {
            for (int64_t j = 0; j < window->width; j++) {
                const vf value = v_load(x + i * window->row_stride + j * window->column_stride + s);
                largest = v_if_less(largest, value, value, largest);
            }
        }
        v_store(y + s, largest);
    }
}

static void max_pool_gradient(const cfi_window *window, const float *x, const float *y, const float *dy, float *dx,
                              int64_t dx_row_stride, int64_t dx_column_stride)
{
    const vf zero = v_set1(0.0f);
    for (int64_t s = 0; s < window->lanes; s += VL) {
        const vf largest = v_load(y + s);
        vf left = v_load(dy + s); /* what no tap has taken yet: the first that equals the maximum takes all */
        for (int64_t i = 0; i < window->height; i++) {
            for (int64_t j = 0; j < window->width; j++) {
                const vf value = v_load(x + i * window->row_stride + j * window->column_stride + s);
                float *target = dx + i * dx_row_stride + j * dx_column_stride + s;
                v_store(target, v_add(v_load(target), v_if_equal(value, largest, left, zero)));
                left = v_if_equal(value, largest, zero, left);
            }
        }
    }
}

static void average_pool(const cfi_window *window, float scale, const float *x, float *y)
{
    for (int64_t s = 0; s < window->lanes; s += VL) {
        vf sum = v_set1(0.0f);
        for (int64_t i = 0; i < window->height; i++) {
            for (int64_t j = 0; j < window->width; j++) {
                sum = v_add(sum, v_load(x + i * window->row_stride + j * window->column_stride + s));
            }
        }
        v_store(y + s, v_mul(sum, v_set1(scale)));
    }
}

static void average_pool_gradient(const cfi_window *window, float scale, const float *dy, float *dx,
                                  int64_t dx_row_stride, int64_t dx_column_stride)
{
    for (int64_t s = 0; s < window->lanes; s += VL) {
        const vf share = v_mul(v_load(dy + s), v_set1(scale));
        for (int64_t i = 0; i < window->height; i++) {
            for (int64_t j = 0; j < window->width; j++) {
                float *target = dx + i * dx_row_stride + j * dx_column_stride + s;
                v_store(target, v_add(v_load(target), share));
            }
        }
    }
}

/* ---- Moving and looking ---- */

static void transpose(const float *source, int64_t lds, int64_t rows, int64_t columns, float *target, int64_t ldt)
{
    for (int64_t c = 0; c < columns; c += 8) {
        for (int64_t r = 0; r < rows; r += 8) {
            transpose_8x8(source + r * lds + c, lds, target + c * ldt + r, ldt);
        }
    }
}

static void gather_bytes(const cfi_gather *gather, const uint8_t *source, int64_t rows, float *target)
{
    const vf scale = v_set1(gather->scale), shift = v_set1(gather->shift);
    const int64_t whole = gather->count / VL * VL;
    for (int64_t s = 0; s < rows; s++) {
        const int64_t index = gather->indices != NULL ? gather->indices[s] : s;
        const uint8_t *bytes = source + index * gather->features + gather->begin;
        float *row = target + s * gather->stride;
        for (int64_t i = 0; i < whole; i += VL) {
            v_store(row + i, v_fma(v_load_bytes(bytes + i), scale, shift));
        }
        for (int64_t i = whole; i < gather->count; i++) {
            v_store_n(row + i, v_fma(v_set1((float)bytes[i]), scale, shift), 1);
        }
    }
}

static void multiply(float *y, const float *factor, int64_t count)
{
    for (int64_t i = 0; i < count; i += VL) {
        v_store(y + i, v_mul(v_load(y + i), v_load(factor + i)));
    }
}

/* 16 chains whatever the vector's width: VL divides 16, so chain i lives in lane i % VL of vector i / VL. */
static float square_sum(const float *x, int64_t count)
{
    enum { CHAINS = 16, VECTORS = CHAINS / VL };
    vf sums[VECTORS];
    for (int v = 0; v < VECTORS; v++) {
        sums[v] = v_set1(0.0f);
    }
    for (int64_t i = 0; i < count; i += CHAINS) {
        for (int v = 0; v < VECTORS; v++) {
            const int64_t left = count - i - v * VL;
            const vf value = left >= VL ? v_load(x + i + v * VL) : v_load_n(x + i + v * VL, left > 0 ? left : 0);
            sums[v] = v_fma(value, value, sums[v]);
        }
    }
    float chains[CHAINS];
    for (int v = 0; v < VECTORS; v++) {
        v_store(chains + v * VL, sums[v]);
    }
    for (int width = 1; width < CHAINS; width *= 2) {
        for (int i = 0; i < CHAINS; i += 2 * width) {
            chains[i] += chains[i + width];
        }
    }
    return chains[0];
}

static bool has_nonfinite(const float *x, int64_t count)
{
    /* x - x is 0 for finite x and NaN otherwise; NaN then stays in the sum. */
    vf sum = v_set1(0.0f);
    for (int64_t i = 0; i < count; i += VL) {
        const vf value = count - i >= VL ? v_load(x + i) : v_load_n(x + i, count - i);
        sum = v_add(sum, v_sub(value, value));
    }
    float lanes[VL];
    v_store(lanes, sum);
    for (int i = 0; i < VL; i++) {
        if (!(lanes[i] == 0.0f)) {
            return true;
        }
    }
    return false;
}
