/* One shard: the native engine's passes over a slice of the network, one thread, a slot of the batch at a time.
 *
 * The slice is a graph of its own: the stage's layer with only the shard's neurons, and the layers behind it with only
 * their channels. A slot is a run of whole blocks. The passes always begin at block 0 of what the views point at, so a
 * call on a slot moves the views there first. */
#ifndef CFI_ENGINE_NATIVE_SHARD_H
#define CFI_ENGINE_NATIVE_SHARD_H

#include "engine/native/native.h"
#include "shard/compute.h"

typedef struct native_shard {
    cfi_engine engine;
    native_layer *home;       /* engine.layers as they are for slot 0 */
    native_view home_input;
    cfi_graph slice;
    const cfi_layer *whole;   /* the layer in the whole network */
    int64_t begin, end;
    int64_t full_block;       /* samples in a full block of a training slot */
    int64_t slot_rows, slot_blocks;
    int states;
} native_shard;

/* Points the engine's views at a slot, for a call of `rows` samples. Slot 0 with the whole batch's rows: all of it. */
void native_shard_select(native_shard *shard, int slot, int64_t rows);

/* shard_new.c */
cf_status native_shard_new(const cfi_compute_options *options, void **shard_out, cf_error *error)
    __attribute__((warn_unused_result));
void native_shard_free(void *shard);
void native_shard_initialise(void *shard);

/* shard_backward.c */
void native_shard_backward(void *user, int slot, int64_t rows, const cfi_gradient_piece *pieces, int piece_count,
                           int64_t leaf_count);
void native_shard_input_gradient(void *user, int slot, int64_t rows, cfi_tree_node leaves, int64_t first,
                                 int64_t count, float *gradient);

/* loss.c */
cf_status native_loss_new(const cfi_graph *graph, int64_t rows_max, void **loss_out, cf_error *error)
    __attribute__((warn_unused_result));
void native_loss_free(void *user);
void native_loss_rows(void *user, int64_t rows, int64_t batch_rows, const float *logits, const int32_t *labels,
                      float *gradient, float *losses, int32_t *predicted);
void native_loss_probabilities(void *user, int64_t rows, float *logits);

#endif
