/* Any bytes as a frame: the decoder refuses them, or gives a frame that seals to the same bytes again.
 *
 * The last byte of an input says what is done to the rest first. Odd: magic, version, size and both checksums are made
 * right, so that mutations get to the checks behind them. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "wire/frame.h"

enum { SIZE_AT = 104, PAYLOAD_HASH_AT = 112, CHECKSUM_AT = 124 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void put(unsigned char *target, uint64_t value, int width)
{
    for (int i = 0; i < width; i++) {
        target[i] = (unsigned char)(value >> 8 * i);
    }
}

static void make_right(unsigned char *bytes, size_t size)
{
    memcpy(bytes, "CFF1\1", 5);
    put(bytes + SIZE_AT, size - CFI_FRAME_HEADER_SIZE, 4);
    put(bytes + PAYLOAD_HASH_AT, XXH3_64bits(bytes + CFI_FRAME_HEADER_SIZE, size - CFI_FRAME_HEADER_SIZE), 8);
    put(bytes + CHECKSUM_AT, XXH3_64bits(bytes, CHECKSUM_AT), 4);
}

/* The decoded header and payload must be all there was. */
static void check_sealed_again(const cfi_frame *frame, const unsigned char *bytes, size_t size)
{
    cfi_frame *again;
    if (cfi_frame_size(frame) != size || cfi_frame_new(&frame->header, frame->payload_size, &again, NULL) != CF_OK) {
        abort();
    }
    memcpy(cfi_frame_payload(again), cfi_frame_payload(frame), frame->payload_size);
    cfi_frame_seal(again);
    if (memcmp(again->bytes, bytes, size) != 0) {
        abort();
    }
    cfi_frame_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size)
{
    if (input_size == 0) {
        return 0;
    }
    const size_t size = input_size - 1;
    unsigned char *bytes = cfi_calloc(1, size); /* of exactly this size: ASan sees one byte too far */
    if (bytes == NULL) {
        return 0;
    }
    memcpy(bytes, input, size);
    if ((input[size] & 1) != 0 && size >= CFI_FRAME_HEADER_SIZE) {
        make_right(bytes, size);
    }
    cfi_frame *frame;
    cf_error error;
    if (cfi_frame_decode(bytes, size, NULL, NULL, &frame, &error) != CF_OK) {
        cfi_free(bytes);
        return 0;
    }
    check_sealed_again(frame, bytes, size);
    cfi_frame_unref(frame);
    return 0;
}
