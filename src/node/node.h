/* One container's process: hosts the units that the plan puts into it, on one libuv loop.
 *
 * Performs the machines' actions against a transport, a store server (in the container that hosts the store) and one
 * volume for each unit, and brings them events: frames, finished writes (from one I/O thread), ticks.
 *
 * Folder of a cluster (the working folder of every node; all names in it are short, since socket paths end at 107
 * bytes):
 *   network.yaml       the resolved file
 *   plan.json          the plan that a node starts with; later ones come from the store ("plan/N")
 *   keys               CURVE keys, mode 0600, present when messaging needs them
 *   s/NAME             inbound queues over ipc://
 *   c/NAME             control sockets of the nodes; c/supervisor
 *   volumes/NAME/      each container's own volume: UNIT.wal; the store's files in store/
 *   logs/NAME.log      what the container says
 * A container of another target has a folder of the same shape with its own parts alone. */
#ifndef CFI_NODE_NODE_H
#define CFI_NODE_NODE_H

#include "shard/machine.h"

typedef struct cfi_node_options {
    const char *folder;               /* becomes the working folder */
    const char *container;            /* its name in the plan */
    const cfi_compute_ops *compute;
    uint64_t boot;                    /* unlike that of any earlier start: generation of the store server */
} cfi_node_options;

/* What a node's process exits with; the supervisor reads it. */
enum {
    CFI_NODE_STOPPED = 0,   /* SIGTERM, drained: do not restart                                      */
    CFI_NODE_RETIRED = 3,   /* the plan in force has no such container: do not restart               */
    CFI_NODE_FAILED = 4     /* start it again, with back-off; the log's last line says why           */
};

/* Runs until SIGTERM (drains: writes what is due, answers no more) or failure; returns the code to exit with. Logs to
 * stderr, one line each: "<name>: <text>". */
int cfi_node_run(const cfi_node_options *options);

#endif
