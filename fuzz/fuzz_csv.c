/* The first byte picks the settings; the rest is the training file and, after a 0xFF byte, the test file. */
#include <string.h>

#include "base/alloc.h"
#include "data/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy with a NUL after it, as a file would be read. */
static cfi_csv_text copy_text(const char *path, const uint8_t *bytes, size_t size)
{
    char *copy = cfi_calloc(size + 1, 1);
    if (copy != NULL && size > 0) {
        memcpy(copy, bytes, size);
    }
    return (cfi_csv_text){path, copy, size};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    const uint8_t choice = *data++;
    size--;
    cfi_data_settings settings = {.kind = CFI_DATA_CSV,
                                  .csv_label = (cfi_csv_label_kind)(choice % 3),
                                  .csv_header = (cfi_csv_header)(choice / 3 % 3),
                                  .csv_standardise = choice / 9 % 2 == 1,
                                  .csv_label_name = "y"};
    const uint8_t *divider = size > 0 ? memchr(data, 0xFF, size) : NULL;
    const size_t train_size = divider != NULL ? (size_t)(divider - data) : size;
    cfi_csv_text train = copy_text("train", data, train_size), test = {"test", NULL, 0};
    if (divider != NULL) {
        test = copy_text("test", divider + 1, size - train_size - 1);
    }
    cfi_dataset dataset;
    cf_error error;
    if (train.bytes != NULL && cfi_csv_parse(&settings, train, test, &dataset, &error) == CF_OK) {
        cfi_dataset_fini(&dataset);
    }
    cfi_free(train.bytes);
    cfi_free(test.bytes);
    return 0;
}
