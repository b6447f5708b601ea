/* Memory that is taken in pieces and given back all at once: an engine's buffers.
 *
 * Pieces come from chunks of whole huge pages (2 MiB), which the kernel is asked to back as such: a step walks through
 * all of its buffers, and with small pages it would wait for the address translation of each. A thrifty arena, for few
 * bytes in all, takes chunks no longer than a piece. Under AddressSanitizer
 * every piece is an allocation of its own, so that writing past one is found. Not thread-safe. */
#ifndef CFI_BASE_ARENA_H
#define CFI_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cfi_arena_chunk cfi_arena_chunk;

typedef struct cfi_arena {
    cfi_arena_chunk *newest; /* all zero: an empty arena */
    size_t used;             /* bytes of the newest chunk */
    bool thrifty;            /* set before the first piece is taken */
} cfi_arena;

/* Zeroed memory for count items of `size` bytes, aligned to 64 bytes, valid until cfi_arena_fini; NULL when memory is
 * short or the size overflows. */
void *cfi_arena_take(cfi_arena *arena, size_t count, size_t size) __attribute__((warn_unused_result));

void cfi_arena_fini(cfi_arena *arena); /* gives all back; the arena is empty then */

#endif
