/* Keyed permutations of [0, n) that need no memory: a Feistel network over the next power of two, walked until it
 * lands inside (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, section 3: cycle walking).
 * The round keys come from Philox, once for each (seed, purpose, epoch); the round function is a 32-bit mix, because
 * ten rounds of Philox for each round of the network would cost more than the step of a small network. */
#include <string.h>

#include "base/philox.h"
#include "data/dataset.h"

/* Part of the result: never change them. Measured by chi-square over (position, index) and over the pairs at the
 * first two positions, 40,000 epochs: six rounds show nothing from 64 places on, but hundreds of deviations below
 * 10, where a half has one or two bits; sixteen show nothing from 2 on. */
#define ROUND_COUNT 6
#define ROUND_COUNT_SMALL CFI_BATCHES_ROUND_COUNT_MAX
#define SMALL_BITS_MAX 7

struct permutation {
    int64_t count;
    int low_bits;                 /* right half; the left half has as many or one less */
    uint32_t low_mask, high_mask; /* high_mask is that of the left half, shifted down  */
    int round_count;
    uint32_t key[ROUND_COUNT_SMALL];
};

static void draw_keys(uint64_t seed, cfi_purpose purpose, int64_t epoch, int count, uint32_t *key)
{
    for (int i = 0; i < count; i += 4) {
        const cfi_philox_block block = cfi_draw(seed, purpose, 0, (uint32_t)(i / 4), (uint32_t)epoch,
                                                (uint32_t)((uint64_t)epoch >> 32));
        for (int j = 0; j < 4 && i + j < count; j++) {
            key[i + j] = block.word[j];
        }
    }
}

static void permutation_init(struct permutation *permutation, int64_t count)
{
    int bits = 0;
    while (((int64_t)1 << bits) < count) {
        bits++;
    }
    permutation->count = count;
    permutation->round_count = bits <= SMALL_BITS_MAX ? ROUND_COUNT_SMALL : ROUND_COUNT;
    permutation->low_bits = bits - bits / 2;
    permutation->low_mask = ((uint32_t)1 << permutation->low_bits) - 1;
    permutation->high_mask = ((uint32_t)1 << (bits / 2)) - 1;
}

/* Two multiplications and the high bits: every bit of the input reaches the 16 lowest bits of the result. */
static inline uint32_t mix(uint32_t value, uint32_t key)
{
    value = (value ^ key) * 0x85EBCA6Bu;
    value = (value ^ (value >> 15)) * 0xC2B2AE35u;
    return value >> 16;
}

/* One pass through the network: a permutation of the power of two. round_count is given apart, so that the compiler
 * can unroll for a constant. */
static inline uint32_t pass(const struct permutation *permutation, int round_count, uint32_t position)
{
    uint32_t low = position & permutation->low_mask, high = position >> permutation->low_bits;
    for (int i = 0; i < round_count; i += 2) {
        high ^= mix(low, permutation->key[i]) & permutation->high_mask;
        low ^= mix(high, permutation->key[i + 1]) & permutation->low_mask;
    }
    return high << permutation->low_bits | low;
}

/* Replaces each position by its place. Two loops, because the first has no branch that depends on a result, so that
 * the processor works on several positions at once: half the time of walking each position to its end. */
static inline void permute_in_rounds(const struct permutation *permutation, int round_count, int64_t *positions,
                                     int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        positions[i] = pass(permutation, round_count, (uint32_t)positions[i]);
    }
    for (int64_t i = 0; i < count; i++) {
        while (positions[i] >= permutation->count) {
            positions[i] = pass(permutation, round_count, (uint32_t)positions[i]);
        }
    }
}

static void permute(const struct permutation *permutation, int64_t *positions, int64_t count)
{
    if (permutation->round_count == ROUND_COUNT) {
        permute_in_rounds(permutation, ROUND_COUNT, positions, count);
    } else {
        permute_in_rounds(permutation, ROUND_COUNT_SMALL, positions, count);
    }
}

/* The permutation of the whole file whose first train_count places are trained on. */
static void split_init(const cfi_batches *batches, struct permutation *split)
{
    permutation_init(split, batches->train_count + batches->validation_count);
    memcpy(split->key, batches->split_key, sizeof split->key);
}

cf_status cfi_batches_init(cfi_batches *batches, uint64_t seed, int64_t total, int64_t validation, int64_t batch,
                           bool drop_last, cf_error *error)
{
    if (total < 1 || total > CFI_SAMPLE_COUNT_MAX || batch < 1) {
        return cfi_fail(error, CF_E_CONFIG, "%lld samples in batches of %lld cannot be ordered", (long long)total,
                        (long long)batch);
    }
    if (validation < 0 || validation >= total) {
        return cfi_fail(error, CF_E_CONFIG,
                        "data.validation: %lld of %lld samples leave none to train on (give at most %lld)",
                        (long long)validation, (long long)total, (long long)total - 1);
    }
    const int64_t train_count = total - validation;
    if (drop_last && train_count < batch) {
        return cfi_fail(error, CF_E_CONFIG,
                        "training.batch: %lld training samples fill no batch of %lld, and drop_last leaves "
                        "out the rest",
                        (long long)train_count, (long long)batch);
    }
    const int64_t full = train_count / batch;
    *batches = (cfi_batches){.seed = seed,
                             .train_count = train_count,
                             .validation_count = validation,
                             .batch = batch,
                             .drop_last = drop_last,
                             .steps_per_epoch = full + (!drop_last && full * batch < train_count)};
    draw_keys(seed, CFI_PURPOSE_SPLIT, 0, CFI_BATCHES_ROUND_COUNT_MAX, batches->split_key);
    return CF_OK;
}

int64_t cfi_batches_step(const cfi_batches *batches, int64_t step, int64_t *indices)
{
    const int64_t epoch = step / batches->steps_per_epoch;
    const int64_t first = step % batches->steps_per_epoch * batches->batch;
    const int64_t left = batches->train_count - first;
    const int64_t rows = left < batches->batch ? left : batches->batch;
    struct permutation order, split;
    permutation_init(&order, batches->train_count);
    draw_keys(batches->seed, CFI_PURPOSE_SHUFFLE, epoch, order.round_count, order.key);
    for (int64_t i = 0; i < rows; i++) {
        indices[i] = first + i;
    }
    permute(&order, indices, rows);
    if (batches->validation_count > 0) { /* without one, the training set is the whole file */
        split_init(batches, &split);
        permute(&split, indices, rows);
    }
    return rows;
}

int64_t cfi_batches_validation(const cfi_batches *batches, int64_t position)
{
    struct permutation split;
    split_init(batches, &split);
    int64_t index = batches->train_count + position;
    permute(&split, &index, 1);
    return index;
}
