/* The supervisor's loop: one thread, one poll over signals and its control socket. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "node/supervise.h"

enum { PATIENCE_MS = 10000, SIGNALS = 0, LISTENER = 1, FIRST_CONNECTION = 2 };
#define SOCKET_PATH "c/supervisor"

typedef struct asker {
    int socket;                 /* -1: free */
    int64_t deadline_ms;        /* of the request, then of the answer */
    char line[CFI_CONTROL_LINE_MAX];
    size_t size;
    bool waits_for_stop;
    char *answer;               /* head and body; NULL: still reading */
    size_t answer_size, sent;
} asker;

typedef struct supervisor {
    cfi_children children;
    int lock, listener;
    int signals[2];             /* a byte for each signal: what wakes the poll */
    asker askers[CFI_SUPERVISE_CONNECTIONS_MAX];
    struct sigaction old_term, old_int, old_child, old_pipe;
} supervisor;

/* A signal handler can be given nothing: the write end of the pipe, and whether to stop. One supervisor in a process.
 * */
static volatile sig_atomic_t signal_pipe = -1, is_told_to_stop = 0;

static void note_signal(int number)
{
    const int saved = errno;
    if (number != SIGCHLD) {
        is_told_to_stop = 1;
    }
    if (write(signal_pipe, "", 1) < 0) {
        errno = saved; /* full: it wakes anyway */
    }
    errno = saved;
}

/* ---- The control socket ---- */

static void close_asker(asker *one)
{
    close(one->socket);
    cfi_free(one->answer);
    memset(one, 0, sizeof *one);
    one->socket = -1;
}

static void write_answer(asker *one)
{
    while (one->sent < one->answer_size) {
        const ssize_t count = send(one->socket, one->answer + one->sent, one->answer_size - one->sent, MSG_NOSIGNAL);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (count <= 0) {
            break;
        }
        one->sent += (size_t)count;
    }
    close_asker(one);
}

static void answer(asker *one, bool is_ok, const char *text, size_t size)
{
    const size_t room = size + 32;
    one->answer = cfi_calloc(room, 1);
    if (one->answer == NULL) {
        close_asker(one);
        return;
    }
    const int head = snprintf(one->answer, room, "%s %zu\n", is_ok ? "ok" : "error", size);
    if (size > 0) {
        memcpy(one->answer + head, text, size);
    }
    one->answer_size = (size_t)head + size;
    one->deadline_ms = cfi_now_ms() + PATIENCE_MS;
    write_answer(one);
}

static void answer_request(supervisor *self, asker *one, const cfi_control_line *line)
{
    cf_error error = {0};
    char *text = NULL;
    size_t size = 0;
    cf_status status = CF_OK;
    if (strcmp(line->operation, "stop") == 0) {
        one->waits_for_stop = true;
        cfi_children_stop(&self->children);
        return;
    }
    if (strcmp(line->operation, "status") == 0) {
        status = cfi_children_status(&self->children, &text, &size, &error);
    } else if (strcmp(line->operation, "reconcile") == 0) {
        status = self->children.is_stopping ? cfi_fail(&error, CF_E_USAGE, "the supervisor is stopping")
                                            : cfi_children_reconcile(&self->children, &error);
    } else {
        status = cfi_fail(&error, CF_E_USAGE, "no operation '%s': a supervisor knows status, reconcile, stop",
                          line->operation);
    }
    answer(one, status == CF_OK, status == CF_OK ? text : error.text, status == CF_OK ? size : strlen(error.text));
    cfi_free(text);
}

static void read_request(supervisor *self, asker *one)
{
    cfi_control_line line;
    cf_error error = {0};
    size_t used = 0;
    const ssize_t count = recv(one->socket, one->line + one->size, sizeof one->line - one->size, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (count <= 0) {
        close_asker(one);
        return;
    }
    one->size += (size_t)count;
    cf_status status = cfi_control_line_read(one->line, one->size, &line, &used, &error);
    if (status == CF_OK && used > 0 && line.body_size > 0) {
        status = cfi_fail(&error, CF_E_DATA, "a supervisor's requests have no body");
    }
    if (status != CF_OK) {
        answer(one, false, error.text, strlen(error.text));
    } else if (used > 0) {
        answer_request(self, one, &line);
    }
}

static void take_asker(supervisor *self)
{
    const int taken = accept(self->listener, NULL, NULL);
    for (int i = 0; i < CFI_SUPERVISE_CONNECTIONS_MAX && taken >= 0; i++) {
        asker *one = &self->askers[i];
        if (one->socket < 0 && fcntl(taken, F_SETFL, O_NONBLOCK) == 0 && fcntl(taken, F_SETFD, FD_CLOEXEC) == 0) {
            one->socket = taken;
            one->deadline_ms = cfi_now_ms() + PATIENCE_MS;
            return;
        }
    }
    if (taken >= 0) {
        close(taken);
    }
}

static cf_status open_listener(supervisor *self, cf_error *error)
{
    struct sockaddr_un address;
    CFI_TRY(cfi_control_address(SOCKET_PATH, &address, error));
    self->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(SOCKET_PATH);
    const mode_t mask = umask(0177);
    const bool is_bound = self->listener >= 0 &&
                          bind(self->listener, (const struct sockaddr *)&address, sizeof address) == 0 &&
                          listen(self->listener, CFI_SUPERVISE_CONNECTIONS_MAX) == 0;
    umask(mask);
    return is_bound ? CF_OK : cfi_fail_errno(error, CF_E_IO, errno, "%s", SOCKET_PATH);
}

/* ---- Opening and closing ---- */

static cf_status take_lock(supervisor *self, const char *folder, cf_error *error)
{
    self->lock = open("lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->lock < 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s/lock", folder);
    }
    if (flock(self->lock, LOCK_EX | LOCK_NB) != 0) {
        return cfi_fail(error, CF_E_EXISTS, "%s: another supervisor runs there", folder);
    }
    return CF_OK;
}

static cf_status catch_signals(supervisor *self, cf_error *error)
{
    if (pipe(self->signals) != 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "a pipe");
    }
    for (int i = 0; i < 2; i++) {
        fcntl(self->signals[i], F_SETFL, O_NONBLOCK);
        fcntl(self->signals[i], F_SETFD, FD_CLOEXEC);
    }
    signal_pipe = self->signals[1];
    is_told_to_stop = 0;
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, &self->old_term);
    sigaction(SIGINT, &action, &self->old_int);
    sigaction(SIGCHLD, &action, &self->old_child);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, &self->old_pipe);
    return CF_OK;
}

static cf_status open_all(supervisor *self, const char *folder, cf_error *error)
{
    if (chdir(folder) != 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s", folder);
    }
    CFI_TRY(take_lock(self, folder, error));
    static const char *const folders[] = {"c", "s", "logs", "volumes"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        CFI_TRY(cfi_folder_make(folders[i], error));
    }
    CFI_TRY(catch_signals(self, error));
    CFI_TRY(open_listener(self, error));
    return cfi_children_reconcile(&self->children, error);
}

static void answer_stopped(supervisor *self)
{
    for (int i = 0; i < CFI_SUPERVISE_CONNECTIONS_MAX; i++) {
        asker *one = &self->askers[i];
        if (one->socket >= 0 && one->waits_for_stop) {
            fcntl(one->socket, F_SETFL, 0); /* a few bytes fit into the socket's buffer */
            answer(one, true, "", 0);
        } else if (one->socket >= 0) {
            close_asker(one);
        }
    }
}

static void close_all(supervisor *self)
{
    if (self->listener >= 0) {
        close(self->listener);
        unlink(SOCKET_PATH);
    }
    if (self->signals[0] >= 0) {
        sigaction(SIGTERM, &self->old_term, NULL);
        sigaction(SIGINT, &self->old_int, NULL);
        sigaction(SIGCHLD, &self->old_child, NULL);
        sigaction(SIGPIPE, &self->old_pipe, NULL);
        close(self->signals[0]);
        close(self->signals[1]);
    }
    if (self->lock >= 0) {
        close(self->lock);
    }
    cfi_free(self->children.items);
}

/* In a child. Not every descriptor there is: libraries may hold some that they need after a fork too. */
static void close_inherited(void *owner)
{
    supervisor *self = owner;
    close(self->lock);
    close(self->listener);
    close(self->signals[0]);
    close(self->signals[1]);
    for (int i = 0; i < CFI_SUPERVISE_CONNECTIONS_MAX; i++) {
        if (self->askers[i].socket >= 0) {
            close_asker(&self->askers[i]);
        }
    }
}

/* ---- The loop ---- */

static int next_ms(const supervisor *self)
{
    int64_t next = cfi_children_next_ms(&self->children);
    for (int i = 0; i < CFI_SUPERVISE_CONNECTIONS_MAX; i++) {
        const asker *one = &self->askers[i];
        if (one->socket >= 0 && !one->waits_for_stop) {
            const int64_t left = one->deadline_ms - cfi_now_ms();
            next = next < 0 || left < next ? (left > 0 ? left : 0) : next;
        }
    }
    return (int)next;
}

static void serve(supervisor *self, asker *one, short events)
{
    if (one->socket >= 0 && !one->waits_for_stop && cfi_now_ms() >= one->deadline_ms) {
        close_asker(one);
    } else if (one->socket >= 0 && events != 0 && one->answer != NULL) {
        write_answer(one);
    } else if (one->socket >= 0 && events != 0 && !one->waits_for_stop) {
        read_request(self, one);
    }
}

static void wait_for_news(supervisor *self)
{
    struct pollfd entries[FIRST_CONNECTION + CFI_SUPERVISE_CONNECTIONS_MAX];
    char bytes[64];
    entries[SIGNALS] = (struct pollfd){.fd = self->signals[0], .events = POLLIN};
    entries[LISTENER] = (struct pollfd){.fd = self->listener, .events = POLLIN};
    for (int i = 0; i < CFI_SUPERVISE_CONNECTIONS_MAX; i++) {
        const asker *one = &self->askers[i];
        entries[FIRST_CONNECTION + i] = (struct pollfd){
            .fd = one->waits_for_stop ? -1 : one->socket, .events = one->answer != NULL ? POLLOUT : POLLIN};
    }
    if (poll(entries, FIRST_CONNECTION + CFI_SUPERVISE_CONNECTIONS_MAX, next_ms(self)) < 0) {
        return; /* interrupted: the signal's byte is in the pipe */
    }
    while (read(self->signals[0], bytes, sizeof bytes) > 0) {
        continue;
    }
    cfi_children_reap(&self->children); /* before anything is answered: restarting comes first */
    if (cfi_children_start(&self->children)) {
        return;
    }
    for (int i = 0; i < CFI_SUPERVISE_CONNECTIONS_MAX; i++) {
        serve(self, &self->askers[i], entries[FIRST_CONNECTION + i].revents);
    }
    if ((entries[LISTENER].revents & POLLIN) != 0) {
        take_asker(self);
    }
}

static void run(supervisor *self)
{
    cfi_children *children = &self->children;
    while (!children->is_stopping || !cfi_children_are_gone(children)) {
        if (cfi_children_start(children)) {
            return;
        }
        wait_for_news(self);
        if (children->is_child) {
            return;
        }
        if (is_told_to_stop != 0) {
            cfi_children_stop(children);
        }
        cfi_children_kill_late(children);
    }
    answer_stopped(self);
}

int cfi_supervise(const cfi_supervise_options *options, bool *is_child_out)
{
    cf_error error = {0};
    supervisor self = {.children = {.options = options, .parent = getpid()}, .lock = -1, .listener = -1,
                       .signals = {-1, -1}};
    for (int i = 0; i < CFI_SUPERVISE_CONNECTIONS_MAX; i++) {
        self.askers[i].socket = -1;
    }
    self.children.close_inherited = close_inherited;
    self.children.owner = &self;
    *is_child_out = false;
    const cf_status status = open_all(&self, options->folder, &error);
    if (status == CF_OK) {
        run(&self);
    } else {
        cfi_children_log("%s", error.text);
    }
    if (self.children.is_child) {
        cfi_free(self.children.items);
        *is_child_out = true;
        return self.children.exit_code;
    }
    close_all(&self);
    return status == CF_OK ? 0 : 1;
}
