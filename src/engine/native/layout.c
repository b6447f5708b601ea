#include <string.h>

#include "engine/native/native.h"

/* Zeroed floats counted in memory[2]; NULL when memory is short. */
static float *floats_new(cfi_engine *engine, int64_t count)
{
    engine->memory[2] += count * (int64_t)sizeof(float);
    return cfi_arena_take(&engine->arena, (size_t)count, sizeof(float));
}

/* Makes an activation of `shape` with a border for its reader (NULL: none). Features are rounded up to whole
 * panels, so that a dense reader may transpose whole squares. */
static cf_status view_new(cfi_engine *engine, native_view *view, cfi_shape shape, const cfi_layer *reader,
                          int64_t blocks, cf_error *error)
{
    int64_t top = 0, left = 0, bottom = 0, right = 0;
    if (reader != NULL && reader->kind == CFI_LAYER_CONV2D) {
        top = reader->pad_top;
        left = reader->pad_left;
        bottom = reader->pad_bottom;
        right = reader->pad_right;
    }
    const int64_t height = shape.height + top + bottom, width = shape.width + left + right;
    view->column = engine->lanes;
    view->row = width * view->column;
    view->channel = height * view->row;
    view->block = native_round_up(shape.channels * height * width, CFI_PANEL) * engine->lanes;
    float *data = floats_new(engine, view->block * blocks);
    if (data == NULL) {
        return cfi_fail_memory(error, "activations");
    }
    view->data = data + top * view->row + left * view->column;
    return CF_OK;
}

/* The layer that reads the output of layer `index`, flatten layers (which only rename it) left out. */
static const cfi_layer *reader_of(const cfi_graph *graph, int index)
{
    for (int i = index + 1; i < graph->layer_count; i++) {
        if (graph->layers[i].kind != CFI_LAYER_FLATTEN) {
            return &graph->layers[i];
        }
    }
    return NULL;
}

static cf_status layer_gradients_new(cfi_engine *engine, native_layer *native, cf_error *error)
{
    const cfi_layer *layer = native->layer;
    const int64_t lanes = engine->lanes;
    const int64_t blocks = native->copied_input ? engine->threads : engine->training_blocks;
    if (layer->neurons == 0) {
        return CF_OK;
    }
    native->bias_gradient = floats_new(engine, layer->neurons);
    native->neuron_squares = floats_new(engine, layer->neurons);
    bool whole = native->bias_gradient != NULL && native->neuron_squares != NULL;
    if (layer->kind == CFI_LAYER_CONV2D || engine->clip_norm > 0.0f) {
        native->weight_gradient = floats_new(engine, layer->weight_count);
        whole = whole && native->weight_gradient != NULL;
    }
    if (layer->kind == CFI_LAYER_DENSE) {
        native->rows = floats_new(engine, blocks * lanes * native_round_up(layer->fan_in, CFI_PANEL));
        whole = whole && native->rows != NULL;
    } else {
        const int64_t positions = layer->output.height * layer->output.width;
        const int64_t outputs = native_round_up(layer->neurons, CFI_COLUMN_ALIGN);
        native->gradient_rows = floats_new(engine, blocks * lanes * positions * outputs);
        whole = whole && native->gradient_rows != NULL;
    }
    return whole ? CF_OK : cfi_fail_memory(error, "gradients");
}

static cf_status layer_new(cfi_engine *engine, int index, cf_error *error)
{
    native_layer *native = &engine->layers[index];
    const cfi_layer *layer = &engine->graph->layers[index];
    native->layer = layer;
    native->input = index == 0 ? engine->input : engine->layers[index - 1].output;
    native->needs_input_gradient = index > engine->first_weights;
    native->copied_input = index == 0 && engine->copied_input;
    native->turns_input = index > 0;
    native->mask_layer = (uint32_t)index;
    if (layer->kind == CFI_LAYER_FLATTEN) {
        native->output = native->input;
        native->gradient = index == 0 ? native->gradient : engine->layers[index - 1].gradient;
        /* The same values seen as (features, 1, 1): no convolution reads them, so there is no border between. */
        native->output.channel = native->output.row = engine->lanes;
        native->gradient.channel = native->gradient.row = engine->lanes;
        return CF_OK;
    }
    CFI_TRY(view_new(engine, &native->output, layer->output, reader_of(engine->graph, index), engine->block_count,
                     error));
    if (engine->training == NULL) {
        return CF_OK;
    }
    CFI_TRY(view_new(engine, &native->gradient, layer->output, NULL, engine->training_blocks, error));
    if (layer->kind == CFI_LAYER_DROPOUT) {
        native->mask = floats_new(engine, native->gradient.block * engine->training_blocks);
        if (native->mask == NULL) {
            return cfi_fail_memory(error, "dropout masks");
        }
    }
    return layer_gradients_new(engine, native, error);
}

static cf_status scratch_new(cfi_engine *engine, cf_error *error)
{
    int64_t neurons_max = 1;
    for (int i = 0; i < engine->layer_count; i++) {
        const cfi_layer *layer = &engine->graph->layers[i];
        if (layer->kind == CFI_LAYER_DENSE && layer->neurons > neurons_max) {
            neurons_max = layer->neurons;
        }
    }
    engine->scratch = cfi_arena_take(&engine->arena, (size_t)engine->threads, sizeof *engine->scratch);
    if (engine->scratch == NULL) {
        return cfi_fail_memory(error, "scratch");
    }
    for (int t = 0; t < engine->threads; t++) {
        native_scratch *scratch = &engine->scratch[t];
        scratch->stack = floats_new(engine, CFI_TILE_STACK_FLOATS);
        scratch->tile = floats_new(engine, CFI_TILE_ROWS * CFI_TILE_COLUMNS + 2 * CFI_PANEL * CFI_PANEL);
        scratch->packed = floats_new(engine, CFI_PACK_TILES * CFI_TILE_ROWS * neurons_max);
        if (scratch->stack == NULL || scratch->tile == NULL || scratch->packed == NULL) {
            return cfi_fail_memory(error, "scratch");
        }
    }
    return CF_OK;
}

/* A small batch is sooner converted by every thread for itself than fetched from another core's cache. */
static bool wants_copies(const cfi_engine *engine)
{
    const int64_t values_max = 16384;
    return engine->threads > 1 && engine->block_count == 1 && engine->graph->layers[0].kind == CFI_LAYER_DENSE &&
           cfi_shape_features(engine->graph->input) * engine->lanes <= values_max;
}

cf_status native_layout_new(cfi_engine *engine, cf_error *error)
{
    const cfi_graph *graph = engine->graph;
    const size_t padded = (size_t)(engine->block_count * engine->lanes);
    engine->layers = cfi_arena_take(&engine->arena, (size_t)graph->layer_count, sizeof *engine->layers);
    engine->labels = cfi_arena_take(&engine->arena, padded, sizeof *engine->labels);
    engine->predicted = cfi_arena_take(&engine->arena, padded, sizeof *engine->predicted);
    engine->losses = cfi_arena_take(&engine->arena, padded, sizeof *engine->losses);
    engine->block_correct =
        cfi_arena_take(&engine->arena, (size_t)engine->block_count, sizeof *engine->block_correct);
    if (engine->layers == NULL || engine->labels == NULL || engine->predicted == NULL || engine->losses == NULL ||
        engine->block_correct == NULL) {
        return cfi_fail_memory(error, "layers");
    }
    engine->layer_count = graph->layer_count;
    engine->last = graph->layer_count - 1;
    while (engine->last > 0 && graph->layers[engine->last].kind == CFI_LAYER_FLATTEN) {
        engine->last--;
    }
    engine->copied_input = wants_copies(engine);
    const int64_t input_blocks = engine->copied_input ? engine->threads : engine->block_count;
    CFI_TRY(view_new(engine, &engine->input, graph->input, reader_of(graph, -1), input_blocks, error));
    for (int i = 0; i < graph->layer_count; i++) {
        CFI_TRY(layer_new(engine, i, error));
    }
    return scratch_new(engine, error);
}
