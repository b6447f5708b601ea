/* One lane: the definition of every operation, in plain C. */
#include <math.h>
#include <string.h>

#define VL 1
#define TILE_ACCUMULATORS_MAX 12
#define TILE_VECTORS_MAX 4
typedef float vf;
typedef int32_t vi;

#define INLINE static inline __attribute__((always_inline, unused))

INLINE vf v_load(const float *p) { return *p; }
INLINE void v_store(float *p, vf x) { *p = x; }
INLINE vf v_load_n(const float *p, int64_t n) { return n > 0 ? *p : 0.0f; }
INLINE void v_store_n(float *p, vf x, int64_t n)
{
    if (n > 0) {
        *p = x;
    }
}
INLINE vf v_set1(float x) { return x; }
INLINE vf v_add(vf a, vf b) { return a + b; }
INLINE vf v_sub(vf a, vf b) { return a - b; }
INLINE vf v_mul(vf a, vf b) { return a * b; }
INLINE vf v_div(vf a, vf b) { return a / b; }
INLINE vf v_sqrt(vf a) { return sqrtf(a); }
INLINE vf v_fma(vf a, vf b, vf c) { return fmaf(a, b, c); }
INLINE vf v_if_less(vf a, vf b, vf yes, vf no) { return a < b ? yes : no; }
INLINE vf v_if_equal(vf a, vf b, vf yes, vf no) { return a == b ? yes : no; }
INLINE vi v_bits(vf a)
{
    vi bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}
INLINE vf v_from_bits(vi a)
{
    vf value;
    memcpy(&value, &a, sizeof value);
    return value;
}
INLINE vf v_from_int(vi a) { return (float)a; }
INLINE vi v_int_set1(int32_t a) { return a; }
INLINE vi v_int_load(const int32_t *p) { return *p; }
INLINE vf v_if_int_equal(vi a, vi b, vf yes, vf no) { return a == b ? yes : no; }
INLINE vi v_int_add(vi a, vi b) { return (vi)((uint32_t)a + (uint32_t)b); }
INLINE vi v_int_sub(vi a, vi b) { return (vi)((uint32_t)a - (uint32_t)b); }
INLINE vi v_int_and(vi a, vi b) { return a & b; }
INLINE vi v_int_shift_left(vi a, int n) { return (vi)((uint32_t)a << n); }
INLINE vi v_int_shift_right(vi a, int n) { return (vi)((uint32_t)a >> n); }
INLINE vi v_int_shift_right_signed(vi a, int n) { return a >> n; }
INLINE vf v_load_bytes(const uint8_t *p) { return (float)*p; }
INLINE void transpose_8x8(const float *s, int64_t lds, float *t, int64_t ldt)
{
    for (int r = 0; r < 8; r++) {
        for (int c = 0; c < 8; c++) {
            t[c * ldt + r] = s[r * lds + c];
        }
    }
}
