#include "plan/cut.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "plan/cluster_check.h"

static int64_t piece_count_max(const cfi_stage *stage)
{
    return (stage->neurons + stage->grain - 1) / stage->grain;
}

static const char *stage_name(const cfi_graph *graph, const cfi_stage *stage)
{
    return graph->layers[stage->layer].name;
}

int64_t cfi_cut_neuron_flops(const cfi_graph *graph, const cfi_stage *stage)
{
    const cfi_layer *layer = &graph->layers[stage->layer];
    int64_t flops = cfi_layer_forward_flops(layer) * (layer->weight_index == 0 ? 2 : 3);
    for (int i = stage->layer + 1; i < stage->layer_end; i++) {
        flops += cfi_layer_forward_flops(&graph->layers[i]);
    }
    return flops / stage->neurons;
}

/* Every leaf in a container of its own, and source and loss. */
static int64_t containers_max(const cfi_cluster *cluster)
{
    int64_t most = 2;
    for (int i = 0; i < cluster->stage_count; i++) {
        most += piece_count_max(&cluster->stages[i]);
    }
    return most;
}

/* ---- How many neurons in each piece ---- */

/* Either pieces of `size` neurons (the last may have fewer), or `pieces` as equal as the grain allows. */
typedef struct stage_cut {
    int64_t pieces, size; /* size 0: equal */
} stage_cut;

static int64_t layer_wish(const cfi_settings *settings, const char *name)
{
    for (int i = 0; i < settings->layer_count; i++) {
        if (strcmp(settings->layers[i].name, name) == 0) {
            return settings->layers[i].neurons_per_container;
        }
    }
    return 0;
}

static cf_status fail_grain(const cfi_stage *stage, const char *name, int64_t wish, cf_error *error)
{
    const int64_t above = (wish / stage->grain + 1) * stage->grain, below = above - stage->grain;
    const int64_t fitting = wish & -wish; /* the largest power of two that divides it */
    char lower[32] = "";
    if (below > 0) {
        snprintf(lower, sizeof lower, "%" PRId64 " or ", below);
    }
    return cfi_fail(error, CF_E_CONFIG,
                    "placement.neurons_per_container: %" PRId64 " neurons of layer '%s' are no multiple of its grain %"
                    PRId64 ": use %s%" PRId64 ", or write grain: %" PRId64
                    " into the layer (that is another sum, so other last bits)",
                    wish, name, stage->grain, lower, above < stage->neurons ? above : stage->neurons, fitting);
}

static cf_status cut_by_file(const cfi_cluster_options *options, const cfi_cluster *cluster, stage_cut *cuts,
                             cf_error *error)
{
    for (int i = 0; i < cluster->stage_count; i++) {
        const cfi_stage *stage = &cluster->stages[i];
        const char *name = stage_name(options->graph, stage);
        const int64_t wish = layer_wish(options->settings, name);
        if (wish == 0 || wish >= stage->neurons) {
            cuts[i] = (stage_cut){1, stage->neurons};
        } else if (wish % stage->grain != 0) {
            return fail_grain(stage, name, wish, error);
        } else {
            cuts[i] = (stage_cut){(stage->neurons + wish - 1) / wish, wish};
        }
    }
    return CF_OK;
}

/* One piece more at a time for the stage whose pieces have most to do. */
static void cut_by_work(const cfi_graph *graph, const cfi_cluster *cluster, int64_t pieces, stage_cut *cuts)
{
    int64_t left = pieces - cluster->stage_count;
    for (int i = 0; i < cluster->stage_count; i++) {
        cuts[i] = (stage_cut){1, 0};
    }
    for (; left > 0; left--) {
        int best = -1;
        double most = -1;
        for (int i = 0; i < cluster->stage_count; i++) {
            const cfi_stage *stage = &cluster->stages[i];
            const double work = (double)cfi_cut_neuron_flops(graph, stage) * (double)stage->neurons /
                                (double)cuts[i].pieces;
            if (cuts[i].pieces < piece_count_max(stage) && work > most) {
                best = i;
                most = work;
            }
        }
        cuts[best].pieces++;
    }
}

/* ---- Units ---- */

static void name_shard(const cfi_graph *graph, const cfi_stage *stage, cfi_unit *unit)
{
    const char *name = stage_name(graph, stage);
    if (unit->begin == 0 && unit->end == stage->neurons) {
        snprintf(unit->name, sizeof unit->name, "%s", name);
    } else if (unit->end - unit->begin == 1) {
        snprintf(unit->name, sizeof unit->name, "%s.%" PRId64, name, unit->begin);
    } else {
        snprintf(unit->name, sizeof unit->name, "%s.%" PRId64 "-%" PRId64, name, unit->begin, unit->end - 1);
    }
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void add_shards(const cfi_cluster_options *options, cfi_cluster *cluster, int stage_index, stage_cut cut)
{
    cfi_stage *stage = &cluster->stages[stage_index];
    const int64_t leaves = piece_count_max(stage);
    stage->first_unit = cluster->unit_count;
    stage->unit_count = (int)cut.pieces;
    for (int64_t piece = 0; piece < cut.pieces; piece++) {
        cfi_unit *unit = &cluster->units[cluster->unit_count];
        const int64_t begin = cut.size > 0 ? piece * cut.size : leaves * piece / cut.pieces * stage->grain;
        const int64_t end = cut.size > 0 ? begin + cut.size : leaves * (piece + 1) / cut.pieces * stage->grain;
        *unit = (cfi_unit){.kind = CFI_UNIT_SHARD, .stage = stage_index, .begin = begin,
                           .end = least(end, stage->neurons), .container = cluster->unit_count};
        name_shard(options->graph, stage, unit);
        cluster->unit_count++;
    }
}

static cf_status add_units(const cfi_cluster_options *options, cfi_cluster *cluster, const stage_cut *cuts,
                           cf_error *error)
{
    static const struct {
        cfi_unit_kind kind;
        const char *name;
    } fixed[] = {{CFI_UNIT_CONTROLLER, "controller"}, {CFI_UNIT_STORE, "store"}, {CFI_UNIT_SOURCE, "source"},
                 {CFI_UNIT_LOSS, "loss"}};
    int64_t count = CFI_UNIT_INDEX_SHARDS;
    for (int i = 0; i < cluster->stage_count; i++) {
        count += cuts[i].pieces;
    }
    if (count > CFI_CLUSTER_UNIT_COUNT_MAX) {
        return cfi_fail(error, CF_E_LIMIT,
                        "the cut makes %" PRId64 " parts, and a plan holds at most %d: raise "
                        "placement.neurons_per_container",
                        count, CFI_CLUSTER_UNIT_COUNT_MAX);
    }
    cluster->units = cfi_calloc((size_t)count, sizeof *cluster->units);
    if (cluster->units == NULL) {
        return cfi_fail_memory(error, "the plan's units");
    }
    for (int i = 0; i < CFI_UNIT_INDEX_SHARDS; i++) {
        cluster->units[i] = (cfi_unit){.kind = fixed[i].kind, .stage = -1, .container = i};
        (void)cfi_copy_name(cluster->units[i].name, sizeof cluster->units[i].name, fixed[i].name);
    }
    cluster->unit_count = CFI_UNIT_INDEX_SHARDS;
    for (int i = 0; i < cluster->stage_count; i++) {
        add_shards(options, cluster, i, cuts[i]);
    }
    return CF_OK;
}

/* ---- A number of containers ---- */

/* Whether the line source, stages, loss can be laid into `containers` neighbouring groups with at most `most` work
 * each; the groups go into the units. At least one member is kept back for each group that is still to come. */
static bool lay_line(const cfi_cluster_options *options, cfi_cluster *cluster, int containers, double most)
{
    int group = 0, held = 0;
    double sum = 0;
    const int count = cluster->stage_count + 2;
    for (int i = 0; i < count; i++) {
        const bool is_stage = i > 0 && i < count - 1;
        const cfi_stage *stage = is_stage ? &cluster->stages[i - 1] : NULL;
        const double work = is_stage ? (double)cfi_cut_neuron_flops(options->graph, stage) * (double)stage->neurons : 0;
        const bool must_leave = count - i <= containers - 1 - group;
        if (held > 0 && (sum + work > most || must_leave)) {
            group++;
            held = 0;
            sum = 0;
        }
        if (group >= containers || work > most) {
            return false;
        }
        held++;
        sum += work;
        const int unit = is_stage ? stage->first_unit : i == 0 ? CFI_UNIT_INDEX_SOURCE : CFI_UNIT_INDEX_LOSS;
        cluster->units[unit].container = CFI_UNIT_INDEX_SOURCE + group;
    }
    return true;
}

/* Whole stages, neighbours together, with the most loaded container as light as can be: the answer is among the sums of
 * neighbouring stages. */
static void group_stages(const cfi_cluster_options *options, cfi_cluster *cluster, int containers)
{
    double best = -1;
    for (int i = 0; i < cluster->stage_count; i++) {
        double sum = 0;
        for (int j = i; j < cluster->stage_count; j++) {
            const cfi_stage *stage = &cluster->stages[j];
            sum += (double)cfi_cut_neuron_flops(options->graph, stage) * (double)stage->neurons;
            if ((best < 0 || sum < best) && lay_line(options, cluster, containers, sum)) {
                best = sum;
            }
        }
    }
    (void)lay_line(options, cluster, containers, best);
}

static cf_status check_containers(const cfi_cluster_options *options, const cfi_cluster *cluster, cf_error *error)
{
    const int64_t most = containers_max(cluster);
    if (options->containers < 0) {
        return cfi_fail(error, CF_E_USAGE, "%d is no number of containers", options->containers);
    }
    if (options->containers > most) {
        return cfi_fail(error, CF_E_USAGE,
                        "%d containers are more than this network can be cut into: at most %" PRId64
                        ", every neuron (or grain of neurons) in one, source and loss in one each; the layers' "
                        "`grain:` key makes finer ones",
                        options->containers, most);
    }
    return CF_OK;
}

static cf_status cut_stages(const cfi_cluster_options *options, cfi_cluster *cluster, stage_cut *cuts, cf_error *error)
{
    const int asked = options->containers;
    const bool is_fine = asked >= cluster->stage_count + 2;
    if (asked == 0) {
        CFI_TRY(cut_by_file(options, cluster, cuts, error));
    } else {
        CFI_TRY(check_containers(options, cluster, error));
        cut_by_work(options->graph, cluster, is_fine ? asked - 2 : cluster->stage_count, cuts);
    }
    CFI_TRY(add_units(options, cluster, cuts, error));
    if (asked > 0 && !is_fine) {
        group_stages(options, cluster, asked);
    }
    return CF_OK;
}

cf_status cfi_cut(const cfi_cluster_options *options, cfi_cluster *cluster, cf_error *error)
{
    CFI_TRY(cfi_cluster_stages(options->graph, &cluster->stages, &cluster->stage_count, error));
    stage_cut *cuts = cfi_calloc((size_t)cluster->stage_count, sizeof *cuts);
    if (cuts == NULL) {
        return cfi_fail_memory(error, "the plan's cut");
    }
    const cf_status status = cut_stages(options, cluster, cuts, error);
    cfi_free(cuts);
    return status;
}
