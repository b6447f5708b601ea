/* Forward for a few samples. With one sample a vector of samples is nearly empty, so here vectors run over outputs,
 * from a transposed copy of the weights. The chain of each output is the same, and so are the bits. */
#include <string.h>

#include "base/alloc.h"
#include "engine/native/native.h"

bool native_small_batch_fits(const cfi_engine *engine)
{
    return engine->all_dense && engine->training == NULL && engine->rows <= CFI_TILE_ROWS;
}

static int64_t panels_of(const cfi_layer *layer)
{
    return (layer->neurons + CFI_PANEL - 1) / CFI_PANEL;
}

static cf_status buffers_new(cfi_engine *engine, cf_error *error)
{
    int64_t widest = native_round_up(cfi_shape_features(engine->graph->input), CFI_PANEL), biases = 0;
    engine->transposed = cfi_calloc((size_t)engine->layer_count, sizeof *engine->transposed);
    if (engine->transposed == NULL) {
        return cfi_fail_memory(error, "transposed weights");
    }
    for (int i = 0; i < engine->layer_count; i++) {
        const cfi_layer *layer = engine->layers[i].layer;
        const int64_t outputs = panels_of(layer) * CFI_PANEL;
        widest = outputs > widest ? outputs : widest;
        biases += outputs;
        if (layer->neurons > 0) {
            engine->transposed[i] = cfi_aligned_calloc((size_t)(outputs * layer->fan_in), sizeof(float));
            if (engine->transposed[i] == NULL) {
                return cfi_fail_memory(error, "transposed weights");
            }
        }
    }
    engine->transposed_bias = cfi_aligned_calloc((size_t)biases, sizeof(float));
    for (int i = 0; i < 2; i++) {
        engine->small[i] = cfi_aligned_calloc((size_t)(widest * CFI_TILE_ROWS), sizeof(float));
    }
    return engine->transposed_bias != NULL && engine->small[0] != NULL && engine->small[1] != NULL
               ? CF_OK
               : cfi_fail_memory(error, "small batches");
}

static void transpose_layer(const cfi_layer *layer, const float *weight, float *target)
{
    for (int64_t o = 0; o < layer->neurons; o++) {
        float *column = target + o / CFI_PANEL * layer->fan_in * CFI_PANEL + o % CFI_PANEL;
        for (int64_t i = 0; i < layer->fan_in; i++) {
            column[i * CFI_PANEL] = weight[o * layer->fan_in + i];
        }
    }
}

cf_status native_small_batch_prepare(cfi_engine *engine, cf_error *error)
{
    if (engine->transposed_valid) {
        return CF_OK;
    }
    if (engine->transposed_bias == NULL) {
        native_small_batch_free(engine);
        CFI_TRY(buffers_new(engine, error));
    }
    float *bias = engine->transposed_bias;
    for (int i = 0; i < engine->layer_count; i++) {
        const native_layer *native = &engine->layers[i];
        if (native->layer->neurons > 0) {
            transpose_layer(native->layer, native->weight, engine->transposed[i]);
            memcpy(bias, native->bias, (size_t)native->layer->neurons * sizeof(float));
            bias += panels_of(native->layer) * CFI_PANEL;
        }
    }
    engine->transposed_valid = true;
    return CF_OK;
}

/* One layer's panels of this thread, from `in` (rows, in_stride) to `out` (rows, outputs rounded up to panels). */
static void small_layer(cfi_engine *engine, int index, const float *bias, const float *in, int64_t in_stride,
                        float *out, int thread)
{
    const cfi_layer *layer = engine->layers[index].layer;
    cfi_tile tile;
    memset(&tile, 0, sizeof tile);
    tile.rows = (int)engine->rows;
    for (int r = 0; r < tile.rows; r++) {
        tile.a[r] = in + r * in_stride;
    }
    tile.start = CFI_START_COLUMN_BIAS;
    tile.ldc = panels_of(layer) * CFI_PANEL;
    tile.n[0] = layer->fan_in;
    tile.n[1] = tile.n[2] = 1;
    tile.as[0] = 1;
    tile.bs[0] = CFI_PANEL;
    tile.leaf_count = 1;
    int64_t begin, end;
    cfi_pool_share(panels_of(layer), thread, engine->threads, &begin, &end);
    for (int64_t panel = begin; panel < end; panel++) {
        const int64_t left = layer->neurons - panel * CFI_PANEL;
        tile.columns = (int)native_columns(left < CFI_PANEL ? left : CFI_PANEL);
        tile.b = engine->transposed[index] + panel * layer->fan_in * CFI_PANEL;
        tile.bias = bias + panel * CFI_PANEL;
        tile.c = out + panel * CFI_PANEL;
        engine->kernels->tile(&tile);
        for (int r = 0; r < tile.rows; r++) {
            engine->kernels->activate(layer->activation, layer->leaky_slope, tile.c + r * tile.ldc, tile.columns);
        }
    }
}

void native_small_batch(cfi_engine *engine, int thread)
{
    const float *in = engine->source.floats, *bias = engine->transposed_bias;
    int64_t in_stride = cfi_shape_features(engine->graph->input);
    float *out = engine->small[0];
    for (int i = 0; i < engine->layer_count; i++) {
        const cfi_layer *layer = engine->layers[i].layer;
        if (layer->neurons == 0) {
            continue; /* flatten, and dropout outside training, change nothing */
        }
        small_layer(engine, i, bias, in, in_stride, out, thread);
        cfi_pool_barrier(engine->pool);
        in = out;
        in_stride = panels_of(layer) * CFI_PANEL;
        bias += in_stride;
        out = out == engine->small[0] ? engine->small[1] : engine->small[0];
    }
    if (thread == engine->threads - 1) { /* whose share is the only block: CFI_TILE_ROWS samples fit into one */
        const native_layer *last = &engine->layers[engine->last];
        const int64_t outputs = cfi_shape_features(last->layer->output);
        for (int64_t s = 0; s < engine->rows; s++) {
            for (int64_t k = 0; k < outputs; k++) {
                last->output.data[k * engine->lanes + s] = in[s * in_stride + k];
            }
        }
        native_outputs(engine, thread);
    }
}

void native_small_batch_free(cfi_engine *engine)
{
    for (int i = 0; engine->transposed != NULL && i < engine->layer_count; i++) {
        cfi_aligned_free(engine->transposed[i]);
    }
    cfi_free(engine->transposed);
    cfi_aligned_free(engine->transposed_bias);
    cfi_aligned_free(engine->small[0]);
    cfi_aligned_free(engine->small[1]);
    engine->transposed = NULL;
    engine->transposed_bias = engine->small[0] = engine->small[1] = NULL;
    engine->transposed_valid = false;
}
