/* The parts of a running network as pure state machines: event in, actions out.
 *
 * No clock, thread, socket or file in here: a node (node/) or the simulator (sim/) performs the actions and brings
 * events. The same events give the same actions, byte for byte. docs/PROTOCOL.md tells the protocol.
 *
 * One machine for each unit of the plan but the store (store/request.h serves that): controller, source, loss, shard.
 *
 * A machine's life: START -> takes a lease at the store -> reads HEAD -> loads its state of HEAD (volume, else store)
 * -> asks its neighbours for what it missed -> works -> finished (stays and answers NEED) ; REPLAN makes its host
 * throw it away and make machines of the new plan. */
#ifndef CFI_SHARD_MACHINE_H
#define CFI_SHARD_MACHINE_H

#include "config/settings.h"
#include "data/dataset.h"
#include "plan/cluster.h"
#include "shard/compute.h"
#include "wire/frame.h"

/* Nominal time between TICK events, for whoever makes them. Ticks pace what is asked for again; nothing else. */
#define CFI_TICK_MS 20

typedef struct cfi_machine cfi_machine;

/* All borrowed until cfi_machine_free. */
typedef struct cfi_machine_options {
    const cfi_settings *settings;
    const cfi_graph *graph;
    const cfi_cluster *cluster;
    int unit;
    const cfi_compute_ops *compute;
    const cfi_dataset *dataset;   /* source: needed; else NULL */
} cfi_machine_options;

/* A state found on the volume at START, checksum right. Borrowed for the call. */
typedef struct cfi_record {
    int64_t step;
    uint32_t incarnation;
    const void *bytes;
    size_t size;
} cfi_record;

typedef enum cfi_event_kind {
    CFI_MACHINE_START,     /* once, first; `records` of this unit's volume */
    CFI_MACHINE_FRAME,     /* `frame` came for this unit, or for CFI_UNIT_ALL */
    CFI_MACHINE_PERSISTED, /* the state of `step` is on the volume as durably as asked; `status` not CF_OK: it is not */
    CFI_MACHINE_TICK,
    CFI_MACHINE_REPLAN,    /* controller: the plan `text` (JSON) shall follow this one */
    CFI_MACHINE_INFER      /* source: what does the network say to these `rows` samples? ANSWER with `tag` follows */
} cfi_event_kind;

typedef struct cfi_machine_event {
    cfi_event_kind kind;
    uint64_t boot;             /* START: unlike that of any earlier start of this unit; names its requests */
    const cfi_record *records; /* START */
    int record_count;
    cfi_frame *frame;          /* FRAME; borrowed, the machine takes references of its own */
    int64_t step;              /* PERSISTED */
    cf_status status;          /* PERSISTED */
    const char *text;          /* REPLAN; borrowed */
    size_t text_size;
    const float *samples;      /* INFER: (rows, inputs), normalised; borrowed */
    int64_t rows;              /* INFER: at most training.batch */
    uint64_t tag;              /* INFER */
} cfi_machine_event;

typedef enum cfi_action_kind {
    CFI_ACTION_SEND,    /* `frame` to the `targets` (units of the plan), in this order */
    CFI_ACTION_PERSIST, /* `bytes` as the state of `step` to the volume, then PERSISTED; older steps may be
                         * overwritten once there are more than cfi_machine_record_slots() */
    CFI_ACTION_REPLAN,  /* the plan `plan` is in force now (its text is in the store under "plan/N"): free this
                         * machine and make those of that plan */
    CFI_ACTION_FAIL,    /* this unit cannot go on; `text` says why; nothing it would do is lost or wrong */
    CFI_ACTION_NOTE,    /* `text`: one line for the log */
    CFI_ACTION_ANSWER   /* to INFER `tag`: `bytes` are float32 (rows, outputs), as cfi_engine_predict gives them;
                         * size 0: no answer is to be had now */
} cfi_action_kind;

typedef struct cfi_action {
    cfi_action_kind kind;
    cfi_frame *frame;          /* SEND; owned by the action */
    const uint32_t *targets;   /* SEND; valid until the machine's next step, or the next change of the actions */
    int target_count;
    uint32_t target;           /* room for one target, which `targets` then points at */
    bool is_single;            /* `targets` is to point at `target` */
    int64_t step;              /* PERSIST */
    uint32_t incarnation;      /* PERSIST */
    unsigned char *bytes;      /* PERSIST, ANSWER; owned by the action (cfi_free) */
    size_t size;
    uint32_t plan;             /* REPLAN */
    uint64_t tag;              /* ANSWER */
    bool is_replaced;          /* FAIL: another start has this unit's lease, so this process has to end */
    char text[256];            /* FAIL, NOTE */
} cfi_action;

/* Grows as needed; cleared by the performer. */
typedef struct cfi_actions {
    cfi_action *items;
    int count, capacity;
    bool is_short;             /* memory was short: some action is missing; the performer ends the node */
} cfi_actions;

void cfi_actions_clear(cfi_actions *actions); /* gives back frames and bytes; keeps the room */
void cfi_actions_fini(cfi_actions *actions);

cf_status cfi_machine_new(const cfi_machine_options *options, cfi_machine **machine_out, cf_error *error)
    __attribute__((warn_unused_result));
void cfi_machine_free(cfi_machine *machine); /* NULL is fine */

/* The pure transition: appends to `actions`. */
void cfi_machine_step(cfi_machine *machine, const cfi_machine_event *event, cfi_actions *actions);

/* What the volume must have room for: bytes of the largest record (0: this unit keeps nothing), and how many. */
size_t cfi_machine_record_size(const cfi_machine *machine);
int cfi_machine_record_slots(const cfi_machine *machine);

/* ---- For status ---- */

typedef struct cfi_machine_status {
    const char *phase;         /* "lease", "head", "load", "run", "finished", "failed" */
    int64_t step, head;
    uint32_t incarnation, plan;
    int64_t inbox_frames, outbox_frames, outbox_bytes;
    int waiting_for;           /* unit whose value is missing; -1 = nobody */
    const char *waiting_kind;  /* "forward", "store", ...; "" */
    int64_t waiting_ticks;
    bool is_finished;          /* the last step is durable everywhere (controller), or done (others) */
    bool has_failed;
    char text[256];            /* why it failed */
    uint64_t duplicates, stale, refused, needs_sent, replayed, steps_done; /* counted */
    char chain[CFI_HASH_TEXT_SIZE]; /* controller: at HEAD; else "" */
    /* loss: what is known so far, NaN where nothing is */
    double loss, accuracy, validation_loss, validation_accuracy, test_loss, test_accuracy;
    int64_t samples;
    bool stopped_early;
} cfi_machine_status;

void cfi_machine_status_get(const cfi_machine *machine, cfi_machine_status *status_out);

/* ---- The record under the key "head" of the store, written by the controller alone (CAS) ---- */

typedef struct cfi_head {
    int64_t step;              /* every unit's state of this step is durable                     */
    cfi_hash chain;            /* of all chain steps up to `step`                                */
    uint32_t plan, epoch;      /* the plan in force, and how often the controller changed        */
    int64_t limit;             /* no step from here on is begun before the plan changes; INT64_MAX = none */
    int64_t end;               /* training ends at this step (known early by patience; else step_count) */
    bool is_finished;          /* step == end, and the evaluation of W[end] is known */
    cfi_hash final_chain;      /* finished: the chain with W[end] in it, as `train` prints it; else 0 */
} cfi_head;

#define CFI_HEAD_SIZE 80
void cfi_head_encode(const cfi_head *head, unsigned char bytes[CFI_HEAD_SIZE]);
cf_status cfi_head_decode(const void *bytes, size_t size, cfi_head *head_out, cf_error *error)
    __attribute__((warn_unused_result));

/* Keys of the store. `size` of `key` CFI_STORE_KEY_SIZE_MAX. "head", "plan/N", "network" and
 * "state/STAGE/BEGIN-END/STEP" (STAGE "loss" for the loss's own state), "manifest/STEP". */
void cfi_key_state(char *key, size_t size, int stage, int64_t begin, int64_t end, int64_t step);
void cfi_key_lease(char *key, size_t size, uint32_t plan, int unit);
void cfi_key_plan(char *key, size_t size, uint32_t plan);

#endif
