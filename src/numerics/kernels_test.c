/* Every table against plain definitions: bit for bit where the definition is exact, in ulp against libm elsewhere. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/philox.h"
#include "numerics/kernels.h"
#include "numerics/tree.h"

static float random_value(uint32_t tensor, int64_t element)
{
    const cfi_philox_block draw = cfi_draw(11, CFI_PURPOSE_TEST, tensor, (uint32_t)element, 0, 0);
    return cfi_uniform_float(draw.word[0]) * 2.0f - 1.0f;
}

static float *random_values(uint32_t tensor, int64_t count)
{
    float *values = cfi_aligned_calloc((size_t)count, sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++) {
        values[i] = random_value(tensor, i);
    }
    return values;
}

static void assert_same_bits(const float *left, const float *right, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        uint32_t l, r;
        memcpy(&l, left + i, sizeof l);
        memcpy(&r, right + i, sizeof r);
        if (l != r) {
            fail_msg("value %lld: %a and %a", (long long)i, (double)left[i], (double)right[i]);
        }
    }
}

/* Runs `check` for every table that this processor can run. */
static void for_every_table(void (*check)(const cfi_kernels *kernels))
{
    int count;
    const cfi_kernels *const *usable = cfi_kernels_usable(&count);
    for (int i = 0; i < count; i++) {
        check(usable[i]);
    }
}

/* ---- The tile against its definition ---- */

/* sum over one leaf, straight from the definition in kernels.h. */
static float leaf_chain(const cfi_tile *tile, int64_t leaf, int row, int column, float start)
{
    const int64_t *n = leaf == tile->leaf_count - 1 && tile->leaf_count > 1 ? tile->last_n : tile->n;
    const int64_t inner = leaf % tile->leaf_group, outer = leaf / tile->leaf_group;
    const float *a = tile->a[row] + inner * tile->leaf_as[0] + outer * tile->leaf_as[1];
    const float *b = tile->b + column + inner * tile->leaf_bs[0] + outer * tile->leaf_bs[1];
    float sum = start;
    for (int64_t k2 = 0; k2 < n[2]; k2++) {
        for (int64_t k1 = 0; k1 < n[1]; k1++) {
            for (int64_t k0 = 0; k0 < n[0]; k0++) {
                sum = fmaf(a[k2 * tile->as[2] + k1 * tile->as[1] + k0 * tile->as[0]],
                           b[k2 * tile->bs[2] + k1 * tile->bs[1] + k0 * tile->bs[0]], sum);
            }
        }
    }
    return sum;
}

/* The aligned tree by its recursive definition, over leaves begin .. begin + 2^level - 1, cut off at leaf_count. */
static float tree_of_leaves(const cfi_tile *tile, int row, int column, int64_t begin, int level)
{
    if (level == 0) {
        return leaf_chain(tile, begin, row, column, 0.0f);
    }
    const int64_t half = (int64_t)1 << (level - 1);
    const float left = tree_of_leaves(tile, row, column, begin, level - 1);
    if (begin + half >= tile->leaf_count) {
        return left;
    }
    return left + tree_of_leaves(tile, row, column, begin + half, level - 1);
}

static float tile_expected(const cfi_tile *tile, int row, int column)
{
    if (tile->leaf_count > 1) {
        int level = 0;
        while (((int64_t)1 << level) < tile->leaf_count) {
            level++;
        }
        return tree_of_leaves(tile, row, column, 0, level);
    }
    float start = 0.0f;
    if (tile->start == CFI_START_ROW_BIAS) {
        start = tile->bias[row];
    } else if (tile->start == CFI_START_COLUMN_BIAS) {
        start = tile->bias[column];
    } else if (tile->start == CFI_START_OUTPUT) {
        start = tile->c[row * tile->ldc + column];
    }
    return leaf_chain(tile, 0, row, column, start);
}

enum { POOL = 40000 };

static void check_tile(const cfi_kernels *kernels, cfi_tile *tile, const float *initial)
{
    float expected[CFI_TILE_ROWS * CFI_TILE_COLUMNS], c[CFI_TILE_ROWS * CFI_TILE_COLUMNS];
    memcpy(c, initial, sizeof c);
    tile->c = c;
    for (int r = 0; r < tile->rows; r++) {
        for (int j = 0; j < tile->columns; j++) {
            expected[r * tile->columns + j] = tile_expected(tile, r, j);
        }
    }
    kernels->tile(tile);
    for (int r = 0; r < tile->rows; r++) {
        assert_same_bits(c + r * tile->ldc, expected + r * tile->columns, tile->columns);
    }
}

static void check_tiles(const cfi_kernels *kernels)
{
    float *a = random_values(1, POOL), *b = random_values(2, POOL), *bias = random_values(3, 64);
    float *initial = random_values(4, CFI_TILE_ROWS * CFI_TILE_COLUMNS);
    float *stack = cfi_aligned_calloc(CFI_TILE_STACK_FLOATS, sizeof *stack);
    for (int rows = 1; rows <= CFI_TILE_ROWS; rows++) {
        for (int columns = 16; columns <= 64; columns += 16) {
            for (int64_t leaves = 1; leaves <= 11; leaves++) {
                cfi_tile tile;
                memset(&tile, 0, sizeof tile);
                for (int r = 0; r < rows; r++) {
                    tile.a[r] = a + r * 701;
                }
                tile.b = b;
                tile.ldc = CFI_TILE_COLUMNS;
                tile.rows = rows;
                tile.columns = columns;
                tile.start = leaves > 1 ? CFI_START_ZERO : (cfi_tile_start)((rows + columns / 16) % 4);
                tile.bias = bias;
                tile.stack = stack;
                tile.n[0] = 5, tile.n[1] = 3, tile.n[2] = 2;
                tile.last_n[0] = 2, tile.last_n[1] = 3, tile.last_n[2] = 2;
                tile.as[0] = 1, tile.as[1] = 9, tile.as[2] = 40;
                tile.bs[0] = 64, tile.bs[1] = 320, tile.bs[2] = 960;
                tile.leaf_count = leaves;
                tile.leaf_group = 3;
                tile.leaf_as[0] = 7, tile.leaf_as[1] = 100;
                tile.leaf_bs[0] = 128, tile.leaf_bs[1] = 1920;
                check_tile(kernels, &tile, initial);
            }
        }
    }
    cfi_aligned_free(a), cfi_aligned_free(b), cfi_aligned_free(bias);
    cfi_aligned_free(initial), cfi_aligned_free(stack);
}

static void every_tile_is_its_definition_bit_for_bit(void **state)
{
    (void)state;
    for_every_table(check_tiles);
}

/* ---- Shards: any cut at multiples of the grain gives the whole's bits ---- */

enum { NEURONS = 75, INPUTS = 37, LANES = 64, GRAIN = 4 };

/* Gradient by the inputs from neurons begin..end-1 alone: (INPUTS, LANES), the tree over their leaves. */
static void input_gradient_part(const cfi_kernels *kernels, const float *weight, const float *gradient, int64_t begin,
                                int64_t end, float *out, float *stack)
{
    for (int64_t i = 0; i < INPUTS; i++) {
        cfi_tile tile;
        memset(&tile, 0, sizeof tile);
        tile.a[0] = weight + begin * INPUTS + i;
        tile.b = gradient + begin * LANES;
        tile.c = out + i * LANES;
        tile.ldc = LANES, tile.rows = 1, tile.columns = LANES, tile.stack = stack;
        tile.n[1] = tile.n[2] = tile.last_n[1] = tile.last_n[2] = 1;
        tile.as[0] = INPUTS, tile.bs[0] = LANES;
        tile.leaf_count = (end - begin + GRAIN - 1) / GRAIN;
        tile.leaf_group = tile.leaf_count;
        tile.n[0] = end - begin < GRAIN ? end - begin : GRAIN;
        tile.last_n[0] = end - begin - (tile.leaf_count - 1) * GRAIN;
        tile.leaf_as[0] = GRAIN * INPUTS, tile.leaf_bs[0] = GRAIN * LANES;
        kernels->tile(&tile);
    }
}

/* Joins the nodes below (begin, level) recursively, as whoever receives them in any order would. */
static bool join_nodes(float *const *parts, int64_t begin, int64_t size, int64_t leaves, float *out)
{
    if (parts[begin * 16 + __builtin_ctzll((uint64_t)size)] != NULL) {
        memcpy(out, parts[begin * 16 + __builtin_ctzll((uint64_t)size)], INPUTS * LANES * sizeof(float));
        return true;
    }
    if (size == 1) {
        return false;
    }
    if (!join_nodes(parts, begin, size / 2, leaves, out)) {
        return false;
    }
    if (begin + size / 2 < leaves) {
        static float right[8][INPUTS * LANES];
        float *mine = right[__builtin_ctzll((uint64_t)size)];
        if (!join_nodes(parts, begin + size / 2, size / 2, leaves, mine)) {
            return false;
        }
        for (int i = 0; i < INPUTS * LANES; i++) {
            out[i] += mine[i];
        }
    }
    return true;
}

/* One random cut: every shard sends its maximal nodes; the join must be the whole. */
static void check_cut(const cfi_kernels *kernels, const float *weight, const float *gradient, const float *whole,
                      uint32_t trial, float *stack)
{
    const int64_t leaves = (NEURONS + GRAIN - 1) / GRAIN;
    float *parts[32 * 16] = {NULL};
    int64_t begin = 0;
    for (uint32_t shard = 0; begin < leaves; shard++) {
        const uint32_t draw = cfi_draw(5, CFI_PURPOSE_TEST, trial, shard, 0, 0).word[0];
        const int64_t end = begin + 1 + draw % 7 < leaves ? begin + 1 + draw % 7 : leaves;
        cfi_tree_node nodes[CFI_TREE_NODES_MAX];
        const int count = cfi_tree_split(begin, end, leaves, nodes);
        for (int i = 0; i < count; i++) {
            int64_t size = 1;
            while (size < nodes[i].end - nodes[i].begin) {
                size *= 2;
            }
            float *part = cfi_calloc(INPUTS * LANES, sizeof *part);
            const int64_t last = nodes[i].end * GRAIN < NEURONS ? nodes[i].end * GRAIN : NEURONS;
            input_gradient_part(kernels, weight, gradient, nodes[i].begin * GRAIN, last, part, stack);
            /* A node cut off at the end stands for every larger node that begins there. */
            for (; size <= 32 && nodes[i].begin % size == 0; size *= 2) {
                parts[nodes[i].begin * 16 + __builtin_ctzll((uint64_t)size)] = part;
                if (nodes[i].begin + size < leaves || nodes[i].end != leaves) {
                    break;
                }
            }
        }
        begin = end;
    }
    static float joined[INPUTS * LANES];
    assert_true(join_nodes(parts, 0, 32, leaves, joined));
    assert_same_bits(joined, whole, INPUTS * LANES);
    for (int i = 0; i < 32 * 16; i++) {
        for (int j = i + 1; j < 32 * 16; j++) {
            parts[j] = parts[j] == parts[i] ? NULL : parts[j];
        }
        cfi_free(parts[i]);
    }
}

static void check_cuts(const cfi_kernels *kernels)
{
    float *weight = random_values(21, NEURONS * INPUTS), *gradient = random_values(22, NEURONS * LANES);
    float *stack = cfi_aligned_calloc(CFI_TILE_STACK_FLOATS, sizeof *stack);
    float *whole = cfi_calloc(INPUTS * LANES, sizeof *whole);
    input_gradient_part(kernels, weight, gradient, 0, NEURONS, whole, stack);
    for (uint32_t trial = 0; trial < 20; trial++) {
        check_cut(kernels, weight, gradient, whole, trial, stack);
    }
    cfi_aligned_free(weight), cfi_aligned_free(gradient), cfi_aligned_free(stack), cfi_free(whole);
}

static void input_gradients_of_random_shards_join_to_the_whole(void **state)
{
    (void)state;
    for_every_table(check_cuts);
}

static void check_split(int64_t begin, int64_t end, int64_t count)
{
    cfi_tree_node nodes[CFI_TREE_NODES_MAX];
    const int nodes_count = cfi_tree_split(begin, end, count, nodes);
    int64_t at = begin;
    for (int i = 0; i < nodes_count; i++) {
        assert_int_equal(nodes[i].begin, at);
        int64_t size = 1;
        while (nodes[i].begin + size < nodes[i].end) {
            size *= 2;
        }
        assert_int_equal(nodes[i].begin % size, 0);
        assert_true(nodes[i].end == nodes[i].begin + size || nodes[i].end == count);
        at = nodes[i].end;
    }
    assert_int_equal(at, end);
    assert_true(nodes_count <= 12);
}

static void maximal_nodes_cover_a_range_once_and_are_few(void **state)
{
    (void)state;
    for (int64_t count = 1; count <= 40; count++) {
        for (int64_t begin = 0; begin <= count; begin++) {
            for (int64_t end = begin; end <= count; end++) {
                check_split(begin, end, count);
            }
        }
    }
    assert_int_equal(cfi_tree_split(0, 7, 7, (cfi_tree_node[CFI_TREE_NODES_MAX]){{0, 0}}), 1);
}

static void tree_sum_is_the_aligned_tree(void **state)
{
    (void)state;
    const float v[7] = {1e8f, 1.0f, -1e8f, 3.0f, 5.0f, 7.0f, 9.0f};
    assert_true(cfi_tree_sum(v, 7) == ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + v[6]));
    assert_true(cfi_tree_sum(v, 5) == ((v[0] + v[1]) + (v[2] + v[3])) + v[4]);
    assert_true(cfi_tree_sum(v, 1) == v[0]);
    assert_true(cfi_tree_sum(v, 0) == 0.0f);
}

/* ---- Functions against libm in double ---- */

static double ulps(float value, double exact)
{
    if (isnan(exact)) {
        return isnan(value) ? 0.0 : INFINITY;
    }
    const float rounded = (float)exact;
    if (isinf(rounded)) {
        return value == rounded ? 0.0 : INFINITY;
    }
    const double ulp = fmax((double)nextafterf(fabsf(rounded), INFINITY) - fabs((double)rounded), 0x1p-149);
    return fabs((double)value - exact) / ulp;
}

typedef struct worst_case {
    double ulps;
    float at;
} worst_case;

static void note_worst(worst_case *worst, double error, float at)
{
    if (!(error <= worst->ulps)) {
        *worst = (worst_case){error, at};
    }
}

static void check_functions(const cfi_kernels *kernels)
{
    enum { COUNT = 400000 };
    float *x = cfi_calloc(COUNT, sizeof *x), *y = cfi_calloc(COUNT, sizeof *y);
    worst_case exp_worst = {0, 0}, log_worst = {0, 0}, tanh_worst = {0, 0}, sigmoid_worst = {0, 0};
    for (int i = 0; i < COUNT; i++) {
        x[i] = random_value(31, i) * (i % 3 == 0 ? 105.0f : i % 3 == 1 ? 10.0f : 1.0f);
    }
    kernels->exponential(x, y, COUNT);
    for (int i = 0; i < COUNT; i++) {
        note_worst(&exp_worst, ulps(y[i], exp((double)x[i])), x[i]);
    }
    memcpy(y, x, COUNT * sizeof *y);
    kernels->activate(CFI_ACTIVATION_TANH, 0.0f, y, COUNT);
    for (int i = 0; i < COUNT; i++) {
        note_worst(&tanh_worst, ulps(y[i], tanh((double)x[i])), x[i]);
    }
    memcpy(y, x, COUNT * sizeof *y);
    kernels->activate(CFI_ACTIVATION_SIGMOID, 0.0f, y, COUNT);
    for (int i = 0; i < COUNT; i++) {
        note_worst(&sigmoid_worst, ulps(y[i], 1.0 / (1.0 + exp(-(double)x[i]))), x[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        x[i] = i % 2 == 0 ? 1.0f + fabsf(x[i]) * 1e4f : expf(x[i] * 0.8f);
    }
    kernels->logarithm(x, y, COUNT);
    for (int i = 0; i < COUNT; i++) {
        note_worst(&log_worst, ulps(y[i], log((double)x[i])), x[i]);
    }
    print_message("%s: ulp exp %.2f log %.2f tanh %.2f sigmoid %.2f\n", kernels->name, exp_worst.ulps, log_worst.ulps,
                  tanh_worst.ulps, sigmoid_worst.ulps);
    assert_true(exp_worst.ulps <= 2.0);
    assert_true(log_worst.ulps <= 2.0);
    assert_true(tanh_worst.ulps <= 2.0);
    assert_true(sigmoid_worst.ulps <= 2.0);
    cfi_free(x), cfi_free(y);
}

static void functions_are_within_two_ulp_of_libm(void **state)
{
    (void)state;
    for_every_table(check_functions);
}

static void check_special_values(const cfi_kernels *kernels)
{
    const float x[8] = {-INFINITY, INFINITY, NAN, 0.0f, -0.0f, 200.0f, -200.0f, -103.0f};
    float y[8];
    kernels->exponential(x, y, 8);
    assert_true(y[0] == 0.0f && isinf(y[1]) && isnan(y[2]) && y[3] == 1.0f && y[4] == 1.0f);
    assert_true(isinf(y[5]) && y[6] == 0.0f && y[7] > 0.0f);
    memcpy(y, x, sizeof y);
    kernels->activate(CFI_ACTIVATION_RELU, 0.0f, y, 8);
    assert_true(y[0] == 0.0f && isinf(y[1]) && isnan(y[2]));
    memcpy(y, x, sizeof y);
    kernels->activate(CFI_ACTIVATION_TANH, 0.0f, y, 8);
    assert_true(y[0] == -1.0f && y[1] == 1.0f && isnan(y[2]) && y[5] == 1.0f && y[6] == -1.0f);
    assert_true(kernels->has_nonfinite(x, 8) && kernels->has_nonfinite(x + 2, 1) && !kernels->has_nonfinite(x + 3, 5));
}

static void special_values_come_out_as_they_should(void **state)
{
    (void)state;
    for_every_table(check_special_values);
}

/* ---- All other functions: every table gives the scalar table's bits ---- */

static void compare_elementwise(const cfi_kernels *one, const cfi_kernels *two, int64_t count)
{
    float *left = random_values(41, count + 64), *right = random_values(41, count + 64);
    float *y = random_values(42, count + 64);
    for (int activation = 0; activation <= CFI_ACTIVATION_TANH; activation++) {
        one->activate((cfi_activation)activation, 0.01f, left, count);
        two->activate((cfi_activation)activation, 0.01f, right, count);
        assert_same_bits(left, right, count + 64);
        const int64_t whole = count / 16 * 16;
        one->activation_gradient((cfi_activation)activation, 0.01f, y, left, whole);
        two->activation_gradient((cfi_activation)activation, 0.01f, y, right, whole);
        assert_same_bits(left, right, count + 64);
    }
    assert_true(one->square_sum(y, count) == two->square_sum(y, count));
    cfi_aligned_free(left), cfi_aligned_free(right), cfi_aligned_free(y);
}

static void compare_updates(const cfi_kernels *one, const cfi_kernels *two, int64_t count)
{
    for (int kind = 0; kind <= CFI_OPTIMIZER_ADAMW; kind++) {
        for (int momentum = 0; momentum < 4; momentum++) {
            float *w[2], *s1[2], *s2[2], *g = random_values(54, count);
            cfi_update update = {.kind = (cfi_optimizer_kind)kind,
                                 .has_momentum = momentum > 0, .nesterov = momentum > 1,
                .rate = 0.03f, .momentum = 0.9f, .weight_decay = momentum == 3 ? 0.1f : 0.0f, .decay = 0.99f,
                .one_minus_decay = 0.01f, .beta1 = 0.9f, .one_minus_beta1 = 0.1f, .epsilon = 1e-8f,
                .correction1 = 0.1f, .correction2_root = 0.3f, .decoupled = 0.997f};
            for (int side = 0; side < 2; side++) {
                w[side] = random_values(51, count), s1[side] = random_values(52, count);
                s2[side] = random_values(53, count);
                for (int64_t i = 0; i < count; i++) { /* second moments are never negative */
                    s1[side][i] = kind == CFI_OPTIMIZER_RMSPROP ? fabsf(s1[side][i]) : s1[side][i];
                    s2[side][i] = kind >= CFI_OPTIMIZER_ADAM ? fabsf(s2[side][i]) : s2[side][i];
                }
                for (int step = 0; step < 3; step++) {
                    (side == 0 ? one : two)->update(&update, w[side], s1[side], s2[side], g, 1, count, count, count);
                }
            }
            assert_same_bits(w[0], w[1], count);
            assert_same_bits(s1[0], s1[1], count);
            assert_same_bits(s2[0], s2[1], count);
            for (int side = 0; side < 2; side++) {
                cfi_aligned_free(w[side]), cfi_aligned_free(s1[side]), cfi_aligned_free(s2[side]);
            }
            cfi_aligned_free(g);
        }
    }
}

static void compare_losses(const cfi_kernels *one, const cfi_kernels *two)
{
    enum { OUTPUTS = 10, LANES_MAX = 64 };
    float *z = random_values(61, OUTPUTS * LANES_MAX);
    int32_t labels[LANES_MAX];
    for (int i = 0; i < LANES_MAX; i++) {
        labels[i] = i % OUTPUTS;
        z[i] *= 50.0f;
    }
    for (int kind = 0; kind <= CFI_LOSS_BINARY_CROSS_ENTROPY; kind++) {
        for (int64_t lanes = 16; lanes <= LANES_MAX; lanes += 16) {
            float *g[2] = {random_values(62, OUTPUTS * LANES_MAX), random_values(62, OUTPUTS * LANES_MAX)};
            float *l[2] = {random_values(63, LANES_MAX), random_values(63, LANES_MAX)};
            one->loss((cfi_loss_kind)kind, z, OUTPUTS, lanes, lanes - 3, labels, 0.01f, g[0], l[0]);
            two->loss((cfi_loss_kind)kind, z, OUTPUTS, lanes, lanes - 3, labels, 0.01f, g[1], l[1]);
            assert_same_bits(g[0], g[1], OUTPUTS * LANES_MAX);
            assert_same_bits(l[0], l[1], LANES_MAX);
            assert_true(l[0][lanes - 1] == 0.0f && g[0][lanes - 1] == 0.0f);
            for (int side = 0; side < 2; side++) {
                cfi_aligned_free(g[side]), cfi_aligned_free(l[side]);
            }
        }
    }
    cfi_aligned_free(z);
}

static void compare_pools_and_moves(const cfi_kernels *one, const cfi_kernels *two)
{
    enum { SIDE = 6, LANES_IN = 32, VALUES = SIDE * SIDE * LANES_IN };
    const cfi_window window = {3, 2, SIDE * LANES_IN, LANES_IN, LANES_IN};
    float *x = random_values(71, VALUES), *dy = random_values(72, LANES_IN);
    float *y[2] = {random_values(73, LANES_IN), random_values(73, LANES_IN)};
    float *dx[2] = {random_values(74, VALUES), random_values(74, VALUES)};
    for (int side = 0; side < 2; side++) {
        const cfi_kernels *kernels = side == 0 ? one : two;
        kernels->max_pool(&window, x, y[side]);
        kernels->max_pool_gradient(&window, x, y[side], dy, dx[side], SIDE * LANES_IN, LANES_IN);
        kernels->average_pool(&window, 1.0f / 6.0f, x, y[side]);
        kernels->average_pool_gradient(&window, 1.0f / 6.0f, dy, dx[side], SIDE * LANES_IN, LANES_IN);
        kernels->transpose(x, 24, 16, 24, dx[side] + 200, 16);
        const uint8_t bytes[42] = {[21] = 0, 1, 255, 17, 3, 9, 200, 100, 50, 25, 12, 6, 3, 1, 0, 128, 64, 32, 16, 8, 4};
        const int64_t second[2] = {1, 0};
        const cfi_gather gather = {second, 21, 0, 21, 30, 1.0f / 255.0f, -0.5f};
        kernels->gather_bytes(&gather, bytes, 2, dx[side]);
        kernels->softmax(dx[side] + 64, 5, 16);
    }
    assert_same_bits(y[0], y[1], LANES_IN);
    assert_same_bits(dx[0], dx[1], VALUES);
    assert_true(dx[0][2] == fmaf(255.0f, 1.0f / 255.0f, -0.5f));
    assert_true(dx[0][200 + 1 * 16] == x[1] && dx[0][200 + 1] == x[24]);
    for (int side = 0; side < 2; side++) {
        cfi_aligned_free(y[side]), cfi_aligned_free(dx[side]);
    }
    cfi_aligned_free(x), cfi_aligned_free(dy);
}

static void every_table_gives_the_scalar_bits(void **state)
{
    (void)state;
    int count;
    const cfi_kernels *const *usable = cfi_kernels_usable(&count);
    const cfi_kernels *scalar = usable[count - 1];
    assert_string_equal(scalar->name, "scalar");
    for (int i = 0; i < count - 1; i++) {
        const int64_t sizes[] = {1, 7, 8, 15, 16, 17, 31, 64, 100, 1000};
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            compare_elementwise(usable[i], scalar, sizes[s]);
            compare_updates(usable[i], scalar, sizes[s]);
        }
        compare_losses(usable[i], scalar);
        compare_pools_and_moves(usable[i], scalar);
    }
}

static void an_unknown_table_is_refused_by_name(void **state)
{
    (void)state;
    const cfi_kernels *kernels = NULL;
    cf_error error;
    setenv("CUTTLEFISH_KERNELS", "sse9", 1);
    assert_int_equal(cfi_kernels_choose(&kernels, &error), CF_E_USAGE);
    assert_non_null(strstr(error.text, "CUTTLEFISH_KERNELS=sse9: unknown, or not for this processor (usable: "));
    setenv("CUTTLEFISH_KERNELS", "scalar", 1);
    assert_int_equal(cfi_kernels_choose(&kernels, &error), CF_OK);
    assert_string_equal(kernels->name, "scalar");
    unsetenv("CUTTLEFISH_KERNELS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tile_is_its_definition_bit_for_bit),
        cmocka_unit_test(input_gradients_of_random_shards_join_to_the_whole),
        cmocka_unit_test(maximal_nodes_cover_a_range_once_and_are_few),
        cmocka_unit_test(tree_sum_is_the_aligned_tree),
        cmocka_unit_test(functions_are_within_two_ulp_of_libm),
        cmocka_unit_test(special_values_come_out_as_they_should),
        cmocka_unit_test(every_table_gives_the_scalar_bits),
        cmocka_unit_test(an_unknown_table_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
