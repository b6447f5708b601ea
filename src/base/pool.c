#define _GNU_SOURCE /* sched_getaffinity */
#include "base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/limits.h"

#define SPINS_BEFORE_SLEEP 4000 /* about 50 us: longer than the gap between two steps */

typedef struct worker {
    cfi_pool *pool;
    pthread_t thread;
    int index;
} worker;

struct cfi_pool {
    int threads, spins;
    void (*function)(void *user, int thread);
    void *user;
    _Alignas(64) atomic_uint run;            /* number of the current run; a change wakes the workers */
    _Alignas(64) atomic_int arrived;         /* at the barrier */
    _Alignas(64) atomic_uint barrier_number; /* changes when all have arrived */
    _Alignas(64) atomic_int sleepers;
    atomic_bool stopping;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    int started;
    worker *workers;
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/* Waits until *number differs from `seen`: spinning first, since the others are usually microseconds away, then
 * asleep, so that on a busy machine the scheduler sees a waiting thread and not one that computes. */
static void wait_for_change(cfi_pool *pool, atomic_uint *number, unsigned seen)
{
    for (int spin = 0; spin < pool->spins; spin++) {
        if (atomic_load_explicit(number, memory_order_acquire) != seen) {
            return;
        }
        relax();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(number) == seen) {
        pthread_cond_wait(&pool->wake, &pool->mutex);
    }
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
}

/* Advances *number and wakes whoever sleeps. A sleeper either sees the new number or is seen here. */
static void advance(cfi_pool *pool, atomic_uint *number)
{
    atomic_fetch_add(number, 1);
    if (atomic_load(&pool->sleepers) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
}

void cfi_pool_barrier(cfi_pool *pool)
{
    if (pool->threads == 1) {
        return;
    }
    const unsigned number = atomic_load_explicit(&pool->barrier_number, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel) + 1 == pool->threads) {
        atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
        advance(pool, &pool->barrier_number);
    } else {
        wait_for_change(pool, &pool->barrier_number, number);
    }
}

static void *worker_main(void *argument)
{
    const worker *self = argument;
    cfi_pool *pool = self->pool;
    for (unsigned seen = 0;; seen++) {
        wait_for_change(pool, &pool->run, seen);
        if (atomic_load(&pool->stopping)) {
            return NULL;
        }
        pool->function(pool->user, self->index);
        cfi_pool_barrier(pool);
    }
}

void cfi_pool_run(cfi_pool *pool, void (*function)(void *user, int thread), void *user)
{
    if (pool->threads > 1) {
        pool->function = function;
        pool->user = user;
        advance(pool, &pool->run);
    }
    function(user, 0);
    cfi_pool_barrier(pool);
}

cf_status cfi_pool_new(int threads, cfi_pool **pool_out, cf_error *error)
{
    if (threads < 1 || threads > CFI_THREAD_COUNT_MAX) {
        return cfi_fail(error, CF_E_USAGE, "threads must be from 1 to %d, not %d", CFI_THREAD_COUNT_MAX, threads);
    }
    cfi_pool *pool = cfi_aligned_calloc(1, sizeof *pool);
    worker *workers = cfi_calloc((size_t)threads, sizeof *workers);
    if (pool == NULL || workers == NULL) {
        cfi_aligned_free(pool);
        cfi_free(workers);
        return cfi_fail_memory(error, "threads");
    }
    pool->threads = threads;
    pool->workers = workers;
    cpu_set_t cores;
    const int core_count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
    pool->spins = threads <= core_count ? SPINS_BEFORE_SLEEP : 0;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    for (int i = 1; i < threads; i++) {
        workers[i].pool = pool;
        workers[i].index = i;
        const int failure = pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
        if (failure != 0) {
            cfi_pool_free(pool);
            return cfi_fail_errno(error, CF_E_MEMORY, failure, "cannot start thread %d of %d", i + 1, threads);
        }
        pool->started = i;
    }
    *pool_out = pool;
    return CF_OK;
}

void cfi_pool_free(cfi_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    atomic_store(&pool->stopping, true);
    advance(pool, &pool->run);
    for (int i = 1; i <= pool->started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    cfi_free(pool->workers);
    cfi_aligned_free(pool);
}

int cfi_pool_threads(const cfi_pool *pool)
{
    return pool->threads;
}

cf_status cfi_pool_default_threads(int *threads_out, cf_error *error)
{
    const char *wish = getenv("CUTTLEFISH_THREADS");
    if (wish != NULL && wish[0] != '\0') {
        char *end;
        errno = 0;
        const long threads = strtol(wish, &end, 10);
        if (errno != 0 || *end != '\0' || threads < 1 || threads > CFI_THREAD_COUNT_MAX) {
            return cfi_fail(error, CF_E_USAGE, "CUTTLEFISH_THREADS=%s: must be a number from 1 to %d", wish,
                            CFI_THREAD_COUNT_MAX);
        }
        *threads_out = (int)threads;
        return CF_OK;
    }
    cpu_set_t cores;
    const int count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
    *threads_out = count < 1 ? 1 : count > CFI_THREAD_COUNT_MAX ? CFI_THREAD_COUNT_MAX : count;
    return CF_OK;
}
