#include "engine/line.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void add_bytes(cfi_line *line, const char *bytes, size_t size)
{
    /* Two bytes are kept for the end. */
    if (line->overflow || size > sizeof line->text - 3 - line->length) {
        line->overflow = true;
        return;
    }
    memcpy(line->text + line->length, bytes, size);
    line->length += size;
    line->text[line->length] = '\0';
}

static void add_quoted(cfi_line *line, const char *value)
{
    add_bytes(line, "\"", 1);
    for (const char *at = value; *at != '\0'; at++) {
        char escaped[8];
        const unsigned char byte = (unsigned char)*at;
        if (byte == '"' || byte == '\\' || byte < 0x20) {
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)byte);
            add_bytes(line, escaped, 6);
        } else {
            add_bytes(line, at, 1);
        }
    }
    add_bytes(line, "\"", 1);
}

static void add_key(cfi_line *line, const char *key)
{
    add_bytes(line, line->length == 0 ? "{" : ", ", line->length == 0 ? 1 : 2);
    add_quoted(line, key);
    add_bytes(line, ": ", 2);
}

void cfi_line_integer(cfi_line *line, const char *key, int64_t value)
{
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%" PRId64, value);
    add_key(line, key);
    add_bytes(line, digits, (size_t)length);
}

/* Writes `value`, with '.' for whatever the program's locale calls the decimal point. */
static void add_real(cfi_line *line, double value)
{
    char digits[48];
    snprintf(digits, sizeof digits, "%.9g", value);
    bool in_point = false;
    for (const char *at = digits; *at != '\0'; at++) {
        const bool plain = strchr("0123456789+-e", *at) != NULL;
        if (plain) {
            add_bytes(line, at, 1);
        } else if (!in_point) {
            add_bytes(line, ".", 1);
        }
        in_point = !plain;
    }
}

void cfi_line_real(cfi_line *line, const char *key, double value)
{
    if (isfinite(value)) {
        add_key(line, key);
        add_real(line, value);
    }
}

void cfi_line_text(cfi_line *line, const char *key, const char *value)
{
    add_key(line, key);
    add_quoted(line, value);
}

void cfi_line_end(cfi_line *line)
{
    const char *end = line->length == 0 ? "{}\n" : "}\n";
    memcpy(line->text + line->length, end, strlen(end) + 1);
    line->length += strlen(end);
}
