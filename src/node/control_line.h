/* The two lines of the control protocol (control.h), parsed in one place: by nodes, supervisor and command alike. */
#ifndef CFI_NODE_CONTROL_LINE_H
#define CFI_NODE_CONTROL_LINE_H

#include "store/store.h"

#define CFI_CONTROL_OPERATION_SIZE 16
#define CFI_CONTROL_LINE_MAX (CFI_CONTROL_OPERATION_SIZE + CFI_STORE_KEY_SIZE_MAX + 32) /* with its '\n' */
#define CFI_CONTROL_REQUEST_BODY_MAX ((size_t)64 << 20) /* a plan's text, samples; answers may be longer */

typedef struct cfi_control_line {
    char operation[CFI_CONTROL_OPERATION_SIZE];
    char argument[CFI_STORE_KEY_SIZE_MAX]; /* "-": none */
    size_t body_size;
} cfi_control_line;

/* Reads "OP ARGUMENT LENGTH\n". *used_out: bytes of the line with its end; 0 with CF_OK: the line is not whole yet.
 * CF_E_DATA: no such line can begin like this. */
cf_status cfi_control_line_read(const char *bytes, size_t size, cfi_control_line *line_out, size_t *used_out,
                                cf_error *error) __attribute__((warn_unused_result));

/* Reads "ok LENGTH\n" or "error LENGTH\n", likewise. */
cf_status cfi_control_answer_read(const char *bytes, size_t size, bool *is_ok_out, size_t *body_size_out,
                                  size_t *used_out, cf_error *error) __attribute__((warn_unused_result));

struct sockaddr_un;

/* Fills a socket's address. CF_E_LIMIT when the path is too long for one. */
cf_status cfi_control_address(const char *path, struct sockaddr_un *address_out, cf_error *error)
    __attribute__((warn_unused_result));

#endif
