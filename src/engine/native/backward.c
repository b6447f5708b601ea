#include <string.h>

#include "engine/native/native.h"

/* The layer whose values the gradient before layer `index` belongs to, flatten layers left out; -1 for the input. */
static int layer_before(const cfi_engine *engine, int index)
{
    int before = index - 1;
    while (before >= 0 && engine->layers[before].layer->kind == CFI_LAYER_FLATTEN) {
        before--;
    }
    return before;
}

void native_activation_gradient(cfi_engine *engine, int index, int64_t block, int64_t c, int64_t y)
{
    const native_layer *native = &engine->layers[index];
    const native_view *out = &native->output, *gradient = &native->gradient;
    engine->kernels->activation_gradient(
        native->layer->activation, native->layer->leaky_slope,
        out->data + block * out->block + c * out->channel + y * out->row,
        gradient->data + block * gradient->block + c * gradient->channel + y * gradient->row,
        native->layer->output.width * engine->lanes);
}

/* ---- Dense: gradient[i] = sum over o of weight[o,i] * gradient[o], a leaf for each `grain` neurons ---- */

#define PREFETCH_ROWS 12

/* Copies columns i .. i+count-1 of the weights of `neurons` neurons from `begin` on to tiles of
 * (neurons, CFI_TILE_ROWS), so that the tile kernel walks them in order instead of jumping from row to row. */
static void pack_columns(const native_layer *native, int64_t begin, int64_t neurons, int64_t i, int64_t count,
                         float *packed)
{
    const int64_t inputs = native->layer->fan_in;
    for (int64_t o = 0; o < neurons; o++) {
        const float *source = native->weight + (begin + o) * inputs + i;
        for (int64_t line = 0; line < count + 15; line += 16) { /* rows are far apart: no hardware prefetch */
            __builtin_prefetch(source + PREFETCH_ROWS * inputs + line);
        }
        for (int64_t t = 0; t < count; t += CFI_TILE_ROWS) {
            float *target = packed + t * neurons + o * CFI_TILE_ROWS;
            if (count - t >= CFI_TILE_ROWS) {
                memcpy(target, source + t, CFI_TILE_ROWS * sizeof(float));
            } else {
                memcpy(target, source + t, (size_t)(count - t) * sizeof(float));
            }
        }
    }
}

/* The tile's counts for a contraction over `neurons` in leaves of `grain`. */
static void leaves_over_neurons(cfi_tile *tile, int dimension, int64_t neurons, int64_t grain)
{
    tile->leaf_count = (neurons + grain - 1) / grain;
    tile->leaf_group = tile->leaf_count;
    memcpy(tile->last_n, tile->n, sizeof tile->n);
    tile->n[dimension] = grain < neurons ? grain : neurons;
    tile->last_n[dimension] = neurons - (tile->leaf_count - 1) * grain;
    tile->leaf_as[0] = grain * tile->as[dimension];
    tile->leaf_bs[0] = grain * tile->bs[dimension];
}

static void dense_input_gradient(cfi_engine *engine, int index, int thread)
{
    const native_layer *native = &engine->layers[index];
    const int before = layer_before(engine, index);
    const native_layer *target = &engine->layers[before];
    const int64_t lanes = engine->lanes, neurons = native->layer->neurons;
    cfi_tile tile;
    memset(&tile, 0, sizeof tile);
    tile.ldc = lanes;
    tile.n[0] = tile.n[1] = tile.n[2] = 1;
    tile.as[0] = CFI_TILE_ROWS;
    tile.bs[0] = lanes;
    tile.stack = engine->scratch[thread].stack;
    leaves_over_neurons(&tile, 0, neurons, native->layer->grain);
    int64_t begin, end;
    cfi_pool_share(native->layer->fan_in, thread, engine->threads, &begin, &end);
    for (int64_t group = begin; group < end; group += CFI_PACK_TILES * CFI_TILE_ROWS) {
        const int64_t left = end - group, most = CFI_PACK_TILES * CFI_TILE_ROWS;
        const int64_t count = left < most ? left : most;
        float *packed = engine->scratch[thread].packed;
        pack_columns(native, 0, neurons, group, count, packed);
        for (int64_t block = 0; block < native_blocks(engine); block++) {
            tile.columns = (int)native_columns(native_block_rows(engine, block));
            tile.b = native->gradient.data + block * native->gradient.block;
            for (int64_t t = 0; t < count; t += CFI_TILE_ROWS) {
                tile.rows = (int)(count - t < CFI_TILE_ROWS ? count - t : CFI_TILE_ROWS);
                for (int r = 0; r < tile.rows; r++) {
                    tile.a[r] = packed + t * neurons + r;
                }
                const int64_t first = (group + t) * lanes;
                tile.c = target->gradient.data + block * target->gradient.block + first;
                engine->kernels->tile(&tile);
                if (target->layer->neurons > 0) {
                    engine->kernels->activation_gradient(
                        target->layer->activation, target->layer->leaky_slope,
                        target->output.data + block * target->output.block + first, tile.c, tile.rows * lanes);
                }
            }
        }
    }
}

/* ---- Convolution: the same over (output channel, kernel row, kernel column), only taps that exist ---- */

/* Kernel positions k = first, first + stride, ... (count of them) that reach input position `at`; the output
 * position of the first is *output_out and falls by one with each. */
static int64_t taps(int64_t at, int64_t pad, int64_t stride, int64_t kernel, int64_t outputs, int64_t *first_out,
                    int64_t *output_out)
{
    const int64_t shifted = at + pad;
    int64_t first = shifted % stride;
    /* Output (shifted - k) / stride must be below `outputs`. */
    const int64_t least = shifted - (outputs - 1) * stride;
    if (least > first) {
        first = least;
    }
    const int64_t last = shifted < kernel - 1 ? shifted : kernel - 1;
    *first_out = first;
    *output_out = (shifted - first) / stride;
    return last >= first ? (last - first) / stride + 1 : 0;
}

/* The tile of input position (y, x) for `neurons` output channels from `begin` on; returns the first tap's place in a
 * kernel's channel. */
static int64_t conv_position_tile(const cfi_engine *engine, const native_layer *native, int64_t block, int64_t y,
                                  int64_t x, int64_t begin, int64_t neurons, cfi_tile *tile)
{
    const cfi_layer *layer = native->layer;
    const native_view *gradient = &native->gradient;
    int64_t kernel_y, output_y, kernel_x, output_x;
    memset(tile, 0, sizeof *tile);
    tile->n[1] = taps(y, layer->pad_top, layer->stride[0], layer->kernel[0], layer->output.height, &kernel_y,
                      &output_y);
    tile->n[0] = taps(x, layer->pad_left, layer->stride[1], layer->kernel[1], layer->output.width, &kernel_x,
                      &output_x);
    tile->columns = (int)native_columns(native_block_rows(engine, block));
    tile->as[0] = layer->stride[1];
    tile->as[1] = layer->stride[0] * layer->kernel[1];
    tile->as[2] = layer->fan_in;
    tile->bs[0] = -gradient->column;
    tile->bs[1] = -gradient->row;
    tile->bs[2] = gradient->channel;
    leaves_over_neurons(tile, 2, neurons, layer->grain);
    tile->b = gradient->data + block * gradient->block + begin * gradient->channel + output_y * gradient->row +
              output_x * gradient->column;
    return kernel_y * layer->kernel[1] + kernel_x;
}

static void conv_input_gradient_row(cfi_engine *engine, const native_layer *native, const native_layer *target,
                                    int64_t block, int64_t y, native_scratch *scratch)
{
    const cfi_layer *layer = native->layer;
    const int64_t area = layer->kernel[0] * layer->kernel[1];
    for (int64_t x = 0; x < layer->input.width; x++) {
        cfi_tile tile;
        const int64_t tap = conv_position_tile(engine, native, block, y, x, 0, layer->neurons, &tile);
        tile.stack = scratch->stack;
        tile.ldc = target->gradient.channel;
        for (int64_t c = 0; c < layer->input.channels; c += CFI_TILE_ROWS) {
            const int64_t left = layer->input.channels - c;
            tile.rows = (int)(left < CFI_TILE_ROWS ? left : CFI_TILE_ROWS);
            for (int r = 0; r < tile.rows; r++) {
                tile.a[r] = native->weight + (c + r) * area + tap;
            }
            tile.c = target->gradient.data + block * target->gradient.block + c * tile.ldc +
                     y * target->gradient.row + x * target->gradient.column;
            engine->kernels->tile(&tile);
        }
    }
}

static void conv_input_gradient(cfi_engine *engine, int index, int thread)
{
    const native_layer *native = &engine->layers[index];
    const int before = layer_before(engine, index);
    const native_layer *target = &engine->layers[before];
    const cfi_shape shape = native->layer->input;
    int64_t begin, end;
    cfi_pool_share(shape.height * native_blocks(engine), thread, engine->threads, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t block = unit / shape.height, y = unit % shape.height;
        conv_input_gradient_row(engine, native, target, block, y, &engine->scratch[thread]);
        for (int64_t c = 0; target->layer->neurons > 0 && c < shape.channels; c++) {
            native_activation_gradient(engine, before, block, c, y);
        }
    }
}

/* ---- Layers without weights: each channel by itself ---- */

static void pool_channel(cfi_engine *engine, const native_layer *native, const native_layer *target, int64_t block,
                         int64_t c)
{
    const cfi_layer *layer = native->layer;
    const native_view *in = &native->input, *out = &native->output, *from = &native->gradient;
    const native_view *to = &target->gradient;
    const cfi_window window = {layer->kernel[0], layer->kernel[1], in->row, in->column, engine->lanes};
    const float scale = 1.0f / (float)(layer->kernel[0] * layer->kernel[1]);
    memset(to->data + block * to->block + c * to->channel, 0,
           (size_t)(layer->input.height * layer->input.width * engine->lanes) * sizeof(float));
    for (int64_t y = 0; y < layer->output.height; y++) {
        for (int64_t x = 0; x < layer->output.width; x++) {
            const int64_t top = y * layer->stride[0], left = x * layer->stride[1];
            const float *dy = from->data + block * from->block + c * from->channel + y * from->row + x * from->column;
            float *dx = to->data + block * to->block + c * to->channel + top * to->row + left * to->column;
            if (layer->kind == CFI_LAYER_AVG_POOL) {
                engine->kernels->average_pool_gradient(&window, scale, dy, dx, to->row, to->column);
            } else {
                engine->kernels->max_pool_gradient(
                    &window, in->data + block * in->block + c * in->channel + top * in->row + left * in->column,
                    out->data + block * out->block + c * out->channel + y * out->row + x * out->column, dy, dx,
                    to->row, to->column);
            }
        }
    }
}

static void dropout_channel(cfi_engine *engine, const native_layer *native, const native_layer *target,
                            int64_t block, int64_t c)
{
    /* The target's channels: behind a flatten layer the dropout's own are single values. */
    const cfi_shape shape = target->layer->output;
    const int64_t values = shape.height * shape.width * engine->lanes;
    const int64_t offset = block * native->gradient.block + c * values;
    float *dx = target->gradient.data + block * target->gradient.block + c * target->gradient.channel;
    memcpy(dx, native->gradient.data + offset, (size_t)values * sizeof(float));
    engine->kernels->multiply(dx, native->mask + offset, values);
}

static void channels_input_gradient(cfi_engine *engine, int index, int thread)
{
    const native_layer *native = &engine->layers[index];
    const int before = layer_before(engine, index);
    const native_layer *target = &engine->layers[before];
    const cfi_shape shape = target->layer->output; /* that of the input, before any flatten */
    int64_t begin, end;
    cfi_pool_share(shape.channels * native_blocks(engine), thread, engine->threads, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t block = unit / shape.channels, c = unit % shape.channels;
        if (native->layer->kind == CFI_LAYER_DROPOUT) {
            dropout_channel(engine, native, target, block, c);
        } else {
            pool_channel(engine, native, target, block, c);
        }
        for (int64_t y = 0; target->layer->neurons > 0 && y < shape.height; y++) {
            native_activation_gradient(engine, before, block, c, y);
        }
    }
}

void native_input_gradient(cfi_engine *engine, int index, int thread)
{
    switch (engine->layers[index].layer->kind) {
    case CFI_LAYER_DENSE:
        dense_input_gradient(engine, index, thread);
        break;
    case CFI_LAYER_CONV2D:
        conv_input_gradient(engine, index, thread);
        break;
    case CFI_LAYER_MAX_POOL:
    case CFI_LAYER_AVG_POOL:
    case CFI_LAYER_DROPOUT:
        channels_input_gradient(engine, index, thread);
        break;
    case CFI_LAYER_FLATTEN:
        break;
    }
}

/* ---- A part of it, for a shard ---- */

/* Rows of a finished tile to (feature, rows): `step` features from row to row. */
static void store_part(const cfi_engine *engine, const native_part *part, const cfi_tile *tile, int64_t block,
                       int64_t feature, int64_t step)
{
    const size_t size = (size_t)native_block_rows(engine, block) * sizeof(float);
    for (int r = 0; r < tile->rows; r++) {
        memcpy(part->gradient + (feature - part->first + r * step) * engine->rows + block * engine->block_rows,
               tile->c + r * tile->ldc, size);
    }
}

static void dense_part(cfi_engine *engine, const native_layer *native, const native_part *part)
{
    const int64_t lanes = engine->lanes, neurons = part->end - part->begin, end = part->first + part->count;
    const int64_t most = CFI_PACK_TILES * CFI_TILE_ROWS;
    const native_scratch *scratch = engine->scratch;
    cfi_tile tile;
    memset(&tile, 0, sizeof tile);
    tile.c = scratch->tile;
    tile.ldc = CFI_TILE_COLUMNS;
    tile.n[0] = tile.n[1] = tile.n[2] = 1;
    tile.as[0] = CFI_TILE_ROWS;
    tile.bs[0] = lanes;
    tile.stack = scratch->stack;
    leaves_over_neurons(&tile, 0, neurons, native->layer->grain);
    for (int64_t group = part->first; group < end; group += most) {
        const int64_t count = end - group < most ? end - group : most;
        pack_columns(native, part->begin, neurons, group, count, scratch->packed);
        for (int64_t block = 0; block < native_blocks(engine); block++) {
            tile.columns = (int)native_columns(native_block_rows(engine, block));
            tile.b = native->gradient.data + block * native->gradient.block + part->begin * lanes;
            for (int64_t t = 0; t < count; t += CFI_TILE_ROWS) {
                tile.rows = (int)(count - t < CFI_TILE_ROWS ? count - t : CFI_TILE_ROWS);
                for (int r = 0; r < tile.rows; r++) {
                    tile.a[r] = scratch->packed + t * neurons + r;
                }
                engine->kernels->tile(&tile);
                store_part(engine, part, &tile, block, group + t, 1);
            }
        }
    }
}

/* Input channels of position `place` (of `area` in a channel) that the part's features include: begin of them, which
 * may be cut anywhere, and how many. */
static int64_t channels_of_part(const native_part *part, int64_t area, int64_t place, int64_t *begin_out)
{
    *begin_out = (part->first - place + area - 1) / area;
    return (part->first + part->count - place + area - 1) / area - *begin_out;
}

static void conv_part_position(cfi_engine *engine, const native_layer *native, const native_part *part, int64_t block,
                               int64_t y, int64_t x)
{
    const cfi_layer *layer = native->layer;
    const int64_t kernel_area = layer->kernel[0] * layer->kernel[1], place = y * layer->input.width + x;
    const int64_t area = layer->input.height * layer->input.width;
    cfi_tile tile;
    const int64_t tap =
        conv_position_tile(engine, native, block, y, x, part->begin, part->end - part->begin, &tile);
    tile.stack = engine->scratch->stack;
    tile.c = engine->scratch->tile;
    tile.ldc = CFI_TILE_COLUMNS;
    int64_t begin;
    const int64_t channels = channels_of_part(part, area, place, &begin);
    for (int64_t c = begin; c < begin + channels; c += CFI_TILE_ROWS) {
        const int64_t left = begin + channels - c;
        tile.rows = (int)(left < CFI_TILE_ROWS ? left : CFI_TILE_ROWS);
        for (int r = 0; r < tile.rows; r++) {
            tile.a[r] = native->weight + part->begin * layer->fan_in + (c + r) * kernel_area + tap;
        }
        engine->kernels->tile(&tile);
        store_part(engine, part, &tile, block, c * area + place, area);
    }
}

void native_input_gradient_part(cfi_engine *engine, int index, const native_part *part)
{
    const native_layer *native = &engine->layers[index];
    if (native->layer->kind == CFI_LAYER_DENSE) {
        dense_part(engine, native, part);
        return;
    }
    const cfi_shape shape = native->layer->input;
    const int64_t positions = shape.height * shape.width;
    for (int64_t unit = 0; unit < positions * native_blocks(engine); unit++) {
        const int64_t place = unit % positions;
        conv_part_position(engine, native, part, unit / positions, place / shape.width, place % shape.width);
    }
}
