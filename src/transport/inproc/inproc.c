/* Containers that are threads of one process: frames are handed over by reference.
 *
 * One mutex guards the table of names and all queues. It is held for a few loads and stores (and a write to an eventfd
 * when a queue was empty), which is less than one mutex for each queue would save. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "transport/peers.h"
#include "transport/plugins.h"

#define SCHEME "inproc://"

struct queue {
    struct queue *next;
    char endpoint[CFI_ENDPOINT_SIZE_MAX];
    cfi_frame **ring;
    int64_t capacity, first, count;
    int event; /* readable while the queue is not empty */
};

struct peer {
    char endpoint[CFI_ENDPOINT_SIZE_MAX];
    struct queue *queue; /* as found in generation `generation` */
    uint64_t generation;
};

struct inproc {
    struct queue *queue;
    cfi_peers peers;
    cfi_transport_counts counts;
};

/* The only state of the process in this room: names must be found across threads. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct queue *queues;
static uint64_t table_generation = 1; /* counts opens and closes, so that peers know when to look again */

static struct queue *find_locked(const char *endpoint)
{
    struct queue *queue = queues;
    while (queue != NULL && strcmp(queue->endpoint, endpoint) != 0) {
        queue = queue->next;
    }
    return queue;
}

static cf_status check_endpoint(const char *endpoint, cf_error *error)
{
    const size_t length = strnlen(endpoint, CFI_ENDPOINT_SIZE_MAX);
    if (length == CFI_ENDPOINT_SIZE_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "inproc: an endpoint has at most %d bytes", CFI_ENDPOINT_SIZE_MAX - 1);
    }
    if (strncmp(endpoint, SCHEME, strlen(SCHEME)) != 0 || length == strlen(SCHEME)) {
        return cfi_fail(error, CF_E_USAGE, "inproc: '%s' is no endpoint, expected inproc://NAME", endpoint);
    }
    return CF_OK;
}

static void free_queue(struct queue *queue)
{
    for (int64_t i = 0; i < queue->count; i++) {
        cfi_frame_unref(queue->ring[(queue->first + i) % queue->capacity]);
    }
    if (queue->event >= 0) {
        close(queue->event);
    }
    cfi_free(queue->ring);
    cfi_free(queue);
}

static cf_status make_queue(const cfi_transport_options *options, struct queue **queue_out, cf_error *error)
{
    struct queue *queue = cfi_calloc(1, sizeof *queue);
    if (queue == NULL) {
        return cfi_fail_memory(error, "a queue");
    }
    memcpy(queue->endpoint, options->endpoint, strlen(options->endpoint) + 1);
    queue->capacity = options->queue_max;
    queue->ring = cfi_calloc((size_t)queue->capacity, sizeof *queue->ring);
    queue->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    const int number = errno;
    if (queue->ring == NULL || queue->event < 0) {
        const bool is_memory = queue->ring == NULL;
        free_queue(queue);
        return is_memory ? cfi_fail_memory(error, "a queue")
                         : cfi_fail_errno(error, CF_E_IO, number, "inproc: %s: eventfd", options->endpoint);
    }
    *queue_out = queue;
    return CF_OK;
}

static cf_status inproc_open(void *self, const cfi_transport_options *options, cf_error *error)
{
    struct inproc *inproc = self;
    CFI_TRY(check_endpoint(options->endpoint, error));
    struct queue *queue = NULL;
    CFI_TRY(make_queue(options, &queue, error));
    pthread_mutex_lock(&mutex);
    const bool is_taken = find_locked(options->endpoint) != NULL;
    if (!is_taken) {
        queue->next = queues;
        queues = queue;
        table_generation++;
    }
    pthread_mutex_unlock(&mutex);
    if (is_taken) {
        free_queue(queue);
        return cfi_fail(error, CF_E_IO, "inproc: %s: in use, close its holder first", options->endpoint);
    }
    inproc->queue = queue;
    return CF_OK;
}

static cf_status inproc_connect(void *self, uint32_t number, const char *endpoint, cf_error *error)
{
    struct inproc *inproc = self;
    CFI_TRY(check_endpoint(endpoint, error));
    CFI_TRY(cfi_peers_reserve(&inproc->peers, number, error));
    struct peer *peer = cfi_calloc(1, sizeof *peer);
    if (peer == NULL) {
        return cfi_fail_memory(error, "a peer");
    }
    memcpy(peer->endpoint, endpoint, strlen(endpoint) + 1);
    cfi_free(cfi_peers_set(&inproc->peers, number, peer));
    return CF_OK;
}

static void inproc_disconnect(void *self, uint32_t number)
{
    struct inproc *inproc = self;
    cfi_free(cfi_peers_set(&inproc->peers, number, NULL));
}

/* An eventfd at 0 or 1 neither blocks nor overflows, so these can't fail. */
static void signal_event(int event)
{
    const uint64_t one = 1;
    const ssize_t written = write(event, &one, sizeof one);
    (void)written;
}

static void clear_event(int event)
{
    uint64_t value;
    const ssize_t got = read(event, &value, sizeof value);
    (void)got;
}

/* False: full. A peer that is not there takes everything. */
static bool push_locked(struct peer *peer, cfi_frame *frame)
{
    if (peer->generation != table_generation) {
        peer->queue = find_locked(peer->endpoint);
        peer->generation = table_generation;
    }
    struct queue *queue = peer->queue;
    if (queue == NULL) {
        return true;
    }
    if (queue->count == queue->capacity) {
        return false;
    }
    queue->ring[(queue->first + queue->count) % queue->capacity] = cfi_frame_ref(frame);
    if (queue->count++ == 0) {
        signal_event(queue->event);
    }
    return true;
}

static cf_status inproc_send(void *self, uint32_t number, cfi_frame *frame, cf_error *error)
{
    struct inproc *inproc = self;
    struct peer *peer = cfi_peers_get(&inproc->peers, number);
    if (peer == NULL) {
        return cfi_fail(error, CF_E_NOT_FOUND, "inproc: peer %u was never connected", number);
    }
    pthread_mutex_lock(&mutex);
    const bool is_taken = push_locked(peer, frame);
    pthread_mutex_unlock(&mutex);
    if (!is_taken) {
        inproc->counts.dropped++;
        return cfi_fail(error, CF_E_LIMIT, "inproc: %s: its queue is full", peer->endpoint);
    }
    inproc->counts.sent++;
    inproc->counts.bytes_sent += cfi_frame_size(frame);
    return CF_OK;
}

static cf_status inproc_receive(void *self, cfi_frame **frame_out, cf_error *error)
{
    (void)error;
    struct inproc *inproc = self;
    struct queue *queue = inproc->queue;
    cfi_frame *frame = NULL;
    pthread_mutex_lock(&mutex);
    if (queue->count > 0) {
        frame = queue->ring[queue->first];
        queue->first = (queue->first + 1) % queue->capacity;
        if (--queue->count == 0) {
            clear_event(queue->event);
        }
    }
    pthread_mutex_unlock(&mutex);
    if (frame != NULL) {
        inproc->counts.received++;
        inproc->counts.bytes_received += cfi_frame_size(frame);
    }
    *frame_out = frame;
    return CF_OK;
}

static int inproc_descriptors(void *self, int *fds)
{
    const struct inproc *inproc = self;
    fds[0] = inproc->queue->event;
    return 1;
}

static void inproc_counts(void *self, cfi_transport_counts *counts_out)
{
    const struct inproc *inproc = self;
    *counts_out = inproc->counts;
}

static void remove_queue(struct queue *queue)
{
    pthread_mutex_lock(&mutex);
    struct queue **link = &queues;
    while (*link != queue) {
        link = &(*link)->next;
    }
    *link = queue->next;
    table_generation++;
    pthread_mutex_unlock(&mutex);
    free_queue(queue); /* nobody finds it any more, and who had found it sees the new generation */
}

static void inproc_close(void *self)
{
    struct inproc *inproc = self;
    if (inproc->queue != NULL) {
        remove_queue(inproc->queue);
        inproc->queue = NULL;
    }
    for (uint32_t i = 0; i < inproc->peers.count; i++) {
        inproc_disconnect(inproc, i);
    }
    cfi_peers_fini(&inproc->peers);
}

const cfi_transport_ops cfi_transport_inproc = {
    .abi = CFI_TRANSPORT_ABI,
    .size = sizeof(struct inproc),
    .name = "inproc",
    .open = inproc_open,
    .connect = inproc_connect,
    .disconnect = inproc_disconnect,
    .send = inproc_send,
    .receive = inproc_receive,
    .descriptors = inproc_descriptors,
    .counts = inproc_counts,
    .close = inproc_close,
};
