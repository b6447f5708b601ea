/* The list of mistakes of one run: each with its place, the key's path and a text. */
#ifndef CFI_CONFIG_PROBLEMS_H
#define CFI_CONFIG_PROBLEMS_H

#include "config/settings.h"

typedef struct cfi_problem {
    char *file;    /* owned; as given on the command line */
    cfi_mark mark; /* line 0: not at one place            */
    char *path;    /* owned; of the key, may be ""        */
    char *text;    /* owned                               */
} cfi_problem;

/* Zero-initialise. At most CFI_PROBLEM_COUNT_MAX are kept; cfi_problems_sort says how many were left out. */
typedef struct cfi_problems {
    cfi_problem *items;
    size_t count, capacity;
    size_t left_out;
    cf_status status; /* CF_E_MEMORY once one could not be kept */
} cfi_problems;

/* Adds one. file, path and the text are copied. */
void cfi_problems_add(cfi_problems *problems, const char *file, cfi_mark mark, const char *path,
                      const char *format, ...) CFI_PRINTF(5, 6);

/* File order (file, line, column; the order of adding where these agree), and a last item "and N more". Call
 * it when all are in. */
void cfi_problems_sort(cfi_problems *problems);

/* Fills `error` with the first problem as FILE:LINE:COLUMN: PATH: TEXT and the number of the others; returns
 * CF_E_CONFIG, CF_E_MEMORY when adding had failed, or CF_OK when there are none. */
cf_status cfi_problems_status(const cfi_problems *problems, cf_error *error);

void cfi_problems_fini(cfi_problems *problems); /* NULL-safe; leaves it empty */

/* Copies `text` for a message: control characters become '?', more than about 40 characters end in "...". */
#define CFI_SHOWN_SIZE 192
void cfi_problems_show(char shown[CFI_SHOWN_SIZE], const char *text);

#endif
