/* The order of work: which micro-batches each step has. Pure functions of the plan's counts, so that every unit knows
 * what to expect without being told.
 *
 * Step s begins with its evaluations: at an epoch's end and at the end of training, validation and test samples pass
 * forward through the weights W[s], in pieces of one or more batches. Then come the micro-batches that train W[s] to
 * W[s+1]. Micro-batches are numbered through both. */
#ifndef CFI_SHARD_WORK_H
#define CFI_SHARD_WORK_H

#include "plan/cluster.h"

typedef struct cfi_micro {
    bool is_training, is_validation; /* neither: test */
    int slot;                        /* of compute.h: CFI_SLOT_FORWARD, or the micro-batch's number in the batch */
    int64_t first, rows;             /* training: position in the batch; else in the set */
} cfi_micro;

int64_t cfi_work_rows(const cfi_work *work, int64_t step);  /* samples of the step's batch; 0 from step_count on */
int64_t cfi_work_evaluations(const cfi_work *work, int64_t step); /* forward-only micro-batches */
int64_t cfi_work_micros(const cfi_work *work, int64_t step);      /* all */
cfi_micro cfi_work_micro(const cfi_work *work, int64_t step, int64_t micro);
int64_t cfi_work_rows_max(const cfi_work *work);                  /* of any micro-batch: an evaluation's */

/* Whether H(step) enters the chain, and whether W[step] is to be made durable; `end` is where training ends. */
bool cfi_work_is_chain_step(const cfi_work *work, int64_t step, int64_t end);
bool cfi_work_is_persist_step(const cfi_work *work, int64_t step, int64_t end);

#endif
