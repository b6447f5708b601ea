#include <math.h>
#include <string.h>

#include "engine/native/native.h"
#include "numerics/tree.h"

/* ---- Gradient by the weights: a leaf for each `sample_grain` samples, joined by the tree ---- */

/* Samples in one leaf; a block is never smaller than the leaves it is cut into. */
static int64_t leaf_samples(const cfi_engine *engine)
{
    const int64_t asked = engine->training->sample_grain;
    return asked < engine->lanes ? asked : engine->lanes;
}

/* The tile's leaves over the samples of this call: inside a block, then from block to block. */
static void leaves_over_samples(const cfi_engine *engine, cfi_tile *tile, int64_t block_a, int64_t block_b)
{
    const int64_t grain = leaf_samples(engine);
    tile->leaf_count = (engine->rows + grain - 1) / grain;
    tile->leaf_group = engine->training_blocks > 1 ? engine->block_rows / grain : tile->leaf_count;
    memcpy(tile->last_n, tile->n, sizeof tile->n);
    tile->n[0] = grain < engine->rows ? grain : engine->rows;
    tile->last_n[0] = engine->rows - (tile->leaf_count - 1) * grain;
    tile->leaf_as[0] = grain * tile->as[0];
    tile->leaf_as[1] = block_a;
    tile->leaf_bs[0] = grain * tile->bs[0];
    tile->leaf_bs[1] = block_b;
}

#define BIAS_ROWS 8 /* chains at a time: one alone would wait for each addition to finish */

/* Sums of `count` samples for BIAS_ROWS neurons, rows of `lanes` floats. */
static void sum_rows(const float *gradient, int64_t lanes, int64_t count, float sums[BIAS_ROWS])
{
    for (int r = 0; r < BIAS_ROWS; r++) {
        sums[r] = 0.0f;
    }
    for (int64_t s = 0; s < count; s++) {
        for (int r = 0; r < BIAS_ROWS; r++) {
            sums[r] += gradient[r * lanes + s];
        }
    }
}

/* Bias gradients of neurons begin..end-1 of a dense layer: the same leaves, with 1 in place of the input. The rows
 * behind the last neuron are there (activations are rounded up to panels); their sums are not kept. */
static void dense_bias_gradient(const cfi_engine *engine, const native_layer *native, int64_t begin, int64_t end)
{
    const int64_t grain = leaf_samples(engine), lanes = engine->lanes;
    const int64_t leaves = (engine->rows + grain - 1) / grain;
    for (int64_t o = begin; o < end; o += BIAS_ROWS) {
        const int64_t group = o + BIAS_ROWS <= native_round_up(native->layer->neurons, CFI_PANEL)
                                  ? o : native_round_up(native->layer->neurons, CFI_PANEL) - BIAS_ROWS;
        float waiting[CFI_TREE_LEVELS][BIAS_ROWS], sums[BIAS_ROWS];
        for (int64_t leaf = 0; leaf < leaves; leaf++) {
            const int64_t first = leaf * grain;
            const int64_t count = engine->rows - first < grain ? engine->rows - first : grain;
            sum_rows(native->gradient.data + first / engine->block_rows * native->gradient.block + group * lanes +
                         first % engine->block_rows,
                     lanes, count, sums);
            int level = 0;
            for (int64_t bits = leaf; leaf == leaves - 1 ? bits != 0 : (bits & 1) != 0; bits >>= 1, level++) {
                for (int r = 0; r < BIAS_ROWS && (bits & 1) != 0; r++) {
                    sums[r] = waiting[level][r] + sums[r];
                }
            }
            memcpy(waiting[level], sums, sizeof sums);
        }
        for (int64_t row = o; row < end && row < o + BIAS_ROWS; row++) {
            native->bias_gradient[row] = sums[row - group];
        }
    }
}

/* Asks the cache for the weights (and first state) that the tile's update will touch, while it is being computed. */
static void prefetch_rows(const native_layer *native, int64_t offset, int rows, int64_t row_stride)
{
    for (int r = 0; r < rows; r++) {
        for (int64_t i = 0; i < CFI_PANEL; i += 16) {
            __builtin_prefetch(native->weight + offset + r * row_stride + i, 1);
            if (native->weight_state[0] != NULL) {
                __builtin_prefetch(native->weight_state[0] + offset + r * row_stride + i, 1);
            }
        }
    }
}

static float *state_at(float *state, int64_t offset)
{
    return state != NULL ? state + offset : NULL;
}

/* Gives a finished tile of gradients to the optimizer, or to the gradient buffer. */
static void finish_tile(cfi_engine *engine, const native_layer *native, int64_t o, int64_t i, int rows, const float *g)
{
    const int64_t inputs = native->layer->fan_in, offset = o * inputs + i;
    const int64_t count = inputs - i < CFI_PANEL ? inputs - i : CFI_PANEL;
    if (native->weight_gradient == NULL) {
        engine->kernels->update(&engine->update, native->weight + offset, state_at(native->weight_state[0], offset),
                                state_at(native->weight_state[1], offset), g, rows, count, inputs, CFI_TILE_COLUMNS);
        return;
    }
    for (int r = 0; r < rows; r++) {
        memcpy(native->weight_gradient + offset + r * inputs, g + r * CFI_TILE_COLUMNS, (size_t)count * sizeof(float));
    }
}

static void update_bias(cfi_engine *engine, const native_layer *native, int64_t begin, int64_t end)
{
    engine->kernels->update(&engine->update, native->bias + begin, state_at(native->bias_state[0], begin),
                            state_at(native->bias_state[1], begin), native->bias_gradient + begin, 1, end - begin, 0,
                            0);
}

/* One tile: neurons o.. (at most CFI_TILE_ROWS before `end`), inputs of one panel. */
static void dense_tile(cfi_engine *engine, const native_layer *native, cfi_tile *tile, int64_t o, int64_t end,
                       int64_t panel, int thread)
{
    const int64_t inputs = native->layer->fan_in, lanes = engine->lanes, i = panel * CFI_PANEL;
    const int64_t offset = o * inputs + i, left = inputs - i;
    const bool fused = native->weight_gradient == NULL;
    tile->columns = (int)native_columns(left < CFI_PANEL ? left : CFI_PANEL);
    const int64_t panels = (inputs + CFI_PANEL - 1) / CFI_PANEL;
    tile->b = native->rows + (native_input_block(native, 0, thread) * panels + panel) * lanes * CFI_PANEL;
    tile->rows = (int)(end - o < CFI_TILE_ROWS ? end - o : CFI_TILE_ROWS);
    for (int r = 0; r < tile->rows; r++) {
        tile->a[r] = native->gradient.data + (o + r) * lanes;
    }
    if (fused && native->layer->weight_count > NATIVE_PREFETCH_WEIGHTS_MIN) {
        prefetch_rows(native, offset, tile->rows, inputs);
    }
    tile->sgd = fused && engine->update.kind == CFI_OPTIMIZER_SGD && left >= CFI_PANEL ? &engine->update : NULL;
    tile->w = native->weight + offset;
    tile->s1 = state_at(native->weight_state[0], offset);
    tile->w_stride = inputs;
    engine->kernels->tile(tile);
    if (tile->sgd == NULL) {
        finish_tile(engine, native, o, i, tile->rows, tile->c);
    }
}

static void dense_weight_gradient(cfi_engine *engine, const native_layer *native, int thread)
{
    const int64_t panels = (native->layer->fan_in + CFI_PANEL - 1) / CFI_PANEL, lanes = engine->lanes;
    /* As many panels at a time as half of a common L2 cache holds: rows of weights are walked in long pieces. */
    const int64_t fitting = 16 / native_blocks(engine), group = fitting < 1 ? 1 : fitting;
    cfi_tile tile;
    memset(&tile, 0, sizeof tile);
    tile.c = engine->scratch[thread].tile;
    tile.ldc = CFI_TILE_COLUMNS;
    tile.stack = engine->scratch[thread].stack;
    tile.n[0] = tile.n[1] = tile.n[2] = 1;
    tile.as[0] = 1;
    tile.bs[0] = CFI_PANEL;
    leaves_over_samples(engine, &tile, native->gradient.block, panels * lanes * CFI_PANEL);
    int64_t begin, end;
    cfi_pool_share(native->layer->neurons, thread, engine->threads, &begin, &end);
    for (int64_t first = 0; first < panels; first += group) {
        for (int64_t o = begin; o < end; o += CFI_TILE_ROWS) {
            for (int64_t panel = first; panel < panels && panel < first + group; panel++) {
                dense_tile(engine, native, &tile, o, end, panel, thread);
            }
        }
    }
    dense_bias_gradient(engine, native, begin, end);
    if (native->weight_gradient == NULL) {
        update_bias(engine, native, begin, end);
    }
}

/* ---- Convolution: a tile's rows are taps of the kernel, its columns output channels ---- */

/* Width of output panel `panel` in gradient_rows: CFI_PANEL, less in the last. */
static int64_t panel_width(const native_layer *native, int64_t panel)
{
    const int64_t left = native_round_up(native->layer->neurons, CFI_COLUMN_ALIGN) - panel * CFI_PANEL;
    return left < CFI_PANEL ? left : CFI_PANEL;
}

/* Floats of gradient_rows before output panel `panel` of a block. */
static int64_t panel_offset(const cfi_engine *engine, const native_layer *native, int64_t block, int64_t panel)
{
    const int64_t positions = native->layer->output.height * native->layer->output.width;
    const int64_t outputs = native_round_up(native->layer->neurons, CFI_COLUMN_ALIGN);
    return (block * outputs + panel * CFI_PANEL) * positions * engine->lanes;
}

void native_gradient_rows(cfi_engine *engine, int index, int thread)
{
    const native_layer *native = &engine->layers[index];
    const native_view *gradient = &native->gradient;
    const int64_t positions = native->layer->output.height * native->layer->output.width, lanes = engine->lanes;
    const int64_t panels = (native->layer->neurons + CFI_PANEL - 1) / CFI_PANEL;
    float *square = engine->scratch[thread].tile;
    int64_t begin, end;
    cfi_pool_share(positions * native_blocks(engine), thread, engine->threads, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t block = unit / positions, position = unit % positions;
        const float *source = gradient->data + block * gradient->block + position * lanes;
        for (int64_t panel = 0; panel < panels; panel++) {
            const int64_t width = panel_width(native, panel), left = native->layer->neurons - panel * CFI_PANEL;
            for (int64_t o = 0; o < width; o++) {
                if (o < left) {
                    memcpy(square + o * lanes, source + (panel * CFI_PANEL + o) * gradient->channel,
                           (size_t)lanes * sizeof(float));
                } else {
                    memset(square + o * lanes, 0, (size_t)lanes * sizeof(float));
                }
            }
            engine->kernels->transpose(square, lanes, width, lanes,
                                       native->gradient_rows + panel_offset(engine, native, block, panel) +
                                           position * lanes * width, width);
        }
    }
}

static const float one = 1.0f;

/* Computes the tile's rows for every output panel; `store` receives (row, output, value). */
static void conv_tile(cfi_engine *engine, const native_layer *native, cfi_tile *tile, int64_t row)
{
    const cfi_layer *layer = native->layer;
    const int64_t lanes = engine->lanes, width_out = layer->output.width;
    const int64_t panels = (layer->neurons + CFI_PANEL - 1) / CFI_PANEL;
    const int64_t as[3] = {tile->as[0], tile->as[1], tile->as[2]};
    for (int64_t panel = 0; panel < panels; panel++) {
        const int64_t width = panel_width(native, panel);
        tile->n[0] = 1;
        tile->n[1] = width_out;
        tile->n[2] = layer->output.height;
        tile->bs[0] = width;
        tile->bs[1] = lanes * width;
        tile->bs[2] = width_out * lanes * width;
        tile->b = native->gradient_rows + panel_offset(engine, native, 0, panel);
        tile->columns = (int)width;
        memcpy(tile->as, as, sizeof as);
        leaves_over_samples(engine, tile, as[0] == 0 ? 0 : native->input.block,
                            panel_offset(engine, native, 1, panel) - panel_offset(engine, native, 0, panel));
        engine->kernels->tile(tile);
        for (int64_t o = 0; o < width && panel * CFI_PANEL + o < layer->neurons; o++) {
            const int64_t neuron = panel * CFI_PANEL + o;
            for (int r = 0; r < tile->rows; r++) {
                float *target = row < layer->fan_in ? native->weight_gradient + neuron * layer->fan_in + row + r
                                                    : native->bias_gradient + neuron;
                *target = tile->c[r * CFI_TILE_COLUMNS + o];
            }
        }
    }
}

/* Rows 0 .. fan_in-1 are the kernel's taps, row fan_in is the bias, whose "input" is 1. */
static void conv_weight_gradient(cfi_engine *engine, const native_layer *native, int thread)
{
    const cfi_layer *layer = native->layer;
    const native_view *in = &native->input;
    const int64_t area = layer->kernel[0] * layer->kernel[1];
    cfi_tile tile;
    memset(&tile, 0, sizeof tile);
    tile.c = engine->scratch[thread].tile;
    tile.ldc = CFI_TILE_COLUMNS;
    tile.stack = engine->scratch[thread].stack;
    int64_t begin, end;
    cfi_pool_share(layer->fan_in + 1, thread, engine->threads, &begin, &end);
    const int64_t last_tap = end < layer->fan_in ? end : layer->fan_in;
    for (int64_t row = begin; row < last_tap; row += CFI_TILE_ROWS) {
        tile.rows = (int)(last_tap - row < CFI_TILE_ROWS ? last_tap - row : CFI_TILE_ROWS);
        for (int r = 0; r < tile.rows; r++) {
            const int64_t tap = row + r, c = tap / area, y = tap % area / layer->kernel[1];
            tile.a[r] = in->data + c * in->channel + (y - layer->pad_top) * in->row +
                        (tap % layer->kernel[1] - layer->pad_left) * in->column;
        }
        tile.as[0] = 1;
        tile.as[1] = layer->stride[1] * in->column;
        tile.as[2] = layer->stride[0] * in->row;
        conv_tile(engine, native, &tile, row);
    }
    if (end > layer->fan_in) {
        tile.rows = 1;
        tile.a[0] = &one;
        memset(tile.as, 0, sizeof tile.as);
        conv_tile(engine, native, &tile, layer->fan_in);
    }
}

void native_weight_gradient(cfi_engine *engine, int index, int thread)
{
    const native_layer *native = &engine->layers[index];
    if (native->layer->kind == CFI_LAYER_DENSE) {
        dense_weight_gradient(engine, native, thread);
    } else {
        conv_weight_gradient(engine, native, thread);
    }
}

/* ---- Clipping and the update that is not fused ---- */

void native_neuron_squares(cfi_engine *engine, int index, int thread)
{
    const native_layer *native = &engine->layers[index];
    const int64_t inputs = native->layer->fan_in;
    int64_t begin, end;
    cfi_pool_share(native->layer->neurons, thread, engine->threads, &begin, &end);
    for (int64_t o = begin; o < end; o++) {
        const float weights = engine->kernels->square_sum(native->weight_gradient + o * inputs, inputs);
        native->neuron_squares[o] = fmaf(native->bias_gradient[o], native->bias_gradient[o], weights);
    }
}

/* Global norm: neurons of a layer joined by the tree, layers added in order. The factor is PyTorch's:
 * clip / (norm + 1e-6), at most 1 (torch.nn.utils.clip_grad_norm_). */
float native_clip_scale(const cfi_engine *engine)
{
    float squares = 0.0f;
    for (int i = 0; i < engine->layer_count; i++) {
        const native_layer *native = &engine->layers[i];
        if (native->layer->neurons > 0) {
            squares += cfi_tree_sum(native->neuron_squares, native->layer->neurons);
        }
    }
    const float scale = engine->clip_norm / (sqrtf(squares) + 1e-6f);
    return scale < 1.0f ? scale : 1.0f;
}

static void scale_values(float *values, int64_t count, float scale)
{
    for (int64_t i = 0; i < count; i++) {
        values[i] *= scale;
    }
}

/* Neurons of this thread: their gradients are scaled when clipping, and given to the optimizer. */
void native_update(cfi_engine *engine, int index, int thread)
{
    const native_layer *native = &engine->layers[index];
    const int64_t inputs = native->layer->fan_in;
    int64_t begin, end;
    cfi_pool_share(native->layer->neurons, thread, engine->threads, &begin, &end);
    if (native->weight_gradient == NULL || begin == end) {
        return;
    }
    const int64_t offset = begin * inputs, count = (end - begin) * inputs;
    if (engine->clip_norm > 0.0f && engine->clip_scale != 1.0f) {
        scale_values(native->weight_gradient + offset, count, engine->clip_scale);
        scale_values(native->bias_gradient + begin, end - begin, engine->clip_scale);
    }
    engine->kernels->update(&engine->update, native->weight + offset, state_at(native->weight_state[0], offset),
                            state_at(native->weight_state[1], offset), native->weight_gradient + offset, 1, count, 0,
                            0);
    update_bias(engine, native, begin, end);
}
