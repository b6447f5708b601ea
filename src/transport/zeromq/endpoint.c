#include "transport/zeromq/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "transport/transport.h"

#define IPC "ipc://"
#define TCP "tcp://"

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* 127.0.0.0/8 or localhost; another name that resolves to it does not count: it may change. */
static bool is_loopback(const char *host, size_t length)
{
    char text[CFI_ENDPOINT_SIZE_MAX];
    memcpy(text, host, length);
    text[length] = '\0';
    struct in_addr address;
    return strcmp(text, "localhost") == 0 ||
           (inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

static cf_status check_tcp(const char *endpoint, bool has_keys, cf_error *error)
{
    const char *host = endpoint + strlen(TCP);
    const char *colon = strrchr(host, ':');
    if (colon == NULL || colon == host || colon[1] == '\0') {
        return cfi_fail(error, CF_E_USAGE, "zeromq: '%s' is no endpoint, expected tcp://HOST:PORT", endpoint);
    }
    if (!has_keys && !is_loopback(host, (size_t)(colon - host))) {
        return cfi_fail(error, CF_E_USAGE, "zeromq: %s needs keys: beyond this machine nothing travels unencrypted; "
                        "give the run keys, or use tcp://127.0.0.1:PORT or ipc://PATH", endpoint);
    }
    return CF_OK;
}

static cf_status check_ipc(const char *endpoint, cf_error *error)
{
    const size_t length = strlen(endpoint + strlen(IPC));
    const size_t size_max = sizeof((struct sockaddr_un *)NULL)->sun_path;
    if (length == 0) {
        return cfi_fail(error, CF_E_USAGE, "zeromq: '%s' is no endpoint, expected ipc://PATH", endpoint);
    }
    if (length >= size_max) {
        return cfi_fail(error, CF_E_LIMIT, "zeromq: %s: the path has %zu bytes, a Unix socket takes %zu: "
                        "use a folder with a shorter path", endpoint, length, size_max - 1);
    }
    return CF_OK;
}

cf_status cfi_zeromq_check_endpoint(const char *endpoint, bool has_keys, cf_error *error)
{
    if (strnlen(endpoint, CFI_ENDPOINT_SIZE_MAX) == CFI_ENDPOINT_SIZE_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "zeromq: an endpoint has at most %d bytes", CFI_ENDPOINT_SIZE_MAX - 1);
    }
    if (begins_with(endpoint, IPC)) {
        return check_ipc(endpoint, error);
    }
    if (begins_with(endpoint, TCP)) {
        return check_tcp(endpoint, has_keys, error);
    }
    return cfi_fail(error, CF_E_USAGE, "zeromq: '%s' is no endpoint, expected ipc://PATH or tcp://HOST:PORT",
                    endpoint);
}

bool cfi_zeromq_is_listening(const char *endpoint)
{
    if (!begins_with(endpoint, IPC) || endpoint[strlen(IPC)] == '@') {
        return false; /* tcp and abstract names: bind itself refuses what is taken */
    }
    const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return false;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, endpoint + strlen(IPC), strlen(endpoint + strlen(IPC)) + 1);
    /* EAGAIN: it lives and its backlog is full. */
    const bool is_listening =
        connect(descriptor, (const struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN;
    close(descriptor);
    return is_listening;
}
