#include "transport/peers.h"

#include <string.h>

#include "base/alloc.h"

cf_status cfi_peers_reserve(cfi_peers *peers, uint32_t peer, cf_error *error)
{
    if (peer >= CFI_PEER_COUNT_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "peer %u: numbers go up to %d", peer, CFI_PEER_COUNT_MAX - 1);
    }
    if (peer < peers->count) {
        return CF_OK;
    }
    uint32_t count = peers->count == 0 ? 16 : peers->count;
    while (count <= peer) {
        count *= 2;
    }
    void **items = cfi_realloc(peers->items, count, sizeof *items);
    if (items == NULL) {
        return cfi_fail_memory(error, "a table of peers");
    }
    memset(items + peers->count, 0, (count - peers->count) * sizeof *items);
    peers->items = items;
    peers->count = count;
    return CF_OK;
}

void *cfi_peers_set(cfi_peers *peers, uint32_t peer, void *item)
{
    if (peer >= peers->count) {
        return NULL;
    }
    void *before = peers->items[peer];
    peers->items[peer] = item;
    return before;
}

void cfi_peers_fini(cfi_peers *peers)
{
    cfi_free(peers->items);
    *peers = (cfi_peers){NULL, 0};
}
