/* Following a training by containers until it has ended. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/cluster.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "learn/schedule.h"

#define POLL_NS 50000000

typedef struct follower {
    cf_cluster *cluster;
    cf_event_function on_event;
    void *user;
    cf_event event;          /* what is known */
    int64_t first_step;      /* -1: no step seen yet */
    uint64_t begin_ns;
    bool is_evaluated;       /* the figures are those of the end */
    bool is_cancelled;
} follower;

static void tell(follower *f, cf_event_kind kind, const char *text)
{
    f->event.kind = kind;
    f->event.text = text;
    if (f->on_event != NULL && f->on_event(f->user, &f->event) != 0 && kind != CF_EVENT_END) {
        f->is_cancelled = true;
    }
}

static double figure(json_t *unit, const char *key)
{
    json_t *value = json_object_get(unit, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static bool is_same(double left, double right)
{
    return memcmp(&left, &right, sizeof left) == 0 || (isnan(left) && isnan(right));
}

static json_t *loss_unit(json_t *root)
{
    size_t index = 0;
    json_t *unit;
    json_array_foreach(json_object_get(root, "units"), index, unit) {
        const char *name = json_string_value(json_object_get(unit, "name"));
        if (name != NULL && strcmp(name, "loss") == 0) {
            return unit;
        }
    }
    return NULL;
}

static void set_speed(follower *f)
{
    const cfi_work *work = &f->cluster->plan.work;
    const double seconds = (double)(cfi_clock_ns() - f->begin_ns) * 1e-9;
    const double rate = (double)(f->event.step - f->first_step) / seconds;
    f->event.samples_per_second = rate * (double)work->batch;
    f->event.seconds_left = (double)(f->event.step_count - f->event.step) / rate;
}

/* Events for what the loss says that was not known before. */
static void hear_loss(follower *f, json_t *unit)
{
    cf_event *event = &f->event;
    const cfi_work *work = &f->cluster->plan.work;
    const cf_event before = *event;
    const int64_t step = json_integer_value(json_object_get(unit, "step"));
    f->is_evaluated = json_is_true(json_object_get(unit, "finished"));
    event->loss = figure(unit, "loss");
    event->accuracy = figure(unit, "accuracy");
    event->validation_loss = figure(unit, "validation_loss");
    event->validation_accuracy = figure(unit, "validation_accuracy");
    event->test_loss = figure(unit, "test_loss");
    event->test_accuracy = figure(unit, "test_accuracy");
    event->samples = json_integer_value(json_object_get(unit, "samples"));
    event->epoch = (step > 0 ? step - 1 : 0) / work->steps_per_epoch + 1;
    event->step = step;
    event->rate = (double)cfi_schedule_rate(&f->cluster->network->settings.training, work->steps_per_epoch,
                                            step > 0 ? step - 1 : 0);
    f->first_step = f->first_step < 0 ? step : f->first_step;
    set_speed(f);
    if (step > before.step) {
        tell(f, CF_EVENT_STEP, "");
    }
    if (!is_same(before.test_loss, event->test_loss) || !is_same(before.validation_loss, event->validation_loss)) {
        tell(f, CF_EVENT_EVALUATION, "");
    }
}

/* A container that does not answer is being started again: the next look will tell. */
static void look_at_loss(follower *f)
{
    const cfi_cluster *plan = &f->cluster->plan;
    const char *container = plan->containers[plan->units[CFI_UNIT_INDEX_LOSS].container].name;
    json_t *root = cfi_cluster_glance(f->cluster, container, CFI_CLUSTER_GLANCE_MS);
    json_t *unit = loss_unit(root);
    if (unit != NULL) {
        hear_loss(f, unit);
    }
    json_decref(root);
}

cf_status cfi_cluster_check_runs(const cf_cluster *cluster, cf_error *error)
{
    cfi_container_report *reports = NULL;
    int count = 0;
    CFI_TRY(cluster->orchestrator.ops->list(cluster->orchestrator.self, &reports, &count, error));
    cf_status status = CF_OK;
    if (count == 0) {
        status = cfi_fail(error, CF_E_NOT_FOUND, "%s: nothing runs any more (go on with: cuttlefish up)",
                          cluster->folder);
    }
    for (int i = 0; i < count && status == CF_OK; i++) {
        if (reports[i].state == CFI_CONTAINER_STOPPED &&
            cfi_cluster_find_container(&cluster->plan, reports[i].name) >= 0) {
            status = cfi_fail(error, CF_E_IO, "container %s stopped: %s; see %s/logs/%s.log, then: cuttlefish up",
                              reports[i].name, reports[i].reason, cluster->folder, reports[i].name);
        }
    }
    cfi_free(reports);
    return status;
}

static cf_status follow(follower *f, cfi_head *head, cf_error *error)
{
    for (;;) {
        const bool has_head = cfi_cluster_head(f->cluster, head, NULL) == CF_OK;
        look_at_loss(f);
        if (has_head && head->is_finished && f->is_evaluated) {
            return CF_OK;
        }
        if (f->is_cancelled) {
            return cfi_fail(error, CF_E_CANCELLED, "stopped waiting; the cluster runs on");
        }
        if (has_head && head->plan != f->cluster->plan.id) {
            CFI_TRY(cfi_cluster_read_plan(f->cluster, error)); /* someone scales; the file follows soon */
        }
        CFI_TRY(cfi_cluster_check_runs(f->cluster, error));
        cfi_cluster_pause(POLL_NS);
    }
}

cf_status cf_cluster_wait(cf_cluster *cluster, cf_event_function on_event, void *user, cf_train_result *result_out,
                          cf_error *error)
{
    follower f = {.cluster = cluster, .on_event = on_event, .user = user, .first_step = -1};
    cfi_head head = {0};
    CFI_TRY(cfi_cluster_read_plan(cluster, error));
    f.begin_ns = cfi_clock_ns();
    f.event.step_count = cluster->plan.work.step_count;
    f.event.epoch = 1;
    f.event.epoch_count = cluster->network->settings.training.epochs;
    f.event.step = -1;
    f.event.loss = f.event.accuracy = f.event.validation_loss = f.event.validation_accuracy = (double)NAN;
    f.event.test_loss = f.event.test_accuracy = (double)NAN;
    CFI_TRY(follow(&f, &head, error));
    const double seconds = (double)(cfi_clock_ns() - f.begin_ns) * 1e-9;
    CFI_TRY(cfi_cluster_result(cluster, &head, &f.event, seconds, result_out, error));
    tell(&f, CF_EVENT_END, head.end < f.event.step_count ? "stopped early: no better validation loss" : "");
    return CF_OK;
}
