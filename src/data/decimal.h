/* Decimal text -> double, strictly and the same under every locale. Pure, any thread. */
#ifndef CFI_DATA_DECIMAL_H
#define CFI_DATA_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

#define CFI_QUOTE_SIZE 40

/* The whole of `text` must be [+-] digits [. digits] [e [+-] digits] with at least one digit before the exponent (no
 * spaces, hexadecimal, nan or inf). *value_out is correctly rounded, infinite when too large for a double. */
bool cfi_decimal_parse(const char *text, double *value_out);

/* Is it a spelling of "not a number" or infinity: [+-] nan, inf, infinity, na, n/a, null, in any case? */
bool cfi_decimal_is_not_finite(const char *text);

/* At most 32 printable characters of `text` for a message, "..." when it is longer. Returns `quote`. */
const char *cfi_quote(const char *text, char quote[CFI_QUOTE_SIZE]);

#endif
