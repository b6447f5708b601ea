#include "plan/cluster_check.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define BAD(...) cfi_fail(error, CF_E_DATA, __VA_ARGS__)

static bool is_within(int64_t value, int64_t least, int64_t most)
{
    return value >= least && value <= most;
}

static int64_t divide_up(int64_t value, int64_t by)
{
    return value / by + (value % by != 0 ? 1 : 0);
}

static cf_status check_work(const cfi_work *work, cf_error *error)
{
    if (!is_within(work->train_count, 1, CFI_SAMPLE_COUNT_MAX) ||
        !is_within(work->validation_count, 0, CFI_SAMPLE_COUNT_MAX) ||
        !is_within(work->test_count, 0, CFI_SAMPLE_COUNT_MAX)) {
        return BAD("the plan's sample counts are out of range");
    }
    if (!is_within(work->batch, 1, CFI_BATCH_MAX) || !is_within(work->sample_grain, 1, CFI_BATCH_MAX) ||
        (work->sample_grain & (work->sample_grain - 1)) != 0 || !is_within(work->micro_batches, 1, work->batch) ||
        work->batch % work->micro_batches != 0 ||
        (work->micro_batches > 1 && work->batch / work->micro_batches % work->sample_grain != 0)) {
        return BAD("the plan's batch, sample_grain and micro_batches do not fit each other");
    }
    const int64_t steps = work->drop_last ? work->train_count / work->batch
                                          : divide_up(work->train_count, work->batch);
    if (steps < 1 || work->steps_per_epoch != steps) {
        return BAD("the plan says %" PRId64 " steps per epoch, but its samples make %" PRId64, work->steps_per_epoch,
                   steps);
    }
    if (work->step_count < 0 || work->chain_every < 1) {
        return BAD("the plan's step_count or chain_every is out of range");
    }
    if (!is_within(work->persist_every, 1, CFI_PERSIST_EVERY_MAX) || work->window < 2 * work->persist_every ||
        work->window % work->persist_every != 0 || work->window > 4 * (int64_t)CFI_PERSIST_EVERY_MAX) {
        return BAD("the plan's window %" PRId64 " does not fit persist_every %" PRId64, work->window,
                   work->persist_every);
    }
    return CF_OK;
}

static cf_status check_stages(const cfi_cluster *cluster, cf_error *error)
{
    int layer = 0, unit = CFI_UNIT_INDEX_SHARDS;
    if (!is_within(cluster->stage_count, 1, CFI_LAYER_COUNT_MAX)) {
        return BAD("a plan has from 1 to %d stages, not %d", CFI_LAYER_COUNT_MAX, cluster->stage_count);
    }
    for (int i = 0; i < cluster->stage_count; i++) {
        const cfi_stage *stage = &cluster->stages[i];
        if (stage->layer < layer || stage->layer_end <= stage->layer || stage->layer_end > CFI_LAYER_COUNT_MAX ||
            (i > 0 && stage->layer != layer)) {
            return BAD("stage %d: its layers %d to %d do not follow on those before", i, stage->layer,
                       stage->layer_end);
        }
        if (!is_within(stage->neurons, 1, CFI_UNIT_COUNT_MAX) || !is_within(stage->grain, 1, CFI_UNIT_COUNT_MAX) ||
            (stage->grain & (stage->grain - 1)) != 0 || !is_within(stage->inputs, 1, CFI_FEATURE_COUNT_MAX) ||
            !is_within(stage->outputs, 1, CFI_FEATURE_COUNT_MAX) ||
            !is_within(stage->outputs_per_neuron, 1, CFI_FEATURE_COUNT_MAX) ||
            stage->outputs != stage->neurons * stage->outputs_per_neuron) {
            return BAD("stage %d: its sizes are out of range or do not fit each other", i);
        }
        if (i > 0 && stage->inputs != cluster->stages[i - 1].outputs) {
            return BAD("stage %d takes %" PRId64 " values, but the one before gives %" PRId64, i, stage->inputs,
                       cluster->stages[i - 1].outputs);
        }
        if (stage->first_unit != unit || !is_within(stage->unit_count, 1, cluster->unit_count - unit)) {
            return BAD("stage %d: its shards are not the units from %d on", i, unit);
        }
        layer = stage->layer_end;
        unit += stage->unit_count;
    }
    return unit == cluster->unit_count ? CF_OK : BAD("unit %d belongs to no stage", unit);
}

static cf_status check_fixed_units(const cfi_cluster *cluster, cf_error *error)
{
    static const cfi_unit_kind kinds[] = {CFI_UNIT_CONTROLLER, CFI_UNIT_STORE, CFI_UNIT_SOURCE, CFI_UNIT_LOSS};
    if (!is_within(cluster->unit_count, CFI_UNIT_INDEX_SHARDS + 1, CFI_CLUSTER_UNIT_COUNT_MAX)) {
        return BAD("a plan has from %d to %d units, not %d", CFI_UNIT_INDEX_SHARDS + 1, CFI_CLUSTER_UNIT_COUNT_MAX,
                   cluster->unit_count);
    }
    for (int i = 0; i < CFI_UNIT_INDEX_SHARDS; i++) {
        const cfi_unit *unit = &cluster->units[i];
        if (unit->kind != kinds[i] || unit->stage != -1 || unit->begin != 0 || unit->end != 0) {
            return BAD("unit %d ('%s') is not what stands at that place in every plan", i, unit->name);
        }
    }
    return CF_OK;
}

/* Whether begin..end is a range of the stage that only cuts at multiples of its grain. */
static bool is_range(const cfi_stage *stage, int64_t begin, int64_t end)
{
    return begin >= 0 && begin < end && end <= stage->neurons && begin % stage->grain == 0 &&
           (end % stage->grain == 0 || end == stage->neurons);
}

static cf_status check_shards(const cfi_cluster *cluster, cf_error *error)
{
    for (int i = 0; i < cluster->stage_count; i++) {
        const cfi_stage *stage = &cluster->stages[i];
        int64_t next = 0;
        for (int j = stage->first_unit; j < stage->first_unit + stage->unit_count; j++) {
            const cfi_unit *unit = &cluster->units[j];
            if (unit->kind != CFI_UNIT_SHARD || unit->stage != i) {
                return BAD("unit %d ('%s') is not a shard of stage %d", j, unit->name, i);
            }
            if (unit->begin != next || !is_range(stage, unit->begin, unit->end)) {
                return BAD("unit %d ('%s'): neurons %" PRId64 " to %" PRId64 " do not follow on %" PRId64
                           " at multiples of the grain %" PRId64,
                           j, unit->name, unit->begin, unit->end, next, stage->grain);
            }
            next = unit->end;
        }
        if (next != stage->neurons) {
            return BAD("the shards of stage %d end at neuron %" PRId64 " of %" PRId64, i, next, stage->neurons);
        }
    }
    return CF_OK;
}

/* The plan before: whole stages as well, so that every neuron has a state to be found. */
static cf_status check_earlier(const cfi_cluster *cluster, cf_error *error)
{
    int stage = 0;
    int64_t next = 0;
    if (cluster->earlier_count == 0) {
        return cluster->id == 1 ? CF_OK : BAD("plan %u says nothing about the shards before it", cluster->id);
    }
    if (cluster->id == 1 || cluster->earlier_count > CFI_CLUSTER_UNIT_COUNT_MAX) {
        return BAD("plan %u has %d earlier shards", cluster->id, cluster->earlier_count);
    }
    for (int i = 0; i < cluster->earlier_count; i++) {
        const cfi_earlier *earlier = &cluster->earlier[i];
        if (earlier->stage != stage || stage >= cluster->stage_count || earlier->begin != next ||
            !is_range(&cluster->stages[stage], earlier->begin, earlier->end)) {
            return BAD("earlier shard %d does not follow on the one before it", i);
        }
        next = earlier->end;
        if (next == cluster->stages[stage].neurons) {
            stage++;
            next = 0;
        }
    }
    return stage == cluster->stage_count ? CF_OK : BAD("the earlier shards end before the last stage does");
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static cf_status check_names(const char **names, int count, const char *what, cf_error *error)
{
    qsort(names, (size_t)count, sizeof *names, compare_names);
    for (int i = 0; i < count; i++) {
        if (names[i][0] == '\0' || strchr(names[i], '/') != NULL || names[i][0] == '.') {
            return BAD("the name '%s' cannot be that of a %s", names[i], what);
        }
        if (i > 0 && strcmp(names[i], names[i - 1]) == 0) {
            return BAD("two %ss are called '%s'", what, names[i]);
        }
    }
    return CF_OK;
}

static cf_status check_containers(const cfi_cluster *cluster, const char **names, int *hosted, cf_error *error)
{
    for (int i = 0; i < cluster->unit_count; i++) {
        const int container = cluster->units[i].container;
        names[i] = cluster->units[i].name;
        if (!is_within(container, 0, cluster->container_count - 1)) {
            return BAD("unit %d ('%s') is in container %d, and there are %d", i, cluster->units[i].name, container,
                       cluster->container_count);
        }
        hosted[container]++;
    }
    CFI_TRY(check_names(names, cluster->unit_count, "unit", error));
    for (int i = 0; i < cluster->container_count; i++) {
        const cfi_container *container = &cluster->containers[i];
        names[i] = container->name;
        if (hosted[i] == 0) {
            return BAD("container '%s' holds nothing", container->name);
        }
        if (!isfinite(container->cpu) || container->cpu < 0 || container->memory < 0) {
            return BAD("container '%s' needs what cannot be", container->name);
        }
    }
    return check_names(names, cluster->container_count, "container", error);
}

cf_status cfi_cluster_check(const cfi_cluster *cluster, cf_error *error)
{
    if (cluster->id < 1 || cluster->name[0] == '\0') {
        return BAD("the plan has no number or no name");
    }
    CFI_TRY(check_work(&cluster->work, error));
    CFI_TRY(check_fixed_units(cluster, error));
    CFI_TRY(check_stages(cluster, error));
    CFI_TRY(check_shards(cluster, error));
    CFI_TRY(check_earlier(cluster, error));
    if (!is_within(cluster->container_count, 1, cluster->unit_count)) {
        return BAD("a plan of %d units cannot have %d containers", cluster->unit_count, cluster->container_count);
    }
    const char **names = cfi_calloc((size_t)cluster->unit_count, sizeof *names);
    int *hosted = cfi_calloc((size_t)cluster->container_count, sizeof *hosted);
    const cf_status status = names != NULL && hosted != NULL ? check_containers(cluster, names, hosted, error)
                                                             : cfi_fail_memory(error, "the plan's names");
    cfi_free(names);
    cfi_free(hosted);
    return status;
}
