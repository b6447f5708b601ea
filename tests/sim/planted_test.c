/* Mistakes planted in the protocol on purpose (base/planted.h): the simulator must find each of them, or its silence
 * about the rest means nothing. Only this program is built with CFI_PLANTS (sim.cmake). */
#include "base/planted.h"
#include "sim/small.h"

enum { STEPS = 30, SEEDS_MAX = 1000 };

int cfi_planted_bug;

/* How many seeds it took; -1: not found. */
static int64_t find(small_network *small, int64_t seeds, cfi_sim_result *result_out)
{
    for (int64_t seed = 1; seed <= seeds; seed++) {
        const cfi_sim_run run = {.seed = (uint64_t)seed};
        *result_out = small_run(small, &run);
        if (result_out->has_failed) {
            return seed;
        }
    }
    return -1;
}

static void every_planted_mistake_is_found(void **state)
{
    small_network small;
    const int64_t only = small_number("CF_SIM_PLANTED", 0);
    const int64_t seeds = small_number("CF_SIM_PLANTED_SEEDS", SEEDS_MAX);
    int found = 0, missed = 0;
    (void)state;
    small_init(&small, small_plain, STEPS, 0);
    for (int bug = only > 0 ? (int)only : 1; bug <= (only > 0 ? (int)only : CFI_PLANTED_COUNT); bug++) {
        cfi_sim_result result;
        cfi_planted_bug = bug;
        const int64_t tried = find(&small, seeds, &result);
        cfi_planted_bug = 0;
        if (tried > 0) {
            found++;
            print_message("mistake %2d: found by seed %lld: O%d %s\n", bug, (long long)tried, result.oracle,
                          result.violation);
        } else {
            missed++;
            print_message("mistake %2d: NOT FOUND in %lld seeds\n", bug, (long long)seeds);
        }
    }
    print_message("%d of %d mistakes found\n", found, found + missed);
    assert_int_equal(missed, 0);
    small_fini(&small);
}

/* With no mistake made the same program must find nothing: it is the mistakes that it finds. */
static void nothing_is_found_where_nothing_is_planted(void **state)
{
    small_network small;
    cfi_sim_result result;
    (void)state;
    small_init(&small, small_plain, STEPS, 0);
    assert_int_equal(find(&small, 20, &result), -1);
    small_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_found_where_nothing_is_planted),
        cmocka_unit_test(every_planted_mistake_is_found),
    };
    return cmocka_run_group_tests_name("sim.planted", tests, NULL, NULL);
}
