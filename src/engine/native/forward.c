#include <string.h>

#include "base/philox.h"
#include "engine/native/native.h"

/* ---- Input: samples by index -> rows for the weight gradient, and lanes for the forward pass ---- */

/* Values begin .. begin+count-1 of the samples of one block, normalised: rows of CFI_PANEL floats. */
static void gather_block(const cfi_engine *engine, int64_t block, int64_t begin, int64_t count, float *rows)
{
    const native_source *source = &engine->source;
    const int64_t features = cfi_shape_features(engine->graph->input), first = block * engine->block_rows;
    const int64_t block_rows = native_block_rows(engine, block);
    if (source->bytes != NULL) {
        const bool in_order = source->indices == NULL;
        const cfi_gather gather = {in_order ? NULL : source->indices + first, features, begin, count, CFI_PANEL,
                                   source->scale, source->shift};
        engine->kernels->gather_bytes(&gather, source->bytes + (in_order ? first * features : 0), block_rows, rows);
        return;
    }
    for (int64_t s = 0; s < block_rows; s++) {
        const int64_t index = source->indices != NULL ? source->indices[first + s] : first + s;
        memcpy(rows + s * CFI_PANEL, source->floats + index * features + begin, (size_t)count * sizeof(float));
    }
}

/* Features begin.. of the graph's input, (count, P) in `lanes`, to their places inside a convolution's border. */
static void place_features(const cfi_engine *engine, int64_t block, int64_t begin, int64_t count, const float *lanes)
{
    const cfi_shape shape = engine->graph->input;
    const native_view *view = &engine->input;
    for (int64_t i = 0; i < count; i++) {
        const int64_t feature = begin + i, x = feature % shape.width, y = feature / shape.width % shape.height;
        const int64_t c = feature / shape.width / shape.height;
        memcpy(view->data + block * view->block + c * view->channel + y * view->row + x * view->column,
               lanes + i * engine->lanes, (size_t)engine->lanes * sizeof(float));
    }
}

/* One panel of CFI_PANEL features for the samples of one block. */
static void input_panel(cfi_engine *engine, int64_t block, int64_t panel, int64_t panels, int thread)
{
    native_scratch *scratch = &engine->scratch[thread];
    const int64_t lanes = engine->lanes, features = cfi_shape_features(engine->graph->input);
    const int64_t begin = panel * CFI_PANEL, left = features - begin;
    const int64_t count = left < CFI_PANEL ? left : CFI_PANEL;
    const native_layer *first = &engine->layers[engine->first_weights];
    const bool dense_first = engine->first_weights == 0 && first->layer->kind == CFI_LAYER_DENSE;
    float *rows = scratch->tile;
    if (dense_first && first->rows != NULL) {
        rows = first->rows + (native_input_block(first, block, thread) * panels + panel) * lanes * CFI_PANEL;
    } else {
        memset(rows, 0, CFI_PANEL * CFI_PANEL * sizeof(float));
    }
    const int64_t block_rows = native_block_rows(engine, block);
    gather_block(engine, block, begin, count, rows);
    memset(rows + block_rows * CFI_PANEL, 0, (size_t)((lanes - block_rows) * CFI_PANEL) * sizeof(float));
    const cfi_layer *reader = engine->graph->layers;
    while (reader->kind == CFI_LAYER_FLATTEN) {
        reader++;
    }
    if (reader->kind == CFI_LAYER_CONV2D) {
        float *turned = scratch->tile + CFI_PANEL * CFI_PANEL;
        engine->kernels->transpose(rows, CFI_PANEL, lanes, CFI_PANEL, turned, lanes);
        place_features(engine, block, begin, count, turned);
    } else {
        const int64_t place = native_input_block(&engine->layers[0], block, thread) * engine->input.block;
        engine->kernels->transpose(rows, CFI_PANEL, lanes, CFI_PANEL, engine->input.data + place + begin * lanes,
                                   lanes);
    }
}

static void input_labels(cfi_engine *engine)
{
    const native_source *source = &engine->source;
    for (int64_t i = 0; source->labels != NULL && i < engine->rows; i++) {
        engine->labels[i] = source->labels[source->indices != NULL ? source->indices[i] : i];
    }
}

void native_input(cfi_engine *engine, int thread)
{
    const int64_t panels = (cfi_shape_features(engine->graph->input) + CFI_PANEL - 1) / CFI_PANEL;
    int64_t begin, end;
    cfi_pool_share(panels * native_blocks(engine), engine->copied_input ? 0 : thread,
                   engine->copied_input ? 1 : engine->threads, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        input_panel(engine, unit / panels, unit % panels, panels, thread);
    }
    if (thread == 0) {
        input_labels(engine);
    }
}

/* ---- Layers ---- */

/* Training needs a hidden dense layer's input by samples too, for its weight gradient. */
static void transpose_input(cfi_engine *engine, const native_layer *native, int thread)
{
    const int64_t panels = (native->layer->fan_in + CFI_PANEL - 1) / CFI_PANEL, lanes = engine->lanes;
    int64_t begin, end;
    cfi_pool_share(panels * native_blocks(engine), thread, engine->threads, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t block = unit / panels, panel = unit % panels;
        engine->kernels->transpose(native->input.data + block * native->input.block + panel * CFI_PANEL * lanes, lanes,
                                   CFI_PANEL, lanes, native->rows + unit * lanes * CFI_PANEL, CFI_PANEL);
    }
}

/* Asks for the beginnings of the next tile's weight rows. Each row is another stream, which the hardware would notice
 * only after a few waits for the outer cache; from there on it follows by itself. */
static void prefetch_next_rows(const native_layer *native, int64_t o, int64_t end)
{
    const int64_t inputs = native->layer->fan_in, begun = inputs < 256 ? inputs : 256;
    for (int64_t row = o; row < end && row < o + CFI_TILE_ROWS; row++) {
        for (int64_t i = 0; i < begun; i += 16) {
            __builtin_prefetch(native->weight + row * inputs + i, 0, 2);
        }
    }
}

/* Neurons begin .. end-1 of a dense layer for one block: out[o] = f(bias[o] + sum over i of weight[o,i] * in[i]). */
static void dense_block(cfi_engine *engine, const native_layer *native, int64_t block, int64_t begin, int64_t end,
                        int thread)
{
    const cfi_layer *layer = native->layer;
    const int64_t lanes = engine->lanes, inputs = layer->fan_in;
    cfi_tile tile;
    memset(&tile, 0, sizeof tile);
    tile.start = CFI_START_ROW_BIAS;
    tile.ldc = lanes;
    tile.n[0] = inputs;
    tile.n[1] = tile.n[2] = 1;
    tile.as[0] = 1;
    tile.bs[0] = lanes;
    tile.leaf_count = 1;
    tile.columns = (int)native_columns(native_block_rows(engine, block));
    tile.b = native->input.data + native_input_block(native, block, thread) * native->input.block;
    for (int64_t o = begin; o < end; o += CFI_TILE_ROWS) {
        tile.rows = (int)(end - o < CFI_TILE_ROWS ? end - o : CFI_TILE_ROWS);
        for (int r = 0; r < tile.rows; r++) {
            tile.a[r] = native->weight + (o + r) * inputs;
        }
        tile.bias = native->bias + o;
        tile.c = native->output.data + block * native->output.block + o * lanes;
        if (layer->weight_count > NATIVE_PREFETCH_WEIGHTS_MIN) {
            prefetch_next_rows(native, o + CFI_TILE_ROWS, end);
        }
        engine->kernels->tile(&tile);
        engine->kernels->activate(layer->activation, layer->leaky_slope, tile.c, tile.rows * lanes);
    }
}

/* Threads share the neurons where the weights are the larger part of what is read, the blocks where the samples are:
 * each core then finds most of it in its own cache. */
static void dense_forward(cfi_engine *engine, const native_layer *native, int thread)
{
    const int64_t blocks = native_blocks(engine), neurons = native->layer->neurons;
    int64_t begin, end;
    if (neurons < engine->rows && blocks % engine->threads == 0) {
        cfi_pool_share(blocks, thread, engine->threads, &begin, &end);
        for (int64_t block = begin; block < end; block++) {
            dense_block(engine, native, block, 0, neurons, thread);
        }
        return;
    }
    cfi_pool_share(neurons, thread, engine->threads, &begin, &end);
    for (int64_t block = 0; block < blocks; block++) {
        dense_block(engine, native, block, begin, end, thread);
    }
}

/* One row of outputs of a convolution, all output channels. */
static void conv_row(cfi_engine *engine, const native_layer *native, int64_t block, int64_t y, cfi_tile *tile)
{
    const cfi_layer *layer = native->layer;
    const native_view *in = &native->input, *out = &native->output;
    const float *row = in->data + block * in->block + (y * layer->stride[0] - layer->pad_top) * in->row -
                       layer->pad_left * in->column;
    float *target = out->data + block * out->block + y * out->row;
    tile->columns = (int)native_columns(native_block_rows(engine, block));
    for (int64_t x = 0; x < layer->output.width; x++) {
        tile->b = row + x * layer->stride[1] * in->column;
        for (int64_t o = 0; o < layer->neurons; o += CFI_TILE_ROWS) {
            tile->rows = (int)(layer->neurons - o < CFI_TILE_ROWS ? layer->neurons - o : CFI_TILE_ROWS);
            for (int r = 0; r < tile->rows; r++) {
                tile->a[r] = native->weight + (o + r) * layer->fan_in;
            }
            tile->bias = native->bias + o;
            tile->c = target + o * out->channel + x * out->column;
            engine->kernels->tile(tile);
        }
    }
    for (int64_t o = 0; o < layer->neurons; o++) {
        engine->kernels->activate(layer->activation, layer->leaky_slope, target + o * out->channel,
                                  layer->output.width * engine->lanes);
    }
}

static void conv_forward(cfi_engine *engine, const native_layer *native, int thread)
{
    const cfi_layer *layer = native->layer;
    cfi_tile tile;
    memset(&tile, 0, sizeof tile);
    tile.start = CFI_START_ROW_BIAS;
    tile.ldc = native->output.channel;
    tile.n[0] = layer->kernel[1];
    tile.n[1] = layer->kernel[0];
    tile.n[2] = layer->input.channels;
    tile.as[0] = 1;
    tile.as[1] = layer->kernel[1];
    tile.as[2] = layer->kernel[0] * layer->kernel[1];
    tile.bs[0] = native->input.column;
    tile.bs[1] = native->input.row;
    tile.bs[2] = native->input.channel;
    tile.leaf_count = 1;
    int64_t begin, end;
    cfi_pool_share(layer->output.height * native_blocks(engine), thread, engine->threads, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        conv_row(engine, native, unit / layer->output.height, unit % layer->output.height, &tile);
    }
}

static void pool_forward(cfi_engine *engine, const native_layer *native, int thread)
{
    const cfi_layer *layer = native->layer;
    const native_view *in = &native->input, *out = &native->output;
    const cfi_window window = {layer->kernel[0], layer->kernel[1], in->row, in->column, engine->lanes};
    const float scale = 1.0f / (float)(layer->kernel[0] * layer->kernel[1]);
    const int64_t rows = layer->output.channels * layer->output.height;
    int64_t begin, end;
    cfi_pool_share(rows * native_blocks(engine), thread, engine->threads, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t block = unit / rows, c = unit % rows / layer->output.height, y = unit % layer->output.height;
        const float *source = in->data + block * in->block + c * in->channel + y * layer->stride[0] * in->row;
        float *target = out->data + block * out->block + c * out->channel + y * out->row;
        for (int64_t x = 0; x < layer->output.width; x++) {
            const float *at = source + x * layer->stride[1] * in->column;
            if (layer->kind == CFI_LAYER_MAX_POOL) {
                engine->kernels->max_pool(&window, at, target + x * out->column);
            } else {
                engine->kernels->average_pool(&window, scale, at, target + x * out->column);
            }
        }
    }
}

/* Fills the factors of one feature: 0, or 1/(1-rate). Rows draw in fours (docs/math/random.md). */
static void dropout_mask(const cfi_engine *engine, const native_layer *native, int64_t block, int64_t feature,
                         float *mask)
{
    const float rate = native->layer->dropout_rate, scale = 1.0f / (1.0f - rate);
    const int64_t first = engine->sample_begin + block * engine->block_rows;
    int64_t sample = first;
    while (sample < first + engine->lanes) {
        const cfi_philox_block draw =
            cfi_draw(engine->seed, CFI_PURPOSE_DROPOUT, native->mask_layer,
                     (uint32_t)(native->mask_feature + feature), (uint32_t)engine->step, (uint32_t)(sample / 4));
        /* A micro-batch may begin and end between two fours. */
        for (int64_t i = sample % 4; i < 4 && sample < first + engine->lanes; i++, sample++) {
            mask[sample - first] = cfi_uniform_float(draw.word[i]) >= rate ? scale : 0.0f;
        }
    }
}

static void dropout_forward(cfi_engine *engine, const native_layer *native, int thread)
{
    const cfi_shape shape = native->layer->output;
    const native_view *in = &native->input, *out = &native->output;
    const int64_t rows = shape.channels * shape.height, row_values = shape.width * engine->lanes;
    int64_t begin, end;
    cfi_pool_share(rows * native_blocks(engine), thread, engine->threads, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t block = unit / rows, c = unit % rows / shape.height, y = unit % shape.height;
        float *target = out->data + block * out->block + c * out->channel + y * out->row;
        memcpy(target, in->data + block * in->block + c * in->channel + y * in->row,
               (size_t)row_values * sizeof(float));
        if (engine->is_training) {
            const int64_t feature = (c * shape.height + y) * shape.width;
            float *mask = native->mask + block * native->gradient.block + feature * engine->lanes;
            for (int64_t x = 0; x < shape.width; x++) {
                dropout_mask(engine, native, block, feature + x, mask + x * engine->lanes);
            }
            engine->kernels->multiply(target, mask, row_values);
        }
    }
}

void native_forward(cfi_engine *engine, int index, int thread)
{
    const native_layer *native = &engine->layers[index];
    switch (native->layer->kind) {
    case CFI_LAYER_DENSE:
        if (engine->is_training && native->turns_input) {
            transpose_input(engine, native, thread);
        }
        dense_forward(engine, native, thread);
        break;
    case CFI_LAYER_CONV2D:
        conv_forward(engine, native, thread);
        break;
    case CFI_LAYER_MAX_POOL:
    case CFI_LAYER_AVG_POOL:
        pool_forward(engine, native, thread);
        break;
    case CFI_LAYER_DROPOUT:
        dropout_forward(engine, native, thread);
        break;
    case CFI_LAYER_FLATTEN:
        break;
    }
}

/* ---- Loss ---- */

/* The largest output's index for each lane (the first on ties); with one output, whether it says 1. */
void native_predict(cfi_loss_kind loss, const float *z, int64_t outputs, int64_t lanes, int32_t *predicted)
{
    if (outputs == 1) {
        const float threshold = loss == CFI_LOSS_MSE ? 0.5f : 0.0f;
        for (int64_t s = 0; s < lanes; s++) {
            predicted[s] = z[s] > threshold ? 1 : 0;
        }
        return;
    }
    float largest[CFI_BLOCK_LANES_MAX];
    memcpy(largest, z, (size_t)lanes * sizeof(float));
    memset(predicted, 0, (size_t)lanes * sizeof *predicted);
    for (int64_t k = 1; k < outputs; k++) {
        for (int64_t s = 0; s < lanes; s++) {
            const bool better = z[k * lanes + s] > largest[s];
            largest[s] = better ? z[k * lanes + s] : largest[s];
            predicted[s] = better ? (int32_t)k : predicted[s];
        }
    }
}

void native_loss(cfi_engine *engine, int thread)
{
    const native_layer *last = &engine->layers[engine->last];
    const int64_t outputs = cfi_shape_features(last->layer->output), lanes = engine->lanes;
    const float scale = 1.0f / (float)engine->rows;
    int64_t begin, end;
    cfi_pool_share(native_blocks(engine), thread, engine->threads, &begin, &end);
    for (int64_t block = begin; block < end; block++) {
        const float *z = last->output.data + block * last->output.block;
        float *gradient = engine->is_training ? last->gradient.data + block * last->gradient.block : NULL;
        const int64_t rows = native_block_rows(engine, block);
        const int32_t *labels = engine->labels + block * lanes;
        int32_t *predicted = engine->predicted + block * lanes;
        engine->kernels->loss(engine->graph->loss, z, outputs, lanes, rows, labels, scale, gradient,
                              engine->losses + block * lanes);
        native_predict(engine->graph->loss, z, outputs, lanes, predicted);
        engine->block_correct[block] = 0;
        for (int64_t s = 0; s < rows; s++) {
            engine->block_correct[block] += predicted[s] == labels[s];
        }
        if (gradient != NULL) {
            engine->kernels->activation_gradient(last->layer->activation, last->layer->leaky_slope, z, gradient,
                                                 outputs * lanes);
        }
    }
}

void native_probabilities(const cfi_kernels *kernels, cfi_loss_kind loss, float *z, int64_t outputs, int64_t lanes)
{
    if (loss == CFI_LOSS_SOFTMAX_CROSS_ENTROPY) {
        kernels->softmax(z, outputs, lanes);
    } else if (loss == CFI_LOSS_BINARY_CROSS_ENTROPY) {
        kernels->activate(CFI_ACTIVATION_SIGMOID, 0.0f, z, outputs * lanes);
    }
}

/* Probabilities (or plain outputs) of each block, turned to (rows, outputs). */
void native_outputs(cfi_engine *engine, int thread)
{
    const native_layer *last = &engine->layers[engine->last];
    const int64_t outputs = cfi_shape_features(last->layer->output), lanes = engine->lanes;
    int64_t begin, end;
    cfi_pool_share(native_blocks(engine), thread, engine->threads, &begin, &end);
    for (int64_t block = begin; block < end; block++) {
        float *z = last->output.data + block * last->output.block;
        native_probabilities(engine->kernels, engine->graph->loss, z, outputs, lanes);
        for (int64_t s = 0; s < native_block_rows(engine, block); s++) {
            for (int64_t k = 0; k < outputs; k++) {
                engine->outputs[(block * lanes + s) * outputs + k] = z[k * lanes + s];
            }
        }
    }
}
