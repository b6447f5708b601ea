/* XXH3-128 (libxxhash) behind our names, and the text form used by `chain` and `weights`. Pure, any thread. */
#ifndef CFI_BASE_HASH_H
#define CFI_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"

#define CFI_HASH_TEXT_SIZE 33 /* 32 hexadecimal digits and the NUL */

typedef struct cfi_hash {
    uint64_t low, high;
} cfi_hash;

cfi_hash cfi_hash_bytes(const void *bytes, size_t size);

/* The hash of the concatenated parts, as cfi_hash_bytes of the whole. False when memory is short. */
bool cfi_hash_parts(const cfi_file_part *parts, size_t part_count, cfi_hash *hash_out)
    __attribute__((warn_unused_result));

/* The same hash over pieces. The stream lives on the caller's stack; begin, add any number, end. */
typedef struct cfi_hash_stream {
    _Alignas(64) unsigned char state[640];
} cfi_hash_stream;

void cfi_hash_begin(cfi_hash_stream *stream);
void cfi_hash_add(cfi_hash_stream *stream, const void *bytes, size_t size);
cfi_hash cfi_hash_end(cfi_hash_stream *stream);

/* hash(left | right), 32 bytes little endian, low word first: the join of the chain tree. */
cfi_hash cfi_hash_join(cfi_hash left, cfi_hash right);

/* Canonical form as `xxhsum -H2` prints it: high then low, lower case. `text` has CFI_HASH_TEXT_SIZE bytes. */
void cfi_hash_text(cfi_hash hash, char *text);

/* The reverse of cfi_hash_text; false unless `text` is 32 lower-case hexadecimal digits and nothing more. */
bool cfi_hash_parse(const char *text, cfi_hash *hash_out);

#endif
