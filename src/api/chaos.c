/* Killing at random, on a schedule that a seed decides, and proof that it changed nothing. */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/cluster.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/philox.h"

#define CHAOS_KEY 0xC4A05u       /* keeps these draws apart from those that reach a weight */
#define POLL_NS 2000000
#define KILLS_MAX 100000
#define PAUSE_MIN_S 1.0
#define PAUSE_SPAN_S 9.0

typedef enum chaos_kind { CHAOS_SHARD, CHAOS_PAUSE, CHAOS_STORE, CHAOS_CONTROLLER, CHAOS_ALL } chaos_kind;

static const char *const kind_names[CF_CHAOS_KIND_COUNT] = {"kill shard", "pause shard", "kill store", "kill controller",
                                                            "kill everything"};

typedef struct chaos {
    cf_cluster *cluster;
    const cf_chaos_options *options;
    double *times[CF_CHAOS_KIND_COUNT]; /* (kills) each */
    int64_t counts[CF_CHAOS_KIND_COUNT];
    int64_t done;
    chaos_kind kinds[CF_CHAOS_KIND_COUNT]; /* those asked for */
    int kind_count;
    int64_t step, first_step, base_step;   /* the furthest seen; at the beginning; when the first blow fell */
    uint64_t begin_ns, base_ns;
    bool is_finished;
} chaos;

/* ---- What the network does ---- */

/* A container that does not answer leaves the step as it is. */
static cf_status look(chaos *c, cf_error *error)
{
    cf_cluster_status status;
    CFI_TRY(cf_cluster_get_status(c->cluster, &status, error));
    c->step = status.step > c->step ? status.step : c->step;
    c->is_finished = status.is_finished != 0;
    const bool is_running = status.is_running != 0;
    cf_cluster_status_free(&status);
    return is_running ? CF_OK : cfi_fail(error, CF_E_NOT_FOUND, "the cluster is gone, and chaos did not stop it");
}

static double seconds_since(uint64_t begin_ns)
{
    return (double)(cfi_clock_ns() - begin_ns) * 1e-9;
}

static cf_status wait_seconds(chaos *c, double seconds, cf_error *error)
{
    for (const uint64_t begin = cfi_clock_ns(); seconds_since(begin) < seconds && !c->is_finished;) {
        CFI_TRY(look(c, error));
        cfi_cluster_pause(POLL_NS);
    }
    return CF_OK;
}

static cf_status wait_for_step(chaos *c, int64_t after, cf_error *error)
{
    while (c->step <= after && !c->is_finished) {
        CFI_TRY(look(c, error));
        cfi_cluster_pause(POLL_NS);
    }
    return CF_OK;
}

/* ---- Blows ---- */

static cfi_philox_block draw(const chaos *c, int64_t number)
{
    const uint32_t counter[4] = {(uint32_t)number, (uint32_t)((uint64_t)number >> 32), 0, 0};
    const uint32_t key[2] = {(uint32_t)c->options->seed, (uint32_t)(c->options->seed >> 32) ^ CHAOS_KEY};
    return cfi_philox(counter, key);
}

static const char *container_of(const chaos *c, chaos_kind kind, uint32_t word)
{
    const cfi_cluster *plan = &c->cluster->plan;
    const int shards = plan->unit_count - CFI_UNIT_INDEX_SHARDS;
    const int unit = kind == CHAOS_STORE        ? CFI_UNIT_INDEX_STORE
                     : kind == CHAOS_CONTROLLER ? CFI_UNIT_INDEX_CONTROLLER
                                                : CFI_UNIT_INDEX_SHARDS + (int)(word % (uint32_t)shards);
    return plan->containers[plan->units[unit].container].name;
}

static void tell(const chaos *c, chaos_kind kind, const char *container)
{
    char text[256];
    const cf_chaos_options *options = c->options;
    snprintf(text, sizeof text, "%s: %s", kind_names[kind], container);
    const cf_event event = {
        .kind = CF_EVENT_STEP, .step = c->step, .step_count = c->cluster->plan.work.step_count, .text = text,
        .loss = (double)NAN, .accuracy = (double)NAN, .validation_loss = (double)NAN,
        .validation_accuracy = (double)NAN, .test_loss = (double)NAN, .test_accuracy = (double)NAN};
    if (options->on_event != NULL) {
        (void)options->on_event(options->user, &event);
    }
}

/* Stops a process, lets it go on after `seconds`; nothing else notices but by its silence. */
static cf_status pause_container(chaos *c, const char *container, double seconds, cf_error *error)
{
    CFI_TRY(cf_cluster_kill(c->cluster, container, SIGSTOP, error));
    cfi_cluster_pause((int64_t)(seconds * 1e9)); /* not looking: a paused one would make the look wait */
    return cf_cluster_kill(c->cluster, container, SIGCONT, error);
}

static cf_status strike(chaos *c, chaos_kind kind, cfi_philox_block words, cf_error *error)
{
    const char *container = kind == CHAOS_ALL ? "*" : container_of(c, kind, words.word[1]);
    tell(c, kind, container);
    if (kind == CHAOS_PAUSE) {
        const double seconds = PAUSE_MIN_S + PAUSE_SPAN_S * (double)cfi_uniform_float(words.word[2]);
        return pause_container(c, container, seconds, error);
    }
    CFI_TRY(cf_cluster_kill(c->cluster, container, SIGKILL, error));
    const cf_up_options same = CF_UP_OPTIONS_DEFAULT;
    return kind == CHAOS_ALL ? cf_cluster_up(c->cluster, &same, error) : CF_OK;
}

static cf_status one_blow(chaos *c, int64_t number, cf_error *error)
{
    const cfi_philox_block words = draw(c, number);
    const chaos_kind kind = c->kinds[words.word[0] % (uint32_t)c->kind_count];
    const int64_t before = c->step;
    const uint64_t begin = cfi_clock_ns();
    const cf_status status = strike(c, kind, words, error);
    if (status == CF_E_NOT_FOUND) {
        return CF_OK; /* dead already, and being started again */
    }
    CFI_TRY(status);
    CFI_TRY(wait_for_step(c, before, error));
    if (c->step > before) { /* else training had ended */
        c->times[kind][c->counts[kind]++] = seconds_since(begin);
    }
    c->done++;
    return CF_OK;
}

static cf_status all_blows(chaos *c, cf_error *error)
{
    CFI_TRY(look(c, error));
    const int64_t at_start = c->step;
    CFI_TRY(wait_for_step(c, at_start > 0 ? at_start : 0, error));
    c->first_step = c->step;
    c->begin_ns = cfi_clock_ns();
    CFI_TRY(wait_seconds(c, c->options->every, error));
    c->base_step = c->step;
    c->base_ns = cfi_clock_ns();
    for (int64_t i = 0; i < c->options->kills && !c->is_finished; i++) {
        CFI_TRY(one_blow(c, i, error));
        CFI_TRY(wait_seconds(c, c->options->every, error));
    }
    return CF_OK;
}

/* ---- The report ---- */

static int by_size(const void *left, const void *right)
{
    double a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

static double quantile(const double *sorted, int64_t count, double share)
{
    const int64_t at = (int64_t)ceil(share * (double)count) - 1;
    return sorted[at < 0 ? 0 : at];
}

static void summarise(chaos *c, cf_chaos_report *report)
{
    for (int k = 0; k < CF_CHAOS_KIND_COUNT; k++) {
        cf_chaos_recovery *recovery = &report->recovery[k];
        *recovery = (cf_chaos_recovery){kind_names[k], c->counts[k], (double)NAN, (double)NAN, (double)NAN};
        if (c->counts[k] > 0) {
            qsort(c->times[k], (size_t)c->counts[k], sizeof c->times[k][0], by_size);
            recovery->p50 = quantile(c->times[k], c->counts[k], 0.50);
            recovery->p99 = quantile(c->times[k], c->counts[k], 0.99);
            recovery->most = c->times[k][c->counts[k] - 1];
        }
    }
    report->done = c->done;
}

static cf_status train_reference(const chaos *c, cf_chaos_report *report, cf_error *error)
{
    cf_train_options options = CF_TRAIN_OPTIONS_DEFAULT;
    options.steps = c->cluster->plan.work.step_count;
    options.no_run_folder = 1;
    CFI_TRY(cf_train(c->cluster->network, &options, &report->reference, error));
    report->is_identical = strcmp(report->result.weights, report->reference.weights) == 0 &&
                           strcmp(report->result.chain, report->reference.chain) == 0;
    return CF_OK;
}

static cf_status run_chaos(chaos *c, cf_chaos_report *report, cf_error *error)
{
    for (int k = 0; k < CF_CHAOS_KIND_COUNT; k++) {
        c->times[k] = cfi_calloc((size_t)c->options->kills, sizeof c->times[k][0]);
        if (c->times[k] == NULL) {
            return cfi_fail_memory(error, "the recovery times");
        }
    }
    CFI_TRY(all_blows(c, error));
    CFI_TRY(cf_cluster_wait(c->cluster, NULL, NULL, &report->result, error));
    const double before = (double)(c->base_ns - c->begin_ns) * 1e-9;
    report->rate_before = (double)(c->base_step - c->first_step) / before;
    report->rate_during = (double)(report->result.steps - c->base_step) / seconds_since(c->base_ns);
    summarise(c, report);
    return train_reference(c, report, error);
}

static void choose_kinds(chaos *c)
{
    const cf_chaos_options *o = c->options;
    const int wanted[CF_CHAOS_KIND_COUNT] = {1, o->pause, o->store, o->controller, o->all_at_once};
    for (int k = 0; k < CF_CHAOS_KIND_COUNT; k++) {
        if (wanted[k]) {
            c->kinds[c->kind_count++] = (chaos_kind)k;
        }
    }
}

/* Whether this call is the one that begins the cluster, and so removes it. */
static bool is_new(cf_cluster *cluster)
{
    return cfi_cluster_read_plan(cluster, NULL) != CF_OK;
}

cf_status cf_chaos(cf_cluster *cluster, const cf_chaos_options *options, cf_chaos_report *report_out, cf_error *error)
{
    const cf_chaos_options nothing = CF_CHAOS_OPTIONS_DEFAULT;
    cf_chaos_report report = {.done = 0};
    chaos c = {.cluster = cluster, .options = options != NULL ? options : &nothing, .step = -1};
    if (c.options->kills < 0 || c.options->kills > KILLS_MAX || !(c.options->every >= 0.0 && c.options->every <= 3600)) {
        return cfi_fail(error, CF_E_USAGE, "chaos: kills are from 0 to %d, with 0 to 3600 seconds between", KILLS_MAX);
    }
    const cf_up_options up = {c.options->steps, 0};
    const bool began = is_new(cluster);
    CFI_TRY(cf_cluster_up(cluster, &up, error));
    choose_kinds(&c);
    cf_status status = run_chaos(&c, &report, error);
    for (int k = 0; k < CF_CHAOS_KIND_COUNT; k++) {
        cfi_free(c.times[k]);
    }
    if (began && status == CF_OK) {
        status = cf_cluster_down(cluster, 0, error);
    }
    CFI_TRY(status);
    *report_out = report;
    return CF_OK;
}
