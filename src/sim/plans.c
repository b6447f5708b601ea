/* Cuts and placements drawn from the seed: wilder than a planner's, since no cut may change a bit. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "sim/world.h"

enum { STAGE_CUTS_MAX = 16 };

int sim_place_find(const sim_world *world, const char *name)
{
    for (int p = 0; p < world->place_count; p++) {
        if (strcmp(world->places[p].name, name) == 0) {
            return p;
        }
    }
    return -1;
}

/* ---- Cut ---- */

/* Neurons at which the shards of a stage begin, ascending, at multiples of the grain; returns how many. */
static int draw_cut(sim_world *world, const cfi_stage *stage, int64_t begins[STAGE_CUTS_MAX])
{
    const int64_t blocks = (stage->neurons + stage->grain - 1) / stage->grain;
    const int64_t most = blocks < STAGE_CUTS_MAX ? blocks : STAGE_CUTS_MAX;
    const int64_t wanted = sim_draw_range(&world->draws, 1, most);
    int64_t left = wanted;
    int count = 0;
    for (int64_t b = 0; b < blocks && left > 0; b++) { /* each set of blocks is as likely as any other */
        if (b == 0 || sim_draw_range(&world->draws, 1, blocks - b) <= left) {
            begins[count++] = b * stage->grain;
            left--;
        }
    }
    return count;
}

static void name_shard(const sim_world *world, cfi_unit *unit)
{
    const cfi_stage *stage = &world->sim->stages[unit->stage];
    const char *layer = world->sim->options.graph->layers[stage->layer].name;
    if (unit->end - unit->begin == stage->neurons) {
        snprintf(unit->name, sizeof unit->name, "%s", layer);
    } else if (unit->end - unit->begin == 1) {
        snprintf(unit->name, sizeof unit->name, "%s.%lld", layer, (long long)unit->begin);
    } else {
        snprintf(unit->name, sizeof unit->name, "%s.%lld-%lld", layer, (long long)unit->begin,
                 (long long)unit->end - 1);
    }
}

static void add_shards(sim_world *world, cfi_cluster *plan)
{
    for (int s = 0; s < plan->stage_count; s++) {
        cfi_stage *stage = &plan->stages[s];
        int64_t begins[STAGE_CUTS_MAX];
        const int count = draw_cut(world, stage, begins);
        stage->first_unit = plan->unit_count;
        stage->unit_count = count;
        for (int i = 0; i < count; i++) {
            cfi_unit *unit = &plan->units[plan->unit_count++];
            *unit = (cfi_unit){.kind = CFI_UNIT_SHARD, .stage = s, .begin = begins[i],
                               .end = i + 1 < count ? begins[i + 1] : stage->neurons};
            name_shard(world, unit);
        }
    }
}

static void add_units(sim_world *world, cfi_cluster *plan)
{
    static const char *const names[] = {"controller", "store", "source", "loss"};
    for (int u = 0; u < CFI_UNIT_INDEX_SHARDS; u++) {
        plan->units[u] = (cfi_unit){.kind = (cfi_unit_kind)u, .stage = -1};
        snprintf(plan->units[u].name, sizeof plan->units[u].name, "%s", names[u]);
    }
    plan->unit_count = CFI_UNIT_INDEX_SHARDS;
    add_shards(world, plan);
}

/* ---- Placement ---- */

/* The store stays where it is, in container 0, with its data; everything else may be anywhere. */
static void place_units(sim_world *world, cfi_cluster *plan)
{
    const int64_t most = plan->unit_count < SIM_PLACES_MAX ? plan->unit_count : SIM_PLACES_MAX;
    const int64_t asked = world->sim->options.containers;
    const int64_t count = asked > 0 ? (asked < most ? asked : most) : sim_draw_range(&world->draws, 1, most);
    const bool is_even = (sim_draw(&world->draws) & 1u) != 0;
    int number_of[SIM_PLACES_MAX]; /* container drawn -> container of the plan, those without units left out */
    memset(number_of, 0xFF, sizeof number_of);
    for (int i = 0; i < plan->unit_count; i++) {
        /* the store first: its container is always there and is always number 0 */
        const int u = i == 0 ? CFI_UNIT_INDEX_STORE : i <= CFI_UNIT_INDEX_STORE ? i - 1 : i;
        const int drawn = i == 0 ? 0 : (int)(is_even ? i % count : sim_draw_range(&world->draws, 0, count - 1));
        if (number_of[drawn] < 0) {
            number_of[drawn] = plan->container_count;
            cfi_container *container = &plan->containers[plan->container_count++];
            snprintf(container->name, sizeof container->name, "c%d", drawn);
            snprintf(container->endpoint, sizeof container->endpoint, "sim://c%d", drawn);
            container->cpu = 1;
            container->memory = 1 << 20;
        }
        plan->units[u].container = number_of[drawn];
    }
}

static cf_status add_earlier(const sim_world *world, cfi_cluster *plan, cf_error *error)
{
    if (world->plan_count == 0) {
        return CF_OK;
    }
    const cfi_cluster *before = &world->plans[world->plan_count - 1];
    plan->earlier = cfi_calloc((size_t)before->unit_count, sizeof *plan->earlier);
    if (plan->earlier == NULL) {
        return cfi_fail_memory(error, "a simulated plan");
    }
    for (int u = CFI_UNIT_INDEX_SHARDS; u < before->unit_count; u++) {
        const cfi_unit *unit = &before->units[u];
        plan->earlier[plan->earlier_count++] = (cfi_earlier){unit->stage, unit->begin, unit->end};
    }
    return CF_OK;
}

/* ---- The plan ---- */

static cf_status make_plan(sim_world *world, cfi_cluster *plan, cf_error *error)
{
    const cfi_sim *sim = world->sim;
    const size_t units_max = CFI_UNIT_INDEX_SHARDS + (size_t)sim->stage_count * STAGE_CUTS_MAX;
    plan->id = (uint32_t)world->plan_count + 1;
    plan->run[0] = 0x5EED0000u + world->run->seed;
    plan->run[1] = 0x51B7;
    plan->digest = sim->digest;
    snprintf(plan->name, sizeof plan->name, "%s", sim->options.settings->name);
    plan->work = world->plan_count > 0 ? world->plans[0].work : sim->work;
    plan->work.micro_batches = world->settings.training.micro_batches;
    plan->stages = cfi_calloc((size_t)sim->stage_count, sizeof *plan->stages);
    plan->units = cfi_calloc(units_max, sizeof *plan->units);
    plan->containers = cfi_calloc(units_max, sizeof *plan->containers);
    if (units_max > SIM_UNITS_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "the simulator has room for %d units; this network may need %zu",
                        SIM_UNITS_MAX, units_max);
    }
    if (plan->stages == NULL || plan->units == NULL || plan->containers == NULL) {
        return cfi_fail_memory(error, "a simulated plan");
    }
    memcpy(plan->stages, sim->stages, (size_t)sim->stage_count * sizeof *plan->stages);
    plan->stage_count = sim->stage_count;
    if (world->plan_count == 0) {
        plan->work.persist_every = sim_draw_chance(&world->draws, 0.7) ? 1 : sim_draw_range(&world->draws, 2, 3);
        plan->work.window = 2 * plan->work.persist_every + sim_draw_range(&world->draws, 0, 3);
    }
    add_units(world, plan);
    place_units(world, plan);
    return add_earlier(world, plan, error);
}

static void note_places(sim_world *world, int plan_index)
{
    const cfi_cluster *plan = &world->plans[plan_index];
    for (int c = 0; c < plan->container_count; c++) {
        int place = sim_place_find(world, plan->containers[c].name);
        if (place < 0) {
            place = world->place_count++;
            world->places[place] = (sim_place){.current = -1, .disk = sim_disk_for(world)};
            snprintf(world->places[place].name, sizeof world->places[place].name, "%s", plan->containers[c].name);
        }
        world->place_of[plan_index][c] = place;
        world->is_short |= world->places[place].disk == NULL;
    }
}

cf_status sim_plan_add(sim_world *world, cf_error *error)
{
    cfi_cluster *plan = &world->plans[world->plan_count];
    cf_status status = make_plan(world, plan, error);
    char *text = NULL;
    if (status == CF_OK) {
        status = cfi_cluster_print(plan, &text, error);
    }
    if (status != CF_OK) {
        cfi_cluster_fini(plan);
        *plan = (cfi_cluster){0};
        return status;
    }
    world->plan_texts[world->plan_count++] = text;
    note_places(world, world->plan_count - 1);
    return CF_OK;
}

void sim_plans_fini(sim_world *world)
{
    for (int p = 0; p < world->plan_count; p++) {
        cfi_cluster_fini(&world->plans[p]);
        cfi_free(world->plan_texts[p]);
    }
    world->plan_count = 0;
}
