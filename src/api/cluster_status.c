/* What a cluster does just now: the orchestrator's list, and each container's own answer. */
#include <jansson.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "api/cluster.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/pool.h"
#include "base/text.h"

enum { ASKERS = 8, ANSWER_MS = 300 };

static double real_of(json_t *unit, const char *key)
{
    json_t *value = json_object_get(unit, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static int64_t integer_of(json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void copy_text(char *target, size_t size, json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    (void)cfi_copy_name(target, size, text != NULL ? text : ""); /* a long one is cut */
}

static void read_controller(json_t *unit, cf_cluster_status *status)
{
    status->head = integer_of(unit, "head");
    status->is_finished = json_is_true(json_object_get(unit, "finished"));
    copy_text(status->chain, sizeof status->chain, unit, "chain");
}

static void read_loss(json_t *unit, cf_cluster_status *status)
{
    status->loss = real_of(unit, "loss");
    status->accuracy = real_of(unit, "accuracy");
    status->validation_loss = real_of(unit, "validation_loss");
    status->validation_accuracy = real_of(unit, "validation_accuracy");
    status->test_loss = real_of(unit, "test_loss");
    status->test_accuracy = real_of(unit, "test_accuracy");
    status->step = integer_of(unit, "step");
}

static void read_unit(json_t *unit, cf_container *container, cf_cluster_status *status)
{
    char kind[32];
    const double waiting = real_of(unit, "waiting_ms") * 1e-3;
    copy_text(kind, sizeof kind, unit, "kind");
    if (strcmp(kind, "controller") == 0) {
        read_controller(unit, status);
    } else {
        container->step = integer_of(unit, "step");
    }
    if (strcmp(kind, "loss") == 0) {
        read_loss(unit, status);
    }
    container->queue += integer_of(unit, "inbox") + integer_of(unit, "outbox");
    if (json_is_string(json_object_get(unit, "waiting_for")) && waiting >= container->waiting_seconds) {
        container->waiting_seconds = waiting;
        copy_text(container->waiting_for, sizeof container->waiting_for, unit, "waiting_for");
        copy_text(container->waiting_kind, sizeof container->waiting_kind, unit, "waiting_kind");
    }
    if (json_is_true(json_object_get(unit, "failed"))) {
        copy_text(container->text, sizeof container->text, unit, "text");
    }
}

static void read_answer(json_t *root, cf_container *container, cf_cluster_status *status)
{
    size_t index = 0;
    json_t *unit;
    if (root == NULL) {
        snprintf(container->state, sizeof container->state, "no answer");
        return;
    }
    container->rss_bytes = integer_of(root, "rss_bytes");
    container->pss_bytes = integer_of(root, "pss_bytes");
    json_array_foreach(json_object_get(root, "units"), index, unit) {
        read_unit(unit, container, status);
    }
}

/* Those that run are asked by some threads at once: a paused one makes nobody wait but the thread that asks it. */
typedef struct questions {
    const cf_cluster *cluster;
    const cfi_container_report *reports;
    int count;
    atomic_int next;
    json_t **answers;  /* (count) NULL: none */
} questions;

static void ask_some(void *user, int thread)
{
    questions *q = user;
    (void)thread;
    for (int i; (i = atomic_fetch_add(&q->next, 1)) < q->count;) {
        if (q->reports[i].state == CFI_CONTAINER_RUNNING) {
            q->answers[i] = cfi_cluster_glance(q->cluster, q->reports[i].name, ANSWER_MS);
        }
    }
}

static cf_status ask_all(questions *q, cf_error *error)
{
    cfi_pool *pool = NULL;
    CFI_TRY(cfi_pool_new(q->count < ASKERS ? q->count : ASKERS, &pool, error));
    cfi_pool_run(pool, ask_some, q);
    cfi_pool_free(pool);
    return CF_OK;
}

static void fill_container(const cf_cluster *cluster, const cfi_container_report *report, json_t *answer,
                           cf_container *container, cf_cluster_status *status)
{
    static const char *const states[] = {"starting", "running", "waiting", "stopped", "gone"};
    const cfi_cluster *plan = &cluster->plan;
    (void)cfi_copy_name(container->name, sizeof container->name, report->name);
    (void)cfi_copy_name(container->text, sizeof container->text, report->reason);
    snprintf(container->state, sizeof container->state, "%s", states[report->state]);
    container->pid = report->pid;
    container->restarts = report->restarts;
    container->step = -1;
    const int at = cfi_cluster_find_container(plan, report->name);
    for (int u = 0; u < plan->unit_count; u++) {
        container->neurons += plan->units[u].container == at ? plan->units[u].end - plan->units[u].begin : 0;
    }
    if (report->state == CFI_CONTAINER_RUNNING) {
        read_answer(answer, container, status);
    }
}

/* Fills status->containers (count of q). */
static cf_status fill_containers(questions *q, cf_cluster_status *status, cf_error *error)
{
    if (q->count == 0) {
        return CF_OK;
    }
    q->answers = cfi_calloc((size_t)q->count, sizeof *q->answers);
    cf_container *containers = cfi_calloc((size_t)q->count, sizeof *containers);
    cf_status asked = q->answers != NULL && containers != NULL ? ask_all(q, error)
                                                               : cfi_fail_memory(error, "the status");
    for (int i = 0; i < q->count && asked == CF_OK; i++) {
        fill_container(q->cluster, &q->reports[i], q->answers[i], &containers[i], status);
        json_decref(q->answers[i]);
    }
    cfi_free(q->answers);
    if (asked != CF_OK) {
        cfi_free(containers);
        return asked;
    }
    status->containers = containers;
    status->container_count = (size_t)q->count;
    return CF_OK;
}

static void begin_status(const cf_cluster *cluster, cf_cluster_status *status)
{
    memset(status, 0, sizeof *status);
    status->head = status->step = -1;
    status->plan = cluster->plan.id;
    status->step_count = cluster->plan.work.step_count;
    status->epoch_count = cluster->network->settings.training.epochs;
    status->loss = status->accuracy = status->validation_loss = status->validation_accuracy = (double)NAN;
    status->test_loss = status->test_accuracy = (double)NAN;
}

/* Of a cluster that is stopped: whether cf_cluster_wait saw its end. */
static bool has_result(const cf_cluster *cluster)
{
    char path[CFI_PATH_SIZE_MAX];
    return cfi_path_join(path, sizeof path, cluster->run_folder, "result.json", NULL) == CF_OK && cfi_file_exists(path);
}

cf_status cf_cluster_get_status(cf_cluster *cluster, cf_cluster_status *status_out, cf_error *error)
{
    cfi_container_report *reports = NULL;
    int count = 0;
    cf_cluster_status status;
    CFI_TRY(cfi_cluster_read_plan(cluster, error));
    begin_status(cluster, &status);
    CFI_TRY(cluster->orchestrator.ops->list(cluster->orchestrator.self, &reports, &count, error));
    questions q = {.cluster = cluster, .reports = reports, .count = count};
    const cf_status filled = fill_containers(&q, &status, error);
    cfi_free(reports);
    CFI_TRY(filled);
    status.is_running = count > 0;
    status.is_finished = status.is_finished || (count == 0 && has_result(cluster));
    status.step = status.step < status.head ? status.head : status.step;
    status.epoch = (status.step > 0 ? status.step - 1 : 0) / cluster->plan.work.steps_per_epoch + 1;
    *status_out = status;
    return CF_OK;
}

void cf_cluster_status_free(cf_cluster_status *status)
{
    cfi_free(status->containers);
    memset(status, 0, sizeof *status);
}
