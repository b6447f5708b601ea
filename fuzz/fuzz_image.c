/* Any bytes as the input of `predict`: PNG, PGM or text. */
#include <string.h>

#include "base/alloc.h"
#include "data/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    float values[16];
    cf_error error;
    char *copy = cfi_calloc(size + 1, 1);
    if (copy == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    if (cfi_image_parse("fuzz", copy, size, 4, 4, values, &error) != CF_OK) {
        values[0] = 0;
    }
    cfi_free(copy);
    return 0;
}
