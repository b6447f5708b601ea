#include "store/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"

/* Values are written and read as they lie in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && sizeof(float) == 4, "little-endian float32 is assumed");

enum { LENGTH_SIZE = 8, DIM_COUNT_MAX = 4 };

/* ---- Writing ---- */

/* A JSON string; names are short, so byte by byte. */
static void add_quoted(cfi_text *text, const char *value)
{
    cfi_text_add_bytes(text, "\"", 1);
    for (const char *at = value; *at != '\0'; at++) {
        const unsigned char byte = (unsigned char)*at;
        if (byte == '"' || byte == '\\' || byte < 0x20) {
            cfi_text_add(text, "\\u%04x", (unsigned)byte);
        } else {
            cfi_text_add_bytes(text, at, 1);
        }
    }
    cfi_text_add_bytes(text, "\"", 1);
}

/* The JSON header, padded with spaces so that the values start at a multiple of 8 bytes. */
static void add_header(cfi_text *text, const cfi_tensor *tensors, int count)
{
    size_t offset = 0;
    cfi_text_add(text, "{");
    for (int i = 0; i < count; i++) {
        const size_t size = (size_t)tensors[i].count * sizeof(float);
        cfi_text_add(text, i == 0 ? "" : ",");
        add_quoted(text, tensors[i].name);
        cfi_text_add(text, ":{\"dtype\":\"F32\",\"shape\":[");
        for (int j = 0; j < tensors[i].dim_count; j++) {
            cfi_text_add(text, "%s%" PRId64, j == 0 ? "" : ",", tensors[i].dims[j]);
        }
        cfi_text_add(text, "],\"data_offsets\":[%zu,%zu]}", offset, offset + size);
        offset += size;
    }
    cfi_text_add(text, "}");
    while (text->status == CF_OK && text->length % 8 != 0) {
        cfi_text_add(text, " ");
    }
}

/* Length, header and values as the parts of one file; `parts` has room for count + 2. */
static int64_t gather_parts(cfi_file_part *parts, unsigned char *length_bytes, const cfi_text *header,
                            const cfi_tensor *tensors, int count)
{
    for (int i = 0; i < LENGTH_SIZE; i++) {
        length_bytes[i] = (unsigned char)((uint64_t)header->length >> (8 * i));
    }
    parts[0] = (cfi_file_part){length_bytes, LENGTH_SIZE};
    parts[1] = (cfi_file_part){header->data, header->length};
    size_t size = LENGTH_SIZE + header->length;
    for (int i = 0; i < count; i++) {
        parts[i + 2] = (cfi_file_part){tensors[i].values, (size_t)tensors[i].count * sizeof(float)};
        size += parts[i + 2].size;
    }
    return (int64_t)size;
}

cf_status cfi_safetensors_write(const char *path, const cfi_tensor *tensors, int count, cfi_hash *hash_out,
                                int64_t *size_out, cf_error *error)
{
    unsigned char length_bytes[LENGTH_SIZE];
    cfi_text header = {.length_max = CFI_SAFETENSORS_HEADER_SIZE_MAX};
    cfi_hash hash = {0, 0};
    cf_status status = CF_OK;
    cfi_file_part *parts = cfi_calloc((size_t)count + 2, sizeof *parts);
    add_header(&header, tensors, count);
    if (parts == NULL || header.status != CF_OK) {
        status = header.status == CF_E_LIMIT
                     ? cfi_fail(error, CF_E_LIMIT, "%s: the header is longer than %u bytes", path,
                                CFI_SAFETENSORS_HEADER_SIZE_MAX)
                     : cfi_fail_memory(error, path);
        goto done;
    }
    const int64_t size = gather_parts(parts, length_bytes, &header, tensors, count);
    if (hash_out != NULL && !cfi_hash_parts(parts, (size_t)count + 2, &hash)) {
        status = cfi_fail_memory(error, path);
        goto done;
    }
    CFI_TRY_GOTO(cfi_file_replace(path, parts, (size_t)count + 2, error));
    if (hash_out != NULL) {
        *hash_out = hash;
    }
    if (size_out != NULL) {
        *size_out = size;
    }
done:
    cfi_text_fini(&header);
    cfi_free(parts);
    return status;
}

/* ---- Decoding the header ---- */

/* Fills dims from "shape" and checks that they multiply to `size` bytes of float32. */
static cf_status decode_shape(const json_t *shape, size_t size, cfi_safetensors_entry *entry, cf_error *error)
{
    if (!json_is_array(shape)) {
        return cfi_fail(error, CF_E_DATA, "tensor '%s': 'shape' is not a list", entry->name);
    }
    if (json_array_size(shape) > DIM_COUNT_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "tensor '%s': more than %d dimensions", entry->name, DIM_COUNT_MAX);
    }
    entry->dim_count = (int)json_array_size(shape);
    size_t product = sizeof(float);
    for (int i = 0; i < entry->dim_count; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0) {
            return cfi_fail(error, CF_E_DATA, "tensor '%s': dimension %d is not a whole number from 0", entry->name, i);
        }
        entry->dims[i] = (int64_t)json_integer_value(dim);
        if (entry->dims[i] != 0 && product > SIZE_MAX / 2 / (uint64_t)entry->dims[i]) {
            return cfi_fail(error, CF_E_DATA, "tensor '%s': its shape overflows", entry->name);
        }
        product *= (size_t)entry->dims[i];
    }
    if (product != size) {
        return cfi_fail(error, CF_E_DATA, "tensor '%s': its shape needs %zu bytes, its offsets span %zu", entry->name,
                        product, size);
    }
    return CF_OK;
}

/* Reads "data_offsets" into offset (still relative to the values) and size; both ends lie within `values_size`. */
static cf_status decode_offsets(const json_t *offsets, size_t values_size, cfi_safetensors_entry *entry,
                                cf_error *error)
{
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end)) {
        return cfi_fail(error, CF_E_DATA, "tensor '%s': 'data_offsets' is not a list of two whole numbers",
                        entry->name);
    }
    const json_int_t first = json_integer_value(begin), last = json_integer_value(end);
    if (first < 0 || last < first || (uint64_t)last > values_size) {
        return cfi_fail(error, CF_E_DATA,
                        "tensor '%s': data_offsets [%" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
                        "] do not lie within the file's %zu bytes of values",
                        entry->name, first, last, values_size);
    }
    entry->offset = (size_t)first;
    entry->size = (size_t)(last - first);
    return CF_OK;
}

static cf_status decode_entry(const char *name, const json_t *value, size_t values_size,
                              cfi_safetensors_entry *entry, cf_error *error)
{
    if (!cfi_copy_name(entry->name, sizeof entry->name, name)) {
        return cfi_fail(error, CF_E_LIMIT, "tensor '%.40s...': the name is longer than %zu bytes", name,
                        sizeof entry->name - 1);
    }
    if (!json_is_object(value) || json_object_size(value) != 3) {
        return cfi_fail(error, CF_E_DATA, "tensor '%s': needs dtype, shape and data_offsets, nothing else", name);
    }
    const char *type = json_string_value(json_object_get(value, "dtype"));
    if (type == NULL || strcmp(type, "F32") != 0) {
        return cfi_fail(error, CF_E_DATA, "tensor '%s': dtype is %.16s; only F32 can be read", name,
                        type == NULL ? "missing" : type);
    }
    CFI_TRY(decode_offsets(json_object_get(value, "data_offsets"), values_size, entry, error));
    return decode_shape(json_object_get(value, "shape"), entry->size, entry, error);
}

/* "__metadata__" may say anything, as text. */
static cf_status check_metadata(json_t *metadata, cf_error *error)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) {
        return cfi_fail(error, CF_E_DATA, "'__metadata__' is not an object");
    }
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value)) {
            return cfi_fail(error, CF_E_DATA, "'__metadata__': the value of '%.40s' is not text", key);
        }
    }
    return CF_OK;
}

static int compare_offsets(const void *left, const void *right)
{
    const cfi_safetensors_entry *a = left, *b = right;
    if (a->offset != b->offset) {
        return a->offset < b->offset ? -1 : 1;
    }
    return a->size < b->size ? -1 : a->size > b->size; /* an empty tensor lies before the one that starts there */
}

/* Sorts by offset and checks that the values are covered once, without gap or overlap; makes offsets absolute. */
static cf_status check_contiguous(cfi_safetensors_entry *entries, int count, size_t values_start, size_t values_size,
                                  cf_error *error)
{
    size_t expected = 0;
    if (count > 0) {
        qsort(entries, (size_t)count, sizeof *entries, compare_offsets);
    }
    for (int i = 0; i < count; i++) {
        if (entries[i].offset != expected) {
            return cfi_fail(error, CF_E_DATA, "tensor '%s': its values start at %zu, expected %zu (gap or overlap)",
                            entries[i].name, entries[i].offset, expected);
        }
        expected += entries[i].size;
        entries[i].offset += values_start;
    }
    if (expected != values_size) {
        return cfi_fail(error, CF_E_DATA, "%zu bytes of values, but the header describes %zu", values_size, expected);
    }
    return CF_OK;
}

static cf_status decode_entries(json_t *root, size_t values_start, size_t values_size,
                                cfi_safetensors_entry **entries_out, int *count_out, cf_error *error)
{
    const char *name;
    json_t *value;
    int count = 0;
    cf_status status = CF_OK;
    cfi_safetensors_entry *entries = cfi_calloc(json_object_size(root), sizeof *entries);
    if (entries == NULL) {
        return cfi_fail_memory(error, "the safetensors header");
    }
    json_object_foreach(root, name, value) {
        if (strcmp(name, "__metadata__") == 0) {
            CFI_TRY_GOTO(check_metadata(value, error));
        } else {
            CFI_TRY_GOTO(decode_entry(name, value, values_size, &entries[count], error));
            count++;
        }
    }
    CFI_TRY_GOTO(check_contiguous(entries, count, values_start, values_size, error));
    *entries_out = entries;
    *count_out = count;
    entries = NULL;
done:
    cfi_free(entries);
    return status;
}

cf_status cfi_safetensors_decode(const void *bytes, size_t size, cfi_safetensors_entry **entries_out, int *count_out,
                                 cf_error *error)
{
    const unsigned char *at = bytes;
    uint64_t length = 0;
    if (size < LENGTH_SIZE) {
        return cfi_fail(error, CF_E_DATA, "%zu bytes are too few for a safetensors file", size);
    }
    for (int i = 0; i < LENGTH_SIZE; i++) {
        length |= (uint64_t)at[i] << (8 * i);
    }
    if (length > CFI_SAFETENSORS_HEADER_SIZE_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "the header's length of %" PRIu64 " is over the limit of %u bytes", length,
                        CFI_SAFETENSORS_HEADER_SIZE_MAX);
    }
    if (length > size - LENGTH_SIZE) {
        return cfi_fail(error, CF_E_DATA, "the header's length is %" PRIu64 ", but only %zu bytes follow", length,
                        size - LENGTH_SIZE);
    }
    json_error_t json_error;
    json_t *root = json_loadb((const char *)at + LENGTH_SIZE, (size_t)length, JSON_REJECT_DUPLICATES, &json_error);
    if (root == NULL && json_error_code(&json_error) == json_error_out_of_memory) {
        return cfi_fail_memory(error, "the safetensors header");
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return cfi_fail(error, CF_E_DATA, "the header is not a JSON object: %s",
                        root == NULL ? json_error.text : "another value");
    }
    const size_t values_start = LENGTH_SIZE + (size_t)length;
    const cf_status status = decode_entries(root, values_start, size - values_start, entries_out, count_out, error);
    json_decref(root);
    return status;
}

/* ---- Reading ---- */

static const cfi_safetensors_entry *find_entry(const cfi_safetensors_entry *entries, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(entries[i].name, name) == 0) {
            return &entries[i];
        }
    }
    return NULL;
}

/* "(128, 784)" */
static void format_shape(char *text, size_t size, const int64_t *dims, int dim_count)
{
    size_t used = (size_t)snprintf(text, size, "(");
    for (int i = 0; i < dim_count && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%" PRId64, i == 0 ? "" : ", ", dims[i]);
    }
    if (used < size) {
        snprintf(text + used, size - used, ")");
    }
}

static cf_status check_tensor(const char *path, const cfi_safetensors_entry *entry, const cfi_tensor *tensor,
                              cf_error *error)
{
    bool same = entry->dim_count == tensor->dim_count && entry->size == (size_t)tensor->count * sizeof(float);
    for (int i = 0; same && i < entry->dim_count; i++) {
        same = entry->dims[i] == tensor->dims[i];
    }
    if (!same) {
        char there[112], here[112];
        format_shape(there, sizeof there, entry->dims, entry->dim_count);
        format_shape(here, sizeof here, tensor->dims, tensor->dim_count);
        return cfi_fail(error, CF_E_SHAPE, "%s: tensor '%s' is %s there and %s in this network", path, tensor->name,
                        there, here);
    }
    return CF_OK;
}

/* Each of `tensors` is among the entries with its shape, and each entry is one of them. */
static cf_status check_tensors(const char *path, const cfi_safetensors_entry *entries, int entry_count,
                               const cfi_tensor *tensors, int count, cf_error *error)
{
    for (int i = 0; i < count; i++) {
        const cfi_safetensors_entry *entry = find_entry(entries, entry_count, tensors[i].name);
        if (entry == NULL) {
            return cfi_fail(error, CF_E_SHAPE, "%s: tensor '%s' is not there", path, tensors[i].name);
        }
        CFI_TRY(check_tensor(path, entry, &tensors[i], error));
    }
    for (int i = 0; entry_count > count && i < entry_count; i++) {
        bool known = false;
        for (int j = 0; !known && j < count; j++) {
            known = strcmp(entries[i].name, tensors[j].name) == 0;
        }
        if (!known) {
            return cfi_fail(error, CF_E_SHAPE, "%s: tensor '%s' is not in this network", path, entries[i].name);
        }
    }
    return CF_OK;
}

cf_status cfi_safetensors_match(const char *path, const void *bytes, size_t size, const cfi_tensor *tensors, int count,
                                cfi_safetensors_entry **entries_out, cf_error *error)
{
    cfi_safetensors_entry *entries = NULL;
    int entry_count = 0;
    cf_status status = cfi_safetensors_decode(bytes, size, &entries, &entry_count, error);
    if (status != CF_OK) {
        cfi_error_prefix(error, "%s", path);
        return status;
    }
    status = check_tensors(path, entries, entry_count, tensors, count, error);
    if (status != CF_OK) {
        cfi_free(entries);
        return status;
    }
    *entries_out = entries;
    return CF_OK;
}

void cfi_safetensors_copy(const void *bytes, const cfi_safetensors_entry *entries, const cfi_tensor *tensors,
                          int count)
{
    for (int i = 0; i < count; i++) {
        const cfi_safetensors_entry *entry = find_entry(entries, count, tensors[i].name);
        if (entry->size > 0) {
            memcpy(tensors[i].values, (const char *)bytes + entry->offset, entry->size);
        }
    }
}

size_t cfi_safetensors_size_max(const cfi_tensor *tensors, int count)
{
    size_t size = LENGTH_SIZE + CFI_SAFETENSORS_HEADER_SIZE_MAX;
    for (int i = 0; i < count; i++) {
        size += (size_t)tensors[i].count * sizeof(float);
    }
    return size;
}

cf_status cfi_safetensors_read(const char *path, const cfi_tensor *tensors, int count, cfi_hash *hash_out,
                               int64_t *size_out, cf_error *error)
{
    char *bytes = NULL;
    size_t size = 0;
    cfi_safetensors_entry *entries = NULL;
    const size_t size_max = cfi_safetensors_size_max(tensors, count);
    cf_status status = cfi_file_read(path, size_max, &bytes, &size, error);
    if (status == CF_E_LIMIT) {
        return cfi_fail(error, CF_E_SHAPE, "%s: larger than the weights of this network can be (%zu bytes)", path,
                        size_max);
    }
    CFI_TRY(status);
    CFI_TRY_GOTO(cfi_safetensors_match(path, bytes, size, tensors, count, &entries, error));
    cfi_safetensors_copy(bytes, entries, tensors, count);
    if (hash_out != NULL) {
        *hash_out = cfi_hash_bytes(bytes, size);
    }
    if (size_out != NULL) {
        *size_out = (int64_t)size;
    }
done:
    cfi_free(entries);
    cfi_free(bytes);
    return status;
}
