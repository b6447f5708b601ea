/* The loop of a node: what wakes it, and how it ends. */
#include "node/host.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "config/config.h"
#include "node/hook.h"

enum { KEYS_SIZE_MAX = 256, DRAIN_SECONDS_MAX = 10 };

cf_status cfi_host_path(const cfi_node_host *host, char *path, size_t size, const char *name, cf_error *error)
{
    return cfi_path_join(path, size, host->options.folder, name, error);
}

void cfi_host_end(cfi_node_host *host, int exit_code)
{
    if (!host->is_ending) {
        host->is_ending = true;
        host->exit_code = exit_code;
        uv_stop(&host->loop);
    }
}

/* ---- What wakes the loop ---- */

/* Work is done on both sides of the poll: sending may use up the edge of a transport's descriptor, so that what came
 * meanwhile must be looked for before the loop sleeps again. */
static void before_poll(uv_prepare_t *handle)
{
    cfi_host_turn(handle->data);
}

static void after_poll(uv_check_t *handle)
{
    cfi_host_turn(handle->data);
}

static void transport_readable(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)status;
    (void)events; /* after_poll takes what is there */
}

static void tick(uv_timer_t *timer)
{
    cfi_node_host *host = timer->data;
    const cfi_machine_event event = {.kind = CFI_MACHINE_TICK};
    cfi_host_log_tick(host);
    if (host->wanted_plan != 0) {
        cfi_host_fetch_plan(host);
        return;
    }
    cfi_host_watch_head(host);
    for (int u = 0; u < host->unit_count; u++) {
        cfi_host_step(host, &host->units[u], &event);
    }
}

static void writes_done(uv_async_t *async)
{
    cfi_node_host *host = async->data;
    cfi_io_job job;
    while (!host->is_ending && cfi_io_take_done(host->io, &job)) {
        if (job.status != CF_OK) {
            /* Another start may heal it, with another file or more room; going on with this one cannot. */
            cfi_host_log(host, "%s: volume: %s", host->cluster.units[job.unit].name, job.text);
            cfi_host_end(host, CFI_NODE_FAILED);
            return;
        }
        const cfi_machine_event event = {.kind = CFI_MACHINE_PERSISTED, .step = job.step, .status = job.status};
        cfi_host_step(host, &host->units[host->unit_at[job.unit]], &event);
    }
}

static void wake_for_writes(void *user)
{
    cfi_node_host *host = user;
    uv_async_send(&host->written);
}

static void asked_to_end(uv_async_t *async)
{
    cfi_host_end(async->data, CFI_NODE_STOPPED);
}

static void signalled(uv_signal_t *signal, int number)
{
    (void)number;
    alarm(DRAIN_SECONDS_MAX); /* writing what is due must not hang for ever on a disk */
    cfi_host_end(signal->data, CFI_NODE_STOPPED);
}

void cfi_host_stop(cfi_node_host *host)
{
    uv_async_send(&host->stopping);
}

static int init_handles(cfi_node_host *host)
{
    uv_loop_t *loop = &host->loop;
    int code = uv_loop_init(loop);
    if (code != 0) {
        return code;
    }
    host->has_loop = true;
    uv_prepare_init(loop, &host->before_poll);
    uv_check_init(loop, &host->after_poll);
    uv_idle_init(loop, &host->busy);
    uv_timer_init(loop, &host->ticker);
    code = uv_async_init(loop, &host->written, writes_done);
    code = code == 0 ? uv_async_init(loop, &host->stopping, asked_to_end) : code;
    if (code == 0 && host->options.handles_signals) {
        uv_signal_init(loop, &host->ending);
        host->ending.data = host;
        code = uv_signal_start(&host->ending, signalled, SIGTERM);
    }
    host->before_poll.data = host->after_poll.data = host->busy.data = host->ticker.data = host;
    host->written.data = host->stopping.data = host;
    return code;
}

static cf_status watch_transport(cfi_node_host *host, cf_error *error)
{
    int descriptors[CFI_TRANSPORT_DESCRIPTORS_MAX];
    const int count = host->transport.ops->descriptors(host->transport.self, descriptors);
    for (int i = 0; i < count; i++) {
        int code = uv_poll_init(&host->loop, &host->polls[i], descriptors[i]);
        code = code == 0 ? uv_poll_start(&host->polls[i], UV_READABLE, transport_readable) : code;
        if (code != 0) {
            return cfi_fail(error, CF_E_IO, "watching its queue: %s", uv_strerror(code));
        }
    }
    host->poll_count = count;
    return CF_OK;
}

/* ---- Opening ---- */

/* Two lines, public key and secret key. */
static cf_status read_keys(const cfi_node_host *host, cfi_transport_keys *keys, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX], *text = NULL;
    size_t size = 0;
    CFI_TRY(cfi_host_path(host, path, sizeof path, "keys", error));
    if (!cfi_file_exists(path)) {
        return CF_OK;
    }
    CFI_TRY(cfi_file_read(path, KEYS_SIZE_MAX, &text, &size, error));
    const size_t length = CFI_CURVE_KEY_SIZE - 1;
    const bool is_good = size >= 2 * length + 1 && text[length] == '\n' &&
                         (size == 2 * length + 1 || text[2 * length + 1] == '\n');
    if (is_good) {
        memcpy(keys->public_key, text, length);
        memcpy(keys->secret_key, text + length + 1, length);
        keys->present = true;
    }
    memset(text, 0, size);
    cfi_free(text);
    return is_good ? CF_OK : cfi_fail(error, CF_E_DATA, "%s: not a file of keys (start the run anew)", path);
}

static cf_status open_transport(cfi_node_host *host, cf_error *error)
{
    const char *endpoint = host->cluster.containers[host->container].endpoint;
    const bool is_inproc = strncmp(endpoint, "inproc://", strlen("inproc://")) == 0;
    const char *name = host->options.transport != NULL ? host->options.transport : is_inproc ? "inproc" : "zeromq";
    cfi_transport_options options = {.endpoint = endpoint};
    CFI_TRY(read_keys(host, &options.keys, error));
    if (strncmp(endpoint, "tcp://", strlen("tcp://")) == 0 && !options.keys.present) {
        return cfi_fail(error, CF_E_NOT_FOUND,
                        "the run's keys are missing (start the run anew): tcp is always encrypted");
    }
    const cf_status status = cfi_transport_open(name, &options, &host->transport, error);
    memset(&options.keys, 0, sizeof options.keys);
    CFI_TRY(status);
    return cfi_hook_transport(host->options.container, &host->transport, error);
}

static cf_status open_control(cfi_node_host *host, cf_error *error)
{
    char name[CFI_CONTAINER_NAME_SIZE + 8], path[CFI_PATH_SIZE_MAX];
    snprintf(name, sizeof name, "c/%s", host->options.container);
    CFI_TRY(cfi_host_path(host, path, sizeof path, name, error));
    return cfi_control_server_open(&host->loop, path, cfi_host_control, host, &host->control, error);
}

static cf_status open_all(cfi_node_host *host, cf_error *error)
{
    const int code = init_handles(host);
    if (code != 0) {
        return cfi_fail(error, CF_E_IO, "the event loop: %s", uv_strerror(code));
    }
    CFI_TRY(cfi_host_read(host, error));
    CFI_TRY(open_control(host, error));
    CFI_TRY(open_transport(host, error));
    CFI_TRY(watch_transport(host, error));
    CFI_TRY(cfi_io_new(cfi_host_writes_max(host), wake_for_writes, host, &host->io, error));
    return cfi_host_populate(host, error);
}

cf_status cfi_host_new(const cfi_host_options *options, cfi_node_host **host_out, cf_error *error)
{
    cfi_node_host *host = cfi_calloc(1, sizeof *host);
    if (host == NULL) {
        return cfi_fail_memory(error, "the node");
    }
    host->options = *options;
    host->container = -1;
    const cf_status status = open_all(host, error);
    if (status != CF_OK) {
        cfi_host_free(host);
        return status;
    }
    *host_out = host;
    return CF_OK;
}

int cfi_host_run(cfi_node_host *host)
{
    uv_prepare_start(&host->before_poll, before_poll);
    uv_check_start(&host->after_poll, after_poll);
    uv_timer_start(&host->ticker, tick, CFI_TICK_MS, CFI_TICK_MS);
    cfi_host_start_units(host);
    while (!host->is_ending) {
        uv_run(&host->loop, UV_RUN_DEFAULT);
    }
    cfi_io_wait(host->io); /* what is due is written */
    cfi_host_log_flush(host);
    return host->exit_code;
}

static void close_handle(uv_handle_t *handle, void *user)
{
    (void)user;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void cfi_host_free(cfi_node_host *host)
{
    if (host == NULL) {
        return;
    }
    cfi_io_free(host->io);
    host->io = NULL;
    cfi_host_clear_units(host);
    if (host->has_loop) {
        cfi_control_server_close(host->control);
        uv_walk(&host->loop, close_handle, NULL);
        while (uv_run(&host->loop, UV_RUN_DEFAULT) != 0) {
        }
        uv_loop_close(&host->loop);
    }
    cfi_transport_close(&host->transport);
    cfi_store_close(&host->store);
    cfi_actions_fini(&host->actions);
    cfi_free(host->arrivals);
    cfi_free(host->peers);
    if (host->has_dataset) {
        cfi_dataset_fini(&host->dataset);
    }
    cfi_cluster_fini(&host->asker_plan);
    cfi_cluster_fini(&host->cluster);
    cfi_graph_fini(&host->graph);
    cfi_settings_fini(&host->settings);
    cfi_free(host);
}
