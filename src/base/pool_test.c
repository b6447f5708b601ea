#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/pool.h"

enum { THREADS = 5, ROUNDS = 2000, PHASES = 4 };

typedef struct relay {
    cfi_pool *pool;
    int64_t cells[PHASES + 1][THREADS];
} relay;

/* Each phase sums what all threads wrote in the one before: wrong at once if a barrier lets anybody through. */
static void relay_main(void *user, int thread)
{
    relay *race = user;
    for (int phase = 0; phase < PHASES; phase++) {
        int64_t sum = 0;
        for (int t = 0; t < THREADS; t++) {
            sum += race->cells[phase][t];
        }
        race->cells[phase + 1][thread] = sum + thread;
        cfi_pool_barrier(race->pool);
    }
}

static void barriers_show_every_write_of_the_phase_before(void **state)
{
    (void)state;
    relay race;
    memset(&race, 0, sizeof race);
    assert_int_equal(cfi_pool_new(THREADS, &race.pool, NULL), CF_OK);
    assert_int_equal(cfi_pool_threads(race.pool), THREADS);
    for (int round = 0; round < ROUNDS; round++) {
        for (int t = 0; t < THREADS; t++) {
            race.cells[0][t] = round + t;
        }
        cfi_pool_run(race.pool, relay_main, &race);
        int64_t sum = 0, expected = 0;
        for (int t = 0; t < THREADS; t++) {
            expected += round + t;
        }
        for (int phase = 1; phase <= PHASES; phase++) {
            sum = 0;
            for (int t = 0; t < THREADS; t++) {
                assert_int_equal(race.cells[phase][t], expected + t);
                sum += race.cells[phase][t];
            }
            expected = sum;
        }
    }
    cfi_pool_free(race.pool);
}

static void shares_cover_all_items_in_order(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 7; threads++) {
        for (int64_t count = 0; count < 30; count++) {
            int64_t at = 0;
            for (int t = 0; t < threads; t++) {
                int64_t begin, end;
                cfi_pool_share(count, t, threads, &begin, &end);
                assert_int_equal(begin, at);
                assert_true(end - begin == count / threads || end - begin == count / threads + 1);
                at = end;
            }
            assert_int_equal(at, count);
        }
    }
}

static void wrong_thread_counts_are_refused(void **state)
{
    (void)state;
    cfi_pool *pool = NULL;
    cf_error error;
    assert_int_equal(cfi_pool_new(0, &pool, &error), CF_E_USAGE);
    assert_string_equal(error.text, "threads must be from 1 to 256, not 0");
    assert_int_equal(cfi_pool_new(257, &pool, &error), CF_E_USAGE);
    assert_null(pool);
    int threads = 0;
    setenv("CUTTLEFISH_THREADS", "many", 1);
    assert_int_equal(cfi_pool_default_threads(&threads, &error), CF_E_USAGE);
    assert_string_equal(error.text, "CUTTLEFISH_THREADS=many: must be a number from 1 to 256");
    setenv("CUTTLEFISH_THREADS", "3", 1);
    assert_int_equal(cfi_pool_default_threads(&threads, &error), CF_OK);
    assert_int_equal(threads, 3);
    unsetenv("CUTTLEFISH_THREADS");
    assert_int_equal(cfi_pool_default_threads(&threads, &error), CF_OK);
    assert_true(threads >= 1);
}

static void a_failed_allocation_is_an_error(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 2; n++) {
        cfi_pool *pool = NULL;
        cf_error error;
        cfi_alloc_fail_after(n);
        const cf_status status = cfi_pool_new(2, &pool, &error);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_int_equal(status, CF_E_MEMORY);
        assert_null(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barriers_show_every_write_of_the_phase_before),
        cmocka_unit_test(shares_cover_all_items_in_order),
        cmocka_unit_test(wrong_thread_counts_are_refused),
        cmocka_unit_test(a_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
