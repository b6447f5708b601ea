/* Both lines of the control protocol. What is read must fit its bounds and be the same when printed and read again. */
#include <stdio.h>
#include <string.h>

#include "node/control_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_true)
{
    if (!is_true) {
        __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cfi_control_line line, again;
    size_t used = 0, used_again = 0, body_size = 0;
    bool is_ok = false;
    const char *text = (const char *)data;
    if (cfi_control_line_read(text, size, &line, &used, NULL) == CF_OK && used > 0) {
        char printed[CFI_CONTROL_LINE_MAX + 1];
        const int length = snprintf(printed, sizeof printed, "%s %s %zu\n", line.operation, line.argument,
                                    line.body_size);
        check(used <= size && (size_t)length == used && memcmp(printed, text, used) == 0);
        check(cfi_control_line_read(printed, used, &again, &used_again, NULL) == CF_OK && used_again == used);
        check(line.body_size <= CFI_CONTROL_REQUEST_BODY_MAX);
    }
    if (cfi_control_answer_read(text, size, &is_ok, &body_size, &used, NULL) == CF_OK) {
        check(used <= size);
    }
    return 0;
}
