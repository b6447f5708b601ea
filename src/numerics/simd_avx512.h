/* Sixteen lanes, 32 registers. */
#include <immintrin.h>

#define VL 16
#define TILE_ACCUMULATORS_MAX 24
#define TILE_VECTORS_MAX 4
typedef __m512 vf;
typedef __m512i vi;

#define INLINE static inline __attribute__((always_inline, unused))

INLINE vf v_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void v_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
INLINE __mmask16 first_lanes(int64_t n) { return (__mmask16)(n >= 16 ? 0xFFFFu : (1u << n) - 1u); }
INLINE vf v_load_n(const float *p, int64_t n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
INLINE void v_store_n(float *p, vf x, int64_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), x); }
INLINE vf v_set1(float x) { return _mm512_set1_ps(x); }
INLINE vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
INLINE vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
INLINE vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
INLINE vf v_sqrt(vf a) { return _mm512_sqrt_ps(a); }
INLINE vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vf v_if_less(vf a, vf b, vf yes, vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}
INLINE vf v_if_equal(vf a, vf b, vf yes, vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), no, yes);
}
INLINE vi v_bits(vf a) { return _mm512_castps_si512(a); }
INLINE vf v_from_bits(vi a) { return _mm512_castsi512_ps(a); }
INLINE vf v_from_int(vi a) { return _mm512_cvtepi32_ps(a); }
INLINE vi v_int_set1(int32_t a) { return _mm512_set1_epi32(a); }
INLINE vi v_int_load(const int32_t *p) { return _mm512_loadu_si512(p); }
INLINE vf v_if_int_equal(vi a, vi b, vf yes, vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmpeq_epi32_mask(a, b), no, yes);
}
INLINE vi v_int_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
INLINE vi v_int_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
INLINE vi v_int_and(vi a, vi b) { return _mm512_and_si512(a, b); }
INLINE vi v_int_shift_left(vi a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
INLINE vi v_int_shift_right(vi a, int n) { return _mm512_srli_epi32(a, (unsigned)n); }
INLINE vi v_int_shift_right_signed(vi a, int n) { return _mm512_srai_epi32(a, (unsigned)n); }
INLINE vf v_load_bytes(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}
#include "numerics/simd_x86_transpose.h"
