/* The store's server in the container that hosts it, and how a node comes by another plan. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "node/host.h"

enum { ASK_AGAIN_TICKS = 10 };

/* ---- Serving ---- */

static cf_status read_stored_plan(cfi_node_host *host, uint32_t plan, cfi_cluster *cluster_out, cf_error *error)
{
    char key[CFI_STORE_KEY_SIZE_MAX];
    const void *text = NULL;
    size_t size = 0;
    cfi_key_plan(key, sizeof key, plan);
    CFI_TRY(host->store.ops->get(host->store.self, key, &text, &size, error));
    return cfi_cluster_parse(text, size, cluster_out, error);
}

/* The plan whose numbers a frame uses. During a change of plan, units ask by the old one and by the new one. */
static const cfi_cluster *plan_of(cfi_node_host *host, uint32_t plan)
{
    if (plan == host->cluster.id) {
        return &host->cluster;
    }
    if (plan == host->asker_plan.id && plan != 0) {
        return &host->asker_plan;
    }
    cfi_cluster found;
    if (read_stored_plan(host, plan, &found, NULL) != CF_OK) {
        return NULL;
    }
    cfi_cluster_fini(&host->asker_plan);
    host->asker_plan = found;
    return &host->asker_plan;
}

void cfi_host_serve(cfi_node_host *host, cfi_frame *request)
{
    cf_error error = {0};
    cfi_frame *reply = NULL;
    const cf_status status = cfi_store_server_answer(&host->server, request, &reply, &error);
    if (status != CF_OK) {
        if (host->counts.malformed++ == 0) {
            cfi_host_log(host, "the store: a request of unit %u: %s (said once)", request->header.source_unit,
                         error.text);
        }
        return;
    }
    const cfi_cluster *cluster = plan_of(host, request->header.plan);
    const uint32_t asker = request->header.source_unit;
    if (cluster == NULL || asker >= (uint32_t)cluster->unit_count) {
        host->counts.misdirected++;
    } else {
        cfi_host_send_to(host, cluster, asker, reply);
    }
    cfi_frame_unref(reply);
}

/* A container with the store alone has no machine that hears of another plan; it looks at HEAD. */
void cfi_host_watch_head(cfi_node_host *host)
{
    const void *value = NULL;
    size_t size = 0;
    cfi_head head;
    if (host->has_store && host->unit_count == 0 &&
        host->store.ops->get(host->store.self, "head", &value, &size, NULL) == CF_OK &&
        cfi_head_decode(value, size, &head, NULL) == CF_OK && head.plan > host->cluster.id) {
        host->wanted_plan = head.plan;
    }
}

/* ---- Another plan ---- */

/* Replaces units and tables by those of `next`, which it takes. */
static void change_plan(cfi_node_host *host, cfi_cluster *next)
{
    cf_error error = {0};
    cfi_io_job job;
    cfi_io_wait(host->io);
    while (cfi_io_take_done(host->io, &job)) {
        continue; /* of the old plan: nobody waits for it */
    }
    cfi_host_clear_units(host);
    cfi_cluster_fini(&host->cluster);
    host->cluster = *next;
    host->wanted_plan = 0;
    host->fetch_tag = 0;
    host->container = cfi_cluster_find_container(&host->cluster, host->options.container);
    if (host->container < 0) {
        cfi_host_log(host, "plan %u has no such container: done", host->cluster.id);
        cfi_host_end(host, CFI_NODE_RETIRED);
        return;
    }
    if (cfi_host_populate(host, &error) != CF_OK) {
        cfi_host_log(host, "plan %u: %s", host->cluster.id, error.text);
        cfi_host_end(host, CFI_NODE_FAILED);
        return;
    }
    cfi_host_log(host, "plan %u: %d units here", host->cluster.id, host->unit_count);
    cfi_host_start_units(host);
}

static void use_plan(cfi_node_host *host, const void *text, size_t size)
{
    cfi_cluster next;
    cf_error error = {0};
    const cf_status status = cfi_cluster_parse(text, size, &next, &error);
    if (status != CF_OK || next.id != host->wanted_plan) {
        cfi_host_log(host, "plan %u cannot be used: %s", host->wanted_plan,
                     status != CF_OK ? error.text : "it has another number");
        if (status == CF_OK) {
            cfi_cluster_fini(&next);
        }
        cfi_host_end(host, CFI_NODE_FAILED);
        return;
    }
    change_plan(host, &next);
}

static void fetch_here(cfi_node_host *host, const char *key)
{
    const void *text = NULL;
    size_t size = 0;
    if (host->store.ops->get(host->store.self, key, &text, &size, NULL) == CF_OK) {
        use_plan(host, text, size);
    }
}

void cfi_host_fetch_plan(cfi_node_host *host)
{
    char key[CFI_STORE_KEY_SIZE_MAX];
    cfi_frame *frame = NULL;
    cf_error error = {0};
    cfi_key_plan(key, sizeof key, host->wanted_plan);
    if (host->has_store) {
        fetch_here(host, key);
        return;
    }
    if (host->unit_count == 0 || (host->fetch_tag != 0 && ++host->fetch_ticks < ASK_AGAIN_TICKS)) {
        return;
    }
    host->fetch_ticks = 0;
    host->fetch_tag = (host->options.boot | 1u) ^ ((uint64_t)host->wanted_plan << 32);
    const cfi_cluster *cluster = &host->cluster;
    const cfi_frame_header base = {.run = {cluster->run[0], cluster->run[1]}, .digest = cluster->digest,
                                   .plan = cluster->id, .source_unit = (uint32_t)host->units[0].index,
                                   .target_unit = CFI_UNIT_INDEX_STORE, .tag = host->fetch_tag};
    const cfi_store_request request = {.kind = CFI_STORE_GET, .key = key};
    if (cfi_store_request_frame(&base, &request, &frame, &error) == CF_OK) {
        cfi_host_send_to(host, cluster, CFI_UNIT_INDEX_STORE, frame);
        cfi_frame_unref(frame);
    }
}

void cfi_host_take_plan(cfi_node_host *host, const cfi_frame *frame)
{
    cfi_store_reply reply;
    char key[CFI_STORE_KEY_SIZE_MAX];
    cfi_key_plan(key, sizeof key, host->wanted_plan);
    if (cfi_store_reply_read(frame, &reply, NULL) == CF_OK && reply.kind == CFI_STORE_GET &&
        reply.outcome == CFI_STORE_DONE && strcmp(reply.key, key) == 0) {
        use_plan(host, reply.value, reply.value_size);
    }
}
