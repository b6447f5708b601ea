/* XXH3-128 (libxxhash) behind our names, and the text form used by `chain` and `weights`. Pure, any thread. */
#ifndef CFI_BASE_HASH_H
#define CFI_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define CFI_HASH_TEXT_SIZE 33 /* 32 hexadecimal digits and the NUL */

typedef struct cfi_hash {
    uint64_t low, high;
} cfi_hash;

cfi_hash cfi_hash_bytes(const void *bytes, size_t size);

/* hash(left | right), 32 bytes little endian, low word first: the join of the chain tree. */
cfi_hash cfi_hash_join(cfi_hash left, cfi_hash right);

/* Canonical form as `xxhsum -H2` prints it: high then low, lower case. `text` has CFI_HASH_TEXT_SIZE bytes. */
void cfi_hash_text(cfi_hash hash, char *text);

#endif
