/* The contract of an orchestrator: what makes containers run somewhere, and knows which do.
 *
 * It starts, lists, kills and removes containers; what happens inside them is not its business. All state is with the
 * target itself and in the cluster's folder, so that any process may open it, at any time, after any crash.
 * Threads: one at a time. Calls block, with bounded waits. */
#ifndef CFI_ORCHESTRATOR_ORCHESTRATOR_H
#define CFI_ORCHESTRATOR_ORCHESTRATOR_H

#include "plan/cluster.h"

#define CFI_ORCHESTRATOR_ABI 1

typedef struct cfi_orchestrator_options {
    const char *folder;       /* of the cluster (node/node.h); there, with network.yaml, before up() */
    const char *command;      /* path of the cuttlefish command that containers run */
} cfi_orchestrator_options;

typedef enum cfi_container_state {
    CFI_CONTAINER_STARTING, CFI_CONTAINER_RUNNING, CFI_CONTAINER_WAITING /* to be started again */,
    CFI_CONTAINER_STOPPED /* for good: crash loop or retired */, CFI_CONTAINER_GONE
} cfi_container_state;

typedef struct cfi_container_report {
    char name[CFI_CONTAINER_NAME_SIZE];
    cfi_container_state state;
    int64_t pid;              /* on this machine; 0 = none */
    int64_t restarts;
    char reason[128];         /* of the last exit: "killed by signal 9", "exit 4", "" */
} cfi_container_report;

typedef struct cfi_orchestrator_ops {
    uint32_t abi;
    size_t size;
    const char *name;         /* key in the file: "local" */
    cf_status (*open)(void *self, const cfi_orchestrator_options *options, cf_error *error);
    /* Fills the containers' endpoints: how they will reach each other on this target. `scheme` "ipc", "tcp" or
     * "tcp:PORT" (the first port to use). `before` is the plan that runs now, NULL when nothing does: a container that
     * is in it too keeps its endpoint, no other gets one of it. */
    cf_status (*address)(void *self, cfi_cluster *cluster, const cfi_cluster *before, const char *scheme,
                         cf_error *error);
    /* Makes what runs equal to the cluster: starts what is missing, stops what is not in it. Idempotent; resumes what
     * was interrupted. plan.json has been written. Returns when all are running. */
    cf_status (*up)(void *self, const cfi_cluster *cluster, cf_error *error);
    /* *reports_out: an array, freed with cfi_free. Nothing runs: count 0. */
    cf_status (*list)(void *self, cfi_container_report **reports_out, int *count_out, cf_error *error);
    /* Asks a container's control socket (node/control.h). From several threads at once too. */
    cf_status (*ask)(void *self, const char *container, const char *operation, const char *argument, const void *body,
                     size_t body_size, int timeout_ms, char **answer_out, size_t *size_out, cf_error *error);
    /* A signal to a container's process: SIGKILL, SIGSTOP, SIGCONT. "*" with SIGKILL: everything, at once. */
    cf_status (*kill)(void *self, const char *container, int signal, cf_error *error);
    /* Stops everything and removes what up() made outside the volumes. Nothing running: CF_OK. */
    cf_status (*down)(void *self, cf_error *error);
    void (*close)(void *self); /* the cluster runs on */
} cfi_orchestrator_ops;

typedef struct cfi_orchestrator {
    const cfi_orchestrator_ops *ops;
    void *self;
} cfi_orchestrator;

cf_status cfi_orchestrator_open(const char *name, const cfi_orchestrator_options *options,
                                cfi_orchestrator *orchestrator_out, cf_error *error)
    __attribute__((warn_unused_result));
void cfi_orchestrator_close(cfi_orchestrator *orchestrator);

#endif
