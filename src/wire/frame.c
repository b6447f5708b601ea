#include "wire/frame.h"

#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/planted.h"

#define FRAME_MAGIC 0x31464643u /* "CFF1" as bytes in a file */
#define KNOWN_FLAGS (CFI_FRAME_BYTES | CFI_FRAME_SAMPLES | CFI_FRAME_STOP | CFI_FRAME_NONFINITE | \
                     CFI_FRAME_INFER)

/* Offsets in the header (docs/format/frame.md). Every field lies at a multiple of its own size. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_KIND = 5,
    AT_FLAGS = 6,
    AT_RUN = 8,
    AT_DIGEST = 24,
    AT_EPOCH = 32,
    AT_PLAN = 36,
    AT_SOURCE_UNIT = 40,
    AT_SOURCE_INCARNATION = 44,
    AT_TARGET_UNIT = 48,
    AT_TENSOR = 52,
    AT_STEP = 56,
    AT_MICRO = 64,
    AT_REPLICA = 68,
    AT_BLOCK_LO = 72,
    AT_BLOCK_N = 76,
    AT_ROWS = 80,
    AT_COLS = 84,
    AT_TAG = 88,
    AT_HEAD = 96,
    AT_PAYLOAD_SIZE = 104,
    AT_RESERVED = 108,
    AT_PAYLOAD_HASH = 112,
    AT_KEY = 120,
    AT_CHECKSUM = 124
};
_Static_assert(AT_CHECKSUM + 4 == CFI_FRAME_HEADER_SIZE, "the checksum ends the header");

/* Where the bytes of a made frame begin behind its struct: payloads aligned to 16, as calloc's memory is. */
#define BYTES_OFFSET ((sizeof(cfi_frame) + 15) & ~(size_t)15)

/* Byte by byte, so that any machine writes the same; compilers make one store or load of each. */
static void put16(unsigned char *target, uint16_t value)
{
    target[0] = (unsigned char)value;
    target[1] = (unsigned char)(value >> 8);
}

static void put32(unsigned char *target, uint32_t value)
{
    put16(target, (uint16_t)value);
    put16(target + 2, (uint16_t)(value >> 16));
}

static void put64(unsigned char *target, uint64_t value)
{
    put32(target, (uint32_t)value);
    put32(target + 4, (uint32_t)(value >> 32));
}

static uint16_t get16(const unsigned char *source)
{
    return (uint16_t)(source[0] | source[1] << 8);
}

static uint32_t get32(const unsigned char *source)
{
    return get16(source) | (uint32_t)get16(source + 2) << 16;
}

static uint64_t get64(const unsigned char *source)
{
    return get32(source) | (uint64_t)get32(source + 4) << 32;
}

static uint32_t header_checksum(const unsigned char *bytes)
{
    return (uint32_t)XXH3_64bits(bytes, AT_CHECKSUM);
}

static bool is_kind(uint8_t kind)
{
    return kind >= CFI_FRAME_FORWARD && kind < CFI_FRAME_KIND_COUNT;
}

/* What the maker gives and what arrives must be the same set, or a frame could be sent that nobody takes. */
static cf_status check_names(const cfi_frame_header *header, cf_status code, cf_error *error)
{
    if (!is_kind(header->kind)) {
        return cfi_fail(error, code, "frame: unknown kind %u", header->kind);
    }
    if ((header->flags & ~KNOWN_FLAGS) != 0) {
        return cfi_fail(error, code, "frame: unknown flags 0x%x", header->flags & ~KNOWN_FLAGS);
    }
    if (header->key != 0) {
        return cfi_fail(error, code, "frame: key is %u, which this version does not know; it must be 0", header->key);
    }
    return CF_OK;
}

cf_status cfi_frame_new(const cfi_frame_header *header, size_t payload_size, cfi_frame **frame_out, cf_error *error)
{
    CFI_TRY(check_names(header, CF_E_USAGE, error));
    if (payload_size > CFI_FRAME_PAYLOAD_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "frame: a payload of %zu bytes, at most %zu may be sent", payload_size,
                        CFI_FRAME_PAYLOAD_MAX);
    }
    unsigned char *memory = cfi_calloc(1, BYTES_OFFSET + CFI_FRAME_HEADER_SIZE + payload_size);
    if (memory == NULL) {
        return cfi_fail_memory(error, "a frame");
    }
    cfi_frame *frame = (cfi_frame *)(void *)memory;
    atomic_init(&frame->references, 1);
    frame->header = *header;
    frame->payload_size = (uint32_t)payload_size;
    frame->bytes = memory + BYTES_OFFSET;
    *frame_out = frame;
    return CF_OK;
}

static void encode_header(const cfi_frame_header *header, unsigned char *bytes)
{
    put32(bytes + AT_MAGIC, FRAME_MAGIC);
    bytes[AT_VERSION] = CFI_FRAME_VERSION;
    bytes[AT_KIND] = header->kind;
    put16(bytes + AT_FLAGS, header->flags);
    put64(bytes + AT_RUN, header->run[0]);
    put64(bytes + AT_RUN + 8, header->run[1]);
    put64(bytes + AT_DIGEST, header->digest);
    put32(bytes + AT_EPOCH, header->epoch);
    put32(bytes + AT_PLAN, header->plan);
    put32(bytes + AT_SOURCE_UNIT, header->source_unit);
    put32(bytes + AT_SOURCE_INCARNATION, header->source_incarnation);
    put32(bytes + AT_TARGET_UNIT, header->target_unit);
    put32(bytes + AT_TENSOR, header->tensor);
    put64(bytes + AT_STEP, header->step);
    put32(bytes + AT_MICRO, header->micro);
    put32(bytes + AT_REPLICA, header->replica);
    put32(bytes + AT_BLOCK_LO, header->block_lo);
    put32(bytes + AT_BLOCK_N, header->block_n);
    put32(bytes + AT_ROWS, header->rows);
    put32(bytes + AT_COLS, header->cols);
    put64(bytes + AT_TAG, header->tag);
    put64(bytes + AT_HEAD, header->head);
    put32(bytes + AT_RESERVED, 0);
    put32(bytes + AT_KEY, header->key);
}

void cfi_frame_seal(cfi_frame *frame)
{
    unsigned char *bytes = frame->bytes;
    frame->payload_hash = XXH3_64bits(cfi_frame_payload(frame), frame->payload_size);
    encode_header(&frame->header, bytes);
    put32(bytes + AT_PAYLOAD_SIZE, frame->payload_size);
    put64(bytes + AT_PAYLOAD_HASH, frame->payload_hash);
    put32(bytes + AT_CHECKSUM, header_checksum(bytes));
}

static cfi_frame_header decode_header(const unsigned char *bytes)
{
    return (cfi_frame_header){
        .kind = bytes[AT_KIND],
        .flags = get16(bytes + AT_FLAGS),
        .run = {get64(bytes + AT_RUN), get64(bytes + AT_RUN + 8)},
        .digest = get64(bytes + AT_DIGEST),
        .epoch = get32(bytes + AT_EPOCH),
        .plan = get32(bytes + AT_PLAN),
        .source_unit = get32(bytes + AT_SOURCE_UNIT),
        .source_incarnation = get32(bytes + AT_SOURCE_INCARNATION),
        .target_unit = get32(bytes + AT_TARGET_UNIT),
        .tensor = get32(bytes + AT_TENSOR),
        .step = get64(bytes + AT_STEP),
        .micro = get32(bytes + AT_MICRO),
        .replica = get32(bytes + AT_REPLICA),
        .block_lo = get32(bytes + AT_BLOCK_LO),
        .block_n = get32(bytes + AT_BLOCK_N),
        .rows = get32(bytes + AT_ROWS),
        .cols = get32(bytes + AT_COLS),
        .tag = get64(bytes + AT_TAG),
        .head = get64(bytes + AT_HEAD),
        .key = get32(bytes + AT_KEY),
    };
}

/* Before the checksum: another version may compute it otherwise, and its name helps more than "damaged". */
static cf_status check_version(const unsigned char *bytes, size_t size, cf_error *error)
{
    if (size < AT_VERSION + 1) {
        return cfi_fail(error, CF_E_DATA, "frame: %zu bytes are too few for a header of %d", size,
                        CFI_FRAME_HEADER_SIZE);
    }
    if (get32(bytes + AT_MAGIC) != FRAME_MAGIC) {
        return cfi_fail(error, CF_E_DATA, "frame: does not begin with CFF1: not a frame of Cuttlefish");
    }
    if (bytes[AT_VERSION] != CFI_FRAME_VERSION) {
        return cfi_fail(error, CF_E_DATA, "frame: of version %u, this program reads version %u: "
                        "run the same Cuttlefish in all containers", bytes[AT_VERSION], CFI_FRAME_VERSION);
    }
    return CF_OK;
}

/* The length and that the header is whole. */
static cf_status check_header(const unsigned char *bytes, size_t size, cf_error *error)
{
    if (size < CFI_FRAME_HEADER_SIZE) {
        return cfi_fail(error, CF_E_DATA, "frame: %zu bytes are too few for a header of %d", size,
                        CFI_FRAME_HEADER_SIZE);
    }
    if (get32(bytes + AT_CHECKSUM) != header_checksum(bytes)) {
        return cfi_fail(error, CF_E_DATA, "frame: the header is damaged (checksum)");
    }
    const size_t payload_size = get32(bytes + AT_PAYLOAD_SIZE);
    if (payload_size > CFI_FRAME_PAYLOAD_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "frame: a payload of %zu bytes, at most %zu may arrive", payload_size,
                        CFI_FRAME_PAYLOAD_MAX);
    }
    if (payload_size != size - CFI_FRAME_HEADER_SIZE) {
        return cfi_fail(error, CF_E_DATA, "frame: the header tells of %zu payload bytes, %zu are there", payload_size,
                        size - CFI_FRAME_HEADER_SIZE);
    }
    if (get32(bytes + AT_RESERVED) != 0) {
        return cfi_fail(error, CF_E_DATA, "frame: the reserved field is not 0");
    }
    return CF_OK;
}

cf_status cfi_frame_decode(unsigned char *bytes, size_t size, void (*release)(void *owner), void *owner,
                           cfi_frame **frame_out, cf_error *error)
{
    if ((uintptr_t)bytes % 8 != 0) {
        return cfi_fail(error, CF_E_USAGE, "frame: the bytes are not aligned to 8");
    }
    CFI_TRY(check_version(bytes, size, error));
    CFI_TRY(check_header(bytes, size, error));
    const cfi_frame_header header = decode_header(bytes);
    CFI_TRY(check_names(&header, CF_E_DATA, error));
    const size_t payload_size = size - CFI_FRAME_HEADER_SIZE;
    const uint64_t payload_hash = get64(bytes + AT_PAYLOAD_HASH);
    if (payload_hash != XXH3_64bits(bytes + CFI_FRAME_HEADER_SIZE, payload_size) && !CFI_PLANTED(26)) {
        return cfi_fail(error, CF_E_DATA, "frame: the payload is damaged (checksum)");
    }
    cfi_frame *frame = cfi_calloc(1, sizeof *frame);
    if (frame == NULL) {
        return cfi_fail_memory(error, "a frame");
    }
    atomic_init(&frame->references, 1);
    frame->header = header;
    frame->payload_size = (uint32_t)payload_size;
    frame->payload_hash = payload_hash;
    frame->bytes = bytes;
    frame->release = release;
    frame->owner = owner;
    *frame_out = frame;
    return CF_OK;
}

cfi_frame *cfi_frame_ref(cfi_frame *frame)
{
    atomic_fetch_add_explicit(&frame->references, 1, memory_order_relaxed);
    return frame;
}

void cfi_frame_unref(cfi_frame *frame)
{
    /* Release and acquire: whoever frees sees everything that other holders did before they let go. */
    if (frame == NULL || atomic_fetch_sub_explicit(&frame->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    const bool is_made_here = frame->bytes == (unsigned char *)(void *)frame + BYTES_OFFSET;
    if (frame->release != NULL) {
        frame->release(frame->owner);
    } else if (!is_made_here) {
        cfi_free(frame->bytes);
    }
    cfi_free(frame);
}

const char *cfi_frame_kind_name(uint8_t kind)
{
    static const char *const names[CFI_FRAME_KIND_COUNT] = {
        [CFI_FRAME_FORWARD] = "forward",
        [CFI_FRAME_BACKWARD] = "backward",
        [CFI_FRAME_LABELS] = "labels",
        [CFI_FRAME_DONE] = "done",
        [CFI_FRAME_NORM] = "norm",
        [CFI_FRAME_SCALE] = "scale",
        [CFI_FRAME_REPORT] = "report",
        [CFI_FRAME_HEAD] = "head",
        [CFI_FRAME_NEED] = "need",
        [CFI_FRAME_GONE] = "gone",
        [CFI_FRAME_OUTPUTS] = "outputs",
        [CFI_FRAME_STORE_REQUEST] = "store_request",
        [CFI_FRAME_STORE_REPLY] = "store_reply",
    };
    return is_kind(kind) ? names[kind] : "unknown";
}
