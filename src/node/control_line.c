#include "node/control_line.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "node/control.h"

enum { NUMBER_DIGITS_MAX = 12 };

static bool is_word_byte(char byte)
{
    return byte > ' ' && byte <= '~';
}

/* Copies the word at `at` up to `end_byte`; the place after that byte, or NULL. */
static const char *read_word(const char *at, const char *end, char end_byte, char *word, size_t word_size)
{
    size_t length = 0;
    while (at + length < end && is_word_byte(at[length])) {
        length++;
    }
    if (length == 0 || length >= word_size || at + length == end || at[length] != end_byte) {
        return NULL;
    }
    memcpy(word, at, length);
    word[length] = '\0';
    return at + length + 1;
}

static bool read_number(const char *word, size_t limit, size_t *number_out)
{
    size_t number = 0;
    if (word[0] == '\0' || (word[0] == '0' && word[1] != '\0') || strlen(word) > NUMBER_DIGITS_MAX) {
        return false;
    }
    for (const char *digit = word; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9') {
            return false;
        }
        number = number * 10 + (size_t)(*digit - '0');
    }
    if (number > limit) {
        return false;
    }
    *number_out = number;
    return true;
}

/* CF_OK with *end_out NULL: more bytes are needed. */
static cf_status find_end(const char *bytes, size_t size, const char **end_out, cf_error *error)
{
    const size_t seen = size < CFI_CONTROL_LINE_MAX ? size : CFI_CONTROL_LINE_MAX;
    const char *newline = seen > 0 ? memchr(bytes, '\n', seen) : NULL;
    if (newline == NULL && size >= CFI_CONTROL_LINE_MAX) {
        return cfi_fail(error, CF_E_DATA, "the first line is longer than %d bytes", CFI_CONTROL_LINE_MAX);
    }
    *end_out = newline != NULL ? newline + 1 : NULL;
    return CF_OK;
}

cf_status cfi_control_line_read(const char *bytes, size_t size, cfi_control_line *line_out, size_t *used_out,
                                cf_error *error)
{
    cfi_control_line line = {.body_size = 0};
    char number[NUMBER_DIGITS_MAX + 2];
    const char *end = NULL;
    CFI_TRY(find_end(bytes, size, &end, error));
    if (end == NULL) {
        *used_out = 0;
        return CF_OK;
    }
    const char *at = read_word(bytes, end, ' ', line.operation, sizeof line.operation);
    at = at != NULL ? read_word(at, end, ' ', line.argument, sizeof line.argument) : NULL;
    at = at != NULL ? read_word(at, end, '\n', number, sizeof number) : NULL;
    if (at != end || !read_number(number, CFI_CONTROL_REQUEST_BODY_MAX, &line.body_size)) {
        return cfi_fail(error, CF_E_DATA, "not a request: it is a line 'OPERATION ARGUMENT LENGTH'");
    }
    *line_out = line;
    *used_out = (size_t)(end - bytes);
    return CF_OK;
}

cf_status cfi_control_answer_read(const char *bytes, size_t size, bool *is_ok_out, size_t *body_size_out,
                                  size_t *used_out, cf_error *error)
{
    char word[8], number[NUMBER_DIGITS_MAX + 2];
    const char *end = NULL;
    size_t body_size = 0;
    CFI_TRY(find_end(bytes, size, &end, error));
    if (end == NULL) {
        *used_out = 0;
        return CF_OK;
    }
    const char *at = read_word(bytes, end, ' ', word, sizeof word);
    at = at != NULL ? read_word(at, end, '\n', number, sizeof number) : NULL;
    const bool is_ok = at != NULL && strcmp(word, "ok") == 0;
    if (at != end || (!is_ok && strcmp(word, "error") != 0) || !read_number(number, CFI_CONTROL_BODY_MAX, &body_size)) {
        return cfi_fail(error, CF_E_DATA, "not an answer: it is a line 'ok LENGTH' or 'error LENGTH'");
    }
    *is_ok_out = is_ok;
    *body_size_out = body_size;
    *used_out = (size_t)(end - bytes);
    return CF_OK;
}

cf_status cfi_control_address(const char *path, struct sockaddr_un *address_out, cf_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t length = strlen(path);
    if (length >= sizeof address.sun_path) {
        return cfi_fail(error, CF_E_LIMIT, "%.100s...: a socket's path ends at %zu bytes", path,
                        sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, length + 1);
    *address_out = address;
    return CF_OK;
}
