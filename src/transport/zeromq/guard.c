#include "transport/zeromq/guard.h"

#include <errno.h>
#include <string.h>
#include <zmq.h>

#define HANDLER_ENDPOINT "inproc://zeromq.zap.01" /* fixed by RFC 27 */
#define MONITOR_ENDPOINT "inproc://cuttlefish.monitor"

/* Parts of a ZAP request: version, request id, domain, address, identity, mechanism, credentials. */
enum { PART_ID = 1, PART_MECHANISM = 5, PART_KEY = 6, PART_COUNT = 7, PART_SIZE_MAX = 256 };

struct part {
    size_t size;
    unsigned char bytes[PART_SIZE_MAX];
};

static cf_status start_monitor(cfi_zeromq_guard *guard, void *context, void *pull, cf_error *error)
{
    const int linger = 0;
    /* No bound: libzmq's thread would wait for room. Read at each receive(), it holds a hundred bytes a refusal. */
    const int unbounded = 0;
    /* A client with another server key fails in the handshake's cryptography and never gets to the handler. */
    const int events = ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    guard->monitor = zmq_socket(context, ZMQ_PAIR);
    if (guard->monitor == NULL || zmq_setsockopt(guard->monitor, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_setsockopt(guard->monitor, ZMQ_RCVHWM, &unbounded, sizeof unbounded) != 0 ||
        zmq_socket_monitor(pull, MONITOR_ENDPOINT, events) != 0 ||
        zmq_connect(guard->monitor, MONITOR_ENDPOINT) != 0) {
        return cfi_fail(error, CF_E_IO, "zeromq: monitor: %s", zmq_strerror(errno));
    }
    return CF_OK;
}

cf_status cfi_zeromq_guard_init(cfi_zeromq_guard *guard, void *context, void *pull, const char *public_key,
                                cf_error *error)
{
    const int linger = 0;
    if (zmq_z85_decode(guard->public_key, public_key) == NULL) {
        return cfi_fail(error, CF_E_USAGE, "zeromq: the run's keys are not CURVE keys");
    }
    guard->handler = zmq_socket(context, ZMQ_REP);
    if (guard->handler == NULL || zmq_setsockopt(guard->handler, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_bind(guard->handler, HANDLER_ENDPOINT) != 0) {
        return cfi_fail(error, CF_E_IO, "zeromq: authentication: %s", zmq_strerror(errno));
    }
    return start_monitor(guard, context, pull, error);
}

/* Parts of one message: those that fit in `parts`, the rest is read and dropped. The number of all; 0: none there. */
static int receive_parts(void *socket, struct part *parts, int part_max)
{
    int count = 0;
    int more = 1;
    while (more != 0) {
        struct part part;
        const int size = zmq_recv(socket, part.bytes, sizeof part.bytes, ZMQ_DONTWAIT);
        if (size < 0) {
            return 0;
        }
        part.size = (size_t)size; /* of a longer part the true size, which no check takes for right */
        if (count < part_max) {
            parts[count] = part;
        }
        count++;
        size_t more_size = sizeof more;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_size) != 0) {
            return 0;
        }
    }
    return count;
}

static bool is_one_of_the_run(const cfi_zeromq_guard *guard, const struct part *parts, int count)
{
    return count == PART_COUNT && parts[PART_MECHANISM].size == 5 &&
           memcmp(parts[PART_MECHANISM].bytes, "CURVE", 5) == 0 &&
           parts[PART_KEY].size == sizeof guard->public_key &&
           memcmp(parts[PART_KEY].bytes, guard->public_key, sizeof guard->public_key) == 0;
}

static void answer(void *handler, const struct part *id, bool is_welcome)
{
    const size_t id_size = id->size <= sizeof id->bytes ? id->size : sizeof id->bytes;
    zmq_send(handler, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(handler, id->bytes, id_size, ZMQ_SNDMORE);
    zmq_send(handler, is_welcome ? "200" : "400", 3, ZMQ_SNDMORE);
    zmq_send(handler, "", 0, ZMQ_SNDMORE); /* text */
    zmq_send(handler, "", 0, ZMQ_SNDMORE); /* user */
    zmq_send(handler, "", 0, 0);           /* metadata */
}

void cfi_zeromq_guard_pump(cfi_zeromq_guard *guard)
{
    if (guard->handler == NULL) {
        return;
    }
    struct part parts[PART_COUNT] = {0};
    int count;
    while ((count = receive_parts(guard->handler, parts, PART_COUNT)) > 0) {
        answer(guard->handler, &parts[PART_ID], is_one_of_the_run(guard, parts, count));
    }
    while (receive_parts(guard->monitor, parts, 0) > 0) {
        guard->refused++;
    }
}

int cfi_zeromq_guard_descriptors(const cfi_zeromq_guard *guard, int *fds)
{
    if (guard->handler == NULL) {
        return 0;
    }
    size_t size = sizeof *fds;
    return zmq_getsockopt(guard->handler, ZMQ_FD, &fds[0], &size) == 0 &&
           zmq_getsockopt(guard->monitor, ZMQ_FD, &fds[1], &size) == 0 ? 2 : 0;
}

void cfi_zeromq_guard_fini(cfi_zeromq_guard *guard, void *pull)
{
    if (guard->monitor != NULL) {
        zmq_socket_monitor(pull, NULL, 0); /* first: with its reader gone, libzmq's thread would wait for another */
        zmq_close(guard->monitor);
        guard->monitor = NULL;
    }
    if (guard->handler != NULL) {
        zmq_close(guard->handler);
        guard->handler = NULL;
    }
}
