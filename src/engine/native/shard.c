#include "engine/native/shard.h"

#include <string.h>

#include "engine/compute.h"

/* ---- Slots ---- */

static void view_move(native_view *view, const native_view *home, int64_t blocks)
{
    view->data = home->data + blocks * home->block;
}

static void layer_move(native_layer *native, const native_layer *home, int64_t lanes, int64_t blocks)
{
    const cfi_layer *layer = home->layer;
    const int64_t positions = layer->output.height * layer->output.width;
    const int64_t outputs = native_round_up(layer->neurons, CFI_COLUMN_ALIGN);
    view_move(&native->gradient, &home->gradient, blocks);
    native->mask = home->mask != NULL ? home->mask + blocks * home->gradient.block : NULL;
    native->rows =
        home->rows != NULL ? home->rows + blocks * lanes * native_round_up(layer->fan_in, CFI_PANEL) : NULL;
    native->gradient_rows =
        home->gradient_rows != NULL ? home->gradient_rows + blocks * lanes * positions * outputs : NULL;
}

void native_shard_select(native_shard *shard, int slot, int64_t rows)
{
    cfi_engine *engine = &shard->engine;
    const bool trains = slot != CFI_SLOT_FORWARD;
    const int64_t blocks = trains ? slot * shard->slot_blocks : engine->training_blocks;
    engine->rows = rows;
    engine->block_rows = trains ? shard->full_block : engine->lanes;
    engine->sample_begin = trains ? slot * shard->slot_rows : 0;
    view_move(&engine->input, &shard->home_input, blocks);
    for (int i = 0; i < engine->layer_count; i++) {
        native_layer *native = &engine->layers[i];
        const native_layer *home = &shard->home[i];
        view_move(&native->input, &home->input, blocks);
        view_move(&native->output, &home->output, blocks);
        if (trains) {
            layer_move(native, home, engine->lanes, blocks);
        } else { /* forward only: nothing is kept of it for the gradients */
            native->gradient.data = native->mask = native->rows = native->gradient_rows = NULL;
        }
    }
}

/* ---- Input and forward ---- */

/* Where feature `feature` of the stage's input begins in a block. */
static int64_t feature_place(const native_shard *shard, int64_t feature)
{
    const native_view *view = &shard->engine.input;
    const cfi_shape shape = shard->slice.input;
    if (shard->whole->kind == CFI_LAYER_DENSE) {
        return feature * shard->engine.lanes;
    }
    const int64_t x = feature % shape.width, y = feature / shape.width % shape.height;
    return feature / shape.width / shape.height * view->channel + y * view->row + x * view->column;
}

static void shard_input(void *user, int slot, int64_t first, int64_t count, int64_t rows, const float *values)
{
    native_shard *shard = user;
    cfi_engine *engine = &shard->engine;
    native_shard_select(shard, slot, rows);
    engine->layers[0].turns_input = true;
    for (int64_t block = 0; block < native_blocks(engine); block++) {
        const int64_t block_rows = native_block_rows(engine, block);
        for (int64_t i = 0; i < count; i++) {
            float *target = engine->input.data + block * engine->input.block + feature_place(shard, first + i);
            memcpy(target, values + i * rows + block * engine->block_rows, (size_t)block_rows * sizeof(float));
            memset(target + block_rows, 0, (size_t)(engine->lanes - block_rows) * sizeof(float));
        }
    }
}

static void input_by_samples(native_shard *shard, int slot, int64_t rows, const uint8_t *bytes, const float *floats)
{
    native_shard_select(shard, slot, rows);
    shard->engine.layers[0].turns_input = false;
    shard->engine.source.bytes = bytes;
    shard->engine.source.floats = floats;
    native_input(&shard->engine, 0);
}

static void shard_input_bytes(void *user, int slot, int64_t rows, const uint8_t *values)
{
    input_by_samples(user, slot, rows, values, NULL);
}

static void shard_input_samples(void *user, int slot, int64_t rows, const float *values)
{
    input_by_samples(user, slot, rows, NULL, values);
}

static void shard_forward(void *user, int64_t step, int slot, int64_t rows, bool is_training, float *outputs)
{
    native_shard *shard = user;
    cfi_engine *engine = &shard->engine;
    native_shard_select(shard, slot, rows);
    engine->step = step;
    engine->is_training = is_training && slot != CFI_SLOT_FORWARD;
    for (int i = 0; i < engine->layer_count; i++) {
        native_forward(engine, i, 0);
    }
    const native_layer *last = &engine->layers[engine->last];
    const int64_t features = cfi_shape_features(last->layer->output);
    for (int64_t block = 0; block < native_blocks(engine); block++) {
        const size_t size = (size_t)native_block_rows(engine, block) * sizeof(float);
        const float *source = last->output.data + block * last->output.block;
        for (int64_t k = 0; k < features; k++) {
            memcpy(outputs + k * rows + block * engine->block_rows, source + k * engine->lanes, size);
        }
    }
}

static bool shard_has_nonfinite(const void *user, int slot, int64_t rows)
{
    const native_shard *shard = user;
    const cfi_engine *engine = &shard->engine;
    const native_layer *last = &shard->home[engine->last];
    const bool trains = slot != CFI_SLOT_FORWARD;
    const int64_t first = trains ? slot * shard->slot_blocks : engine->training_blocks;
    const int64_t block_rows = trains ? shard->full_block : engine->lanes;
    const int64_t features = cfi_shape_features(last->layer->output);
    for (int64_t done = 0, block = first; done < rows; done += block_rows, block++) {
        const int64_t count = rows - done < block_rows ? rows - done : block_rows;
        for (int64_t k = 0; k < features; k++) {
            if (engine->kernels->has_nonfinite(last->output.data + block * last->output.block + k * engine->lanes,
                                               count)) {
                return true;
            }
        }
    }
    return false;
}

/* ---- One step ---- */

/* Gradients of all neurons over the whole batch; dense layers without clipping are updated at once. */
static void weight_gradient(native_shard *shard, int64_t rows)
{
    native_shard_select(shard, 0, rows);
    if (shard->whole->kind == CFI_LAYER_CONV2D) {
        native_gradient_rows(&shard->engine, 0, 0);
    }
    native_weight_gradient(&shard->engine, 0, 0);
}

static void shard_squares(void *user, int64_t rows, float *squares)
{
    native_shard *shard = user;
    weight_gradient(shard, rows);
    native_neuron_squares(&shard->engine, 0, 0);
    memcpy(squares, shard->home->neuron_squares, (size_t)shard->home->layer->neurons * sizeof *squares);
}

static void shard_update(void *user, int64_t step, int64_t rows, float rate, float clip_scale)
{
    native_shard *shard = user;
    cfi_engine *engine = &shard->engine;
    engine->update = cfi_optimizer_prepare(&engine->training->optimizer, step, rate);
    engine->clip_scale = clip_scale;
    if (engine->clip_norm == 0.0f) { /* with clipping, shard_squares has made it */
        weight_gradient(shard, rows);
    }
    native_update(engine, 0, 0);
}

/* ---- State ---- */

static size_t shard_neuron_state_size(const void *user)
{
    const native_shard *shard = user;
    return (size_t)(shard->whole->fan_in + 1) * (size_t)(1 + shard->states) * sizeof(float);
}

static unsigned char *get_floats(unsigned char *bytes, const float *values, int64_t count)
{
    memcpy(bytes, values, (size_t)count * sizeof(float));
    return bytes + (size_t)count * sizeof(float);
}

static const unsigned char *set_floats(const unsigned char *bytes, float *values, int64_t count)
{
    memcpy(values, bytes, (size_t)count * sizeof(float));
    return bytes + (size_t)count * sizeof(float);
}

static void shard_state_get(const void *user, int64_t begin, int64_t end, void *bytes)
{
    const native_shard *shard = user;
    const native_layer *native = shard->home;
    const int64_t inputs = shard->whole->fan_in;
    unsigned char *at = bytes;
    for (int64_t o = begin - shard->begin; o < end - shard->begin; o++) {
        at = get_floats(at, native->weight + o * inputs, inputs);
        at = get_floats(at, native->bias + o, 1);
        for (int i = 0; i < shard->states; i++) {
            at = get_floats(at, native->weight_state[i] + o * inputs, inputs);
            at = get_floats(at, native->bias_state[i] + o, 1);
        }
    }
}

static void shard_state_set(void *user, int64_t begin, int64_t end, const void *bytes)
{
    native_shard *shard = user;
    const native_layer *native = shard->home;
    const int64_t inputs = shard->whole->fan_in;
    const unsigned char *at = bytes;
    for (int64_t o = begin - shard->begin; o < end - shard->begin; o++) {
        at = set_floats(at, native->weight + o * inputs, inputs);
        at = set_floats(at, native->bias + o, 1);
        for (int i = 0; i < shard->states; i++) {
            at = set_floats(at, native->weight_state[i] + o * inputs, inputs);
            at = set_floats(at, native->bias_state[i] + o, 1);
        }
    }
}

static void shard_neuron_hashes(void *user, cfi_hash *hashes)
{
    native_shard *shard = user;
    for (int64_t o = 0; o < shard->end - shard->begin; o++) {
        hashes[o] = native_hash_neuron(shard->engine.kernels, shard->home, o);
    }
}

static size_t shard_memory(const void *user)
{
    const native_shard *shard = user;
    const size_t layers = (size_t)shard->slice.layer_count;
    return sizeof *shard + layers * (sizeof *shard->slice.layers + 2 * sizeof *shard->home) +
           (size_t)(shard->engine.memory[0] + shard->engine.memory[1] + shard->engine.memory[2]);
}

/* ---- The table ---- */

cf_status cfi_native_compute(cfi_compute_ops *ops_out, cf_error *error)
{
    const cfi_kernels *kernels;
    CFI_TRY(cfi_kernels_choose(&kernels, error));
    *ops_out = (cfi_compute_ops){
        .name = kernels->name,
        .shard_new = native_shard_new,
        .shard_free = native_shard_free,
        .shard_memory = shard_memory,
        .initialise = native_shard_initialise,
        .input = shard_input,
        .input_bytes = shard_input_bytes,
        .input_samples = shard_input_samples,
        .forward = shard_forward,
        .backward = native_shard_backward,
        .input_gradient = native_shard_input_gradient,
        .squares = shard_squares,
        .update = shard_update,
        .neuron_state_size = shard_neuron_state_size,
        .state_get = shard_state_get,
        .state_set = shard_state_set,
        .neuron_hashes = shard_neuron_hashes,
        .has_nonfinite = shard_has_nonfinite,
        .loss_new = native_loss_new,
        .loss_free = native_loss_free,
        .loss = native_loss_rows,
        .probabilities = native_loss_probabilities,
    };
    return CF_OK;
}
