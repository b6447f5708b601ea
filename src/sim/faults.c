/* What goes wrong in one seed, and how it mends: each seed has some of the faults only, each more or less often, so
 * that rare combinations have the room that they need (swarm testing: Groce et al., ISSTA 2012). */
#include <string.h>

#include "sim/world.h"

static const char *const names[CFI_SIM_FAULT_COUNT] = {
    [CFI_SIM_DROP] = "frame lost", [CFI_SIM_DUPLICATE] = "frame doubled", [CFI_SIM_REORDER] = "frame out of order",
    [CFI_SIM_CORRUPT] = "frame damaged", [CFI_SIM_CUT_BOTH_WAYS] = "link cut",
    [CFI_SIM_CUT_ONE_WAY] = "link cut one way", [CFI_SIM_CRASH] = "crash",
    [CFI_SIM_CRASH_AT_IO] = "crash in an I/O call", [CFI_SIM_CRASH_ALL] = "crash of everything",
    [CFI_SIM_POWER_LOSS] = "power loss", [CFI_SIM_TORN_WRITE] = "torn write", [CFI_SIM_SYNC_ERROR] = "sync error",
    [CFI_SIM_WRITE_ERROR] = "write error", [CFI_SIM_DISK_FULL] = "disk full", [CFI_SIM_SLOW_DISK] = "slow disk",
    [CFI_SIM_BIT_ROT] = "bit rot", [CFI_SIM_VOLUME_LOST] = "volume lost", [CFI_SIM_PAUSE] = "pause",
    [CFI_SIM_TWIN] = "started twice", [CFI_SIM_TWO_CONTROLLERS] = "two controllers",
    [CFI_SIM_CONTROLLER_CRASH] = "controller crash", [CFI_SIM_STORE_CRASH] = "store crash",
    [CFI_SIM_STORE_OLD] = "store put back", [CFI_SIM_STORE_FULL] = "store full", [CFI_SIM_REPLAN] = "another plan",
    [CFI_SIM_NO_MEMORY] = "no memory", [CFI_SIM_ODD_TICKS] = "odd ticks",
};

const char *cfi_sim_fault_name(cfi_sim_fault fault)
{
    return names[fault];
}

/* Milliseconds of virtual time between two, when a seed has them at all; a step takes 2 to 10. 0: has a probability of
 * its own, or comes along with another. */
static const int usual_pause[CFI_SIM_FAULT_COUNT] = {
    [CFI_SIM_CUT_BOTH_WAYS] = 120, [CFI_SIM_CUT_ONE_WAY] = 120, [CFI_SIM_CRASH] = 60, [CFI_SIM_CRASH_AT_IO] = 60,
    [CFI_SIM_CRASH_ALL] = 400, [CFI_SIM_POWER_LOSS] = 120, [CFI_SIM_SYNC_ERROR] = 200, [CFI_SIM_WRITE_ERROR] = 200,
    [CFI_SIM_DISK_FULL] = 250, [CFI_SIM_SLOW_DISK] = 150, [CFI_SIM_BIT_ROT] = 150, [CFI_SIM_VOLUME_LOST] = 250,
    [CFI_SIM_PAUSE] = 120, [CFI_SIM_TWIN] = 200, [CFI_SIM_TWO_CONTROLLERS] = 250, [CFI_SIM_CONTROLLER_CRASH] = 120,
    [CFI_SIM_STORE_CRASH] = 150, [CFI_SIM_STORE_OLD] = 250, [CFI_SIM_STORE_FULL] = 200, [CFI_SIM_REPLAN] = 150,
};

/* ---- The seed's weather ---- */

static double draw_share(sim_draws *draws, double most)
{
    static const double parts[] = {0.05, 0.2, 1.0};
    const bool has = (sim_draw(draws) & 1u) != 0;
    const double share = most * parts[sim_draw_range(draws, 0, 2)];
    return has ? share : 0;
}

void sim_weather_init(sim_world *world)
{
    sim_weather *weather = &world->weather;
    sim_draws *draws = &world->draws;
    weather->latency = sim_draw_range(draws, 50, 400);
    weather->spread = weather->latency * sim_draw_range(draws, 0, 4);
    weather->disk_latency = sim_draw_range(draws, 200, 4000);
    weather->restart = sim_draw_range(draws, 1, 100) * SIM_MS;
    weather->lasting = sim_draw_range(draws, 20, 600) * SIM_MS;
    weather->is_power_safe = (sim_draw(draws) & 1u) != 0;
    weather->torn = 0.5;
    world->is_healed = world->run->is_calm;
    if (world->run->is_calm) {
        return;
    }
    weather->drop = draw_share(draws, 0.2);
    weather->duplicate = draw_share(draws, 0.2);
    weather->reorder = draw_share(draws, 0.3);
    weather->corrupt = draw_share(draws, 0.05);
    weather->no_memory = draw_share(draws, 0.005);
    weather->has_odd_ticks = sim_draw_chance(draws, 0.3);
    world->result->faults[CFI_SIM_ODD_TICKS] = weather->has_odd_ticks;
    for (int f = 0; f < CFI_SIM_FAULT_COUNT; f++) {
        const bool has = usual_pause[f] > 0 && sim_draw_chance(draws, 0.35);
        const int64_t scale = sim_draw_range(draws, 1, 4);
        weather->every[f] = has ? usual_pause[f] * SIM_MS * scale / 2 : 0;
    }
}

static void plan_next(sim_world *world, cfi_sim_fault fault)
{
    if (world->weather.every[fault] > 0 && !world->is_healed) {
        sim_add(world, &(sim_event){.time = world->now + sim_draw_waiting(&world->draws, world->weather.every[fault]),
                                    .kind = SIM_EVENT_FAULT, .number = (int)fault});
    }
}

void sim_faults_begin(sim_world *world)
{
    for (int f = 0; f < CFI_SIM_FAULT_COUNT; f++) {
        plan_next(world, (cfi_sim_fault)f);
    }
}

/* ---- Whom it hits ---- */

static int random_place(sim_world *world)
{
    return (int)sim_draw_range(&world->draws, 0, world->place_count - 1);
}

static int place_of_unit(const sim_world *world, int unit)
{
    return world->place_of[world->plan_in_force][world->plans[world->plan_in_force].units[unit].container];
}

/* False: nothing ran there. */
static bool crash_place(sim_world *world, int place, bool is_power_loss)
{
    const int current = world->places[place].current;
    if (current >= 0) {
        sim_process_crash(world, current, is_power_loss);
    }
    return current >= 0;
}

/* ---- Damage to what is durable: the promise holds for one copy of two ---- */

static int64_t mended_step(const sim_world *world)
{
    const cfi_work *work = &world->plans[0].work;
    return world->keeper.highest + 2 * work->window + 2 * work->persist_every + 2;
}

static bool is_mended(const sim_world *world, int64_t step)
{
    return step < 0 || (world->keeper.has_head && world->keeper.head.step >= step);
}

bool sim_can_hurt_volume(const sim_world *world)
{
    return is_mended(world, world->store_mended_at);
}

void sim_volume_was_hurt(sim_world *world)
{
    world->volume_mended_at = mended_step(world);
}

/* ---- Faults with an effect that lasts ---- */

static void mend_later(sim_world *world, cfi_sim_fault fault, int place)
{
    sim_add(world, &(sim_event){.time = world->now + sim_draw_waiting(&world->draws, world->weather.lasting),
                                .kind = SIM_EVENT_MEND, .number = (int)fault, .place = place});
}

static void cut(sim_world *world, bool is_both_ways)
{
    const int64_t until = world->now + sim_draw_waiting(&world->draws, world->weather.lasting);
    const bool is_one_link = (sim_draw(&world->draws) & 1u) != 0;
    const int one = random_place(world), other = random_place(world);
    for (int p = 0; p < world->place_count; p++) {
        if (p != one && (!is_one_link || p == other)) {
            world->cut_until[one][p] = until;
            world->cut_until[p][one] = is_both_ways ? until : world->cut_until[p][one];
        }
    }
    sim_say(world, "%s is cut off %s", world->places[one].name, is_both_ways ? "both ways" : "one way");
}

static void pause_process(sim_world *world, int place)
{
    const int current = world->places[place].current;
    if (current >= 0 && world->processes[current].paused_until <= world->now) {
        world->processes[current].paused_until =
            world->now + sim_draw_waiting(&world->draws, world->weather.lasting);
        sim_say(world, "%s: pauses", world->places[place].name);
    }
}

/* Another host starts the container although the old process is only paused, cut off, or slow. */
static bool start_twin(sim_world *world, int place_index)
{
    sim_place *place = &world->places[place_index];
    const int current = place->current;
    const bool has_store = current >= 0 && world->processes[current].has_store;
    if (current < 0 || has_store || place->alive_count >= SIM_ALIVE_MAX - 1 || !sim_can_hurt_volume(world)) {
        return false;
    }
    if ((sim_draw(&world->draws) & 1u) != 0) {
        pause_process(world, place_index);
    }
    place->disk = sim_disk_for(world); /* its volume stayed with the other host */
    if (place->disk == NULL) {
        world->is_short = true;
        return false;
    }
    sim_volume_was_hurt(world);
    sim_say(world, "%s: is started a second time, elsewhere", place->name);
    place->current = -1;
    sim_process_start(world, place_index);
    return true;
}

/* A copy from before another plan came into force is never put back: the protocol does not promise to survive that,
 * since the units of the plan in force would have no place in the plan of the copy. */
static bool put_store_back(sim_world *world)
{
    cf_error error = {0};
    if (!world->keeper.has_snapshot || world->snapshot_plan != world->plan_in_force) {
        world->snapshot_plan = world->plan_in_force;
        world->is_short |= sim_keeper_snapshot(&world->keeper, &error) != CF_OK;
        return false;
    }
    if (!is_mended(world, world->volume_mended_at)) {
        return false;
    }
    const int store = sim_store_process(world);
    if (store >= 0) {
        sim_process_crash(world, store, false);
    }
    world->store_mended_at = mended_step(world);
    (void)sim_keeper_restore(&world->keeper);
    memset(world->leases, 0, SIM_PLANS_MAX * SIM_UNITS_MAX * sizeof *world->leases);
    sim_say(world, "the store is put back to its copy of step %lld",
            world->keeper.has_head ? (long long)world->keeper.head.step : -1LL);
    return true;
}

static bool hurt_disk(sim_world *world, cfi_sim_fault fault)
{
    const int place = random_place(world);
    sim_disk *disk = world->places[place].disk;
    if (!sim_can_hurt_volume(world)) {
        return false;
    }
    sim_volume_was_hurt(world);
    if (fault == CFI_SIM_BIT_ROT) {
        sim_disk_rot(disk);
        return true;
    }
    (void)crash_place(world, place, false);
    for (int i = world->places[place].alive_count - 1; i >= 0; i--) {
        sim_process_crash(world, world->places[place].alive[i], false);
    }
    sim_disk_wipe(disk);
    return true;
}

/* ---- Another plan ---- */

static bool plan_another(sim_world *world, cf_error *error)
{
    const bool is_pending = world->plan_in_force != world->plan_count - 1;
    if (is_pending || world->plan_count == SIM_PLANS_MAX || !world->keeper.has_head) {
        return false;
    }
    if (sim_plan_add(world, error) != CF_OK) {
        world->is_short = true;
        return false;
    }
    sim_scale(world);
    return true;
}

static bool has_place(const sim_world *world, int plan, int place)
{
    for (int c = 0; c < world->plans[plan].container_count; c++) {
        if (world->place_of[plan][c] == place) {
            return true;
        }
    }
    return false;
}

/* What `scale` does: starts the new containers, and tells the controller until the plan is in force. */
void sim_scale(sim_world *world)
{
    const int newest = world->plan_count - 1;
    if (world->plan_in_force == newest) {
        return;
    }
    const int controller = place_of_unit(world, CFI_UNIT_INDEX_CONTROLLER);
    const int process = world->places[controller].current;
    for (int c = 0; c < world->plans[newest].container_count; c++) {
        sim_place *place = &world->places[world->place_of[newest][c]];
        const bool is_new = !has_place(world, world->plan_in_force, world->place_of[newest][c]);
        if (is_new && place->current < 0 && !place->is_starting) {
            place->is_retired = false;
            place->plan = newest;
            sim_start_later(world, world->place_of[newest][c], 1);
        }
    }
    const char *text = world->plan_texts[newest];
    const cfi_machine_event event = {.kind = CFI_MACHINE_REPLAN, .text = text, .text_size = strlen(text)};
    for (int u = 0; process >= 0 && u < world->processes[process].unit_count; u++) {
        if (world->processes[process].units[u].index == CFI_UNIT_INDEX_CONTROLLER &&
            world->processes[process].paused_until <= world->now) {
            sim_process_step(world, process, u, &event);
        }
    }
    sim_add(world, &(sim_event){.time = world->now + 100 * SIM_MS, .kind = SIM_EVENT_SCALE});
}

/* ---- All of them ---- */

/* What hits one place's disk; false: not now, or counted when it shows. */
static bool inject_disk(sim_world *world, cfi_sim_fault fault)
{
    const int place = random_place(world);
    sim_disk *disk = world->places[place].disk;
    if (fault == CFI_SIM_BIT_ROT || fault == CFI_SIM_VOLUME_LOST) {
        return hurt_disk(world, fault);
    }
    if (fault == CFI_SIM_WRITE_ERROR) {
        disk->fail_writes = 1;
        return false;
    }
    if (fault == CFI_SIM_SYNC_ERROR) { /* the volume gives up its file then, with all that is in it */
        if (world->weather.is_power_safe && sim_can_hurt_volume(world)) {
            sim_volume_was_hurt(world);
            disk->fail_syncs = 1;
        }
        return false;
    }
    disk->is_full |= fault == CFI_SIM_DISK_FULL;
    disk->latency = fault == CFI_SIM_SLOW_DISK ? 20 * world->weather.disk_latency : disk->latency;
    mend_later(world, fault, place);
    return true;
}

static void crash_all(sim_world *world)
{
    for (int p = 0; p < world->place_count; p++) {
        (void)crash_place(world, p, world->weather.is_power_safe);
    }
}

static bool inject_death(sim_world *world, cfi_sim_fault fault)
{
    switch ((int)fault) {
    case CFI_SIM_CRASH:
        return crash_place(world, random_place(world), false);
    case CFI_SIM_CRASH_AT_IO:
        world->crash_at_next_io = true;
        return false; /* counted when it happens */
    case CFI_SIM_CRASH_ALL:
        crash_all(world);
        return true;
    case CFI_SIM_POWER_LOSS:
        return crash_place(world, random_place(world), world->weather.is_power_safe) && world->weather.is_power_safe;
    case CFI_SIM_CONTROLLER_CRASH:
        return crash_place(world, place_of_unit(world, CFI_UNIT_INDEX_CONTROLLER), false);
    default: /* CFI_SIM_STORE_CRASH */
        return crash_place(world, place_of_unit(world, CFI_UNIT_INDEX_STORE), false);
    }
}

static bool inject(sim_world *world, cfi_sim_fault fault)
{
    cf_error error = {0};
    switch (fault) {
    case CFI_SIM_CUT_BOTH_WAYS:
    case CFI_SIM_CUT_ONE_WAY:
        cut(world, fault == CFI_SIM_CUT_BOTH_WAYS);
        return true;
    case CFI_SIM_CRASH:
    case CFI_SIM_CRASH_AT_IO:
    case CFI_SIM_CRASH_ALL:
    case CFI_SIM_POWER_LOSS:
    case CFI_SIM_CONTROLLER_CRASH:
    case CFI_SIM_STORE_CRASH:
        return inject_death(world, fault);
    case CFI_SIM_SYNC_ERROR:
    case CFI_SIM_WRITE_ERROR:
    case CFI_SIM_DISK_FULL:
    case CFI_SIM_SLOW_DISK:
    case CFI_SIM_BIT_ROT:
    case CFI_SIM_VOLUME_LOST:
        return inject_disk(world, fault);
    case CFI_SIM_PAUSE:
        pause_process(world, random_place(world));
        return true;
    case CFI_SIM_TWIN:
        return start_twin(world, random_place(world));
    case CFI_SIM_TWO_CONTROLLERS:
        return start_twin(world, place_of_unit(world, CFI_UNIT_INDEX_CONTROLLER));
    case CFI_SIM_STORE_OLD:
        return put_store_back(world);
    case CFI_SIM_STORE_FULL:
        world->keeper.is_full = true;
        mend_later(world, fault, 0);
        return true;
    case CFI_SIM_REPLAN:
        return plan_another(world, &error);
    case CFI_SIM_DROP:
    case CFI_SIM_DUPLICATE:
    case CFI_SIM_REORDER:
    case CFI_SIM_CORRUPT:
    case CFI_SIM_TORN_WRITE:
    case CFI_SIM_NO_MEMORY:
    case CFI_SIM_ODD_TICKS:
    case CFI_SIM_FAULT_COUNT:
        break;
    }
    return false;
}

void sim_fault(sim_world *world, cfi_sim_fault fault)
{
    if (!world->is_healed) {
        if (inject(world, fault)) {
            sim_count(world, fault);
            sim_say(world, "fault: %s", names[fault]);
        }
        plan_next(world, fault);
    }
}

void sim_mend(sim_world *world, const sim_event *event)
{
    sim_disk *disk = world->places[event->place].disk;
    if (event->number == CFI_SIM_STORE_FULL) {
        world->keeper.is_full = false;
    } else if (event->number == CFI_SIM_SLOW_DISK) {
        disk->latency = world->weather.disk_latency;
    } else {
        disk->is_full = false;
    }
}

void sim_heal(sim_world *world)
{
    sim_weather *weather = &world->weather;
    sim_say(world, "everything heals");
    world->is_healed = true;
    world->crash_at_next_io = false;
    world->keeper.is_full = false;
    weather->drop = weather->duplicate = weather->reorder = weather->corrupt = weather->no_memory = 0;
    memset(world->cut_until, 0, sizeof world->cut_until);
    for (int d = 0; d < world->disk_count; d++) {
        world->disks[d]->is_full = false;
        world->disks[d]->fail_writes = world->disks[d]->fail_syncs = 0;
        world->disks[d]->latency = weather->disk_latency;
    }
    for (int p = 0; p < world->process_count; p++) {
        world->processes[p].paused_until = 0;
    }
}
