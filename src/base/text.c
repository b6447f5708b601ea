#include "base/text.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"

void cfi_text_fini(cfi_text *text)
{
    cfi_free(text->data);
    memset(text, 0, sizeof *text);
}

/* Makes room for `more` bytes and the NUL; false (with text->status set) when it cannot. */
static bool reserve(cfi_text *text, size_t more)
{
    const size_t length_max = text->length_max != 0 ? text->length_max : CFI_TEXT_LENGTH_MAX;
    if (text->status != CF_OK) {
        return false;
    }
    if (more > length_max || text->length > length_max - more) {
        text->status = CF_E_LIMIT;
        return false;
    }
    const size_t need = text->length + more + 1;
    if (need <= text->capacity) {
        return true;
    }
    const size_t capacity = need < 128 ? 256 : need * 2;
    char *data = cfi_realloc(text->data, capacity, 1);
    if (data == NULL) {
        text->status = CF_E_MEMORY;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void cfi_text_add_bytes(cfi_text *text, const char *bytes, size_t length)
{
    if (reserve(text, length)) {
        if (length > 0) {
            memcpy(text->data + text->length, bytes, length);
        }
        text->length += length;
        text->data[text->length] = '\0';
    }
}

void cfi_text_add(cfi_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !reserve(text, (size_t)length)) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

char *cfi_text_take(cfi_text *text)
{
    if (text->status == CF_OK && text->data == NULL) {
        cfi_text_add_bytes(text, "", 0);
    }
    char *data = text->status == CF_OK ? text->data : NULL;
    if (data != NULL) {
        text->data = NULL;
    }
    cfi_text_fini(text);
    return data;
}

bool cfi_copy_name(char *target, size_t size, const char *source)
{
    const size_t length = strlen(source);
    const size_t copied = length < size ? length : size - 1;
    memcpy(target, source, copied);
    target[copied] = '\0';
    return copied == length;
}

size_t cfi_edit_distance(const char *left, const char *right)
{
    enum { LENGTH_MAX = 64 };
    const size_t left_length = strlen(left), right_length = strlen(right);
    if (left_length > LENGTH_MAX || right_length > LENGTH_MAX) {
        return SIZE_MAX;
    }
    size_t row[LENGTH_MAX + 1];
    for (size_t j = 0; j <= right_length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= left_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= right_length; j++) {
            const size_t above = row[j];
            size_t best = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[right_length];
}
