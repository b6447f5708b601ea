/* Any bytes as an IDX file, plain or gzipped. */
#include "base/alloc.h"
#include "data/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cfi_reader reader;
    cfi_idx idx;
    cf_error error;
    if (cfi_reader_open_memory(&reader, "fuzz", data, size, &error) != CF_OK) {
        return 0;
    }
    if (cfi_idx_read(&reader, true, &idx, &error) == CF_OK) {
        cfi_free(idx.bytes);
    }
    cfi_reader_close(&reader);
    return 0;
}
