/* The supervisor as a process: started so that it outlives its starter, and found again without mistaking another. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "orchestrator/local/local.h"

#define STAT_SIZE_MAX 4096
#define PID_FILE "supervisor"
#define DATA_VARIABLE "CUTTLEFISH_DATA"
#define DATA_FOLDER "data/mnist" /* where the data room looks first when the variable is not set */

extern char **environ;

/* ---- Who is it ---- */

bool cfi_local_process_read(int64_t pid, cfi_local_process *process_out)
{
    char path[64], text[STAT_SIZE_MAX], state;
    long long parent;
    unsigned long long start;
    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    const int file = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) {
        return false;
    }
    const ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    const char *after = strrchr(text, ')'); /* the command's name before it may hold anything */
    if (after == NULL ||
        sscanf(after, ") %c %lld %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &state,
               &parent, &start) != 3 ||
        state == 'Z' || state == 'X') {
        return false;
    }
    *process_out = (cfi_local_process){pid, start, parent};
    return true;
}

bool cfi_local_process_lives(const cfi_local_process *process)
{
    cfi_local_process now;
    return cfi_local_process_read(process->pid, &now) && now.start == process->start;
}

bool cfi_local_supervisor(const cfi_local *local, cfi_local_process *process_out)
{
    char path[CFI_PATH_SIZE_MAX], *text = NULL;
    size_t size = 0;
    cfi_local_process named = {0};
    if (cfi_path_join(path, sizeof path, local->folder, PID_FILE, NULL) != CF_OK ||
        cfi_file_read(path, 256, &text, &size, NULL) != CF_OK) {
        return false;
    }
    const bool is_whole = sscanf(text, "%" SCNd64 " %" SCNu64, &named.pid, &named.start) == 2;
    cfi_free(text);
    if (!is_whole || !cfi_local_process_lives(&named)) {
        return false;
    }
    *process_out = named;
    return true;
}

static cf_status write_pid_file(const cfi_local *local, const cfi_local_process *process, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX], text[64];
    CFI_TRY(cfi_path_join(path, sizeof path, local->folder, PID_FILE, error));
    const int length = snprintf(text, sizeof text, "%" PRId64 " %" PRIu64 "\n", process->pid, process->start);
    const cfi_file_part part = {text, (size_t)length};
    return cfi_file_replace(path, &part, 1, error);
}

/* ---- Start ---- */

/* The nodes work in the cluster's folder, so that a relative place of the data must be made absolute for them. */
static cf_status data_place(char *text, size_t size, cf_error *error)
{
    char folder[CFI_PATH_SIZE_MAX], place[CFI_PATH_SIZE_MAX];
    const char *given = getenv(DATA_VARIABLE);
    const char *wanted = given != NULL && given[0] != '\0' ? given : DATA_FOLDER;
    text[0] = '\0';
    if (access(wanted, F_OK) != 0) {
        return CF_OK; /* none there: the data room looks elsewhere, or says so */
    }
    if (getcwd(folder, sizeof folder) == NULL) {
        return cfi_fail_errno(error, CF_E_IO, errno, "the working folder");
    }
    CFI_TRY(cfi_path_join(place, sizeof place, folder, wanted, error));
    const int length = snprintf(text, size, DATA_VARIABLE "=%s", place);
    return length < (int)size ? CF_OK : cfi_fail(error, CF_E_LIMIT, "the path of the data set is too long");
}

/* The environment with `extra` ("NAME=value", or "") in place of its own; borrows its texts. */
static char **make_environment(char *extra)
{
    size_t count = 0, kept = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **made = cfi_calloc(count + 2, sizeof *made);
    for (size_t i = 0; made != NULL && i < count; i++) {
        if (extra[0] == '\0' || strncmp(environ[i], DATA_VARIABLE "=", sizeof DATA_VARIABLE) != 0) {
            made[kept++] = environ[i];
        }
    }
    if (made != NULL && extra[0] != '\0') {
        made[kept] = extra;
    }
    return made;
}

typedef struct birth {
    const cfi_local *local;
    char **environment;
    int log, ends[2]; /* log of the supervisor; pipe: its pid, then errno if it could not begin */
} birth;

/* In the child: only calls that are safe after a fork of a process with threads. Never returns. */
static void become_supervisor(const birth *b)
{
    char verb[] = "supervise";
    char *arguments[] = {(char *)(uintptr_t)b->local->command, verb, (char *)(uintptr_t)b->local->folder, NULL};
    const pid_t pid = getpid();
    const int nothing = open("/dev/null", O_RDONLY);
    setsid();
    bool is_told = write(b->ends[1], &pid, sizeof pid) == (ssize_t)sizeof pid;
    if (is_told && nothing >= 0 && dup2(nothing, 0) >= 0 && dup2(b->log, 1) >= 0 && dup2(b->log, 2) >= 0) {
        execve(b->local->command, arguments, b->environment);
    }
    const int number = errno;
    is_told = write(b->ends[1], &number, sizeof number) == (ssize_t)sizeof number;
    _exit(is_told ? 127 : 126);
}

/* Forks twice, so that the supervisor is nobody's child here and leaves no zombie. */
static cf_status give_birth(birth *b, pid_t *pid_out, cf_error *error)
{
    int number = 0;
    const pid_t between = fork();
    if (between < 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "cannot start the supervisor");
    }
    if (between == 0) {
        if (fork() == 0) {
            become_supervisor(b);
        }
        _exit(0); /* when that failed, nobody writes into the pipe */
    }
    close(b->ends[1]);
    b->ends[1] = -1;
    while (waitpid(between, NULL, 0) < 0 && errno == EINTR) {
        continue;
    }
    if (read(b->ends[0], pid_out, sizeof *pid_out) != (ssize_t)sizeof *pid_out) {
        return cfi_fail(error, CF_E_IO, "cannot start the supervisor: no process to be had");
    }
    if (read(b->ends[0], &number, sizeof number) == (ssize_t)sizeof number) {
        return cfi_fail_errno(error, CF_E_IO, number, "cannot run %s as the supervisor", b->local->command);
    }
    return CF_OK;
}

static cf_status open_ends(birth *b, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX];
    CFI_TRY(cfi_path_join(path, sizeof path, b->local->folder, "logs/supervisor.log", error));
    b->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (b->log < 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s", path);
    }
    if (pipe(b->ends) != 0) {
        b->ends[0] = b->ends[1] = -1;
        return cfi_fail_errno(error, CF_E_IO, errno, "cannot start the supervisor");
    }
    if (fcntl(b->ends[0], F_SETFD, FD_CLOEXEC) != 0 || fcntl(b->ends[1], F_SETFD, FD_CLOEXEC) != 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "cannot start the supervisor");
    }
    return CF_OK;
}

static void close_ends(birth *b)
{
    const int descriptors[] = {b->log, b->ends[0], b->ends[1]};
    for (int i = 0; i < 3; i++) {
        if (descriptors[i] >= 0) {
            close(descriptors[i]);
        }
    }
    cfi_free(b->environment);
}

cf_status cfi_local_start(const cfi_local *local, cfi_local_process *process_out, cf_error *error)
{
    char place[CFI_PATH_SIZE_MAX + sizeof DATA_VARIABLE + 1];
    birth b = {.local = local, .log = -1, .ends = {-1, -1}};
    pid_t pid = 0;
    CFI_TRY(data_place(place, sizeof place, error));
    b.environment = make_environment(place);
    if (b.environment == NULL) {
        return cfi_fail_memory(error, "the supervisor's environment");
    }
    cf_status status = open_ends(&b, error);
    if (status == CF_OK) {
        status = give_birth(&b, &pid, error);
    }
    close_ends(&b);
    CFI_TRY(status);
    if (!cfi_local_process_read(pid, process_out)) {
        return cfi_fail(error, CF_E_IO, "the supervisor ended at once; %s/logs/supervisor.log says why", local->folder);
    }
    return write_pid_file(local, process_out, error);
}
