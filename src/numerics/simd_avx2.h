/* Eight lanes, 16 registers. */
#include <immintrin.h>

#define VL 8
#define TILE_ACCUMULATORS_MAX 12
#define TILE_VECTORS_MAX 8
typedef __m256 vf;
typedef __m256i vi;

#define INLINE static inline __attribute__((always_inline, unused))

INLINE vf v_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE void v_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
INLINE vi first_lanes(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE vf v_load_n(const float *p, int64_t n) { return _mm256_maskload_ps(p, first_lanes(n)); }
INLINE void v_store_n(float *p, vf x, int64_t n) { _mm256_maskstore_ps(p, first_lanes(n), x); }
INLINE vf v_set1(float x) { return _mm256_set1_ps(x); }
INLINE vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
INLINE vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
INLINE vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
INLINE vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
INLINE vf v_sqrt(vf a) { return _mm256_sqrt_ps(a); }
INLINE vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vf v_if_less(vf a, vf b, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
INLINE vf v_if_equal(vf a, vf b, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_EQ_OQ));
}
INLINE vi v_bits(vf a) { return _mm256_castps_si256(a); }
INLINE vf v_from_bits(vi a) { return _mm256_castsi256_ps(a); }
INLINE vf v_from_int(vi a) { return _mm256_cvtepi32_ps(a); }
INLINE vi v_int_set1(int32_t a) { return _mm256_set1_epi32(a); }
INLINE vi v_int_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
INLINE vf v_if_int_equal(vi a, vi b, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)));
}
INLINE vi v_int_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
INLINE vi v_int_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
INLINE vi v_int_and(vi a, vi b) { return _mm256_and_si256(a, b); }
INLINE vi v_int_shift_left(vi a, int n) { return _mm256_slli_epi32(a, n); }
INLINE vi v_int_shift_right(vi a, int n) { return _mm256_srli_epi32(a, n); }
INLINE vi v_int_shift_right_signed(vi a, int n) { return _mm256_srai_epi32(a, n); }
INLINE vf v_load_bytes(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}
#include "numerics/simd_x86_transpose.h"
