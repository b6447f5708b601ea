/* Units -> containers: hints join, `apart` and `slots` refuse, and what comes out gets its name and needs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "plan/cut.h"

bool cfi_cut_member(const cfi_cluster *cluster, const cfi_graph *graph, const char *member, int *first_out,
                    int *last_out)
{
    const size_t length = strcspn(member, ".");
    const int64_t neuron = member[length] == '.' ? strtoll(member + length + 1, NULL, 10) : -1;
    if (strcmp(member, "source") == 0 || strcmp(member, "loss") == 0) {
        *first_out = *last_out = member[0] == 's' ? CFI_UNIT_INDEX_SOURCE : CFI_UNIT_INDEX_LOSS;
        return true;
    }
    for (int i = 0; i < cluster->stage_count; i++) {
        const cfi_stage *stage = &cluster->stages[i];
        const char *name = graph->layers[stage->layer].name;
        if (strncmp(name, member, length) != 0 || name[length] != '\0') {
            continue;
        }
        *first_out = stage->first_unit;
        *last_out = stage->first_unit + stage->unit_count - 1;
        while (neuron >= 0 && *first_out < *last_out && cluster->units[*first_out].end <= neuron) {
            (*first_out)++;
        }
        *last_out = neuron >= 0 ? *first_out : *last_out;
        return true;
    }
    return false;
}

/* ---- Union-find over the containers that units stand for ---- */

static int find(int *parents, int i)
{
    while (parents[i] != i) {
        parents[i] = parents[parents[i]];
        i = parents[i];
    }
    return i;
}

/* The smaller number stays, so that the result does not depend on the order of the hints. */
static void join(int *parents, int left, int right)
{
    const int a = find(parents, left), b = find(parents, right);
    parents[a > b ? a : b] = a > b ? b : a;
}

static void join_hint(const cfi_cluster_options *options, cfi_cluster *cluster, const cfi_hint *hint, int *parents)
{
    int anchor = -1;
    for (int i = 0; i < hint->member_count; i++) {
        int first, last;
        if (!cfi_cut_member(cluster, options->graph, hint->members[i].text, &first, &last)) {
            continue;
        }
        for (int unit = first; unit <= last; unit++) {
            anchor = anchor < 0 ? unit : anchor;
            join(parents, cluster->units[anchor].container, cluster->units[unit].container);
        }
    }
}

/* ---- Refusals ---- */

static cf_status check_apart(const cfi_cluster_options *options, const cfi_cluster *cluster, int hint_index, int *seen,
                             cf_error *error)
{
    const cfi_hint *hint = &options->settings->placement.hints[hint_index];
    memset(seen, 0, (size_t)cluster->unit_count * sizeof *seen);
    for (int i = 0; i < hint->member_count; i++) {
        int first, last;
        if (!cfi_cut_member(cluster, options->graph, hint->members[i].text, &first, &last)) {
            continue;
        }
        for (int unit = first; unit <= last; unit++) {
            int *before = &seen[cluster->units[unit].container];
            if (*before != 0 && *before != i + 1) {
                return cfi_fail(error, CF_E_CONFIG,
                                "hint %d: '%s' and '%s' are to be apart, but share a container: cut finer, ask for "
                                "more containers, or take away the `together` that joins them",
                                hint_index + 1, hint->members[*before - 1].text, hint->members[i].text);
            }
            *before = i + 1;
        }
    }
    return CF_OK;
}

static cf_status check_slots(const cfi_cluster_options *options, const cfi_cluster *cluster, int *seen, cf_error *error)
{
    const int64_t slots = options->settings->placement.slots;
    memset(seen, 0, (size_t)cluster->unit_count * sizeof *seen);
    for (int i = 0; i < cluster->unit_count && slots > 0; i++) {
        const int container = cluster->units[i].container;
        if (++seen[container] > slots) {
            return cfi_fail(error, CF_E_CONFIG,
                            "placement.slots: the container '%s' would hold more than %" PRId64
                            " nodes: ask for more containers, raise slots, or take away the `together` that joins them",
                            cluster->containers[container].name, slots);
        }
    }
    return CF_OK;
}

static cf_status check_refusals(const cfi_cluster_options *options, const cfi_cluster *cluster, int *seen,
                                cf_error *error)
{
    const cfi_placement_settings *placement = &options->settings->placement;
    for (int i = 0; i < placement->hint_count; i++) {
        if (placement->hints[i].kind == CFI_HINT_APART) {
            CFI_TRY(check_apart(options, cluster, i, seen, error));
        }
    }
    return check_slots(options, cluster, seen, error);
}

/* ---- Containers ---- */

static cfi_needs unit_needs(const cfi_cluster_options *options, const cfi_cluster *cluster, const cfi_unit *unit)
{
    const cfi_neuron_types *types = &options->settings->neuron_types;
    const cfi_needs service = {0.25, INT64_C(32) << 20}; /* controller and store: the table's defaults */
    switch (unit->kind) {
    case CFI_UNIT_SOURCE:
        return types->source;
    case CFI_UNIT_LOSS:
        return types->loss;
    case CFI_UNIT_SHARD:
        return options->graph->layers[cluster->stages[unit->stage].layer].kind == CFI_LAYER_CONV2D ? types->conv2d
                                                                                                    : types->dense;
    case CFI_UNIT_CONTROLLER:
    case CFI_UNIT_STORE:
        break;
    }
    return service;
}

/* Numbers containers by first unit, sums needs, and names them. `numbers` has room for each unit. */
static void number_containers(const cfi_cluster_options *options, cfi_cluster *cluster, int *parents, int *numbers,
                              int *hosted)
{
    for (int i = 0; i < cluster->unit_count; i++) {
        numbers[i] = -1;
        hosted[i] = 0;
    }
    for (int i = 0; i < cluster->unit_count; i++) {
        cfi_unit *unit = &cluster->units[i];
        int *number = &numbers[find(parents, unit->container)];
        const cfi_needs needs = unit_needs(options, cluster, unit);
        if (*number < 0) {
            *number = cluster->container_count++;
            (void)cfi_copy_name(cluster->containers[*number].name, sizeof cluster->containers[*number].name,
                                unit->name);
        }
        unit->container = *number;
        hosted[*number]++;
        cluster->containers[*number].cpu += needs.cpu;
        cluster->containers[*number].memory += needs.memory;
    }
    for (int i = 0; i < cluster->container_count; i++) {
        cfi_container *container = &cluster->containers[i];
        const size_t length = strlen(container->name);
        if (hosted[i] > 1) {
            snprintf(container->name + length, sizeof container->name - length, "+%d", hosted[i] - 1);
        }
    }
}

cf_status cfi_cut_join(const cfi_cluster_options *options, cfi_cluster *cluster, cf_error *error)
{
    const cfi_placement_settings *placement = &options->settings->placement;
    const size_t count = (size_t)cluster->unit_count;
    int *room = cfi_calloc(3 * count, sizeof *room);
    int *parents = room, *numbers = room + count, *hosted = room + 2 * count;
    cluster->containers = cfi_calloc(count, sizeof *cluster->containers);
    if (room == NULL || cluster->containers == NULL) {
        cfi_free(room);
        return cfi_fail_memory(error, "the plan's containers");
    }
    for (size_t i = 0; i < count; i++) {
        parents[i] = (int)i;
    }
    for (int i = 0; i < placement->hint_count; i++) {
        if (placement->hints[i].kind == CFI_HINT_TOGETHER) {
            join_hint(options, cluster, &placement->hints[i], parents);
        }
    }
    number_containers(options, cluster, parents, numbers, hosted);
    const cf_status status = check_refusals(options, cluster, numbers, error);
    cfi_free(room);
    return status;
}
