#include <string.h>

#include "engine/native/shard.h"

/* ---- The next stage's pieces, joined by the tree ---- */

#define LEVEL_FLOATS (CFI_TILE_STACK_FLOATS / CFI_TREE_LEVELS)

typedef struct waiting_node {
    cfi_tree_node node;
    const float *values;
} waiting_node;

/* Nodes that wait for their right neighbours, for `count` values; sums are made in the engine's tile stack. */
typedef struct joiner {
    waiting_node waiting[CFI_TREE_LEVELS];
    int depth;
    int64_t leaf_count, count;
    float *stack;
} joiner;

/* Whether `right`, next to `left`, is its sibling: as large, or all that is left. Nodes come from leaf 0 on without
 * gaps, so what waits is ever smaller to the right, and a neighbour of equal size is aligned with it. */
static bool are_siblings(const cfi_tree_node *left, const cfi_tree_node *right, int64_t leaf_count)
{
    const int64_t size = left->end - left->begin, other = right->end - right->begin;
    return other == size || (other < size && right->end == leaf_count);
}

static void joiner_add(joiner *join, cfi_tree_node node, const float *values)
{
    waiting_node right = {node, values};
    while (join->depth > 0 && are_siblings(&join->waiting[join->depth - 1].node, &right.node, join->leaf_count)) {
        const waiting_node *left = &join->waiting[--join->depth];
        float *sum = join->stack + join->depth * LEVEL_FLOATS;
        for (int64_t i = 0; i < join->count; i++) {
            sum[i] = left->values[i] + right.values[i];
        }
        right = (waiting_node){{left->node.begin, right.node.end}, sum};
    }
    join->waiting[join->depth++] = right;
}

/* Values first .. of (outputs, rows) to the last layer's gradient. */
static void scatter(const native_shard *shard, int64_t first, int64_t count, const float *values)
{
    const cfi_engine *engine = &shard->engine;
    const native_view *gradient = &engine->layers[engine->last].gradient;
    for (int64_t i = 0; i < count;) {
        const int64_t feature = (first + i) / engine->rows, row = (first + i) % engine->rows;
        const int64_t block = row / engine->block_rows, lane = row % engine->block_rows;
        const int64_t in_block = native_block_rows(engine, block) - lane, left = count - i;
        const int64_t run = left < in_block ? left : in_block;
        memcpy(gradient->data + block * gradient->block + feature * engine->lanes + lane, values + i,
               (size_t)run * sizeof(float));
        i += run;
    }
}

static void join_pieces(native_shard *shard, const cfi_gradient_piece *pieces, int piece_count, int64_t leaf_count)
{
    const cfi_engine *engine = &shard->engine;
    const int64_t values = cfi_shape_features(engine->layers[engine->last].layer->output) * engine->rows;
    for (int64_t first = 0; first < values; first += LEVEL_FLOATS) {
        joiner join = {.leaf_count = leaf_count, .stack = engine->scratch->stack};
        join.count = values - first < LEVEL_FLOATS ? values - first : LEVEL_FLOATS;
        for (int p = 0; p < piece_count; p++) {
            cfi_tree_node nodes[CFI_TREE_NODES_MAX];
            const int count = cfi_tree_split(pieces[p].leaf_begin, pieces[p].leaf_end, leaf_count, nodes);
            for (int i = 0; i < count; i++) {
                joiner_add(&join, nodes[i], pieces[p].values + i * values + first);
            }
        }
        scatter(shard, first, join.count, join.waiting[0].values);
    }
}

/* ---- Back through the shard's layers ---- */

void native_shard_backward(void *user, int slot, int64_t rows, const cfi_gradient_piece *pieces, int piece_count,
                           int64_t leaf_count)
{
    native_shard *shard = user;
    cfi_engine *engine = &shard->engine;
    native_shard_select(shard, slot, rows);
    join_pieces(shard, pieces, piece_count, leaf_count);
    const native_layer *last = &engine->layers[engine->last];
    const int64_t values = cfi_shape_features(last->layer->output) * engine->lanes;
    for (int64_t block = 0; block < native_blocks(engine) && last->layer->neurons > 0; block++) {
        engine->kernels->activation_gradient(last->layer->activation, last->layer->leaky_slope,
                                             last->output.data + block * last->output.block,
                                             last->gradient.data + block * last->gradient.block, values);
    }
    for (int i = engine->last; i > 0; i--) {
        native_input_gradient(engine, i, 0);
    }
}

void native_shard_input_gradient(void *user, int slot, int64_t rows, cfi_tree_node leaves, int64_t first,
                                 int64_t count, float *gradient)
{
    native_shard *shard = user;
    const int64_t grain = shard->whole->grain, past = leaves.end * grain;
    native_shard_select(shard, slot, rows);
    const native_part part = {leaves.begin * grain - shard->begin,
                              (past < shard->end ? past : shard->end) - shard->begin, first, count, gradient};
    native_input_gradient_part(&shard->engine, 0, &part);
}
