/* CSV files: numeric columns and a label column -> samples of shape (features, 1, 1).
 *
 * Labels that are all whole numbers >= 0 are the classes themselves (classes = largest + 1); otherwise the distinct
 * texts, sorted by bytes, become classes 0, 1, ... and class_names. A test file must have the same columns and only
 * known labels. Messages: "file:line:column: ...". */
#ifndef CFI_DATA_CSV_H
#define CFI_DATA_CSV_H

#include "data/dataset.h"

#define CFI_CSV_SIZE_MAX ((size_t)1 << 31) /* bytes of one CSV file */

typedef struct cfi_csv_text {
    const char *path; /* for messages */
    char *bytes;      /* size bytes and a NUL; changed while reading; NULL = there is no such file */
    size_t size;
} cfi_csv_text;

/* Loads settings->csv_train and, unless empty, settings->csv_test. Errors: CF_E_NOT_FOUND, CF_E_IO, CF_E_DATA,
 * CF_E_CONFIG (a label column that is not there), CF_E_LIMIT, CF_E_MEMORY. Free with cfi_dataset_fini.
 * Cost: at its peak the file's size and 8 bytes for each value. */
cf_status cfi_csv_load(const cfi_data_settings *settings, cfi_dataset *dataset_out, cf_error *error)
    __attribute__((warn_unused_result));

/* The same for texts in memory. */
cf_status cfi_csv_parse(const cfi_data_settings *settings, cfi_csv_text train, cfi_csv_text test,
                        cfi_dataset *dataset_out, cf_error *error) __attribute__((warn_unused_result));

#endif
