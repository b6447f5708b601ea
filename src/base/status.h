/* Status and error text for every room. The codes are public (cuttlefish.h); this adds what the rooms need.
 *
 * Convention: a function that can fail returns cf_status and takes `cf_error *error` last. `error` may be
 * NULL. Outputs (`*_out`) are untouched on failure. Callers prefix text on the way up with cfi_error_prefix. */
#ifndef CFI_BASE_STATUS_H
#define CFI_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuttlefish/cuttlefish.h"

#define CFI_PRINTF(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))

/* Returns from the calling function when `expr` is not CF_OK. */
#define CFI_TRY(expr)                 \
    do {                              \
        const cf_status try_ = (expr); \
        if (try_ != CF_OK) {          \
            return try_;              \
        }                             \
    } while (0)

/* Jumps to the label `done` with `status` set; the function has `cf_status status` and one `done:`. */
#define CFI_TRY_GOTO(expr)       \
    do {                         \
        status = (expr);         \
        if (status != CF_OK) {   \
            goto done;           \
        }                        \
    } while (0)

/* Fills `error` (may be NULL) and returns `code`, so that `return cfi_fail(...)` reads well. */
cf_status cfi_fail(cf_error *error, cf_status code, const char *format, ...) CFI_PRINTF(3, 4);

/* As cfi_fail, appending ": " and the text of errno `number`. */
cf_status cfi_fail_errno(cf_error *error, cf_status code, int number, const char *format, ...)
    CFI_PRINTF(4, 5);

/* Puts "<text>: " before what `error` says; returns `error->code` unchanged. NULL-safe. */
void cfi_error_prefix(cf_error *error, const char *format, ...) CFI_PRINTF(2, 3);

/* The usual out-of-memory failure; `what` names what was being allocated. */
cf_status cfi_fail_memory(cf_error *error, const char *what);

#endif
