#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/cli.h"

char *cli_number_grouped(char *text, int64_t number)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%" PRId64, number);
    const size_t length = strlen(digits);
    const size_t sign = digits[0] == '-' ? 1 : 0;
    size_t to = 0;
    for (size_t from = 0; from < length; from++) {
        if (from > sign && (length - from) % 3 == 0) {
            text[to++] = ',';
        }
        text[to++] = digits[from];
    }
    text[to] = '\0';
    return text;
}

char *cli_number_short(char *text, double number)
{
    static const char units[] = {'\0', 'k', 'M', 'G', 'T', 'P'};
    size_t unit = 0;
    if (isnan(number)) {
        snprintf(text, CLI_NUMBER_SIZE, "-");
        return text;
    }
    while (number >= 999.5 && unit + 1 < sizeof units) {
        number /= 1000.0;
        unit++;
    }
    const int decimals = unit == 0 && number == floor(number) ? 0 : number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
    const int length = snprintf(text, CLI_NUMBER_SIZE - 1, "%.*f", decimals, number);
    if (units[unit] != '\0') {
        text[length] = units[unit];
        text[length + 1] = '\0';
    }
    return text;
}

char *cli_number_bytes(char *text, int64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double number = (double)bytes;
    size_t unit = 0;
    while (number >= 1024.0 && unit + 1 < sizeof units / sizeof units[0]) {
        number /= 1024.0;
        unit++;
    }
    snprintf(text, CLI_NUMBER_SIZE, "%.*f %s", unit == 0 || number >= 99.95 ? 0 : 1, number, units[unit]);
    return text;
}

char *cli_number_seconds(char *text, double seconds)
{
    if (isnan(seconds) || seconds < 0.0 || seconds > 1e9) {
        snprintf(text, CLI_NUMBER_SIZE, "-");
    } else if (seconds < 0.9995e-3) {
        snprintf(text, CLI_NUMBER_SIZE, "%.0f us", seconds * 1e6);
    } else if (seconds < 0.9995) {
        snprintf(text, CLI_NUMBER_SIZE, "%.*f ms", seconds < 0.1 ? 2 : 0, seconds * 1e3);
    } else if (seconds < 59.95) {
        snprintf(text, CLI_NUMBER_SIZE, "%.1f s", seconds);
    } else {
        const int64_t whole = (int64_t)(seconds + 0.5);
        if (whole < 3600) {
            snprintf(text, CLI_NUMBER_SIZE, "%" PRId64 "m %02" PRId64 "s", whole / 60, whole % 60);
        } else {
            snprintf(text, CLI_NUMBER_SIZE, "%" PRId64 "h %02" PRId64 "m", whole / 3600, whole / 60 % 60);
        }
    }
    return text;
}

char *cli_number_percent(char *text, double share)
{
    if (isnan(share)) {
        snprintf(text, CLI_NUMBER_SIZE, "-");
    } else {
        snprintf(text, CLI_NUMBER_SIZE, "%.2f %%", share * 100.0);
    }
    return text;
}
