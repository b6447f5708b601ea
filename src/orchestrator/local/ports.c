/* Ports of a cluster over tcp: which ones its containers get, and whether they can be had. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "orchestrator/local/local.h"

#define ENDPOINT_START "tcp://127.0.0.1:"
#define PORT_END 65536

/* 0: not a tcp endpoint of this target. */
static int64_t port_of(const cfi_container *container)
{
    const size_t length = strlen(ENDPOINT_START);
    const char *endpoint = container->endpoint;
    const int64_t port = strncmp(endpoint, ENDPOINT_START, length) == 0 ? strtoll(endpoint + length, NULL, 10) : 0;
    return port > 0 && port < PORT_END ? port : 0;
}

/* 0, or errno of the attempt to be its holder as a node would. */
static int try_port(int64_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int again = 1, one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int number = one < 0 ? errno : 0;
    if (one >= 0) {
        /* Connections of the last run that linger do not count. Listeners do. */
        if (setsockopt(one, SOL_SOCKET, SO_REUSEADDR, &again, sizeof again) != 0 ||
            bind(one, (const struct sockaddr *)&address, sizeof address) != 0) {
            number = errno;
        }
        close(one);
    }
    return number;
}

static cf_status check_port(const cfi_container *container, int64_t port, cf_error *error)
{
    const int number = try_port(port);
    return number == 0 ? CF_OK
                       : cfi_fail_errno(error, CF_E_IO, number,
                                        "messaging: port %" PRId64 " of 127.0.0.1, for container %s, cannot be had "
                                        "(stop who holds it, or begin with another messaging.zeromq.port)",
                                        port, container->name);
}

cf_status cfi_local_ports_check(const cfi_cluster *cluster, cf_error *error)
{
    for (int i = 0; i < cluster->container_count; i++) {
        const int64_t port = port_of(&cluster->containers[i]);
        CFI_TRY(port > 0 ? check_port(&cluster->containers[i], port, error) : CF_OK);
    }
    return CF_OK;
}

static cf_status fail_end(const cfi_cluster *cluster, int64_t first, cf_error *error)
{
    return cfi_fail(error, CF_E_CONFIG,
                    "messaging: %d containers from port %" PRId64 " on need ports beyond %d; choose a lower "
                    "messaging.zeromq.port",
                    cluster->container_count, first, PORT_END - 1);
}

/* The first ones, in a row. */
static cf_status give_first(cfi_cluster *cluster, int64_t first, cf_error *error)
{
    if (first + cluster->container_count > PORT_END) {
        return fail_end(cluster, first, error);
    }
    for (int i = 0; i < cluster->container_count; i++) {
        cfi_container *container = &cluster->containers[i];
        CFI_TRY(check_port(container, first + i, error));
        snprintf(container->endpoint, sizeof container->endpoint, ENDPOINT_START "%" PRId64, first + i);
    }
    return CF_OK;
}

/* Around the ones that are in use, by the plan before, one still before it, or somebody else. */
static cf_status give_next(cfi_cluster *cluster, const cfi_cluster *before, int64_t first, bool *taken, cf_error *error)
{
    int64_t port = first;
    for (int i = 0; i < before->container_count; i++) {
        taken[port_of(&before->containers[i])] = true;
    }
    for (int i = 0; i < cluster->container_count; i++) {
        cfi_container *container = &cluster->containers[i];
        const int same = cfi_cluster_find_container(before, container->name);
        if (same >= 0) {
            memcpy(container->endpoint, before->containers[same].endpoint, sizeof container->endpoint);
            continue;
        }
        while (port < PORT_END && (taken[port] || try_port(port) != 0)) {
            port++;
        }
        if (port == PORT_END) {
            return fail_end(cluster, first, error);
        }
        snprintf(container->endpoint, sizeof container->endpoint, ENDPOINT_START "%" PRId64, port++);
    }
    return CF_OK;
}

cf_status cfi_local_ports_give(cfi_cluster *cluster, const cfi_cluster *before, int64_t first, cf_error *error)
{
    if (first < 1 || first >= PORT_END) {
        return cfi_fail(error, CF_E_CONFIG, "messaging: there is no port %" PRId64, first);
    }
    if (before == NULL) {
        return give_first(cluster, first, error);
    }
    bool *taken = cfi_calloc(PORT_END, sizeof *taken); /* [0]: of endpoints that have none */
    if (taken == NULL) {
        return cfi_fail_memory(error, "the ports");
    }
    const cf_status status = give_next(cluster, before, first, taken, error);
    cfi_free(taken);
    return status;
}
