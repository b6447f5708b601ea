/* Inside of the simulator: one world, made for one seed and thrown away after it.
 *
 * A place is where a container of some name runs: it has a disk, and at most one process that is current. Further
 * processes of the same place are zombies: paused or cut off while another host started the container again. */
#ifndef CFI_SIM_WORLD_H
#define CFI_SIM_WORLD_H

#include "node/volume.h"
#include "shard/machine.h"
#include "sim/sim.h"
#include "store/request.h"

enum {
    SIM_PLACES_MAX = 64,
    SIM_PLANS_MAX = 16,
    SIM_PROCESSES_MAX = 4096,
    SIM_UNITS_MAX = 256
};
#define SIM_MS ((int64_t)1000) /* virtual time is in microseconds */
#define SIM_SECOND (1000 * SIM_MS)
#define SIM_NEVER INT64_MAX

/* ---- What a run must come to (golden.c) ---- */

typedef struct sim_golden {
    cfi_hash *chain;          /* (steps + 1): of all chain steps up to here, as HEAD's record holds it */
    cfi_hash *final_chain;    /* (steps + 1): as `train` would print it, ending here */
    unsigned char **states;   /* (stage_count): W[end] of each whole stage; NULL before the calm run has told */
    size_t *state_sizes;
    int64_t end;              /* where the calm run ended */
} sim_golden;

struct cfi_sim {
    cfi_sim_options options;
    cfi_settings settings;    /* shallow copy of the caller's: micro-batches differ from seed to seed */
    cfi_stage *stages;
    int stage_count;
    cfi_work work;            /* what seeds start from */
    int64_t micro_choices[8];
    int micro_choice_count;
    uint64_t digest;
    sim_golden golden;
};

cf_status sim_golden_init(cfi_sim *sim, cf_error *error) __attribute__((warn_unused_result));
void sim_golden_fini(cfi_sim *sim);

/* ---- Draws (draw.c): counted, so that a seed draws the same again ---- */

typedef struct sim_draws {
    uint64_t seed;
    uint32_t count;
    uint32_t words[4];
} sim_draws;

uint32_t sim_draw(sim_draws *draws);
int64_t sim_draw_range(sim_draws *draws, int64_t least, int64_t most); /* both included */
bool sim_draw_chance(sim_draws *draws, double probability);
int64_t sim_draw_waiting(sim_draws *draws, int64_t mean); /* exponential, at least 1 */

/* ---- Events (events.c): a heap by (time, number) ---- */

typedef enum sim_event_kind {
    SIM_EVENT_START,      /* place: its container starts */
    SIM_EVENT_TICK,       /* process */
    SIM_EVENT_FRAME,      /* process: frame */
    SIM_EVENT_WRITE,      /* process, unit, step: the I/O thread writes bytes to the volume */
    SIM_EVENT_PERSISTED,  /* process, unit, step, status */
    SIM_EVENT_FETCH,      /* process: reads the plan that is in force now from the store */
    SIM_EVENT_FAULT,      /* number: cfi_sim_fault */
    SIM_EVENT_MEND,       /* number: cfi_sim_fault whose effect ends; place, process as it needs */
    SIM_EVENT_SCALE,      /* asks the controller for the newest plan until it is in force */
    SIM_EVENT_HEAL,       /* everything mends */
    SIM_EVENT_COUNT
} sim_event_kind;

typedef struct sim_event {
    int64_t time;
    uint64_t sequence;
    sim_event_kind kind;
    int place, process, unit, number;
    int64_t step;
    cf_status status;
    uint32_t incarnation;
    cfi_frame *frame;         /* owned */
    unsigned char *bytes;     /* owned */
    size_t size;
} sim_event;

typedef struct sim_events {
    sim_event *items;
    int count, capacity;
    uint64_t sequence;
} sim_events;

bool sim_events_add(sim_events *events, const sim_event *event); /* takes frame and bytes, also on failure */
bool sim_events_take(sim_events *events, sim_event *event_out);  /* false: empty */
void sim_event_fini(sim_event *event);
void sim_events_fini(sim_events *events);

/* ---- Disks (disk.c) ---- */

typedef struct sim_write {
    int64_t offset;
    size_t size;
    unsigned char *bytes;
} sim_write;

typedef struct sim_file {
    char name[CFI_UNIT_NAME_SIZE + 16];
    unsigned char *seen, *durable; /* as processes see it; as the platter has it */
    int64_t size, durable_size;
    sim_write *writes;             /* seen, not yet durable */
    int write_count, write_capacity;
} sim_file;

typedef struct sim_disk {
    struct sim_world *world;
    sim_file **files;              /* in the order they were made; NULL: removed */
    int file_count, file_capacity;
    bool is_full;                  /* no room for new files */
    int fail_writes, fail_syncs;   /* so many calls fail from now on */
    int64_t latency;
    bool was_power_safe;
} sim_disk;

sim_disk *sim_disk_new(struct sim_world *world);
void sim_disk_free(sim_disk *disk);
cfi_disk sim_disk_use(sim_disk *disk);
void sim_disk_power_loss(sim_disk *disk); /* any part of what was not synced is lost */
void sim_disk_rot(sim_disk *disk);        /* one bit of one file */
void sim_disk_wipe(sim_disk *disk);

/* ---- Processes (process.c) ---- */

typedef struct sim_unit {
    int index;
    cfi_machine *machine;
    cfi_volume *volume;
    int64_t last_step;             /* as the last look saw it */
} sim_unit;

typedef struct sim_process {
    int place, plan;               /* plan: index in world->plans */
    bool is_alive, is_disk_hurt;   /* is_disk_hurt: a failing disk may end its units */
    int64_t paused_until;          /* 0: not paused */
    int64_t disk_free_at, born_at;
    sim_disk *disk;
    sim_unit *units;
    int unit_count;
    bool has_store;
    cfi_store_server server;
    uint32_t wanted_plan;          /* id of the plan to be fetched; 0: none */
} sim_process;

enum { SIM_ALIVE_MAX = 4 };

typedef struct sim_place {
    char name[CFI_CONTAINER_NAME_SIZE];
    int current;                   /* process; -1: none */
    int alive[SIM_ALIVE_MAX];      /* all its processes, the current one and zombies, in the order of their birth */
    int alive_count;
    bool is_retired, is_starting;
    int plan;                      /* what its next process starts with */
    int64_t fails;                 /* starts that failed, in a row */
    sim_disk *disk;
} sim_place;

/* ---- The store (keeper.c): what survives its process ---- */

typedef struct sim_keeper {
    struct sim_world *world;
    cfi_store inner, outer;        /* memory; what the server uses: inner, watched and failing on command */
    cfi_store snapshot;
    bool has_snapshot, is_full;
    uint64_t generation;
    cfi_head head;                 /* the last record seen written */
    bool has_head;
    int64_t highest;               /* step that HEAD ever had */
    int64_t restored_at;           /* time; -1: never */
} sim_keeper;

cf_status sim_keeper_init(sim_keeper *keeper, struct sim_world *world, cf_error *error)
    __attribute__((warn_unused_result));
void sim_keeper_fini(sim_keeper *keeper);
cf_status sim_keeper_snapshot(sim_keeper *keeper, cf_error *error) __attribute__((warn_unused_result));
bool sim_keeper_restore(sim_keeper *keeper); /* false: there is no snapshot */

/* ---- The world ---- */

/* How much of what this seed has. */
typedef struct sim_weather {
    double drop, duplicate, reorder, corrupt, torn, no_memory;
    int64_t latency, spread;       /* of a frame */
    int64_t disk_latency, restart; /* restart: longest wait */
    int64_t every[CFI_SIM_FAULT_COUNT]; /* mean time between two; 0: never */
    int64_t lasting;               /* mean length of cuts and pauses */
    bool is_power_safe, has_odd_ticks;
} sim_weather;

typedef struct sim_world {
    cfi_sim *sim;
    const cfi_sim_run *run;
    cfi_sim_result *result;
    sim_draws draws;
    sim_events events;
    int64_t now;
    bool is_short;                 /* the simulator itself is out of memory */
    bool is_over;
    cfi_settings settings;         /* with this seed's micro-batches */
    sim_weather weather;
    bool is_healed;
    int64_t heal_step, deadline;

    cfi_cluster plans[SIM_PLANS_MAX];
    char *plan_texts[SIM_PLANS_MAX];
    int plan_count;
    int plan_in_force;             /* index */
    sim_place places[SIM_PLACES_MAX];
    int place_count;
    int place_of[SIM_PLANS_MAX][SIM_PLACES_MAX]; /* of each container of each plan */
    sim_disk **disks;              /* all, also those that nobody uses any more */
    int disk_count, disk_capacity;
    sim_process *processes;        /* (SIM_PROCESSES_MAX) */
    int process_count;
    int running;                   /* the process that is at work; -1: none */
    int dead[SIM_PLACES_MAX * SIM_ALIVE_MAX]; /* died in this event, still to be freed */
    int dead_count;
    cfi_sim_point_kind point;      /* what was planned for the present I/O point */
    cfi_actions actions;
    sim_keeper keeper;
    int64_t cut_until[SIM_PLACES_MAX][SIM_PLACES_MAX]; /* from, to */
    int64_t last_arrival[SIM_PLACES_MAX][SIM_PLACES_MAX];

    /* Damage that the promise allows one at a time: a step and the step of HEAD from which on it is made good. */
    int64_t volume_mended_at, store_mended_at; /* -1: nothing was damaged */
    int snapshot_plan;             /* in force when the store was copied */
    bool crash_at_next_io;
    uint64_t boots;
    int64_t *persisted;            /* (SIM_PLANS_MAX * SIM_UNITS_MAX): highest step on a volume */
    uint32_t *leases, *leases_ever; /* likewise: highest incarnation given, by the store as it is now and by any */
} sim_world;

/* world.c */
void sim_violate(sim_world *world, int oracle, const char *format, ...) __attribute__((format(printf, 3, 4)));
void sim_count(sim_world *world, cfi_sim_fault fault);
void sim_add(sim_world *world, const sim_event *event);
void sim_trace(sim_world *world, uint64_t a, uint64_t b);
void sim_say(sim_world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool sim_has_listener(const sim_world *world);

/* plans.c: cuts and placements from the seed */
cf_status sim_plan_add(sim_world *world, cf_error *error) __attribute__((warn_unused_result));
void sim_plans_fini(sim_world *world);
int sim_place_find(const sim_world *world, const char *name); /* -1: none */

/* process.c */
void sim_process_start(sim_world *world, int place);
void sim_process_crash(sim_world *world, int process, bool is_power_loss);
/* `unit`: place in the process's own list. */
void sim_process_step(sim_world *world, int process, int unit, const cfi_machine_event *event);
void sim_process_frame(sim_world *world, int process, int from_place, cfi_frame *frame);
void sim_process_persisted(sim_world *world, const sim_event *event);
void sim_process_store_stops(sim_world *world);
void sim_process_tick(sim_world *world, int process);
void sim_process_write(sim_world *world, const sim_event *event);
void sim_process_fetch(sim_world *world, int process);
void sim_process_reap(sim_world *world); /* frees what the dead ones held */
sim_disk *sim_disk_for(sim_world *world); /* a new one, in world->disks */
int sim_store_process(const sim_world *world); /* the one that serves the store now; -1: none */
void sim_start_later(sim_world *world, int place, int64_t delay);
/* One I/O point. False: the process is dead, and whatever it was about to do does not happen. */
bool sim_point_before(sim_world *world);
void sim_point_after(sim_world *world);
cfi_sim_point_kind sim_point_of_disk(sim_world *world); /* how the present disk call shall fail */

/* network.c */
void sim_send(sim_world *world, int from_process, int to_place, cfi_frame *frame);

/* faults.c */
void sim_weather_init(sim_world *world);
void sim_faults_begin(sim_world *world);
void sim_fault(sim_world *world, cfi_sim_fault fault);
void sim_mend(sim_world *world, const sim_event *event);
void sim_heal(sim_world *world);
void sim_scale(sim_world *world);
bool sim_can_hurt_volume(const sim_world *world);
void sim_volume_was_hurt(sim_world *world);

/* oracles.c */
void sim_check_head(sim_world *world, const cfi_head *head);
void sim_check_unit(sim_world *world, const sim_process *process, const sim_unit *unit);
void sim_check_failure(sim_world *world, const sim_process *process, const sim_unit *unit, const char *text);
void sim_check_request(sim_world *world, const cfi_frame *request, const cfi_frame *reply);
void sim_check_end(sim_world *world);
bool sim_is_finished(const sim_world *world);

#endif
