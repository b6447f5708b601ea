/* One JSON object on one line, built without allocation and whatever the locale: metrics and small JSON files. */
#ifndef CFI_ENGINE_LINE_H
#define CFI_ENGINE_LINE_H

#include "base/status.h"

#define CFI_LINE_SIZE_MAX 8192

/* Begin with a zeroed struct; members are added in order; cfi_line_end closes it. What does not fit is left out and
 * `overflow` set (a defect: the lines here are far shorter). */
typedef struct cfi_line {
    char text[CFI_LINE_SIZE_MAX];
    size_t length;
    bool overflow;
} cfi_line;

void cfi_line_integer(cfi_line *line, const char *key, int64_t value);

/* Nine significant digits, which tell any two floats apart; a value that is not finite is left out. */
void cfi_line_real(cfi_line *line, const char *key, double value);
void cfi_line_text(cfi_line *line, const char *key, const char *value);
void cfi_line_end(cfi_line *line); /* adds "}" and a newline */

#endif
