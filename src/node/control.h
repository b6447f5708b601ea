/* The control socket: how the command asks a node or a supervisor something, over a Unix socket in the cluster's
 * folder.
 *
 * One request on each connection: a line "OP ARGUMENT LENGTH\n" (ARGUMENT "-" when there is none; LENGTH of the body
 * that follows, 0 without one), the answer "ok LENGTH\n" or "error LENGTH\n" and that many bytes. Both sides bound all
 * lengths.
 *
 *   node        status - 0             JSON: container, pid, units (each as cfi_machine_status), transport counts
 *               get KEY 0              value of the store (the container that hosts the store)
 *               list PREFIX 0          keys, a line each (likewise)
 *               replan - N             the next plan, JSON (the container that hosts the controller)
 *               infer ROWS N           of (ROWS, inputs) float32, normalised, as they are in memory: (ROWS, outputs);
 *                                      0 bytes: no answer now (the container that hosts the source; waits up to 8 s)
 *   supervisor  status - 0             JSON: containers with pid, state, restarts, last exit, since
 *               reconcile - 0          plan.json has changed: start what is new, stop what is gone
 *               stop - 0               stop all nodes, then itself; answers when the nodes are gone */
#ifndef CFI_NODE_CONTROL_H
#define CFI_NODE_CONTROL_H

#include "base/status.h"

#define CFI_CONTROL_BODY_MAX ((size_t)512 << 20)

/* Asks and waits up to timeout_ms. *answer_out (NUL-terminated one past its size) is freed with cfi_free. `path` may be
 * longer than a socket's name can be (it is reached through its folder). CF_E_NOT_FOUND: nobody there. CF_E_IO: broken
 * off, or no answer in time. CF_E_USAGE: the answer was "error", its text in `error`. */
cf_status cfi_control_ask(const char *path, const char *operation, const char *argument, const void *body,
                          size_t body_size, int timeout_ms, char **answer_out, size_t *size_out, cf_error *error)
    __attribute__((warn_unused_result));

#endif
