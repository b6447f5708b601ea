#include "plan/cost.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "numerics/tree.h"
#include "plan/cut.h"

/* ---- The constants ---- */

/* Assumed orders of magnitude, fitted to no run of containers yet; only where a comment says so is one measured. */
#define CORE_FLOPS 10e9            /* small matrices, one core: where `plan` has measured, that is used instead */
#define CORES 4                    /* a usual small host */
#define MESSAGE_SECONDS 6e-6       /* processor time of a frame at one end: sealing or checking, the queue, a wake-up */
#define BYTE_SECONDS 0.25e-9       /* checksum and one copy: about 4 GB/s */
#define HOP_SECONDS 36e-6          /* measured: half of a ZeroMQ round trip (72 us) over ipc on a quiet machine */
#define HOST_HOP_SECONDS 200e-6    /* between machines of one zone, one way, with the stack */
#define HOST_BYTE_SECONDS 0.8e-9   /* 10 Gbit/s */
#define SYNC_SECONDS 2e-3          /* fsync of an SSD without a capacitor */
#define WRITE_BYTE_SECONDS 1e-9    /* into the page cache */
#define PARAMETER_FLOPS 8          /* an optimizer's step for one parameter, counted as time on memory */
#define PERSIST_SECONDS 25e-3      /* durable states need not come faster */
#define PERSIST_BYTES_SECOND 20e6  /* nor load the disk more than this */
#define PERSIST_EVERY_MOST 64
#define INBOX_STEPS 2              /* that a shard holds of its neighbours' values */

double cfi_cost_travel(int64_t bytes)
{
    return HOST_HOP_SECONDS + (double)bytes * HOST_BYTE_SECONDS;
}

double cfi_cost_cores(const cfi_cost_options *options, double cpu)
{
    return cpu > 0 ? cpu : options->cores > 0 ? options->cores : CORES;
}

/* ---- One unit ---- */

static int64_t optimizer_copies(const cfi_optimizer_settings *optimizer)
{
    switch (optimizer->kind) {
    case CFI_OPTIMIZER_SGD:
        return optimizer->momentum > 0 ? 1 : 0;
    case CFI_OPTIMIZER_RMSPROP:
        return optimizer->momentum > 0 ? 2 : 1;
    case CFI_OPTIMIZER_ADAM:
    case CFI_OPTIMIZER_ADAMW:
        return 2;
    }
    return 0;
}

/* Maximal aligned tree nodes of a shard: what it sends upstream instead of one sum. */
static int64_t node_count(const cfi_stage *stage, const cfi_unit *unit)
{
    cfi_tree_node nodes[CFI_TREE_NODES_MAX];
    const int64_t grain = stage->grain;
    return cfi_tree_split(unit->begin / grain, (unit->end + grain - 1) / grain, (stage->neurons + grain - 1) / grain,
                          nodes);
}

static void finish(const cfi_cost_options *options, cfi_cost_part *part, double forward_flops, double backward_flops,
                   double forward_share)
{
    const double rate = options->core_flops > 0 ? options->core_flops : CORE_FLOPS;
    const double carrying = (double)(part->messages_in + part->messages_out) * MESSAGE_SECONDS +
                            (double)(part->bytes_in + part->bytes_out) * BYTE_SECONDS;
    part->forward = forward_flops / rate + carrying * forward_share;
    part->backward = backward_flops / rate + carrying * (1 - forward_share);
}

/* Nodes that all shards of a stage send, so that the one before knows what comes. */
static int64_t stage_nodes(const cfi_cluster *cluster, int stage_index)
{
    const cfi_stage *stage = &cluster->stages[stage_index];
    int64_t nodes = 0;
    for (int i = stage->first_unit; i < stage->first_unit + stage->unit_count; i++) {
        nodes += node_count(stage, &cluster->units[i]);
    }
    return nodes;
}

/* nodes_in: that all shards of the next stage send. */
static void cost_shard(const cfi_cost_options *options, const cfi_cluster *cluster, const cfi_unit *unit,
                       int64_t nodes_in, cfi_cost_part *part)
{
    const cfi_stage *stage = &cluster->stages[unit->stage];
    const cfi_layer *layer = &options->graph->layers[stage->layer];
    const int64_t batch = cluster->work.batch, micro = cluster->work.micro_batches;
    const int64_t neurons = unit->end - unit->begin, outputs = neurons * stage->outputs_per_neuron;
    const bool is_first = unit->stage == 0, is_last = unit->stage == cluster->stage_count - 1;
    const int64_t before = is_first ? 1 : cluster->stages[unit->stage - 1].unit_count;
    const int64_t after = is_last ? 1 : cluster->stages[unit->stage + 1].unit_count;
    const int64_t value = (int64_t)sizeof(float), clip = options->settings->training.clip_norm > 0 ? 1 : 0;
    const int64_t back = is_first ? 0 : node_count(stage, unit) * stage->inputs * batch * value;
    const int64_t forward_flops = cfi_layer_forward_flops(layer) / stage->neurons * neurons;
    const int64_t copies = optimizer_copies(&options->settings->training.optimizer);
    part->neurons = neurons;
    part->parameters = neurons * (layer->fan_in + 1);
    part->state = part->parameters * value * (1 + copies);
    part->messages_in = micro * (before + after) + clip;
    part->messages_out = micro * (after + (is_first ? 0 : before)) + clip;
    part->bytes_in = stage->inputs * batch * value + nodes_in * outputs * batch * value;
    part->bytes_out = outputs * batch * value * after + back;
    part->memory = part->state + part->parameters * value + (stage->inputs + 3 * outputs) * batch * value +
                   INBOX_STEPS * part->bytes_in + cluster->work.window * (outputs * batch * value + back);
    finish(options, part, (double)(forward_flops * batch),
           (double)(cfi_cut_neuron_flops(options->graph, stage) * neurons - forward_flops) * (double)batch +
               (double)(part->parameters * PARAMETER_FLOPS),
           0.5);
}

static void cost_service(const cfi_cost_options *options, const cfi_cluster *cluster, cfi_unit_kind kind,
                         cfi_cost_part *part_out)
{
    const int64_t batch = cluster->work.batch, micro = cluster->work.micro_batches, value = (int64_t)sizeof(float);
    const cfi_stage *first = &cluster->stages[0], *last = &cluster->stages[cluster->stage_count - 1];
    const int64_t shards = cluster->unit_count - CFI_UNIT_INDEX_SHARDS;
    const int64_t clip = options->settings->training.clip_norm > 0 ? shards : 0;
    switch (kind) {
    case CFI_UNIT_SOURCE:
        part_out->messages_in = 1;
        part_out->messages_out = micro * (first->unit_count + 1);
        part_out->bytes_out = batch * (first->inputs * first->unit_count + 1) * value;
        part_out->memory = cluster->work.window * batch * (first->inputs + 1) * value;
        finish(options, part_out, (double)(batch * first->inputs), 0, 1);
        return;
    case CFI_UNIT_LOSS:
        part_out->messages_in = micro * (last->unit_count + 1) + clip;
        part_out->messages_out = micro * last->unit_count + 1 + clip;
        part_out->bytes_in = batch * (last->outputs + 1) * value;
        part_out->bytes_out = batch * last->outputs * value;
        part_out->memory = (cluster->work.window + INBOX_STEPS + 2) * batch * last->outputs * value;
        finish(options, part_out, (double)(batch * last->outputs * 20), 0, 1);
        return;
    case CFI_UNIT_SHARD:
    case CFI_UNIT_CONTROLLER:
    case CFI_UNIT_STORE:
        return; /* beside the step: a report and a head for each durable state */
    }
}

void cfi_cost_units(const cfi_cost_options *options, const cfi_cluster *cluster, cfi_cost_part *parts_out)
{
    memset(parts_out, 0, (size_t)cluster->unit_count * sizeof *parts_out);
    for (int i = 0; i < CFI_UNIT_INDEX_SHARDS; i++) {
        cost_service(options, cluster, cluster->units[i].kind, &parts_out[i]);
    }
    for (int i = 0; i < cluster->stage_count; i++) {
        const cfi_stage *stage = &cluster->stages[i];
        const int64_t nodes_in = i + 1 < cluster->stage_count ? stage_nodes(cluster, i + 1) : 1;
        for (int j = stage->first_unit; j < stage->first_unit + stage->unit_count; j++) {
            cost_shard(options, cluster, &cluster->units[j], nodes_in, &parts_out[j]);
        }
    }
}

/* ---- Phases ---- */

typedef struct phase {
    char name[32];
    double seconds;
    int container; /* the slowest */
} phase;

typedef struct estimate {
    const cfi_cost_options *options;
    const cfi_cluster *cluster;
    const cfi_cost_part *parts; /* (units) */
    double *busy;     /* (containers) in the phase at hand */
    double *host;     /* (containers) of the host, kept at its first container */
    int *host_of;     /* (containers) first container on the same host */
    double *whole;    /* (containers) of the step */
} estimate;

static double host_cores(const estimate *e, int container)
{
    const cfi_placement_settings *placement = &e->options->settings->placement;
    for (int i = 0; i < placement->host_count; i++) {
        if (strcmp(placement->hosts[i].name, e->cluster->containers[container].host) == 0) {
            return cfi_cost_cores(e->options, placement->hosts[i].cpu);
        }
    }
    return cfi_cost_cores(e->options, 0);
}

/* Units first..last work, then the next phase's hear of it. */
static phase run_phase(estimate *e, int first, int last, bool is_backward)
{
    const int count = e->cluster->container_count;
    phase result = {.container = e->cluster->units[first].container};
    memset(e->busy, 0, (size_t)count * sizeof *e->busy);
    memset(e->host, 0, (size_t)count * sizeof *e->host);
    for (int i = first; i <= last; i++) {
        const int container = e->cluster->units[i].container;
        const double seconds = is_backward ? e->parts[i].backward : e->parts[i].forward;
        e->busy[container] += seconds;
        e->whole[container] += seconds;
        e->host[e->host_of[container]] += seconds;
        if (e->busy[container] > e->busy[result.container]) {
            result.container = container;
        }
    }
    result.seconds = e->busy[result.container];
    for (int i = 0; i < count; i++) {
        const double shared = e->host[i] > 0 ? e->host[i] / host_cores(e, i) : 0;
        result.seconds = shared > result.seconds ? shared : result.seconds;
    }
    return result;
}

static void add_path(cfi_cost *cost, const cfi_cluster *cluster, const phase *at, const char *what)
{
    const size_t length = strlen(cost->path);
    if (length + 1 < sizeof cost->path) {
        snprintf(cost->path + length, sizeof cost->path - length, "%s%s %s %.0f us", length > 0 ? " > " : "",
                 cluster->containers[at->container].name, what, at->seconds * 1e6);
    }
}

static bool shares_container(const cfi_cluster *cluster)
{
    for (int i = CFI_UNIT_INDEX_SOURCE; i < cluster->unit_count; i++) {
        if (cluster->units[i].container != cluster->units[CFI_UNIT_INDEX_SOURCE].container) {
            return false;
        }
    }
    return true;
}

static void run_step(estimate *e, cfi_cost *cost)
{
    const cfi_cluster *cluster = e->cluster;
    const double micro = (double)cluster->work.micro_batches;
    const int stages = cluster->stage_count;
    double sum = 0, busiest = 0;
    phase at = run_phase(e, CFI_UNIT_INDEX_SOURCE, CFI_UNIT_INDEX_SOURCE, false);
    add_path(cost, cluster, &at, "samples");
    sum += at.seconds;
    for (int i = 0; i < 2 * stages + 1; i++) {
        const bool is_loss = i == stages;
        const cfi_stage *stage = is_loss ? NULL : &cluster->stages[i < stages ? i : 2 * stages - i];
        const int first = is_loss ? CFI_UNIT_INDEX_LOSS : stage->first_unit;
        at = run_phase(e, first, is_loss ? first : first + stage->unit_count - 1, i > stages);
        add_path(cost, cluster, &at, is_loss ? "gradient" : i < stages ? "forward" : "backward");
        sum += at.seconds;
    }
    memset(e->host, 0, (size_t)cluster->container_count * sizeof *e->host);
    for (int i = 0; i < cluster->container_count; i++) {
        busiest = e->whole[i] > busiest ? e->whole[i] : busiest;
        e->host[e->host_of[i]] += e->whole[i];
    }
    for (int i = 0; i < cluster->container_count; i++) {
        const double shared = e->host[i] / host_cores(e, i);
        busiest = shared > busiest ? shared : busiest;
    }
    /* The first micro-batch passes all phases; the others follow as fast as the bottleneck lets them. */
    const double hops = shares_container(cluster) ? 0 : HOP_SECONDS * (2 * stages + 1);
    const double pipelined = sum / micro + busiest * (micro - 1) / micro;
    cost->step_seconds = (pipelined > busiest ? pipelined : busiest) + hops;
    if (e->options->settings->running.durability == CFI_DURABILITY_POWER && cluster->work.persist_every > 0) {
        cost->step_seconds += SYNC_SECONDS / (double)cluster->work.persist_every;
    }
}

/* ---- Limits ---- */

#define IPC_PATH_MOST 107            /* bytes of sun_path without the NUL */
#define DESCRIPTORS_USUAL 1024       /* `ulimit -n` unless raised */
#define FRAME_MOST (INT64_C(256) << 20) /* wire's and store's largest payload */

static void add_limit(cfi_cost *cost, const char *format, ...) CFI_PRINTF(2, 3);
static void add_limit(cfi_cost *cost, const char *format, ...)
{
    if (cost->limit_count < CFI_COST_LIMITS_MAX) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(cost->limits[cost->limit_count++], CFI_COST_LIMIT_SIZE, format, arguments);
        va_end(arguments);
    }
}

/* Frames hold a micro-batch of one shard's values, or its tree nodes of one shard before. */
static void check_frames(const cfi_cluster *cluster, cfi_cost *cost)
{
    const int64_t rows = (cluster->work.batch + cluster->work.micro_batches - 1) / cluster->work.micro_batches;
    for (int i = CFI_UNIT_INDEX_SHARDS; i < cluster->unit_count; i++) {
        const cfi_unit *unit = &cluster->units[i];
        const cfi_stage *stage = &cluster->stages[unit->stage];
        const int64_t forward = (unit->end - unit->begin) * stage->outputs_per_neuron;
        const int64_t backward = unit->stage == 0 ? stage->inputs : node_count(stage, unit) * stage->inputs;
        const int64_t bytes = (forward > backward ? forward : backward) * rows * (int64_t)sizeof(float);
        if (bytes > FRAME_MOST) {
            add_limit(cost, "a message of '%s' may have %" PRId64 " MiB, and the most is %" PRId64
                            ": raise training.micro_batches", unit->name, bytes >> 20, FRAME_MOST >> 20);
            return;
        }
    }
}

static void check_limits(const cfi_cost_options *options, const cfi_cluster *cluster, const cfi_cost_part *parts,
                         cfi_cost *cost)
{
    const cfi_running_settings *running = &options->settings->running;
    const int64_t last_port = running->port + cluster->container_count - 1;
    int64_t longest = 0;
    for (int i = 0; i < cluster->container_count; i++) {
        const int64_t length = (int64_t)strlen(cluster->containers[i].name);
        longest = length > longest ? length : longest;
    }
    if (running->messaging == CFI_MESSAGING_ZEROMQ && running->scheme == CFI_SCHEME_TCP && last_port > 65535) {
        add_limit(cost, "ports %" PRId64 " to %" PRId64 " are needed, and the last one is 65535: lower "
                        "messaging.zeromq.port", running->port, last_port);
    }
    if (running->messaging == CFI_MESSAGING_ZEROMQ && running->scheme == CFI_SCHEME_IPC &&
        longest > IPC_PATH_MOST / 2) {
        add_limit(cost, "a container's name has %" PRId64 " bytes, and its socket's whole path may have %d: keep the "
                        "cluster's folder short", longest, IPC_PATH_MOST);
    }
    if (2 * (int64_t)cluster->container_count + 32 > DESCRIPTORS_USUAL) {
        add_limit(cost, "a container opens up to %" PRId64 " descriptors, and the usual limit is %d: raise ulimit -n",
                  2 * (int64_t)cluster->container_count + 32, DESCRIPTORS_USUAL);
    }
    check_frames(cluster, cost);
    for (int i = CFI_UNIT_INDEX_SHARDS; i < cluster->unit_count; i++) {
        if (parts[i].state > FRAME_MOST) {
            add_limit(cost, "the state of '%s' has %" PRId64 " MiB, and a store's item may have %" PRId64
                            ": cut the layer finer", cluster->units[i].name, parts[i].state >> 20, FRAME_MOST >> 20);
            return;
        }
    }
}

/* ---- The way in ---- */

static void add_part(cfi_cost_part *sum, const cfi_cost_part *part)
{
    sum->neurons += part->neurons;
    sum->parameters += part->parameters;
    sum->memory += part->memory;
    sum->state += part->state;
    sum->messages_in += part->messages_in;
    sum->messages_out += part->messages_out;
    sum->bytes_in += part->bytes_in;
    sum->bytes_out += part->bytes_out;
    sum->forward += part->forward;
    sum->backward += part->backward;
}

/* Containers on the same host share its cores; without a name they are all on one. Hosts are few. */
static void find_hosts(estimate *e)
{
    int firsts[64], count = 0;
    for (int i = 0; i < e->cluster->container_count; i++) {
        e->host_of[i] = i;
        int j = 0;
        while (j < count && strcmp(e->cluster->containers[firsts[j]].host, e->cluster->containers[i].host) != 0) {
            j++;
        }
        if (j < count) {
            e->host_of[i] = firsts[j];
        } else if (count < (int)(sizeof firsts / sizeof firsts[0])) {
            firsts[count++] = i;
        }
    }
}

cf_status cfi_cost_estimate(const cfi_cost_options *options, const cfi_cluster *cluster, cfi_cost *cost_out,
                            cf_error *error)
{
    const size_t count = (size_t)cluster->container_count;
    cfi_cost cost = {.containers = cfi_calloc(count, sizeof *cost.containers)};
    double *room = cfi_calloc(3 * count, sizeof *room);
    int *host_of = cfi_calloc(count, sizeof *host_of);
    cfi_cost_part *parts = cfi_calloc((size_t)cluster->unit_count, sizeof *parts);
    cf_status status = CF_OK;
    if (cost.containers == NULL || room == NULL || host_of == NULL || parts == NULL) {
        status = cfi_fail_memory(error, "the plan's costs");
        cfi_cost_fini(&cost);
        goto done;
    }
    estimate e = {options, cluster, parts, room, room + count, host_of, room + 2 * count};
    find_hosts(&e);
    cfi_cost_units(options, cluster, parts);
    for (int i = 0; i < cluster->unit_count; i++) {
        add_part(&cost.containers[cluster->units[i].container], &parts[i]);
        add_part(&cost.total, &parts[i]);
    }
    run_step(&e, &cost);
    check_limits(options, cluster, parts, &cost);
    *cost_out = cost;
done:
    cfi_free(room);
    cfi_free(host_of);
    cfi_free(parts);
    return status;
}

void cfi_cost_fini(cfi_cost *cost)
{
    cfi_free(cost->containers);
    memset(cost, 0, sizeof *cost);
}

cf_status cfi_cost_window(const cfi_settings *settings, const cfi_graph *graph, cfi_cluster *cluster, cf_error *error)
{
    const cfi_cost_options options = {.settings = settings, .graph = graph};
    int64_t every = settings->running.persist_every;
    if (every == 0) {
        cfi_cost cost;
        CFI_TRY(cfi_cost_estimate(&options, cluster, &cost, error));
        for (every = 1; every < PERSIST_EVERY_MOST; every *= 2) {
            const double seconds = (double)every * cost.step_seconds;
            if (seconds >= PERSIST_SECONDS && (double)cost.total.state / seconds <= PERSIST_BYTES_SECOND) {
                break;
            }
        }
        cfi_cost_fini(&cost);
    }
    cluster->work.persist_every = every;
    cluster->work.window = every == 1 ? 4 : 2 * every; /* what is kept for others grows with it */
    return CF_OK;
}
