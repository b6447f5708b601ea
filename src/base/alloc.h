/* The only place that calls malloc (scripts/tidy.py bans it elsewhere).
 *
 * Counts every allocation, so that a test can prove that the training step makes none, and can fail the
 * n-th one, so that tests can prove that every failure is survived. Counters are atomic: any thread. */
#ifndef CFI_BASE_ALLOC_H
#define CFI_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory for `count` items of `size` bytes; NULL when memory is short or count*size overflows.
 * Free with cfi_free. count or size 0 gives a unique pointer that may be freed. */
void *cfi_calloc(size_t count, size_t size) __attribute__((warn_unused_result));

/* As realloc, growing or shrinking to count*size bytes; new bytes are not zeroed. NULL leaves the old alive. */
void *cfi_realloc(void *memory, size_t count, size_t size) __attribute__((warn_unused_result));

/* Zeroed, aligned to 64 bytes (a cache line, the widest vector). Free with cfi_aligned_free. */
void *cfi_aligned_calloc(size_t count, size_t size) __attribute__((warn_unused_result));

#define CFI_HUGE_PAGE_SIZE ((size_t)2 << 20)

/* Memory that is NOT zeroed, aligned to a huge page when it is at least one long (else to 64 bytes), for which the
 * kernel is asked to use huge pages. Free with cfi_free. */
void *cfi_huge_alloc(size_t size) __attribute__((warn_unused_result));

/* A copy of `text`; NULL when memory is short. Free with cfi_free. */
char *cfi_strdup(const char *text) __attribute__((warn_unused_result));

void cfi_free(void *memory);          /* NULL is fine */
void cfi_aligned_free(void *memory);  /* NULL is fine */

/* Allocations made by this process so far (all four functions above). */
uint64_t cfi_alloc_count(void);

/* Test hook: lets `successes` further allocations pass and fails every one after; UINT64_MAX (the
 * default) never fails. */
void cfi_alloc_fail_after(uint64_t successes);

#endif
