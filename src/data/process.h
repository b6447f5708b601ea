/* Running one other program to its end. */
#ifndef CFI_DATA_PROCESS_H
#define CFI_DATA_PROCESS_H

#include "base/status.h"

/* Runs arguments[0] (looked up on PATH) with `arguments`, which end with NULL; no shell, no input; waits. Its output
 * and error output are kept only for the message of a failure, cut after a few hundred characters.
 * Errors: CF_E_NOT_FOUND when there is no such program, CF_E_IO when it cannot be run or does not exit with 0. */
cf_status cfi_process_run(char *const *arguments, cf_error *error) __attribute__((warn_unused_result));

#endif
