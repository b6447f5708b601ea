/* Any bytes as a safetensors file: the decoder refuses them or gives entries that lie within the file. */
#include <stdlib.h>

#include "base/alloc.h"
#include "store/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cfi_safetensors_entry *entries;
    int count;
    cf_error error;
    if (cfi_safetensors_decode(bytes, size, &entries, &count, &error) != CF_OK) {
        return 0;
    }
    size_t end = size;
    for (int i = count - 1; i >= 0; i--) {
        if (entries[i].size > end || entries[i].offset != end - entries[i].size) {
            abort();
        }
        end = entries[i].offset;
    }
    cfi_free(entries);
    return 0;
}
