/* Killing at random, on a schedule that a seed decides, and proof that it changed nothing. */
#include <jansson.h>
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
#define RECOVERY_POLL_NS 5000000 /* while the network recovers: what a recovery is measured to */
#define POLL_NS 100000000        /* otherwise: looking costs the network time */
#define CHECK_SECONDS 1.0        /* whether the cluster is there at all */
#define BASE_SECONDS 2.0         /* at least, for the speed before the first blow */
#define KILLS_MAX 100000
#define PAUSE_MIN_S 1.0
#define PAUSE_SPAN_S 9.0

typedef enum chaos_kind { CHAOS_SHARD, CHAOS_PAUSE, CHAOS_STORE, CHAOS_CONTROLLER, CHAOS_ALL } chaos_kind;

/* Of this many blows of all kinds so many are of each: 1 of 16 for the store, and so on. */
enum { SHARE_ALL_KINDS = 163 };
static const int kind_shares[CF_CHAOS_KIND_COUNT] = {120, 20, 10, 10, 3};
static const char *const kind_names[CF_CHAOS_KIND_COUNT] = {
    "kill shard", "pause shard", "kill store", "kill controller", "kill everything"};

typedef struct chaos {
    cf_cluster *cluster;
    const cf_chaos_options *options;
    cf_chaos_report *report;
    unsigned char *deck;                /* (kills) the kind of each blow */
    double *times[CF_CHAOS_KIND_COUNT]; /* (kills) each */
    int64_t counts[CF_CHAOS_KIND_COUNT];
    int64_t *restarts;                  /* (containers of the plan) as they should be counted by now */
    int64_t step, head, durable;        /* the furthest seen: made; moved by the controller; in the store's record */
    int64_t first_step, base_step, last_step;   /* at the beginning; at the first blow; after the last one */
    uint64_t begin_ns, base_ns, last_ns;
    uint64_t checked_ns;
    uint32_t plan;                      /* its number */
    bool is_finished;
} chaos;

/* What a blow has to bring back. */
typedef struct aim {
    int container;                      /* of the plan; -1: the network as a whole */
    int64_t step;                       /* a later one than this, of the network and of the container's units */
    int64_t head;                       /* -1, or a later one than this: store and controller make no steps */
} aim;

/* ---- What the network does ---- */

static double seconds_since(uint64_t begin_ns)
{
    return (double)(cfi_clock_ns() - begin_ns) * 1e-9;
}

static bool is_kind(json_t *unit, const char *kind)
{
    const char *text = json_string_value(json_object_get(unit, "kind"));
    return text != NULL && strcmp(text, kind) == 0;
}

/* Asks one container. *step_out: the least step of its units, INT64_MAX when it has none; untouched without answer. */
static void look_at(chaos *c, int container, int64_t *step_out)
{
    json_t *root = cfi_cluster_glance(c->cluster, c->cluster->plan.containers[container].name, CFI_CLUSTER_GLANCE_MS);
    json_t *unit;
    size_t index;
    int64_t least = INT64_MAX;
    json_array_foreach(json_object_get(root, "units"), index, unit) {
        const int64_t step = json_integer_value(json_object_get(unit, "step"));
        if (is_kind(unit, "controller")) {
            const int64_t head = json_integer_value(json_object_get(unit, "head"));
            c->head = head > c->head ? head : c->head;
            c->is_finished = c->is_finished || json_is_true(json_object_get(unit, "finished"));
        } else {
            least = step < least ? step : least;
        }
        if (is_kind(unit, "loss")) {
            c->step = step > c->step ? step : c->step;
        }
    }
    if (root != NULL) {
        *step_out = least;
    }
    json_decref(root);
}

/* A container that does not answer leaves what is known as it is. */
static void look(chaos *c)
{
    const cfi_unit *units = c->cluster->plan.units;
    const int loss = units[CFI_UNIT_INDEX_LOSS].container, controller = units[CFI_UNIT_INDEX_CONTROLLER].container;
    int64_t ignored = 0;
    look_at(c, loss, &ignored);
    if (controller != loss) {
        look_at(c, controller, &ignored);
    }
}

/* That the cluster is there, and is the one that chaos knows. */
static cf_status check(const chaos *c, cf_error *error)
{
    cfi_head head;
    CFI_TRY(cfi_cluster_check_runs(c->cluster, error));
    if (c->cluster->plan.id != c->plan ||
        (cfi_cluster_head(c->cluster, &head, NULL) == CF_OK && head.plan != c->plan)) {
        return cfi_fail(error, CF_E_USAGE, "chaos: the network was cut anew meanwhile (scale); begin chaos again");
    }
    return CF_OK;
}

/* Between two looks: whoever called may want to end it, the cluster may be gone. */
static cf_status go_on(chaos *c, int64_t pause_ns, cf_error *error)
{
    const cf_event event = {
        .kind = CF_EVENT_STEP, .step = c->step, .step_count = c->cluster->plan.work.step_count, .text = "",
        .loss = (double)NAN, .accuracy = (double)NAN, .validation_loss = (double)NAN,
        .validation_accuracy = (double)NAN, .test_loss = (double)NAN, .test_accuracy = (double)NAN};
    if (c->options->on_event != NULL && c->options->on_event(c->options->user, &event) != 0) {
        return cfi_fail(error, CF_E_CANCELLED, "chaos was stopped; the cluster runs on");
    }
    if (seconds_since(c->checked_ns) >= CHECK_SECONDS) {
        CFI_TRY(check(c, error));
        c->checked_ns = cfi_clock_ns();
    }
    cfi_cluster_pause(pause_ns);
    return CF_OK;
}

static cf_status wait_until(chaos *c, uint64_t begin_ns, double seconds, cf_error *error)
{
    for (look(c); seconds_since(begin_ns) < seconds && !c->is_finished; look(c)) {
        CFI_TRY(go_on(c, POLL_NS, error));
    }
    return CF_OK;
}

static bool is_reached(chaos *c, const aim *wanted)
{
    int64_t own = wanted->container >= 0 ? -1 : INT64_MAX;
    look(c);
    if (wanted->head >= 0) {
        return c->head > wanted->head;
    }
    if (wanted->container >= 0 && c->step > wanted->step) {
        look_at(c, wanted->container, &own);
    }
    return c->step > wanted->step && own > wanted->step;
}

/* *recovered_out false: training ended before. */
static cf_status wait_for(chaos *c, const aim *wanted, bool *recovered_out, cf_error *error)
{
    *recovered_out = is_reached(c, wanted);
    while (!*recovered_out && !c->is_finished) {
        CFI_TRY(go_on(c, RECOVERY_POLL_NS, error));
        *recovered_out = is_reached(c, wanted);
    }
    return CF_OK;
}

/* ---- What must not happen ---- */

/* Containers that were started again without having been killed, since the last count. */
static cf_status count_restarts(chaos *c, bool is_first, cf_error *error)
{
    cfi_container_report *reports = NULL;
    int count = 0;
    CFI_TRY(c->cluster->orchestrator.ops->list(c->cluster->orchestrator.self, &reports, &count, error));
    for (int i = 0; i < count; i++) {
        const int at = cfi_cluster_find_container(&c->cluster->plan, reports[i].name);
        if (at >= 0) {
            c->report->survivors_restarted += is_first ? 0 : reports[i].restarts - c->restarts[at];
            c->restarts[at] = reports[i].restarts;
        }
    }
    cfi_free(reports);
    return CF_OK;
}

/* HEAD's record never goes back: what it has passed is counted once. */
static void count_lost_steps(chaos *c)
{
    cfi_head head;
    if (cfi_cluster_head(c->cluster, &head, NULL) == CF_OK) {
        c->report->steps_lost += head.step < c->durable ? c->durable - head.step : 0;
        c->durable = head.step;
    }
}

/* ---- Blows ---- */

static cfi_philox_block draw(const chaos *c, int64_t number, uint32_t purpose)
{
    const uint32_t counter[4] = {(uint32_t)number, (uint32_t)((uint64_t)number >> 32), purpose, 0};
    const uint32_t key[2] = {(uint32_t)c->options->seed, (uint32_t)(c->options->seed >> 32) ^ CHAOS_KEY};
    return cfi_philox(counter, key);
}

/* Of each kind that is asked for its share, at least one; shuffled. */
static void fill_deck(chaos *c)
{
    const cf_chaos_options *o = c->options;
    const int wanted[CF_CHAOS_KIND_COUNT] = {0, o->pause, o->store, o->controller, o->all_at_once};
    int64_t filled = 0;
    for (int k = CHAOS_PAUSE; k < CF_CHAOS_KIND_COUNT; k++) {
        const int64_t share = (o->kills * kind_shares[k] + SHARE_ALL_KINDS / 2) / SHARE_ALL_KINDS;
        for (int64_t i = 0; i < (share > 0 ? share : 1) && wanted[k] && filled < o->kills; i++) {
            c->deck[filled++] = (unsigned char)k;
        }
    }
    for (int64_t i = o->kills - 1; i > 0; i--) {
        const int64_t at = draw(c, i, 1).word[0] % (uint32_t)(i + 1);
        const unsigned char kept = c->deck[i];
        c->deck[i] = c->deck[at];
        c->deck[at] = kept;
    }
}

static int container_of(const chaos *c, chaos_kind kind, uint32_t word)
{
    const cfi_cluster *plan = &c->cluster->plan;
    const int shards = plan->unit_count - CFI_UNIT_INDEX_SHARDS;
    const int unit = kind == CHAOS_STORE        ? CFI_UNIT_INDEX_STORE
                     : kind == CHAOS_CONTROLLER ? CFI_UNIT_INDEX_CONTROLLER
                                                : CFI_UNIT_INDEX_SHARDS + (int)(word % (uint32_t)shards);
    return kind == CHAOS_ALL ? -1 : plan->units[unit].container;
}

static void tell(const chaos *c, const char *text)
{
    const cf_event event = {
        .kind = CF_EVENT_STEP, .step = c->step, .step_count = c->cluster->plan.work.step_count, .text = text,
        .loss = (double)NAN, .accuracy = (double)NAN, .validation_loss = (double)NAN,
        .validation_accuracy = (double)NAN, .test_loss = (double)NAN, .test_accuracy = (double)NAN};
    if (c->options->on_event != NULL) {
        (void)c->options->on_event(c->options->user, &event); /* the next look hears whether to end */
    }
}

static cf_status send_signal(const chaos *c, const char *container, int number, cf_error *error)
{
    const cfi_orchestrator *orchestrator = &c->cluster->orchestrator;
    return orchestrator->ops->kill(orchestrator->self, container, number, error);
}

/* Stops a process, lets it go on after `seconds`; nothing else notices but by its silence. */
static cf_status pause_container(chaos *c, const char *container, double seconds, cf_error *error)
{
    CFI_TRY(send_signal(c, container, SIGSTOP, error));
    cf_status status = CF_OK;
    for (const uint64_t begin = cfi_clock_ns(); status == CF_OK && seconds_since(begin) < seconds;) {
        status = go_on(c, POLL_NS, error);
    }
    const cf_status continued = send_signal(c, container, SIGCONT, status == CF_OK ? error : NULL);
    return status == CF_OK ? continued : status;
}

static cf_status kill_everything(chaos *c, cf_error *error)
{
    const cf_up_options same = CF_UP_OPTIONS_DEFAULT;
    CFI_TRY(count_restarts(c, false, error)); /* the counts end with the supervisor */
    CFI_TRY(send_signal(c, "*", SIGKILL, error));
    CFI_TRY(cf_cluster_up(c->cluster, &same, error));
    CFI_TRY(check(c, error));
    return count_restarts(c, true, error);
}

/* *begin_ns_out: from when on a recovery is counted: the kill, or the end of a pause. */
static cf_status strike(chaos *c, chaos_kind kind, int container, uint32_t word, uint64_t *begin_ns_out,
                        cf_error *error)
{
    char text[256];
    const char *name = container >= 0 ? c->cluster->plan.containers[container].name : "";
    const double seconds = PAUSE_MIN_S + PAUSE_SPAN_S * (double)cfi_uniform_float(word);
    snprintf(text, sizeof text, "%s%s%.100s", kind_names[kind], name[0] != '\0' ? ": " : "", name);
    tell(c, text);
    *begin_ns_out = cfi_clock_ns();
    if (kind == CHAOS_ALL) {
        return kill_everything(c, error);
    }
    if (kind == CHAOS_PAUSE) {
        CFI_TRY(pause_container(c, name, seconds, error));
        *begin_ns_out = cfi_clock_ns();
        return CF_OK;
    }
    CFI_TRY(send_signal(c, name, SIGKILL, error));
    c->restarts[container]++;
    return CF_OK;
}

/* HEAD as whoever of both still lives has it: moved just before, it shows no recovery. */
static int64_t head_after(chaos *c, chaos_kind kind)
{
    cfi_head head;
    look(c);
    if (kind == CHAOS_CONTROLLER && cfi_cluster_head(c->cluster, &head, NULL) == CF_OK) {
        c->head = head.step > c->head ? head.step : c->head;
    }
    return c->head;
}

static cf_status one_blow(chaos *c, int64_t number, cf_error *error)
{
    const cfi_philox_block words = draw(c, number, 0);
    const chaos_kind kind = (chaos_kind)c->deck[number];
    const int container = container_of(c, kind, words.word[1]);
    bool is_recovered = false;
    uint64_t begin = 0;
    char text[64];
    look(c);
    aim wanted = {container, c->step, -1};
    CFI_TRY(strike(c, kind, container, words.word[2], &begin, error));
    if (kind == CHAOS_STORE || kind == CHAOS_CONTROLLER) {
        wanted.head = head_after(c, kind);
    }
    CFI_TRY(wait_for(c, &wanted, &is_recovered, error));
    if (is_recovered) { /* else training has ended */
        const double seconds = seconds_since(begin);
        c->times[kind][c->counts[kind]++] = seconds;
        snprintf(text, sizeof text, "recovered in %.3f s", seconds);
        tell(c, text);
    }
    count_lost_steps(c);
    c->report->done++;
    c->last_step = c->step;
    c->last_ns = cfi_clock_ns();
    return CF_OK;
}

static cf_status all_blows(chaos *c, cf_error *error)
{
    bool is_reached_first = false;
    const double every = c->options->every;
    const aim first = {.container = -1, .step = c->step, .head = -1};
    CFI_TRY(wait_for(c, &first, &is_reached_first, error));
    c->first_step = c->step;
    c->begin_ns = cfi_clock_ns();
    CFI_TRY(wait_until(c, c->begin_ns, every > BASE_SECONDS ? every : BASE_SECONDS, error));
    c->base_step = c->last_step = c->step;
    c->base_ns = c->last_ns = cfi_clock_ns();
    CFI_TRY(count_restarts(c, true, error));
    for (int64_t i = 0; i < c->options->kills && !c->is_finished; i++) {
        const uint64_t begin = cfi_clock_ns();
        CFI_TRY(one_blow(c, i, error));
        CFI_TRY(wait_until(c, begin, every, error));
    }
    return count_restarts(c, false, error);
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

static void summarise(chaos *c)
{
    cf_chaos_report *report = c->report;
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
    report->rate_before = (double)(c->base_step - c->first_step) / ((double)(c->base_ns - c->begin_ns) * 1e-9);
    report->rate_during = c->last_ns > c->base_ns ? (double)(c->last_step - c->base_step) /
                                                        ((double)(c->last_ns - c->base_ns) * 1e-9)
                                                  : (double)NAN;
}

bool cfi_chaos_is_identical(const cf_train_result *left, const cf_train_result *right)
{
    return left->steps == right->steps && left->weights[0] != '\0' && left->chain[0] != '\0' &&
           strcmp(left->weights, right->weights) == 0 && strcmp(left->chain, right->chain) == 0;
}

static cf_status train_reference(chaos *c, cf_error *error)
{
    cf_chaos_report *report = c->report;
    cf_train_options options = CF_TRAIN_OPTIONS_DEFAULT;
    options.steps = c->cluster->plan.work.step_count;
    options.no_run_folder = 1;
    CFI_TRY(cf_train(c->cluster->network, &options, &report->reference, error));
    report->is_identical = cfi_chaos_is_identical(&report->result, &report->reference);
    return CF_OK;
}

static cf_status run_chaos(chaos *c, cf_error *error)
{
    const size_t kills = (size_t)c->options->kills + 1; /* none is fine too */
    for (int k = 0; k < CF_CHAOS_KIND_COUNT; k++) {
        c->times[k] = cfi_calloc(kills, sizeof c->times[k][0]);
        if (c->times[k] == NULL) {
            return cfi_fail_memory(error, "the recovery times");
        }
    }
    c->deck = cfi_calloc(kills, 1);
    c->restarts = cfi_calloc((size_t)c->cluster->plan.container_count, sizeof c->restarts[0]);
    if (c->deck == NULL || c->restarts == NULL) {
        return cfi_fail_memory(error, "the schedule of kills");
    }
    c->plan = c->cluster->plan.id;
    fill_deck(c);
    look(c);
    CFI_TRY(all_blows(c, error));
    CFI_TRY(cf_cluster_wait(c->cluster, c->options->on_event, c->options->user, &c->report->result, error));
    summarise(c);
    tell(c, "training by containers has ended; training in this process, to compare");
    return train_reference(c, error);
}

static void free_chaos(chaos *c)
{
    for (int k = 0; k < CF_CHAOS_KIND_COUNT; k++) {
        cfi_free(c->times[k]);
    }
    cfi_free(c->deck);
    cfi_free(c->restarts);
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
    chaos c = {.cluster = cluster, .options = options != NULL ? options : &nothing, .report = &report, .step = -1,
               .head = -1};
    if (c.options->kills < 0 || c.options->kills > KILLS_MAX ||
        !(c.options->every >= 0.0 && c.options->every <= 3600.0)) {
        return cfi_fail(error, CF_E_USAGE, "chaos: kills are from 0 to %d, with 0 to 3600 seconds between", KILLS_MAX);
    }
    const cf_up_options up = {c.options->steps, 0};
    const bool began = is_new(cluster);
    CFI_TRY(cf_cluster_up(cluster, &up, error));
    cf_status status = run_chaos(&c, error);
    free_chaos(&c);
    if (began && status == CF_OK) {
        status = cf_cluster_down(cluster, 0, error);
    }
    CFI_TRY(status);
    *report_out = report;
    return CF_OK;
}
