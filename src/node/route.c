/* Events to machines, their actions, frames in and out. A machine's frame for a neighbour in the same container waits
 * in a queue: machines never run inside one another. */
#include <string.h>

#include "base/alloc.h"
#include "node/host.h"

/* ---- Out ---- */

static int find_peer(cfi_node_host *host, const char *endpoint)
{
    for (int p = 0; p < host->peer_count; p++) {
        if (strcmp(host->peers[p], endpoint) == 0) {
            return p;
        }
    }
    if (host->peer_count == host->peer_capacity) {
        const int capacity = host->peer_capacity * 2 + 8;
        void *peers = cfi_realloc(host->peers, (size_t)capacity, sizeof *host->peers);
        if (peers == NULL) {
            return -1;
        }
        host->peers = peers;
        host->peer_capacity = capacity;
    }
    cf_error error = {0};
    const int peer = host->peer_count;
    if (host->transport.ops->connect(host->transport.self, (uint32_t)peer, endpoint, &error) != CF_OK) {
        cfi_host_log(host, "cannot connect: %s", error.text);
        return -1;
    }
    memcpy(host->peers[peer], endpoint, strlen(endpoint) + 1);
    host->peer_count++;
    return peer;
}

void cfi_host_send(cfi_node_host *host, const cfi_cluster *cluster, int container, cfi_frame *frame)
{
    const bool is_own_plan = cluster == &host->cluster;
    int peer = is_own_plan ? host->peer_of[container] : -1;
    if (peer < 0) {
        peer = find_peer(host, cluster->containers[container].endpoint);
    }
    if (is_own_plan) {
        host->peer_of[container] = peer;
    }
    if (peer < 0 || host->transport.ops->send(host->transport.self, (uint32_t)peer, frame, NULL) != CF_OK) {
        host->counts.unsent++; /* lost; whoever misses it asks again */
    }
}

static bool grow_arrivals(cfi_node_host *host)
{
    const int capacity = host->arrival_capacity * 2 + 64;
    cfi_host_arrival *grown = cfi_calloc((size_t)capacity, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    for (int i = 0; i < host->arrival_count; i++) {
        grown[i] = host->arrivals[(host->arrival_first + i) % host->arrival_capacity];
    }
    cfi_free(host->arrivals);
    host->arrivals = grown;
    host->arrival_first = 0;
    host->arrival_capacity = capacity;
    return true;
}

static void add_arrival(cfi_node_host *host, cfi_frame *frame, uint32_t unit)
{
    if (host->arrival_count == host->arrival_capacity && !grow_arrivals(host)) {
        host->counts.unsent++;
        return;
    }
    const int place = (host->arrival_first + host->arrival_count++) % host->arrival_capacity;
    host->arrivals[place] = (cfi_host_arrival){cfi_frame_ref(frame), unit};
}

void cfi_host_send_to(cfi_node_host *host, const cfi_cluster *cluster, uint32_t unit, cfi_frame *frame)
{
    const int container = cluster->units[unit].container;
    const char *own = host->cluster.containers[host->container].endpoint;
    if (strcmp(cluster->containers[container].endpoint, own) == 0) {
        add_arrival(host, frame, unit);
    } else {
        cfi_host_send(host, cluster, container, frame);
    }
}

void cfi_host_clear_arrivals(cfi_node_host *host)
{
    for (int i = 0; i < host->arrival_count; i++) {
        cfi_frame_unref(host->arrivals[(host->arrival_first + i) % host->arrival_capacity].frame);
    }
    host->arrival_first = host->arrival_count = 0;
}

static void send_to_units(cfi_node_host *host, const cfi_action *action)
{
    host->send_number++;
    for (int t = 0; t < action->target_count; t++) {
        const uint32_t target = action->targets[t];
        if (target >= (uint32_t)host->cluster.unit_count) {
            host->counts.misdirected++;
            continue;
        }
        const int container = host->cluster.units[target].container;
        if (container == host->container) {
            add_arrival(host, action->frame, target);
        } else if (host->sent_at[container] != host->send_number) {
            host->sent_at[container] = host->send_number;
            cfi_host_send(host, &host->cluster, container, action->frame);
        }
    }
}

/* ---- Actions ---- */

static void persist(cfi_node_host *host, const cfi_host_unit *unit, cfi_action *action)
{
    cf_error error = {0};
    const cfi_io_job job = {.volume = unit->volume, .unit = unit->index, .step = action->step,
                            .incarnation = action->incarnation, .bytes = action->bytes, .size = action->size};
    if (unit->volume == NULL || cfi_io_add(host->io, &job, &error) != CF_OK) {
        cfi_host_log(host, "%s: cannot write its state: %s", host->cluster.units[unit->index].name,
                     unit->volume != NULL ? error.text : "it has no volume");
        cfi_host_end(host, CFI_NODE_FAILED);
        return;
    }
    action->bytes = NULL;
}

static void perform(cfi_node_host *host, const cfi_host_unit *unit, cfi_action *action)
{
    switch (action->kind) {
    case CFI_ACTION_SEND:
        send_to_units(host, action);
        break;
    case CFI_ACTION_PERSIST:
        persist(host, unit, action);
        break;
    case CFI_ACTION_REPLAN:
        host->wanted_plan = action->plan > host->wanted_plan ? action->plan : host->wanted_plan;
        break;
    case CFI_ACTION_FAIL:
        cfi_host_log(host, "%s failed: %s", host->cluster.units[unit->index].name, action->text);
        if (action->is_replaced) {
            cfi_host_end(host, CFI_NODE_FAILED); /* a zombie ends; where it was none, it takes a new lease */
        }
        /* Else for good (a restart would compute the same again): the process stays, so that status can say why. */
        break;
    case CFI_ACTION_NOTE:
        cfi_host_log(host, "%s", action->text);
        break;
    case CFI_ACTION_ANSWER:
        cfi_host_answer(host, action);
        break;
    }
}

void cfi_host_step(cfi_node_host *host, cfi_host_unit *unit, const cfi_machine_event *event)
{
    if (host->is_ending || host->wanted_plan != 0) {
        return;
    }
    cfi_machine_step(unit->machine, event, &host->actions);
    if (host->actions.is_short) {
        cfi_host_log(host, "%s: out of memory", host->cluster.units[unit->index].name);
        cfi_host_end(host, CFI_NODE_FAILED);
    }
    for (int i = 0; i < host->actions.count && !host->is_ending; i++) {
        perform(host, unit, &host->actions.items[i]);
    }
    cfi_actions_clear(&host->actions);
}

/* ---- In ---- */

static void give_to_all(cfi_node_host *host, cfi_frame *frame)
{
    const cfi_machine_event event = {.kind = CFI_MACHINE_FRAME, .frame = frame};
    for (int u = 0; u < host->unit_count; u++) {
        cfi_host_step(host, &host->units[u], &event);
    }
}

static void drop_misdirected(cfi_node_host *host, const cfi_frame *frame)
{
    if (host->counts.misdirected++ == 0) {
        cfi_host_log(host, "dropped: a %s frame of plan %u from unit %u for unit %u, which is not here (said once)",
                     cfi_frame_kind_name(frame->header.kind), frame->header.plan, frame->header.source_unit,
                     frame->header.target_unit);
    }
}

static void give(cfi_node_host *host, cfi_frame *frame, uint32_t target)
{
    if (frame->header.kind == CFI_FRAME_STORE_REQUEST) {
        if (host->has_store) {
            cfi_host_serve(host, frame);
        } else {
            drop_misdirected(host, frame);
        }
        return;
    }
    if (host->wanted_plan != 0) {
        if (frame->header.kind == CFI_FRAME_STORE_REPLY && frame->header.tag == host->fetch_tag) {
            cfi_host_take_plan(host, frame);
        }
        return;
    }
    /* Units of another plan have other numbers; its HEAD is for everyone. */
    const bool is_news = frame->header.kind == CFI_FRAME_HEAD && frame->header.plan != host->cluster.id;
    if (target == CFI_UNIT_ALL || is_news) {
        give_to_all(host, frame);
        return;
    }
    const int at = target < (uint32_t)host->cluster.unit_count ? host->unit_at[target] : -1;
    if (at < 0) {
        drop_misdirected(host, frame);
        return;
    }
    const cfi_machine_event event = {.kind = CFI_MACHINE_FRAME, .frame = frame};
    cfi_host_step(host, &host->units[at], &event);
}

static bool is_of_this_run(cfi_node_host *host, const cfi_frame *frame)
{
    const cfi_frame_header *header = &frame->header;
    const cfi_cluster *cluster = &host->cluster;
    if (header->run[0] == cluster->run[0] && header->run[1] == cluster->run[1] && header->digest == cluster->digest) {
        return true;
    }
    if (host->counts.foreign++ == 0) {
        cfi_host_log(host, "refused: a %s frame of another %s, from unit %u (said once)",
                     cfi_frame_kind_name(header->kind), header->digest != cluster->digest ? "network or data" : "run",
                     header->source_unit);
    }
    return false;
}

/* One arrival from the own queue, or from the transport; false: there is none. */
static bool take_one(cfi_node_host *host)
{
    cf_error error = {0};
    cfi_frame *frame = NULL;
    if (host->arrival_count > 0) {
        const cfi_host_arrival arrival = host->arrivals[host->arrival_first];
        host->arrival_first = (host->arrival_first + 1) % host->arrival_capacity;
        host->arrival_count--;
        give(host, arrival.frame, arrival.unit);
        cfi_frame_unref(arrival.frame);
        return true;
    }
    if (host->transport.ops->receive(host->transport.self, &frame, &error) != CF_OK) {
        cfi_host_log(host, "its queue: %s", error.text);
        cfi_host_end(host, CFI_NODE_FAILED);
        return false;
    }
    if (frame == NULL) {
        return false;
    }
    if (is_of_this_run(host, frame)) {
        give(host, frame, frame->header.target_unit);
    }
    cfi_frame_unref(frame);
    return true;
}

static void keep_busy(uv_idle_t *idle)
{
    (void)idle; /* an active idle handle keeps the loop from sleeping; the work is done around its poll */
}

void cfi_host_turn(cfi_node_host *host)
{
    int taken = 0;
    while (taken < CFI_HOST_TURN_FRAMES && !host->is_ending && take_one(host)) {
        taken++;
    }
    if (host->wanted_plan != 0 && host->fetch_tag == 0 && !host->is_ending) {
        cfi_host_fetch_plan(host);
    }
    if (taken == CFI_HOST_TURN_FRAMES) {
        uv_idle_start(&host->busy, keep_busy);
    } else {
        uv_idle_stop(&host->busy);
    }
}
