#include "data/idx.h"

#include <string.h>

#include "base/alloc.h"

#define TYPE_UNSIGNED_BYTE 0x08
#define HEADER_SIZE_MAX (4 + 4 * CFI_IDX_DIMENSION_COUNT_MAX)

/* What the type byte means, for the message about a type that is not read. */
static const char *type_name(uint8_t type)
{
    switch (type) {
    case 0x09: return "signed bytes";
    case 0x0B: return "16-bit integers";
    case 0x0C: return "32-bit integers";
    case 0x0D: return "32-bit floats";
    case 0x0E: return "64-bit floats";
    default: return "unknown";
    }
}

/* Exactly `size` bytes, or the offset where the file ends. */
static cf_status read_exactly(cfi_reader *reader, void *target, size_t size, const char *what, cf_error *error)
{
    size_t got;
    CFI_TRY(cfi_reader_read(reader, target, size, &got, error));
    if (got < size) {
        return cfi_fail(error, CF_E_DATA, "%s: offset %lld: the file ends inside its %s", reader->name,
                        (long long)reader->offset, what);
    }
    return CF_OK;
}

static cf_status check_magic(const char *name, const uint8_t magic[4], cf_error *error)
{
    if (magic[0] != 0 || magic[1] != 0) {
        return cfi_fail(error, CF_E_DATA, "%s: offset 0: not an IDX file (it starts with %02x %02x instead of 00 00)",
                        name, magic[0], magic[1]);
    }
    if (magic[2] != TYPE_UNSIGNED_BYTE) {
        return cfi_fail(error, CF_E_DATA,
                        "%s: offset 2: values of type 0x%02x (%s) cannot be read, only 0x08 (unsigned bytes)", name,
                        magic[2], type_name(magic[2]));
    }
    if (magic[3] < 1 || magic[3] > CFI_IDX_DIMENSION_COUNT_MAX) {
        return cfi_fail(error, CF_E_DATA, "%s: offset 3: %d dimensions, but 1 to %d can be read", name, magic[3],
                        CFI_IDX_DIMENSION_COUNT_MAX);
    }
    return CF_OK;
}

/* Header only; the limits make sure that no later product overflows (1e8 * 2^24 < 2^63). */
static cf_status read_header(cfi_reader *reader, cfi_idx *idx, cf_error *error)
{
    uint8_t header[HEADER_SIZE_MAX];
    CFI_TRY(read_exactly(reader, header, 4, "header", error));
    CFI_TRY(check_magic(reader->name, header, error));
    idx->dimension_count = header[3];
    CFI_TRY(read_exactly(reader, header + 4, 4 * (size_t)idx->dimension_count, "header", error));
    idx->features = 1;
    for (int i = 0; i < idx->dimension_count; i++) {
        const uint8_t *bytes = header + 4 + 4 * i;
        const int64_t value = (int64_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
        if (value == 0) {
            return cfi_fail(error, CF_E_DATA, "%s: offset %d: dimension %d is 0", reader->name, 4 + 4 * i, i + 1);
        }
        if (i == 0 && value > CFI_SAMPLE_COUNT_MAX) {
            return cfi_fail(error, CF_E_LIMIT, "%s: offset 4: %lld samples, the limit is %lld", reader->name,
                            (long long)value, CFI_SAMPLE_COUNT_MAX);
        }
        if (i > 0 && value > CFI_FEATURE_COUNT_MAX / idx->features) {
            return cfi_fail(error, CF_E_LIMIT, "%s: offset %d: the limit of %d values a sample is exceeded",
                            reader->name, 4 + 4 * i, CFI_FEATURE_COUNT_MAX);
        }
        idx->dimension[i] = value;
        idx->features *= i > 0 ? value : 1;
    }
    return CF_OK;
}

/* A lying header must not make us ask for memory that the file cannot fill. */
static cf_status check_size(const cfi_reader *reader, int64_t value_count, cf_error *error)
{
    const int64_t promised = reader->offset + value_count;
    if (reader->content_max >= promised) {
        return CF_OK;
    }
    if (reader->gzip) {
        return cfi_fail(error, CF_E_DATA, "%s: the header promises %lld bytes, more than the gzip data can hold",
                        reader->name, (long long)promised);
    }
    return cfi_fail(error, CF_E_DATA, "%s: offset %lld: the file ends here, but its header promises %lld bytes",
                    reader->name, (long long)reader->content_max, (long long)promised);
}

static cf_status read_values(cfi_reader *reader, cfi_idx *idx, cf_error *error)
{
    const int64_t value_count = idx->dimension[0] * idx->features;
    CFI_TRY(check_size(reader, value_count, error));
    idx->bytes = cfi_huge_alloc((size_t)value_count);
    if (idx->bytes == NULL) {
        return cfi_fail(error, CF_E_MEMORY, "%s: out of memory for %lld bytes", reader->name, (long long)value_count);
    }
    CFI_TRY(read_exactly(reader, idx->bytes, (size_t)value_count, "values", error));
    uint8_t more;
    size_t got;
    CFI_TRY(cfi_reader_read(reader, &more, 1, &got, error));
    if (got != 0) {
        return cfi_fail(error, CF_E_DATA, "%s: offset %lld: bytes after the last value", reader->name,
                        (long long)reader->offset - 1);
    }
    return CF_OK;
}

cf_status cfi_idx_read(cfi_reader *reader, bool values, cfi_idx *idx_out, cf_error *error)
{
    cfi_idx idx = {0};
    CFI_TRY(read_header(reader, &idx, error));
    const cf_status status = values ? read_values(reader, &idx, error) : CF_OK;
    if (status != CF_OK) {
        cfi_free(idx.bytes);
        return status;
    }
    *idx_out = idx;
    return CF_OK;
}

static cf_status load(const char *path, bool values, cfi_idx *idx_out, cf_error *error)
{
    cfi_reader reader;
    CFI_TRY(cfi_reader_open(&reader, path, error));
    const cf_status status = cfi_idx_read(&reader, values, idx_out, error);
    cfi_reader_close(&reader);
    return status;
}

static cf_status load_images(const char *path, bool values, cfi_idx *idx_out, int64_t shape_out[3], cf_error *error)
{
    cfi_idx idx;
    CFI_TRY(load(path, values, &idx, error));
    const int64_t *dimension = idx.dimension;
    switch (idx.dimension_count) {
    case 2:
        memcpy(shape_out, (int64_t[3]){dimension[1], 1, 1}, 3 * sizeof *shape_out);
        break;
    case 3:
        memcpy(shape_out, (int64_t[3]){1, dimension[1], dimension[2]}, 3 * sizeof *shape_out);
        break;
    case 4:
        memcpy(shape_out, dimension + 1, 3 * sizeof *shape_out);
        break;
    default:
        cfi_free(idx.bytes);
        return cfi_fail(error, CF_E_DATA, "%s: offset 3: one dimension, as labels have; images have 2 to 4", path);
    }
    *idx_out = idx;
    return CF_OK;
}

cf_status cfi_idx_image_shape(const char *path, int64_t shape_out[3], int64_t *count_out, cf_error *error)
{
    cfi_idx idx = {0};
    CFI_TRY(load_images(path, false, &idx, shape_out, error));
    *count_out = idx.dimension[0];
    return CF_OK;
}

cf_status cfi_idx_labels(const char *path, int32_t **labels_out, int64_t *count_out, int64_t *classes_out,
                         cf_error *error)
{
    cfi_idx idx;
    CFI_TRY(load(path, true, &idx, error));
    cf_status status = CF_OK;
    int32_t *labels = cfi_calloc((size_t)idx.dimension[0], sizeof *labels);
    if (idx.dimension_count != 1) {
        status = cfi_fail(error, CF_E_DATA, "%s: offset 3: %d dimensions, as images have; labels have one", path,
                          idx.dimension_count);
    } else if (labels == NULL) {
        status = cfi_fail_memory(error, "the labels");
    }
    if (status == CF_OK) {
        int32_t largest = 0;
        for (int64_t i = 0; i < idx.dimension[0]; i++) {
            labels[i] = idx.bytes[i];
            largest = labels[i] > largest ? labels[i] : largest;
        }
        *labels_out = labels;
        *count_out = idx.dimension[0];
        *classes_out = largest + 1;
    } else {
        cfi_free(labels);
    }
    cfi_free(idx.bytes);
    return status;
}

cf_status cfi_idx_samples(const char *images_path, const char *labels_path, cfi_samples *samples_out,
                          int64_t shape_out[3], int64_t *classes_out, cf_error *error)
{
    cfi_idx images = {0};
    int32_t *labels = NULL;
    int64_t label_count, classes, shape[3];
    CFI_TRY(cfi_idx_labels(labels_path, &labels, &label_count, &classes, error));
    cf_status status = load_images(images_path, true, &images, shape, error);
    if (status == CF_OK && images.dimension[0] != label_count) {
        cfi_free(images.bytes);
        status = cfi_fail(error, CF_E_DATA, "%s: offset 4: %lld labels for the %lld images of %s", labels_path,
                          (long long)label_count, (long long)images.dimension[0], images_path);
    }
    if (status != CF_OK) {
        cfi_free(labels);
        return status;
    }
    *samples_out = (cfi_samples){.count = label_count, .bytes = images.bytes, .labels = labels};
    memcpy(shape_out, shape, sizeof shape);
    *classes_out = classes;
    return CF_OK;
}
