#include "data/test_files.h"

#include <math.h>

#include "base/alloc.h"
#include "data/dataset.h"

static cfi_batches make(uint64_t seed, int64_t total, int64_t validation, int64_t batch, bool drop_last)
{
    cfi_batches batches;
    cf_error error;
    assert_int_equal(cfi_batches_init(&batches, seed, total, validation, batch, drop_last, &error), CF_OK);
    return batches;
}

/* Marks every index of `epoch` in seen (total bytes), failing on a repeated or foreign one; returns how many. */
static int64_t mark_epoch(const cfi_batches *batches, int64_t epoch, int64_t total, char *seen)
{
    int64_t *indices = calloc((size_t)batches->batch, sizeof *indices);
    int64_t count = 0;
    for (int64_t i = 0; i < batches->steps_per_epoch; i++) {
        const int64_t rows = cfi_batches_step(batches, epoch * batches->steps_per_epoch + i, indices);
        assert_true(rows >= 1 && rows <= batches->batch);
        for (int64_t j = 0; j < rows; j++) {
            assert_in_range(indices[j], 0, total - 1);
            assert_int_equal(seen[indices[j]]++, 0);
        }
        count += rows;
    }
    free(indices);
    return count;
}

static void every_epoch_sees_each_training_sample_once(void **state)
{
    (void)state;
    static const int64_t totals[] = {1,   2,   3,   4,   5,    7,    8,     9,     10,    16,     17,     31,
                                     100, 255, 256, 257, 1000, 4096, 59999, 60000, 65536, 65537, 100003};
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++) {
        const cfi_batches batches = make(7, totals[i], 0, 3, false);
        for (int64_t epoch = 0; epoch < 3; epoch++) {
            char *seen = calloc((size_t)totals[i], 1);
            assert_int_equal(mark_epoch(&batches, epoch, totals[i], seen), totals[i]);
            free(seen);
        }
    }
}

static void validation_and_training_share_out_the_file(void **state)
{
    (void)state;
    static const int64_t cases[][2] = {{2, 1}, {10, 3}, {10, 9}, {1000, 1}, {60000, 5000}, {60000, 59999}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t total = cases[i][0], validation = cases[i][1];
        const cfi_batches batches = make(1, total, validation, 64, false);
        char *seen = calloc((size_t)total, 1);
        assert_int_equal(batches.train_count, total - validation);
        assert_int_equal(mark_epoch(&batches, 5, total, seen), total - validation);
        for (int64_t j = 0; j < validation; j++) {
            const int64_t index = cfi_batches_validation(&batches, j);
            assert_in_range(index, 0, total - 1);
            assert_int_equal(seen[index]++, 0);
        }
        free(seen);
    }
}

static void the_last_batch_is_smaller_or_left_out(void **state)
{
    (void)state;
    int64_t indices[4];
    const cfi_batches all = make(1, 10, 0, 4, false), dropped = make(1, 10, 0, 4, true), even = make(1, 8, 0, 4, false);
    assert_int_equal(all.steps_per_epoch, 3);
    assert_int_equal(dropped.steps_per_epoch, 2);
    assert_int_equal(even.steps_per_epoch, 2);
    assert_int_equal(cfi_batches_step(&all, 1, indices), 4);
    assert_int_equal(cfi_batches_step(&all, 2, indices), 2);
    assert_int_equal(cfi_batches_step(&all, 3, indices), 4);
    for (int64_t step = 0; step < 6; step++) {
        assert_int_equal(cfi_batches_step(&dropped, step, indices), 4);
    }
}

/* The order of an epoch does not depend on how it is cut into batches. */
static void a_step_is_a_slice_of_its_epochs_order(void **state)
{
    (void)state;
    int64_t whole[1000], part[7];
    const cfi_batches one = make(3, 1000, 100, 900, false), many = make(3, 1000, 100, 7, false);
    assert_int_equal(cfi_batches_step(&one, 4, whole), 900);
    for (int64_t i = 0; i < many.steps_per_epoch; i++) {
        const int64_t rows = cfi_batches_step(&many, 4 * many.steps_per_epoch + i, part);
        assert_memory_equal(part, whole + 7 * i, (size_t)rows * sizeof *part);
    }
}

static void epochs_and_seeds_have_orders_of_their_own(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    int64_t first[COUNT], other[COUNT];
    const cfi_batches batches = make(7, COUNT, 0, COUNT, false);
    cfi_batches_step(&batches, 0, first);
    for (int i = 1; i <= 8; i++) { /* epochs 1 to 4, one beyond 32 bits, and seeds that differ in one bit */
        const cfi_batches seeded = make(i == 6 ? 6 : i == 7 ? 7 | 1ull << 32 : i == 8 ? 7 | 1ull << 63 : 7, COUNT, 0,
                                        COUNT, false);
        cfi_batches_step(&seeded, i < 5 ? i : i == 5 ? (int64_t)1 << 32 : 0, other);
        int same = 0;
        for (int j = 0; j < COUNT; j++) {
            same += first[j] == other[j];
        }
        assert_in_range(same, 0, 8); /* one is expected */
    }
}

/* Chi-square of a table of counts against one expected count, as standard deviations from its mean. */
static double deviations(const int *counts, int cell_count, double expected, double freedom)
{
    double sum = 0;
    for (int i = 0; i < cell_count; i++) {
        sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    return (sum - freedom) / sqrt(2 * freedom);
}

static void every_index_is_equally_likely_at_every_position(void **state)
{
    (void)state;
    static const int sizes[] = {2, 3, 5, 10, 16, 33, 100, 128, 129};
    enum { EPOCHS = 40000, SIZE_MAX_HERE = 129 };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int n = sizes[k];
        int *counts = calloc((size_t)(n * n), sizeof *counts);
        int64_t indices[SIZE_MAX_HERE];
        const cfi_batches batches = make(7, n, 0, n, false);
        for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
            cfi_batches_step(&batches, epoch, indices);
            for (int i = 0; i < n; i++) {
                counts[i * n + indices[i]]++;
            }
        }
        const double found = deviations(counts, n * n, (double)EPOCHS / n, (double)(n - 1) * (n - 1));
        free(counts);
        if (!(fabs(found) < 4)) {
            fail_msg("n = %d: chi-square is %.2f deviations off", n, found);
        }
    }
}

/* Neighbours in the order must tell nothing about each other: every ordered pair equally likely at places 0 and 1. */
static void neighbours_are_independent(void **state)
{
    (void)state;
    enum { N = 12, EPOCHS = 60000 };
    int counts[N * N] = {0}, pairs[N * (N - 1)], pair_count = 0;
    int64_t indices[N];
    const cfi_batches batches = make(11, N, 0, N, false);
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
        cfi_batches_step(&batches, epoch, indices);
        counts[indices[0] * N + indices[1]]++;
    }
    for (int i = 0; i < N * N; i++) {
        if (i / N != i % N) {
            pairs[pair_count++] = counts[i];
        }
    }
    assert_int_equal(pair_count, N * (N - 1));
    const double found = deviations(pairs, pair_count, (double)EPOCHS / pair_count, pair_count - 1);
    if (!(fabs(found) < 4)) {
        fail_msg("chi-square is %.2f deviations off", found);
    }
}

/* Over a large file: the batch's mean index, and the distance of neighbours, as a random order has them. */
static void a_large_order_looks_random(void **state)
{
    (void)state;
    enum { N = 60000 };
    static int64_t order[N];
    const cfi_batches batches = make(7, N, 0, N, false);
    int counts[100] = {0};
    double distance = 0, product = 0;
    cfi_batches_step(&batches, 0, order);
    for (int i = 0; i < N - 1; i++) {
        counts[order[i] / 6000 * 10 + order[i + 1] / 6000]++;
        distance += fabs((double)(order[i + 1] - order[i])) / N;
        product += ((double)order[i] / N - 0.5) * (i / (double)N - 0.5);
    }
    assert_true(fabs(deviations(counts, 100, (N - 1) / 100.0, 99)) < 4);
    assert_true(fabs(distance / N - 1.0 / 3) < 4 * sqrt(1.0 / 18 / N));
    assert_true(fabs(product) < 4 * sqrt(N / 144.0));
}

/* Golden: these orders are part of every result that was ever published. Never change them. */
static void the_order_is_the_one_of_all_versions(void **state)
{
    (void)state;
    int64_t indices[10];
    const cfi_batches mnist = make(7, 60000, 5000, 10, false), small = make(0, 10, 0, 10, false);
    cfi_batches_step(&mnist, 0, indices);
    assert_memory_equal(indices,
                        ((int64_t[]){30170, 23286, 45622, 505, 40106, 36986, 47602, 14950, 57081, 58793}),
                        sizeof indices);
    cfi_batches_step(&mnist, 5500, indices);
    assert_memory_equal(indices,
                        ((int64_t[]){22271, 56063, 31509, 24200, 10232, 30903, 47092, 12721, 20236, 25313}),
                        sizeof indices);
    cfi_batches_step(&small, 0, indices);
    assert_memory_equal(indices,
                        ((int64_t[]){6, 2, 3, 1, 5, 0, 8, 7, 4, 9}),
                        sizeof indices);
    for (int64_t i = 0; i < 5; i++) {
        assert_int_equal(cfi_batches_validation(&mnist, i), ((int64_t[]){30547, 56517, 56022, 29161, 11440})[i]);
    }
}

static void what_leaves_nothing_to_train_on_is_refused(void **state)
{
    (void)state;
    cfi_batches batches;
    cf_error error;
    assert_int_equal(cfi_batches_init(&batches, 1, 60000, 60000, 10, false, &error), CF_E_CONFIG);
    assert_string_equal(error.text, "data.validation: 60000 of 60000 samples leave none to train on (give at most "
                                    "59999)");
    assert_int_equal(cfi_batches_init(&batches, 1, 10, -1, 10, false, &error), CF_E_CONFIG);
    assert_int_equal(cfi_batches_init(&batches, 1, 100, 50, 64, true, &error), CF_E_CONFIG);
    assert_string_equal(error.text, "training.batch: 50 training samples fill no batch of 64, and drop_last leaves out "
                                    "the rest");
    assert_int_equal(cfi_batches_init(&batches, 1, 0, 0, 64, false, &error), CF_E_CONFIG);
    assert_string_equal(error.text, "0 samples in batches of 64 cannot be ordered");
}

static void finding_a_step_allocates_nothing(void **state)
{
    (void)state;
    int64_t indices[128];
    const cfi_batches batches = make(1, 60000, 5000, 128, false);
    const uint64_t before = cfi_alloc_count();
    for (int64_t step = 0; step < 1000; step++) {
        cfi_batches_step(&batches, step, indices);
    }
    assert_int_equal(cfi_alloc_count(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_epoch_sees_each_training_sample_once),
        cmocka_unit_test(validation_and_training_share_out_the_file),
        cmocka_unit_test(the_last_batch_is_smaller_or_left_out),
        cmocka_unit_test(a_step_is_a_slice_of_its_epochs_order),
        cmocka_unit_test(epochs_and_seeds_have_orders_of_their_own),
        cmocka_unit_test(every_index_is_equally_likely_at_every_position),
        cmocka_unit_test(neighbours_are_independent),
        cmocka_unit_test(a_large_order_looks_random),
        cmocka_unit_test(the_order_is_the_one_of_all_versions),
        cmocka_unit_test(what_leaves_nothing_to_train_on_is_refused),
        cmocka_unit_test(finding_a_step_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
