#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "engine/native/shard.h"
#include "learn/initialise.h"

/* The stage's layers with only the shard's neurons, and what belongs to them. */
static cf_status slice_new(native_shard *shard, const cfi_compute_options *options, cf_error *error)
{
    const cfi_stage *stage = options->stage;
    const cfi_layer *layers = options->graph->layers + stage->layer;
    const int64_t neurons = shard->end - shard->begin;
    cfi_graph *slice = &shard->slice;
    slice->layer_count = stage->layer_end - stage->layer;
    slice->layers = cfi_calloc((size_t)slice->layer_count, sizeof *slice->layers);
    if (slice->layers == NULL) {
        return cfi_fail_memory(error, "a shard's layers");
    }
    slice->input = layers[0].input;
    slice->classes = options->graph->classes;
    slice->loss = options->graph->loss;
    for (int i = 0; i < slice->layer_count; i++) {
        cfi_layer *layer = &slice->layers[i];
        *layer = layers[i];
        layer->output.channels = layer->output.channels / stage->neurons * neurons;
        if (i > 0) {
            layer->input.channels = layer->input.channels / stage->neurons * neurons;
        }
    }
    slice->layers[0].neurons = neurons;
    slice->layers[0].weight_count = neurons * layers[0].fan_in;
    slice->parameter_count = slice->layers[0].weight_count + neurons;
    return CF_OK;
}

static cf_status check_options(const cfi_compute_options *options, cf_error *error)
{
    const cfi_stage *stage = options->stage;
    const cfi_training_settings *training = options->training;
    if (options->begin < 0 || options->begin >= options->end || options->end > stage->neurons ||
        options->begin % stage->grain != 0 || (options->end % stage->grain != 0 && options->end != stage->neurons)) {
        return cfi_fail(error, CF_E_USAGE,
                        "neurons %lld to %lld of layer '%s' are no shard: it has %lld, in grains of %lld",
                        (long long)options->begin, (long long)options->end,
                        options->graph->layers[stage->layer].name, (long long)stage->neurons, (long long)stage->grain);
    }
    if (training->batch < 1 || training->batch > CFI_BATCH_MAX || options->forward_rows < 0 ||
        options->forward_rows > CFI_BATCH_MAX) {
        return cfi_fail(error, CF_E_USAGE, "a batch has 1 to %d samples", CFI_BATCH_MAX);
    }
    const int64_t grain = training->sample_grain, micro = training->micro_batches;
    if (grain < 1 || grain > CFI_BLOCK_LANES_MAX || micro < 1 ||
        (micro > 1 && (training->batch % micro != 0 || training->batch / micro % grain != 0))) {
        return cfi_fail(error, CF_E_USAGE, "batch %lld is not cut into %lld micro-batches of whole sample grains",
                        (long long)training->batch, (long long)micro);
    }
    return native_check_rounding(error);
}

/* Samples in a block, so that a micro-batch is whole blocks, and a block whole leaves of the weight gradient. */
static int64_t choose_block_rows(const cfi_training_settings *training)
{
    if (training->micro_batches == 1) {
        const int64_t lanes = native_round_up(training->batch, CFI_COLUMN_ALIGN);
        return lanes < CFI_BLOCK_LANES_MAX ? lanes : CFI_BLOCK_LANES_MAX;
    }
    const int64_t slot_rows = training->batch / training->micro_batches, grain = training->sample_grain;
    int64_t rows = CFI_BLOCK_LANES_MAX / grain * grain;
    while (slot_rows % rows != 0) {
        rows -= grain;
    }
    return rows;
}

static void set_shape(native_shard *shard, const cfi_compute_options *options)
{
    const cfi_training_settings *training = options->training;
    const int64_t forward_rows = options->forward_rows > 0 ? options->forward_rows : training->batch;
    cfi_engine *engine = &shard->engine;
    shard->full_block = choose_block_rows(training);
    shard->slot_rows = training->batch / training->micro_batches;
    shard->slot_blocks = (shard->slot_rows + shard->full_block - 1) / shard->full_block;
    engine->graph = &shard->slice;
    engine->training = training;
    engine->seed = options->seed;
    engine->threads = 1;
    engine->batch_max = training->batch;
    engine->clip_norm = (float)training->clip_norm;
    engine->lanes = native_round_up(shard->full_block, CFI_COLUMN_ALIGN);
    engine->block_rows = shard->full_block;
    engine->training_blocks = shard->slot_blocks * training->micro_batches;
    engine->block_count = engine->training_blocks + (forward_rows + engine->lanes - 1) / engine->lanes;
    engine->source.scale = options->scale;
    engine->source.shift = options->shift;
    engine->arena.thrifty = shard->slice.parameter_count < (int64_t)(CFI_HUGE_PAGE_SIZE / sizeof(float));
}

static cf_status buffers_new(native_shard *shard, const cfi_compute_options *options, cf_error *error)
{
    cfi_engine *engine = &shard->engine;
    CFI_TRY(cfi_kernels_choose(&engine->kernels, error));
    CFI_TRY(native_layout_new(engine, error));
    CFI_TRY(native_state_new(engine, error));
    for (int i = 0; i < engine->layer_count; i++) {
        native_layer *native = &engine->layers[i];
        native->mask_layer = (uint32_t)(options->stage->layer + i);
        native->mask_feature = cfi_shape_features(native->layer->output) / (shard->end - shard->begin) * shard->begin;
    }
    const size_t layers = (size_t)engine->layer_count;
    shard->home = cfi_arena_take(&engine->arena, layers, sizeof *shard->home);
    if (shard->home == NULL) {
        return cfi_fail_memory(error, "a shard's layers");
    }
    memcpy(shard->home, engine->layers, layers * sizeof *shard->home);
    shard->home_input = engine->input;
    shard->states = cfi_optimizer_state_count(&options->training->optimizer);
    return CF_OK;
}

cf_status native_shard_new(const cfi_compute_options *options, void **shard_out, cf_error *error)
{
    CFI_TRY(check_options(options, error));
    native_shard *shard = cfi_calloc(1, sizeof *shard);
    if (shard == NULL) {
        return cfi_fail_memory(error, "a shard");
    }
    shard->begin = options->begin;
    shard->end = options->end;
    shard->whole = options->graph->layers + options->stage->layer;
    cf_status status = slice_new(shard, options, error);
    if (status == CF_OK) {
        set_shape(shard, options);
        status = buffers_new(shard, options, error);
    }
    if (status != CF_OK) {
        native_shard_free(shard);
        return status;
    }
    native_shard_initialise(shard);
    *shard_out = shard;
    return CF_OK;
}

void native_shard_free(void *user)
{
    native_shard *shard = user;
    if (shard != NULL) {
        cfi_arena_fini(&shard->engine.arena);
        cfi_free(shard->slice.layers);
        cfi_free(shard);
    }
}

void native_shard_initialise(void *user)
{
    native_shard *shard = user;
    const native_layer *native = shard->home;
    cfi_initialise_layer(shard->whole, shard->engine.seed, shard->begin, shard->end, native->weight, native->bias);
    for (int i = 0; i < shard->states; i++) {
        memset(native->weight_state[i], 0, (size_t)native->layer->weight_count * sizeof(float));
        memset(native->bias_state[i], 0, (size_t)native->layer->neurons * sizeof(float));
    }
}
