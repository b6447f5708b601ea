/* The supervisor's children: started, started again, stopped. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "node/node.h"
#include "node/supervise.h"

enum { FIRST_PAUSE_MS = 100, LINE_SIZE = 512 };

int64_t cfi_now_ms(void)
{
    return (int64_t)(cfi_clock_ns() / 1000000);
}

void cfi_children_log(const char *format, ...)
{
    char line[LINE_SIZE] = "supervisor: ";
    const size_t begin = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + begin, sizeof line - begin - 1, format, arguments);
    va_end(arguments);
    const size_t length = strlen(line);
    line[length] = '\n';
    if (write(STDERR_FILENO, line, length + 1) < 0) {
        return; /* there is nobody to tell */
    }
}

/* ---- In the child ---- */

bool cfi_child_open_log(const char *container)
{
    char path[CFI_CONTAINER_NAME_SIZE + 16], older[CFI_CONTAINER_NAME_SIZE + 24];
    struct stat about;
    snprintf(path, sizeof path, "logs/%s.log", container);
    snprintf(older, sizeof older, "%s.1", path);
    if (stat(path, &about) == 0 && about.st_size > CFI_CHILD_LOG_SIZE_MAX) {
        rename(path, older);
    }
    const int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file < 0 || dup2(file, STDOUT_FILENO) < 0 || dup2(file, STDERR_FILENO) < 0) {
        return false;
    }
    return file <= STDERR_FILENO || close(file) == 0;
}

/* What the child must not share with its parent: descriptors, signal handlers, its end. */
static int run_child(const cfi_children *children, const char *container, uint64_t boot)
{
    sigset_t none;
    char name[16];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != children->parent) {
        return CFI_NODE_FAILED; /* the parent died before it could be tied to it */
    }
    snprintf(name, sizeof name, "cf:%.12s", container);
    prctl(PR_SET_NAME, name);
    children->close_inherited(children->owner);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_IGN); /* of the terminal: the supervisor is told, and tells its children */
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (!cfi_child_open_log(container)) {
        return CFI_NODE_FAILED;
    }
    return children->options->child(children->options->user, container, boot);
}

/* ---- Starting ---- */

static void set_state(cfi_child *child, cfi_child_state state)
{
    child->state = state;
    child->since_ms = cfi_now_ms();
}

static bool start_one(cfi_children *children, cfi_child *child)
{
    uint64_t boot = 0;
    if (getrandom(&boot, sizeof boot, 0) != (ssize_t)sizeof boot) {
        boot = cfi_clock_ns();
    }
    /* Until the child has handlers of its own, a signal for it must wait. */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    const pid_t pid = fork();
    if (pid != 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
    }
    if (pid == 0) {
        char container[CFI_CONTAINER_NAME_SIZE];
        memcpy(container, child->name, sizeof container);
        children->is_child = true;
        children->exit_code = run_child(children, container, boot);
        return true;
    }
    if (pid < 0) {
        snprintf(child->reason, sizeof child->reason, "cannot fork: %s", strerror(errno));
        child->start_ms = cfi_now_ms() + FIRST_PAUSE_MS;
        return false;
    }
    child->pid = pid;
    child->started_ms = cfi_now_ms();
    set_state(child, CFI_CHILD_RUNNING);
    return false;
}

bool cfi_children_start(cfi_children *children)
{
    for (int i = 0; i < children->count && !children->is_stopping; i++) {
        cfi_child *child = &children->items[i];
        if (child->state == CFI_CHILD_WAITING && child->start_ms <= cfi_now_ms() && start_one(children, child)) {
            return true;
        }
    }
    return false;
}

/* ---- Ending ---- */

static void say_reason(cfi_child *child, int wait_status)
{
    if (WIFSIGNALED(wait_status)) {
        snprintf(child->reason, sizeof child->reason, "killed by signal %d", WTERMSIG(wait_status));
    } else {
        snprintf(child->reason, sizeof child->reason, "exit code %d", WEXITSTATUS(wait_status));
    }
}

/* A signal that the process cannot have brought upon itself. */
static bool is_killed_from_outside(int wait_status)
{
    return WIFSIGNALED(wait_status) && (WTERMSIG(wait_status) == SIGKILL || WTERMSIG(wait_status) == SIGTERM ||
                                        WTERMSIG(wait_status) == SIGINT || WTERMSIG(wait_status) == SIGHUP);
}

static void plan_restart(cfi_child *child, int wait_status)
{
    const int64_t now = cfi_now_ms();
    int64_t pause = 0;
    if (!is_killed_from_outside(wait_status)) {
        child->failures = now - child->started_ms < CFI_CHILD_QUICK_MS ? child->failures + 1 : 1;
        for (int i = 1; i < child->failures && pause < CFI_CHILD_PAUSE_MS_MAX; i++) {
            pause = pause == 0 ? FIRST_PAUSE_MS : pause * 2;
        }
        pause = pause > CFI_CHILD_PAUSE_MS_MAX ? CFI_CHILD_PAUSE_MS_MAX : pause;
    }
    if (child->failures >= CFI_CRASH_LOOP_MAX) {
        char last[64];
        snprintf(last, sizeof last, "%.60s", child->reason);
        snprintf(child->reason, sizeof child->reason, "failed %d times in a row, last: %s (see its log)",
                 child->failures, last);
        cfi_children_log("%s %s; not started again", child->name, child->reason);
        set_state(child, CFI_CHILD_STOPPED);
        return;
    }
    child->restarts++;
    child->start_ms = now + pause;
    set_state(child, CFI_CHILD_WAITING);
}

static void ended(cfi_children *children, cfi_child *child, int wait_status)
{
    say_reason(child, wait_status);
    child->pid = 0;
    child->kill_ms = 0;
    if (child->state == CFI_CHILD_ENDING && child->is_wanted && !children->is_stopping) {
        child->start_ms = 0; /* a later plan wants it again */
        set_state(child, CFI_CHILD_WAITING);
    } else if (children->is_stopping || !child->is_wanted) {
        set_state(child, CFI_CHILD_GONE);
    } else if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == CFI_NODE_RETIRED) {
        snprintf(child->reason, sizeof child->reason, "not in the plan in force");
        set_state(child, CFI_CHILD_STOPPED);
    } else if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == CFI_NODE_STOPPED) {
        snprintf(child->reason, sizeof child->reason, "asked to stop");
        set_state(child, CFI_CHILD_STOPPED);
    } else {
        plan_restart(child, wait_status);
    }
}

static void forget_gone(cfi_children *children)
{
    int kept = 0;
    for (int i = 0; i < children->count; i++) {
        if (children->items[i].state != CFI_CHILD_GONE) {
            children->items[kept++] = children->items[i];
        }
    }
    children->count = kept;
}

void cfi_children_reap(cfi_children *children)
{
    int wait_status = 0;
    pid_t pid = 0;
    /* As PID 1 of a container it is given orphans too, which are only taken off the table. */
    while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
        for (int i = 0; i < children->count; i++) {
            if (children->items[i].pid == pid) {
                ended(children, &children->items[i], wait_status);
            }
        }
    }
    forget_gone(children);
}

static void end_one(cfi_child *child)
{
    if (child->pid > 0) {
        kill(child->pid, SIGTERM);
        kill(child->pid, SIGCONT); /* a paused one could not hear it */
        child->kill_ms = cfi_now_ms() + CFI_CHILD_STOP_MS;
        set_state(child, CFI_CHILD_ENDING);
    } else {
        set_state(child, CFI_CHILD_GONE);
    }
}

void cfi_children_stop(cfi_children *children)
{
    if (children->is_stopping) {
        return;
    }
    children->is_stopping = true;
    for (int i = 0; i < children->count; i++) {
        end_one(&children->items[i]);
    }
    forget_gone(children);
}

void cfi_children_kill_late(cfi_children *children)
{
    for (int i = 0; i < children->count; i++) {
        cfi_child *child = &children->items[i];
        if (child->pid > 0 && child->kill_ms > 0 && child->kill_ms <= cfi_now_ms()) {
            cfi_children_log("%s does not end: killed", child->name);
            kill(child->pid, SIGKILL);
            child->kill_ms += CFI_CHILD_STOP_MS;
        }
    }
}

bool cfi_children_are_gone(const cfi_children *children)
{
    return children->count == 0;
}

int cfi_children_next_ms(const cfi_children *children)
{
    int64_t next = -1;
    for (int i = 0; i < children->count; i++) {
        const cfi_child *child = &children->items[i];
        const int64_t kill = child->kill_ms > 0 ? child->kill_ms : -1;
        const int64_t at = child->state == CFI_CHILD_WAITING ? child->start_ms : kill;
        next = at >= 0 && (next < 0 || at < next) ? at : next;
    }
    if (next < 0) {
        return -1;
    }
    const int64_t left = next - cfi_now_ms();
    return left > 0 ? (int)left : 0;
}

/* ---- What plan.json wants ---- */

static cfi_child *find_child(cfi_children *children, const char *name)
{
    for (int i = 0; i < children->count; i++) {
        if (strcmp(children->items[i].name, name) == 0) {
            return &children->items[i];
        }
    }
    return NULL;
}

static bool want(void *to, const char *name)
{
    cfi_children *children = to;
    cfi_child *child = find_child(children, name);
    if (child == NULL) {
        if (children->count == children->capacity) {
            const int capacity = children->capacity * 2 + 16;
            cfi_child *items = cfi_realloc(children->items, (size_t)capacity, sizeof *items);
            if (items == NULL) {
                return false;
            }
            children->items = items;
            children->capacity = capacity;
        }
        child = &children->items[children->count++];
        *child = (cfi_child){.state = CFI_CHILD_WAITING, .since_ms = cfi_now_ms()};
        snprintf(child->name, sizeof child->name, "%s", name);
    }
    child->is_wanted = true;
    return true;
}

/* One that stopped (retired, given up) is tried again: the plan that asks for it is new. */
static void adjust(cfi_child *child)
{
    if (!child->is_wanted && child->state != CFI_CHILD_ENDING) {
        end_one(child);
    } else if (child->is_wanted && child->state == CFI_CHILD_STOPPED) {
        child->failures = 0;
        child->start_ms = 0;
        set_state(child, CFI_CHILD_WAITING);
    }
}

cf_status cfi_children_reconcile(cfi_children *children, cf_error *error)
{
    cfi_children wanted = {.options = children->options};
    cf_status status = CF_OK;
    if (children->options->container != NULL) {
        status = want(&wanted, children->options->container) ? CF_OK : cfi_fail_memory(error, "the containers");
    } else {
        status = children->options->containers(children->options->user, want, &wanted, error);
    }
    for (int i = 0; i < children->count && status == CF_OK; i++) {
        children->items[i].is_wanted = find_child(&wanted, children->items[i].name) != NULL;
    }
    for (int i = 0; i < wanted.count && status == CF_OK; i++) {
        status = want(children, wanted.items[i].name) ? CF_OK : cfi_fail_memory(error, "the containers");
    }
    for (int i = 0; i < children->count && status == CF_OK; i++) {
        adjust(&children->items[i]);
    }
    forget_gone(children);
    cfi_free(wanted.items);
    return status;
}

/* ---- Status ---- */

static const char *state_name(cfi_child_state state)
{
    static const char *const names[] = {"waiting", "running", "ending", "stopped", "gone"};
    return names[state];
}

cf_status cfi_children_status(const cfi_children *children, char **text_out, size_t *size_out, cf_error *error)
{
    json_t *root = json_object(), *list = json_array();
    const int64_t now = cfi_now_ms();
    for (int i = 0; i < children->count; i++) {
        const cfi_child *child = &children->items[i];
        json_t *item = json_object();
        json_object_set_new(item, "name", json_string(child->name));
        json_object_set_new(item, "pid", json_integer(child->pid));
        json_object_set_new(item, "state", json_string(state_name(child->state)));
        json_object_set_new(item, "restarts", json_integer(child->restarts));
        json_object_set_new(item, "reason", json_string(child->reason));
        json_object_set_new(item, "since_ms", json_integer(now - child->since_ms));
        json_array_append_new(list, item);
    }
    json_object_set_new(root, "containers", list);
    const size_t size = json_dumpb(root, NULL, 0, JSON_COMPACT);
    char *text = size > 0 ? cfi_calloc(size + 1, 1) : NULL;
    if (text != NULL) {
        json_dumpb(root, text, size, JSON_COMPACT);
        *text_out = text;
        *size_out = size;
    }
    json_decref(root);
    return text != NULL ? CF_OK : cfi_fail_memory(error, "the status");
}
