/* Every single point at which a process touches the world outside: death before it, death after it, and for disk calls
 * also an error, a short write and a full disk. No seed, no luck: all of them. CF_SIM_PAIRS says how many random pairs
 * are tried besides. */
#include "base/philox.h"
#include "sim/small.h"

enum { STEPS = 4, CONTAINERS = 5, USUAL_PAIRS = 300, FIRST_SEED = 11, SEEDS = 2 };

static const char *kind_name(cfi_sim_point_kind kind)
{
    static const char *const kinds[] = {"nothing", "death before", "death after", "error", "short write", "disk full"};
    return kinds[kind];
}

static void check_points(small_network *small, const cfi_sim_run *run)
{
    const cfi_sim_result result = small_run(small, run);
    if (result.has_failed) {
        fail_msg("seed %llu, %s at point %lld, %s at %lld: O%d %s", (unsigned long long)run->seed,
                 kind_name(run->points[0].kind), (long long)run->points[0].number, kind_name(run->points[1].kind),
                 (long long)run->points[1].number, result.oracle, result.violation);
    }
    assert_true(result.steps == STEPS);
}

static int64_t sweep(small_network *small, uint64_t seed, cfi_sim_point_kind kind)
{
    const cfi_sim_run calm = {.seed = seed, .is_calm = true};
    const cfi_sim_result usual = small_run(small, &calm);
    const bool is_death = kind == CFI_SIM_POINT_BEFORE || kind == CFI_SIM_POINT_AFTER;
    const int64_t count = is_death ? usual.points : usual.disk_points;
    assert_true(count > 20);
    for (int64_t n = 0; n < count; n++) {
        cfi_sim_run run = calm;
        run.points[0] = (cfi_sim_point){kind, n};
        check_points(small, &run);
    }
    return count;
}

static void sweep_kind(cfi_sim_point_kind kind)
{
    small_network small;
    int64_t count = 0;
    small_init(&small, small_plain, STEPS, CONTAINERS);
    for (uint64_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
        count += sweep(&small, seed, kind);
    }
    print_message("%lld points: %s\n", (long long)count, kind_name(kind));
    small_fini(&small);
}

static void death_before_any_point_costs_nothing(void **state)
{
    (void)state;
    sweep_kind(CFI_SIM_POINT_BEFORE);
}

static void death_after_any_point_costs_nothing(void **state)
{
    (void)state;
    sweep_kind(CFI_SIM_POINT_AFTER);
}

static void an_error_of_any_disk_call_costs_nothing(void **state)
{
    (void)state;
    sweep_kind(CFI_SIM_POINT_FAIL);
}

static void any_short_write_costs_nothing(void **state)
{
    (void)state;
    sweep_kind(CFI_SIM_POINT_SHORT);
}

static void a_full_disk_at_any_call_costs_nothing(void **state)
{
    (void)state;
    sweep_kind(CFI_SIM_POINT_FULL);
}

static void two_deaths_anywhere_cost_nothing(void **state)
{
    small_network small;
    (void)state;
    small_init(&small, small_plain, STEPS, CONTAINERS);
    const cfi_sim_run calm = {.seed = FIRST_SEED, .is_calm = true};
    const uint32_t count = (uint32_t)small_run(&small, &calm).points;
    const int64_t pairs = small_number("CF_SIM_PAIRS", USUAL_PAIRS);
    for (int64_t i = 0; i < pairs; i++) {
        const cfi_philox_block block = cfi_draw(7, CFI_PURPOSE_TEST, 0, (uint32_t)i, 0, 0);
        cfi_sim_run run = calm;
        for (int p = 0; p < 2; p++) {
            const bool is_before = (block.word[p] >> 31) != 0;
            run.points[p] = (cfi_sim_point){is_before ? CFI_SIM_POINT_BEFORE : CFI_SIM_POINT_AFTER,
                                            block.word[p + 2] % (count + count / 4)};
        }
        check_points(&small, &run);
    }
    small_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(death_before_any_point_costs_nothing),
        cmocka_unit_test(death_after_any_point_costs_nothing),
        cmocka_unit_test(an_error_of_any_disk_call_costs_nothing),
        cmocka_unit_test(any_short_write_costs_nothing),
        cmocka_unit_test(a_full_disk_at_any_call_costs_nothing),
        cmocka_unit_test(two_deaths_anywhere_cost_nothing),
    };
    return cmocka_run_group_tests_name("sim.sweep", tests, NULL, NULL);
}
