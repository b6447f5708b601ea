/* One seed from beginning to end: the loop over events. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "sim/world.h"

#define EVENTS_MAX 20000000      /* of one seed; some thousand are usual */
#define FAULTY_MAX (20 * SIM_SECOND)
#define HEALED_MAX (180 * SIM_SECOND)

/* ---- What all files use ---- */

bool sim_has_listener(const sim_world *world)
{
    return world->run->on_line != NULL;
}

void sim_say(sim_world *world, const char *format, ...)
{
    char text[512];
    va_list arguments;
    if (!sim_has_listener(world)) {
        return;
    }
    const int length = snprintf(text, sizeof text, "%12.3f ms  ", (double)world->now / (double)SIM_MS);
    va_start(arguments, format);
    vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    va_end(arguments);
    world->run->on_line(world->run->user, text);
}

/* The first violation is the one to tell. */
void sim_violate(sim_world *world, int oracle, const char *format, ...)
{
    cfi_sim_result *result = world->result;
    va_list arguments;
    if (result->has_failed) {
        return;
    }
    result->has_failed = true;
    result->oracle = oracle;
    const int length = snprintf(result->violation, sizeof result->violation, "at %.3f ms: ",
                                (double)world->now / (double)SIM_MS);
    va_start(arguments, format);
    vsnprintf(result->violation + length, sizeof result->violation - (size_t)length, format, arguments);
    va_end(arguments);
    sim_say(world, "VIOLATION of O%d: %s", oracle, result->violation + length);
}

void sim_count(sim_world *world, cfi_sim_fault fault)
{
    world->result->faults[fault]++;
}

void sim_add(sim_world *world, const sim_event *event)
{
    world->is_short |= !sim_events_add(&world->events, event);
}

void sim_trace(sim_world *world, uint64_t a, uint64_t b)
{
    uint64_t hash = world->result->trace;
    hash = (hash ^ a) * 0x9E3779B97F4A7C15u;
    hash = (hash ^ (hash >> 29) ^ b) * 0xBF58476D1CE4E5B9u;
    world->result->trace = hash ^ (hash >> 32);
}

sim_disk *sim_disk_for(sim_world *world)
{
    if (world->disk_count == world->disk_capacity) {
        const int capacity = world->disk_capacity * 2 + 16;
        sim_disk **disks = cfi_realloc(world->disks, (size_t)capacity, sizeof(sim_disk *));
        if (disks == NULL) {
            return NULL;
        }
        world->disks = disks;
        world->disk_capacity = capacity;
    }
    sim_disk *disk = sim_disk_new(world);
    if (disk != NULL) {
        world->disks[world->disk_count++] = disk;
    }
    return disk;
}

/* ---- Events ---- */

static bool is_of_process(const sim_event *event)
{
    return event->kind == SIM_EVENT_TICK || event->kind == SIM_EVENT_FRAME || event->kind == SIM_EVENT_WRITE ||
           event->kind == SIM_EVENT_PERSISTED || event->kind == SIM_EVENT_FETCH;
}

static void say_frame(sim_world *world, const sim_event *event)
{
    const cfi_frame_header *header = &event->frame->header;
    const sim_process *process = &world->processes[event->process];
    if (sim_has_listener(world)) {
        sim_say(world, "%s <- %s: %s step %" PRIu64 " micro %u unit %u to %d, head %" PRIu64,
                world->places[process->place].name, world->places[event->place].name,
                cfi_frame_kind_name(header->kind), header->step, header->micro, header->source_unit,
                (int)header->target_unit, header->head);
    }
}

static void handle_of_process(sim_world *world, const sim_event *event)
{
    switch (event->kind) {
    case SIM_EVENT_TICK:
        sim_process_tick(world, event->process);
        break;
    case SIM_EVENT_FRAME:
        say_frame(world, event);
        sim_process_frame(world, event->process, event->place, event->frame);
        break;
    case SIM_EVENT_WRITE:
        sim_process_write(world, event);
        break;
    case SIM_EVENT_PERSISTED:
        sim_process_persisted(world, event);
        break;
    case SIM_EVENT_FETCH:
        sim_process_fetch(world, event->process);
        break;
    case SIM_EVENT_START:
    case SIM_EVENT_FAULT:
    case SIM_EVENT_MEND:
    case SIM_EVENT_SCALE:
    case SIM_EVENT_HEAL:
    case SIM_EVENT_COUNT:
        break;
    }
}

static void handle(sim_world *world, sim_event *event)
{
    if (is_of_process(event)) {
        const sim_process *process = &world->processes[event->process];
        if (!process->is_alive) {
            return;
        }
        if (process->paused_until > world->now) {
            sim_event later = *event;
            later.time = process->paused_until;
            event->frame = NULL;
            event->bytes = NULL;
            sim_add(world, &later);
            return;
        }
        handle_of_process(world, event);
    } else if (event->kind == SIM_EVENT_START) {
        sim_process_start(world, event->place);
    } else if (event->kind == SIM_EVENT_FAULT) {
        sim_fault(world, (cfi_sim_fault)event->number);
    } else if (event->kind == SIM_EVENT_MEND) {
        sim_mend(world, event);
    } else if (event->kind == SIM_EVENT_SCALE) {
        sim_scale(world);
    }
}

/* ---- Beginning and end ---- */

static cf_status begin(sim_world *world, cf_error *error)
{
    cfi_sim *sim = world->sim;
    world->draws.seed = world->run->seed;
    world->settings = sim->settings;
    world->settings.training.micro_batches =
        sim->micro_choices[sim_draw_range(&world->draws, 0, sim->micro_choice_count - 1)];
    world->running = -1;
    world->volume_mended_at = world->store_mended_at = -1;
    world->processes = cfi_calloc(SIM_PROCESSES_MAX, sizeof *world->processes);
    world->persisted = cfi_calloc(SIM_PLANS_MAX * SIM_UNITS_MAX, sizeof *world->persisted);
    world->leases = cfi_calloc(SIM_PLANS_MAX * SIM_UNITS_MAX, sizeof *world->leases);
    world->leases_ever = cfi_calloc(SIM_PLANS_MAX * SIM_UNITS_MAX, sizeof *world->leases_ever);
    if (world->processes == NULL || world->persisted == NULL || world->leases == NULL || world->leases_ever == NULL) {
        return cfi_fail_memory(error, "the simulator");
    }
    sim_weather_init(world);
    world->heal_step = sim_draw_range(&world->draws, sim->work.step_count / 2, sim->work.step_count);
    world->deadline = world->is_healed ? HEALED_MAX : FAULTY_MAX;
    CFI_TRY(sim_keeper_init(&world->keeper, world, error));
    CFI_TRY(sim_plan_add(world, error));
    for (int p = 0; p < world->place_count; p++) {
        sim_start_later(world, p, sim_draw_range(&world->draws, 0, 10 * SIM_MS));
    }
    sim_faults_begin(world);
    world->result->units = world->plans[0].unit_count;
    world->result->containers = world->plans[0].container_count;
    sim_say(world, "seed %" PRIu64 ": %d units in %d containers, %" PRId64 " micro-batches, window %" PRId64
            ", persisted every %" PRId64 ", durable against %s", world->run->seed, world->plans[0].unit_count,
            world->plans[0].container_count, world->settings.training.micro_batches, world->plans[0].work.window,
            world->plans[0].work.persist_every, world->weather.is_power_safe ? "power loss" : "kills");
    return CF_OK;
}

static void say_who_waits(sim_world *world)
{
    for (int p = 0; p < world->place_count && sim_has_listener(world); p++) {
        const int current = world->places[p].current;
        const sim_process *process = current >= 0 ? &world->processes[current] : NULL;
        sim_say(world, "%s: %s, plan %d", world->places[p].name,
                process == NULL ? (world->places[p].is_retired ? "retired" : "down") : "runs",
                process != NULL ? process->plan + 1 : 0);
        for (int u = 0; process != NULL && u < process->unit_count; u++) {
            cfi_machine_status status;
            cfi_machine_status_get(process->units[u].machine, &status);
            sim_say(world, "  %s: %s, step %" PRId64 ", head %" PRId64 ", waits for unit %d (%s) since %" PRId64
                    " ticks", world->plans[process->plan].units[process->units[u].index].name, status.phase,
                    status.step, status.head, status.waiting_for, status.waiting_kind, status.waiting_ticks);
        }
    }
}

/* After each event: heals, ends, gives up. */
static void look(sim_world *world, const sim_event *event)
{
    const sim_keeper *keeper = &world->keeper;
    const bool is_far = keeper->has_head && keeper->head.step >= world->heal_step;
    if (!world->is_healed && (is_far || world->now > world->deadline)) {
        sim_heal(world);
        world->deadline = world->now + HEALED_MAX;
    }
    if (event->kind == SIM_EVENT_TICK && keeper->has_head && keeper->head.is_finished && world->is_healed &&
        sim_is_finished(world)) {
        sim_check_end(world);
        world->is_over = true;
    } else if (world->is_healed && world->now > world->deadline) {
        say_who_waits(world);
        sim_violate(world, 5, "HEAD is at %" PRId64 " of %" PRId64 " long after everything has healed",
                    keeper->has_head ? keeper->head.step : -1, world->sim->work.step_count);
    } else if (world->result->events >= EVENTS_MAX) {
        sim_violate(world, 5, "%d events and no end", EVENTS_MAX);
    }
    world->is_over |= world->result->has_failed || world->is_short;
}

static void run_events(sim_world *world)
{
    sim_event event;
    while (!world->is_over && sim_events_take(&world->events, &event)) {
        world->now = event.time;
        world->result->events++;
        sim_trace(world, (uint64_t)event.time, (uint64_t)event.kind);
        sim_trace(world, (uint64_t)event.process, event.frame != NULL ? event.frame->payload_hash : 0);
        handle(world, &event);
        look(world, &event);
        sim_process_reap(world);
        sim_event_fini(&event);
    }
    if (!world->is_over) {
        sim_violate(world, 5, "nothing is left to happen");
    }
}

static void end(sim_world *world)
{
    for (int p = 0; p < world->process_count; p++) {
        if (world->processes[p].is_alive) {
            world->dead[0] = p;
            world->dead_count = 1;
            sim_process_reap(world);
        }
    }
    cfi_actions_fini(&world->actions);
    sim_events_fini(&world->events);
    sim_keeper_fini(&world->keeper);
    sim_plans_fini(world);
    for (int d = 0; d < world->disk_count; d++) {
        sim_disk_free(world->disks[d]);
    }
    cfi_free(world->disks);
    cfi_free(world->processes);
    cfi_free(world->persisted);
    cfi_free(world->leases);
    cfi_free(world->leases_ever);
    cfi_free(world);
}

cf_status cfi_sim_seed(cfi_sim *sim, const cfi_sim_run *run, cfi_sim_result *result_out, cf_error *error)
{
    cfi_sim_result result = {0};
    sim_world *world = cfi_calloc(1, sizeof *world);
    if (world == NULL) {
        return cfi_fail_memory(error, "the simulator");
    }
    world->sim = sim;
    world->run = run;
    world->result = &result;
    cf_status status = begin(world, error);
    if (status == CF_OK) {
        run_events(world);
        result.microseconds = world->now;
        result.steps = world->keeper.has_head ? world->keeper.head.step : 0;
    }
    if (status == CF_OK && world->is_short) {
        status = cfi_fail_memory(error, "the simulator");
    }
    end(world);
    if (status == CF_OK) {
        *result_out = result;
    }
    return status;
}
