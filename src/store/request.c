/* Payloads of requests and replies: docs/format/store.md. */
#include "store/request.h"

#include <string.h>

#include "base/bytes.h"

enum {
    REQUEST_KEY_AT = 24, /* kind, flags, sizes, number before it */
    REPLY_KEY_AT = 16,
    HAS_EXPECTED = 1
};

/* Bytes of a key on the wire: its NUL, and zeros so that the value begins at a multiple of 8. */
static size_t padded_key(size_t length)
{
    return (length + 8) / 8 * 8;
}

static void copy_bytes(unsigned char *to, const void *from, size_t size)
{
    if (size > 0) {
        memcpy(to, from, size);
    }
}

static cf_status check_sizes(const char *key, size_t value_size, size_t expected_size, cf_error *error)
{
    if (strnlen(key, CFI_STORE_KEY_SIZE_MAX) == CFI_STORE_KEY_SIZE_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "a store's key has at most %d bytes", CFI_STORE_KEY_SIZE_MAX - 1);
    }
    if (value_size > CFI_STORE_VALUE_MAX || expected_size > CFI_STORE_VALUE_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "%s: a store's values have at most %zu bytes", key, CFI_STORE_VALUE_MAX);
    }
    return CF_OK;
}

cf_status cfi_store_request_frame(const cfi_frame_header *base, const cfi_store_request *request, cfi_frame **frame_out,
                                  cf_error *error)
{
    const size_t expected_size = request->expected != NULL ? request->expected_size : 0;
    CFI_TRY(check_sizes(request->key, request->value_size, expected_size, error));
    const size_t key_length = strlen(request->key);
    const size_t value_at = REQUEST_KEY_AT + padded_key(key_length);
    cfi_frame_header header = *base;
    header.kind = CFI_FRAME_STORE_REQUEST;
    cfi_frame *frame;
    CFI_TRY(cfi_frame_new(&header, value_at + request->value_size + expected_size, &frame, error));
    unsigned char *payload = cfi_frame_payload(frame);
    payload[0] = (unsigned char)request->kind;
    payload[1] = request->expected != NULL ? HAS_EXPECTED : 0;
    cfi_bytes_put(payload + 2, key_length, 2);
    cfi_bytes_put(payload + 4, request->value_size, 4);
    cfi_bytes_put(payload + 8, request->number, 8);
    cfi_bytes_put(payload + 16, expected_size, 4);
    copy_bytes(payload + REQUEST_KEY_AT, request->key, key_length);
    copy_bytes(payload + value_at, request->value, request->value_size);
    copy_bytes(payload + value_at + request->value_size, request->expected, expected_size);
    cfi_frame_seal(frame);
    *frame_out = frame;
    return CF_OK;
}

/* The key at `at`: no NUL or line end in it, only zeros after it. The caller knows that it lies in the payload. */
static cf_status check_key(const unsigned char *at, size_t length, cf_error *error)
{
    if (memchr(at, '\0', length) != NULL || memchr(at, '\n', length) != NULL) {
        return cfi_fail(error, CF_E_DATA, "store message: NUL or line end in the key");
    }
    for (size_t i = length; i < padded_key(length); i++) {
        if (at[i] != 0) {
            return cfi_fail(error, CF_E_DATA, "store message: the key is not followed by zeros");
        }
    }
    return CF_OK;
}

static cf_status check_parts(const cfi_frame *frame, size_t key_at, uint64_t values_size, cf_error *error)
{
    const unsigned char *payload = cfi_frame_payload(frame);
    const size_t key_length = (size_t)cfi_bytes_get(payload + 2, 2);
    if (key_length >= CFI_STORE_KEY_SIZE_MAX) {
        return cfi_fail(error, CF_E_DATA, "store message: a key of %zu bytes", key_length);
    }
    if (key_at + padded_key(key_length) + values_size != frame->payload_size) {
        return cfi_fail(error, CF_E_DATA, "store message: its parts do not add up to %u bytes", frame->payload_size);
    }
    return check_key(payload + key_at, key_length, error);
}

static bool needs_key(cfi_store_request_kind kind)
{
    return kind == CFI_STORE_GET || kind == CFI_STORE_PUT || kind == CFI_STORE_CAS;
}

cf_status cfi_store_request_read(const cfi_frame *frame, cfi_store_request *request_out, cf_error *error)
{
    if (frame->header.kind != CFI_FRAME_STORE_REQUEST || frame->payload_size < REQUEST_KEY_AT) {
        return cfi_fail(error, CF_E_DATA, "store request: another kind of frame, or too short");
    }
    const unsigned char *payload = cfi_frame_payload(frame);
    const unsigned kind = payload[0], flags = payload[1];
    const size_t value_size = (size_t)cfi_bytes_get(payload + 4, 4),
                 expected_size = (size_t)cfi_bytes_get(payload + 16, 4);
    if (kind == 0 || kind >= CFI_STORE_KIND_COUNT || flags > HAS_EXPECTED || cfi_bytes_get(payload + 20, 4) != 0) {
        return cfi_fail(error, CF_E_DATA, "store request: unknown kind %u or flags %u", kind, flags);
    }
    if ((flags == 0 && expected_size != 0) || (kind != CFI_STORE_CAS && flags != 0) ||
        (kind != CFI_STORE_CAS && kind != CFI_STORE_PUT && value_size != 0)) {
        return cfi_fail(error, CF_E_DATA, "store request: a value that kind %u does not have", kind);
    }
    CFI_TRY(check_parts(frame, REQUEST_KEY_AT, (uint64_t)value_size + expected_size, error));
    const size_t key_length = (size_t)cfi_bytes_get(payload + 2, 2);
    if (key_length == 0 && needs_key((cfi_store_request_kind)kind)) {
        return cfi_fail(error, CF_E_DATA, "store request: kind %u without a key", kind);
    }
    const unsigned char *value = payload + REQUEST_KEY_AT + padded_key(key_length);
    *request_out = (cfi_store_request){.kind = (cfi_store_request_kind)kind,
                                       .key = (const char *)payload + REQUEST_KEY_AT,
                                       .number = cfi_bytes_get(payload + 8, 8),
                                       .value = value,
                                       .value_size = value_size,
                                       .expected = flags != 0 ? value + value_size : NULL,
                                       .expected_size = expected_size};
    return CF_OK;
}

cf_status cfi_store_reply_frame(const cfi_frame *request, uint32_t server_unit, const cfi_store_reply *reply,
                                cfi_frame **frame_out, cf_error *error)
{
    CFI_TRY(check_sizes(reply->key, reply->value_size, 0, error));
    const size_t key_length = strlen(reply->key), value_at = REPLY_KEY_AT + padded_key(key_length);
    cfi_frame_header header = request->header;
    header.kind = CFI_FRAME_STORE_REPLY;
    header.source_unit = server_unit;
    header.source_incarnation = 0; /* servers are told apart by their generation */
    header.target_unit = request->header.source_unit;
    cfi_frame *frame;
    CFI_TRY(cfi_frame_new(&header, value_at + reply->value_size, &frame, error));
    unsigned char *payload = cfi_frame_payload(frame);
    payload[0] = (unsigned char)reply->kind;
    payload[1] = (unsigned char)reply->outcome;
    cfi_bytes_put(payload + 2, key_length, 2);
    cfi_bytes_put(payload + 4, reply->value_size, 4);
    cfi_bytes_put(payload + 8, reply->generation, 8);
    copy_bytes(payload + REPLY_KEY_AT, reply->key, key_length);
    copy_bytes(payload + value_at, reply->value, reply->value_size);
    cfi_frame_seal(frame);
    *frame_out = frame;
    return CF_OK;
}

cf_status cfi_store_reply_read(const cfi_frame *frame, cfi_store_reply *reply_out, cf_error *error)
{
    if (frame->header.kind != CFI_FRAME_STORE_REPLY || frame->payload_size < REPLY_KEY_AT) {
        return cfi_fail(error, CF_E_DATA, "store reply: another kind of frame, or too short");
    }
    const unsigned char *payload = cfi_frame_payload(frame);
    if (payload[0] == 0 || payload[0] >= CFI_STORE_KIND_COUNT || payload[1] >= CFI_STORE_OUTCOME_COUNT) {
        return cfi_fail(error, CF_E_DATA, "store reply: unknown kind %d or outcome %d", payload[0], payload[1]);
    }
    const size_t value_size = (size_t)cfi_bytes_get(payload + 4, 4);
    CFI_TRY(check_parts(frame, REPLY_KEY_AT, value_size, error));
    if (payload[0] == CFI_STORE_LEASE && payload[1] == CFI_STORE_DONE && value_size != 4) {
        return cfi_fail(error, CF_E_DATA, "store reply: a lease of %zu bytes", value_size);
    }
    *reply_out = (cfi_store_reply){.kind = (cfi_store_request_kind)payload[0],
                                   .outcome = (cfi_store_outcome)payload[1],
                                   .generation = cfi_bytes_get(payload + 8, 8),
                                   .key = (const char *)payload + REPLY_KEY_AT,
                                   .value = payload + REPLY_KEY_AT + padded_key((size_t)cfi_bytes_get(payload + 2, 2)),
                                   .value_size = value_size};
    return CF_OK;
}
