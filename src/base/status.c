#include "base/status.h"

#include <stdio.h>
#include <string.h>

const char *cf_status_text(cf_status status)
{
    switch (status) {
#define STATUS_CASE(name, number, text) \
    case CF_##name:                     \
        return text;
        CF_STATUS_MAP(STATUS_CASE)
#undef STATUS_CASE
    }
    return "unknown status";
}

cf_status cfi_fail(cf_error *error, cf_status code, const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        error->code = code;
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return code;
}

cf_status cfi_fail_errno(cf_error *error, cf_status code, int number, const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        error->code = code;
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
        char reason[128] = "unknown reason";
        if (strerror_r(number, reason, sizeof reason) != 0) {
            snprintf(reason, sizeof reason, "errno %d", number);
        }
        const size_t length = strlen(error->text);
        snprintf(error->text + length, sizeof error->text - length, ": %s", reason);
    }
    return code;
}

void cfi_error_prefix(cf_error *error, const char *format, ...)
{
    if (error == NULL) {
        return;
    }
    char before[CF_ERROR_TEXT_SIZE];
    memcpy(before, error->text, sizeof before);
    before[sizeof before - 1] = '\0';
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    const size_t length = strlen(error->text);
    /* A prefix that leaves no room cuts the older text: the place matters more than its detail. */
    snprintf(error->text + length, sizeof error->text - length, ": %.*s",
             (int)(sizeof error->text - length - 3 < sizeof before ? sizeof error->text - length - 3
                                                                  : sizeof before),
             before);
}

cf_status cfi_fail_memory(cf_error *error, const char *what)
{
    return cfi_fail(error, CF_E_MEMORY, "out of memory for %s", what);
}
