/* One message as one frame: a header of 128 bytes and a payload, checksummed (docs/format/frame.md).
 *
 * What a frame carries is named by (run, kind, tensor, block, step, micro), never by who sent it or when: a value sent
 * again, computed again or sent by a zombie is the same bits under the same name. Sender, incarnation, epoch and plan
 * are there for routing and fencing only.
 *
 * A frame is immutable once sealed and shared by counting references, so that an outbox and any number of receivers
 * hold one copy. Threads: the count is atomic; everything else belongs to the maker until the frame is sealed. */
#ifndef CFI_WIRE_FRAME_H
#define CFI_WIRE_FRAME_H

#include <stdatomic.h>

#include "base/hash.h"
#include "base/status.h"

#define CFI_FRAME_HEADER_SIZE 128
#define CFI_FRAME_PAYLOAD_MAX ((size_t)256 << 20)
#define CFI_FRAME_VERSION 1
#define CFI_UNIT_ALL UINT32_MAX      /* to every reader of the value                               */
#define CFI_TENSOR_INPUT UINT32_MAX  /* the samples; any other tensor is the index of a stage      */

/* Numbers never change. */
typedef enum cfi_frame_kind {
    CFI_FRAME_FORWARD = 1,       /* a slice's outputs for one micro-batch                           */
    CFI_FRAME_BACKWARD = 2,      /* tree nodes of the gradient by a slice's outputs                 */
    CFI_FRAME_LABELS = 3,        /* source to loss: int32 labels of one micro-batch                 */
    CFI_FRAME_DONE = 4,          /* loss to source: the step's losses are known; go on or stop      */
    CFI_FRAME_NORM = 5,          /* shard to loss: tree nodes of squared gradients (clipping)       */
    CFI_FRAME_SCALE = 6,         /* loss to shards: the factor of the clipped gradients             */
    CFI_FRAME_REPORT = 7,        /* unit to controller: what is durable, chain nodes                */
    CFI_FRAME_HEAD = 8,          /* controller to units: HEAD                                       */
    CFI_FRAME_NEED = 9,          /* send me again what you have for me from `step` on               */
    CFI_FRAME_GONE = 10,         /* answer to a NEED below the sender's HEAD                        */
    CFI_FRAME_STORE_REQUEST = 11,
    CFI_FRAME_STORE_REPLY = 12,
    CFI_FRAME_OUTPUTS = 13,      /* loss to source: the network's answer to samples that were asked about */
    CFI_FRAME_KIND_COUNT
} cfi_frame_kind;

enum {
    CFI_FRAME_BYTES = 1u << 0,     /* FORWARD from the source: payload is uint8 (rows, cols), sample by sample     */
    CFI_FRAME_SAMPLES = 1u << 1,   /* FORWARD from the source: payload is float32 (rows, cols), sample by sample   */
    CFI_FRAME_STOP = 1u << 2,      /* DONE: training ends at this step                                             */
    CFI_FRAME_INFER = 1u << 4,     /* FORWARD: samples that somebody asked about; `micro` numbers the question */
    CFI_FRAME_NONFINITE = 1u << 3, /* FORWARD: some value is NaN or infinite; `tag` names the first stage with one   */
};

/* Fields as on the wire, in this order, little endian. */
typedef struct cfi_frame_header {
    uint8_t kind;             /* cfi_frame_kind */
    uint16_t flags;
    uint64_t run[2];          /* of the run; a frame of another run is dropped                     */
    uint64_t digest;          /* of file, data, seed and numerics; another one is refused          */
    uint32_t epoch;           /* of the controller that made the plan                              */
    uint32_t plan;
    uint32_t source_unit, source_incarnation;
    uint32_t target_unit;     /* or CFI_UNIT_ALL                                                   */
    uint32_t tensor;          /* stage of the producer, or CFI_TENSOR_INPUT                        */
    uint64_t step;
    uint32_t micro, replica;
    uint32_t block_lo, block_n; /* neurons of the producer                                         */
    uint32_t rows, cols;      /* samples; features                                                 */
    uint64_t tag;             /* of a request; its reply carries the same                          */
    uint64_t head;            /* HEAD as the sender knows it                                       */
    uint32_t key;             /* reserved, 0                                                       */
} cfi_frame_header;

typedef struct cfi_frame {
    atomic_int references;
    cfi_frame_header header;
    uint32_t payload_size;
    uint64_t payload_hash;    /* XXH3-64; checksum and witness of divergence                       */
    unsigned char *bytes;     /* header and payload as they travel; borrowed, read only            */
    void (*release)(void *owner); /* called with `owner` instead of freeing `bytes`; may be NULL   */
    void *owner;
} cfi_frame;

/* A frame with room for `payload_size` bytes (zeroed), to be filled and sealed. CF_E_USAGE (a kind
 * or flag that decoding would refuse, a key), CF_E_LIMIT, CF_E_MEMORY. */
cf_status cfi_frame_new(const cfi_frame_header *header, size_t payload_size, cfi_frame **frame_out, cf_error *error)
    __attribute__((warn_unused_result));

/* 8-byte aligned. Writable until sealed. */
static inline unsigned char *cfi_frame_payload(const cfi_frame *frame)
{
    return frame->bytes + CFI_FRAME_HEADER_SIZE;
}

static inline size_t cfi_frame_size(const cfi_frame *frame)
{
    return CFI_FRAME_HEADER_SIZE + (size_t)frame->payload_size;
}

/* Computes checksums and writes the header: from now on nothing changes. */
void cfi_frame_seal(cfi_frame *frame);

/* Checks `size` bytes from outside: magic, version, kind, lengths, both checksums. On CF_OK the frame has taken the
 * bytes: they must stay until release(owner) is called, or, with release NULL, are cfi_free'd. On failure they stay
 * the caller's.
 * CF_E_DATA (text says what is wrong), CF_E_LIMIT, CF_E_MEMORY. `bytes` must be 8-byte aligned (CF_E_USAGE). */
cf_status cfi_frame_decode(unsigned char *bytes, size_t size, void (*release)(void *owner), void *owner,
                           cfi_frame **frame_out, cf_error *error) __attribute__((warn_unused_result));

cfi_frame *cfi_frame_ref(cfi_frame *frame); /* returns it */
void cfi_frame_unref(cfi_frame *frame);     /* NULL is fine */

const char *cfi_frame_kind_name(uint8_t kind); /* "forward", ...; "unknown" */

#endif
