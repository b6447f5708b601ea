/* Whole numbers as little-endian bytes, wherever they travel or lie in a file. Pure, any thread. */
#ifndef CFI_BASE_BYTES_H
#define CFI_BASE_BYTES_H

#include <stdint.h>

/* The lowest `size` bytes (1 to 8) of a number. */
static inline void cfi_bytes_put(unsigned char *bytes, uint64_t value, int size)
{
    for (int i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
}

static inline uint64_t cfi_bytes_get(const unsigned char *bytes, int size)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

#endif
