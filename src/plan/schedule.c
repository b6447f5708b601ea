/* HEFT: Topcuoglu, Hariri and Wu, IEEE TPDS 13(3), 2002: units by descending rank (longest way to the end), each
 * container to the host where its first unit ends first; at the end compared with each single host that could hold all,
 * because finishing early is short-sighted about what has to travel later. Greedy: the simulated execution of the
 * TensorFlow white paper (2015, section 3.2.1). */
#include "plan/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/cost.h"

#define ASSIGNMENTS_MAX 1000000.0 /* tried one by one */

/* A step played on hosts, unit after unit. Everything that one stage sends from one host to another travels
 * together. */
typedef struct play {
    const cfi_schedule *schedule;
    cfi_cost_part *parts;   /* (units) */
    int *order;             /* (units) source, shards and loss in the order of the data */
    int order_count;
    int *hosts;             /* (containers) -1: not placed yet */
    int *best;              /* (containers) for the exhaustive search */
    double *memory, *cpu;   /* (hosts) taken so far */
    double *container_free; /* (containers) when its process is free */
    double *host_load;      /* (hosts) seconds of work in the stage at hand */
    double *now, *before;   /* (hosts) when this stage's and the last stage's values are ready there */
} play;

static void play_fini(play *p)
{
    cfi_free(p->parts);
    cfi_free(p->order);
    cfi_free(p->hosts);
    cfi_free(p->best);
    cfi_free(p->memory);
    cfi_free(p->container_free);
}

static cf_status play_init(play *p, const cfi_schedule *schedule, cf_error *error)
{
    const cfi_cluster *cluster = schedule->cluster;
    const size_t units = (size_t)cluster->unit_count, containers = (size_t)cluster->container_count;
    const size_t hosts = (size_t)schedule->host_count;
    const cfi_cost_options options = {.settings = schedule->settings, .graph = schedule->graph};
    *p = (play){.schedule = schedule,
                .parts = cfi_calloc(units, sizeof *p->parts),
                .order = cfi_calloc(units, sizeof *p->order),
                .hosts = cfi_calloc(containers, sizeof *p->hosts),
                .best = cfi_calloc(containers, sizeof *p->best),
                .memory = cfi_calloc(5 * hosts, sizeof *p->memory),
                .container_free = cfi_calloc(containers, sizeof *p->container_free)};
    if (p->parts == NULL || p->order == NULL || p->hosts == NULL || p->best == NULL || p->memory == NULL ||
        p->container_free == NULL) {
        play_fini(p);
        return cfi_fail_memory(error, "the placement");
    }
    p->cpu = p->memory + hosts;
    p->host_load = p->memory + 2 * hosts;
    p->now = p->memory + 3 * hosts;
    p->before = p->memory + 4 * hosts;
    cfi_cost_units(&options, cluster, p->parts);
    p->order[p->order_count++] = CFI_UNIT_INDEX_SOURCE;
    for (int i = CFI_UNIT_INDEX_SHARDS; i < cluster->unit_count; i++) {
        p->order[p->order_count++] = i;
    }
    p->order[p->order_count++] = CFI_UNIT_INDEX_LOSS;
    return CF_OK;
}

/* -1: source, then stages, then loss: what must follow what. */
static int level(const play *p, int unit)
{
    const cfi_cluster *cluster = p->schedule->cluster;
    return unit == CFI_UNIT_INDEX_SOURCE ? -1
           : unit == CFI_UNIT_INDEX_LOSS ? cluster->stage_count
                                         : cluster->units[unit].stage;
}

/* ---- Room ---- */

static bool has_room(const play *p, int container, int host)
{
    const cfi_schedule *s = p->schedule;
    const cfi_container *c = &s->cluster->containers[container];
    const cfi_host *h = &s->hosts[host];
    return s->allowed[(size_t)container * (size_t)s->host_count + (size_t)host] &&
           (h->memory == 0 || p->memory[host] + (double)c->memory <= (double)h->memory) &&
           (h->cpu <= 0 || p->cpu[host] + c->cpu <= h->cpu * (1 + 1e-9)); /* sums of quarters and tenths */
}

static void put(play *p, int container, int host)
{
    p->hosts[container] = host;
    p->memory[host] += (double)p->schedule->cluster->containers[container].memory;
    p->cpu[host] += p->schedule->cluster->containers[container].cpu;
}

static void take_back(play *p, int container)
{
    const int host = p->hosts[container];
    p->memory[host] -= (double)p->schedule->cluster->containers[container].memory;
    p->cpu[host] -= p->schedule->cluster->containers[container].cpu;
    p->hosts[container] = -1;
}

static void clear(play *p)
{
    memset(p->memory, 0, 5 * (size_t)p->schedule->host_count * sizeof *p->memory);
    for (int i = 0; i < p->schedule->cluster->container_count; i++) {
        p->hosts[i] = -1;
    }
}

/* ---- Time ---- */

static double later(double a, double b)
{
    return a > b ? a : b;
}

static double cores(const play *p, int host)
{
    const cfi_cost_options options = {.settings = p->schedule->settings, .graph = p->schedule->graph};
    return cfi_cost_cores(&options, p->schedule->hosts[host].cpu);
}

/* When everything that the stage before made is at `host`. bytes: what one reader takes. */
static double ready_at(const play *p, int host, int64_t bytes)
{
    double ready = 0;
    for (int i = 0; i < p->schedule->host_count; i++) {
        if (p->before[i] > 0) {
            ready = later(ready, p->before[i] + (i == host ? 0 : cfi_cost_travel(bytes)));
        }
    }
    return ready;
}

static double end_at(const play *p, int unit, int host, bool is_backward)
{
    const cfi_cost_part *part = &p->parts[unit];
    const double seconds = is_backward ? part->backward : part->forward;
    const double ready = ready_at(p, host, part->bytes_in / 2);
    const double own = later(ready, p->container_free[p->schedule->cluster->units[unit].container]) + seconds;
    return later(own, ready + (p->host_load[host] + seconds) / cores(p, host));
}

static void work(play *p, int unit, bool is_backward)
{
    const int container = p->schedule->cluster->units[unit].container, host = p->hosts[container];
    const double end = end_at(p, unit, host, is_backward);
    p->host_load[host] += is_backward ? p->parts[unit].backward : p->parts[unit].forward;
    p->container_free[container] = end;
    p->now[host] = later(p->now[host], end);
}

static void next_level(play *p)
{
    const size_t size = (size_t)p->schedule->host_count * sizeof *p->now;
    memcpy(p->before, p->now, size);
    memset(p->now, 0, size);
    memset(p->host_load, 0, size);
}

static void start(play *p)
{
    memset(p->host_load, 0, 3 * (size_t)p->schedule->host_count * sizeof *p->host_load);
    memset(p->container_free, 0, (size_t)p->schedule->cluster->container_count * sizeof *p->container_free);
}

/* One whole step with every container placed. */
static double play_step(play *p)
{
    double end = 0;
    start(p);
    for (int i = 0; i < p->order_count; i++) {
        if (i > 0 && level(p, p->order[i]) != level(p, p->order[i - 1])) {
            next_level(p);
        }
        work(p, p->order[i], false);
    }
    for (int i = p->order_count - 2; i > 0; i--) {
        if (level(p, p->order[i]) != level(p, p->order[i + 1])) {
            next_level(p);
        }
        work(p, p->order[i], true);
    }
    for (int i = 0; i < p->schedule->cluster->container_count; i++) {
        end = later(end, p->container_free[i]);
    }
    return end;
}

cf_status cfi_schedule_seconds(const cfi_schedule *schedule, const int *hosts, double *seconds_out, cf_error *error)
{
    play p;
    CFI_TRY(play_init(&p, schedule, error));
    memcpy(p.hosts, hosts, (size_t)schedule->cluster->container_count * sizeof *hosts);
    *seconds_out = play_step(&p);
    play_fini(&p);
    return CF_OK;
}

/* ---- Where it ends first ---- */

static cf_status fail_room(const play *p, int container, cf_error *error)
{
    const cfi_container *c = &p->schedule->cluster->containers[container];
    return cfi_fail(error, CF_E_CONFIG,
                    "no host has room left for container '%s' (%g MiB, %g cores): list more hosts, lower "
                    "neuron_types, or loosen the hints",
                    c->name, (double)c->memory / 1048576, c->cpu);
}

/* The host of least `end` with room, the first of equals; -1 when there is none. */
static int best_host(const play *p, int unit)
{
    const int container = p->schedule->cluster->units[unit].container;
    int best = -1;
    double least = 0;
    for (int i = 0; i < p->schedule->host_count; i++) {
        if (has_room(p, container, i)) {
            const double end = end_at(p, unit, i, false);
            if (best < 0 || end < least) {
                best = i;
                least = end;
            }
        }
    }
    return best;
}

static bool place_unit(play *p, int unit)
{
    const int container = p->schedule->cluster->units[unit].container;
    if (p->hosts[container] < 0) {
        const int host = best_host(p, unit);
        if (host < 0) {
            return false;
        }
        put(p, container, host);
    }
    return true;
}

/* Units in the order given; returns the unit that found no room, or -1. Controller and store, which nothing waits
 * for in
 * a step, come last. */
static int place_in_order(play *p)
{
    clear(p);
    start(p);
    for (int i = 0; i < p->order_count; i++) {
        if (i > 0 && level(p, p->order[i]) != level(p, p->order[i - 1])) {
            next_level(p);
        }
        if (!place_unit(p, p->order[i])) {
            return p->order[i];
        }
        work(p, p->order[i], false);
    }
    return !place_unit(p, CFI_UNIT_INDEX_CONTROLLER) ? CFI_UNIT_INDEX_CONTROLLER
           : !place_unit(p, CFI_UNIT_INDEX_STORE)    ? CFI_UNIT_INDEX_STORE
                                                     : -1;
}

/* ---- HEFT ---- */

/* Ranks fall from stage to stage, since each waits for all of the one before; so within a stage the heaviest unit comes
 * first, and stages keep their order. */
static void sort_by_rank(play *p)
{
    for (int i = 1; i < p->order_count; i++) {
        const int unit = p->order[i];
        const double weight = p->parts[unit].forward + p->parts[unit].backward;
        int j = i;
        while (j > 0 && level(p, p->order[j - 1]) == level(p, unit) &&
               p->parts[p->order[j - 1]].forward + p->parts[p->order[j - 1]].backward < weight) {
            p->order[j] = p->order[j - 1];
            j--;
        }
        p->order[j] = unit;
    }
}

static bool place_on_one(play *p, int host)
{
    clear(p);
    for (int i = 0; i < p->schedule->cluster->container_count; i++) {
        if (!has_room(p, i, host)) {
            return false;
        }
        put(p, i, host);
    }
    return true;
}

/* Hosts that a container may be on. */
static int choice(const play *p, int container)
{
    int count = 0;
    for (int i = 0; i < p->schedule->host_count; i++) {
        count += p->schedule->allowed[(size_t)container * (size_t)p->schedule->host_count + (size_t)i] ? 1 : 0;
    }
    return count;
}

static int tightest(const play *p)
{
    const cfi_cluster *cluster = p->schedule->cluster;
    int best = -1;
    for (int i = 0; i < cluster->container_count; i++) {
        if (p->hosts[i] < 0 && (best < 0 || choice(p, i) < choice(p, best) ||
                                (choice(p, i) == choice(p, best) &&
                                 cluster->containers[i].memory > cluster->containers[best].memory))) {
            best = i;
        }
    }
    return best;
}

/* Those with least choice first, the largest of these first, each to the host that it leaves fullest. */
static bool place_tightly(play *p)
{
    clear(p);
    for (int container = tightest(p); container >= 0; container = tightest(p)) {
        int best = -1;
        double least = 0;
        for (int i = 0; i < p->schedule->host_count; i++) {
            const cfi_host *host = &p->schedule->hosts[i];
            const double left = host->memory == 0 ? 1e18 : (double)host->memory - p->memory[i];
            if (has_room(p, container, i) && (best < 0 || left < least)) {
                best = i;
                least = left;
            }
        }
        if (best < 0) {
            return false;
        }
        put(p, container, best);
    }
    return true;
}

static void keep_better(play *p, double *least, bool *has_any)
{
    const double seconds = play_step(p);
    if (!*has_any || seconds < *least) {
        memcpy(p->best, p->hosts, (size_t)p->schedule->cluster->container_count * sizeof *p->best);
        *least = seconds;
        *has_any = true;
    }
}

static cf_status solve_heft(play *p, cf_error *error)
{
    double least = 0;
    bool has_any = false;
    sort_by_rank(p);
    const int short_of = place_in_order(p);
    if (short_of < 0) {
        keep_better(p, &least, &has_any);
    }
    for (int i = 0; i < p->schedule->host_count; i++) {
        if (place_on_one(p, i)) {
            keep_better(p, &least, &has_any);
        }
    }
    if (!has_any && place_tightly(p)) {
        keep_better(p, &least, &has_any);
    }
    return has_any ? CF_OK : fail_room(p, p->schedule->cluster->units[short_of].container, error);
}

static cf_status solve_greedy(play *p, cf_error *error)
{
    const int short_of = place_in_order(p);
    if (short_of >= 0 && !place_tightly(p)) {
        return fail_room(p, p->schedule->cluster->units[short_of].container, error);
    }
    memcpy(p->best, p->hosts, (size_t)p->schedule->cluster->container_count * sizeof *p->best);
    return CF_OK;
}

/* ---- All of them ---- */

static cf_status solve_exhaustive(play *p, cf_error *error)
{
    const int count = p->schedule->cluster->container_count, hosts = p->schedule->host_count;
    double assignments = 1, least = 0;
    bool has_any = false;
    for (int i = 0; i < count && assignments <= ASSIGNMENTS_MAX; i++) {
        assignments *= hosts;
    }
    if (assignments > ASSIGNMENTS_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "%d containers on %d hosts are too many to try all assignments", count,
                        hosts);
    }
    clear(p);
    int container = 0, next = 0; /* the host to try next for `container` */
    while (container >= 0) {
        if (container == count) {
            keep_better(p, &least, &has_any);
        } else {
            while (next < hosts && !has_room(p, container, next)) {
                next++;
            }
            if (next < hosts) {
                put(p, container++, next);
                next = 0;
                continue;
            }
        }
        if (--container >= 0) {
            next = p->hosts[container] + 1;
            take_back(p, container);
        }
    }
    return has_any ? CF_OK
                   : cfi_fail(error, CF_E_CONFIG,
                              "no assignment of containers to hosts has room for all: list more hosts, lower "
                              "neuron_types, or loosen the hints");
}

cf_status cfi_schedule_solve(const cfi_schedule *schedule, cfi_place_algorithm algorithm, int *hosts_out,
                             cf_error *error)
{
    play p;
    CFI_TRY(play_init(&p, schedule, error));
    const cf_status status = algorithm == CFI_PLACE_EXHAUSTIVE ? solve_exhaustive(&p, error)
                             : algorithm == CFI_PLACE_GREEDY   ? solve_greedy(&p, error)
                                                               : solve_heft(&p, error);
    if (status == CF_OK) {
        memcpy(hosts_out, p.best, (size_t)schedule->cluster->container_count * sizeof *hosts_out);
    }
    play_fini(&p);
    return status;
}
