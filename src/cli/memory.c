/* Memory for the command. The command has nothing to save when memory is short, so it says so and ends. */
#include <stdarg.h>
#include <stdlib.h>

#include "cli/cli.h"

static void *must_have(void *memory)
{
    if (memory == NULL) {
        fputs("cuttlefish: out of memory\n", stderr);
        exit(CLI_FAILED);
    }
    return memory;
}

void *cli_calloc(size_t count, size_t size)
{
    return must_have(calloc(count > 0 ? count : 1, size));
}

void *cli_grow(void *memory, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return must_have(NULL);
    }
    return must_have(realloc(memory, count * size));
}

char *cli_format(const char *format, ...)
{
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    const int length = vsnprintf(NULL, 0, format, list);
    va_end(list);
    char *text = must_have(length < 0 ? NULL : calloc((size_t)length + 1, 1));
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void cli_free(void *memory)
{
    free(memory);
}
