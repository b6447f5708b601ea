/* Opening, starting, stopping a cluster. */
#include "api/cluster.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/run.h"

#define PLAN_SIZE_MAX ((size_t)256 << 20)
#define SERIES_MAX 100000

void cfi_cluster_pause(int64_t nanoseconds)
{
    const struct timespec time = {(time_t)(nanoseconds / 1000000000), (long)(nanoseconds % 1000000000)};
    nanosleep(&time, NULL);
}

/* ---- Which folder ---- */

static cf_status use_run_folder(cf_cluster *cluster, const char *run_folder, cf_error *error)
{
    static const char *const names[] = {
        [CFI_DEPLOY_LOCAL] = "local", [CFI_DEPLOY_DOCKER] = "docker", [CFI_DEPLOY_COMPOSE] = "compose",
        [CFI_DEPLOY_KUBERNETES] = "kubernetes", [CFI_DEPLOY_ECS] = "ecs", [CFI_DEPLOY_MARATHON] = "marathon"};
    if (!cfi_copy_path(cluster->run_folder, run_folder)) {
        return cfi_fail(error, CF_E_LIMIT, "the run folder's path is too long");
    }
    CFI_TRY(cfi_path_join(cluster->folder, sizeof cluster->folder, run_folder, "cluster", error));
    const cfi_orchestrator_options options = {.folder = cluster->folder, .command = cluster->command};
    return cfi_orchestrator_open(names[cluster->network->settings.running.deploy], &options, &cluster->orchestrator,
                                 error);
}

static bool has_plan(const char *run_folder)
{
    char path[CFI_PATH_SIZE_MAX];
    return cfi_path_join(path, sizeof path, run_folder, "cluster/plan.json", NULL) == CF_OK && cfi_file_exists(path);
}

/* The newest of the network's runs that has a cluster; "" when there is none. */
static void find_run(const char *name, char found[CFI_PATH_SIZE_MAX])
{
    char path[CFI_PATH_SIZE_MAX];
    snprintf(path, sizeof path, "runs/%s", name);
    found[0] = '\0';
    for (int number = 2; number < SERIES_MAX && cfi_file_exists(path); number++) {
        if (has_plan(path)) {
            (void)cfi_copy_path(found, path);
        }
        snprintf(path, sizeof path, "runs/%s-%d", name, number);
    }
}

static cf_status find_command(const char *given, char command[CFI_PATH_SIZE_MAX], cf_error *error)
{
    if (given != NULL) {
        return cfi_copy_path(command, given) ? CF_OK : cfi_fail(error, CF_E_LIMIT, "the command's path is too long");
    }
    const char *folders = getenv("PATH");
    while (folders != NULL && folders[0] != '\0') {
        const size_t length = strcspn(folders, ":");
        snprintf(command, CFI_PATH_SIZE_MAX, "%.*s/cuttlefish", (int)(length < 4000 ? length : 4000), folders);
        if (access(command, X_OK) == 0) {
            return CF_OK;
        }
        folders += length + (folders[length] == ':');
    }
    return cfi_fail(error, CF_E_NOT_FOUND, "there is no command 'cuttlefish' on PATH for containers to run; name it in "
                                           "cf_cluster_options.command");
}

static cf_status open_cluster(cf_cluster *cluster, const cf_cluster_options *options, cf_error *error)
{
    char found[CFI_PATH_SIZE_MAX];
    const cfi_settings *settings = &cluster->network->settings;
    CFI_TRY(cfi_network_is_native(cluster->network, error));
    CFI_TRY(cfi_network_has_graph(cluster->network, error));
    if (settings->running.deploy != CFI_DEPLOY_LOCAL) {
        return cfi_fail(error, CF_E_UNSUPPORTED,
                        "%s: this target of 'deploy' is not available yet in this version (use: deploy: local)",
                        settings->name);
    }
    CFI_TRY(find_command(options->command, cluster->command, error));
    if (options->run_folder != NULL) {
        return use_run_folder(cluster, options->run_folder, error);
    }
    find_run(settings->name, found);
    return found[0] != '\0' ? use_run_folder(cluster, found, error) : CF_OK;
}

cf_status cf_cluster_open(const cf_network *network, const cf_cluster_options *options, cf_cluster **cluster_out,
                          cf_error *error)
{
    const cf_cluster_options nothing = CF_CLUSTER_OPTIONS_DEFAULT;
    cf_cluster *cluster = cfi_calloc(1, sizeof *cluster);
    if (cluster == NULL) {
        return cfi_fail_memory(error, "the cluster");
    }
    cluster->network = cfi_network_share(network);
    const cf_status status = open_cluster(cluster, options != NULL ? options : &nothing, error);
    if (status != CF_OK) {
        cf_cluster_close(cluster);
        return status;
    }
    *cluster_out = cluster;
    return CF_OK;
}

void cf_cluster_close(cf_cluster *cluster)
{
    if (cluster == NULL) {
        return;
    }
    cfi_orchestrator_close(&cluster->orchestrator);
    cfi_cluster_fini(&cluster->plan);
    cf_data_free(cluster->data);
    cfi_free(cluster->numbers);
    cf_network_free(cluster->network);
    cfi_free(cluster);
}

const char *cf_cluster_run_folder(const cf_cluster *cluster)
{
    return cluster->run_folder;
}

/* ---- The plan's file, and questions ---- */

cf_status cfi_cluster_read_plan(cf_cluster *cluster, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX], *text = NULL;
    size_t size = 0;
    cfi_cluster plan;
    if (cluster->run_folder[0] == '\0' || !has_plan(cluster->run_folder)) {
        return cfi_fail(error, CF_E_NOT_FOUND, "%s: there is no cluster of this network%s%s (begin one with: "
                                               "cuttlefish up)", cluster->network->settings.name,
                        cluster->run_folder[0] != '\0' ? " in " : "", cluster->run_folder);
    }
    CFI_TRY(cfi_path_join(path, sizeof path, cluster->folder, "plan.json", error));
    CFI_TRY(cfi_file_read(path, PLAN_SIZE_MAX, &text, &size, error));
    const cf_status status = cfi_cluster_parse(text, size, &plan, error);
    cfi_free(text);
    if (status != CF_OK) {
        cfi_error_prefix(error, "%s", path);
        return status;
    }
    cfi_cluster_fini(&cluster->plan);
    cluster->plan = plan;
    return CF_OK;
}

static cf_status write_file(const cf_cluster *cluster, const char *name, const char *text, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX];
    const cfi_file_part part = {text, strlen(text)};
    CFI_TRY(cfi_path_join(path, sizeof path, cluster->folder, name, error));
    return cfi_file_replace(path, &part, 1, error);
}

cf_status cfi_cluster_write_plan(cf_cluster *cluster, cf_error *error)
{
    char *text = NULL;
    CFI_TRY(cfi_cluster_print(&cluster->plan, &text, error));
    const cf_status status = write_file(cluster, "plan.json", text, error);
    cfi_free(text);
    return status;
}

cf_status cfi_cluster_ask(cf_cluster *cluster, int unit, const char *operation, const char *argument, const void *body,
                          size_t body_size, char **answer_out, size_t *size_out, cf_error *error)
{
    const char *container = cluster->plan.containers[cluster->plan.units[unit].container].name;
    return cluster->orchestrator.ops->ask(cluster->orchestrator.self, container, operation, argument, body, body_size,
                                          CFI_CLUSTER_ASK_MS, answer_out, size_out, error);
}

json_t *cfi_cluster_glance(const cf_cluster *cluster, const char *container, int timeout_ms)
{
    char *answer = NULL;
    size_t size = 0;
    const cfi_orchestrator *orchestrator = &cluster->orchestrator;
    if (orchestrator->ops->ask(orchestrator->self, container, "status", "-", NULL, 0, timeout_ms, &answer, &size,
                               NULL) != CF_OK) {
        return NULL;
    }
    json_t *root = json_loadb(answer, size, 0, NULL);
    cfi_free(answer);
    return root;
}

cf_status cfi_cluster_head(cf_cluster *cluster, cfi_head *head_out, cf_error *error)
{
    char *answer = NULL;
    size_t size = 0;
    const char *container = cluster->plan.containers[cluster->plan.units[CFI_UNIT_INDEX_STORE].container].name;
    CFI_TRY(cluster->orchestrator.ops->ask(cluster->orchestrator.self, container, "get", "head", NULL, 0,
                                           CFI_CLUSTER_HEAD_MS, &answer, &size, error));
    const cf_status status = cfi_head_decode(answer, size, head_out, error);
    cfi_free(answer);
    return status;
}

cf_status cfi_cluster_follow_plan(cf_cluster *cluster, bool *changed_out, cf_error *error)
{
    char key[CFI_STORE_KEY_SIZE_MAX], *text = NULL;
    size_t size = 0;
    cfi_head head;
    cfi_cluster next;
    *changed_out = false;
    CFI_TRY(cfi_cluster_head(cluster, &head, error));
    if (head.plan == cluster->plan.id) {
        return CF_OK;
    }
    cfi_key_plan(key, sizeof key, head.plan);
    CFI_TRY(cfi_cluster_ask(cluster, CFI_UNIT_INDEX_STORE, "get", key, NULL, 0, &text, &size, error));
    const cf_status status = cfi_cluster_parse(text, size, &next, error);
    cfi_free(text);
    CFI_TRY(status);
    cfi_cluster_fini(&cluster->plan);
    cluster->plan = next;
    *changed_out = true;
    return cfi_cluster_write_plan(cluster, error);
}

/* ---- Up ---- */

static cf_status check_same(const cf_cluster *cluster, uint64_t digest, const cf_up_options *options, cf_error *error)
{
    const char *cure = "stop it with: cuttlefish down, or name another folder with --run";
    if (cluster->plan.digest != digest) {
        return cfi_fail(error, CF_E_CONFIG, "%s is of another network file, data set or seed; %s", cluster->folder,
                        cure);
    }
    if (options->steps >= 0 && options->steps != cluster->plan.work.step_count) {
        return cfi_fail(error, CF_E_CONFIG, "%s ends after %" PRId64 " steps, not %" PRId64 "; %s", cluster->folder,
                        cluster->plan.work.step_count, options->steps, cure);
    }
    return CF_OK;
}

/* Before a folder is made for what cannot be. */
static cf_status check_can_be_cut(const cf_cluster *cluster, cf_error *error)
{
    cfi_stage *stages = NULL;
    int count = 0;
    CFI_TRY(cfi_cluster_stages(&cluster->network->graph, &stages, &count, error));
    cfi_free(stages);
    return CF_OK;
}

/* A run folder with network.yaml, and the first plan in it. */
static cf_status begin_cluster(cf_cluster *cluster, const cfi_dataset *dataset, const cf_up_options *options,
                               cf_error *error)
{
    const cfi_settings *settings = &cluster->network->settings;
    cfi_run run;
    CFI_TRY(check_can_be_cut(cluster, error));
    CFI_TRY(cfi_run_open(&run, settings->name, cluster->run_folder[0] != '\0' ? cluster->run_folder : NULL, false,
                         error));
    cf_status status = cfi_run_describe(&run, settings->name, settings->resolved_yaml, error);
    if (status == CF_OK && cluster->orchestrator.ops == NULL) {
        status = use_run_folder(cluster, run.folder, error);
    }
    cfi_run_close(&run);
    CFI_TRY(status);
    CFI_TRY(cfi_cluster_make_plan(cluster, dataset, options, NULL, &cluster->plan, error));
    CFI_TRY(cfi_folder_make(cluster->folder, error));
    CFI_TRY(write_file(cluster, "network.yaml", settings->resolved_yaml, error));
    CFI_TRY(cfi_cluster_write_keys(cluster, error));
    return cfi_cluster_write_plan(cluster, error);
}

/* Starts what plan.json says, and what the store says when that is later: changing plans may have been interrupted. */
static cf_status start(cf_cluster *cluster, cf_error *error)
{
    const cfi_orchestrator *orchestrator = &cluster->orchestrator;
    bool changed = false;
    cf_status status = orchestrator->ops->up(orchestrator->self, &cluster->plan, error);
    if (cfi_cluster_follow_plan(cluster, &changed, NULL) == CF_OK && changed) {
        status = orchestrator->ops->up(orchestrator->self, &cluster->plan, error);
    }
    return status;
}

/* What does not decide the weights may be another now, as the store's size; but all nodes are to know the same. */
static cf_status renew_settings(cf_cluster *cluster, cf_error *error)
{
    cfi_container_report *reports = NULL;
    int count = 0;
    CFI_TRY(cluster->orchestrator.ops->list(cluster->orchestrator.self, &reports, &count, error));
    cfi_free(reports);
    return count > 0 ? CF_OK : write_file(cluster, "network.yaml", cluster->network->settings.resolved_yaml, error);
}

static cf_status up_with_data(cf_cluster *cluster, const cfi_dataset *dataset, const cf_up_options *options,
                              cf_error *error)
{
    uint64_t digest = 0;
    if (cluster->run_folder[0] == '\0' || !has_plan(cluster->run_folder)) {
        CFI_TRY(begin_cluster(cluster, dataset, options, error));
        return start(cluster, error);
    }
    CFI_TRY(cfi_cluster_read_plan(cluster, error));
    CFI_TRY(cfi_cluster_digest(cluster->network, dataset, &digest, error));
    CFI_TRY(check_same(cluster, digest, options, error));
    CFI_TRY(renew_settings(cluster, error));
    return start(cluster, error);
}

cf_status cf_cluster_up(cf_cluster *cluster, const cf_up_options *options, cf_error *error)
{
    const cf_up_options nothing = CF_UP_OPTIONS_DEFAULT;
    cfi_dataset dataset;
    options = options != NULL ? options : &nothing;
    if (options->steps < -1 || options->containers < 0) {
        return cfi_fail(error, CF_E_USAGE, "%" PRId64 " steps or %d containers cannot be", options->steps,
                        options->containers);
    }
    CFI_TRY(cfi_dataset_load(&cluster->network->settings.data, &dataset, error));
    const cf_status status = up_with_data(cluster, &dataset, options, error);
    cfi_dataset_fini(&dataset);
    return status;
}

/* ---- Scale, down, kill ---- */

/* Gives the plan to the controller, again while it is not heard (it may be starting), until HEAD names it. */
static cf_status hand_over(cf_cluster *cluster, const cfi_cluster *next, cf_error *error)
{
    char *text = NULL, *answer = NULL;
    size_t size = 0;
    CFI_TRY(cfi_cluster_print(next, &text, error));
    cf_status status = cfi_cluster_ask(cluster, CFI_UNIT_INDEX_CONTROLLER, "replan", "-", text, strlen(text), &answer,
                                       &size, error);
    cfi_free(answer);
    for (bool changed = false; status == CF_OK && !changed;) {
        cfi_head head;
        cfi_container_report *reports = NULL;
        int count = 0;
        status = cluster->orchestrator.ops->list(cluster->orchestrator.self, &reports, &count, error);
        cfi_free(reports);
        if (status == CF_OK && count == 0) {
            status = cfi_fail(error, CF_E_NOT_FOUND, "the cluster stopped meanwhile (cuttlefish up goes on)");
        }
        changed = cfi_cluster_head(cluster, &head, NULL) == CF_OK && head.plan == next->id;
        if (status == CF_OK && !changed) {
            answer = NULL; /* a controller that was killed has forgotten; a second time says that it is known */
            (void)!cfi_cluster_ask(cluster, CFI_UNIT_INDEX_CONTROLLER, "replan", "-", text, strlen(text), &answer,
                                   &size, NULL);
            cfi_free(answer);
            cfi_cluster_pause(CFI_CLUSTER_POLL_NS);
        }
    }
    cfi_free(text);
    return status;
}

cf_status cfi_cluster_is_up(cf_cluster *cluster, cf_error *error)
{
    CFI_TRY(cfi_cluster_read_plan(cluster, error));
    return cfi_cluster_check_runs(cluster, error);
}

/* Until there is a HEAD (its first one may be just now made), with the plan that it names. */
static cf_status await_head(cf_cluster *cluster, cf_error *error)
{
    bool changed = false;
    CFI_TRY(cfi_cluster_read_plan(cluster, error));
    CFI_TRY(cfi_cluster_check_runs(cluster, error));
    while (cfi_cluster_follow_plan(cluster, &changed, NULL) != CF_OK) {
        CFI_TRY(cfi_cluster_check_runs(cluster, error));
        cfi_cluster_pause(CFI_CLUSTER_POLL_NS);
    }
    return CF_OK;
}

cf_status cf_cluster_scale(cf_cluster *cluster, int containers, cf_error *error)
{
    cfi_cluster next;
    cfi_dataset dataset;
    const cf_up_options options = {-1, containers};
    if (containers < 1) {
        return cfi_fail(error, CF_E_USAGE, "%d containers cannot be", containers);
    }
    CFI_TRY(await_head(cluster, error));
    CFI_TRY(cfi_dataset_load(&cluster->network->settings.data, &dataset, error));
    cf_status status = cfi_cluster_make_plan(cluster, &dataset, &options, &cluster->plan, &next, error);
    cfi_dataset_fini(&dataset);
    CFI_TRY(status);
    status = hand_over(cluster, &next, error);
    if (status != CF_OK) {
        cfi_cluster_fini(&next);
        return status;
    }
    cfi_cluster_fini(&cluster->plan);
    cluster->plan = next;
    CFI_TRY(cfi_cluster_write_plan(cluster, error));
    return cluster->orchestrator.ops->up(cluster->orchestrator.self, &cluster->plan, error);
}

cf_status cf_cluster_down(cf_cluster *cluster, int keep, cf_error *error)
{
    if (cluster->orchestrator.ops == NULL) {
        return CF_OK;
    }
    CFI_TRY(cluster->orchestrator.ops->down(cluster->orchestrator.self, error));
    return keep ? CF_OK : cfi_folder_remove(cluster->folder, error);
}

cf_status cf_cluster_kill(cf_cluster *cluster, const char *container, int number, cf_error *error)
{
    CFI_TRY(cfi_cluster_read_plan(cluster, error));
    return cluster->orchestrator.ops->kill(cluster->orchestrator.self, container, number, error);
}
