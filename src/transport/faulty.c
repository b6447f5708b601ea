/* A transport that breaks its promise's weak sides on purpose: losses, copies, disorder, lateness, cut lines. */
#include <string.h>

#include "base/alloc.h"
#include "base/philox.h"
#include "transport/peers.h"
#include "transport/transport.h"

#define HELD_MAX 256
/* A frame that waits to be overtaken goes after this many calls when no other follows. */
#define REORDER_CALLS 16

struct held {
    cfi_frame *frame;
    uint32_t peer;
    uint64_t due;       /* leaves when this many calls have been made... */
    bool is_overtaken;  /* ...or after the next frame to its peer        */
};

struct faulty {
    cfi_transport next;
    cfi_fault_options options;
    uint64_t calls, sends, dropped;
    struct held held[HELD_MAX]; /* in order of arrival */
    int held_count;
    unsigned char connected[CFI_PEER_COUNT_MAX / 8], cut[CFI_PEER_COUNT_MAX / 8];
};

static bool has_peer(const unsigned char *set, uint32_t peer)
{
    return peer < CFI_PEER_COUNT_MAX && (set[peer / 8] >> peer % 8 & 1) != 0;
}

static void put_peer(unsigned char *set, uint32_t peer, bool is_in)
{
    if (peer < CFI_PEER_COUNT_MAX) {
        const unsigned char bit = (unsigned char)(1u << peer % 8);
        set[peer / 8] = (unsigned char)(is_in ? set[peer / 8] | bit : set[peer / 8] & ~bit);
    }
}

static void let_go(struct faulty *faulty, int index)
{
    const struct held held = faulty->held[index];
    faulty->held_count--;
    memmove(&faulty->held[index], &faulty->held[index + 1],
            (size_t)(faulty->held_count - index) * sizeof *faulty->held);
    if (has_peer(faulty->cut, held.peer) ||
        faulty->next.ops->send(faulty->next.self, held.peer, held.frame, NULL) == CF_E_NOT_FOUND) {
        faulty->dropped++; /* a full queue has been counted by `next` */
    }
    cfi_frame_unref(held.frame);
}

static void let_go_due(struct faulty *faulty)
{
    faulty->calls++;
    for (int i = 0; i < faulty->held_count;) {
        if (faulty->held[i].due <= faulty->calls) {
            let_go(faulty, i);
        } else {
            i++;
        }
    }
}

static void let_go_overtaken(struct faulty *faulty, uint32_t peer)
{
    for (int i = 0; i < faulty->held_count;) {
        if (faulty->held[i].is_overtaken && faulty->held[i].peer == peer) {
            let_go(faulty, i);
        } else {
            i++;
        }
    }
}

/* False: no room, or no wish to hold it. */
static bool hold(struct faulty *faulty, uint32_t peer, cfi_frame *frame, uint64_t calls, bool is_overtaken)
{
    if (faulty->held_count == HELD_MAX) {
        return false;
    }
    faulty->held[faulty->held_count++] =
        (struct held){cfi_frame_ref(frame), peer, faulty->calls + calls, is_overtaken};
    return true;
}

/* One bit flips on the way. The receiver's decoder is asked here, so that a transport that passes references is no
 * exception; what it takes for good goes on its way. */
static cf_status send_damaged(struct faulty *faulty, uint32_t peer, const cfi_frame *frame, uint64_t random,
                              cf_error *error)
{
    const size_t size = cfi_frame_size(frame);
    unsigned char *bytes = cfi_realloc(NULL, size, 1);
    if (bytes == NULL) {
        return cfi_fail_memory(error, "a damaged frame");
    }
    memcpy(bytes, frame->bytes, size);
    bytes[random % (size * 8) / 8] ^= (unsigned char)(1u << random % 8);
    cfi_frame *damaged;
    if (cfi_frame_decode(bytes, size, NULL, NULL, &damaged, NULL) != CF_OK) {
        cfi_free(bytes);
        faulty->dropped++;
        return CF_OK;
    }
    const cf_status status = faulty->next.ops->send(faulty->next.self, peer, damaged, error);
    cfi_frame_unref(damaged);
    return status;
}

/* Sends it now, once or twice, and after it who waited to be overtaken. */
static cf_status send_now(struct faulty *faulty, uint32_t peer, cfi_frame *frame, bool is_twice, cf_error *error)
{
    const cf_status status = faulty->next.ops->send(faulty->next.self, peer, frame, error);
    if (is_twice) {
        /* A copy that finds the queue full is lost as copies may be. */
        const cf_status copy = faulty->next.ops->send(faulty->next.self, peer, frame, NULL);
        (void)copy;
    }
    let_go_overtaken(faulty, peer);
    return status;
}

static cf_status faulty_send(void *self, uint32_t peer, cfi_frame *frame, cf_error *error)
{
    struct faulty *faulty = self;
    const cfi_fault_options *options = &faulty->options;
    let_go_due(faulty);
    if (!has_peer(faulty->connected, peer)) {
        return cfi_fail(error, CF_E_NOT_FOUND, "faulty: peer %u was never connected", peer);
    }
    const uint64_t send = faulty->sends++;
    const cfi_philox_block first =
        cfi_draw(options->seed, CFI_PURPOSE_TEST, 0, 0, (uint32_t)send, (uint32_t)(send >> 32));
    const cfi_philox_block second =
        cfi_draw(options->seed, CFI_PURPOSE_TEST, 0, 1, (uint32_t)send, (uint32_t)(send >> 32));
    if (has_peer(faulty->cut, peer) || (double)cfi_uniform_float(first.word[0]) < options->drop) {
        faulty->dropped++;
        return CF_OK;
    }
    if ((double)cfi_uniform_float(first.word[1]) < options->corrupt) {
        return send_damaged(faulty, peer, frame, (uint64_t)second.word[1] << 32 | second.word[2], error);
    }
    if ((double)cfi_uniform_float(first.word[2]) < options->delay &&
        hold(faulty, peer, frame, (uint64_t)options->delay_calls, false)) {
        return CF_OK;
    }
    if ((double)cfi_uniform_float(first.word[3]) < options->reorder && hold(faulty, peer, frame, REORDER_CALLS, true)) {
        return CF_OK;
    }
    return send_now(faulty, peer, frame, (double)cfi_uniform_float(second.word[0]) < options->duplicate, error);
}

static cf_status faulty_receive(void *self, cfi_frame **frame_out, cf_error *error)
{
    struct faulty *faulty = self;
    let_go_due(faulty);
    for (;;) {
        cfi_frame *frame;
        CFI_TRY(faulty->next.ops->receive(faulty->next.self, &frame, error));
        if (frame == NULL || !has_peer(faulty->cut, frame->header.source_unit)) {
            *frame_out = frame;
            return CF_OK;
        }
        cfi_frame_unref(frame);
        faulty->dropped++;
    }
}

static cf_status faulty_open(void *self, const cfi_transport_options *options, cf_error *error)
{
    (void)self;
    (void)options;
    return cfi_fail(error, CF_E_USAGE, "faulty: wraps an open transport (cfi_transport_faulty)");
}

static cf_status faulty_connect(void *self, uint32_t peer, const char *endpoint, cf_error *error)
{
    struct faulty *faulty = self;
    CFI_TRY(faulty->next.ops->connect(faulty->next.self, peer, endpoint, error));
    put_peer(faulty->connected, peer, true);
    return CF_OK;
}

static void faulty_disconnect(void *self, uint32_t peer)
{
    struct faulty *faulty = self;
    put_peer(faulty->connected, peer, false);
    faulty->next.ops->disconnect(faulty->next.self, peer);
}

static int faulty_descriptors(void *self, int *fds)
{
    struct faulty *faulty = self;
    return faulty->next.ops->descriptors(faulty->next.self, fds);
}

static void faulty_counts(void *self, cfi_transport_counts *counts_out)
{
    struct faulty *faulty = self;
    faulty->next.ops->counts(faulty->next.self, counts_out);
    counts_out->dropped += faulty->dropped;
}

static void faulty_close(void *self)
{
    struct faulty *faulty = self;
    for (int i = 0; i < faulty->held_count; i++) {
        cfi_frame_unref(faulty->held[i].frame);
    }
    faulty->held_count = 0;
    cfi_transport_close(&faulty->next);
}

static const cfi_transport_ops faulty_ops = {
    .abi = CFI_TRANSPORT_ABI,
    .size = sizeof(struct faulty),
    .name = "faulty",
    .open = faulty_open,
    .connect = faulty_connect,
    .disconnect = faulty_disconnect,
    .send = faulty_send,
    .receive = faulty_receive,
    .descriptors = faulty_descriptors,
    .counts = faulty_counts,
    .close = faulty_close,
};

static bool is_probability(double value)
{
    return value >= 0 && value <= 1;
}

cf_status cfi_transport_faulty(const cfi_fault_options *options, cfi_transport next, cfi_transport *transport_out,
                               cf_error *error)
{
    if (!is_probability(options->drop) || !is_probability(options->duplicate) || !is_probability(options->reorder) ||
        !is_probability(options->delay) || !is_probability(options->corrupt) || options->delay_calls < 0) {
        return cfi_fail(error, CF_E_USAGE, "faulty: probabilities lie in 0 to 1, delay_calls is not negative");
    }
    struct faulty *faulty = cfi_calloc(1, sizeof *faulty);
    if (faulty == NULL) {
        return cfi_fail_memory(error, "a faulty transport");
    }
    faulty->next = next;
    faulty->options = *options;
    *transport_out = (cfi_transport){&faulty_ops, faulty};
    return CF_OK;
}

void cfi_transport_faulty_cut(cfi_transport *transport, uint32_t peer, bool is_cut)
{
    if (transport->ops == &faulty_ops) {
        struct faulty *faulty = transport->self;
        put_peer(faulty->cut, peer, is_cut);
    }
}
