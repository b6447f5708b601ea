/* The store reached by frames: requests of units, and the server that answers them from a back end.
 *
 * Requests may be lost, doubled or come late: every one may be repeated. Fencing: a unit first takes a lease, which
 * gives it an incarnation above all earlier ones; from then on the server refuses (STALE) whatever an earlier
 * incarnation of that unit asks to change (put, cas, remove). The store keeps leases under "lease/PLAN.UNIT". */
#ifndef CFI_STORE_REQUEST_H
#define CFI_STORE_REQUEST_H

#include "store/store.h"
#include "wire/frame.h"

typedef enum cfi_store_request_kind {
    CFI_STORE_GET = 1,
    CFI_STORE_PUT = 2,
    CFI_STORE_CAS = 3,
    CFI_STORE_LEASE = 4,        /* value of the reply: the new incarnation, max(last, floor) + 1, uint32 */
    CFI_STORE_REMOVE_BELOW = 5, /* keys that begin with `key` and whose last path element is a number below `number` */
    CFI_STORE_LIST = 6,         /* value of the reply: the keys, each ended by '\n' */
    CFI_STORE_KIND_COUNT
} cfi_store_request_kind;

typedef enum cfi_store_outcome {
    CFI_STORE_DONE = 0,
    CFI_STORE_ABSENT = 1,    /* get: no such key                                                              */
    CFI_STORE_CONFLICT = 2,  /* cas: something else is there; the reply's value is what is there now          */
    CFI_STORE_DIVERGED = 3,  /* put: there with other bytes: one name, two values                             */
    CFI_STORE_STALE = 4,     /* a later incarnation of this unit holds the lease                              */
    CFI_STORE_FULL = 5,      /* the back end's limit is reached; may heal                                     */
    CFI_STORE_FAILED = 6,    /* the back end failed; the reply's value is its text; may heal                  */
    CFI_STORE_OUTCOME_COUNT
} cfi_store_outcome;

/* Pointers are borrowed. */
typedef struct cfi_store_request {
    cfi_store_request_kind kind;
    const char *key;
    uint64_t number;                /* LEASE: floor; REMOVE_BELOW: limit; CAS: the generation that the server must have,
                                     * since another one may have lost what the change relies on; 0 = any */
    const void *value;              /* PUT, CAS */
    size_t value_size;
    const void *expected;           /* CAS; NULL: the key must be absent */
    size_t expected_size;
} cfi_store_request;

typedef struct cfi_store_reply {
    cfi_store_request_kind kind;
    cfi_store_outcome outcome;
    uint64_t generation;            /* of the server: another one after each start */
    const char *key;                /* of the request */
    const void *value;
    size_t value_size;
} cfi_store_reply;

/* `base` gives run, digest, plan, units, incarnation and tag. Sealed. CF_E_LIMIT, CF_E_MEMORY. */
cf_status cfi_store_request_frame(const cfi_frame_header *base, const cfi_store_request *request, cfi_frame **frame_out,
                                  cf_error *error) __attribute__((warn_unused_result));
/* Pointers into the frame's payload. CF_E_DATA for anything malformed. */
cf_status cfi_store_request_read(const cfi_frame *frame, cfi_store_request *request_out, cf_error *error)
    __attribute__((warn_unused_result));
cf_status cfi_store_reply_frame(const cfi_frame *request, uint32_t server_unit, const cfi_store_reply *reply,
                                cfi_frame **frame_out, cf_error *error) __attribute__((warn_unused_result));
cf_status cfi_store_reply_read(const cfi_frame *frame, cfi_store_reply *reply_out, cf_error *error)
    __attribute__((warn_unused_result));

#define CFI_STORE_LEASE_CACHE 64

/* A lease as the store holds it; incarnation 0: nothing known. */
typedef struct cfi_store_lease {
    uint32_t plan, unit, incarnation;
} cfi_store_lease;

/* Answers requests; no clock, no thread, no transport. */
typedef struct cfi_store_server {
    cfi_store store;      /* borrowed */
    uint64_t generation;  /* given by whoever starts it: never the same twice */
    uint32_t unit;        /* its own number in the plan */
    uint64_t requests, stale, diverged, failed; /* counted */
    cfi_store_lease leases[CFI_STORE_LEASE_CACHE]; /* zeroed at first; no other writer of leases may exist */
} cfi_store_server;

/* *reply_out is a new frame, sealed, addressed to the asking unit. CF_E_DATA for a malformed request (nothing to
 * answer), CF_E_MEMORY. Failures of the back end are replies. */
cf_status cfi_store_server_answer(cfi_store_server *server, const cfi_frame *request, cfi_frame **reply_out,
                                  cf_error *error) __attribute__((warn_unused_result));

#endif
