/* What a node answers on its control socket. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "node/host.h"

enum { ROLLUP_SIZE = 2048 };

/* The number behind "NAME:" in /proc/self/smaps_rollup, in bytes; 0 where the kernel has none. */
static int64_t rollup_bytes(const char *rollup, const char *name)
{
    const char *at = strstr(rollup, name);
    long long kib = 0;
    return at != NULL && sscanf(at + strlen(name), " %lld", &kib) == 1 ? (int64_t)kib * 1024 : 0;
}

static void add_memory(json_t *root)
{
    char rollup[ROLLUP_SIZE] = "";
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    if (file != NULL) {
        const size_t size = fread(rollup, 1, sizeof rollup - 1, file);
        rollup[size] = '\0';
        fclose(file);
    }
    json_object_set_new(root, "rss_bytes", json_integer(rollup_bytes(rollup, "\nRss:")));
    json_object_set_new(root, "pss_bytes", json_integer(rollup_bytes(rollup, "\nPss:")));
}

static void set_real(json_t *object, const char *key, double value)
{
    if (isfinite(value)) {
        json_object_set_new(object, key, json_real(value));
    }
}

static void set_count(json_t *object, const char *key, uint64_t count)
{
    json_object_set_new(object, key, json_integer((json_int_t)count));
}

static const char *kind_name(cfi_unit_kind kind)
{
    static const char *const names[] = {"controller", "store", "source", "loss", "shard"};
    return names[kind];
}

static void add_waiting(json_t *object, const cfi_node_host *host, const cfi_machine_status *status)
{
    const bool is_waiting = status->waiting_for >= 0 && status->waiting_for < host->cluster.unit_count;
    json_object_set_new(object, "waiting_for",
                        is_waiting ? json_string(host->cluster.units[status->waiting_for].name) : json_null());
    json_object_set_new(object, "waiting_kind", json_string(status->waiting_kind));
    json_object_set_new(object, "waiting_ms", json_integer(status->waiting_ticks * CFI_TICK_MS));
}

static void add_results(json_t *object, const cfi_machine_status *status)
{
    set_real(object, "loss", status->loss);
    set_real(object, "accuracy", status->accuracy);
    set_real(object, "validation_loss", status->validation_loss);
    set_real(object, "validation_accuracy", status->validation_accuracy);
    set_real(object, "test_loss", status->test_loss);
    set_real(object, "test_accuracy", status->test_accuracy);
    json_object_set_new(object, "samples", json_integer(status->samples));
    json_object_set_new(object, "stopped_early", json_boolean(status->stopped_early));
    json_object_set_new(object, "chain", json_string(status->chain));
}

static json_t *unit_json(const cfi_node_host *host, const cfi_host_unit *unit)
{
    cfi_machine_status status;
    cfi_machine_status_get(unit->machine, &status);
    const cfi_unit *planned = &host->cluster.units[unit->index];
    json_t *object = json_object();
    json_object_set_new(object, "name", json_string(planned->name));
    json_object_set_new(object, "kind", json_string(kind_name(planned->kind)));
    json_object_set_new(object, "phase", json_string(status.phase));
    json_object_set_new(object, "step", json_integer(status.step));
    json_object_set_new(object, "head", json_integer(status.head));
    set_count(object, "incarnation", status.incarnation);
    json_object_set_new(object, "inbox", json_integer(status.inbox_frames));
    json_object_set_new(object, "outbox", json_integer(status.outbox_frames));
    json_object_set_new(object, "outbox_bytes", json_integer(status.outbox_bytes));
    add_waiting(object, host, &status);
    json_object_set_new(object, "finished", json_boolean(status.is_finished));
    json_object_set_new(object, "failed", json_boolean(status.has_failed));
    json_object_set_new(object, "text", json_string(status.text));
    set_count(object, "duplicates", status.duplicates);
    set_count(object, "stale", status.stale);
    set_count(object, "refused", status.refused);
    set_count(object, "needs", status.needs_sent);
    set_count(object, "replayed", status.replayed);
    set_count(object, "steps", status.steps_done);
    add_results(object, &status);
    return object;
}

static json_t *transport_json(const cfi_node_host *host)
{
    cfi_transport_counts counts = {0};
    json_t *object = json_object();
    host->transport.ops->counts(host->transport.self, &counts);
    set_count(object, "sent", counts.sent);
    set_count(object, "received", counts.received);
    set_count(object, "dropped", counts.dropped);
    set_count(object, "bytes_sent", counts.bytes_sent);
    set_count(object, "bytes_received", counts.bytes_received);
    set_count(object, "refused", counts.refused);
    set_count(object, "foreign", host->counts.foreign);
    set_count(object, "misdirected", host->counts.misdirected);
    set_count(object, "unsent", host->counts.unsent);
    return object;
}

static json_t *store_json(const cfi_node_host *host)
{
    json_t *object = json_object();
    set_count(object, "requests", host->server.requests);
    set_count(object, "stale", host->server.stale);
    set_count(object, "diverged", host->server.diverged);
    set_count(object, "failed", host->server.failed);
    set_count(object, "malformed", host->counts.malformed);
    return object;
}

/* `text` in memory of the house, which the answer is freed with. */
static cf_status take_dump(json_t *root, char **answer_out, size_t *size_out, cf_error *error)
{
    const size_t size = json_dumpb(root, NULL, 0, JSON_COMPACT);
    char *text = size > 0 ? cfi_calloc(size + 1, 1) : NULL;
    if (text == NULL) {
        return cfi_fail_memory(error, "the status");
    }
    json_dumpb(root, text, size, JSON_COMPACT);
    *answer_out = text;
    *size_out = size;
    return CF_OK;
}

static cf_status answer_status(const cfi_node_host *host, char **answer_out, size_t *size_out, cf_error *error)
{
    json_t *root = json_object(), *units = json_array();
    json_object_set_new(root, "container", json_string(host->options.container));
    json_object_set_new(root, "pid", json_integer(getpid()));
    add_memory(root);
    set_count(root, "plan", host->cluster.id);
    for (int u = 0; u < host->unit_count; u++) {
        json_array_append_new(units, unit_json(host, &host->units[u]));
    }
    json_object_set_new(root, "units", units);
    json_object_set_new(root, "transport", transport_json(host));
    if (host->has_store) {
        json_object_set_new(root, "store", store_json(host));
    }
    const cf_status status = take_dump(root, answer_out, size_out, error);
    json_decref(root);
    return status;
}

static cf_status needs_store(const cfi_node_host *host, cf_error *error)
{
    return host->has_store ? CF_OK : cfi_fail(error, CF_E_UNSUPPORTED, "%s does not host the store",
                                              host->options.container);
}

static cf_status answer_get(const cfi_node_host *host, const char *key, char **answer_out, size_t *size_out,
                            cf_error *error)
{
    const void *value = NULL;
    size_t size = 0;
    CFI_TRY(needs_store(host, error));
    CFI_TRY(host->store.ops->get(host->store.self, key, &value, &size, error));
    char *copy = cfi_calloc(size + 1, 1);
    if (copy == NULL) {
        return cfi_fail_memory(error, "a value of the store");
    }
    if (size > 0) {
        memcpy(copy, value, size);
    }
    *answer_out = copy;
    *size_out = size;
    return CF_OK;
}

static bool add_key(void *user, const char *key, size_t value_size)
{
    cfi_text *text = user;
    (void)value_size;
    cfi_text_add(text, "%s\n", key);
    return text->status == CF_OK;
}

static cf_status answer_list(const cfi_node_host *host, const char *prefix, char **answer_out, size_t *size_out,
                             cf_error *error)
{
    cfi_text text = {0};
    CFI_TRY(needs_store(host, error));
    cf_status status = host->store.ops->list(host->store.self, strcmp(prefix, "-") == 0 ? "" : prefix, add_key, &text,
                                             error);
    if (status == CF_OK && text.status != CF_OK) {
        status = cfi_fail(error, text.status, "the list of keys is too long");
    }
    if (status == CF_OK) {
        *size_out = text.length;
        *answer_out = cfi_text_take(&text); /* NULL for none, which is an answer of 0 bytes */
    }
    cfi_text_fini(&text);
    return status;
}

static cf_status answer_replan(cfi_node_host *host, const char *text, size_t size, char **answer_out, size_t *size_out,
                               cf_error *error)
{
    const int at = host->wanted_plan == 0 ? host->unit_at[CFI_UNIT_INDEX_CONTROLLER] : -1;
    cfi_cluster next;
    if (at < 0) {
        return cfi_fail(error, CF_E_UNSUPPORTED, "%s does not host the controller, or changes its plan just now",
                        host->options.container);
    }
    CFI_TRY(cfi_cluster_parse(text, size, &next, error));
    const uint32_t id = next.id;
    const bool is_ours = next.digest == host->cluster.digest;
    cfi_cluster_fini(&next);
    if (id != host->cluster.id + 1 || !is_ours) {
        return cfi_fail(error, CF_E_USAGE, "plan %u does not follow plan %u of this network", id, host->cluster.id);
    }
    const cfi_machine_event event = {.kind = CFI_MACHINE_REPLAN, .text = text, .text_size = size};
    cfi_host_step(host, &host->units[at], &event);
    *answer_out = NULL;
    *size_out = 0;
    return CF_OK;
}

cf_status cfi_host_control(void *user, const cfi_control_request *request, char **answer_out, size_t *size_out,
                           cf_error *error)
{
    cfi_node_host *host = user;
    const cfi_control_line *line = request->line;
    if (strcmp(line->operation, "infer") == 0) {
        return cfi_host_infer(host, request, error);
    }
    if (strcmp(line->operation, "replan") == 0) {
        return answer_replan(host, request->body, line->body_size, answer_out, size_out, error);
    }
    if (strcmp(line->operation, "status") == 0) {
        return answer_status(host, answer_out, size_out, error);
    }
    if (strcmp(line->operation, "get") == 0) {
        return answer_get(host, line->argument, answer_out, size_out, error);
    }
    if (strcmp(line->operation, "list") == 0) {
        return answer_list(host, line->argument, answer_out, size_out, error);
    }
    return cfi_fail(error, CF_E_USAGE, "no operation '%s': a node knows status, get, list, replan, infer",
                    line->operation);
}
