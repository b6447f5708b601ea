/* What a cluster does just now: the orchestrator's list, and each container's own answer. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/cluster.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"

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

static void ask_container(cf_cluster *cluster, cf_container *container, cf_cluster_status *status)
{
    char *answer = NULL;
    size_t size = 0, index = 0;
    json_t *unit;
    const cfi_orchestrator *orchestrator = &cluster->orchestrator;
    cf_status asked = orchestrator->ops->ask(orchestrator->self, container->name, "status", "-", NULL, 0, &answer, &size,
                                             NULL);
    json_t *root = asked == CF_OK ? json_loadb(answer, size, 0, NULL) : NULL;
    cfi_free(answer);
    if (root == NULL) {
        snprintf(container->state, sizeof container->state, "silent");
        return;
    }
    container->rss_bytes = integer_of(root, "rss_bytes");
    container->pss_bytes = integer_of(root, "pss_bytes");
    json_array_foreach(json_object_get(root, "units"), index, unit) {
        read_unit(unit, container, status);
    }
    json_decref(root);
}

static void fill_container(cf_cluster *cluster, const cfi_container_report *report, cf_container *container,
                           cf_cluster_status *status)
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
        ask_container(cluster, container, status);
    }
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
    status.containers = cfi_calloc((size_t)count, sizeof *status.containers);
    if (status.containers == NULL) {
        cfi_free(reports);
        return cfi_fail_memory(error, "the status");
    }
    for (int i = 0; i < count; i++) {
        fill_container(cluster, &reports[i], &status.containers[i], &status);
    }
    cfi_free(reports);
    status.container_count = (size_t)count;
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
