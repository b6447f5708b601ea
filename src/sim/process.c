/* Containers' processes: they start, do what their machines say, and die at any moment. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "sim/world.h"

enum { WRITE_QUEUE_GAP = 20 };

/* ---- I/O points: everything that a process does to the world outside ---- */

bool sim_point_before(sim_world *world)
{
    const int64_t number = world->result->points++;
    world->point = CFI_SIM_POINT_NONE;
    if (world->running < 0) {
        return true;
    }
    for (int i = 0; i < CFI_SIM_POINTS_MAX; i++) {
        const cfi_sim_point *point = &world->run->points[i];
        const bool is_death = point->kind == CFI_SIM_POINT_BEFORE || point->kind == CFI_SIM_POINT_AFTER;
        world->point = is_death && point->number == number ? point->kind : world->point;
    }
    if (world->crash_at_next_io) {
        world->crash_at_next_io = false;
        sim_count(world, CFI_SIM_CRASH_AT_IO);
        world->point = (sim_draw(&world->draws) & 1u) != 0 ? CFI_SIM_POINT_BEFORE : CFI_SIM_POINT_AFTER;
    }
    if (world->point == CFI_SIM_POINT_BEFORE) {
        sim_process_crash(world, world->running, false);
        return false;
    }
    return true;
}

void sim_point_after(sim_world *world)
{
    if (world->point == CFI_SIM_POINT_AFTER) {
        world->point = CFI_SIM_POINT_NONE;
        sim_process_crash(world, world->running, false);
    }
}

cfi_sim_point_kind sim_point_of_disk(sim_world *world)
{
    const int64_t number = world->result->disk_points - 1;
    for (int i = 0; i < CFI_SIM_POINTS_MAX && world->running >= 0; i++) {
        const cfi_sim_point *point = &world->run->points[i];
        if (point->kind >= CFI_SIM_POINT_FAIL && point->number == number) {
            world->processes[world->running].is_disk_hurt = true;
            return point->kind;
        }
    }
    return CFI_SIM_POINT_NONE;
}

/* ---- Death ---- */

static void forget_alive(sim_place *place, int process)
{
    int kept = 0;
    for (int i = 0; i < place->alive_count; i++) {
        if (place->alive[i] != process) {
            place->alive[kept++] = place->alive[i];
        }
    }
    place->alive_count = kept;
}

/* Nothing of it is freed yet: it may be at work right now. */
static void die(sim_world *world, int index)
{
    sim_process *process = &world->processes[index];
    sim_place *place = &world->places[process->place];
    process->is_alive = false;
    forget_alive(place, index);
    world->dead[world->dead_count++] = index;
    if (place->current == index) {
        place->current = -1;
    }
    sim_trace(world, 100, (uint64_t)index);
}

void sim_process_crash(sim_world *world, int index, bool is_power_loss)
{
    sim_process *process = &world->processes[index];
    if (!process->is_alive) {
        return;
    }
    sim_place *place = &world->places[process->place];
    const bool was_current = place->current == index;
    sim_say(world, "%s: dies%s%s", place->name, is_power_loss ? " with the power" : "",
            was_current ? "" : " (a zombie)");
    die(world, index);
    if (is_power_loss) {
        for (int i = place->alive_count - 1; i >= 0; i--) {
            if (world->processes[place->alive[i]].disk == process->disk) {
                die(world, place->alive[i]);
            }
        }
        sim_disk_power_loss(process->disk);
    }
    if (place->current < 0) {
        const int64_t back_off = place->fails < 50 ? place->fails * 100 * SIM_MS : 5 * SIM_SECOND;
        sim_start_later(world, process->place, back_off + sim_draw_range(&world->draws, 1, world->weather.restart));
    }
}

static void free_units(sim_process *process)
{
    for (int u = 0; u < process->unit_count; u++) {
        cfi_machine_free(process->units[u].machine);
        cfi_volume_close(process->units[u].volume);
    }
    cfi_free(process->units);
    process->units = NULL;
    process->unit_count = 0;
}

void sim_process_reap(sim_world *world)
{
    for (int i = 0; i < world->dead_count; i++) {
        free_units(&world->processes[world->dead[i]]);
    }
    world->dead_count = 0;
}

/* ---- Actions ---- */

static void send_to_containers(sim_world *world, int index, const cfi_action *action)
{
    const sim_process *process = &world->processes[index];
    const cfi_cluster *plan = &world->plans[process->plan];
    bool is_sent[SIM_PLACES_MAX] = {false};
    for (int t = 0; t < action->target_count && process->is_alive; t++) {
        if (action->targets[t] >= (uint32_t)plan->unit_count) {
            sim_violate(world, 4, "%s sends to unit %u, which the plan does not have",
                        world->places[process->place].name, action->targets[t]);
            return;
        }
        const int container = plan->units[action->targets[t]].container;
        if (is_sent[container]) {
            continue;
        }
        is_sent[container] = true;
        if (sim_point_before(world)) {
            sim_send(world, index, world->place_of[process->plan][container], action->frame);
            sim_point_after(world);
        }
    }
}

/* The I/O thread writes one record after the other. */
static void queue_write(sim_world *world, int index, const sim_unit *unit, cfi_action *action)
{
    sim_process *process = &world->processes[index];
    const int64_t earliest = world->now + sim_draw_range(&world->draws, 1, process->disk->latency);
    process->disk_free_at = earliest > process->disk_free_at ? earliest : process->disk_free_at + WRITE_QUEUE_GAP;
    sim_add(world, &(sim_event){.time = process->disk_free_at, .kind = SIM_EVENT_WRITE, .process = index,
                                .unit = unit->index, .number = process->plan, .step = action->step,
                                .incarnation = action->incarnation, .bytes = action->bytes, .size = action->size});
    action->bytes = NULL;
}

static void fail_unit(sim_world *world, int index, const sim_unit *unit, const char *text)
{
    const sim_process *process = &world->processes[index];
    sim_say(world, "%s: %s ends: %s", world->places[process->place].name,
            world->plans[process->plan].units[unit->index].name, text);
    sim_check_failure(world, process, unit, text);
    sim_process_crash(world, index, false);
}

static void perform(sim_world *world, int index, const sim_unit *unit, cfi_action *action)
{
    sim_process *process = &world->processes[index];
    switch (action->kind) {
    case CFI_ACTION_SEND:
        send_to_containers(world, index, action);
        break;
    case CFI_ACTION_PERSIST:
        if (sim_point_before(world)) {
            queue_write(world, index, unit, action);
            sim_point_after(world);
        }
        break;
    case CFI_ACTION_REPLAN:
        process->wanted_plan = action->plan;
        break;
    case CFI_ACTION_FAIL:
        fail_unit(world, index, unit, action->text);
        break;
    case CFI_ACTION_NOTE:
        sim_say(world, "%s: %s", world->places[process->place].name, action->text);
        break;
    case CFI_ACTION_ANSWER:
        break; /* nobody asks in here */
    }
}

void sim_process_step(sim_world *world, int index, int unit_place, const cfi_machine_event *event)
{
    sim_process *process = &world->processes[index];
    sim_unit *unit = &process->units[unit_place];
    if (!process->is_alive || process->wanted_plan != 0) {
        return;
    }
    world->running = index;
    const bool is_starved = !world->is_healed && sim_draw_chance(&world->draws, world->weather.no_memory);
    if (is_starved) {
        cfi_alloc_fail_after((uint64_t)sim_draw_range(&world->draws, 0, 12));
    }
    cfi_machine_step(unit->machine, event, &world->actions);
    cfi_alloc_fail_after(UINT64_MAX);
    if (world->actions.is_short) {
        sim_count(world, CFI_SIM_NO_MEMORY);
        sim_process_crash(world, index, false);
    }
    for (int i = 0; i < world->actions.count && process->is_alive; i++) {
        perform(world, index, unit, &world->actions.items[i]);
    }
    cfi_actions_clear(&world->actions);
    world->running = -1;
    if (process->is_alive && process->wanted_plan != 0) {
        free_units(process);
        sim_add(world, &(sim_event){.time = world->now + 2 * world->weather.latency, .kind = SIM_EVENT_FETCH,
                                    .process = index});
    }
}

/* ---- Frames and ticks ---- */

static void serve_store(sim_world *world, int index, int from_place, const cfi_frame *request)
{
    sim_process *process = &world->processes[index];
    cfi_frame *reply = NULL;
    cf_error error = {0};
    world->running = index;
    if (sim_point_before(world)) {
        const cf_status status = cfi_store_server_answer(&process->server, request, &reply, &error);
        if (status == CF_OK) {
            sim_check_request(world, request, reply);
            sim_point_after(world);
        } else if (status == CF_E_DATA) {
            sim_violate(world, 4, "the store cannot read a request: %s", error.text);
        } else {
            world->is_short = true;
        }
    }
    if (reply != NULL && process->is_alive) {
        sim_send(world, index, from_place, reply);
    }
    cfi_frame_unref(reply);
    world->running = -1;
}

void sim_process_frame(sim_world *world, int index, int from_place, cfi_frame *frame)
{
    sim_process *process = &world->processes[index];
    const cfi_machine_event event = {.kind = CFI_MACHINE_FRAME, .frame = frame};
    if (frame->header.kind == CFI_FRAME_STORE_REQUEST) {
        if (process->has_store) {
            serve_store(world, index, from_place, frame);
        }
        return;
    }
    for (int u = 0; u < process->unit_count && process->is_alive; u++) {
        const uint32_t target = frame->header.target_unit;
        if (target == CFI_UNIT_ALL || target == (uint32_t)process->units[u].index) {
            sim_process_step(world, index, u, &event);
        }
    }
}

/* A container with the store alone has no machine that hears of another plan; it sees HEAD pass through its hands. */
static void watch_head(sim_world *world, int index)
{
    sim_process *process = &world->processes[index];
    const sim_keeper *keeper = &world->keeper;
    if (process->has_store && process->unit_count == 0 && process->wanted_plan == 0 && keeper->has_head &&
        keeper->head.plan > world->plans[process->plan].id) {
        process->wanted_plan = keeper->head.plan;
        free_units(process);
        sim_add(world, &(sim_event){.time = world->now + 1, .kind = SIM_EVENT_FETCH, .process = index});
    }
}

void sim_process_tick(sim_world *world, int index)
{
    sim_process *process = &world->processes[index];
    const cfi_machine_event event = {.kind = CFI_MACHINE_TICK};
    watch_head(world, index);
    for (int u = 0; u < process->unit_count && process->is_alive; u++) {
        sim_process_step(world, index, u, &event);
        if (process->is_alive && process->unit_count > u) {
            sim_check_unit(world, process, &process->units[u]);
        }
    }
    if (process->is_alive) {
        const bool is_odd = world->weather.has_odd_ticks && !world->is_healed;
        const int64_t pause = is_odd ? sim_draw_range(&world->draws, SIM_MS, 8 * CFI_TICK_MS * SIM_MS)
                                     : CFI_TICK_MS * SIM_MS;
        sim_add(world, &(sim_event){.time = world->now + pause, .kind = SIM_EVENT_TICK, .process = index});
    }
}

/* ---- Volumes ---- */

static int find_unit(const sim_process *process, int unit_index)
{
    for (int u = 0; u < process->unit_count; u++) {
        if (process->units[u].index == unit_index) {
            return u;
        }
    }
    return -1;
}

void sim_process_write(sim_world *world, const sim_event *event)
{
    sim_process *process = &world->processes[event->process];
    const int found = process->plan == event->number ? find_unit(process, event->unit) : -1;
    cf_error error = {0};
    if (found < 0 || process->units[found].volume == NULL) {
        return; /* made for a plan that is over */
    }
    world->running = event->process;
    process->is_disk_hurt |= process->disk->fail_writes > 0 || process->disk->fail_syncs > 0;
    const cf_status status = cfi_volume_write(process->units[found].volume, event->step, event->incarnation,
                                              event->bytes, event->size, &error);
    world->running = -1;
    if (!process->is_alive) {
        return;
    }
    if (status == CF_OK) {
        int64_t *persisted = &world->persisted[event->number * SIM_UNITS_MAX + event->unit];
        *persisted = event->step > *persisted ? event->step : *persisted;
    } else {
        sim_say(world, "%s: volume: %s", world->places[process->place].name, error.text);
    }
    sim_add(world, &(sim_event){.time = world->now + sim_draw_range(&world->draws, 1, 100),
                                .kind = SIM_EVENT_PERSISTED, .process = event->process, .unit = event->unit,
                                .number = event->number, .step = event->step, .status = status});
}

void sim_process_persisted(sim_world *world, const sim_event *event)
{
    const sim_process *process = &world->processes[event->process];
    const int found = process->plan == event->number ? find_unit(process, event->unit) : -1;
    if (found >= 0) {
        const cfi_machine_event persisted = {
            .kind = CFI_MACHINE_PERSISTED, .step = event->step, .status = event->status};
        sim_process_step(world, event->process, found, &persisted);
    }
}

/* ---- Birth ---- */

static cf_status open_volume(sim_world *world, sim_process *process, sim_unit *unit, cf_error *error)
{
    const cfi_cluster *plan = &world->plans[process->plan];
    char path[CFI_UNIT_NAME_SIZE + 8];
    snprintf(path, sizeof path, "%s.wal", plan->units[unit->index].name);
    if (cfi_machine_record_size(unit->machine) == 0) {
        return CF_OK;
    }
    process->is_disk_hurt |= process->disk->fail_writes > 0 || process->disk->fail_syncs > 0;
    const cfi_volume_options options = {
        .disk = sim_disk_use(process->disk), .path = path, .run = {plan->run[0], plan->run[1]},
        .unit = plan->units[unit->index].name, .record_size = cfi_machine_record_size(unit->machine),
        .slot_count = cfi_machine_record_slots(unit->machine), .power_safe = world->weather.is_power_safe};
    return cfi_volume_open(&options, &unit->volume, error);
}

static cf_status make_machine(sim_world *world, sim_process *process, int unit_index, cf_error *error)
{
    const cfi_sim_options *options = &world->sim->options;
    const cfi_cluster *plan = &world->plans[process->plan];
    sim_unit *unit = &process->units[process->unit_count++];
    unit->index = unit_index;
    const cfi_machine_options machine = {
        .settings = &world->settings, .graph = options->graph, .cluster = plan, .unit = unit_index,
        .compute = options->compute,
        .dataset = plan->units[unit_index].kind == CFI_UNIT_SOURCE ? options->dataset : NULL};
    CFI_TRY(cfi_machine_new(&machine, &unit->machine, error));
    return open_volume(world, process, unit, error);
}

static cf_status make_units(sim_world *world, sim_process *process, int container, cf_error *error)
{
    const cfi_cluster *plan = &world->plans[process->plan];
    process->units = cfi_calloc((size_t)plan->unit_count, sizeof *process->units);
    if (process->units == NULL) {
        return cfi_fail_memory(error, "a simulated process");
    }
    for (int u = 0; u < plan->unit_count; u++) {
        if (plan->units[u].container != container) {
            continue;
        }
        if (plan->units[u].kind == CFI_UNIT_STORE && process->has_store) {
            continue; /* it serves on through a change of plan */
        }
        if (plan->units[u].kind == CFI_UNIT_STORE) {
            process->has_store = true;
            process->server = (cfi_store_server){.store = world->keeper.outer,
                                                 .generation = ++world->keeper.generation, .unit = (uint32_t)u};
            continue;
        }
        CFI_TRY(make_machine(world, process, u, error));
    }
    return CF_OK;
}

static void start_machines(sim_world *world, int index)
{
    sim_process *process = &world->processes[index];
    for (int u = 0; u < process->unit_count && process->is_alive; u++) {
        cfi_volume *volume = process->units[u].volume;
        cfi_machine_event event = {.kind = CFI_MACHINE_START, .boot = ++world->boots};
        if (volume != NULL) {
            event.records = cfi_volume_records(volume, &event.record_count);
        }
        sim_process_step(world, index, u, &event);
        if (volume != NULL && process->is_alive && process->unit_count > u) {
            cfi_volume_forget(volume);
        }
    }
}

static int container_of(const sim_world *world, int plan, int place)
{
    for (int c = 0; c < world->plans[plan].container_count; c++) {
        if (world->place_of[plan][c] == place) {
            return c;
        }
    }
    return -1;
}

/* The plan has no such container. Its supervisor starts it again where the plan in force, or one to come, has. */
static void retire(sim_world *world, int index)
{
    const int place_index = world->processes[index].place;
    sim_place *place = &world->places[place_index];
    const bool was_current = place->current == index;
    const int newest = world->plan_count - 1;
    sim_say(world, "%s: retires: plan %d has no such container", place->name, world->processes[index].plan + 1);
    die(world, index);
    if (!was_current) {
        return;
    }
    place->is_retired = container_of(world, world->plan_in_force, place_index) < 0 &&
                        container_of(world, newest, place_index) < 0;
    place->plan = container_of(world, world->plan_in_force, place_index) >= 0 ? world->plan_in_force : newest;
    sim_start_later(world, place_index, CFI_TICK_MS * SIM_MS);
}

/* Makes the machines of the process's plan and starts them; a process that cannot ends. */
static void populate(sim_world *world, int index)
{
    sim_process *process = &world->processes[index];
    const int container = container_of(world, process->plan, process->place);
    cf_error error = {0};
    if (container < 0) {
        retire(world, index);
        return;
    }
    world->running = index;
    const cf_status status = make_units(world, process, container, &error);
    world->running = -1;
    if (!process->is_alive) {
        return;
    }
    if (status != CF_OK) {
        sim_say(world, "%s: cannot start: %s", world->places[process->place].name, error.text);
        if (!process->is_disk_hurt && !process->disk->is_full) {
            sim_violate(world, 4, "%s cannot start: %s", world->places[process->place].name, error.text);
        }
        world->places[process->place].fails++;
        sim_process_crash(world, index, false);
        return;
    }
    world->places[process->place].fails = 0;
    start_machines(world, index);
}

void sim_process_start(sim_world *world, int place_index)
{
    sim_place *place = &world->places[place_index];
    place->is_starting = false;
    if (place->is_retired || place->current >= 0 || place->alive_count == SIM_ALIVE_MAX) {
        return;
    }
    if (world->process_count == SIM_PROCESSES_MAX) {
        sim_violate(world, 5, "more than %d processes were needed", SIM_PROCESSES_MAX);
        return;
    }
    const int index = world->process_count++;
    world->processes[index] = (sim_process){
        .place = place_index, .plan = place->plan, .is_alive = true, .disk = place->disk, .born_at = world->now};
    place->current = index;
    place->alive[place->alive_count++] = index;
    sim_say(world, "%s: starts with plan %d", place->name, place->plan + 1);
    sim_add(world, &(sim_event){.time = world->now + sim_draw_range(&world->draws, 1, CFI_TICK_MS * SIM_MS),
                                .kind = SIM_EVENT_TICK, .process = index});
    populate(world, index);
}

void sim_start_later(sim_world *world, int place, int64_t delay)
{
    if (!world->places[place].is_starting && !world->places[place].is_retired) {
        world->places[place].is_starting = true;
        sim_add(world, &(sim_event){.time = world->now + delay, .kind = SIM_EVENT_START, .place = place});
    }
}

/* ---- Another plan ---- */

int sim_store_process(const sim_world *world)
{
    for (int p = 0; p < world->place_count; p++) {
        const int current = world->places[p].current;
        if (current >= 0 && world->processes[current].has_store) {
            return current;
        }
    }
    return -1;
}

static bool can_fetch(const sim_world *world, const sim_process *process)
{
    const int store = sim_store_process(world);
    char key[CFI_STORE_KEY_SIZE_MAX];
    const void *value = NULL;
    size_t size = 0;
    if (store < 0 || world->processes[store].paused_until > world->now) {
        return false;
    }
    const int there = world->processes[store].place;
    if (world->cut_until[process->place][there] > world->now || world->cut_until[there][process->place] > world->now) {
        return false;
    }
    cfi_key_plan(key, sizeof key, process->wanted_plan);
    return world->keeper.inner.ops->get(world->keeper.inner.self, key, &value, &size, NULL) == CF_OK;
}

void sim_process_fetch(sim_world *world, int index)
{
    sim_process *process = &world->processes[index];
    if (!can_fetch(world, process)) {
        sim_add(world, &(sim_event){.time = world->now + CFI_TICK_MS * SIM_MS, .kind = SIM_EVENT_FETCH,
                                    .process = index});
        return;
    }
    if (process->wanted_plan > (uint32_t)world->plan_count) {
        sim_violate(world, 2, "plan %u is in force, which nobody made", process->wanted_plan);
        return;
    }
    process->plan = (int)process->wanted_plan - 1;
    process->wanted_plan = 0;
    sim_place *place = &world->places[process->place];
    if (place->current == index && (sim_draw(&world->draws) & 1u) != 0) {
        place->plan = process->plan; /* its folder has the new plan too; else it starts with the old one again */
    }
    sim_say(world, "%s: goes over to plan %d", place->name, process->plan + 1);
    populate(world, index);
}
