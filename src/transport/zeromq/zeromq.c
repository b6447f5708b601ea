/* libzmq: one PULL socket bound to the own endpoint, one PUSH socket connected to each peer. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <zmq.h>

#include "base/alloc.h"
#include "transport/peers.h"
#include "transport/plugins.h"
#include "transport/zeromq/endpoint.h"
#include "transport/zeromq/guard.h"

/* A peer that dies comes back within a second or two. A try costs microseconds: the pause doubles only up to here. */
#define SOCKETS_MAX 4096
#define RECONNECT_MS 5
#define RECONNECT_MAX_MS 50
/* A machine that vanishes without closing its connections: give up on what it does not acknowledge, and reconnect. */
#define UNACKNOWLEDGED_MAX_MS 10000
/* Smaller messages lie in libzmq's receive buffer of 8 KiB, rarely aligned, and keep all of it: they are copied. */
#define COPY_BELOW 4096

struct zeromq {
    void *context, *pull;
    cfi_zeromq_guard guard; /* of connections; only with keys */
    cfi_peers peers;        /* PUSH sockets */
    cfi_transport_keys keys;
    int queue_max;
    cfi_transport_counts counts;
};

static cf_status set_option(void *socket, int option, const void *value, size_t size, cf_error *error)
{
    if (zmq_setsockopt(socket, option, value, size) != 0) {
        return cfi_fail(error, CF_E_INTERNAL, "zeromq: option %d: %s", option, zmq_strerror(errno));
    }
    return CF_OK;
}

static cf_status set_int(void *socket, int option, int value, cf_error *error)
{
    return set_option(socket, option, &value, sizeof value, error);
}

/* The same pair at both ends: holding it is what makes a peer one of the run. */
static cf_status set_keys(const struct zeromq *zeromq, void *socket, bool is_server, cf_error *error)
{
    const cfi_transport_keys *keys = &zeromq->keys;
    if (!keys->present) {
        return CF_OK;
    }
    if (strnlen(keys->secret_key, CFI_CURVE_KEY_SIZE) != CFI_CURVE_KEY_SIZE - 1 ||
        strnlen(keys->public_key, CFI_CURVE_KEY_SIZE) != CFI_CURVE_KEY_SIZE - 1) {
        return cfi_fail(error, CF_E_USAGE, "zeromq: a CURVE key has %d characters", CFI_CURVE_KEY_SIZE - 1);
    }
    int result = zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->secret_key, CFI_CURVE_KEY_SIZE);
    result |= zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys->public_key, CFI_CURVE_KEY_SIZE);
    if (is_server) {
        const int server = 1;
        result |= zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &server, sizeof server);
        result |= zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "cuttlefish", strlen("cuttlefish"));
    } else {
        result |= zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, keys->public_key, CFI_CURVE_KEY_SIZE);
    }
    if (result != 0) {
        return cfi_fail(error, CF_E_USAGE, "zeromq: the run's keys are not CURVE keys, or libzmq has no CURVE");
    }
    return CF_OK;
}

/* What PULL and PUSH sockets have in common. */
static cf_status make_socket(const struct zeromq *zeromq, int type, void **socket_out, cf_error *error)
{
    void *socket = zmq_socket(zeromq->context, type);
    if (socket == NULL) {
        return cfi_fail(error, errno == EMFILE ? CF_E_LIMIT : CF_E_MEMORY, "zeromq: socket: %s", zmq_strerror(errno));
    }
    cf_status status;
    /* What is not sent when the process ends is asked for again; closing must not wait for it. */
    CFI_TRY_GOTO(set_int(socket, ZMQ_LINGER, 0, error));
    CFI_TRY_GOTO(set_int(socket, ZMQ_SNDHWM, zeromq->queue_max, error));
    CFI_TRY_GOTO(set_int(socket, ZMQ_RCVHWM, zeromq->queue_max, error));
    CFI_TRY_GOTO(set_int(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS, error));
    CFI_TRY_GOTO(set_int(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS, error));
    CFI_TRY_GOTO(set_int(socket, ZMQ_TCP_MAXRT, UNACKNOWLEDGED_MAX_MS, error));
    /* Frames for a peer that is not there yet wait in its queue (the default, but all rests on it). */
    CFI_TRY_GOTO(set_int(socket, ZMQ_IMMEDIATE, 0, error));
    CFI_TRY_GOTO(set_keys(zeromq, socket, type == ZMQ_PULL, error));
    *socket_out = socket;
    return CF_OK;
done:
    zmq_close(socket);
    return status;
}

static cf_status make_context(struct zeromq *zeromq, cf_error *error)
{
    zeromq->context = zmq_ctx_new();
    if (zeromq->context == NULL) {
        return cfi_fail(error, CF_E_MEMORY, "zeromq: context: %s", zmq_strerror(errno));
    }
    /* One thread moves bytes between sockets and queues. A socket for each peer; libzmq's table takes 12 bytes for each
     * that there may be, so its own limit of 65,535 would cost every neuron 0.8 MB. */
    zmq_ctx_set(zeromq->context, ZMQ_IO_THREADS, 1);
    zmq_ctx_set(zeromq->context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    return CF_OK;
}

static cf_status bind_pull(struct zeromq *zeromq, const char *endpoint, cf_error *error)
{
    /* Nobody can make this process take more memory for one message. */
    const int64_t size_max = CFI_FRAME_HEADER_SIZE + (int64_t)CFI_FRAME_PAYLOAD_MAX;
    CFI_TRY(set_option(zeromq->pull, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max, error));
    if (cfi_zeromq_is_listening(endpoint)) {
        return cfi_fail_errno(error, CF_E_IO, EADDRINUSE, "zeromq: %s", endpoint);
    }
    if (zmq_bind(zeromq->pull, endpoint) != 0) {
        return cfi_fail(error, CF_E_IO, "zeromq: %s: %s", endpoint, zmq_strerror(errno));
    }
    return CF_OK;
}

static cf_status zeromq_open(void *self, const cfi_transport_options *options, cf_error *error)
{
    struct zeromq *zeromq = self;
    zeromq->keys = options->keys;
    zeromq->queue_max = (int)options->queue_max;
    CFI_TRY(cfi_zeromq_check_endpoint(options->endpoint, options->keys.present, error));
    CFI_TRY(make_context(zeromq, error));
    CFI_TRY(make_socket(zeromq, ZMQ_PULL, &zeromq->pull, error));
    if (options->keys.present) {
        /* Before bind, so that nobody gets in unasked. */
        CFI_TRY(cfi_zeromq_guard_init(&zeromq->guard, zeromq->context, zeromq->pull, options->keys.public_key, error));
    }
    return bind_pull(zeromq, options->endpoint, error);
}

static void zeromq_disconnect(void *self, uint32_t peer)
{
    struct zeromq *zeromq = self;
    void *push = cfi_peers_set(&zeromq->peers, peer, NULL);
    if (push != NULL) {
        zmq_close(push);
    }
}

static cf_status zeromq_connect(void *self, uint32_t peer, const char *endpoint, cf_error *error)
{
    struct zeromq *zeromq = self;
    CFI_TRY(cfi_zeromq_check_endpoint(endpoint, zeromq->keys.present, error));
    CFI_TRY(cfi_peers_reserve(&zeromq->peers, peer, error));
    void *push;
    CFI_TRY(make_socket(zeromq, ZMQ_PUSH, &push, error));
    if (zmq_connect(push, endpoint) != 0) {
        const int number = errno;
        zmq_close(push);
        return cfi_fail(error, CF_E_USAGE, "zeromq: %s: %s", endpoint, zmq_strerror(number));
    }
    zeromq_disconnect(zeromq, peer);
    cfi_peers_set(&zeromq->peers, peer, push);
    return CF_OK;
}

/* Called from libzmq's thread when the bytes have left. */
static void frame_has_left(void *bytes, void *frame)
{
    (void)bytes;
    cfi_frame_unref(frame);
}

static cf_status zeromq_send(void *self, uint32_t peer, cfi_frame *frame, cf_error *error)
{
    struct zeromq *zeromq = self;
    void *push = cfi_peers_get(&zeromq->peers, peer);
    if (push == NULL) {
        return cfi_fail(error, CF_E_NOT_FOUND, "zeromq: peer %u was never connected", peer);
    }
    const size_t size = cfi_frame_size(frame); /* the frame may be gone once it is sent, but for the caller's hold */
    zmq_msg_t message;
    if (zmq_msg_init_data(&message, frame->bytes, size, frame_has_left, frame) != 0) {
        return cfi_fail_memory(error, "a message");
    }
    cfi_frame_ref(frame);
    if (zmq_msg_send(&message, push, ZMQ_DONTWAIT) < 0) {
        const int number = errno;
        zmq_msg_close(&message);
        zeromq->counts.dropped++;
        return number == EAGAIN ? cfi_fail(error, CF_E_LIMIT, "zeromq: peer %u: its queue is full", peer)
                                : cfi_fail(error, CF_E_IO, "zeromq: peer %u: %s", peer, zmq_strerror(number));
    }
    zeromq->counts.sent++;
    zeromq->counts.bytes_sent += size;
    return CF_OK;
}

static void close_message(void *owner)
{
    zmq_msg_close(owner);
    cfi_free(owner);
}

/* Takes the message's content in any case. */
static cf_status decode_in_place(zmq_msg_t *message, cfi_frame **frame_out, cf_error *error)
{
    zmq_msg_t *kept = cfi_calloc(1, sizeof *kept);
    if (kept == NULL) {
        zmq_msg_close(message);
        return cfi_fail_memory(error, "a message");
    }
    zmq_msg_init(kept);
    zmq_msg_move(kept, message);
    zmq_msg_close(message);
    const cf_status status =
        cfi_frame_decode(zmq_msg_data(kept), zmq_msg_size(kept), close_message, kept, frame_out, error);
    if (status != CF_OK) {
        close_message(kept);
    }
    return status;
}

/* Takes the message's content in any case. */
static cf_status decode_copy(zmq_msg_t *message, cfi_frame **frame_out, cf_error *error)
{
    const size_t size = zmq_msg_size(message);
    unsigned char *bytes = cfi_realloc(NULL, size == 0 ? 1 : size, 1);
    if (bytes == NULL) {
        zmq_msg_close(message);
        return cfi_fail_memory(error, "a message");
    }
    memcpy(bytes, zmq_msg_data(message), size);
    zmq_msg_close(message);
    const cf_status status = cfi_frame_decode(bytes, size, NULL, NULL, frame_out, error);
    if (status != CF_OK) {
        cfi_free(bytes);
    }
    return status;
}

static cf_status decode(zmq_msg_t *message, cfi_frame **frame_out, cf_error *error)
{
    const bool is_aligned = (uintptr_t)zmq_msg_data(message) % 8 == 0;
    return is_aligned && zmq_msg_size(message) >= COPY_BELOW ? decode_in_place(message, frame_out, error)
                                                             : decode_copy(message, frame_out, error);
}

/* Receiving until EAGAIN is what the edge-triggered ZMQ_FD demands: only then has libzmq looked at all its signals, and
 * the next one makes the descriptor readable again. */
static cf_status zeromq_receive(void *self, cfi_frame **frame_out, cf_error *error)
{
    struct zeromq *zeromq = self;
    cfi_zeromq_guard_pump(&zeromq->guard);
    for (;;) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        if (zmq_msg_recv(&message, zeromq->pull, ZMQ_DONTWAIT) < 0) {
            const int number = errno;
            zmq_msg_close(&message);
            if (number != EAGAIN && number != EINTR) {
                return cfi_fail(error, CF_E_IO, "zeromq: receive: %s", zmq_strerror(number));
            }
            if (number == EINTR) {
                continue;
            }
            *frame_out = NULL;
            return CF_OK;
        }
        cfi_frame *frame;
        const cf_status status = decode(&message, &frame, error);
        if (status == CF_OK) {
            zeromq->counts.received++;
            zeromq->counts.bytes_received += cfi_frame_size(frame);
            *frame_out = frame;
            return CF_OK;
        }
        zeromq->counts.dropped++; /* damaged, or no memory for it: a loss as any other */
    }
}

static int zeromq_descriptors(void *self, int *fds)
{
    struct zeromq *zeromq = self;
    size_t size = sizeof *fds;
    if (zmq_getsockopt(zeromq->pull, ZMQ_FD, fds, &size) != 0) {
        return 0;
    }
    return 1 + cfi_zeromq_guard_descriptors(&zeromq->guard, fds + 1);
}

static void zeromq_counts(void *self, cfi_transport_counts *counts_out)
{
    const struct zeromq *zeromq = self;
    *counts_out = zeromq->counts;
    counts_out->refused = zeromq->guard.refused;
}

static void zeromq_close(void *self)
{
    struct zeromq *zeromq = self;
    for (uint32_t i = 0; i < zeromq->peers.count; i++) {
        zeromq_disconnect(zeromq, i);
    }
    cfi_peers_fini(&zeromq->peers);
    cfi_zeromq_guard_fini(&zeromq->guard, zeromq->pull);
    if (zeromq->pull != NULL) {
        zmq_close(zeromq->pull);
        zeromq->pull = NULL;
    }
    while (zeromq->context != NULL && zmq_ctx_term(zeromq->context) != 0 && errno == EINTR) {
        /* a signal came: again, or frames in flight would outlive their owner */
    }
    zeromq->context = NULL;
}

cf_status cfi_transport_keys_make(cfi_transport_keys *keys_out, cf_error *error)
{
    cfi_transport_keys keys = {.present = true};
    if (zmq_curve_keypair(keys.public_key, keys.secret_key) != 0) {
        return cfi_fail(error, CF_E_UNSUPPORTED, "zeromq: libzmq was built without CURVE: install one with libsodium");
    }
    *keys_out = keys;
    return CF_OK;
}

const cfi_transport_ops cfi_transport_zeromq = {
    .abi = CFI_TRANSPORT_ABI,
    .size = sizeof(struct zeromq),
    .name = "zeromq",
    .open = zeromq_open,
    .connect = zeromq_connect,
    .disconnect = zeromq_disconnect,
    .send = zeromq_send,
    .receive = zeromq_receive,
    .descriptors = zeromq_descriptors,
    .counts = zeromq_counts,
    .close = zeromq_close,
};
