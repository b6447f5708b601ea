/* HEAD's record and the keys of the store. Layout of the record: docs/format/store.md. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "shard/machine.h"

enum { HEAD_VERSION = 1, FLAG_FINISHED = 1 };

void cfi_head_encode(const cfi_head *head, unsigned char bytes[CFI_HEAD_SIZE])
{
    memset(bytes, 0, CFI_HEAD_SIZE);
    cfi_bytes_put(bytes, HEAD_VERSION, 4);
    cfi_bytes_put(bytes + 4, head->is_finished ? FLAG_FINISHED : 0, 4);
    cfi_bytes_put(bytes + 8, (uint64_t)head->step, 8);
    cfi_bytes_put(bytes + 16, head->chain.low, 8);
    cfi_bytes_put(bytes + 24, head->chain.high, 8);
    cfi_bytes_put(bytes + 32, head->plan, 4);
    cfi_bytes_put(bytes + 36, head->epoch, 4);
    cfi_bytes_put(bytes + 40, (uint64_t)head->limit, 8);
    cfi_bytes_put(bytes + 48, (uint64_t)head->end, 8);
    cfi_bytes_put(bytes + 56, head->final_chain.low, 8);
    cfi_bytes_put(bytes + 64, head->final_chain.high, 8);
}

cf_status cfi_head_decode(const void *source, size_t size, cfi_head *head_out, cf_error *error)
{
    const unsigned char *bytes = source;
    if (size != CFI_HEAD_SIZE || cfi_bytes_get(bytes, 4) != HEAD_VERSION ||
        cfi_bytes_get(bytes + 4, 4) > FLAG_FINISHED) {
        return cfi_fail(error, CF_E_DATA, "the record of HEAD (%zu bytes) is not one of this version", size);
    }
    const cfi_head head = {
        .step = (int64_t)cfi_bytes_get(bytes + 8, 8),
        .chain = {cfi_bytes_get(bytes + 16, 8), cfi_bytes_get(bytes + 24, 8)},
        .plan = (uint32_t)cfi_bytes_get(bytes + 32, 4),
        .epoch = (uint32_t)cfi_bytes_get(bytes + 36, 4),
        .limit = (int64_t)cfi_bytes_get(bytes + 40, 8),
        .end = (int64_t)cfi_bytes_get(bytes + 48, 8),
        .is_finished = cfi_bytes_get(bytes + 4, 4) == FLAG_FINISHED,
        .final_chain = {cfi_bytes_get(bytes + 56, 8), cfi_bytes_get(bytes + 64, 8)},
    };
    if (head.step < 0 || head.end < 0 || head.step > head.end || head.limit < 0) {
        return cfi_fail(error, CF_E_DATA, "the record of HEAD has impossible steps");
    }
    *head_out = head;
    return CF_OK;
}

void cfi_key_state(char *key, size_t size, int stage, int64_t begin, int64_t end, int64_t step)
{
    if (stage < 0) {
        snprintf(key, size, "state/loss/%020" PRId64, step);
        return;
    }
    snprintf(key, size, "state/%d/%" PRId64 "-%" PRId64 "/%020" PRId64, stage, begin, end, step);
}

void cfi_key_lease(char *key, size_t size, uint32_t plan, int unit)
{
    snprintf(key, size, "lease/%" PRIu32 ".%d", plan, unit);
}

void cfi_key_plan(char *key, size_t size, uint32_t plan)
{
    snprintf(key, size, "plan/%" PRIu32, plan);
}
