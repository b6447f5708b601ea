#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

#define ALIGNMENT ((size_t)64)

struct cfi_arena_chunk {
    cfi_arena_chunk *older;
    size_t size; /* with this header, which takes the first ALIGNMENT bytes */
};

#if defined(__SANITIZE_ADDRESS__)
#define CHUNK_SIZE_MIN ((size_t)0)
#else
#define CHUNK_SIZE_MIN CFI_HUGE_PAGE_SIZE
#endif

static size_t round_up(size_t value, size_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

static cfi_arena_chunk *chunk_new(size_t need, bool thrifty)
{
    size_t size = need + ALIGNMENT;
    if (CHUNK_SIZE_MIN != 0 && !thrifty) {
        size = round_up(size, CHUNK_SIZE_MIN);
    }
    cfi_arena_chunk *chunk = cfi_huge_alloc(size);
    if (chunk != NULL) {
        chunk->size = size;
    }
    return chunk;
}

void *cfi_arena_take(cfi_arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / 4 / size) {
        return NULL;
    }
    const size_t need = count * size == 0 ? ALIGNMENT : round_up(count * size, ALIGNMENT);
    if (arena->newest == NULL || arena->newest->size - arena->used < need) {
        cfi_arena_chunk *chunk = chunk_new(need, arena->thrifty);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->older = arena->newest;
        arena->newest = chunk;
        arena->used = ALIGNMENT;
    }
    char *piece = (char *)arena->newest + arena->used;
    arena->used += need;
    memset(piece, 0, need);
    return piece;
}

void cfi_arena_fini(cfi_arena *arena)
{
    while (arena->newest != NULL) {
        cfi_arena_chunk *older = arena->newest->older;
        cfi_free(arena->newest);
        arena->newest = older;
    }
    arena->used = 0;
}
