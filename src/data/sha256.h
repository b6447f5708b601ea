/* SHA-256 (FIPS 180-4), to verify what was downloaded. Pure, any thread. */
#ifndef CFI_DATA_SHA256_H
#define CFI_DATA_SHA256_H

#include <stddef.h>

#define CFI_SHA256_TEXT_SIZE 65 /* 64 hexadecimal digits and the NUL */

/* The digest of `size` bytes as lower-case hexadecimal text. */
void cfi_sha256(const void *bytes, size_t size, char text[CFI_SHA256_TEXT_SIZE]);

#endif
