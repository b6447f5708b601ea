/* Why a container is as it is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "plan/cut.h"

static void add(char reason[CFI_CLUSTER_REASON_SIZE], const char *format, ...) CFI_PRINTF(2, 3);
static void add(char reason[CFI_CLUSTER_REASON_SIZE], const char *format, ...)
{
    const size_t length = strlen(reason);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason + length, CFI_CLUSTER_REASON_SIZE - length, format, arguments);
    va_end(arguments);
}

static bool names_container(const cfi_cluster_options *options, const cfi_cluster *cluster, const char *member,
                            int container)
{
    int first, last;
    if (!cfi_cut_member(cluster, options->graph, member, &first, &last)) {
        return false;
    }
    for (int i = first; i <= last; i++) {
        if (cluster->units[i].container == container) {
            return true;
        }
    }
    return false;
}

static void add_hint(const cfi_cluster_options *options, const cfi_cluster *cluster, int index, int container,
                     char reason[CFI_CLUSTER_REASON_SIZE])
{
    static const char *const words[] = {"wants a place", "wants a place", "joins it", "keeps it apart"};
    const cfi_hint *hint = &options->settings->placement.hints[index];
    bool is_meant = hint->who[0] != '\0' && names_container(options, cluster, hint->who, container);
    for (int i = 0; i < hint->member_count && !is_meant; i++) {
        is_meant = names_container(options, cluster, hint->members[i].text, container);
    }
    if (is_meant) {
        add(reason, "; hint %d %s", index + 1, words[hint->kind]);
    }
}

static void add_cut(const cfi_cluster_options *options, const cfi_cluster *cluster, int container,
                    char reason[CFI_CLUSTER_REASON_SIZE])
{
    const cfi_unit *unit = &cluster->units[0];
    while (unit->container != container) {
        unit++;
    }
    if (unit->kind == CFI_UNIT_CONTROLLER || unit->kind == CFI_UNIT_STORE) {
        add(reason, "every plan has one");
    } else if (options->containers == 0) {
        add(reason, "placement.neurons_per_container");
    } else if (options->containers == 1) {
        add(reason, "one container was asked for");
    } else {
        add(reason, "%d containers were asked for, cut where there is most to do", options->containers);
    }
    if (unit->kind == CFI_UNIT_SHARD) {
        const cfi_stage *stage = &cluster->stages[unit->stage];
        add(reason, ": %" PRId64 " of %" PRId64 " neurons, grain %" PRId64, unit->end - unit->begin, stage->neurons,
            stage->grain);
    }
}

void cfi_cluster_reason(const cfi_cluster_options *options, const cfi_cluster *cluster, int container,
                        char reason[CFI_CLUSTER_REASON_SIZE])
{
    static const char *const algorithms[] = {"HEFT", "greedy", "all tried"};
    const cfi_placement_settings *placement = &options->settings->placement;
    reason[0] = '\0';
    add_cut(options, cluster, container, reason);
    for (int i = 0; i < placement->hint_count; i++) {
        add_hint(options, cluster, i, container, reason);
    }
    if (placement->host_count > 0) {
        add(reason, "; host %s: least step time of what is allowed and fits (%s)", cluster->containers[container].host,
            algorithms[options->algorithm]);
    } else {
        add(reason, "; no hosts are listed, so whoever runs it chooses");
    }
}
