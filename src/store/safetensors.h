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

/* Reads `path` into the values of `tensors`: each must be there with the same shape; others are CF_E_SHAPE too. A
 * failure leaves the values as they were. */
cf_status cfi_safetensors_read(const char *path, const cfi_tensor *tensors, int count, cfi_hash *hash_out,
                               int64_t *size_out, cf_error *error) __attribute__((warn_unused_result));

/* The largest file that `tensors` can come from: their values and the longest header allowed. */
size_t cfi_safetensors_size_max(const cfi_tensor *tensors, int count);

/* One tensor of a file in memory, for the decoder's own tests and fuzzing. */
typedef struct cfi_safetensors_entry {
    char name[CFI_NAME_SIZE_MAX + 32];
    int64_t dims[4];
    int dim_count;
    size_t offset, size; /* of the values within the file, bytes */
} cfi_safetensors_entry;

/* Decodes and validates the header of a whole file in memory. *entries_out: in the order of their values; free with
 * cfi_free. CF_E_DATA, CF_E_LIMIT, CF_E_MEMORY. */
cf_status cfi_safetensors_decode(const void *bytes, size_t size, cfi_safetensors_entry **entries_out, int *count_out,
                                 cf_error *error) __attribute__((warn_unused_result));

/* Decodes as above and checks that the file holds `tensors` and nothing else; `path` stands for the file in messages.
 * *entries_out: free with cfi_free. Also CF_E_SHAPE. */
cf_status cfi_safetensors_match(const char *path, const void *bytes, size_t size, const cfi_tensor *tensors, int count,
                                cfi_safetensors_entry **entries_out, cf_error *error)
    __attribute__((warn_unused_result));

/* Copies the values of a file that matched into `tensors`; cannot fail. */
void cfi_safetensors_copy(const void *bytes, const cfi_safetensors_entry *entries, const cfi_tensor *tensors,
                          int count);

#endif
