/* The contract of a transport: what carries frames between containers.
 *
 * Promise. At most once, unordered, lossy: a frame arrives whole and unchanged or not at all (corruption is caught by
 * the frame's own checksums and counts as a loss). Nothing more is needed: what is missing is asked for again by name
 * (shard/). A transport that promises more (a broker) is used as if it did not. Frames of one sender to one receiver
 * arrive in order while the connection lasts, which makes things faster, not right.
 *
 * Peers. A container has one endpoint that others send to (its inbound queue), and connects to those that it sends to
 * (its outbound queues), numbered by the caller. A peer that is not there yet, dies, or comes back at the same endpoint
 * is the transport's business: it reconnects by itself, within milliseconds, and tells nobody.
 *
 * Threads and blocking. One thread uses a transport; nothing blocks. Descriptors become readable when receive() may
 * have something; after that receive() must be called until it gives NULL (they may be edge-triggered). Threads of its
 * own (libzmq has some) are never seen.
 *
 * Ownership. send() takes a reference of its own; the caller keeps its reference. receive() hands one over. */
#ifndef CFI_TRANSPORT_TRANSPORT_H
#define CFI_TRANSPORT_TRANSPORT_H

#include "wire/frame.h"

#define CFI_TRANSPORT_ABI 1
#define CFI_TRANSPORT_DESCRIPTORS_MAX 4
#define CFI_ENDPOINT_SIZE_MAX 256
#define CFI_CURVE_KEY_SIZE 41 /* Z85 text and NUL */

/* Keys of one run (CURVE), made by `up`, the same for all its containers; never printed. */
typedef struct cfi_transport_keys {
    bool present;
    char public_key[CFI_CURVE_KEY_SIZE], secret_key[CFI_CURVE_KEY_SIZE];
} cfi_transport_keys;

typedef struct cfi_transport_options {
    /* Own: "ipc://PATH", "tcp://127.0.0.1:4711", "inproc://NAME". Borrowed until open returns. */
    const char *endpoint;
    cfi_transport_keys keys;           /* present: every connection is encrypted, and both sides must hold them */
    int64_t queue_max;                 /* frames that may wait for one peer; 0 = 1000 */
} cfi_transport_options;

typedef struct cfi_transport_counts {
    uint64_t sent, received, dropped; /* frames; dropped: queue full, or damaged on arrival */
    uint64_t bytes_sent, bytes_received;
    uint64_t refused;                 /* connections with a wrong key */
} cfi_transport_counts;

typedef struct cfi_transport_ops {
    uint32_t abi;               /* CFI_TRANSPORT_ABI                                    */
    size_t size;                /* bytes of self; the framework allocates them, zeroed  */
    const char *name;           /* key in the file: "zeromq"                            */
    /* Binds the own endpoint. CF_E_IO (text names the endpoint and errno's text), CF_E_UNSUPPORTED, CF_E_MEMORY. */
    cf_status (*open)(void *self, const cfi_transport_options *options, cf_error *error);
    /* From now on send() to `peer` (0 .. 65535, chosen by the caller) goes to `endpoint`. Does not wait for it to be
     * there. A second call for the same peer replaces the endpoint. */
    cf_status (*connect)(void *self, uint32_t peer, const char *endpoint, cf_error *error);
    void (*disconnect)(void *self, uint32_t peer); /* unknown peer: nothing happens */
    /* CF_OK: on its way, or lost later without a word. CF_E_LIMIT: the peer's queue is full, the frame is dropped.
     * CF_E_NOT_FOUND: never connected. `error` may be NULL. Never blocks. */
    cf_status (*send)(void *self, uint32_t peer, cfi_frame *frame, cf_error *error);
    /* *frame_out NULL: nothing there. Damaged frames are counted and passed over. Never blocks. */
    cf_status (*receive)(void *self, cfi_frame **frame_out, cf_error *error);
    int (*descriptors)(void *self, int *fds); /* how many were written, at most CFI_TRANSPORT_DESCRIPTORS_MAX */
    void (*counts)(void *self, cfi_transport_counts *counts_out);
    void (*close)(void *self);  /* idempotent; what is queued may be lost. Also frees; safe on a half-opened self */
} cfi_transport_ops;

/* A transport in use. */
typedef struct cfi_transport {
    const cfi_transport_ops *ops;
    void *self;
} cfi_transport;

/* Opens the named plug-in. CF_E_UNSUPPORTED: this build does not have it (text says how to get it). */
cf_status cfi_transport_open(const char *name, const cfi_transport_options *options, cfi_transport *transport_out,
                             cf_error *error) __attribute__((warn_unused_result));
void cfi_transport_close(cfi_transport *transport); /* zeroed or closed: nothing happens */

const cfi_transport_ops *cfi_transport_find(const char *name); /* NULL: not in this build */

/* ---- Wrappers: hold another transport and behave as one (closing it too) ---- */

/* Faults, each frame for itself, drawn from `seed` (cfi_draw, so a sequence of sends gives the same faults again).
 * `next` is taken on CF_OK. Delayed frames leave when a later send or receive finds `delay_calls` calls gone by. */
typedef struct cfi_fault_options {
    uint64_t seed;
    double drop, duplicate, reorder, delay, corrupt; /* probabilities, 0 to 1 */
    int delay_calls;
} cfi_fault_options;
cf_status cfi_transport_faulty(const cfi_fault_options *options, cfi_transport next, cfi_transport *transport_out,
                               cf_error *error) __attribute__((warn_unused_result));
/* Nothing passes to or from this peer while cut; from it is what has its number as source_unit. */
void cfi_transport_faulty_cut(cfi_transport *transport, uint32_t peer, bool is_cut);

/* Appends one line for each frame to a file: direction, peer, kind, step, micro, block, size. */
cf_status cfi_transport_record(const char *path, cfi_transport next, cfi_transport *transport_out, cf_error *error)
    __attribute__((warn_unused_result));

/* New random keys. CF_E_UNSUPPORTED where libzmq was built without CURVE. */
cf_status cfi_transport_keys_make(cfi_transport_keys *keys_out, cf_error *error) __attribute__((warn_unused_result));

#endif
