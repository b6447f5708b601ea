/* What a node reads at its start, and the machines and volumes made of it. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "config/config.h"
#include "node/host.h"

enum { PLAN_SIZE_MAX = 64 << 20 };

static void count_problem(void *user, cfi_mark mark, const char *path, const char *text)
{
    cf_error *error = user;
    if (error->text[0] == '\0') {
        cfi_fail(error, CF_E_CONFIG, "network.yaml:%d:%d: %s: %s", mark.line, mark.column, path, text);
    }
}

static cf_status read_network(cfi_node_host *host, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX];
    const char *file = path;
    cfi_problems problems = {0};
    cf_error first = {0};
    int64_t shape[3] = {0, 0, 0}, classes = 0;
    CFI_TRY(cfi_host_path(host, path, sizeof path, "network.yaml", error));
    const cfi_config_sources sources = {.files = &file, .file_count = 1};
    const cf_status status = cfi_config_load(&sources, &host->settings, &problems, error);
    cfi_problems_fini(&problems);
    CFI_TRY(status);
    CFI_TRY(cfi_dataset_shape(&host->settings.data, shape, &classes, error));
    const cfi_shape input = {shape[0], shape[1], shape[2]};
    const cf_status built =
        cfi_graph_build(&host->settings, input, classes, count_problem, &first, &host->graph, error);
    if (built == CF_E_CONFIG && error != NULL) {
        *error = first;
    }
    return built;
}

static cf_status read_plan(cfi_node_host *host, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX], *text = NULL;
    size_t size = 0;
    CFI_TRY(cfi_host_path(host, path, sizeof path, "plan.json", error));
    CFI_TRY(cfi_file_read(path, PLAN_SIZE_MAX, &text, &size, error));
    const cf_status status = cfi_cluster_parse(text, size, &host->cluster, error);
    cfi_free(text);
    if (status != CF_OK) {
        cfi_error_prefix(error, "%s", path);
    }
    return status;
}

cf_status cfi_host_read(cfi_node_host *host, cf_error *error)
{
    CFI_TRY(read_network(host, error));
    CFI_TRY(read_plan(host, error));
    host->container = cfi_cluster_find_container(&host->cluster, host->options.container);
    if (host->container < 0) {
        return cfi_fail(error, CF_E_CANCELLED, "plan %u has no container '%s'", host->cluster.id,
                        host->options.container);
    }
    return CF_OK;
}

int cfi_host_writes_max(const cfi_node_host *host)
{
    const cfi_work *work = &host->cluster.work;
    const int64_t each = work->persist_every > 0 ? work->window / work->persist_every + 3 : 3;
    const int64_t all = each * host->cluster.unit_count + 16;
    return all > INT16_MAX ? INT16_MAX : (int)all;
}

/* ---- Making ---- */

static bool is_power_safe(const cfi_node_host *host)
{
    return host->settings.running.durability == CFI_DURABILITY_POWER;
}

static cf_status store_name(const cfi_node_host *host, const char **name_out, cf_error *error)
{
    const char *chosen = host->options.store;
    switch (host->settings.running.store) {
    case CFI_STORE_KIND_LMDB:
        chosen = chosen != NULL ? chosen : "lmdb";
        break;
    case CFI_STORE_KIND_MEMORY:
        chosen = chosen != NULL ? chosen : "memory";
        break;
    case CFI_STORE_KIND_DYNAMODB:
        break;
    }
    if (chosen == NULL) {
        return cfi_fail(error, CF_E_UNSUPPORTED, "'store: dynamodb' is not available yet in this version (use: lmdb)");
    }
    *name_out = chosen;
    return CF_OK;
}

static cf_status open_volume(cfi_node_host *host, cfi_host_unit *unit, cf_error *error)
{
    const char *name = host->cluster.units[unit->index].name;
    char folder[CFI_CONTAINER_NAME_SIZE + 16], file[CFI_UNIT_NAME_SIZE + 8], path[CFI_PATH_SIZE_MAX];
    char whole[CFI_PATH_SIZE_MAX];
    if (cfi_machine_record_size(unit->machine) == 0) {
        return CF_OK;
    }
    snprintf(folder, sizeof folder, "volumes/%s", host->options.container);
    CFI_TRY(cfi_host_path(host, path, sizeof path, folder, error));
    CFI_TRY(cfi_folder_make(path, error));
    snprintf(file, sizeof file, "%s.wal", name);
    CFI_TRY(cfi_path_join(whole, sizeof whole, path, file, error));
    const cfi_volume_options options = {
        .disk = cfi_disk_posix(), .path = whole, .run = {host->cluster.run[0], host->cluster.run[1]}, .unit = name,
        .record_size = cfi_machine_record_size(unit->machine),
        .slot_count = cfi_machine_record_slots(unit->machine), .power_safe = is_power_safe(host)};
    return cfi_volume_open(&options, &unit->volume, error);
}

static cf_status make_unit(cfi_node_host *host, int index, cf_error *error)
{
    const bool is_source = host->cluster.units[index].kind == CFI_UNIT_SOURCE;
    if (is_source && !host->has_dataset) {
        CFI_TRY(cfi_dataset_load(&host->settings.data, &host->dataset, error));
        host->has_dataset = true;
    }
    const cfi_machine_options options = {.settings = &host->settings, .graph = &host->graph,
                                         .cluster = &host->cluster, .unit = index,
                                         .compute = host->options.compute,
                                         .dataset = is_source ? &host->dataset : NULL};
    host->unit_at[index] = host->unit_count;
    cfi_host_unit *unit = &host->units[host->unit_count++];
    unit->index = index;
    CFI_TRY(cfi_machine_new(&options, &unit->machine, error));
    return open_volume(host, unit, error);
}

static cf_status open_store(cfi_node_host *host, cf_error *error)
{
    const char *name = NULL;
    char folder[CFI_CONTAINER_NAME_SIZE + 16], path[CFI_PATH_SIZE_MAX];
    snprintf(folder, sizeof folder, "volumes/%s/store", host->options.container);
    CFI_TRY(cfi_host_path(host, path, sizeof path, folder, error));
    CFI_TRY(cfi_folder_make(path, error));
    CFI_TRY(store_name(host, &name, error));
    const cfi_store_options options = {.folder = path, .size_max = host->settings.running.store_size,
                                       .power_safe = is_power_safe(host)};
    CFI_TRY(cfi_store_open(name, &options, &host->store, error));
    host->server = (cfi_store_server){
        .store = host->store, .generation = host->options.boot, .unit = CFI_UNIT_INDEX_STORE};
    host->has_store = true;
    return CF_OK;
}

static cf_status make_tables(cfi_node_host *host, cf_error *error)
{
    const cfi_cluster *cluster = &host->cluster;
    host->units = cfi_calloc((size_t)cluster->unit_count, sizeof *host->units);
    host->unit_at = cfi_calloc((size_t)cluster->unit_count, sizeof *host->unit_at);
    host->peer_of = cfi_calloc((size_t)cluster->container_count, sizeof *host->peer_of);
    host->sent_at = cfi_calloc((size_t)cluster->container_count, sizeof *host->sent_at);
    if (host->units == NULL || host->unit_at == NULL || host->peer_of == NULL || host->sent_at == NULL) {
        return cfi_fail_memory(error, "the units");
    }
    for (int u = 0; u < cluster->unit_count; u++) {
        host->unit_at[u] = -1;
    }
    for (int c = 0; c < cluster->container_count; c++) {
        host->peer_of[c] = -1;
    }
    return CF_OK;
}

cf_status cfi_host_populate(cfi_node_host *host, cf_error *error)
{
    const cfi_cluster *cluster = &host->cluster;
    CFI_TRY(make_tables(host, error));
    for (int u = 0; u < cluster->unit_count; u++) {
        if (cluster->units[u].container != host->container) {
            continue;
        }
        if (cluster->units[u].kind != CFI_UNIT_STORE) {
            CFI_TRY(make_unit(host, u, error));
        } else if (!host->has_store) { /* it serves on through a change of plan */
            CFI_TRY(open_store(host, error));
        }
    }
    return CF_OK;
}

void cfi_host_start_units(cfi_node_host *host)
{
    for (int u = 0; u < host->unit_count; u++) {
        cfi_host_unit *unit = &host->units[u];
        cfi_machine_event event = {.kind = CFI_MACHINE_START, .boot = host->options.boot + host->plans_started};
        if (unit->volume != NULL) {
            event.records = cfi_volume_records(unit->volume, &event.record_count);
        }
        cfi_host_step(host, unit, &event);
        if (unit->volume != NULL) {
            cfi_volume_forget(unit->volume);
        }
    }
    host->plans_started++;
    cfi_host_trim();
}

void cfi_host_clear_units(cfi_node_host *host)
{
    for (int u = 0; u < host->unit_count; u++) {
        cfi_machine_free(host->units[u].machine);
        cfi_volume_close(host->units[u].volume);
    }
    cfi_free(host->units);
    cfi_free(host->unit_at);
    cfi_free(host->peer_of);
    cfi_free(host->sent_at);
    host->units = NULL;
    host->unit_at = host->peer_of = NULL;
    host->sent_at = NULL;
    host->unit_count = 0;
    cfi_host_clear_arrivals(host);
    if (host->control != NULL) {
        cfi_control_server_answer_all(host->control); /* the machine that had the questions is gone */
    }
}
