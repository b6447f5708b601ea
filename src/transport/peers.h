/* What a transport keeps for each peer, by the caller's number. One thread. */
#ifndef CFI_TRANSPORT_PEERS_H
#define CFI_TRANSPORT_PEERS_H

#include "base/status.h"

#define CFI_PEER_COUNT_MAX 65536

typedef struct cfi_peers {
    void **items; /* count; NULL: not connected */
    uint32_t count;
} cfi_peers;

/* Makes room for `peer`, so that cfi_peers_set cannot fail. CF_E_LIMIT, CF_E_MEMORY. */
cf_status cfi_peers_reserve(cfi_peers *peers, uint32_t peer, cf_error *error) __attribute__((warn_unused_result));

static inline void *cfi_peers_get(const cfi_peers *peers, uint32_t peer)
{
    return peer < peers->count ? peers->items[peer] : NULL;
}

/* Returns what was there. `peer` must have been reserved, unless item is NULL. */
void *cfi_peers_set(cfi_peers *peers, uint32_t peer, void *item);

void cfi_peers_fini(cfi_peers *peers); /* the items must be gone already */

#endif
