/* The network between places: each frame for itself may be lost, doubled, late, out of order or damaged. */
#include <string.h>

#include "base/alloc.h"
#include "sim/world.h"

static void deliver_at(sim_world *world, int from_place, int to_process, cfi_frame *frame, int64_t time)
{
    sim_add(world, &(sim_event){.time = time, .kind = SIM_EVENT_FRAME, .process = to_process, .place = from_place,
                                .frame = cfi_frame_ref(frame)});
}

/* A copy with one bit turned must be refused; that it was sent is then the same as that it was lost. */
static void send_damaged(sim_world *world, const cfi_frame *frame)
{
    const size_t size = cfi_frame_size(frame);
    unsigned char *bytes = cfi_aligned_calloc(1, size);
    cfi_frame *decoded = NULL;
    if (bytes == NULL) {
        world->is_short = true;
        return;
    }
    memcpy(bytes, frame->bytes, size);
    const int64_t at = sim_draw_range(&world->draws, 0, (int64_t)size - 1);
    bytes[at] ^= (unsigned char)(1u << (sim_draw(&world->draws) % 8));
    sim_count(world, CFI_SIM_CORRUPT);
    if (cfi_frame_decode(bytes, size, cfi_aligned_free, bytes, &decoded, NULL) == CF_OK) {
        sim_violate(world, 3, "a %s frame with a wrong bit at byte %lld was taken for a good one",
                    cfi_frame_kind_name(frame->header.kind), (long long)at);
        cfi_frame_unref(decoded);
    } else {
        cfi_aligned_free(bytes);
    }
}

static int64_t arrival(sim_world *world, int from, int to)
{
    const sim_weather *weather = &world->weather;
    int64_t time = world->now + weather->latency + sim_draw_range(&world->draws, 0, weather->spread);
    int64_t *last = &world->last_arrival[from][to];
    if (sim_draw_chance(&world->draws, weather->reorder)) {
        time += sim_draw_waiting(&world->draws, 20 * weather->latency + 5 * SIM_MS);
        sim_count(world, CFI_SIM_REORDER);
    } else if (time < *last) {
        time = *last; /* the rest stays in order, as on a connection */
    } else {
        *last = time;
    }
    return time;
}

void sim_send(sim_world *world, int from_process, int to_place, cfi_frame *frame)
{
    const sim_process *sender = &world->processes[from_process];
    const sim_weather *weather = &world->weather;
    if (sender->place == to_place) { /* within one container: no network */
        deliver_at(world, to_place, from_process, frame, world->now + 1);
        return;
    }
    if (world->cut_until[sender->place][to_place] > world->now) {
        return;
    }
    const sim_place *place = &world->places[to_place];
    for (int i = 0; i < place->alive_count; i++) {
        const int p = place->alive[i];
        if (sim_draw_chance(&world->draws, weather->drop)) {
            sim_count(world, CFI_SIM_DROP);
            continue;
        }
        if (sim_draw_chance(&world->draws, weather->corrupt)) {
            send_damaged(world, frame);
            continue;
        }
        deliver_at(world, sender->place, p, frame, arrival(world, sender->place, to_place));
        if (sim_draw_chance(&world->draws, weather->duplicate)) {
            sim_count(world, CFI_SIM_DUPLICATE);
            deliver_at(world, sender->place, p, frame, arrival(world, sender->place, to_place));
        }
    }
}
