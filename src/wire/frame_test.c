#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "wire/frame.h"

enum { RESERVED_AT = 108, SIZE_AT = 104, KEY_AT = 120, CHECKSUM_AT = 124 };

/* Every field has another value, so that two fields changing places are seen. */
static cfi_frame_header full_header(uint8_t kind)
{
    return (cfi_frame_header){
        .kind = kind, .flags = CFI_FRAME_STOP | CFI_FRAME_NONFINITE,
        .run = {0x0102030405060708, 0x1112131415161718}, .digest = 0x2122232425262728, .epoch = 0x31323334,
        .plan = 0x35363738, .source_unit = 0x41424344, .source_incarnation = 0x45464748, .target_unit = 0x51525354,
        .tensor = 0x55565758, .step = 0x6162636465666768, .micro = 0x71727374, .replica = 0x75767778,
        .block_lo = 0x81828384, .block_n = 0x85868788, .rows = 0x91929394, .cols = 0x95969798,
        .tag = 0xa1a2a3a4a5a6a7a8, .head = 0xb1b2b3b4b5b6b7b8};
}

static cfi_frame *make_frame(const cfi_frame_header *header, size_t size)
{
    cfi_frame *frame;
    assert_int_equal(cfi_frame_new(header, size, &frame, NULL), CF_OK);
    for (size_t i = 0; i < size; i++) {
        cfi_frame_payload(frame)[i] = (unsigned char)(i * 7 + 1);
    }
    cfi_frame_seal(frame);
    return frame;
}

/* A copy of its bytes in memory of their own, so that ASan sees one byte too far. */
static unsigned char *copy_bytes(const cfi_frame *frame)
{
    unsigned char *bytes = cfi_calloc(1, cfi_frame_size(frame));
    assert_non_null(bytes);
    return memcpy(bytes, frame->bytes, cfi_frame_size(frame));
}

static void assert_header_equal(const cfi_frame_header *left, const cfi_frame_header *right)
{
    assert_int_equal(left->kind, right->kind);
    assert_int_equal(left->flags, right->flags);
    assert_memory_equal(left->run, right->run, sizeof left->run);
    assert_true(left->digest == right->digest && left->epoch == right->epoch && left->plan == right->plan);
    assert_true(left->source_unit == right->source_unit && left->source_incarnation == right->source_incarnation);
    assert_true(left->target_unit == right->target_unit && left->tensor == right->tensor);
    assert_true(left->step == right->step && left->micro == right->micro && left->replica == right->replica);
    assert_true(left->block_lo == right->block_lo && left->block_n == right->block_n);
    assert_true(left->rows == right->rows && left->cols == right->cols);
    assert_true(left->tag == right->tag && left->head == right->head && left->key == right->key);
}

static void every_kind_and_size_comes_back_as_it_was_sealed(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 8, 1000, 100000};
    for (uint8_t kind = 1; kind < CFI_FRAME_KIND_COUNT; kind++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const cfi_frame_header header = full_header(kind);
            cfi_frame *sent = make_frame(&header, sizes[i]);
            assert_int_equal((uintptr_t)cfi_frame_payload(sent) % 8, 0);
            cfi_frame *got;
            assert_int_equal(cfi_frame_decode(copy_bytes(sent), cfi_frame_size(sent), NULL, NULL, &got, NULL), CF_OK);
            assert_header_equal(&got->header, &header);
            assert_int_equal(got->payload_size, sizes[i]);
            assert_true(got->payload_hash == sent->payload_hash);
            assert_memory_equal(cfi_frame_payload(got), cfi_frame_payload(sent), sizes[i]);
            cfi_frame_unref(got);
            cfi_frame_unref(sent);
        }
    }
}

static void the_payload_begins_zeroed_and_a_frame_is_one_allocation(void **state)
{
    (void)state;
    const cfi_frame_header header = {.kind = CFI_FRAME_NEED};
    const uint64_t before = cfi_alloc_count();
    cfi_frame *frame;
    assert_int_equal(cfi_frame_new(&header, 64, &frame, NULL), CF_OK);
    assert_int_equal(cfi_alloc_count() - before, 1);
    static const unsigned char zeros[64];
    assert_memory_equal(cfi_frame_payload(frame), zeros, 64);
    cfi_frame_unref(frame);
}

static void one_flipped_bit_anywhere_is_found(void **state)
{
    (void)state;
    const cfi_frame_header header = full_header(CFI_FRAME_FORWARD);
    cfi_frame *sent = make_frame(&header, 40);
    unsigned char *bytes = copy_bytes(sent);
    for (size_t bit = 0; bit < cfi_frame_size(sent) * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        cfi_frame *got = NULL;
        cf_error error;
        assert_int_equal(cfi_frame_decode(bytes, cfi_frame_size(sent), NULL, NULL, &got, &error), CF_E_DATA);
        assert_null(got);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    cfi_free(bytes);
    cfi_frame_unref(sent);
}

static void every_shorter_or_longer_length_is_refused(void **state)
{
    (void)state;
    const cfi_frame_header header = full_header(CFI_FRAME_FORWARD);
    cfi_frame *sent = make_frame(&header, 16);
    const size_t whole = cfi_frame_size(sent);
    for (size_t size = 0; size <= whole + 8; size++) {
        unsigned char *bytes = cfi_calloc(1, size);
        assert_non_null(bytes);
        memcpy(bytes, sent->bytes, size < whole ? size : whole);
        cfi_frame *got;
        if (size != whole) {
            assert_int_equal(cfi_frame_decode(bytes, size, NULL, NULL, &got, NULL), CF_E_DATA);
        }
        cfi_free(bytes);
    }
    cfi_frame_unref(sent);
}

/* Changes one 32-bit field (one byte where width is 1), makes the checksum right again and decodes. */
static cf_status decode_changed(int at, int width, uint32_t value, cf_error *error)
{
    const cfi_frame_header header = full_header(CFI_FRAME_FORWARD);
    cfi_frame *sent = make_frame(&header, 16);
    unsigned char *bytes = copy_bytes(sent);
    for (int i = 0; i < width; i++) {
        bytes[at + i] = (unsigned char)(value >> 8 * i);
    }
    const uint32_t checksum = (uint32_t)XXH3_64bits(bytes, CHECKSUM_AT);
    for (int i = 0; i < 4; i++) {
        bytes[CHECKSUM_AT + i] = (unsigned char)(checksum >> 8 * i);
    }
    cfi_frame *got = NULL;
    const cf_status status = cfi_frame_decode(bytes, cfi_frame_size(sent), NULL, NULL, &got, error);
    if (status == CF_OK) {
        cfi_frame_unref(got);
    } else {
        cfi_free(bytes);
    }
    cfi_frame_unref(sent);
    return status;
}

static void fields_are_checked_behind_a_right_checksum(void **state)
{
    (void)state;
    cf_error error;
    assert_int_equal(decode_changed(64, 4, 5, &error), CF_OK);
    assert_int_equal(decode_changed(0, 1, 'X', &error), CF_E_DATA);
    assert_string_equal(error.text, "frame: does not begin with CFF1: not a frame of Cuttlefish");
    assert_int_equal(decode_changed(4, 1, 9, &error), CF_E_DATA);
    assert_string_equal(error.text, "frame: of version 9, this program reads version 1: "
                        "run the same Cuttlefish in all containers");
    assert_int_equal(decode_changed(5, 1, 0, &error), CF_E_DATA);
    assert_int_equal(decode_changed(5, 1, CFI_FRAME_KIND_COUNT, &error), CF_E_DATA);
    assert_string_equal(error.text, "frame: unknown kind 14");
    assert_int_equal(decode_changed(7, 1, 1, &error), CF_E_DATA);
    assert_string_equal(error.text, "frame: unknown flags 0x100");
    assert_int_equal(decode_changed(RESERVED_AT, 4, 1, &error), CF_E_DATA);
    assert_int_equal(decode_changed(KEY_AT, 4, 1, &error), CF_E_DATA);
    assert_int_equal(decode_changed(SIZE_AT, 4, 15, &error), CF_E_DATA);
    assert_string_equal(error.text, "frame: the header tells of 15 payload bytes, 16 are there");
    assert_int_equal(decode_changed(SIZE_AT, 4, UINT32_MAX, &error), CF_E_LIMIT);
}

static void a_frame_that_none_would_take_cannot_be_made(void **state)
{
    (void)state;
    cfi_frame *frame = NULL;
    cfi_frame_header header = {.kind = CFI_FRAME_FORWARD};
    assert_int_equal(cfi_frame_new(&header, CFI_FRAME_PAYLOAD_MAX + 1, &frame, NULL), CF_E_LIMIT);
    header.kind = 0;
    assert_int_equal(cfi_frame_new(&header, 1, &frame, NULL), CF_E_USAGE);
    header = (cfi_frame_header){.kind = CFI_FRAME_FORWARD, .flags = 1u << 15};
    assert_int_equal(cfi_frame_new(&header, 1, &frame, NULL), CF_E_USAGE);
    assert_null(frame);
}

static void bytes_off_alignment_are_refused(void **state)
{
    (void)state;
    const cfi_frame_header header = {.kind = CFI_FRAME_NEED};
    cfi_frame *sent = make_frame(&header, 0);
    unsigned char *bytes = cfi_calloc(1, CFI_FRAME_HEADER_SIZE + 8);
    assert_non_null(bytes);
    memcpy(bytes + 4, sent->bytes, CFI_FRAME_HEADER_SIZE);
    cfi_frame *got;
    assert_int_equal(cfi_frame_decode(bytes + 4, CFI_FRAME_HEADER_SIZE, NULL, NULL, &got, NULL), CF_E_USAGE);
    cfi_free(bytes);
    cfi_frame_unref(sent);
}

static void count_release(void *owner)
{
    ++*(int *)owner;
}

static void the_last_reference_releases_the_owner_once(void **state)
{
    (void)state;
    const cfi_frame_header header = {.kind = CFI_FRAME_NEED};
    cfi_frame *sent = make_frame(&header, 3);
    int released = 0;
    cfi_frame *got;
    assert_int_equal(cfi_frame_decode(sent->bytes, cfi_frame_size(sent), count_release, &released, &got, NULL), CF_OK);
    assert_ptr_equal(cfi_frame_ref(got), got);
    cfi_frame_unref(got);
    assert_int_equal(released, 0);
    cfi_frame_unref(got);
    assert_int_equal(released, 1);
    cfi_frame_unref(sent);
    cfi_frame_unref(NULL);
}

static void short_memory_leaves_the_bytes_with_the_caller(void **state)
{
    (void)state;
    const cfi_frame_header header = {.kind = CFI_FRAME_NEED};
    cfi_frame *sent = make_frame(&header, 3), *got = NULL;
    unsigned char *bytes = copy_bytes(sent);
    cfi_alloc_fail_after(0);
    const cf_status made = cfi_frame_new(&header, 3, &got, NULL);
    const cf_status decoded = cfi_frame_decode(bytes, cfi_frame_size(sent), NULL, NULL, &got, NULL);
    cfi_alloc_fail_after(UINT64_MAX);
    assert_int_equal(made, CF_E_MEMORY);
    assert_int_equal(decoded, CF_E_MEMORY);
    assert_null(got);
    cfi_free(bytes);
    cfi_frame_unref(sent);
}

/* CF_GOLDEN_UPDATE=1 writes the files instead: only for a new version of the format. */
static void check_golden(uint8_t kind, size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/frames/%s.bin", CF_SOURCE_DIR, cfi_frame_kind_name(kind));
    const cfi_frame_header header = full_header(kind);
    cfi_frame *sent = make_frame(&header, size);
    if (getenv("CF_GOLDEN_UPDATE") != NULL) {
        const cfi_file_part part = {sent->bytes, cfi_frame_size(sent)};
        assert_int_equal(cfi_file_replace(path, &part, 1, NULL), CF_OK);
    }
    char *bytes;
    size_t bytes_size;
    assert_int_equal(cfi_file_read(path, 4096, &bytes, &bytes_size, NULL), CF_OK);
    assert_int_equal(bytes_size, cfi_frame_size(sent));
    assert_memory_equal(bytes, sent->bytes, bytes_size);
    cfi_frame *got;
    assert_int_equal(cfi_frame_decode((unsigned char *)bytes, bytes_size, NULL, NULL, &got, NULL), CF_OK);
    assert_header_equal(&got->header, &header);
    cfi_frame_unref(got);
    cfi_frame_unref(sent);
}

static void golden_files_are_what_is_written_and_read(void **state)
{
    (void)state;
    check_golden(CFI_FRAME_FORWARD, 24);
    check_golden(CFI_FRAME_BACKWARD, 240);
    check_golden(CFI_FRAME_DONE, 0);
    check_golden(CFI_FRAME_REPORT, 33);
    check_golden(CFI_FRAME_STORE_REQUEST, 1);
}

static void kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(cfi_frame_kind_name(CFI_FRAME_FORWARD), "forward");
    assert_string_equal(cfi_frame_kind_name(CFI_FRAME_STORE_REPLY), "store_reply");
    assert_string_equal(cfi_frame_kind_name(0), "unknown");
    assert_string_equal(cfi_frame_kind_name(CFI_FRAME_KIND_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_and_size_comes_back_as_it_was_sealed),
        cmocka_unit_test(the_payload_begins_zeroed_and_a_frame_is_one_allocation),
        cmocka_unit_test(one_flipped_bit_anywhere_is_found),
        cmocka_unit_test(every_shorter_or_longer_length_is_refused),
        cmocka_unit_test(fields_are_checked_behind_a_right_checksum),
        cmocka_unit_test(a_frame_that_none_would_take_cannot_be_made),
        cmocka_unit_test(bytes_off_alignment_are_refused),
        cmocka_unit_test(the_last_reference_releases_the_owner_once),
        cmocka_unit_test(short_memory_leaves_the_bytes_with_the_caller),
        cmocka_unit_test(golden_files_are_what_is_written_and_read),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
