#include "base/hash.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

cfi_hash cfi_hash_bytes(const void *bytes, size_t size)
{
    const XXH128_hash_t hash = XXH3_128bits(bytes, size);
    return (cfi_hash){hash.low64, hash.high64};
}

static void put_little_endian(unsigned char *target, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        target[i] = (unsigned char)(value >> (8 * i));
    }
}

cfi_hash cfi_hash_join(cfi_hash left, cfi_hash right)
{
    unsigned char bytes[32];
    put_little_endian(bytes, left.low);
    put_little_endian(bytes + 8, left.high);
    put_little_endian(bytes + 16, right.low);
    put_little_endian(bytes + 24, right.high);
    return cfi_hash_bytes(bytes, sizeof bytes);
}

void cfi_hash_text(cfi_hash hash, char *text)
{
    snprintf(text, CFI_HASH_TEXT_SIZE, "%016llx%016llx", (unsigned long long)hash.high,
             (unsigned long long)hash.low);
}
