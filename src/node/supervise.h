/* Inside the supervisor: its loop, with what runs in a child as a parameter, so that tests can give it other children.
 * */
#ifndef CFI_NODE_SUPERVISE_H
#define CFI_NODE_SUPERVISE_H

#include "node/control_line.h"
#include "node/supervisor.h"
#include "plan/cluster.h"

#define CFI_CHILD_QUICK_MS 5000       /* a failure later than this after the start is the first of a new row */
#define CFI_CHILD_PAUSE_MS_MAX 5000
#define CFI_CHILD_STOP_MS 10000       /* between SIGTERM and SIGKILL */
#define CFI_CHILD_LOG_SIZE_MAX (8 << 20)
#define CFI_SUPERVISE_CONNECTIONS_MAX 8

typedef enum cfi_child_state {
    CFI_CHILD_WAITING,   /* to be started at start_ms */
    CFI_CHILD_RUNNING,
    CFI_CHILD_ENDING,    /* no longer wanted: SIGTERM was sent */
    CFI_CHILD_STOPPED,   /* ended by itself, or by a crash loop: `reason` */
    CFI_CHILD_GONE       /* to be forgotten */
} cfi_child_state;

typedef struct cfi_child {
    char name[CFI_CONTAINER_NAME_SIZE];
    cfi_child_state state;
    int pid;
    int64_t restarts;
    int failures;        /* in a row, each soon after its start */
    int64_t started_ms, since_ms, start_ms, kill_ms;
    bool is_wanted;      /* plan.json has it */
    char reason[128];
} cfi_child;

typedef struct cfi_supervise_options {
    const char *folder;
    const char *container;                      /* NULL: all of plan.json */
    int (*child)(void *user, const char *container, uint64_t boot); /* in the forked process; its exit code */
    void *user;
    /* Names of the containers of plan.json: calls `add` for each. */
    cf_status (*containers)(void *user, bool (*add)(void *to, const char *name), void *to, cf_error *error);
} cfi_supervise_options;

/* An exit code; in a child (*is_child_out) that of the child, with which the process is to end at once. */
int cfi_supervise(const cfi_supervise_options *options, bool *is_child_out);

/* ---- children.c ---- */

/* In a child: stdout and stderr go on in the container's log from here; one that is full becomes NAME.log.1. */
bool cfi_child_open_log(const char *container);

typedef struct cfi_children {
    const cfi_supervise_options *options;
    cfi_child *items;
    int count, capacity;
    void (*close_inherited)(void *owner); /* in a child: what only the supervisor is to hold */
    void *owner;
    bool is_stopping;
    int parent;          /* pid of the supervisor */
    int exit_code;       /* of this process, once is_child */
    bool is_child;
} cfi_children;

int64_t cfi_now_ms(void);
cf_status cfi_children_reconcile(cfi_children *children, cf_error *error) __attribute__((warn_unused_result));
/* Forks those that are due. True: this is a child now, which has run and ended with children->exit_code. */
bool cfi_children_start(cfi_children *children);
void cfi_children_reap(cfi_children *children);
void cfi_children_stop(cfi_children *children);
void cfi_children_kill_late(cfi_children *children);
bool cfi_children_are_gone(const cfi_children *children);
int cfi_children_next_ms(const cfi_children *children); /* how long a poll may last; -1: for ever */
cf_status cfi_children_status(const cfi_children *children, char **text_out, size_t *size_out, cf_error *error)
    __attribute__((warn_unused_result));
void cfi_children_log(const char *format, ...) CFI_PRINTF(1, 2);

#endif
