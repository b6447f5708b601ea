/* The contract of a shard's arithmetic: what the state machines call to compute. engine/native implements it; the
 * machines get it handed down, since engine is a later room.
 *
 * Everything here is a pure function of what it was given: no clock, no file, no data order. Calls run to their end in
 * the calling thread. One thread at a time for one object; different objects are independent. After the `new` functions
 * nothing is allocated.
 *
 * Slots. A shard holds the activations of a whole batch, in as many slots as the batch has micro-batches: slot m holds
 * samples m*micro_rows .. of the batch (the last may have fewer). One slot more, CFI_SLOT_FORWARD, is for forward-only
 * passes of up to forward_rows samples, and disturbs nothing of a training step that is under way.
 *
 * Bits. Whatever the cut and the micro-batches, the bits are those of cfi_engine_step on the whole network. */
#ifndef CFI_SHARD_COMPUTE_H
#define CFI_SHARD_COMPUTE_H

#include "base/hash.h"
#include "graph/graph.h"
#include "numerics/tree.h"
#include "plan/cluster.h"

#define CFI_SLOT_FORWARD (-1)

typedef struct cfi_compute_options {
    const cfi_graph *graph;                /* of the whole network; borrowed until free            */
    const cfi_training_settings *training; /* borrowed until free                                  */
    uint64_t seed;
    const cfi_stage *stage;                /* borrowed until free                                  */
    bool is_first;                         /* stage 0: its input needs no gradient                 */
    int64_t begin, end;                    /* neurons of this shard                                */
    float scale, shift;                    /* of byte samples (first stage): value = fmaf(byte, scale, shift) */
    int64_t forward_rows;                  /* most rows in CFI_SLOT_FORWARD; 0 = training.batch    */
} cfi_compute_options;

/* What one shard of the next stage (or the loss) says about the gradient by this shard's outputs: for each of its tree
 * nodes, ascending, (outputs of this shard, rows). */
typedef struct cfi_gradient_piece {
    int64_t leaf_begin, leaf_end;  /* leaves (of the next stage's grain) that its neurons are; the loss: 0, 1 */
    const float *values;           /* (nodes of cfi_tree_split(leaf_begin, leaf_end, leaf_count), outputs, rows) */
} cfi_gradient_piece;

typedef struct cfi_compute_ops {
    const char *name; /* of the kernel table: "avx512" */

    /* Makes a shard with its initial weights and optimizer state. CF_E_MEMORY, CF_E_USAGE, CF_E_UNSUPPORTED. */
    cf_status (*shard_new)(const cfi_compute_options *options, void **shard_out, cf_error *error);
    void (*shard_free)(void *shard); /* NULL is fine */
    size_t (*shard_memory)(const void *shard); /* bytes held */

    /* Back to the initial weights and zero optimizer state. */
    void (*initialise)(void *shard);

    /* ---- Input of a slot: `rows` samples; every feature must be given before forward ---- */
    /* Features first .. first+count-1 of the stage's input: values (count, rows), feature-major. */
    void (*input)(void *shard, int slot, int64_t first, int64_t count, int64_t rows, const float *values);
    /* The first stage's whole input, sample by sample, (rows, inputs): as bytes, or as floats already normalised. */
    void (*input_bytes)(void *shard, int slot, int64_t rows, const uint8_t *values);
    void (*input_samples)(void *shard, int slot, int64_t rows, const float *values);

    /* ---- One micro-batch ---- */
    /* outputs ((end-begin)*outputs_per_neuron, rows). step names the dropout masks; is_training false: no dropout.
     * In a training slot samples count from slot*micro_rows. */
    void (*forward)(void *shard, int64_t step, int slot, int64_t rows, bool is_training, float *outputs);
    /* Takes the gradient by this shard's outputs, joined by the tree over `leaf_count` leaves (pieces tile
     * 0..leaf_count in ascending order), and carries it back to the sums of the neurons. After forward of the same
     * slot. */
    void (*backward)(void *shard, int slot, int64_t rows, const cfi_gradient_piece *pieces, int piece_count,
                     int64_t leaf_count);
    /* Gradient by the stage's input features first .. first+count-1 that comes from the neurons of one tree node,
     * leaf_begin..leaf_end in leaves of the grain over the whole layer (inside this shard): (count, rows). */
    void (*input_gradient)(void *shard, int slot, int64_t rows, cfi_tree_node leaves, int64_t first, int64_t count,
                           float *gradient);

    /* ---- One step: after backward of all slots; `rows` of the whole batch ---- */
    /* Squared gradient of each neuron, (end-begin), for clipping by the norm of all: as engine/native does. */
    void (*squares)(void *shard, int64_t rows, float *squares);
    /* The optimizer's step with the gradient times `clip_scale` (1 = as it is). Updates need the loss's scale 1/rows to
     * have been applied by the loss already. With training.clip_norm > 0 after squares of the same step; else without.
     * */
    void (*update)(void *shard, int64_t step, int64_t rows, float rate, float clip_scale);

    /* ---- State: for each neuron its weight row, bias, and the optimizer's state of both, float32 little endian ----
     * */
    size_t (*neuron_state_size)(const void *shard);             /* bytes of one neuron */
    void (*state_get)(const void *shard, int64_t begin, int64_t end, void *bytes); /* neurons of the layer */
    void (*state_set)(void *shard, int64_t begin, int64_t end, const void *bytes);
    /* As cfi_engine_state_hash hashes each neuron, (end-begin). */
    void (*neuron_hashes)(void *shard, cfi_hash *hashes);
    /* A value of the last forward's outputs in that slot is NaN or infinite. */
    bool (*has_nonfinite)(const void *shard, int slot, int64_t rows);

    /* ---- The loss ---- */
    cf_status (*loss_new)(const cfi_graph *graph, int64_t rows_max, void **loss_out, cf_error *error);
    void (*loss_free)(void *loss);
    /* logits (outputs, rows), as the last stage's forward gives them. gradient (outputs, rows) by those outputs, or
     * NULL; scaled by 1/batch_rows. losses (rows) of each sample, predicted (rows) its class. */
    void (*loss)(void *loss, int64_t rows, int64_t batch_rows, const float *logits, const int32_t *labels,
                 float *gradient, float *losses, int32_t *predicted);
    /* For predictions: logits in place to probabilities (softmax, binary cross-entropy) or left as they are. */
    void (*probabilities)(void *loss, int64_t rows, float *logits);
} cfi_compute_ops;

#endif
