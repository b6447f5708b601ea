/* The measured peak of fused multiply-add in float32.
 *
 *   peak [--threads N] [--seconds S]   ->   {"threads": N, "avx2": G, "avx512": G, "best": G}, in GFLOP/s
 *
 * Each thread multiplies and adds in registers only, over enough independent chains to cover the latency of the FMA
 * units (latency 4, two units: 8 chains; more leave room for other latencies, fewer than the registers there are).
 * Elsewhere than on x86-64 the compiler's own vectors are used. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define CHAIN_COUNT 12
#define BLOCK_STEPS 20000   /* steps of all chains between two looks at the clock */

/* Runs BLOCK_STEPS steps; returns a value that depends on all of them. */
typedef float (*block_function)(void);

typedef struct fma_kernel {
    const char *name;
    int lanes;
    block_function run;     /* NULL: this CPU cannot */
} fma_kernel;

/* Multiplying by almost 1 and adding almost 0 keeps every value normal. */
#define FACTOR 0.999999f
#define TERM 0.000001f

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static float run_avx2(void)
{
    const __m256 factor = _mm256_set1_ps(FACTOR), term = _mm256_set1_ps(TERM);
    __m256 chain[CHAIN_COUNT];
    for (int c = 0; c < CHAIN_COUNT; c++) {
        chain[c] = _mm256_set1_ps(1.0f + (float)c);
    }
    for (int i = 0; i < BLOCK_STEPS; i++) {
        for (int c = 0; c < CHAIN_COUNT; c++) {
            chain[c] = _mm256_fmadd_ps(chain[c], factor, term);
        }
    }
    for (int c = 1; c < CHAIN_COUNT; c++) {
        chain[0] = _mm256_add_ps(chain[0], chain[c]);
    }
    return _mm256_cvtss_f32(chain[0]);
}

__attribute__((target("avx512f"))) static float run_avx512(void)
{
    const __m512 factor = _mm512_set1_ps(FACTOR), term = _mm512_set1_ps(TERM);
    __m512 chain[CHAIN_COUNT];
    for (int c = 0; c < CHAIN_COUNT; c++) {
        chain[c] = _mm512_set1_ps(1.0f + (float)c);
    }
    for (int i = 0; i < BLOCK_STEPS; i++) {
        for (int c = 0; c < CHAIN_COUNT; c++) {
            chain[c] = _mm512_fmadd_ps(chain[c], factor, term);
        }
    }
    for (int c = 1; c < CHAIN_COUNT; c++) {
        chain[0] = _mm512_add_ps(chain[0], chain[c]);
    }
    return _mm512_cvtss_f32(chain[0]);
}
#else
typedef float vector __attribute__((vector_size(16)));

static float run_vector(void)
{
    vector chain[CHAIN_COUNT];
    for (int c = 0; c < CHAIN_COUNT; c++) {
        chain[c] = (vector){1.0f, 2.0f, 3.0f, 4.0f} + (float)c;
    }
    for (int i = 0; i < BLOCK_STEPS; i++) {
        for (int c = 0; c < CHAIN_COUNT; c++) {
            chain[c] = chain[c] * FACTOR + TERM;
        }
    }
    for (int c = 1; c < CHAIN_COUNT; c++) {
        chain[0] += chain[c];
    }
    return chain[0][0];
}
#endif

typedef struct runner {
    const fma_kernel *kernel;
    pthread_barrier_t *start;
    double seconds;
    double gflops;          /* result */
    float sum;              /* keeps the work from being left out */
} runner;

static void *run_thread(void *argument)
{
    runner *run = argument;
    double elapsed = 0.0;
    int64_t blocks = 0;
    run->sum = run->kernel->run(); /* wakes the wide units and the clock */
    pthread_barrier_wait(run->start);
    const uint64_t begin = cfi_clock_ns();
    while (elapsed < run->seconds) {
        run->sum += run->kernel->run();
        blocks++;
        elapsed = (double)(cfi_clock_ns() - begin) * 1e-9;
    }
    run->gflops = 2.0 * CHAIN_COUNT * BLOCK_STEPS * run->kernel->lanes * (double)blocks / elapsed * 1e-9;
    return NULL;
}

/* GFLOP/s of all threads together; 0 when the CPU lacks the instructions, below 0 when a thread cannot start. */
static double measure(const fma_kernel *kernel, int threads, double seconds)
{
    static runner runs[CFI_THREAD_COUNT_MAX];
    static pthread_t handles[CFI_THREAD_COUNT_MAX];
    pthread_barrier_t start;
    double total = 0.0;
    if (kernel->run == NULL) {
        return 0.0;
    }
    if (pthread_barrier_init(&start, NULL, (unsigned)threads) != 0) {
        return -1.0;
    }
    for (int t = 0; t < threads; t++) {
        runs[t] = (runner){.kernel = kernel, .start = &start, .seconds = seconds};
        if (t > 0 && pthread_create(&handles[t], NULL, run_thread, &runs[t]) != 0) {
            return -1.0; /* main ends the process, and so the threads that wait */
        }
    }
    run_thread(&runs[0]);
    for (int t = 1; t < threads; t++) {
        pthread_join(handles[t], NULL);
    }
    pthread_barrier_destroy(&start);
    for (int t = 0; t < threads; t++) {
        total += runs[t].gflops;
    }
    return total;
}

int main(int argument_count, char **arguments)
{
    int threads = 1;
    double seconds = 0.3;
    for (int i = 1; i + 1 < argument_count; i += 2) {
        if (strcmp(arguments[i], "--threads") == 0) {
            threads = atoi(arguments[i + 1]);
        } else if (strcmp(arguments[i], "--seconds") == 0) {
            seconds = atof(arguments[i + 1]);
        }
    }
    if (threads < 1 || threads > CFI_THREAD_COUNT_MAX || seconds <= 0.0) {
        fprintf(stderr, "usage: peak [--threads N] [--seconds S]\n");
        return 2;
    }
#if defined(__x86_64__)
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const fma_kernel kernels[] = {
        {"avx2", 8, has_avx2 ? run_avx2 : NULL},
        {"avx512", 16, __builtin_cpu_supports("avx512f") ? run_avx512 : NULL},
    };
#else
    const fma_kernel kernels[] = {{"vector", 4, run_vector}};
#endif
    double best = 0.0;
    printf("{\"threads\": %d", threads);
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        const double gflops = measure(&kernels[i], threads, seconds);
        if (gflops < 0.0) {
            fprintf(stderr, "peak: cannot start %d threads\n", threads);
            return 1;
        }
        printf(", \"%s\": %.1f", kernels[i].name, gflops);
        best = gflops > best ? gflops : best;
    }
    printf(", \"best\": %.1f}\n", best);
    return 0;
}
