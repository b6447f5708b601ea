/* IDX files (the format of MNIST, http://yann.lecun.com/exdb/mnist): two zero bytes, a type byte, the number of
 * dimensions, each dimension as 32 bits big-endian, then the values, last dimension fastest. Plain or gzipped.
 * Only unsigned bytes (type 0x08) are read. Messages name file and offset in the (unpacked) content. */
#ifndef CFI_DATA_IDX_H
#define CFI_DATA_IDX_H

#include "data/dataset.h"
#include "data/reader.h"

#define CFI_IDX_DIMENSION_COUNT_MAX 4

typedef struct cfi_idx {
    int dimension_count;                             /* 1 to CFI_IDX_DIMENSION_COUNT_MAX            */
    int64_t dimension[CFI_IDX_DIMENSION_COUNT_MAX];  /* slowest first                               */
    int64_t features;                                /* product of all dimensions but the first     */
    uint8_t *bytes;                                  /* (dimension[0], features), owned; may be NULL */
} cfi_idx;

/* Reads from an open reader: the header, and with `values` also the bytes and the check that nothing follows them.
 * Free idx_out->bytes with cfi_free. Errors: CF_E_DATA, CF_E_LIMIT, CF_E_MEMORY, CF_E_IO.
 * Cost: the bytes themselves and one block of 64 KiB. */
cf_status cfi_idx_read(cfi_reader *reader, bool values, cfi_idx *idx_out, cf_error *error)
    __attribute__((warn_unused_result));

/* Shape (channels, height, width) of an image file from its header alone: (n, h, w) is one channel, (n, c, h, w) as it
 * says, (n, f) is (f, 1, 1). *count_out: images. */
cf_status cfi_idx_image_shape(const char *path, int64_t shape_out[3], int64_t *count_out, cf_error *error)
    __attribute__((warn_unused_result));

/* The labels of a label file (one dimension) as int32, free with cfi_free; *classes_out = largest label + 1. */
cf_status cfi_idx_labels(const char *path, int32_t **labels_out, int64_t *count_out, int64_t *classes_out,
                         cf_error *error) __attribute__((warn_unused_result));

/* Images and their labels: fills count, bytes and labels of samples_out (free with cfi_samples_fini). */
cf_status cfi_idx_samples(const char *images_path, const char *labels_path, cfi_samples *samples_out,
                          int64_t shape_out[3], int64_t *classes_out, cf_error *error)
    __attribute__((warn_unused_result));

#endif
