/* The loss as a unit of its own: blocks of samples through the kernels that the engine's native_loss uses. */
#include <string.h>

#include "base/alloc.h"
#include "engine/native/shard.h"

typedef struct loss_unit {
    const cfi_kernels *kernels;
    cfi_loss_kind kind;
    int64_t outputs, lanes;
    float *logits, *gradient; /* one block, (outputs, lanes) */
} loss_unit;

cf_status native_loss_new(const cfi_graph *graph, int64_t rows_max, void **loss_out, cf_error *error)
{
    const cfi_kernels *kernels;
    CFI_TRY(native_check_rounding(error));
    CFI_TRY(cfi_kernels_choose(&kernels, error));
    if (rows_max < 1) {
        return cfi_fail(error, CF_E_USAGE, "a loss is for 1 sample or more");
    }
    loss_unit *loss = cfi_calloc(1, sizeof *loss);
    if (loss == NULL) {
        return cfi_fail_memory(error, "the loss");
    }
    loss->kernels = kernels;
    loss->kind = graph->loss;
    loss->outputs = cfi_shape_features(graph->layers[graph->layer_count - 1].output);
    loss->lanes = rows_max < CFI_BLOCK_LANES_MAX ? native_round_up(rows_max, CFI_COLUMN_ALIGN) : CFI_BLOCK_LANES_MAX;
    loss->logits = cfi_aligned_calloc((size_t)(loss->outputs * loss->lanes), sizeof(float));
    loss->gradient = cfi_aligned_calloc((size_t)(loss->outputs * loss->lanes), sizeof(float));
    if (loss->logits == NULL || loss->gradient == NULL) {
        native_loss_free(loss);
        return cfi_fail_memory(error, "the loss");
    }
    *loss_out = loss;
    return CF_OK;
}

void native_loss_free(void *user)
{
    loss_unit *loss = user;
    if (loss != NULL) {
        cfi_aligned_free(loss->logits);
        cfi_aligned_free(loss->gradient);
        cfi_free(loss);
    }
}

/* Samples first .. first+count-1 of (outputs, rows) to the block, the lanes behind them zero. */
static void load_block(const loss_unit *loss, const float *values, int64_t rows, int64_t first, int64_t count)
{
    memset(loss->logits, 0, (size_t)(loss->outputs * loss->lanes) * sizeof(float));
    for (int64_t k = 0; k < loss->outputs; k++) {
        memcpy(loss->logits + k * loss->lanes, values + k * rows + first, (size_t)count * sizeof(float));
    }
}

static void store_block(const loss_unit *loss, const float *block, float *values, int64_t rows, int64_t first,
                        int64_t count)
{
    for (int64_t k = 0; k < loss->outputs; k++) {
        memcpy(values + k * rows + first, block + k * loss->lanes, (size_t)count * sizeof(float));
    }
}

void native_loss_rows(void *user, int64_t rows, int64_t batch_rows, const float *logits, const int32_t *labels,
                      float *gradient, float *losses, int32_t *predicted)
{
    const loss_unit *loss = user;
    const float scale = 1.0f / (float)batch_rows;
    for (int64_t first = 0; first < rows; first += loss->lanes) {
        const int64_t left = rows - first, count = left < loss->lanes ? left : loss->lanes;
        int32_t block_labels[CFI_BLOCK_LANES_MAX] = {0}, block_predicted[CFI_BLOCK_LANES_MAX];
        _Alignas(64) float block_losses[CFI_BLOCK_LANES_MAX];
        load_block(loss, logits, rows, first, count);
        memcpy(block_labels, labels + first, (size_t)count * sizeof *labels);
        loss->kernels->loss(loss->kind, loss->logits, loss->outputs, loss->lanes, count, block_labels, scale,
                            gradient != NULL ? loss->gradient : NULL, block_losses);
        native_predict(loss->kind, loss->logits, loss->outputs, loss->lanes, block_predicted);
        memcpy(losses + first, block_losses, (size_t)count * sizeof *losses);
        memcpy(predicted + first, block_predicted, (size_t)count * sizeof *predicted);
        if (gradient != NULL) {
            store_block(loss, loss->gradient, gradient, rows, first, count);
        }
    }
}

void native_loss_probabilities(void *user, int64_t rows, float *logits)
{
    const loss_unit *loss = user;
    for (int64_t first = 0; first < rows; first += loss->lanes) {
        const int64_t left = rows - first, count = left < loss->lanes ? left : loss->lanes;
        load_block(loss, logits, rows, first, count);
        native_probabilities(loss->kernels, loss->kind, loss->logits, loss->outputs, loss->lanes);
        store_block(loss, loss->logits, logits, rows, first, count);
    }
}
