#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "base/alloc.h"
#include "engine/native/native.h"
#include "numerics/tree.h"

cf_status native_check_rounding(cf_error *error)
{
#if defined(__x86_64__)
    const unsigned flush_to_zero = 0x8000u, denormals_are_zero = 0x0040u, rounding = 0x6000u;
    if ((_mm_getcsr() & (flush_to_zero | denormals_are_zero | rounding)) != 0) {
        return cfi_fail(error, CF_E_UNSUPPORTED,
                        "the floating-point unit rounds in a special mode (MXCSR %#x): some library of this "
                        "process was built with -ffast-math",
                        _mm_getcsr());
    }
#endif
    (void)error;
    return CF_OK;
}

static void set_shape(cfi_engine *engine, const cfi_engine_options *options)
{
    const cfi_graph *graph = options->graph;
    engine->graph = graph;
    engine->training = options->training;
    engine->dataset = options->dataset;
    engine->seed = options->seed;
    engine->batch_max = options->batch_max;
    engine->lanes = native_round_up(options->batch_max, CFI_COLUMN_ALIGN);
    engine->lanes = engine->lanes < CFI_BLOCK_LANES_MAX ? engine->lanes : CFI_BLOCK_LANES_MAX;
    engine->block_count = (options->batch_max + engine->lanes - 1) / engine->lanes;
    engine->block_rows = engine->lanes;
    engine->training_blocks = engine->block_count;
    engine->clip_norm = options->training != NULL ? (float)options->training->clip_norm : 0.0f;
    engine->all_dense = true;
    engine->first_weights = -1;
    for (int i = 0; i < graph->layer_count; i++) {
        const cfi_layer_kind kind = graph->layers[i].kind;
        engine->all_dense = engine->all_dense && (kind == CFI_LAYER_DENSE || kind == CFI_LAYER_FLATTEN ||
                                                  kind == CFI_LAYER_DROPOUT);
        if (engine->first_weights < 0 && graph->layers[i].neurons > 0) {
            engine->first_weights = i;
        }
    }
}

/* Threads for options->threads == 0: CUTTLEFISH_THREADS if set, else the cores, but no more than have enough to do:
 * a barrier costs about a microsecond, and far more on a busy machine. The results are the same with any number. */
static cf_status choose_threads(const cfi_engine_options *options, int *threads_out, cf_error *error)
{
    *threads_out = options->threads;
    if (options->threads != 0) {
        return CF_OK;
    }
    CFI_TRY(cfi_pool_default_threads(threads_out, error));
    const char *asked = getenv("CUTTLEFISH_THREADS");
    const bool trains = options->training != NULL;
    const int64_t flops = options->batch_max * (trains ? cfi_graph_training_flops(options->graph)
                                                       : cfi_graph_forward_flops(options->graph));
    const int64_t useful = flops / (trains ? 2000000 : 500000);
    if ((asked == NULL || asked[0] == '\0') && useful < *threads_out) {
        *threads_out = useful < 1 ? 1 : (int)useful;
    }
    return CF_OK;
}

static cf_status check_options(const cfi_engine_options *options, cf_error *error)
{
    if (options->batch_max < 1 || options->batch_max > CFI_BATCH_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "a batch has 1 to %d samples", CFI_BATCH_MAX);
    }
    if (options->training != NULL && (options->training->sample_grain > CFI_BLOCK_LANES_MAX ||
                                      options->training->sample_grain < 1)) {
        return cfi_fail(error, CF_E_CONFIG, "training.sample_grain must be from 1 to %d", CFI_BLOCK_LANES_MAX);
    }
    return native_check_rounding(error);
}

cf_status cfi_engine_new(const cfi_engine_options *options, cfi_engine **engine_out, cf_error *error)
{
    CFI_TRY(check_options(options, error));
    cfi_engine *engine = cfi_calloc(1, sizeof *engine);
    if (engine == NULL) {
        return cfi_fail_memory(error, "the engine");
    }
    set_shape(engine, options);
    cf_status status = choose_threads(options, &engine->threads, error);
    if (status == CF_OK) {
        status = cfi_kernels_choose(&engine->kernels, error);
    }
    if (status == CF_OK) {
        status = cfi_pool_new(engine->threads, &engine->pool, error);
    }
    if (status == CF_OK) {
        status = native_layout_new(engine, error);
    }
    if (status == CF_OK) {
        status = native_state_new(engine, error);
    }
    if (status != CF_OK) {
        cfi_engine_free(engine);
        return status;
    }
    cfi_engine_initialise(engine);
    *engine_out = engine;
    return CF_OK;
}

void cfi_engine_free(cfi_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    cfi_pool_free(engine->pool);
    native_small_batch_free(engine);
    cfi_arena_fini(&engine->arena);
    cfi_free(engine);
}

/* ---- One call: all threads go through the same passes, with a barrier wherever one needs another's results ---- */

static void forward_passes(cfi_engine *engine, int thread)
{
    native_input(engine, thread);
    cfi_pool_barrier(engine->pool);
    for (int i = 0; i < engine->layer_count; i++) {
        if (engine->layers[i].layer->kind != CFI_LAYER_FLATTEN) {
            native_forward(engine, i, thread);
            cfi_pool_barrier(engine->pool);
        }
    }
}

/* From the last layer down. A layer's input gradient uses its weights, so its own update waits for the next pass,
 * beside the input gradient of the layer before. */
static void backward_passes(cfi_engine *engine, int thread)
{
    int waiting = -1; /* layer whose weight gradient is due */
    for (int i = engine->last; i >= engine->first_weights; i--) {
        const native_layer *native = &engine->layers[i];
        if (native->layer->kind == CFI_LAYER_FLATTEN) {
            continue;
        }
        if (native->layer->kind == CFI_LAYER_CONV2D) {
            native_gradient_rows(engine, i, thread);
        }
        if (native->needs_input_gradient) {
            native_input_gradient(engine, i, thread);
        }
        if (waiting >= 0) {
            native_weight_gradient(engine, waiting, thread);
        }
        waiting = native->layer->neurons > 0 ? i : -1;
        if (i > engine->first_weights || native->layer->kind == CFI_LAYER_CONV2D) {
            cfi_pool_barrier(engine->pool);
        }
    }
    native_weight_gradient(engine, waiting, thread);
}

/* The updates that could not be fused into the weight gradient. */
static void update_passes(cfi_engine *engine, int thread)
{
    cfi_pool_barrier(engine->pool);
    if (engine->clip_norm > 0.0f) {
        for (int i = engine->first_weights; i <= engine->last; i++) {
            if (engine->layers[i].layer->neurons > 0) {
                native_neuron_squares(engine, i, thread);
            }
        }
        cfi_pool_barrier(engine->pool);
        if (thread == 0) {
            engine->clip_scale = native_clip_scale(engine);
        }
        cfi_pool_barrier(engine->pool);
    }
    for (int i = engine->first_weights; i <= engine->last; i++) {
        if (engine->layers[i].layer->neurons > 0) {
            native_update(engine, i, thread);
        }
    }
}

static void step_main(void *user, int thread)
{
    cfi_engine *engine = user;
    forward_passes(engine, thread);
    native_loss(engine, thread);
    cfi_pool_barrier(engine->pool);
    backward_passes(engine, thread);
    if (engine->clip_norm > 0.0f || !engine->all_dense) {
        update_passes(engine, thread);
    }
}

static void evaluate_main(void *user, int thread)
{
    cfi_engine *engine = user;
    forward_passes(engine, thread);
    native_loss(engine, thread);
}

static void predict_main(void *user, int thread)
{
    cfi_engine *engine = user;
    forward_passes(engine, thread);
    native_outputs(engine, thread);
}

static void small_batch_main(void *user, int thread)
{
    native_small_batch(user, thread);
}

/* ---- The contract's calls ---- */

static void set_source(cfi_engine *engine, const cfi_samples *samples, const int64_t *indices, int64_t rows)
{
    engine->source = (native_source){samples->bytes, samples->floats, engine->dataset->scale, engine->dataset->shift,
                                     samples->labels, indices};
    engine->rows = rows;
}

static cf_status check_rows(const cfi_engine *engine, int64_t rows, cf_error *error)
{
    if (rows < 1 || rows > engine->batch_max) {
        return cfi_fail(error, CF_E_INTERNAL, "%lld rows given to an engine made for 1 to %lld", (long long)rows,
                        (long long)engine->batch_max);
    }
    return CF_OK;
}

/* Loss sum by blocks of samples in order, and right answers, of the call that just ended. */
static void sum_blocks(const cfi_engine *engine, float *loss_out, int64_t *correct_out)
{
    *loss_out = cfi_tree_sum(engine->losses, engine->rows);
    *correct_out = 0;
    for (int64_t block = 0; block < native_blocks(engine); block++) {
        *correct_out += engine->block_correct[block];
    }
}

cf_status cfi_engine_step(cfi_engine *engine, int64_t step, const int64_t *indices, int64_t rows, float rate,
                          cfi_step_result *result_out, cf_error *error)
{
    CFI_TRY(check_rows(engine, rows, error));
    set_source(engine, &engine->dataset->train, indices, rows);
    engine->step = step;
    engine->is_training = true;
    engine->update = cfi_optimizer_prepare(&engine->training->optimizer, step, rate);
    cfi_pool_run(engine->pool, step_main, engine);
    float loss;
    int64_t correct;
    sum_blocks(engine, &loss, &correct);
    if (!isfinite(loss)) {
        return cfi_fail(error, CF_E_NUMERIC,
                        "step %lld: the loss is not finite; first in layer '%s'. A smaller learning rate or "
                        "training.clip_norm helps",
                        (long long)step, native_first_nonfinite(engine));
    }
    result_out->loss = loss / (float)rows;
    result_out->correct = correct;
    return CF_OK;
}

void cfi_engine_prefetch(const cfi_engine *engine, const int64_t *indices, int64_t rows)
{
    const int64_t features = cfi_shape_features(engine->graph->input);
    const uint8_t *bytes = engine->dataset->train.bytes;
    for (int64_t s = 0; bytes != NULL && s < rows; s++) {
        for (int64_t i = 0; i < features; i += 64) { /* a cache line */
            __builtin_prefetch(bytes + indices[s] * features + i);
        }
    }
}

cf_status cfi_engine_evaluate(cfi_engine *engine, const cfi_samples *samples, const int64_t *indices, int64_t rows,
                              double *loss_sum_out, int64_t *correct_out, int32_t *predicted, cf_error *error)
{
    CFI_TRY(check_rows(engine, rows, error));
    set_source(engine, samples, indices, rows);
    engine->is_training = false;
    cfi_pool_run(engine->pool, evaluate_main, engine);
    float loss;
    sum_blocks(engine, &loss, correct_out);
    *loss_sum_out = (double)loss;
    if (predicted != NULL) {
        memcpy(predicted, engine->predicted, (size_t)rows * sizeof *predicted);
    }
    return CF_OK;
}

cf_status cfi_engine_predict(cfi_engine *engine, const float *inputs, int64_t rows, float *outputs, cf_error *error)
{
    CFI_TRY(check_rows(engine, rows, error));
    memset(&engine->source, 0, sizeof engine->source);
    engine->source.floats = inputs;
    engine->rows = rows;
    engine->is_training = false;
    engine->outputs = outputs;
    if (native_small_batch_fits(engine)) {
        CFI_TRY(native_small_batch_prepare(engine, error));
        cfi_pool_run(engine->pool, small_batch_main, engine);
    } else {
        cfi_pool_run(engine->pool, predict_main, engine);
    }
    return CF_OK;
}

const char *cfi_engine_kernels(const cfi_engine *engine)
{
    return engine->kernels->name;
}

int cfi_engine_threads(const cfi_engine *engine)
{
    return engine->threads;
}

void cfi_engine_memory(const cfi_engine *engine, int64_t bytes_out[3])
{
    memcpy(bytes_out, engine->memory, sizeof engine->memory);
}
