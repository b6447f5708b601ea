/* The events to come: a binary heap by (time, number in which they were added). */
#include "base/alloc.h"
#include "sim/world.h"

static bool is_before(const sim_event *left, const sim_event *right)
{
    return left->time != right->time ? left->time < right->time : left->sequence < right->sequence;
}

void sim_event_fini(sim_event *event)
{
    cfi_frame_unref(event->frame);
    cfi_free(event->bytes);
    event->frame = NULL;
    event->bytes = NULL;
}

bool sim_events_add(sim_events *events, const sim_event *event)
{
    if (events->count == events->capacity) {
        const int capacity = events->capacity * 2 + 64;
        sim_event *items = cfi_realloc(events->items, (size_t)capacity, sizeof *items);
        if (items == NULL) {
            sim_event lost = *event;
            sim_event_fini(&lost);
            return false;
        }
        events->items = items;
        events->capacity = capacity;
    }
    int place = events->count++;
    sim_event added = *event;
    added.sequence = events->sequence++;
    while (place > 0 && is_before(&added, &events->items[(place - 1) / 2])) {
        events->items[place] = events->items[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    events->items[place] = added;
    return true;
}

bool sim_events_take(sim_events *events, sim_event *event_out)
{
    if (events->count == 0) {
        return false;
    }
    *event_out = events->items[0];
    const sim_event last = events->items[--events->count];
    int place = 0;
    for (;;) {
        int child = 2 * place + 1;
        if (child + 1 < events->count && is_before(&events->items[child + 1], &events->items[child])) {
            child++;
        }
        if (child >= events->count || !is_before(&events->items[child], &last)) {
            break;
        }
        events->items[place] = events->items[child];
        place = child;
    }
    if (events->count > 0) {
        events->items[place] = last;
    }
    return true;
}

void sim_events_fini(sim_events *events)
{
    for (int i = 0; i < events->count; i++) {
        sim_event_fini(&events->items[i]);
    }
    cfi_free(events->items);
    *events = (sim_events){NULL, 0, 0, 0};
}
