/* Many seeds, small networks: whatever goes wrong, the weights are those of train. CF_SIM_SEEDS says how many. */
#include "sim/small.h"

enum { STEPS = 30, USUAL_SEEDS = 150 };

static void check_seed(small_network *small, uint64_t seed, int64_t faults[CFI_SIM_FAULT_COUNT])
{
    const cfi_sim_run run = {.seed = seed};
    const cfi_sim_result result = small_run(small, &run);
    for (int f = 0; f < CFI_SIM_FAULT_COUNT; f++) {
        faults[f] += result.faults[f];
    }
    if (result.has_failed) {
        const cfi_sim_result again = small_run(small, &run);
        fail_msg("%s: seed %llu breaks O%d %s (run again: %s)", small->settings.name, (unsigned long long)seed,
                 result.oracle, result.violation, again.trace == result.trace ? "the same" : "something else");
    }
    assert_true(result.steps == STEPS);
}

static void run_seeds(const char *text, int64_t share, int64_t faults[CFI_SIM_FAULT_COUNT])
{
    small_network small;
    const int64_t seeds = small_number("CF_SIM_SEEDS", USUAL_SEEDS) / share;
    const int64_t first = small_number("CF_SIM_FIRST", 1);
    small_init(&small, text, STEPS, 0);
    for (int64_t i = 0; i < seeds; i++) {
        check_seed(&small, (uint64_t)(first + i), faults);
    }
    small_fini(&small);
}

static void every_seed_ends_with_the_weights_of_train(void **state)
{
    int64_t faults[CFI_SIM_FAULT_COUNT] = {0};
    (void)state;
    run_seeds(small_plain, 1, faults);
    run_seeds(small_rich, 3, faults);
    for (int f = 0; f < CFI_SIM_FAULT_COUNT; f++) {
        print_message("%-22s %lld\n", cfi_sim_fault_name((cfi_sim_fault)f), (long long)faults[f]);
        assert_true(faults[f] > 0 || small_number("CF_SIM_SEEDS", USUAL_SEEDS) < USUAL_SEEDS);
    }
}

static void a_seed_does_the_same_again(void **state)
{
    small_network small;
    (void)state;
    small_init(&small, small_plain, STEPS, 0);
    for (uint64_t seed = 1; seed <= 10; seed++) {
        const cfi_sim_run run = {.seed = seed};
        const cfi_sim_result one = small_run(&small, &run), two = small_run(&small, &run);
        assert_true(one.trace == two.trace);
        assert_true(one.events == two.events);
        assert_true(one.points == two.points);
    }
    small_fini(&small);
}

static void seeds_differ(void **state)
{
    small_network small;
    (void)state;
    small_init(&small, small_plain, STEPS, 0);
    const cfi_sim_run one = {.seed = 1}, two = {.seed = 2};
    assert_true(small_run(&small, &one).trace != small_run(&small, &two).trace);
    small_fini(&small);
}

/* Calm runs of many seeds: other cuts, placements and micro-batches, and no fault at all. */
static void every_cut_has_the_same_weights(void **state)
{
    small_network small;
    (void)state;
    small_init(&small, small_rich, 12, 0);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        const cfi_sim_run run = {.seed = seed, .is_calm = true};
        const cfi_sim_result result = small_run(&small, &run);
        if (result.has_failed) {
            fail_msg("seed %llu breaks O%d %s", (unsigned long long)seed, result.oracle, result.violation);
        }
    }
    small_fini(&small);
}

typedef struct line_count {
    int64_t lines;
} line_count;

static void count_line(void *user, const char *line)
{
    line_count *count = user;
    assert_non_null(strstr(line, " ms  "));
    count->lines++;
}

static void tracing_changes_nothing(void **state)
{
    small_network small;
    line_count count = {0};
    (void)state;
    small_init(&small, small_plain, STEPS, 0);
    const cfi_sim_run silent = {.seed = 5}, told = {.seed = 5, .on_line = count_line, .user = &count};
    assert_true(small_run(&small, &silent).trace == small_run(&small, &told).trace);
    assert_true(count.lines > STEPS);
    small_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_does_the_same_again),
        cmocka_unit_test(seeds_differ),
        cmocka_unit_test(tracing_changes_nothing),
        cmocka_unit_test(every_cut_has_the_same_weights),
        cmocka_unit_test(every_seed_ends_with_the_weights_of_train),
    };
    return cmocka_run_group_tests_name("sim.seeds", tests, NULL, NULL);
}
