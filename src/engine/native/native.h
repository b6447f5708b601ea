/* Inside of the native engine: buffers and the passes over them. See README.md for the order of one step.
 *
 * Layout. A batch is cut into blocks of P lanes (samples), P = 64, or less for a smaller batch. In a block every
 * activation is (channels, height, width, P): the batch is innermost, so a vector of samples is contiguous, a layer's
 * weights stay (out, in) as everybody else has them, and convolutions need no im2col. A convolution's input has
 * a border of zeros around it (view.data points at the first value inside the border).
 *
 * Threads. Every pass is called by all threads and does its share of outputs; passes are separated by barriers. */
#ifndef CFI_ENGINE_NATIVE_H
#define CFI_ENGINE_NATIVE_H

#include "base/arena.h"
#include "base/pool.h"
#include "engine/engine.h"
#include "learn/optimizer.h"
#include "numerics/kernels.h"

#define CFI_BLOCK_LANES_MAX 64
#define CFI_PANEL 64           /* inputs in one panel of `rows`, outputs in one of `gradient_rows` */
#define CFI_PACK_TILES 8       /* tiles whose weights are packed together for the input gradient   */
#define CFI_STATES_MAX 2
#define NATIVE_PREFETCH_WEIGHTS_MIN 100000 /* smaller layers stay in a core's own cache by themselves */

/* An activation: strides in floats. Value (c, y, x) of lane s in block n is at
 * data[n*block + c*channel + y*row + x*column + s]. */
typedef struct native_view {
    float *data;
    int64_t block, channel, row, column;
} native_view;

typedef struct native_layer {
    const cfi_layer *layer;
    native_view input, output;   /* output of a flatten layer is its input */
    native_view gradient;        /* of the loss by the output; then by the value before the activation */
    float *mask;                 /* dropout: factor of each output, (blocks, features, P)                */
    uint32_t mask_layer;         /* dropout: index in the whole network, and of the first feature in the */
    int64_t mask_feature;        /* whole layer: they name the draws                                     */
    /* Layers with weights: */
    float *weight, *bias;
    float *weight_state[CFI_STATES_MAX], *bias_state[CFI_STATES_MAX];
    float *weight_gradient;      /* (neurons, fan_in); NULL where the update is fused (dense, no clipping) */
    float *bias_gradient;        /* (neurons) */
    float *neuron_squares;       /* (neurons) for clipping */
    float *rows;                 /* dense: input as (blocks, panels, P, CFI_PANEL): samples by inputs     */
    float *gradient_rows;        /* conv2d: gradient as (blocks, panels, positions, P, panel width)        */
    bool needs_input_gradient;
    bool turns_input;            /* dense: `rows` is made from `input` by the forward pass                 */
    bool copied_input;           /* each thread has its own copy of input and rows, as block `thread` */
} native_layer;

/* What one thread may scribble on. */
typedef struct native_scratch {
    float *stack;   /* CFI_TILE_STACK_FLOATS */
    float *tile;    /* CFI_TILE_ROWS * CFI_TILE_COLUMNS, and a square of CFI_PANEL x CFI_PANEL twice */
    float *packed;  /* weights of CFI_PACK_TILES tiles */
} native_scratch;

/* Where the samples of this call come from: one of bytes and floats; indices NULL = 0, 1, 2, ... */
typedef struct native_source {
    const uint8_t *bytes;
    const float *floats;
    float scale, shift;
    const int32_t *labels;
    const int64_t *indices;
} native_source;

struct cfi_engine {
    const cfi_graph *graph;
    const cfi_training_settings *training; /* NULL: forward only */
    const cfi_dataset *dataset;
    const cfi_kernels *kernels;
    cfi_pool *pool;
    cfi_arena arena;              /* all buffers but those of small_batch.c */
    int threads;
    uint64_t seed;
    int64_t batch_max, lanes, block_count;
    int64_t block_rows;           /* samples in a full block: P; in a shard, with micro-batches, fewer */
    int64_t training_blocks;      /* of block_count; a shard has more, for forward-only passes         */
    int64_t sample_begin;         /* a shard's slot: place in the batch of the call's first sample     */
    native_view input;            /* of the first layer */
    bool copied_input;            /* a copy for each thread (native_layer.copied_input of the first layer) */
    native_layer *layers;         /* graph->layer_count */
    int layer_count;
    int first_weights, last;      /* index of the first layer with weights; of the last layer */
    native_scratch *scratch;      /* one a thread */
    int32_t *labels;              /* (blocks, P) */
    float *losses;                /* (blocks, P) */
    int64_t *block_correct;       /* (blocks) */
    int32_t *predicted;           /* (blocks, P) */
    cfi_tensor *tensors;
    int tensor_count, parameter_count;
    cfi_hash *neuron_hashes;
    int64_t memory[3];            /* weights, state, the rest */
    /* Small batches of dense networks (small_batch.c), made when first needed: */
    float **transposed;           /* per layer with weights: (panels, fan_in, CFI_PANEL) */
    float *transposed_bias;       /* per layer rounded up to panels, one after the other */
    float *small[2];              /* activations, (rows, features) */
    bool transposed_valid, all_dense;
    /* The call that is going on: */
    native_source source;
    int64_t rows, step;
    bool is_training;
    cfi_update update;
    float clip_norm, clip_scale;
    float *outputs;               /* predict: (rows, features) or NULL */
};

static inline int64_t native_round_up(int64_t value, int64_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

/* Samples in block `block` of this call: fewer in the last. */
static inline int64_t native_block_rows(const cfi_engine *engine, int64_t block)
{
    const int64_t left = engine->rows - block * engine->block_rows;
    return left < engine->block_rows ? left : engine->block_rows;
}

/* Blocks of this call. */
static inline int64_t native_blocks(const cfi_engine *engine)
{
    return (engine->rows + engine->block_rows - 1) / engine->block_rows;
}

/* Where a layer's input for a block lies: with copies (there is one block then), the thread's own. */
static inline int64_t native_input_block(const native_layer *native, int64_t block, int thread)
{
    return native->copied_input ? thread : block;
}

/* Columns that are computed for `rows` samples. */
static inline int64_t native_columns(int64_t rows)
{
    return native_round_up(rows, CFI_COLUMN_ALIGN);
}

/* engine.c: a library linked with crtfastmath switches subnormals off; the bits would differ. */
cf_status native_check_rounding(cf_error *error) __attribute__((warn_unused_result));

/* layout.c: everything but weights, from the arena. */
cf_status native_layout_new(cfi_engine *engine, cf_error *error) __attribute__((warn_unused_result));

/* state.c: weights, optimizer state, their names and hashes. */
cf_status native_state_new(cfi_engine *engine, cf_error *error) __attribute__((warn_unused_result));
/* XXH3-128 of neuron o's weight row, bias and optimizer state. */
cfi_hash native_hash_neuron(const cfi_kernels *kernels, const native_layer *native, int64_t o);
/* The layer whose values are not finite first, for the error text. */
const char *native_first_nonfinite(const cfi_engine *engine);

/* forward.c: input, one layer, and the loss. */
void native_input(cfi_engine *engine, int thread);
void native_forward(cfi_engine *engine, int index, int thread);
void native_loss(cfi_engine *engine, int thread);
void native_outputs(cfi_engine *engine, int thread);
/* The class of each lane that z (outputs, lanes) says. */
void native_predict(cfi_loss_kind loss, const float *z, int64_t outputs, int64_t lanes, int32_t *predicted);
/* z (outputs, lanes) in place to what predictions show. */
void native_probabilities(const cfi_kernels *kernels, cfi_loss_kind loss, float *z, int64_t outputs, int64_t lanes);

/* backward.c: gradient by the input of layer `index`, written to the layer before. Needs weights not yet updated. */
void native_input_gradient(cfi_engine *engine, int index, int thread);

/* The same for neurons begin..end-1 of a weight layer alone (end - begin in leaves of its grain, joined), by input
 * features first .. first+count-1: (count, rows) of the call's samples. */
typedef struct native_part {
    int64_t begin, end, first, count;
    float *gradient;
} native_part;
void native_input_gradient_part(cfi_engine *engine, int index, const native_part *part);

/* weights.c: gradient by the weights, and the update. */
void native_gradient_rows(cfi_engine *engine, int index, int thread); /* conv2d: prepares gradient_rows */
void native_weight_gradient(cfi_engine *engine, int index, int thread);
void native_neuron_squares(cfi_engine *engine, int index, int thread);
float native_clip_scale(const cfi_engine *engine);
void native_update(cfi_engine *engine, int index, int thread);

/* Applies the derivative of layer `index`'s activation to its gradient, at row y of channel c in a block. */
void native_activation_gradient(cfi_engine *engine, int index, int64_t block, int64_t c, int64_t y);

/* small_batch.c: forward for at most CFI_TILE_ROWS samples of a dense network. */
bool native_small_batch_fits(const cfi_engine *engine);
cf_status native_small_batch_prepare(cfi_engine *engine, cf_error *error) __attribute__((warn_unused_result));
void native_small_batch(cfi_engine *engine, int thread);
void native_small_batch_free(cfi_engine *engine);

#endif
