#include "shard/work.h"

#include "shard/compute.h"

int64_t cfi_work_rows(const cfi_work *work, int64_t step)
{
    if (step >= work->step_count) {
        return 0;
    }
    const int64_t left = work->train_count - step % work->steps_per_epoch * work->batch;
    return left < work->batch ? left : work->batch;
}

enum { EVALUATION_ROWS = 128 };

/* Evaluations need no small pieces: whole batches, as many as stay small in memory. `train` adds up the loss batch by
 * batch, and so does the loss here. */
int64_t cfi_work_rows_max(const cfi_work *work)
{
    const int64_t batches = EVALUATION_ROWS / work->batch;
    return work->batch * (batches > 1 ? batches : 1);
}

static int64_t pieces(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}

static bool is_evaluated(const cfi_work *work, int64_t step)
{
    return step == work->step_count || (step > 0 && step % work->steps_per_epoch == 0);
}

int64_t cfi_work_evaluations(const cfi_work *work, int64_t step)
{
    return is_evaluated(work, step)
               ? pieces(work->validation_count, cfi_work_rows_max(work)) +
                     pieces(work->test_count, cfi_work_rows_max(work)) : 0;
}

int64_t cfi_work_micros(const cfi_work *work, int64_t step)
{
    return cfi_work_evaluations(work, step) +
           pieces(cfi_work_rows(work, step), work->batch / work->micro_batches);
}

/* Piece `index` of `count` samples in pieces of `size`. */
static void cut(int64_t count, int64_t size, int64_t index, cfi_micro *micro)
{
    micro->first = index * size;
    micro->rows = count - micro->first < size ? count - micro->first : size;
}

cfi_micro cfi_work_micro(const cfi_work *work, int64_t step, int64_t micro)
{
    cfi_micro result = {.slot = CFI_SLOT_FORWARD};
    const int64_t size = cfi_work_rows_max(work), validations = pieces(work->validation_count, size);
    const int64_t evaluations = cfi_work_evaluations(work, step);
    if (micro >= evaluations) {
        result.is_training = true;
        result.slot = (int)(micro - evaluations);
        cut(cfi_work_rows(work, step), work->batch / work->micro_batches, micro - evaluations, &result);
    } else if (micro < validations) {
        result.is_validation = true;
        cut(work->validation_count, size, micro, &result);
    } else {
        cut(work->test_count, size, micro - validations, &result);
    }
    return result;
}

bool cfi_work_is_chain_step(const cfi_work *work, int64_t step, int64_t end)
{
    return step == end || (step > 0 && step % work->chain_every == 0);
}

bool cfi_work_is_persist_step(const cfi_work *work, int64_t step, int64_t end)
{
    return step == end || (step > 0 && step % work->persist_every == 0);
}
