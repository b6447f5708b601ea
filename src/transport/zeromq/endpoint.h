/* What may be bound and connected to. Pure apart from the probe. */
#ifndef CFI_TRANSPORT_ZEROMQ_ENDPOINT_H
#define CFI_TRANSPORT_ZEROMQ_ENDPOINT_H

#include "base/status.h"

/* "ipc://PATH" or "tcp://HOST:PORT"; tcp beyond this machine only with keys. CF_E_USAGE, CF_E_LIMIT. */
cf_status cfi_zeromq_check_endpoint(const char *endpoint, bool has_keys, cf_error *error)
    __attribute__((warn_unused_result));

/* Whether a living process listens at an ipc endpoint. libzmq unlinks the socket file of whoever was there before it
 * binds, dead or alive. Never blocks. */
bool cfi_zeromq_is_listening(const char *endpoint);

#endif
