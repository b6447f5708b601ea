#include "cli/json.h"

#include <math.h>
#include <stdlib.h>

#include "cli/cli.h"

json_t *cli_json_number(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

int cli_json_print(json_t *object)
{
    const int failed = object == NULL ? -1 : json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(object);
    if (failed != 0) {
        cli_complain("the JSON text could not be written");
        return CLI_FAILED;
    }
    putchar('\n');
    return CLI_DONE;
}
