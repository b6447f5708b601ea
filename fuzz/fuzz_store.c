/* Any bytes as payloads of the store's messages: they are refused, or read into parts that make the same payload again;
 * and a server on a store in memory answers whatever can be read with a reply that can be read.
 *
 * An input is a row of messages: a byte that says which kind of message, by which unit and incarnation, the size of its
 * payload in two bytes, the payload. */
#include <stdlib.h>
#include <string.h>

#include "store/request.h"

enum { PREFIX = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_same_payload(const cfi_frame *frame, const cfi_frame *again)
{
    require(frame->payload_size == again->payload_size);
    require(memcmp(cfi_frame_payload(frame), cfi_frame_payload(again), frame->payload_size) == 0);
}

static void check_request(const cfi_frame *frame, const cfi_store_request *request)
{
    cfi_frame *again;
    require(strlen(request->key) < CFI_STORE_KEY_SIZE_MAX);
    if (cfi_store_request_frame(&frame->header, request, &again, NULL) == CF_OK) {
        check_same_payload(frame, again);
        cfi_frame_unref(again);
    }
}

static void check_reply(const cfi_frame *frame)
{
    cfi_store_reply reply;
    cfi_frame *again;
    cf_error error;
    if (cfi_store_reply_read(frame, &reply, &error) == CF_OK &&
        cfi_store_reply_frame(frame, 0, &reply, &again, NULL) == CF_OK) {
        check_same_payload(frame, again);
        cfi_frame_unref(again);
    }
}

static void check_answer(cfi_store_server *server, const cfi_frame *frame)
{
    cfi_store_request request;
    cfi_store_reply reply;
    cfi_frame *answer;
    cf_error error;
    const bool is_read = cfi_store_request_read(frame, &request, &error) == CF_OK;
    const cf_status status = cfi_store_server_answer(server, frame, &answer, &error);
    require(status == (is_read ? CF_OK : CF_E_DATA));
    if (is_read) {
        check_request(frame, &request);
        require(cfi_store_reply_read(answer, &reply, &error) == CF_OK);
        require(reply.kind == request.kind && strcmp(reply.key, request.key) == 0);
        cfi_frame_unref(answer);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size)
{
    cfi_store_server server = {.generation = 1};
    if (cfi_store_open("memory", &(cfi_store_options){.size_max = 1 << 16}, &server.store, NULL) != CF_OK) {
        return 0;
    }
    while (input_size >= PREFIX) {
        const size_t wanted = (size_t)input[1] | (size_t)input[2] << 8;
        const size_t size = wanted < input_size - PREFIX ? wanted : input_size - PREFIX;
        const cfi_frame_header header = {
            .kind = (input[0] & 1) != 0 ? CFI_FRAME_STORE_REPLY : CFI_FRAME_STORE_REQUEST,
            .source_unit = input[0] >> 1 & 3, .source_incarnation = input[0] >> 3};
        cfi_frame *frame;
        if (cfi_frame_new(&header, size, &frame, NULL) != CF_OK) {
            break;
        }
        memcpy(cfi_frame_payload(frame), input + PREFIX, size);
        cfi_frame_seal(frame);
        check_reply(frame);
        check_answer(&server, frame);
        cfi_frame_unref(frame);
        input += PREFIX + size;
        input_size -= PREFIX + size;
    }
    cfi_store_close(&server.store);
    return 0;
}
