/* Checkpoints in a run folder: safetensors files and a manifest written last.
 *
 *   <run>/checkpoints/step-0000000430/weights.safetensors     `<layer>.weight`, `<layer>.bias`
 *                                     state.safetensors       optimizer state (absent when there is none)
 *                                     manifest.json           step, chain, progress, sizes and checksums
 * A folder is made as step-N.tmp, filled, fsynced, renamed, and its parent fsynced: a torn one has no valid
 * manifest and is skipped for the one before. Blocking; one writer for a run. docs/format/checkpoint.md. */
#ifndef CFI_STORE_CHECKPOINT_H
#define CFI_STORE_CHECKPOINT_H

#include "base/hash.h"
#include "learn/tensor.h"

/* What training must know to go on as if it had never stopped. */
typedef struct cfi_progress {
    int64_t step;                 /* finished optimizer steps */
    int64_t samples;              /* seen so far */
    cfi_hash chain;               /* chain hash so far */
    double epoch_loss_sum;        /* over this epoch's samples so far */
    int64_t epoch_correct, epoch_samples;
    double best_validation_loss;  /* early stopping; +infinity at first */
    int64_t epochs_without_gain;
    bool stopped_early;
    double seconds;               /* of training so far, for people only */
    char config_digest[CFI_HASH_TEXT_SIZE]; /* of what decides the weights; resume refuses another */
} cfi_progress;

/* Writes a checkpoint of `tensors` (the first parameter_count are weights) and removes all but the newest `kept`.
 * Errors CF_E_IO (file named), CF_E_MEMORY; what was there before is still whole. */
cf_status cfi_checkpoint_write(const char *run_folder, const cfi_tensor *tensors, int tensor_count,
                               int parameter_count, const cfi_progress *progress, int64_t kept, cf_error *error)
    __attribute__((warn_unused_result));

/* Reads the newest whole checkpoint into the values of `tensors` (same names and shapes, else CF_E_SHAPE naming the
 * tensor); a failure leaves them as they were. Torn or damaged ones are passed over; `note` (room for
 * CF_ERROR_TEXT_SIZE, or NULL) says which and why. CF_E_NOT_FOUND when none is whole. With progress_out NULL only the
 * parameters are read. */
cf_status cfi_checkpoint_read(const char *run_folder, const cfi_tensor *tensors, int tensor_count, int parameter_count,
                              cfi_progress *progress_out, char *note, cf_error *error)
    __attribute__((warn_unused_result));

#endif
