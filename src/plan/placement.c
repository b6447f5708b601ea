#include "plan/placement.h"

#include <string.h>

#include "base/alloc.h"
#include "base/text.h"

void cfi_placement_free(cfi_placement *placement)
{
    if (placement == NULL) {
        return;
    }
    for (int i = 0; placement->units != NULL && i < placement->cluster.container_count; i++) {
        cfi_free(placement->units[i]);
    }
    cfi_free(placement->units);
    cfi_free(placement->reasons);
    cfi_cost_fini(&placement->cost);
    cfi_cluster_fini(&placement->cluster);
    cfi_free(placement);
}

/* Without hints and hosts, which might not let it be: this is what the cut is measured against. */
static cf_status estimate_free(const cfi_cluster_options *options, const cfi_cost_options *costs, double *seconds_out,
                               cf_error *error)
{
    cfi_settings settings = *options->settings;
    cfi_cluster_options one = *options;
    cfi_cost_options free_costs = *costs;
    cfi_cluster cluster;
    cfi_cost cost;
    memset(&settings.placement, 0, sizeof settings.placement); /* borrowed, so nothing is lost */
    one.settings = &settings;
    one.containers = 1;
    one.before = NULL;
    free_costs.settings = &settings;
    CFI_TRY(cfi_cluster_plan(&one, &cluster, error));
    const cf_status status = cfi_cost_estimate(&free_costs, &cluster, &cost, error);
    if (status == CF_OK) {
        *seconds_out = cost.step_seconds;
        cfi_cost_fini(&cost);
    }
    cfi_cluster_fini(&cluster);
    return status;
}

static cf_status describe(const cfi_cluster_options *options, cfi_placement *placement, cf_error *error)
{
    const cfi_cluster *cluster = &placement->cluster;
    const size_t count = (size_t)cluster->container_count;
    placement->reasons = cfi_calloc(count, sizeof *placement->reasons);
    placement->units = cfi_calloc(count, sizeof *placement->units);
    cfi_text *texts = cfi_calloc(count, sizeof *texts);
    if (placement->reasons == NULL || placement->units == NULL || texts == NULL) {
        cfi_free(texts);
        return cfi_fail_memory(error, "the plan's reasons");
    }
    for (int i = 0; i < cluster->unit_count; i++) {
        cfi_text *text = &texts[cluster->units[i].container];
        cfi_text_add(text, "%s%s", text->length > 0 ? ", " : "", cluster->units[i].name);
    }
    bool is_short = false;
    for (size_t i = 0; i < count; i++) {
        cfi_cluster_reason(options, cluster, (int)i, placement->reasons[i]);
        placement->units[i] = cfi_text_take(&texts[i]);
        cfi_text_fini(&texts[i]);
        is_short = is_short || placement->units[i] == NULL;
    }
    cfi_free(texts);
    return is_short ? cfi_fail_memory(error, "the plan's units") : CF_OK;
}

cf_status cfi_placement_new(const cfi_cluster_options *options, double core_flops, int cores,
                            cfi_placement **placement_out, cf_error *error)
{
    const cfi_cost_options costs = {.settings = options->settings, .graph = options->graph, .core_flops = core_flops,
                                    .cores = cores};
    cfi_placement *placement = cfi_calloc(1, sizeof *placement);
    cf_status status = CF_OK;
    if (placement == NULL) {
        return cfi_fail_memory(error, "the plan");
    }
    CFI_TRY_GOTO(cfi_cluster_plan(options, &placement->cluster, error));
    CFI_TRY_GOTO(cfi_cost_estimate(&costs, &placement->cluster, &placement->cost, error));
    CFI_TRY_GOTO(estimate_free(options, &costs, &placement->free_seconds, error));
    CFI_TRY_GOTO(describe(options, placement, error));
    *placement_out = placement;
    return CF_OK;
done:
    cfi_placement_free(placement);
    return status;
}
