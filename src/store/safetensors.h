/* The safetensors file format, float32 only: u64 header length, JSON header, raw little-endian values.
 * Every length is checked before it is used: header at most CFI_SAFETENSORS_HEADER_SIZE_MAX, offsets contiguous without
 * gap or overlap, dtype * shape == bytes, names unique. docs/format/checkpoint.md. */
#ifndef CFI_STORE_SAFETENSORS_H
#define CFI_STORE_SAFETENSORS_H

#include "base/hash.h"
#include "learn/tensor.h"

/* Writes `tensors` to `path` durably (cfi_file_replace). hash_out and size_out (may be NULL): of the whole file. */
cf_status cfi_safetensors_write(const char *path, const cfi_tensor *tensors, int count, cfi_hash *hash_out,
                                int64_t *size_out, cf_error *error) __attribute__((warn_unused_result));

/* Reads `path` into `tensors`: each must be there with the same shape; others are CF_E_SHAPE too. */
cf_status cfi_safetensors_read(const char *path, cfi_tensor *tensors, int count, cfi_hash *hash_out,
                               int64_t *size_out, cf_error *error) __attribute__((warn_unused_result));

/* One tensor of a file in memory, for the decoder's own tests and fuzzing. */
typedef struct cfi_safetensors_entry {
    char name[CFI_NAME_SIZE_MAX + 32];
    int64_t dims[4];
    int dim_count;
    size_t offset, size; /* of the values within the file, bytes */
} cfi_safetensors_entry;

/* Decodes and validates the header of a whole file in memory. *entries_out: free with cfi_free. CF_E_DATA, CF_E_LIMIT. */
cf_status cfi_safetensors_decode(const void *bytes, size_t size, cfi_safetensors_entry **entries_out, int *count_out,
                                 cf_error *error) __attribute__((warn_unused_result));

#endif
