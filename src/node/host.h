/* Inside a node: one container's units on one libuv loop. No globals, so that several can run on threads of one
 * process.
 *
 * One thread, the loop's, but for the I/O thread behind io.h and cfi_host_stop. */
#ifndef CFI_NODE_HOST_H
#define CFI_NODE_HOST_H

#include <uv.h>

#include "node/control_server.h"
#include "node/io.h"
#include "node/node.h"
#include "store/request.h"
#include "transport/transport.h"

#define CFI_HOST_TURN_FRAMES 256 /* taken from the transport before timers and the control socket have their turn */

typedef struct cfi_host_options {
    const char *folder;               /* all files are below it; "." for a process that is in it already */
    const char *container;
    const cfi_compute_ops *compute;
    uint64_t boot;
    const char *transport, *store;    /* names; NULL: as the settings say */
    bool handles_signals;             /* SIGTERM ends it */
} cfi_host_options;

typedef struct cfi_host_unit {
    int index;                        /* in the plan */
    cfi_machine *machine;
    cfi_volume *volume;               /* NULL: keeps nothing */
} cfi_host_unit;

/* A frame for units here; `unit` (of the plan) or CFI_UNIT_ALL. */
typedef struct cfi_host_arrival {
    cfi_frame *frame;
    uint32_t unit;
} cfi_host_arrival;

typedef struct cfi_host_counts {
    uint64_t foreign;                 /* frames of another run or digest   */
    uint64_t misdirected;             /* for units that are not here       */
    uint64_t malformed;               /* store requests that say nothing   */
    uint64_t unsent;                  /* the transport had no room         */
} cfi_host_counts;

#define CFI_HOST_LINE_SIZE 448
#define CFI_HOST_LINES_KEPT 8

typedef struct cfi_host_line {
    char text[CFI_HOST_LINE_SIZE];
    uint64_t repeats;                 /* since it was written */
} cfi_host_line;

typedef struct cfi_node_host {
    cfi_host_options options;
    uv_loop_t loop;
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    uv_idle_t busy;                   /* active while more waits than one turn takes */
    uv_timer_t ticker;
    uv_signal_t ending;
    uv_async_t written, stopping;
    uv_poll_t polls[CFI_TRANSPORT_DESCRIPTORS_MAX];
    int poll_count;
    int exit_code;
    bool is_ending, has_loop;

    cfi_settings settings;
    cfi_graph graph;
    cfi_dataset dataset;
    bool has_dataset;
    cfi_cluster cluster;
    int container;                    /* own index in the plan */
    cfi_host_unit *units;
    int unit_count;
    int *unit_at;                     /* of each unit of the plan: index in `units`, -1: not here */
    cfi_io *io;

    cfi_transport transport;
    char (*peers)[CFI_ENDPOINT_SIZE_MAX]; /* endpoints connected to, by the peer's number */
    int peer_count, peer_capacity;
    int *peer_of;                     /* of each container of the plan, -1: not yet */
    uint64_t *sent_at;                /* of each container: number of the last send */
    uint64_t send_number;

    cfi_host_arrival *arrivals;       /* ring of frames between units of this container */
    int arrival_first, arrival_count, arrival_capacity;
    cfi_actions actions;

    cfi_store store;
    cfi_store_server server;
    bool has_store;
    cfi_cluster asker_plan;           /* another plan than the own one that a unit asked the store from; id 0: none */

    uint32_t wanted_plan;             /* fetched from the store; 0: none */
    uint64_t fetch_tag;
    int fetch_ticks;
    uint64_t plans_started;           /* how often units were started: no two starts name requests alike */
    cfi_control_server *control;
    cfi_host_counts counts;
    cfi_host_line lines[CFI_HOST_LINES_KEPT]; /* said last */
    int next_line, log_ticks;
} cfi_node_host;

/* ---- log.c ---- */
/* One line on stderr. One that is among the last few is counted, and said again with the number every 10 s. */
void cfi_host_log(cfi_node_host *host, const char *format, ...) CFI_PRINTF(2, 3);
void cfi_host_log_tick(cfi_node_host *host);
void cfi_host_log_flush(cfi_node_host *host);

/* ---- host.c ---- */
/* CF_E_CANCELLED: the plan has no such container (retired). */
cf_status cfi_host_new(const cfi_host_options *options, cfi_node_host **host_out, cf_error *error)
    __attribute__((warn_unused_result));
int cfi_host_run(cfi_node_host *host);     /* until it ends; the code to exit with */
void cfi_host_stop(cfi_node_host *host);   /* any thread, while run() runs */
void cfi_host_free(cfi_node_host *host);   /* NULL and half-made are fine */
void cfi_host_end(cfi_node_host *host, int exit_code); /* the loop ends after this turn; the first code counts */
cf_status cfi_host_path(const cfi_node_host *host, char *path, size_t size, const char *name, cf_error *error)
    __attribute__((warn_unused_result));

/* ---- units.c: settings, plan, machines, volumes ---- */
cf_status cfi_host_read(cfi_node_host *host, cf_error *error) __attribute__((warn_unused_result));
cf_status cfi_host_populate(cfi_node_host *host, cf_error *error) __attribute__((warn_unused_result));
void cfi_host_start_units(cfi_node_host *host);
void cfi_host_clear_units(cfi_node_host *host);
int cfi_host_writes_max(const cfi_node_host *host); /* states that may wait for the disk at a time */

/* ---- route.c: events to machines, their actions, frames in and out ---- */
void cfi_host_step(cfi_node_host *host, cfi_host_unit *unit, const cfi_machine_event *event);
void cfi_host_turn(cfi_node_host *host);   /* takes what has come, at most a turn's worth */
void cfi_host_send(cfi_node_host *host, const cfi_cluster *cluster, int container, cfi_frame *frame);
/* To the container of a unit of `cluster`, be it this one. */
void cfi_host_send_to(cfi_node_host *host, const cfi_cluster *cluster, uint32_t unit, cfi_frame *frame);
void cfi_host_clear_arrivals(cfi_node_host *host);

/* ---- serve.c: the store's server, and fetching another plan ---- */
void cfi_host_serve(cfi_node_host *host, cfi_frame *request);
void cfi_host_watch_head(cfi_node_host *host);
void cfi_host_fetch_plan(cfi_node_host *host);                         /* asks, or asks again */
void cfi_host_take_plan(cfi_node_host *host, const cfi_frame *reply);  /* the answer */

/* ---- node.c ---- */
void cfi_host_trim(void);             /* gives back to the kernel what starting took */

/* ---- status.c: the control socket's operations ---- */
cf_status cfi_host_control(void *host, const cfi_control_request *request, char **answer_out, size_t *size_out,
                           cf_error *error);

/* ---- ask.c: questions to the network ---- */
/* Brings them to the source's machine; *is_later: cfi_host_answer follows, or the unit goes and all get 0 bytes. */
cf_status cfi_host_infer(cfi_node_host *host, const cfi_control_request *request, cf_error *error)
    __attribute__((warn_unused_result));
void cfi_host_answer(cfi_node_host *host, cfi_action *action);

#endif
