/* 8 x 8 transpose in registers, shared by the AVX2 and AVX-512 tables. Moves values only. */
INLINE void transpose_8x8(const float *s, int64_t lds, float *t, int64_t ldt)
{
    const __m256 r0 = _mm256_loadu_ps(s), r1 = _mm256_loadu_ps(s + lds);
    const __m256 r2 = _mm256_loadu_ps(s + 2 * lds), r3 = _mm256_loadu_ps(s + 3 * lds);
    const __m256 r4 = _mm256_loadu_ps(s + 4 * lds), r5 = _mm256_loadu_ps(s + 5 * lds);
    const __m256 r6 = _mm256_loadu_ps(s + 6 * lds), r7 = _mm256_loadu_ps(s + 7 * lds);
    const __m256 a0 = _mm256_unpacklo_ps(r0, r1), a1 = _mm256_unpackhi_ps(r0, r1);
    const __m256 a2 = _mm256_unpacklo_ps(r2, r3), a3 = _mm256_unpackhi_ps(r2, r3);
    const __m256 a4 = _mm256_unpacklo_ps(r4, r5), a5 = _mm256_unpackhi_ps(r4, r5);
    const __m256 a6 = _mm256_unpacklo_ps(r6, r7), a7 = _mm256_unpackhi_ps(r6, r7);
    const __m256 b0 = _mm256_shuffle_ps(a0, a2, 0x44), b1 = _mm256_shuffle_ps(a0, a2, 0xEE);
    const __m256 b2 = _mm256_shuffle_ps(a1, a3, 0x44), b3 = _mm256_shuffle_ps(a1, a3, 0xEE);
    const __m256 b4 = _mm256_shuffle_ps(a4, a6, 0x44), b5 = _mm256_shuffle_ps(a4, a6, 0xEE);
    const __m256 b6 = _mm256_shuffle_ps(a5, a7, 0x44), b7 = _mm256_shuffle_ps(a5, a7, 0xEE);
    _mm256_storeu_ps(t, _mm256_permute2f128_ps(b0, b4, 0x20));
    _mm256_storeu_ps(t + ldt, _mm256_permute2f128_ps(b1, b5, 0x20));
    _mm256_storeu_ps(t + 2 * ldt, _mm256_permute2f128_ps(b2, b6, 0x20));
    _mm256_storeu_ps(t + 3 * ldt, _mm256_permute2f128_ps(b3, b7, 0x20));
    _mm256_storeu_ps(t + 4 * ldt, _mm256_permute2f128_ps(b0, b4, 0x31));
    _mm256_storeu_ps(t + 5 * ldt, _mm256_permute2f128_ps(b1, b5, 0x31));
    _mm256_storeu_ps(t + 6 * ldt, _mm256_permute2f128_ps(b2, b6, 0x31));
    _mm256_storeu_ps(t + 7 * ldt, _mm256_permute2f128_ps(b3, b7, 0x31));
}
