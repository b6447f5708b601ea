#include <string.h>

#include "base/alloc.h"
#include "shard/parts.h"

void part_outbox_fini(part_outbox *outbox)
{
    part_outbox_forget(outbox, INT64_MAX);
    cfi_free(outbox->items);
    *outbox = (part_outbox){NULL, 0, 0, 0, 0};
}

bool part_outbox_add(part_outbox *outbox, cfi_frame *frame, uint32_t target)
{
    if (outbox->end == outbox->capacity && outbox->begin > outbox->capacity / 2) {
        memmove(outbox->items, outbox->items + outbox->begin,
                (size_t)(outbox->end - outbox->begin) * sizeof *outbox->items);
        outbox->end -= outbox->begin;
        outbox->begin = 0;
    }
    if (outbox->end == outbox->capacity) {
        const int capacity = outbox->capacity * 2 + 32;
        part_sent *items = cfi_realloc(outbox->items, (size_t)capacity, sizeof *items);
        if (items == NULL) {
            return false;
        }
        outbox->items = items;
        outbox->capacity = capacity;
    }
    outbox->items[outbox->end++] = (part_sent){cfi_frame_ref(frame), target};
    outbox->bytes += (int64_t)cfi_frame_size(frame);
    return true;
}

void part_outbox_forget(part_outbox *outbox, int64_t below)
{
    while (outbox->begin < outbox->end && (int64_t)outbox->items[outbox->begin].frame->header.step < below) {
        cfi_frame *frame = outbox->items[outbox->begin++].frame;
        outbox->bytes -= (int64_t)cfi_frame_size(frame);
        cfi_frame_unref(frame);
    }
    if (outbox->begin == outbox->end) {
        outbox->begin = outbox->end = 0;
    }
}
