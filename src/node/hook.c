/* What the environment asks of a node's transport, for tests. */
#include "node/hook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "data/decimal.h"
#include "plan/cluster.h"

#define FAULTS_VARIABLE "CUTTLEFISH_FAULTS"
#define RECORD_VARIABLE "CUTTLEFISH_RECORD"

enum { PART_SIZE_MAX = 64, DELAY_CALLS_DEFAULT = 64, DELAY_CALLS_MAX = 1 << 20 };
static const double seed_end = 9007199254740992.0; /* 2^53: every whole number below has a double of its own */

static cf_status fail_part(const char *part, const char *problem, cf_error *error)
{
    char quote[CFI_QUOTE_SIZE];
    return cfi_fail(error, CF_E_USAGE,
                    FAULTS_VARIABLE ": '%s' %s (as in: drop=0.05,duplicate=0.05,reorder=0.05,delay=0.01,delay_calls=64,"
                                    "corrupt=0.001,seed=7)",
                    cfi_quote(part, quote), problem);
}

static cf_status take_whole(const char *part, double value, double end, uint64_t *number_out, cf_error *error)
{
    if (!(value >= 0 && value < end) || (double)(uint64_t)value < value) {
        return fail_part(part, "has no whole number in range", error);
    }
    *number_out = (uint64_t)value;
    return CF_OK;
}

/* One "name=number". */
static cf_status take_part(char *part, cfi_fault_options *options, cf_error *error)
{
    const struct {
        const char *name;
        double *field;
    } probabilities[] = {{"drop", &options->drop}, {"duplicate", &options->duplicate}, {"reorder", &options->reorder},
                         {"delay", &options->delay}, {"corrupt", &options->corrupt}};
    char name[PART_SIZE_MAX];
    const size_t length = strcspn(part, "=");
    double value = 0;
    uint64_t calls = 0;
    if (part[length] == '\0' || !cfi_decimal_parse(part + length + 1, &value)) {
        return fail_part(part, "is not NAME=NUMBER", error);
    }
    snprintf(name, sizeof name, "%.*s", (int)length, part);
    for (size_t i = 0; i < sizeof probabilities / sizeof probabilities[0]; i++) {
        if (strcmp(name, probabilities[i].name) == 0) {
            *probabilities[i].field = value;
            return value >= 0 && value <= 1 ? CF_OK : fail_part(part, "is not a probability, 0 to 1", error);
        }
    }
    if (strcmp(name, "seed") == 0) {
        return take_whole(part, value, seed_end, &options->seed, error);
    }
    if (strcmp(name, "delay_calls") == 0) {
        CFI_TRY(take_whole(part, value, DELAY_CALLS_MAX, &calls, error));
        options->delay_calls = (int)calls;
        return CF_OK;
    }
    return fail_part(part, "names no fault", error);
}

cf_status cfi_hook_parse_faults(const char *text, const char *container, cfi_fault_options *options_out,
                                cf_error *error)
{
    cfi_fault_options options = {.delay_calls = DELAY_CALLS_DEFAULT};
    for (const char *rest = text; rest != NULL;) {
        char part[PART_SIZE_MAX];
        const size_t length = strcspn(rest, ",");
        if (length >= sizeof part) {
            return fail_part(rest, "is too long", error);
        }
        snprintf(part, sizeof part, "%.*s", (int)length, rest);
        CFI_TRY(take_part(part, &options, error));
        rest = rest[length] == ',' ? rest + length + 1 : NULL;
    }
    options.seed ^= cfi_hash_bytes(container, strlen(container)).low;
    *options_out = options;
    return CF_OK;
}

static cf_status add_faults(const char *text, const char *container, cfi_transport *transport, cf_error *error)
{
    cfi_fault_options options;
    cfi_transport wrapped;
    CFI_TRY(cfi_hook_parse_faults(text, container, &options, error));
    CFI_TRY(cfi_transport_faulty(&options, *transport, &wrapped, error));
    *transport = wrapped;
    return CF_OK;
}

static cf_status add_record(const char *folder, const char *container, cfi_transport *transport, cf_error *error)
{
    char name[CFI_CONTAINER_NAME_SIZE + 8], path[CFI_PATH_SIZE_MAX];
    cfi_transport wrapped;
    snprintf(name, sizeof name, "%s.txt", container);
    CFI_TRY(cfi_folder_make(folder, error));
    CFI_TRY(cfi_path_join(path, sizeof path, folder, name, error));
    CFI_TRY(cfi_transport_record(path, *transport, &wrapped, error));
    *transport = wrapped;
    return CF_OK;
}

cf_status cfi_hook_transport(const char *container, cfi_transport *transport, cf_error *error)
{
    const char *faults = getenv(FAULTS_VARIABLE), *folder = getenv(RECORD_VARIABLE);
    if (faults != NULL && faults[0] != '\0') {
        CFI_TRY(add_faults(faults, container, transport, error));
    }
    if (folder != NULL && folder[0] != '\0') {
        CFI_TRY(add_record(folder, container, transport, error)); /* outermost: what the node itself sends and gets */
    }
    return CF_OK;
}
