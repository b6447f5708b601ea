/* The supervisor's answer to "status", as reports. */
#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "orchestrator/local/local.h"

static cf_status state_of(const char *word, cfi_container_state *state_out, cf_error *error)
{
    static const char *const words[] = {
        [CFI_CONTAINER_STARTING] = "starting", [CFI_CONTAINER_RUNNING] = "running",
        [CFI_CONTAINER_WAITING] = "waiting", [CFI_CONTAINER_STOPPED] = "stopped", [CFI_CONTAINER_GONE] = "gone"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], word) == 0) {
            *state_out = (cfi_container_state)i;
            return CF_OK;
        }
    }
    if (strcmp(word, "ending") == 0) { /* as wished; it is started again when it is wished back */
        *state_out = CFI_CONTAINER_WAITING;
        return CF_OK;
    }
    return cfi_fail(error, CF_E_DATA, "the supervisor's status has an unknown state '%.40s'", word);
}

static cf_status read_one(json_t *object, cfi_container_report *report, cf_error *error)
{
    const char *name = NULL, *state = NULL, *reason = "";
    json_int_t pid = 0, restarts = 0;
    if (json_unpack(object, "{s:s, s:s, s?I, s?I, s?s}", "name", &name, "state", &state, "pid", &pid, "restarts",
                    &restarts, "reason", &reason) != 0 ||
        !cfi_copy_name(report->name, sizeof report->name, name) || pid < 0) {
        return cfi_fail(error, CF_E_DATA, "the supervisor's status cannot be read");
    }
    report->pid = pid;
    report->restarts = restarts;
    (void)cfi_copy_name(report->reason, sizeof report->reason, reason); /* a long one is cut */
    return state_of(state, &report->state, error);
}

static cf_status read_all(json_t *containers, cfi_container_report **reports_out, int *count_out, cf_error *error)
{
    const size_t count = json_array_size(containers);
    if (!json_is_array(containers) || count > CFI_UNIT_COUNT_MAX) {
        return cfi_fail(error, CF_E_DATA, "the supervisor's status names no containers");
    }
    cfi_container_report *reports = cfi_calloc(count, sizeof *reports);
    if (reports == NULL) {
        return cfi_fail_memory(error, "the list of containers");
    }
    for (size_t i = 0; i < count; i++) {
        const cf_status status = read_one(json_array_get(containers, i), &reports[i], error);
        if (status != CF_OK) {
            cfi_free(reports);
            return status;
        }
    }
    *reports_out = reports;
    *count_out = (int)count;
    return CF_OK;
}

cf_status cfi_local_report_parse(const char *text, size_t size, cfi_container_report **reports_out, int *count_out,
                                 cf_error *error)
{
    json_error_t problem;
    json_t *root = json_loadb(text, size, 0, &problem);
    if (root == NULL) {
        return cfi_fail(error, CF_E_DATA, "the supervisor's status is not JSON: %s", problem.text);
    }
    const cf_status status = read_all(json_object_get(root, "containers"), reports_out, count_out, error);
    json_decref(root);
    return status;
}
