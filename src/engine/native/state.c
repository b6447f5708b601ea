#include <stdio.h>
#include <string.h>

#include "engine/native/native.h"
#include "learn/initialise.h"

static float *values_new(cfi_engine *engine, int64_t count, int kind)
{
    engine->memory[kind] += count * (int64_t)sizeof(float);
    return cfi_arena_take(&engine->arena, (size_t)count, sizeof(float));
}

/* Adds a tensor to the list: a layer's weights (suffix "weight", shaped as PyTorch's) or biases ("bias"). */
static void tensor_add(cfi_engine *engine, const cfi_layer *layer, bool is_weight, const char *state, float *values)
{
    cfi_tensor *tensor = &engine->tensors[engine->tensor_count++];
    snprintf(tensor->name, sizeof tensor->name, "%s.%s%s%s", layer->name, is_weight ? "weight" : "bias",
             state != NULL ? "." : "", state != NULL ? state : "");
    tensor->dims[0] = layer->neurons;
    tensor->dim_count = 1;
    tensor->count = is_weight ? layer->weight_count : layer->neurons;
    tensor->values = values;
    if (is_weight && layer->kind == CFI_LAYER_DENSE) {
        tensor->dims[1] = layer->fan_in;
        tensor->dim_count = 2;
    } else if (is_weight) {
        tensor->dims[1] = layer->input.channels;
        tensor->dims[2] = layer->kernel[0];
        tensor->dims[3] = layer->kernel[1];
        tensor->dim_count = 4;
    }
}

static cf_status layer_state_new(cfi_engine *engine, native_layer *native, int states, cf_error *error)
{
    const cfi_layer *layer = native->layer;
    native->weight = values_new(engine, layer->weight_count, 0);
    native->bias = values_new(engine, layer->neurons, 0);
    bool whole = native->weight != NULL && native->bias != NULL;
    for (int i = 0; i < states; i++) {
        native->weight_state[i] = values_new(engine, layer->weight_count, 1);
        native->bias_state[i] = values_new(engine, layer->neurons, 1);
        whole = whole && native->weight_state[i] != NULL && native->bias_state[i] != NULL;
    }
    return whole ? CF_OK : cfi_fail_memory(error, "weights");
}

cf_status native_state_new(cfi_engine *engine, cf_error *error)
{
    const int states = engine->training != NULL ? cfi_optimizer_state_count(&engine->training->optimizer) : 0;
    int64_t neurons = 0;
    const size_t tensors_max = (size_t)engine->layer_count * 2 * (size_t)(1 + states);
    engine->tensors = cfi_arena_take(&engine->arena, tensors_max, sizeof *engine->tensors);
    if (engine->tensors == NULL) {
        return cfi_fail_memory(error, "tensors");
    }
    for (int i = 0; i < engine->layer_count; i++) {
        if (engine->layers[i].layer->neurons > 0) {
            CFI_TRY(layer_state_new(engine, &engine->layers[i], states, error));
            neurons += engine->layers[i].layer->neurons;
        }
    }
    for (int state = -1; state < states; state++) {
        const char *name = state < 0 ? NULL : cfi_optimizer_state_name(&engine->training->optimizer, state);
        for (int i = 0; i < engine->layer_count; i++) {
            const native_layer *native = &engine->layers[i];
            if (native->layer->neurons > 0) {
                tensor_add(engine, native->layer, true, name, state < 0 ? native->weight : native->weight_state[state]);
                tensor_add(engine, native->layer, false, name, state < 0 ? native->bias : native->bias_state[state]);
            }
        }
        engine->parameter_count = state < 0 ? engine->tensor_count : engine->parameter_count;
    }
    engine->neuron_hashes = cfi_arena_take(&engine->arena, (size_t)neurons, sizeof *engine->neuron_hashes);
    return engine->neuron_hashes != NULL ? CF_OK : cfi_fail_memory(error, "hashes");
}

void cfi_engine_initialise(cfi_engine *engine)
{
    for (int i = 0; i < engine->layer_count; i++) {
        const native_layer *native = &engine->layers[i];
        if (native->layer->neurons > 0) {
            cfi_initialise_layer(native->layer, engine->seed, 0, native->layer->neurons, native->weight, native->bias);
        }
    }
    for (int i = engine->parameter_count; i < engine->tensor_count; i++) {
        memset(engine->tensors[i].values, 0, (size_t)engine->tensors[i].count * sizeof(float));
    }
    cfi_engine_weights_changed(engine);
}

void cfi_engine_weights_changed(cfi_engine *engine)
{
    engine->transposed_valid = false;
}

const cfi_tensor *cfi_engine_tensors(const cfi_engine *engine, int *count_out, int *parameter_count_out)
{
    *count_out = engine->tensor_count;
    *parameter_count_out = engine->parameter_count;
    return engine->tensors;
}

/* ---- Hashes ---- */

/* Adds values to the hash with every NaN as 0x7FC00000, so that its sign and payload (which differ between
 * processors) do not show. */
static void hash_values(const cfi_kernels *kernels, cfi_hash_stream *stream, const float *values, int64_t count)
{
    if (!kernels->has_nonfinite(values, count)) {
        cfi_hash_add(stream, values, (size_t)count * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        const uint32_t canonical = 0x7FC00000u;
        if (values[i] != values[i]) {
            cfi_hash_add(stream, &canonical, sizeof canonical);
        } else {
            cfi_hash_add(stream, &values[i], sizeof values[i]);
        }
    }
}

cfi_hash native_hash_neuron(const cfi_kernels *kernels, const native_layer *native, int64_t o)
{
    const int64_t inputs = native->layer->fan_in;
    cfi_hash_stream stream;
    cfi_hash_begin(&stream);
    hash_values(kernels, &stream, native->weight + o * inputs, inputs);
    hash_values(kernels, &stream, native->bias + o, 1);
    for (int state = 0; state < CFI_STATES_MAX && native->weight_state[state] != NULL; state++) {
        hash_values(kernels, &stream, native->weight_state[state] + o * inputs, inputs);
        hash_values(kernels, &stream, native->bias_state[state] + o, 1);
    }
    return cfi_hash_end(&stream);
}

static void hash_main(void *user, int thread)
{
    cfi_engine *engine = user;
    cfi_hash *hashes = engine->neuron_hashes;
    for (int i = 0; i < engine->layer_count; i++) {
        const native_layer *native = &engine->layers[i];
        int64_t begin, end;
        cfi_pool_share(native->layer->neurons, thread, engine->threads, &begin, &end);
        for (int64_t o = begin; o < end; o++) {
            hashes[o] = native_hash_neuron(engine->kernels, native, o);
        }
        hashes += native->layer->neurons;
    }
}

/* Joins hashes by the aligned tree, in place. */
static cfi_hash join_tree(cfi_hash *hashes, int64_t count)
{
    for (int64_t width = 1; width < count; width *= 2) {
        for (int64_t i = 0; i + width < count; i += 2 * width) {
            hashes[i] = cfi_hash_join(hashes[i], hashes[i + width]);
        }
    }
    return hashes[0];
}

cfi_hash cfi_engine_state_hash(cfi_engine *engine)
{
    cfi_pool_run(engine->pool, hash_main, engine);
    cfi_hash root = {0, 0};
    cfi_hash *hashes = engine->neuron_hashes;
    for (int i = 0; i < engine->layer_count; i++) {
        const int64_t neurons = engine->layers[i].layer->neurons;
        if (neurons > 0) {
            const cfi_hash layer = join_tree(hashes, neurons);
            root = engine->layers[i].layer->weight_index == 0 ? layer : cfi_hash_join(root, layer);
            hashes += neurons;
        }
    }
    return root;
}

cfi_hash cfi_engine_weights_hash(const cfi_engine *engine)
{
    cfi_hash_stream stream;
    cfi_hash_begin(&stream);
    for (int i = 0; i < engine->parameter_count; i++) {
        hash_values(engine->kernels, &stream, engine->tensors[i].values, engine->tensors[i].count);
    }
    return cfi_hash_end(&stream);
}

const char *native_first_nonfinite(const cfi_engine *engine)
{
    for (int i = 0; i < engine->layer_count; i++) {
        const native_layer *native = &engine->layers[i];
        const cfi_layer *layer = native->layer;
        if (layer->neurons > 0 && (engine->kernels->has_nonfinite(native->weight, layer->weight_count) ||
                                   engine->kernels->has_nonfinite(native->bias, layer->neurons))) {
            return layer->name;
        }
    }
    for (int i = 0; i < engine->layer_count; i++) {
        const native_layer *native = &engine->layers[i];
        const int64_t count = cfi_shape_features(native->layer->output) * engine->lanes;
        /* Only layers without a border lie in one piece; a bordered one shows in its reader. */
        if (native->output.block == native_round_up(count / engine->lanes, CFI_PANEL) * engine->lanes &&
            engine->kernels->has_nonfinite(native->output.data, count)) {
            return native->layer->name;
        }
    }
    return engine->layers[engine->last].layer->name;
}
