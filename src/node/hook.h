/* Hooks for tests of real clusters: faults and a record of what passes, by environment variables (README.md). */
#ifndef CFI_NODE_HOOK_H
#define CFI_NODE_HOOK_H

#include "transport/transport.h"

/* "drop=0.05,duplicate=0.05,seed=7": the text of CUTTLEFISH_FAULTS. The seed is mixed with the container's name, so
 * that no two containers meet the same faults. CF_E_USAGE: the text says what is wrong with which part. */
cf_status cfi_hook_parse_faults(const char *text, const char *container, cfi_fault_options *options_out,
                                cf_error *error) __attribute__((warn_unused_result));

/* Wraps an open transport as the environment demands; without the variables nothing happens. On failure *transport is
 * still the caller's, wrapped or not. */
cf_status cfi_hook_transport(const char *container, cfi_transport *transport, cf_error *error)
    __attribute__((warn_unused_result));

#endif
