/* Starts the nodes of a cluster's folder and starts them again when they die: PID 1 of a container (one node), or of a
 * whole run on one machine (all of plan.json).
 *
 * A killed node is back in milliseconds: the child is forked from this process, which has loaded nothing but itself. It
 * restarts at once the first time, then after 0.1, 0.2, ... 5 s while it keeps failing quickly; after
 * CFI_CRASH_LOOP_MAX failures in a row without a step of progress it is left alone and says why (state "stopped").
 * Being killed by a signal
 * from outside is no failure of the node's and never counts towards that. Nodes die with their supervisor. */
#ifndef CFI_NODE_SUPERVISOR_H
#define CFI_NODE_SUPERVISOR_H

#include "shard/compute.h"

#define CFI_CRASH_LOOP_MAX 10

typedef struct cfi_supervisor_options {
    const char *folder;
    const char *container;          /* only this one; NULL: all of plan.json */
    const cfi_compute_ops *compute;
} cfi_supervisor_options;

/* Runs until SIGTERM, or "stop" on its control socket c/supervisor; then all its nodes are gone. Returns an exit code.
 * Must be called in a process with one thread. */
int cfi_supervisor_run(const cfi_supervisor_options *options);

#endif
