#include "data/csv_reader.h"

#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"

#define COLUMN_COUNT_MAX ((int64_t)CFI_FEATURE_COUNT_MAX + 1) /* the features and the label */

void cfi_csv_reader_init(cfi_csv_reader *reader, const char *path, char *bytes, size_t size)
{
    memset(reader, 0, sizeof *reader);
    const bool marked = size >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0;
    reader->path = path;
    reader->next = bytes + (marked ? 3 : 0);
    reader->end = bytes + size;
    reader->line_start = reader->next;
    reader->line = 1;
}

void cfi_csv_reader_fini(cfi_csv_reader *reader)
{
    cfi_free(reader->fields);
    memset(reader, 0, sizeof *reader);
}

static cf_status fail_at(const cfi_csv_reader *reader, const char *place, const char *text, cf_error *error)
{
    return cfi_fail(error, CF_E_DATA, "%s:%lld:%lld: %s", reader->path, (long long)reader->line,
                    (long long)(place - reader->line_start) + 1, text);
}

/* A new field of the current row, starting at reader->next. */
static cf_status add_field(cfi_csv_reader *reader, cfi_csv_field **field_out, cf_error *error)
{
    if (reader->field_count == COLUMN_COUNT_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "%s:%lld: more columns than the limit of %lld", reader->path,
                        (long long)reader->line, (long long)COLUMN_COUNT_MAX);
    }
    if (reader->field_count == reader->field_capacity) {
        const int64_t capacity = reader->field_capacity == 0 ? 16 : 2 * reader->field_capacity;
        cfi_csv_field *fields = cfi_realloc(reader->fields, (size_t)capacity, sizeof *fields);
        if (fields == NULL) {
            return cfi_fail(error, CF_E_MEMORY, "%s: out of memory for the columns", reader->path);
        }
        reader->fields = fields;
        reader->field_capacity = capacity;
    }
    *field_out = &reader->fields[reader->field_count++];
    **field_out = (cfi_csv_field){reader->next, reader->line, reader->next - reader->line_start + 1};
    return CF_OK;
}

static void skip_blanks(cfi_csv_reader *reader)
{
    while (*reader->next == ' ' || *reader->next == '\t') { /* the NUL at the end stops this */
        reader->next++;
    }
}

/* Is `place` at the end of a row: LF, CRLF, or the end of the file? */
static bool ends_row(const cfi_csv_reader *reader, const char *place)
{
    return place == reader->end || *place == '\n' || (*place == '\r' && place + 1 < reader->end && place[1] == '\n');
}

/* Text up to the next comma or the end of the row; *end_out is one past its last character that is not blank. */
static cf_status take_plain(cfi_csv_reader *reader, char **end_out, cf_error *error)
{
    char *last = reader->next;
    char *place = reader->next;
    for (; !ends_row(reader, place) && *place != ','; place++) {
        if (*place == '"') {
            return fail_at(reader, place, "a quote inside a field that does not start with one", error);
        }
        if (*place == '\0' || *place == '\r') {
            return fail_at(reader, place, *place == '\0' ? "a NUL byte" : "a carriage return inside a line", error);
        }
        last = *place == ' ' || *place == '\t' ? last : place + 1;
    }
    reader->next = place;
    *end_out = last;
    return CF_OK;
}

/* Unquotes in place; *end_out is one past the last character of the shorter text. */
static cf_status take_quoted(cfi_csv_reader *reader, char **end_out, cf_error *error)
{
    const int64_t line = reader->line, column = reader->next - reader->line_start + 1;
    char *target = reader->next;
    char *place = reader->next + 1;
    for (;; place++) {
        if (place == reader->end) {
            return cfi_fail(error, CF_E_DATA, "%s:%lld:%lld: the quote opened here is not closed", reader->path,
                            (long long)line, (long long)column);
        }
        if (*place == '\0') {
            return fail_at(reader, place, "a NUL byte", error);
        }
        if (*place == '"') {
            if (place[1] != '"') {
                break;
            }
            place++;
        }
        *target++ = *place;
        if (*place == '\n') {
            reader->line++;
            reader->line_start = place + 1;
        }
    }
    reader->next = place + 1;
    skip_blanks(reader);
    if (!ends_row(reader, reader->next) && *reader->next != ',') {
        return fail_at(reader, reader->next, "text after the closing quote", error);
    }
    *end_out = target;
    return CF_OK;
}

/* One field and the comma after it; *last_out when the row ends here instead. */
static cf_status take_field(cfi_csv_reader *reader, bool *last_out, cf_error *error)
{
    cfi_csv_field *field;
    char *end = reader->next;
    skip_blanks(reader);
    CFI_TRY(add_field(reader, &field, error));
    CFI_TRY(*reader->next == '"' ? take_quoted(reader, &end, error) : take_plain(reader, &end, error));
    *last_out = *reader->next != ',' || reader->next == reader->end;
    if (reader->next < reader->end) {
        reader->next += *reader->next == '\r' ? 2 : 1;
        if (*last_out) {
            reader->line++;
            reader->line_start = reader->next;
        }
    }
    *end = '\0'; /* only now: it may lie on the comma just read */
    return CF_OK;
}

cf_status cfi_csv_reader_next(cfi_csv_reader *reader, bool *found_out, cf_error *error)
{
    reader->field_count = 0;
    if (reader->next == reader->end) {
        *found_out = false;
        return CF_OK;
    }
    if (ends_row(reader, reader->next)) {
        return fail_at(reader, reader->next, "an empty line", error);
    }
    bool last = false;
    while (!last) {
        CFI_TRY(take_field(reader, &last, error));
    }
    *found_out = true;
    return CF_OK;
}
