/* The asking side of the control socket: blocking, with a deadline. */
#include "node/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "node/control_line.h"

enum { NS_PER_MS = 1000000 };

typedef struct asking {
    const char *path;
    int socket;
    uint64_t deadline_ns;
} asking;

static cf_status wait_for(const asking *ask, short events, cf_error *error)
{
    for (;;) {
        const uint64_t now = cfi_clock_ns();
        const int left = ask->deadline_ns > now ? (int)((ask->deadline_ns - now) / NS_PER_MS) + 1 : 0;
        struct pollfd entry = {.fd = ask->socket, .events = events};
        const int ready = poll(&entry, 1, left);
        if (ready > 0) {
            return CF_OK;
        }
        if (ready == 0) {
            return cfi_fail(error, CF_E_IO, "%s: no answer in time", ask->path);
        }
        if (errno != EINTR) {
            return cfi_fail_errno(error, CF_E_IO, errno, "%s", ask->path);
        }
    }
}

/* A path that is too long for a socket is reached through its folder's descriptor. */
static cf_status make_address(const char *path, struct sockaddr_un *address_out, int *folder_out, cf_error *error)
{
    char folder[CFI_PATH_SIZE_MAX], around[sizeof address_out->sun_path];
    if (strlen(path) < sizeof address_out->sun_path) {
        return cfi_control_address(path, address_out, error);
    }
    const char *slash = strrchr(path, '/');
    CFI_TRY(cfi_path_folder(folder, sizeof folder, path, error));
    const int opened = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0) {
        return cfi_fail_errno(error, CF_E_NOT_FOUND, errno, "%s", folder);
    }
    const int length = snprintf(around, sizeof around, "/proc/self/fd/%d/%s", opened, slash != NULL ? slash + 1 : path);
    if (length < 0 || (size_t)length >= sizeof around) {
        close(opened);
        return cfi_fail(error, CF_E_LIMIT, "%.100s...: too long a name for a socket", path);
    }
    *folder_out = opened;
    return cfi_control_address(around, address_out, error);
}

/* EAGAIN: so many wait already that there is no place, as with a process that is paused. False: errno says why. */
static bool is_connected(const asking *ask, const struct sockaddr_un *address)
{
    const struct timespec time = {0, NS_PER_MS};
    int code;
    while ((code = connect(ask->socket, (const struct sockaddr *)address, sizeof *address)) != 0 && errno == EAGAIN &&
           cfi_clock_ns() < ask->deadline_ns) {
        nanosleep(&time, NULL);
    }
    return code == 0;
}

static cf_status connect_to(asking *ask, cf_error *error)
{
    struct sockaddr_un address;
    int folder = -1;
    CFI_TRY(make_address(ask->path, &address, &folder, error));
    cf_status status = CF_OK;
    ask->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (ask->socket < 0) {
        status = cfi_fail_errno(error, CF_E_IO, errno, "%s", ask->path);
    } else if (!is_connected(ask, &address)) {
        const bool is_absent = errno == ENOENT || errno == ECONNREFUSED;
        status = cfi_fail_errno(error, is_absent ? CF_E_NOT_FOUND : CF_E_IO, errno, "%s: nobody answers there",
                                ask->path);
    }
    if (folder >= 0) {
        close(folder);
    }
    return status;
}

static cf_status send_all(const asking *ask, const char *bytes, size_t size, cf_error *error)
{
    size_t sent = 0;
    while (sent < size) {
        const ssize_t count = send(ask->socket, bytes + sent, size - sent, MSG_NOSIGNAL);
        if (count > 0) {
            sent += (size_t)count;
        } else if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            CFI_TRY(wait_for(ask, POLLOUT, error));
        } else {
            /* It may have answered "error" without reading on: what it said is worth more than EPIPE. */
            return CF_OK;
        }
    }
    return CF_OK;
}

/* 0 bytes: the other side has closed. */
static cf_status receive_some(const asking *ask, char *bytes, size_t size, size_t *count_out, cf_error *error)
{
    for (;;) {
        const ssize_t count = recv(ask->socket, bytes, size, 0);
        if (count >= 0) {
            *count_out = (size_t)count;
            return CF_OK;
        }
        if (errno == ECONNRESET) {
            *count_out = 0;
            return CF_OK;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return cfi_fail_errno(error, CF_E_IO, errno, "%s", ask->path);
        }
        CFI_TRY(wait_for(ask, POLLIN, error));
    }
}

static cf_status receive_body(const asking *ask, char *body, size_t have, size_t size, cf_error *error)
{
    while (have < size) {
        size_t count = 0;
        CFI_TRY(receive_some(ask, body + have, size - have, &count, error));
        if (count == 0) {
            return cfi_fail(error, CF_E_IO, "%s: broken off after %zu of %zu bytes", ask->path, have, size);
        }
        have += count;
    }
    return CF_OK;
}

static cf_status receive_answer(const asking *ask, char **answer_out, size_t *size_out, cf_error *error)
{
    char line[CFI_CONTROL_LINE_MAX];
    size_t have = 0, used = 0, size = 0;
    bool is_ok = false;
    while (used == 0) {
        size_t count = 0;
        CFI_TRY(receive_some(ask, line + have, sizeof line - have, &count, error));
        if (count == 0) {
            return cfi_fail(error, CF_E_IO, "%s: broken off before an answer", ask->path);
        }
        have += count;
        if (cfi_control_answer_read(line, have, &is_ok, &size, &used, error) != CF_OK) {
            cfi_error_prefix(error, "%s", ask->path);
            return CF_E_IO;
        }
    }
    char *body = cfi_calloc(size + 1, 1);
    if (body == NULL) {
        return cfi_fail_memory(error, "an answer");
    }
    const size_t more = have - used < size ? have - used : size;
    memcpy(body, line + used, more);
    cf_status status = receive_body(ask, body, more, size, error);
    if (status == CF_OK && !is_ok) {
        status = cfi_fail(error, CF_E_USAGE, "%s", body);
    }
    if (status != CF_OK) {
        cfi_free(body);
        return status;
    }
    *answer_out = body;
    *size_out = size;
    return CF_OK;
}

cf_status cfi_control_ask(const char *path, const char *operation, const char *argument, const void *body,
                          size_t body_size, int timeout_ms, char **answer_out, size_t *size_out, cf_error *error)
{
    char line[CFI_CONTROL_LINE_MAX];
    cfi_control_line check;
    size_t used = 0;
    asking ask = {.path = path, .socket = -1,
                  .deadline_ns = cfi_clock_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS};
    const int length = snprintf(line, sizeof line, "%s %s %zu\n", operation,
                                argument != NULL && argument[0] != '\0' ? argument : "-", body_size);
    if (length < 0 || (size_t)length >= sizeof line ||
        cfi_control_line_read(line, (size_t)length, &check, &used, NULL) != CF_OK || used != (size_t)length) {
        return cfi_fail(error, CF_E_LIMIT, "%s: '%s' cannot be asked: too long, or with bytes that no request may have",
                        path, operation);
    }
    cf_status status = connect_to(&ask, error);
    if (status == CF_OK) {
        status = send_all(&ask, line, (size_t)length, error);
    }
    if (status == CF_OK) {
        status = send_all(&ask, body, body_size, error);
    }
    if (status == CF_OK) {
        status = receive_answer(&ask, answer_out, size_out, error);
    }
    if (ask.socket >= 0) {
        close(ask.socket);
    }
    return status;
}
