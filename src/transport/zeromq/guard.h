/* Who may connect: the handler of ZeroMQ's authentication protocol (ZAP, RFC 27), and a count of the refused.
 *
 * Zeroed: there are no keys, and every function does nothing. One thread, the transport's. */
#ifndef CFI_TRANSPORT_ZEROMQ_GUARD_H
#define CFI_TRANSPORT_ZEROMQ_GUARD_H

#include "base/status.h"

typedef struct cfi_zeromq_guard {
    void *handler;                 /* REP socket that libzmq asks about each client */
    void *monitor;                 /* PAIR socket that tells of failed handshakes   */
    unsigned char public_key[32];
    uint64_t refused;
} cfi_zeromq_guard;

/* From now on only holders of `public_key` (Z85) get through to `pull`. */
cf_status cfi_zeromq_guard_init(cfi_zeromq_guard *guard, void *context, void *pull, const char *public_key,
                                cf_error *error) __attribute__((warn_unused_result));
void cfi_zeromq_guard_pump(cfi_zeromq_guard *guard); /* answers and counts what is there; never blocks */
int cfi_zeromq_guard_descriptors(const cfi_zeromq_guard *guard, int *fds);
void cfi_zeromq_guard_fini(cfi_zeromq_guard *guard, void *pull); /* before `pull` is closed */

#endif
