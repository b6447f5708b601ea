#include "learn/initialise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/hash.h"

#define SEED 7

static cfi_layer dense(cfi_initialiser init, int64_t fan_in, int64_t neurons)
{
    return (cfi_layer){.kind = CFI_LAYER_DENSE, .init = init, .fan_in = fan_in, .neurons = neurons,
                       .weight_count = fan_in * neurons, .weight_index = 3};
}

typedef struct moments {
    double mean, deviation, largest;
} moments;

static moments measure(const float *values, int64_t count)
{
    double sum = 0, squares = 0, largest = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
        largest = fmax(largest, fabs((double)values[i]));
    }
    return (moments){sum / (double)count, sqrt(squares / (double)count), largest};
}

/* 200,000 draws: mean within 5 standard errors of 0, deviation within 1 % (4.5 and more standard errors). */
static void expect_distribution(cfi_layer layer, double deviation, double limit)
{
    float *weights = cfi_calloc((size_t)layer.weight_count, sizeof *weights);
    float *biases = cfi_calloc((size_t)layer.neurons, sizeof *biases);
    assert_true(weights != NULL && biases != NULL);
    cfi_initialise_layer(&layer, SEED, 0, layer.neurons, weights, biases);
    const moments found = measure(weights, layer.weight_count);
    assert_true(fabs(found.mean) < 5.0 * deviation / sqrt((double)layer.weight_count));
    assert_true(fabs(found.deviation / deviation - 1.0) < 0.01);
    assert_true(found.largest <= limit);
    assert_true(found.largest > 0.99 * fmin(limit, 4.0 * deviation));
    for (int64_t row = 0; row < layer.neurons; row++) {
        assert_true(layer.init == CFI_INIT_NIELSEN || biases[row] == 0.0f);
    }
    cfi_free(weights);
    cfi_free(biases);
}

static void distributions_have_the_published_deviations(void **state)
{
    (void)state;
    const double in = 400, out = 500, none = (double)INFINITY;
    expect_distribution(dense(CFI_INIT_HE_NORMAL, 400, 500), sqrt(2 / in), none);
    expect_distribution(dense(CFI_INIT_HE_UNIFORM, 400, 500), sqrt(2 / in), sqrt(6 / in));
    expect_distribution(dense(CFI_INIT_GLOROT_NORMAL, 400, 500), sqrt(2 / (in + out)), none);
    expect_distribution(dense(CFI_INIT_GLOROT_UNIFORM, 400, 500), sqrt(2 / (in + out)), sqrt(6 / (in + out)));
    expect_distribution(dense(CFI_INIT_NIELSEN, 400, 500), sqrt(1 / in), none);
}

static void glorot_counts_a_convolutions_kernel_in_both_directions(void **state)
{
    (void)state;
    cfi_layer layer = dense(CFI_INIT_GLOROT_UNIFORM, 16 * 25, 500);
    layer.kind = CFI_LAYER_CONV2D;
    layer.kernel[0] = layer.kernel[1] = 5;
    const double limit = sqrt(6.0 / (16 * 25 + 500 * 25));
    expect_distribution(layer, limit / sqrt(3), limit);
}

static void nielsen_draws_biases_from_the_standard_normal(void **state)
{
    (void)state;
    const cfi_layer layer = dense(CFI_INIT_NIELSEN, 1, 100000);
    float *weights = cfi_calloc(100000, sizeof *weights), *biases = cfi_calloc(100000, sizeof *biases);
    assert_true(weights != NULL && biases != NULL);
    cfi_initialise_layer(&layer, SEED, 0, layer.neurons, weights, biases);
    assert_true(fabs(measure(biases, 100000).deviation - 1.0) < 0.01);
    assert_memory_not_equal(weights, biases, 100000 * sizeof *weights); /* same law, other draws */
    cfi_free(weights);
    cfi_free(biases);
}

static void zeros_are_plus_zero(void **state)
{
    (void)state;
    const cfi_layer layer = dense(CFI_INIT_ZEROS, 7, 5);
    float weights[35], biases[5];
    static const float zeros[35] = {0};
    memset(weights, 0xff, sizeof weights);
    memset(biases, 0xff, sizeof biases);
    cfi_initialise_layer(&layer, SEED, 0, 5, weights, biases);
    assert_memory_equal(weights, zeros, sizeof weights);
    assert_memory_equal(biases, zeros, sizeof biases);
}

static void a_slice_of_rows_is_that_part_of_the_whole(void **state)
{
    (void)state;
    const cfi_layer layer = dense(CFI_INIT_NIELSEN, 13, 20);
    float whole[13 * 20], part[13 * 20], biases[20], part_biases[20];
    cfi_initialise_layer(&layer, SEED, 0, 20, whole, biases);
    for (int64_t begin = 0; begin < 20; begin++) {
        for (int64_t end = begin; end <= 20; end++) {
            cfi_initialise_layer(&layer, SEED, begin, end, part, part_biases);
            assert_memory_equal(part, whole + 13 * begin, (size_t)(13 * (end - begin)) * sizeof *part);
            assert_memory_equal(part_biases, biases + begin, (size_t)(end - begin) * sizeof *biases);
        }
    }
}

static void layers_and_seeds_draw_different_weights(void **state)
{
    (void)state;
    cfi_layer layer = dense(CFI_INIT_HE_NORMAL, 8, 4);
    float first[32], second[32], biases[4];
    cfi_initialise_layer(&layer, SEED, 0, 4, first, biases);
    cfi_initialise_layer(&layer, SEED + (1ull << 32), 0, 4, second, biases);
    assert_memory_not_equal(first, second, sizeof first);
    layer.weight_index++;
    cfi_initialise_layer(&layer, SEED, 0, 4, second, biases);
    assert_memory_not_equal(first, second, sizeof first);
}

/* The bits themselves: whoever changes one of these changes every result ever printed. */
static void initial_weights_never_change(void **state)
{
    (void)state;
    static const char *const golden[] = {
        "b9d543adfbf14ee5ff8386239c2e539f", "8461b6f28e9bb951cdbf9cdef8222f15",
        "8da5de8b03e0ca46b068da84d6e72f50", "84780637bbc4dcc1407531e916219c19",
        "dc6cc8e9c6b18a062f66ace44a303feb"};
    static float weights[64 * 784], biases[64];
    for (int init = CFI_INIT_HE_UNIFORM; init <= CFI_INIT_NIELSEN; init++) {
        const cfi_layer layer = dense((cfi_initialiser)init, 784, 64);
        char text[CFI_HASH_TEXT_SIZE];
        cfi_initialise_layer(&layer, SEED, 0, 64, weights, biases);
        const cfi_hash left = cfi_hash_bytes(weights, sizeof weights);
        cfi_hash_text(cfi_hash_join(left, cfi_hash_bytes(biases, sizeof biases)), text);
        assert_string_equal(text, golden[init - CFI_INIT_HE_UNIFORM]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distributions_have_the_published_deviations),
        cmocka_unit_test(glorot_counts_a_convolutions_kernel_in_both_directions),
        cmocka_unit_test(nielsen_draws_biases_from_the_standard_normal),
        cmocka_unit_test(zeros_are_plus_zero),
        cmocka_unit_test(a_slice_of_rows_is_that_part_of_the_whole),
        cmocka_unit_test(layers_and_seeds_draw_different_weights),
        cmocka_unit_test(initial_weights_never_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
