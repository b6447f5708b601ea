#include "base/philox.h"

/* Constants of Salmon et al. 2011, table 2 and section 3.3. */
#define MULTIPLIER_0 0xD2511F53u
#define MULTIPLIER_1 0xCD9E8D57u
#define WEYL_0 0x9E3779B9u
#define WEYL_1 0xBB67AE85u
#define ROUNDS 10

cfi_philox_block cfi_philox(const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t product_0 = (uint64_t)MULTIPLIER_0 * c0;
        const uint64_t product_1 = (uint64_t)MULTIPLIER_1 * c2;
        c0 = (uint32_t)(product_1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product_1;
        c2 = (uint32_t)(product_0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product_0;
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    return (cfi_philox_block){{c0, c1, c2, c3}};
}

cfi_philox_block cfi_draw(uint64_t seed, cfi_purpose purpose, uint32_t tensor, uint32_t element,
                          uint32_t step, uint32_t sample)
{
    const uint32_t counter[4] = {tensor, element, step, sample};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)purpose ^ (uint32_t)(seed >> 32) * WEYL_0};
    return cfi_philox(counter, key);
}
