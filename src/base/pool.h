/* A fixed set of threads that run one function together, with barriers inside it.
 *
 * The caller is thread 0. Between runs the others wait: at first spinning, since the next run is usually microseconds
 * away, then asleep. With more threads than cores they never spin. Runs are called by one thread at a time. */
#ifndef CFI_BASE_POOL_H
#define CFI_BASE_POOL_H

#include "base/status.h"

typedef struct cfi_pool cfi_pool;

cf_status cfi_pool_new(int threads, cfi_pool **pool_out, cf_error *error) __attribute__((warn_unused_result));
void cfi_pool_free(cfi_pool *pool); /* joins the threads; NULL is fine */
int cfi_pool_threads(const cfi_pool *pool);

/* Calls function(user, thread) for thread 0 .. threads-1 at the same time; returns when all have returned. */
void cfi_pool_run(cfi_pool *pool, void (*function)(void *user, int thread), void *user);

/* Inside a run, called by every thread: nobody goes on before all have come; what was written before is seen after. */
void cfi_pool_barrier(cfi_pool *pool);

/* Cores that this process may use (its affinity mask), at least 1; CUTTLEFISH_THREADS overrides.
 * CF_E_USAGE when that is not a number from 1 to CFI_THREAD_COUNT_MAX. */
cf_status cfi_pool_default_threads(int *threads_out, cf_error *error) __attribute__((warn_unused_result));

/* The share of `count` items that falls to `thread`: [*begin_out, *end_out), contiguous; sizes differ by at most 1. */
static inline void cfi_pool_share(int64_t count, int thread, int threads, int64_t *begin_out, int64_t *end_out)
{
    *begin_out = count * thread / threads;
    *end_out = count * (thread + 1) / threads;
}

#endif
