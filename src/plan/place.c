/* Constraints on hosts, and the way in; the search itself is schedule.c. */
#include "plan/place.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "data/dataset.h"
#include "plan/cost.h"
#include "plan/cut.h"
#include "plan/schedule.h"

#define ALLOWED_COUNT_MAX (INT64_C(100) << 20) /* containers times hosts */

/* ---- Where containers may run ---- */

typedef struct wish {
    const char *what, *value; /* "zone", "b" */
} wish;

static bool host_has_label(const cfi_host *host, const char *label)
{
    for (int i = 0; i < host->label_count; i++) {
        if (strcmp(host->labels[i].text, label) == 0) {
            return true;
        }
    }
    return false;
}

static bool host_suits(const cfi_host *host, const cfi_hint *hint)
{
    return (hint->zone[0] == '\0' || strcmp(hint->zone, host->zone) == 0) &&
           (hint->host[0] == '\0' || strcmp(hint->host, host->name) == 0) &&
           (hint->label[0] == '\0' || host_has_label(host, hint->label));
}

/* "zone 'b'" of a hint, or the first of several. */
static wish hint_wish(const cfi_hint *hint)
{
    return hint->zone[0] != '\0'   ? (wish){"zone", hint->zone}
           : hint->host[0] != '\0' ? (wish){"host", hint->host}
                                   : (wish){"label", hint->label};
}

static cf_status fail_hint(const cfi_placement_settings *placement, int index, const char *container, cf_error *error)
{
    const cfi_hint *hint = &placement->hints[index];
    const wish w = hint_wish(hint);
    const char *kind = hint->kind == CFI_HINT_LAYER ? "layer" : "neuron";
    for (int i = 0; i < placement->host_count; i++) {
        if (host_suits(&placement->hosts[i], hint)) {
            return cfi_fail(error, CF_E_CONFIG,
                            "hint %d: %s '%s' wants %s '%s', but other hints keep the container '%s', which holds "
                            "it, from every such host",
                            index + 1, kind, hint->who, w.what, w.value, container);
        }
    }
    return cfi_fail(error, CF_E_CONFIG, "hint %d: %s '%s' wants %s '%s', no host of %s '%s'", index + 1, kind,
                    hint->who, w.what, w.value, w.what, w.value);
}

/* Takes away the hosts that do not suit; whether some stay. */
static bool narrow(const cfi_placement_settings *placement, const cfi_hint *hint, bool *allowed)
{
    bool any = false;
    for (int i = 0; i < placement->host_count; i++) {
        allowed[i] = allowed[i] && host_suits(&placement->hosts[i], hint);
        any = any || allowed[i];
    }
    return any;
}

/* Without a list of hosts the wishes go along with the container: whoever runs it knows its hosts. */
static cf_status hand_on(cfi_container *container, const cfi_hint *hint, int index, cf_error *error)
{
    const struct {
        const char *what, *value;
        char *field;
    } wishes[] = {{"zone", hint->zone, container->zone}, {"host", hint->host, container->host}};
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        if (wishes[i].value[0] != '\0' && wishes[i].field[0] != '\0' &&
            strcmp(wishes[i].field, wishes[i].value) != 0) {
            return cfi_fail(error, CF_E_CONFIG,
                            "hint %d: '%s' wants %s '%s', but its container '%s' is wanted in %s '%s'", index + 1,
                            hint->who, wishes[i].what, wishes[i].value, container->name, wishes[i].what,
                            wishes[i].field);
        }
        if (wishes[i].value[0] != '\0') {
            (void)cfi_copy_name(wishes[i].field, CFI_NAME_SIZE_MAX, wishes[i].value);
        }
    }
    return CF_OK;
}

/* Lays one hint over the containers; allowed NULL: there are no hosts to choose from. */
static cf_status apply_hint(const cfi_cluster_options *options, cfi_cluster *cluster, int index, bool *allowed,
                            cf_error *error)
{
    const cfi_placement_settings *placement = &options->settings->placement;
    const cfi_hint *hint = &placement->hints[index];
    int first, last;
    if ((hint->kind != CFI_HINT_LAYER && hint->kind != CFI_HINT_NEURON) ||
        !cfi_cut_member(cluster, options->graph, hint->who, &first, &last)) {
        return CF_OK;
    }
    for (int unit = first; unit <= last; unit++) {
        cfi_container *container = &cluster->containers[cluster->units[unit].container];
        if (allowed == NULL) {
            CFI_TRY(hand_on(container, hint, index, error));
        } else if (!narrow(placement, hint,
                           allowed + (size_t)cluster->units[unit].container * (size_t)placement->host_count)) {
            return fail_hint(placement, index, container->name, error);
        }
    }
    return CF_OK;
}

static cf_status apply_hints(const cfi_cluster_options *options, cfi_cluster *cluster, bool *allowed, cf_error *error)
{
    for (int i = 0; i < options->settings->placement.hint_count; i++) {
        CFI_TRY(apply_hint(options, cluster, i, allowed, error));
    }
    return CF_OK;
}

/* What even an empty host lacks. */
static cf_status check_sizes(const cfi_placement_settings *placement, const cfi_cluster *cluster, bool *allowed,
                             cf_error *error)
{
    for (int i = 0; i < cluster->container_count; i++) {
        const cfi_container *container = &cluster->containers[i];
        const cfi_host *tried = NULL;
        bool any = false;
        for (int j = 0; j < placement->host_count; j++) {
            const cfi_host *host = &placement->hosts[j];
            bool *may = &allowed[(size_t)i * (size_t)placement->host_count + (size_t)j];
            tried = *may && (tried == NULL || host->memory > tried->memory) ? host : tried;
            *may = *may && (host->memory == 0 || container->memory <= host->memory) &&
                   (host->cpu <= 0 || container->cpu <= host->cpu);
            any = any || *may;
        }
        if (!any && tried->memory > 0 && container->memory > tried->memory) {
            return cfi_fail(error, CF_E_CONFIG,
                            "memory of container '%s' %" PRId64 " MiB > host '%s' %" PRId64
                            " MiB: cut finer, or lower neuron_types' memory",
                            container->name, container->memory >> 20, tried->name, tried->memory >> 20);
        }
        if (!any) {
            return cfi_fail(error, CF_E_CONFIG,
                            "cpu of container '%s' %g cores > host '%s' %g: cut finer, or lower neuron_types' cpu",
                            container->name, container->cpu, tried->name, tried->cpu);
        }
    }
    return CF_OK;
}

static cf_status choose_hosts(const cfi_cluster_options *options, cfi_cluster *cluster, bool *allowed, int *hosts,
                              cf_error *error)
{
    const cfi_placement_settings *placement = &options->settings->placement;
    CFI_TRY(apply_hints(options, cluster, allowed, error));
    CFI_TRY(check_sizes(placement, cluster, allowed, error));
    const cfi_schedule schedule = {.settings = options->settings, .graph = options->graph, .cluster = cluster,
                                   .allowed = allowed, .hosts = placement->hosts,
                                   .host_count = placement->host_count};
    CFI_TRY(cfi_schedule_solve(&schedule, options->algorithm, hosts, error));
    for (int i = 0; i < cluster->container_count; i++) {
        const cfi_host *host = &placement->hosts[hosts[i]];
        (void)cfi_copy_name(cluster->containers[i].host, sizeof cluster->containers[i].host, host->name);
        (void)cfi_copy_name(cluster->containers[i].zone, sizeof cluster->containers[i].zone, host->zone);
    }
    return CF_OK;
}

static cf_status place(const cfi_cluster_options *options, cfi_cluster *cluster, cf_error *error)
{
    const int64_t hosts = options->settings->placement.host_count, containers = cluster->container_count;
    if (hosts == 0) {
        return apply_hints(options, cluster, NULL, error);
    }
    if (hosts * containers > ALLOWED_COUNT_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "%" PRId64 " containers on %" PRId64 " hosts are too many to choose from",
                        containers, hosts);
    }
    cf_status status = CF_E_MEMORY;
    bool *allowed = cfi_calloc((size_t)(hosts * containers), sizeof *allowed);
    int *chosen = cfi_calloc((size_t)containers, sizeof *chosen);
    if (allowed == NULL || chosen == NULL) {
        status = cfi_fail_memory(error, "the placement");
    } else {
        memset(allowed, true, (size_t)(hosts * containers) * sizeof *allowed);
        status = choose_hosts(options, cluster, allowed, chosen, error);
    }
    cfi_free(allowed);
    cfi_free(chosen);
    return status;
}

/* ---- The order of work, and the plan before ---- */

static cf_status fill_work(const cfi_cluster_options *options, cfi_work *work, cf_error *error)
{
    const cfi_settings *settings = options->settings;
    const cfi_training_settings *training = &settings->training;
    cfi_batches batches;
    CFI_TRY(cfi_batches_init(&batches, settings->seed, options->train_count, settings->data.validation, training->batch,
                             training->drop_last, error));
    *work = (cfi_work){.train_count = batches.train_count,
                       .validation_count = batches.validation_count,
                       .test_count = options->test_count,
                       .batch = training->batch,
                       .sample_grain = training->sample_grain,
                       .micro_batches = training->micro_batches,
                       .drop_last = training->drop_last,
                       .steps_per_epoch = batches.steps_per_epoch,
                       .step_count = options->steps >= 0 ? options->steps
                                                         : training->epochs * batches.steps_per_epoch,
                       .chain_every = training->chain_every};
    return CF_OK;
}

static bool is_same_network(const cfi_cluster *left, const cfi_cluster *right)
{
    bool same = left->stage_count == right->stage_count;
    for (int i = 0; same && i < left->stage_count; i++) {
        const cfi_stage *a = &left->stages[i], *b = &right->stages[i];
        same = a->neurons == b->neurons && a->grain == b->grain && a->inputs == b->inputs && a->outputs == b->outputs;
    }
    return same;
}

static cf_status follow(const cfi_cluster *before, cfi_cluster *cluster, cf_error *error)
{
    if (!is_same_network(before, cluster)) {
        return cfi_fail(error, CF_E_USAGE, "plan %u is of another network: its layers differ", before->id);
    }
    const int count = before->unit_count - CFI_UNIT_INDEX_SHARDS;
    cluster->earlier = cfi_calloc((size_t)count, sizeof *cluster->earlier);
    if (cluster->earlier == NULL) {
        return cfi_fail_memory(error, "the plan's earlier shards");
    }
    cluster->id = before->id + 1;
    memcpy(cluster->run, before->run, sizeof cluster->run);
    cluster->digest = before->digest;
    cluster->earlier_count = count;
    for (int i = 0; i < count; i++) {
        const cfi_unit *unit = &before->units[CFI_UNIT_INDEX_SHARDS + i];
        cluster->earlier[i] = (cfi_earlier){unit->stage, unit->begin, unit->end};
    }
    return CF_OK;
}

static cf_status plan(const cfi_cluster_options *options, cfi_cluster *cluster, cf_error *error)
{
    cluster->id = 1;
    (void)cfi_copy_name(cluster->name, sizeof cluster->name, options->settings->name);
    CFI_TRY(fill_work(options, &cluster->work, error));
    CFI_TRY(cfi_cut(options, cluster, error));
    if (options->before != NULL) {
        CFI_TRY(follow(options->before, cluster, error));
    }
    CFI_TRY(cfi_cut_join(options, cluster, error));
    CFI_TRY(place(options, cluster, error));
    return cfi_cost_window(options->settings, options->graph, cluster, error);
}

cf_status cfi_cluster_plan(const cfi_cluster_options *options, cfi_cluster *cluster_out, cf_error *error)
{
    cfi_cluster cluster;
    memset(&cluster, 0, sizeof cluster);
    const cf_status status = plan(options, &cluster, error);
    if (status != CF_OK) {
        cfi_cluster_fini(&cluster);
        return status;
    }
    *cluster_out = cluster;
    return CF_OK;
}
