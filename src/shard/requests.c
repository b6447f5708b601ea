/* Requests to the store: repeated until they are answered. */
#include "shard/parts.h"

enum { REQUEST_TICKS_MAX = 100 };

cfi_frame *part_request_frame(cfi_machine *machine, const cfi_store_request *request)
{
    cfi_frame_header base = part_header(machine, CFI_FRAME_STORE_REQUEST, CFI_UNIT_INDEX_STORE);
    base.tag = ++machine->last_tag;
    cfi_frame *frame = NULL;
    if (cfi_store_request_frame(&base, request, &frame, NULL) != CF_OK) {
        part_out_of_memory(machine);
        return NULL;
    }
    return frame;
}

void part_request_resend(cfi_machine *machine, part_purpose purpose, cfi_frame *frame, uint64_t tag, int piece)
{
    for (int i = 0; i < PART_REQUESTS_MAX; i++) {
        part_request *request = &machine->requests[i];
        if (request->purpose == PART_FOR_NOTHING) {
            *request = (part_request){purpose, cfi_frame_ref(frame), tag, 0, PART_REQUEST_TICKS, piece};
            part_send_to(machine, frame, CFI_UNIT_INDEX_STORE);
            return;
        }
    }
    /* All places are taken: whoever wanted this finds it missing at a later tick and asks again. */
}

void part_request_send(cfi_machine *machine, part_purpose purpose, const cfi_store_request *request, int piece)
{
    cfi_frame *frame = part_request_frame(machine, request);
    if (frame != NULL) {
        part_request_resend(machine, purpose, frame, frame->header.tag, piece);
        cfi_frame_unref(frame);
    }
}

void part_request_done(cfi_machine *machine, part_request *request)
{
    (void)machine;
    cfi_frame_unref(request->frame);
    *request = (part_request){.purpose = PART_FOR_NOTHING};
}

void part_requests_clear(cfi_machine *machine)
{
    for (int i = 0; i < PART_REQUESTS_MAX; i++) {
        part_request_done(machine, &machine->requests[i]);
    }
}

bool part_is_requesting(const cfi_machine *machine, part_purpose purpose)
{
    for (int i = 0; i < PART_REQUESTS_MAX; i++) {
        if (machine->requests[i].purpose == purpose) {
            return true;
        }
    }
    return false;
}

void part_requests_tick(cfi_machine *machine)
{
    for (int i = 0; i < PART_REQUESTS_MAX; i++) {
        part_request *request = &machine->requests[i];
        if (request->purpose == PART_FOR_NOTHING || ++request->ticks < request->again_after || CFI_PLANTED(25)) {
            continue;
        }
        request->ticks = 0;
        request->again_after = request->again_after * 2 < REQUEST_TICKS_MAX ? request->again_after * 2
                                                                            : REQUEST_TICKS_MAX;
        part_send_to(machine, request->frame, CFI_UNIT_INDEX_STORE);
        if (machine->waiting_for < 0) {
            machine->waiting_for = CFI_UNIT_INDEX_STORE;
            machine->waiting_kind = CFI_FRAME_STORE_REPLY;
        }
    }
}
