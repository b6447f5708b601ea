#define _DEFAULT_SOURCE /* madvise */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGNMENT 64u

static atomic_uint_fast64_t allocation_count;
static atomic_uint_fast64_t successes_left = UINT64_MAX;

/* Counts one allocation; false when the test hook wants it to fail. */
static bool allocation_allowed(void)
{
    atomic_fetch_add_explicit(&allocation_count, 1, memory_order_relaxed);
    uint_fast64_t left = atomic_load_explicit(&successes_left, memory_order_relaxed);
    if (left == UINT64_MAX) {
        return true;
    }
    while (left > 0) {
        if (atomic_compare_exchange_weak(&successes_left, &left, left - 1)) {
            return true;
        }
    }
    return false;
}

/* count*size, at least 1; false on overflow. */
static bool total_size(size_t count, size_t size, size_t *total_out)
{
    if (size != 0 && count > SIZE_MAX / 2 / size) {
        return false;
    }
    *total_out = count * size == 0 ? 1 : count * size;
    return true;
}

void *cfi_calloc(size_t count, size_t size)
{
    size_t total;
    return total_size(count, size, &total) && allocation_allowed() ? calloc(1, total) : NULL;
}

void *cfi_realloc(void *memory, size_t count, size_t size)
{
    size_t total;
    return total_size(count, size, &total) && allocation_allowed() ? realloc(memory, total) : NULL;
}

void *cfi_aligned_calloc(size_t count, size_t size)
{
    size_t total;
    if (!total_size(count, size, &total) || !allocation_allowed()) {
        return NULL;
    }
    total = (total + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *memory = aligned_alloc(ALIGNMENT, total);
    if (memory != NULL) {
        memset(memory, 0, total);
    }
    return memory;
}

void *cfi_huge_alloc(size_t size)
{
    const size_t alignment = size >= CFI_HUGE_PAGE_SIZE ? CFI_HUGE_PAGE_SIZE : ALIGNMENT;
    if (size > SIZE_MAX / 2 || !allocation_allowed()) {
        return NULL;
    }
    size = (size + alignment - 1) / alignment * alignment;
    void *memory = aligned_alloc(alignment, size == 0 ? alignment : size);
#if defined(MADV_HUGEPAGE)
    if (memory != NULL && alignment == CFI_HUGE_PAGE_SIZE) {
        (void)madvise(memory, size, MADV_HUGEPAGE); /* only a wish */
    }
#endif
    return memory;
}

char *cfi_strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = cfi_calloc(size, 1);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

void cfi_free(void *memory)
{
    free(memory);
}

void cfi_aligned_free(void *memory)
{
    free(memory);
}

uint64_t cfi_alloc_count(void)
{
    return atomic_load_explicit(&allocation_count, memory_order_relaxed);
}

void cfi_alloc_fail_after(uint64_t successes)
{
    atomic_store(&successes_left, successes);
}
