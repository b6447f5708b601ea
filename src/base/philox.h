/* Philox4x32-10, a counter-based random generator: no state to save, any draw in any order.
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11, section 3.3.
 * Pure functions, any thread. */
#ifndef CFI_BASE_PHILOX_H
#define CFI_BASE_PHILOX_H

#include <stdint.h>

/* What a draw is for; the second half of the key, so that purposes never share numbers. Never renumber. */
typedef enum cfi_purpose {
    CFI_PURPOSE_WEIGHT = 1,  /* initial weights and biases      */
    CFI_PURPOSE_SHUFFLE = 2, /* order of samples in an epoch    */
    CFI_PURPOSE_SPLIT = 3,   /* training against validation     */
    CFI_PURPOSE_DROPOUT = 4, /* dropout masks                   */
    CFI_PURPOSE_TEST = 255
} cfi_purpose;

typedef struct cfi_philox_block {
    uint32_t word[4];
} cfi_philox_block;

/* The bijection itself: counter (4 words), key (2 words) -> 4 random words. */
cfi_philox_block cfi_philox(const uint32_t counter[4], const uint32_t key[2]);

/* The project's naming of draws (docs/math/random.md): key = (seed, purpose),
 * counter = (tensor, element, step, sample).
 * The seed's upper 32 bits are mixed into the purpose word: key[1] = purpose ^ (seed >> 32) * 0x9E3779B9. */
cfi_philox_block cfi_draw(uint64_t seed, cfi_purpose purpose, uint32_t tensor, uint32_t element,
                          uint32_t step, uint32_t sample);

/* A word as a float in [0, 1): its upper 24 bits times 2^-24; exact. */
static inline float cfi_uniform_float(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

/* Two words as a double in (0, 1): (52 bits + 1/2) * 2^-52; exact, never 0 or 1. */
static inline double cfi_uniform_double(uint32_t high, uint32_t low)
{
    const uint64_t bits = ((uint64_t)high << 20) | (low >> 12);
    return ((double)bits + 0.5) * 0x1p-52;
}

#endif
