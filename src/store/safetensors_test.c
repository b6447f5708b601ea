#include "store/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"

#define FILE_NAME "safetensors_test.safetensors"

/* Two tensors, (2, 3) and (3), over the caller's six and three values. */
static void make_tensors(cfi_tensor tensors[2], float *weight, float *bias)
{
    memset(tensors, 0, 2 * sizeof *tensors);
    strcpy(tensors[0].name, "hidden.weight");
    tensors[0].dims[0] = 2;
    tensors[0].dims[1] = 3;
    tensors[0].dim_count = 2;
    tensors[0].count = 6;
    tensors[0].values = weight;
    strcpy(tensors[1].name, "hidden.bias");
    tensors[1].dims[0] = 3;
    tensors[1].dim_count = 1;
    tensors[1].count = 3;
    tensors[1].values = bias;
}

/* A file in memory: length, `header`, `value_size` zero bytes. */
static size_t make_file(char *bytes, size_t room, const char *header, size_t value_size)
{
    const size_t length = strlen(header);
    assert_true(8 + length + value_size <= room);
    memset(bytes, 0, 8 + length + value_size);
    for (size_t i = 0; i < 8; i++) {
        bytes[i] = (char)(unsigned char)((uint64_t)length >> (8 * i));
    }
    memcpy(bytes + 8, header, length);
    return 8 + length + value_size;
}

static void what_was_written_reads_back(void **state)
{
    (void)state;
    float weight[6] = {1, -2, 3.5f, 0, 1e-30f, 7}, bias[3] = {4, 5, 6}, read_weight[6], read_bias[3];
    cfi_tensor tensors[2], read[2];
    cfi_hash written_hash, read_hash;
    int64_t written_size, read_size;
    make_tensors(tensors, weight, bias);
    make_tensors(read, read_weight, read_bias);
    assert_int_equal(cfi_safetensors_write(FILE_NAME, tensors, 2, &written_hash, &written_size, NULL), CF_OK);
    assert_int_equal(cfi_safetensors_read(FILE_NAME, read, 2, &read_hash, &read_size, NULL), CF_OK);
    assert_memory_equal(weight, read_weight, sizeof weight);
    assert_memory_equal(bias, read_bias, sizeof bias);
    assert_memory_equal(&written_hash, &read_hash, sizeof read_hash);
    assert_int_equal(written_size, read_size);
    unlink(FILE_NAME);
}

static void the_bytes_are_as_the_format_says(void **state)
{
    (void)state;
    float weight[6] = {0}, bias[3] = {1.0f, 0, 0};
    cfi_tensor tensors[2];
    char *bytes;
    size_t size;
    make_tensors(tensors, weight, bias);
    assert_int_equal(cfi_safetensors_write(FILE_NAME, tensors, 2, NULL, NULL, NULL), CF_OK);
    assert_int_equal(cfi_file_read(FILE_NAME, 4096, &bytes, &size, NULL), CF_OK);
    const char *header = "{\"hidden.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                         "\"hidden.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[24,36]}}";
    const size_t padded = (strlen(header) + 7) / 8 * 8;
    assert_int_equal(size, 8 + padded + 36);
    assert_int_equal((unsigned char)bytes[0], padded);
    assert_memory_equal(bytes + 8, header, strlen(header));
    for (size_t i = 8 + strlen(header); i < 8 + padded; i++) {
        assert_int_equal(bytes[i], ' ');
    }
    assert_memory_equal(bytes + 8 + padded + 24, "\0\0\x80\x3f", 4);
    cfi_free(bytes);
    unlink(FILE_NAME);
}

static void metadata_and_any_order_are_accepted(void **state)
{
    (void)state;
    char bytes[512];
    cfi_safetensors_entry *entries;
    int count;
    const size_t size = make_file(bytes, sizeof bytes,
                                  "{\"__metadata__\":{\"made\":\"elsewhere\"},"
                                  "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]},"
                                  "\"none\":{\"shape\":[0,5],\"dtype\":\"F32\",\"data_offsets\":[4,4]},"
                                  "\"a\":{\"data_offsets\":[0,4],\"dtype\":\"F32\",\"shape\":[]}}   ",
                                  12);
    assert_int_equal(cfi_safetensors_decode(bytes, size, &entries, &count, NULL), CF_OK);
    assert_int_equal(count, 3);
    assert_string_equal(entries[0].name, "a");
    assert_int_equal(entries[0].dim_count, 0);
    assert_int_equal(entries[0].offset, size - 12);
    assert_string_equal(entries[1].name, "none");
    assert_string_equal(entries[2].name, "b");
    assert_int_equal(entries[2].offset, size - 8);
    assert_int_equal(entries[2].size, 8);
    cfi_free(entries);
}

typedef struct bad_header {
    const char *header;
    size_t value_size;
    cf_status status;
    const char *text;
} bad_header;

static const bad_header bad_headers[] = {
    {"[]", 0, CF_E_DATA, "the header is not a JSON object: another value"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, CF_E_DATA,
     "the header is not a JSON object: duplicate object key near '\"a\"'"},
    {"{\"a\":1}", 0, CF_E_DATA, "tensor 'a': needs dtype, shape and data_offsets, nothing else"},
    {"{\"a\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]}}", 2, CF_E_DATA,
     "tensor 'a': dtype is F16; only F32 can be read"},
    {"{\"a\":{\"dtype\":5,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, CF_E_DATA,
     "tensor 'a': dtype is missing; only F32 can be read"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, CF_E_DATA,
     "tensor 'a': its shape needs 8 bytes, its offsets span 4"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, CF_E_DATA,
     "tensor 'a': dimension 0 is not a whole number from 0"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0, CF_E_DATA,
     "tensor 'a': its shape overflows"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":3,\"data_offsets\":[0,4]}}", 4, CF_E_DATA,
     "tensor 'a': 'shape' is not a list"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, CF_E_LIMIT,
     "tensor 'a': more than 4 dimensions"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 4, CF_E_DATA,
     "tensor 'a': data_offsets [0, 8] do not lie within the file's 4 bytes of values"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, CF_E_DATA,
     "tensor 'a': data_offsets [4, 0] do not lie within the file's 4 bytes of values"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, CF_E_DATA,
     "tensor 'a': 'data_offsets' is not a list of two whole numbers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, CF_E_DATA,
     "tensor 'a': its values start at 4, expected 0 (gap or overlap)"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, CF_E_DATA,
     "tensor 'b': its values start at 4, expected 8 (gap or overlap)"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 9, CF_E_DATA,
     "9 bytes of values, but the header describes 4"},
    {"{\"__metadata__\":[]}", 0, CF_E_DATA, "'__metadata__' is not an object"},
    {"{\"__metadata__\":{\"k\":1}}", 0, CF_E_DATA, "'__metadata__': the value of 'k' is not text"},
    {"{\"a2345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901\":"
     "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, CF_E_LIMIT,
     "tensor 'a234567890123456789012345678901234567890...': the name is longer than 95 bytes"},
};

static void each_wrong_header_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_headers / sizeof bad_headers[0]; i++) {
        char bytes[1024];
        cfi_safetensors_entry *entries = NULL;
        int count = -1;
        cf_error error = {.code = CF_OK};
        const size_t size = make_file(bytes, sizeof bytes, bad_headers[i].header, bad_headers[i].value_size);
        assert_int_equal(cfi_safetensors_decode(bytes, size, &entries, &count, &error), bad_headers[i].status);
        assert_string_equal(error.text, bad_headers[i].text);
        assert_null(entries);
        assert_int_equal(count, -1);
    }
}

static void a_wrong_length_is_refused(void **state)
{
    (void)state;
    cfi_safetensors_entry *entries;
    int count;
    cf_error error;
    assert_int_equal(cfi_safetensors_decode("1234567", 7, &entries, &count, &error), CF_E_DATA);
    assert_string_equal(error.text, "7 bytes are too few for a safetensors file");
    assert_int_equal(cfi_safetensors_decode("\x09\0\0\0\0\0\0\0{}", 10, &entries, &count, &error), CF_E_DATA);
    assert_string_equal(error.text, "the header's length is 9, but only 2 bytes follow");
    assert_int_equal(cfi_safetensors_decode("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, &entries, &count, &error),
                     CF_E_LIMIT);
    assert_string_equal(error.text, "the header's length of 18446744073709551615 is over the limit of 1048576 bytes");
}

static void a_deeply_nested_header_is_refused(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *header = cfi_calloc(DEPTH + 1, 1), *bytes = cfi_calloc(DEPTH + 8, 1);
    cfi_safetensors_entry *entries;
    int count;
    assert_non_null(header);
    assert_non_null(bytes);
    memset(header, '[', DEPTH);
    const size_t size = make_file(bytes, DEPTH + 8, header, 0);
    assert_int_equal(cfi_safetensors_decode(bytes, size, &entries, &count, NULL), CF_E_DATA);
    cfi_free(header);
    cfi_free(bytes);
}

/* Every single-byte change and every shorter file either decodes to entries within the file or is refused. */
static void no_changed_or_shortened_file_leads_outside_of_it(void **state)
{
    (void)state;
    float weight[6] = {0}, bias[3] = {0};
    cfi_tensor tensors[2];
    char *bytes;
    size_t size;
    make_tensors(tensors, weight, bias);
    assert_int_equal(cfi_safetensors_write(FILE_NAME, tensors, 2, NULL, NULL, NULL), CF_OK);
    assert_int_equal(cfi_file_read(FILE_NAME, 4096, &bytes, &size, NULL), CF_OK);
    for (size_t at = 0; at < size; at++) {
        for (int mask = 1; mask < 256; mask += 2) {
            char *changed = cfi_calloc(size, 1); /* exactly as long, so that ASan sees a step beyond */
            cfi_safetensors_entry *entries;
            int count;
            memcpy(changed, bytes, size);
            changed[at] = (char)(changed[at] ^ mask);
            if (cfi_safetensors_decode(changed, size, &entries, &count, NULL) == CF_OK) {
                for (int i = 0; i < count; i++) {
                    assert_true(entries[i].offset <= size && entries[i].size <= size - entries[i].offset);
                }
                cfi_free(entries);
            }
            cfi_free(changed);
        }
        cfi_safetensors_entry *entries;
        int count;
        assert_int_not_equal(cfi_safetensors_decode(bytes, at, &entries, &count, NULL), CF_OK);
    }
    cfi_free(bytes);
    unlink(FILE_NAME);
}

static void another_shape_or_name_is_named_and_changes_nothing(void **state)
{
    (void)state;
    float weight[6] = {9, 9, 9, 9, 9, 9}, bias[3] = {9, 9, 9}, kept[6] = {1, 2, 3, 4, 5, 6}, kept_bias[3] = {7, 8, 9};
    cfi_tensor tensors[2], read[2];
    cf_error error;
    make_tensors(tensors, weight, bias);
    assert_int_equal(cfi_safetensors_write(FILE_NAME, tensors, 2, NULL, NULL, NULL), CF_OK);
    make_tensors(read, kept, kept_bias);
    read[1].dims[0] = 1;
    read[1].dims[1] = 3;
    read[1].dim_count = 2;
    assert_int_equal(cfi_safetensors_read(FILE_NAME, read, 2, NULL, NULL, &error), CF_E_SHAPE);
    assert_string_equal(error.text, FILE_NAME ": tensor 'hidden.bias' is (3) there and (1, 3) in this network");
    make_tensors(read, kept, kept_bias);
    strcpy(read[1].name, "other.bias");
    assert_int_equal(cfi_safetensors_read(FILE_NAME, read, 2, NULL, NULL, &error), CF_E_SHAPE);
    assert_string_equal(error.text, FILE_NAME ": tensor 'other.bias' is not there");
    assert_int_equal(cfi_safetensors_read(FILE_NAME, read, 1, NULL, NULL, &error), CF_E_SHAPE);
    assert_string_equal(error.text, FILE_NAME ": tensor 'hidden.bias' is not in this network");
    assert_true(kept[0] == 1.0f && kept[5] == 6.0f && kept_bias[0] == 7.0f);
    unlink(FILE_NAME);
}

static void a_missing_and_a_far_too_large_file_are_told_apart(void **state)
{
    (void)state;
    float weight[6], bias[3];
    cfi_tensor tensors[2];
    cf_error error;
    make_tensors(tensors, weight, bias);
    assert_int_equal(cfi_safetensors_read("missing.safetensors", tensors, 2, NULL, NULL, &error), CF_E_NOT_FOUND);
    FILE *file = fopen(FILE_NAME, "wb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 3 << 20, SEEK_SET), 0);
    assert_int_equal(fputc(0, file), 0);
    fclose(file);
    assert_int_equal(cfi_safetensors_read(FILE_NAME, tensors, 2, NULL, NULL, &error), CF_E_SHAPE);
    assert_string_equal(error.text, FILE_NAME ": larger than the weights of this network can be (1048620 bytes)");
    unlink(FILE_NAME);
}

static void every_failing_allocation_and_write_is_reported(void **state)
{
    (void)state;
    float weight[6] = {1, 2, 3, 4, 5, 6}, bias[3] = {7, 8, 9};
    cfi_tensor tensors[2];
    cf_status status = CF_E_MEMORY;
    make_tensors(tensors, weight, bias);
    uint64_t failures = 0;
    for (; status != CF_OK; failures++) {
        cf_error error = {.code = CF_OK};
        cfi_alloc_fail_after(failures);
        status = cfi_safetensors_write(FILE_NAME, tensors, 2, NULL, NULL, &error);
        if (status == CF_OK) {
            status = cfi_safetensors_read(FILE_NAME, tensors, 2, NULL, NULL, &error);
        }
        cfi_alloc_fail_after(UINT64_MAX);
        assert_true(status == CF_OK || (status == CF_E_MEMORY && error.text[0] != '\0'));
    }
    assert_true(failures > 4);
    status = CF_E_IO;
    for (failures = 0; status != CF_OK; failures++) {
        cf_error error = {.code = CF_OK};
        cfi_file_fail_after(failures);
        status = cfi_safetensors_write(FILE_NAME, tensors, 2, NULL, NULL, &error);
        cfi_file_fail_after(UINT64_MAX);
        assert_true(status == CF_OK || (status == CF_E_IO && strstr(error.text, "No space left on device") != NULL));
    }
    assert_true(failures > 6);
    unlink(FILE_NAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_reads_back),
        cmocka_unit_test(the_bytes_are_as_the_format_says),
        cmocka_unit_test(metadata_and_any_order_are_accepted),
        cmocka_unit_test(each_wrong_header_is_refused_by_name),
        cmocka_unit_test(a_wrong_length_is_refused),
        cmocka_unit_test(a_deeply_nested_header_is_refused),
        cmocka_unit_test(no_changed_or_shortened_file_leads_outside_of_it),
        cmocka_unit_test(another_shape_or_name_is_named_and_changes_nothing),
        cmocka_unit_test(a_missing_and_a_far_too_large_file_are_told_apart),
        cmocka_unit_test(every_failing_allocation_and_write_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
