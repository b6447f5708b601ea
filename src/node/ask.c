/* Questions to the network on the control socket: `infer` becomes an INFER event of the source's machine, whose tag is
 * the number of the connection that waits. How many may wait is bounded by the connections, and by the machine, which
 * answers one too many with nothing at once; a client that has gone is not found when its answer comes. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "node/host.h"

enum { DIGITS_MAX = 9 };

static cf_status read_rows(const cfi_node_host *host, const char *text, int64_t *rows_out, cf_error *error)
{
    const size_t digits = strspn(text, "0123456789");
    const int64_t rows = digits > 0 && digits <= DIGITS_MAX && text[digits] == '\0' ? strtoll(text, NULL, 10) : 0;
    if (rows < 1 || rows > host->cluster.work.batch) {
        return cfi_fail(error, CF_E_USAGE, "'%.20s' samples: 1 to %lld (training.batch) can be asked about at once",
                        text, (long long)host->cluster.work.batch);
    }
    *rows_out = rows;
    return CF_OK;
}

cf_status cfi_host_infer(cfi_node_host *host, const cfi_control_request *request, cf_error *error)
{
    const int at = host->wanted_plan == 0 ? host->unit_at[CFI_UNIT_INDEX_SOURCE] : -1;
    const size_t size = request->line->body_size;
    int64_t rows = 0;
    if (at < 0) {
        return cfi_fail(error, CF_E_UNSUPPORTED, "%s does not host the source, or changes its plan just now",
                        host->options.container);
    }
    cfi_machine_status status;
    cfi_machine_status_get(host->units[at].machine, &status);
    if (status.has_failed) { /* it would never answer */
        return cfi_fail(error, CF_E_UNSUPPORTED, "the source has failed: %s", status.text);
    }
    CFI_TRY(read_rows(host, request->line->argument, &rows, error));
    if (size != (size_t)(rows * host->dataset.features) * sizeof(float)) {
        return cfi_fail(error, CF_E_SHAPE, "%zu bytes: %lld samples of %lld values have %zu", size, (long long)rows,
                        (long long)host->dataset.features, (size_t)(rows * host->dataset.features) * sizeof(float));
    }
    float *samples = cfi_calloc(size, 1);
    if (samples == NULL) {
        return cfi_fail_memory(error, "a question");
    }
    memcpy(samples, request->body, size);
    const cfi_machine_event event = {.kind = CFI_MACHINE_INFER, .samples = samples, .rows = rows,
                                     .tag = request->connection};
    *request->is_later = true; /* before the step: the machine may answer within it */
    cfi_host_step(host, &host->units[at], &event);
    cfi_free(samples);
    return CF_OK;
}

void cfi_host_answer(cfi_node_host *host, cfi_action *action)
{
    cfi_control_server_answer(host->control, action->tag, (char *)action->bytes, action->size);
    action->bytes = NULL;
}
