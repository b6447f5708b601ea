/* One training step computed by shards: every layer cut at random multiples of its grain, each shard with its own
 * rows of weights alone. What the shards hold afterwards is, bit for bit, what the engine makes of the whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/philox.h"
#include "learn/initialise.h"
#include "learn/optimizer.h"
#include "learn/schedule.h"
#include "numerics/kernels.h"
#include "numerics/tree.h"
#include "reference/trial.h"

enum { ROWS = 48, FEATURES = 20, LAYERS = 3, WIDEST = 96, LEVELS = 8 };

typedef struct shard_layer {
    float weight[WIDEST * WIDEST], bias[WIDEST]; /* all shards' rows, each written by its own shard only */
    float output[WIDEST * ROWS], gradient[WIDEST * ROWS]; /* (features, samples) */
} shard_layer;

typedef struct shard_network {
    const cfi_kernels *kernels;
    const cfi_graph *graph;
    float input[FEATURES * ROWS], by_sample[WIDEST * ROWS * 2]; /* (features, samples), (samples, 64 or 128) */
    int32_t labels[ROWS];
    shard_layer layers[LAYERS];
    float *stack;
    uint32_t trial, cuts;
} shard_network;

/* End of the shard that begins at neuron `begin`: a random multiple of the grain further. */
static int64_t shard_end(shard_network *net, const cfi_layer *layer, int64_t begin)
{
    const uint32_t draw = cfi_draw(17, CFI_PURPOSE_TEST, net->trial, net->cuts++, 0, 0).word[0];
    const int64_t end = begin + layer->grain * (1 + draw % 9);
    return end < layer->neurons ? end : layer->neurons;
}

static cfi_tile plain_tile(const shard_network *net, int64_t count)
{
    cfi_tile tile;
    memset(&tile, 0, sizeof tile);
    tile.rows = 1, tile.columns = ROWS, tile.ldc = ROWS, tile.leaf_count = tile.leaf_group = 1;
    tile.n[0] = count, tile.n[1] = tile.n[2] = 1;
    tile.as[0] = 1, tile.bs[0] = ROWS, tile.stack = net->stack;
    return tile;
}

static void shard_forward(shard_network *net, int index, int64_t begin, int64_t end)
{
    const cfi_layer *layer = &net->graph->layers[index];
    shard_layer *shard = &net->layers[index];
    for (int64_t o = begin; o < end; o++) {
        cfi_tile tile = plain_tile(net, layer->fan_in);
        tile.start = CFI_START_ROW_BIAS;
        tile.bias = shard->bias + o;
        tile.a[0] = shard->weight + o * layer->fan_in;
        tile.b = index == 0 ? net->input : net->layers[index - 1].output;
        tile.c = shard->output + o * ROWS;
        net->kernels->tile(&tile);
        net->kernels->activate(layer->activation, layer->leaky_slope, tile.c, ROWS);
    }
}

/* The shard's contribution to the gradient of one tree node of neurons, (fan_in, ROWS). */
static void shard_node(const shard_network *net, int index, cfi_tree_node node, float *out)
{
    const cfi_layer *layer = &net->graph->layers[index];
    const int64_t begin = node.begin * layer->grain;
    const int64_t past = node.end * layer->grain, end = past < layer->neurons ? past : layer->neurons;
    for (int64_t i = 0; i < layer->fan_in; i++) {
        cfi_tile tile = plain_tile(net, layer->grain < end - begin ? layer->grain : end - begin);
        tile.leaf_count = tile.leaf_group = node.end - node.begin;
        memcpy(tile.last_n, tile.n, sizeof tile.n);
        tile.last_n[0] = end - begin - (tile.leaf_count - 1) * layer->grain;
        tile.as[0] = layer->fan_in;
        tile.leaf_as[0] = layer->grain * layer->fan_in;
        tile.leaf_bs[0] = layer->grain * ROWS;
        tile.a[0] = net->layers[index].weight + begin * layer->fan_in + i;
        tile.b = net->layers[index].gradient + begin * ROWS;
        tile.c = out + i * ROWS;
        net->kernels->tile(&tile);
    }
}

/* Receives nodes in any order: a complete pair becomes its parent at once. Position k of level j. */
typedef struct joiner {
    float *waiting[LEVELS][128];
    int64_t leaves, values;
} joiner;

static void joiner_add(joiner *join, int level, int64_t position, float *value)
{
    for (;; level++, position /= 2) {
        const int64_t size = (int64_t)1 << level;
        const bool is_right = position % 2 == 1;
        const bool alone = !is_right && (position + 1) * size >= join->leaves;
        if (alone && position == 0) {
            join->waiting[LEVELS - 1][0] = value;
            return;
        }
        float *other = alone ? NULL : join->waiting[level][is_right ? position - 1 : position + 1];
        if (!alone && other == NULL) {
            join->waiting[level][position] = value;
            return;
        }
        for (int64_t i = 0; other != NULL && i < join->values; i++) {
            value[i] = is_right ? other[i] + value[i] : value[i] + other[i];
        }
        if (other != NULL) {
            join->waiting[level][is_right ? position - 1 : position + 1] = NULL;
            cfi_free(other);
        }
    }
}

static void send_nodes(const shard_network *net, int index, int64_t begin, int64_t end, joiner *join)
{
    const cfi_layer *layer = &net->graph->layers[index];
    cfi_tree_node nodes[CFI_TREE_NODES_MAX];
    const int64_t leaf_end = (end + layer->grain - 1) / layer->grain;
    const int count = cfi_tree_split(begin / layer->grain, leaf_end, join->leaves, nodes);
    for (int i = count - 1; i >= 0; i--) {
        int level = 0;
        while (((int64_t)1 << level) < nodes[i].end - nodes[i].begin) {
            level++;
        }
        float *value = cfi_calloc((size_t)join->values, sizeof *value);
        assert_non_null(value);
        shard_node(net, index, nodes[i], value);
        joiner_add(join, level, nodes[i].begin >> level, value);
    }
}

/* Gradient of the layer before, from shards that report in two interleaved rounds (odd ones first). */
static void input_gradient(shard_network *net, int index)
{
    const cfi_layer *layer = &net->graph->layers[index], *before = &net->graph->layers[index - 1];
    int64_t ends[WIDEST + 1] = {0}, shards = 0;
    while (ends[shards] < layer->neurons) {
        ends[shards + 1] = shard_end(net, layer, ends[shards]);
        shards++;
    }
    joiner join;
    memset(&join, 0, sizeof join);
    join.leaves = (layer->neurons + layer->grain - 1) / layer->grain;
    join.values = layer->fan_in * ROWS;
    for (int64_t round = 1; round >= 0; round--) {
        for (int64_t s = round; s < shards; s += 2) {
            send_nodes(net, index, ends[s], ends[s + 1], &join);
        }
    }
    float *root = join.waiting[LEVELS - 1][0];
    assert_non_null(root);
    memcpy(net->layers[index - 1].gradient, root, (size_t)join.values * sizeof *root);
    cfi_free(root);
    net->kernels->activation_gradient(before->activation, before->leaky_slope, net->layers[index - 1].output,
                                      net->layers[index - 1].gradient, join.values);
}

static void shard_update(shard_network *net, const cfi_training_settings *training, int index, int64_t begin,
                         int64_t end, const cfi_update *update)
{
    const cfi_layer *layer = &net->graph->layers[index];
    shard_layer *shard = &net->layers[index];
    const int64_t width = (layer->fan_in + 15) / 16 * 16, grain = training->sample_grain;
    for (int64_t o = begin; o < end; o++) {
        float gradient[WIDEST], sums[ROWS];
        cfi_tile tile = plain_tile(net, grain);
        tile.leaf_count = tile.leaf_group = ROWS / grain;
        memcpy(tile.last_n, tile.n, sizeof tile.n);
        tile.bs[0] = width;
        tile.leaf_as[0] = grain;
        tile.leaf_bs[0] = grain * width;
        tile.a[0] = shard->gradient + o * ROWS;
        tile.b = net->by_sample;
        tile.c = gradient;
        for (int64_t column = 0; column < width; column += 16) {
            tile.columns = 16;
            net->kernels->tile(&tile);
            tile.b += 16;
            tile.c += 16;
        }
        for (int64_t leaf = 0; leaf < ROWS / grain; leaf++) {
            sums[leaf] = 0.0f;
            for (int64_t s = 0; s < grain; s++) {
                sums[leaf] += shard->gradient[o * ROWS + leaf * grain + s];
            }
        }
        const float bias = cfi_tree_sum(sums, ROWS / grain);
        net->kernels->update(update, shard->weight + o * layer->fan_in, NULL, NULL, gradient, 1, layer->fan_in, 0, 0);
        net->kernels->update(update, shard->bias + o, NULL, NULL, &bias, 1, 1, 0, 0);
    }
}

/* Input of layer `index` as (samples, width), width rounded up to 16. */
static void turn_input(shard_network *net, int index)
{
    const int64_t features = net->graph->layers[index].fan_in, width = (features + 15) / 16 * 16;
    const float *in = index == 0 ? net->input : net->layers[index - 1].output;
    memset(net->by_sample, 0, sizeof net->by_sample);
    for (int64_t i = 0; i < features; i++) {
        for (int64_t s = 0; s < ROWS; s++) {
            net->by_sample[s * width + i] = in[i * ROWS + s];
        }
    }
}

static void shard_step(shard_network *net, const cfi_training_settings *training, float rate)
{
    float losses[ROWS];
    for (int index = 0; index < LAYERS; index++) {
        const cfi_layer *layer = &net->graph->layers[index];
        for (int64_t begin = 0, end; begin < layer->neurons; begin = end) {
            end = shard_end(net, layer, begin);
            cfi_initialise_layer(layer, 1, begin, end, net->layers[index].weight + begin * layer->fan_in,
                                 net->layers[index].bias + begin);
            shard_forward(net, index, begin, end);
        }
    }
    const cfi_layer *last = &net->graph->layers[LAYERS - 1];
    net->kernels->loss(net->graph->loss, net->layers[LAYERS - 1].output, last->neurons, ROWS, ROWS, net->labels,
                       1.0f / ROWS, net->layers[LAYERS - 1].gradient, losses);
    for (int index = LAYERS - 1; index > 0; index--) {
        input_gradient(net, index);
    }
    const cfi_update update = cfi_optimizer_prepare(&training->optimizer, 0, rate);
    for (int index = 0; index < LAYERS; index++) {
        const cfi_layer *layer = &net->graph->layers[index];
        turn_input(net, index); /* before this layer's update; outputs do not change with the weights any more */
        for (int64_t begin = 0, end; begin < layer->neurons; begin = end) {
            end = shard_end(net, layer, begin);
            shard_update(net, training, index, begin, end, &update);
        }
    }
}

static const trial_options options = {
    .name = "shards",
    .input = {FEATURES, 1, 1},
    .classes = 10,
    .layers = {DENSE_GRAIN(75, TANH, 4), DENSE_GRAIN(33, RELU, 2), DENSE_GRAIN(10, IDENTITY, 1)},
    .training = {.batch = ROWS, .sample_grain = 16, .epochs = 1,
                 .optimizer = {.kind = CFI_OPTIMIZER_SGD, .rate = 0.5}},
    .samples = ROWS,
    .seed = 1,
    .threads = 2,
};

static void a_step_of_any_cut_into_shards_gives_the_bits_of_the_whole(void **state)
{
    (void)state;
    trial_network whole;
    trial_init(&whole, &options);
    trial_gather(&whole, 0);
    assert_int_equal(whole.rows, ROWS);
    shard_network *net = cfi_aligned_calloc(1, sizeof *net);
    assert_non_null(net);
    net->graph = &whole.graph;
    net->stack = cfi_aligned_calloc(CFI_TILE_STACK_FLOATS, sizeof *net->stack);
    assert_int_equal(cfi_kernels_choose(&net->kernels, NULL), CF_OK);
    for (int s = 0; s < ROWS; s++) {
        net->labels[s] = whole.labels[s];
        for (int i = 0; i < FEATURES; i++) {
            net->input[i * ROWS + s] = (float)whole.inputs[s * FEATURES + i];
        }
    }
    (void)trial_engine_step(&whole, 0);
    const float rate = cfi_schedule_rate(&whole.settings.training, whole.batches.steps_per_epoch, 0);
    int tensor_count, parameter_count;
    const cfi_tensor *tensors = cfi_engine_tensors(whole.engine, &tensor_count, &parameter_count);
    assert_int_equal(parameter_count, 2 * LAYERS);
    for (net->trial = 0; net->trial < 20; net->trial++) {
        net->cuts = 0;
        shard_step(net, &whole.settings.training, rate);
        for (int index = 0; index < LAYERS; index++) {
            const cfi_tensor *weight = &tensors[2 * index], *bias = &tensors[2 * index + 1];
            assert_memory_equal(net->layers[index].weight, weight->values, (size_t)weight->count * sizeof(float));
            assert_memory_equal(net->layers[index].bias, bias->values, (size_t)bias->count * sizeof(float));
        }
    }
    cfi_aligned_free(net->stack);
    cfi_aligned_free(net);
    trial_fini(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_step_of_any_cut_into_shards_gives_the_bits_of_the_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
