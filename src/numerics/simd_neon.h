/* Four lanes, 32 registers (AArch64). */
#include <arm_neon.h>

#define VL 4
#define TILE_ACCUMULATORS_MAX 24
#define TILE_VECTORS_MAX 8
typedef float32x4_t vf;
typedef int32x4_t vi;

#define INLINE static inline __attribute__((always_inline, unused))

INLINE vf v_load(const float *p) { return vld1q_f32(p); }
INLINE void v_store(float *p, vf x) { vst1q_f32(p, x); }
INLINE vf v_load_n(const float *p, int64_t n)
{
    float values[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int64_t i = 0; i < n && i < 4; i++) {
        values[i] = p[i];
    }
    return vld1q_f32(values);
}
INLINE void v_store_n(float *p, vf x, int64_t n)
{
    float values[4];
    vst1q_f32(values, x);
    for (int64_t i = 0; i < n && i < 4; i++) {
        p[i] = values[i];
    }
}
INLINE vf v_set1(float x) { return vdupq_n_f32(x); }
INLINE vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
INLINE vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
INLINE vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
INLINE vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
INLINE vf v_sqrt(vf a) { return vsqrtq_f32(a); }
INLINE vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
INLINE vf v_if_less(vf a, vf b, vf yes, vf no) { return vbslq_f32(vcltq_f32(a, b), yes, no); }
INLINE vf v_if_equal(vf a, vf b, vf yes, vf no) { return vbslq_f32(vceqq_f32(a, b), yes, no); }
INLINE vi v_bits(vf a) { return vreinterpretq_s32_f32(a); }
INLINE vf v_from_bits(vi a) { return vreinterpretq_f32_s32(a); }
INLINE vf v_from_int(vi a) { return vcvtq_f32_s32(a); }
INLINE vi v_int_set1(int32_t a) { return vdupq_n_s32(a); }
INLINE vi v_int_load(const int32_t *p) { return vld1q_s32(p); }
INLINE vf v_if_int_equal(vi a, vi b, vf yes, vf no) { return vbslq_f32(vceqq_s32(a, b), yes, no); }
INLINE vi v_int_add(vi a, vi b) { return vaddq_s32(a, b); }
INLINE vi v_int_sub(vi a, vi b) { return vsubq_s32(a, b); }
INLINE vi v_int_and(vi a, vi b) { return vandq_s32(a, b); }
INLINE vi v_int_shift_left(vi a, int n) { return vshlq_s32(a, vdupq_n_s32(n)); }
INLINE vi v_int_shift_right(vi a, int n)
{
    return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-n)));
}
INLINE vi v_int_shift_right_signed(vi a, int n) { return vshlq_s32(a, vdupq_n_s32(-n)); }
INLINE vf v_load_bytes(const uint8_t *p)
{
    const float values[4] = {(float)p[0], (float)p[1], (float)p[2], (float)p[3]};
    return vld1q_f32(values);
}
INLINE void transpose_8x8(const float *s, int64_t lds, float *t, int64_t ldt)
{
    for (int r = 0; r < 8; r++) {
        for (int c = 0; c < 8; c++) {
            t[c * ldt + r] = s[r * lds + c];
        }
    }
}
