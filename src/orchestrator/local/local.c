/* A cluster on this machine: processes under one supervisor, found again by the cluster's folder. */
#include "orchestrator/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "node/control.h"
#include "orchestrator/plugins.h"

#define SOCKET_NAME_MAX 90          /* bytes of "s/NAME", well below what an address holds */
#define POLL_NS 5000000L
#define LIST_TRIES 200              /* with POLL_NS between them */
#define PATIENCE_NS 15000000000u    /* for an orderly stop; then by SIGKILL */
#define PORT_DEFAULT 24100

static cf_status local_open(void *self, const cfi_orchestrator_options *options, cf_error *error)
{
    cfi_local *local = self;
    if (!cfi_copy_path(local->folder, options->folder) || !cfi_copy_path(local->command, options->command)) {
        return cfi_fail(error, CF_E_LIMIT, "the path of the cluster's folder or of the command is too long");
    }
    return CF_OK;
}

/* ---- Addresses ---- */

static void address_ipc(cfi_container *container)
{
    if (strlen(container->name) + 2 <= SOCKET_NAME_MAX) {
        snprintf(container->endpoint, sizeof container->endpoint, "ipc://s/%s", container->name);
        return;
    }
    const cfi_hash hash = cfi_hash_bytes(container->name, strlen(container->name));
    snprintf(container->endpoint, sizeof container->endpoint, "ipc://s/%.40s~%016" PRIx64, container->name, hash.low);
}

static cf_status local_address(void *self, cfi_cluster *cluster, const cfi_cluster *before, const char *scheme,
                               cf_error *error)
{
    (void)self;
    if (strncmp(scheme, "tcp", 3) == 0 && (scheme[3] == '\0' || scheme[3] == ':')) {
        const int64_t first = scheme[3] == ':' ? strtoll(scheme + 4, NULL, 10) : PORT_DEFAULT;
        return cfi_local_ports_give(cluster, before, first, error);
    }
    if (strcmp(scheme, "ipc") != 0) {
        return cfi_fail(error, CF_E_UNSUPPORTED, "messaging: a local run has no scheme '%s' (use: ipc or tcp)", scheme);
    }
    for (int i = 0; i < cluster->container_count; i++) {
        address_ipc(&cluster->containers[i]); /* by name: who is in two plans keeps it */
    }
    return CF_OK;
}

/* ---- Asking ---- */

static void pause_shortly(void)
{
    const struct timespec time = {0, POLL_NS};
    nanosleep(&time, NULL);
}

static cf_status ask(const cfi_local *local, const char *name, const char *operation, const char *argument,
                     const void *body, size_t body_size, int timeout_ms, char **answer_out, size_t *size_out,
                     cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX], socket[CFI_CONTAINER_NAME_SIZE + 2];
    snprintf(socket, sizeof socket, "c/%s", name);
    CFI_TRY(cfi_path_join(path, sizeof path, local->folder, socket, error));
    return cfi_control_ask(path, operation, argument, body, body_size, timeout_ms, answer_out, size_out, error);
}

static cf_status tell_supervisor(const cfi_local *local, const char *operation, int timeout_ms, cf_error *error)
{
    char *answer = NULL;
    size_t size = 0;
    CFI_TRY(ask(local, "supervisor", operation, "-", NULL, 0, timeout_ms, &answer, &size, error));
    cfi_free(answer);
    return CF_OK;
}

static cf_status list_of_supervisor(const cfi_local *local, cfi_container_report **reports_out, int *count_out,
                                    cf_error *error)
{
    char *answer = NULL;
    size_t size = 0;
    CFI_TRY(ask(local, "supervisor", "status", "-", NULL, 0, CFI_LOCAL_ASK_MS, &answer, &size, error));
    const cf_status status = cfi_local_report_parse(answer, size, reports_out, count_out, error);
    cfi_free(answer);
    return status;
}

static cf_status local_list(void *self, cfi_container_report **reports_out, int *count_out, cf_error *error)
{
    const cfi_local *local = self;
    cfi_local_process supervisor;
    cf_status status = CF_E_NOT_FOUND;
    bool is_running = cfi_local_supervisor(local, &supervisor);
    /* One that begins or ends lives a moment without its socket. */
    for (int i = 0; i < LIST_TRIES && is_running && status == CF_E_NOT_FOUND; i++) {
        status = list_of_supervisor(local, reports_out, count_out, error);
        if (status != CF_OK) {
            pause_shortly();
            is_running = cfi_local_process_lives(&supervisor);
        }
    }
    if (!is_running) {
        *reports_out = NULL;
        *count_out = 0;
        return CF_OK;
    }
    return status;
}

static cf_status local_ask(void *self, const char *container, const char *operation, const char *argument,
                           const void *body, size_t body_size, int timeout_ms, char **answer_out, size_t *size_out,
                           cf_error *error)
{
    const cf_status status = ask(self, container, operation, argument, body, body_size, timeout_ms, answer_out,
                                 size_out, error);
    if (status != CF_OK) {
        cfi_error_prefix(error, "container %s", container);
    }
    return status;
}

/* ---- Up ---- */

static cf_status make_folders(const cfi_local *local, cf_error *error)
{
    static const char *const names[] = {"s", "c", "volumes", "logs"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[CFI_PATH_SIZE_MAX];
        CFI_TRY(cfi_path_join(path, sizeof path, local->folder, names[i], error));
        CFI_TRY(cfi_folder_make(path, error));
    }
    return CF_OK;
}

static cf_status fail_ended(const cfi_local *local, cf_error *error)
{
    return cfi_fail(error, CF_E_IO, "the supervisor ended; the last line of %s/logs/supervisor.log says why",
                    local->folder);
}

/* Until the supervisor answers; as long as it lives it may take its time. */
static cf_status wait_for_supervisor(const cfi_local *local, const cfi_local_process *supervisor, cf_error *error)
{
    cfi_container_report *reports = NULL;
    int count = 0;
    while (list_of_supervisor(local, &reports, &count, error) != CF_OK) {
        if (!cfi_local_process_lives(supervisor)) {
            return fail_ended(local, error);
        }
        pause_shortly();
    }
    cfi_free(reports);
    return CF_OK;
}

static const cfi_container_report *find_report(const cfi_container_report *reports, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(reports[i].name, name) == 0) {
            return &reports[i];
        }
    }
    return NULL;
}

/* CF_OK with *all_out whether all of the cluster's containers run; an error when one never will. */
static cf_status count_running(const cfi_local *local, const cfi_cluster *cluster, bool *all_out, cf_error *error)
{
    cfi_container_report *reports = NULL;
    int count = 0, running = 0;
    CFI_TRY(list_of_supervisor(local, &reports, &count, error));
    cf_status status = CF_OK;
    for (int i = 0; i < cluster->container_count && status == CF_OK; i++) {
        const char *name = cluster->containers[i].name;
        const cfi_container_report *report = find_report(reports, count, name);
        running += report != NULL && report->state == CFI_CONTAINER_RUNNING;
        if (report != NULL && report->state == CFI_CONTAINER_STOPPED) {
            status = cfi_fail(error, CF_E_IO, "container %s does not run: %s; %s/logs/%s.log says more", name,
                              report->reason, local->folder, name);
        }
    }
    cfi_free(reports);
    *all_out = running == cluster->container_count;
    return status;
}

static cf_status wait_until_running(const cfi_local *local, const cfi_cluster *cluster,
                                    const cfi_local_process *supervisor, cf_error *error)
{
    for (bool all = false; !all;) {
        CFI_TRY(count_running(local, cluster, &all, error));
        if (!cfi_local_process_lives(supervisor)) {
            return fail_ended(local, error);
        }
        if (!all) {
            pause_shortly();
        }
    }
    return CF_OK;
}

static cf_status bring_up(const cfi_local *local, const cfi_cluster *cluster, cf_error *error)
{
    cfi_local_process supervisor;
    if (cfi_local_supervisor(local, &supervisor)) {
        CFI_TRY(wait_for_supervisor(local, &supervisor, error));
        CFI_TRY(tell_supervisor(local, "reconcile", CFI_LOCAL_ASK_MS, error));
    } else {
        CFI_TRY(cfi_local_ports_check(cluster, error));
        CFI_TRY(cfi_local_start(local, &supervisor, error));
        CFI_TRY(wait_for_supervisor(local, &supervisor, error));
    }
    return wait_until_running(local, cluster, &supervisor, error);
}

static cf_status local_up(void *self, const cfi_cluster *cluster, cf_error *error)
{
    const cfi_local *local = self;
    char path[CFI_PATH_SIZE_MAX];
    CFI_TRY(make_folders(local, error));
    CFI_TRY(cfi_path_join(path, sizeof path, local->folder, "up.lock", error));
    const int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666); /* two at once would start two supervisors */
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        const int number = errno;
        if (lock >= 0) {
            close(lock);
        }
        return cfi_fail_errno(error, CF_E_IO, number, "%s", path);
    }
    const cf_status status = bring_up(local, cluster, error);
    close(lock);
    return status;
}

/* ---- Kill ---- */

static cf_status send_signal(int64_t pid, int number, const char *name, cf_error *error)
{
    if (kill((pid_t)pid, number) != 0 && errno != ESRCH) {
        return cfi_fail_errno(error, CF_E_IO, errno, "container %s: process %" PRId64, name, pid);
    }
    return CF_OK;
}

/* The reported process, if it is a child of this very supervisor; else the number may be another's by now. */
static bool find_process(const cfi_local_process *supervisor, const cfi_container_report *report,
                         cfi_local_process *process_out)
{
    return cfi_local_process_read(report->pid, process_out) && process_out->parent == supervisor->pid;
}

/* Fills `processes` (count) with the containers' processes; those that are gone have pid 0. */
static cf_status find_all(const cfi_local *local, const cfi_local_process *supervisor,
                          cfi_local_process **processes_out, int *count_out, cf_error *error)
{
    cfi_container_report *reports = NULL;
    int count = 0;
    CFI_TRY(list_of_supervisor(local, &reports, &count, error));
    cfi_local_process *processes = cfi_calloc((size_t)count, sizeof *processes);
    for (int i = 0; processes != NULL && i < count; i++) {
        if (!find_process(supervisor, &reports[i], &processes[i])) {
            processes[i].pid = 0;
        }
    }
    cfi_free(reports);
    if (processes == NULL) {
        return cfi_fail_memory(error, "the list of processes");
    }
    *processes_out = processes;
    *count_out = count;
    return CF_OK;
}

static void signal_all(const cfi_local_process *processes, int count, int number)
{
    for (int i = 0; i < count; i++) {
        if (processes[i].pid > 0 && cfi_local_process_lives(&processes[i])) {
            (void)kill((pid_t)processes[i].pid, number); /* gone meanwhile: as wished */
        }
    }
}

static bool any_lives(const cfi_local_process *processes, int count)
{
    for (int i = 0; i < count; i++) {
        if (processes[i].pid > 0 && cfi_local_process_lives(&processes[i])) {
            return true;
        }
    }
    return false;
}

static void kill_everything(const cfi_local_process *supervisor, const cfi_local_process *processes, int count)
{
    signal_all(supervisor, 1, SIGKILL); /* first, so that it starts nothing again */
    signal_all(processes, count, SIGKILL);
    while (any_lives(supervisor, 1) || any_lives(processes, count)) {
        pause_shortly();
    }
}

static cf_status kill_all(const cfi_local *local, cf_error *error)
{
    cfi_local_process supervisor, *processes = NULL;
    int count = 0;
    if (!cfi_local_supervisor(local, &supervisor)) {
        return CF_OK;
    }
    CFI_TRY(find_all(local, &supervisor, &processes, &count, error));
    kill_everything(&supervisor, processes, count);
    cfi_free(processes);
    return CF_OK;
}

static cf_status local_kill(void *self, const char *container, int number, cf_error *error)
{
    const cfi_local *local = self;
    cfi_local_process supervisor, process;
    cfi_container_report *reports = NULL;
    int count = 0;
    if (strcmp(container, "*") == 0 && number == SIGKILL) {
        return kill_all(local, error);
    }
    if (!cfi_local_supervisor(local, &supervisor)) {
        return cfi_fail(error, CF_E_NOT_FOUND, "container %s: nothing runs in %s", container, local->folder);
    }
    CFI_TRY(list_of_supervisor(local, &reports, &count, error));
    const cfi_container_report *report = find_report(reports, count, container);
    const bool is_found = report != NULL && find_process(&supervisor, report, &process);
    cfi_free(reports);
    if (!is_found) {
        return cfi_fail(error, CF_E_NOT_FOUND, "container %s: no such process now", container);
    }
    return send_signal(process.pid, number, container, error);
}

/* ---- Down ---- */

static void remove_made(const cfi_local *local)
{
    static const char *const names[] = {"supervisor", "c/supervisor"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[CFI_PATH_SIZE_MAX];
        if (cfi_path_join(path, sizeof path, local->folder, names[i], NULL) == CF_OK) {
            (void)unlink(path); /* what is left over is taken for dead by the next up() */
        }
    }
}

/* By asking; whoever does not hear is killed, which loses nothing. */
static cf_status stop_all(const cfi_local *local, const cfi_local_process *supervisor, cf_error *error)
{
    cfi_local_process *processes = NULL;
    int count = 0;
    const cf_status status = find_all(local, supervisor, &processes, &count, error);
    if (status == CF_E_MEMORY) {
        return status;
    }
    signal_all(processes, count, SIGCONT); /* a paused one cannot stop */
    const uint64_t end = cfi_clock_ns() + PATIENCE_NS;
    (void)tell_supervisor(local, "stop", (int)(PATIENCE_NS / 1000000u), NULL); /* the processes show what came of it */
    while ((any_lives(supervisor, 1) || any_lives(processes, count)) && cfi_clock_ns() < end) {
        pause_shortly();
    }
    kill_everything(supervisor, processes, count);
    cfi_free(processes);
    return CF_OK;
}

static cf_status local_down(void *self, cf_error *error)
{
    const cfi_local *local = self;
    cfi_local_process supervisor;
    if (cfi_local_supervisor(local, &supervisor)) {
        CFI_TRY(stop_all(local, &supervisor, error));
    }
    remove_made(local);
    return CF_OK;
}

static void local_close(void *self)
{
    (void)self; /* holds nothing open */
}

const cfi_orchestrator_ops cfi_orchestrator_local = {
    .abi = CFI_ORCHESTRATOR_ABI,
    .size = sizeof(cfi_local),
    .name = "local",
    .open = local_open,
    .address = local_address,
    .up = local_up,
    .list = local_list,
    .ask = local_ask,
    .kill = local_kill,
    .down = local_down,
    .close = local_close,
};
