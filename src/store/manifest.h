/* The manifest of one checkpoint: progress, sizes and checksums of its files, and a checksum of itself, so that a
 * single wrong bit anywhere in a checkpoint is seen. Text in, text out; no files here. docs/format/checkpoint.md. */
#ifndef CFI_STORE_MANIFEST_H
#define CFI_STORE_MANIFEST_H

#include "store/checkpoint.h"

#define CFI_MANIFEST_SIZE_MAX 65536u /* bytes */

/* One file beside the manifest. */
typedef struct cfi_manifest_file {
    bool present;
    int64_t size;   /* bytes */
    cfi_hash hash;  /* XXH3-128 of the whole file */
} cfi_manifest_file;

typedef struct cfi_manifest {
    cfi_progress progress;
    cfi_manifest_file weights; /* always present */
    cfi_manifest_file state;   /* optimizer state; absent when there is none */
} cfi_manifest;

/* *text_out: the manifest's bytes; free with cfi_free. CF_E_MEMORY. */
cf_status cfi_manifest_encode(const cfi_manifest *manifest, char **text_out, cf_error *error)
    __attribute__((warn_unused_result));

/* CF_E_DATA when `text` is torn, changed or of another version; CF_E_MEMORY. */
cf_status cfi_manifest_decode(const char *text, size_t size, cfi_manifest *manifest_out, cf_error *error)
    __attribute__((warn_unused_result));

#endif
