/* A growing text buffer with a stated maximum, and small string helpers. Not thread-safe: one owner. */
#ifndef CFI_BASE_TEXT_H
#define CFI_BASE_TEXT_H

#include "base/status.h"

typedef struct cfi_text {
    char *data;      /* NUL-terminated once anything was added; NULL before */
    size_t length;   /* bytes without the NUL */
    size_t capacity;
    size_t length_max; /* adding beyond fails with CF_E_LIMIT; 0 means CFI_TEXT_LENGTH_MAX */
    cf_status status;  /* first failure; later adds do nothing, so a caller may check once at the end */
} cfi_text;

void cfi_text_fini(cfi_text *text);
void cfi_text_add(cfi_text *text, const char *format, ...) CFI_PRINTF(2, 3);
void cfi_text_add_bytes(cfi_text *text, const char *bytes, size_t length);

/* Hands over the buffer (free with cfi_free); NULL when an add failed. The buffer is empty afterwards. */
char *cfi_text_take(cfi_text *text);

/* Copies at most size-1 bytes and always terminates. Returns false when `source` did not fit. */
bool cfi_copy_name(char *target, size_t size, const char *source);

/* Edit distance (Levenshtein) between two short names; for "did you mean". Names over 64 bytes: a large number. */
size_t cfi_edit_distance(const char *left, const char *right);

#endif
