/* A whole cluster in one thread: the real machines, arithmetic, store server and volumes; everything else is made up
 * from one seed: time, network, disks, processes and what goes wrong with them.
 *
 * A seed decides the cut, the placement, which kinds of faults there are and how often. After some steps everything
 * heals, and the run must finish with the weights of `train`. What must hold at every moment is checked all along
 * (README.md lists it). The same seed gives the same events, byte for byte: `trace` is a hash over all of them.
 *
 * Threads: one at a time; the plan for failing allocations (base/alloc.h) is the process's own while a seed runs. */
#ifndef CFI_SIM_SIM_H
#define CFI_SIM_SIM_H

#include "config/settings.h"
#include "data/dataset.h"
#include "graph/graph.h"
#include "shard/compute.h"

/* What can go wrong. */
typedef enum cfi_sim_fault {
    CFI_SIM_DROP, CFI_SIM_DUPLICATE, CFI_SIM_REORDER, CFI_SIM_CORRUPT, CFI_SIM_CUT_BOTH_WAYS, CFI_SIM_CUT_ONE_WAY,
    CFI_SIM_CRASH, CFI_SIM_CRASH_AT_IO, CFI_SIM_CRASH_ALL, CFI_SIM_POWER_LOSS, CFI_SIM_TORN_WRITE, CFI_SIM_SYNC_ERROR,
    CFI_SIM_WRITE_ERROR, CFI_SIM_DISK_FULL, CFI_SIM_SLOW_DISK, CFI_SIM_BIT_ROT, CFI_SIM_VOLUME_LOST, CFI_SIM_PAUSE,
    CFI_SIM_TWIN, CFI_SIM_TWO_CONTROLLERS, CFI_SIM_CONTROLLER_CRASH, CFI_SIM_STORE_CRASH, CFI_SIM_STORE_OLD,
    CFI_SIM_STORE_FULL, CFI_SIM_REPLAN, CFI_SIM_NO_MEMORY, CFI_SIM_ODD_TICKS, CFI_SIM_FAULT_COUNT
} cfi_sim_fault;

const char *cfi_sim_fault_name(cfi_sim_fault fault); /* "drop", "volume lost", ... */

/* All borrowed until cfi_sim_free. */
typedef struct cfi_sim_options {
    const cfi_settings *settings;
    const cfi_graph *graph;
    const cfi_dataset *dataset;
    const cfi_compute_ops *compute;
    int64_t steps;      /* training ends after this many */
    int containers;     /* 0: another number for each seed */
} cfi_sim_options;

typedef struct cfi_sim cfi_sim;

/* Computes what every run must come to, with the engine of one process. CF_E_USAGE, CF_E_MEMORY, CF_E_NUMERIC, and what
 * cfi_engine_new and cfi_cluster_stages return. */
cf_status cfi_sim_new(const cfi_sim_options *options, cfi_sim **sim_out, cf_error *error)
    __attribute__((warn_unused_result));
void cfi_sim_free(cfi_sim *sim); /* NULL is fine */

/* The chain that every run must come to, as `train` prints it; `text` has CFI_HASH_TEXT_SIZE bytes. */
void cfi_sim_chain(const cfi_sim *sim, char *text);

/* One place where a process does something to the world outside: a disk call, or an action performed. */
typedef enum cfi_sim_point_kind {
    CFI_SIM_POINT_NONE, CFI_SIM_POINT_BEFORE /* the process dies before it */, CFI_SIM_POINT_AFTER /* dies after it */,
    CFI_SIM_POINT_FAIL /* disk calls: fails with an I/O error */, CFI_SIM_POINT_SHORT /* writes: half of it is written,
    then the error */, CFI_SIM_POINT_FULL /* disk calls: CF_E_LIMIT */
} cfi_sim_point_kind;

/* Counted over the whole run, so that a test can go through all of them. */
typedef struct cfi_sim_point {
    cfi_sim_point_kind kind;
    int64_t number;     /* from 0 over the whole run: BEFORE and AFTER count all of them, the others disk calls */
} cfi_sim_point;

enum { CFI_SIM_POINTS_MAX = 4 };

typedef struct cfi_sim_run {
    uint64_t seed;
    bool is_calm;       /* no faults but those at `points` */
    cfi_sim_point points[CFI_SIM_POINTS_MAX];
    void (*on_line)(void *user, const char *line); /* each event as a line of text; NULL: none */
    void *user;
} cfi_sim_run;

typedef struct cfi_sim_result {
    bool has_failed;
    int oracle;                      /* the number of the broken one (README.md) */
    char violation[512];             /* what was seen, with virtual time */
    uint64_t trace;                  /* hash over all events */
    int64_t steps, events, points, disk_points; /* steps of HEAD; points: as in cfi_sim_point */
    int64_t microseconds;            /* virtual */
    int64_t faults[CFI_SIM_FAULT_COUNT];
    int units, containers;           /* of the first plan */
} cfi_sim_result;

/* Runs one seed. A broken oracle is a result; failures are CF_E_MEMORY and defects of the simulator. */
cf_status cfi_sim_seed(cfi_sim *sim, const cfi_sim_run *run, cfi_sim_result *result_out, cf_error *error)
    __attribute__((warn_unused_result));

#endif
