/* JSON on stdout: one object, one line. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>

/* A number, or null for one that is not finite. */
json_t *cli_json_number(double number);

/* Prints the object as one line and frees it; NULL is short memory. Returns the exit code. */
int cli_json_print(json_t *object);

#endif
