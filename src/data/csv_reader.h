/* Rows and fields of comma-separated text (RFC 4180), taken apart in place. One owner, not thread-safe. */
#ifndef CFI_DATA_CSV_READER_H
#define CFI_DATA_CSV_READER_H

#include "base/status.h"

typedef struct cfi_csv_field {
    char *text;   /* NUL-terminated, unquoted, without blanks around it; lives in the caller's bytes */
    int64_t line; /* where it starts, both from 1; the column counts bytes */
    int64_t column;
} cfi_csv_field;

typedef struct cfi_csv_reader {
    const char *path; /* for messages */
    char *next, *end, *line_start;
    int64_t line;
    cfi_csv_field *fields; /* of the current row; owned */
    int64_t field_count, field_capacity;
} cfi_csv_reader;

/* bytes: `size` bytes and a NUL after them, borrowed until the last use of any field, changed while reading. A byte
 * order mark is skipped. Free with cfi_csv_reader_fini. */
void cfi_csv_reader_init(cfi_csv_reader *reader, const char *path, char *bytes, size_t size);
void cfi_csv_reader_fini(cfi_csv_reader *reader);

/* Reads the next row into reader->fields; *found_out is false at the end. Rows end with LF or CRLF, the last may end
 * with the file; quoted fields may hold commas, newlines and doubled quotes. Errors: CF_E_DATA as
 * "file:line:column: ...", CF_E_LIMIT, CF_E_MEMORY. */
cf_status cfi_csv_reader_next(cfi_csv_reader *reader, bool *found_out, cf_error *error)
    __attribute__((warn_unused_result));

#endif
