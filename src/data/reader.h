/* Bytes from a file or from memory, plain or gzipped (told apart by the gzip magic), in one forward pass.
 *
 * Nothing is buffered but one block of input, so a caller can stream a data set straight into its final array.
 * Not thread-safe: one owner. */
#ifndef CFI_DATA_READER_H
#define CFI_DATA_READER_H

#include <zlib.h>

#include "base/status.h"

typedef struct cfi_reader {
    const char *name;      /* for messages; borrowed until close                                         */
    int file;              /* -1: from memory                                                            */
    const uint8_t *memory; /* next byte of memory not yet taken into `block`                             */
    size_t memory_left;
    uint8_t *block;        /* owned; BLOCK_SIZE bytes of input                                           */
    size_t block_used, block_filled;
    bool gzip, stream_ended;
    z_stream stream;       /* with gzip                                                                  */
    int64_t content_max;   /* plain: the exact size of the content; gzip: the most it can expand to      */
    int64_t offset;        /* content bytes delivered so far                                             */
} cfi_reader;

/* Opens a regular file. Errors: CF_E_NOT_FOUND, CF_E_IO, CF_E_MEMORY; then nothing has to be closed. */
cf_status cfi_reader_open(cfi_reader *reader, const char *path, cf_error *error) __attribute__((warn_unused_result));

/* As cfi_reader_open for `size` bytes in memory, borrowed until close. */
cf_status cfi_reader_open_memory(cfi_reader *reader, const char *name, const void *bytes, size_t size,
                                 cf_error *error) __attribute__((warn_unused_result));

/* Fills `target` with up to `size` bytes; *got_out is smaller only at the end of the content. CF_E_DATA when the
 * gzip data is damaged or cut short (checksum included), CF_E_IO when reading fails. */
cf_status cfi_reader_read(cfi_reader *reader, void *target, size_t size, size_t *got_out, cf_error *error)
    __attribute__((warn_unused_result));

void cfi_reader_close(cfi_reader *reader);

#endif
