/* Inside of the machines: what all of them share. See README.md for which file does what.
 *
 * A machine is one struct: life (lease, HEAD, loading), the store's requests, inbox, outbox, the states kept until HEAD
 * has passed them, and a role (source, loss, shard, controller) that does the work. */
#ifndef CFI_SHARD_PARTS_H
#define CFI_SHARD_PARTS_H

#include <stdarg.h>

#include "base/planted.h"
#include "shard/machine.h"
#include "shard/work.h"
#include "store/request.h"

enum {
    PART_EDGES_MAX = 4,          /* kinds of values that one unit waits for                          */
    PART_ASK_TICKS = 2,          /* waiting this long for a value, its producer is asked for it      */
    PART_ASK_TICKS_MAX = 50,     /* ... and again after twice as long each time, up to a second      */
    PART_REQUEST_TICKS = 10,     /* a request to the store is repeated after                         */
    PART_REPORT_TICKS = 10       /* a report that did not move HEAD is repeated after                */
};

typedef enum part_phase {
    PART_IDLE, PART_LEASE, PART_HEAD, PART_LOAD, PART_RUN, PART_FINISHED, PART_FAILED, PART_REPLANNED
} part_phase;

/* ---- inbox.c: named values that have come, until HEAD has passed them ---- */

/* One kind of value that this unit needs of each unit in a range: FORWARD of the stage before, ... */
typedef struct part_edge {
    uint8_t kind;
    uint32_t first_unit;
    int count;
} part_edge;

/* What has come of one kind for one (step, micro). A frame that was used is gone, its hash stays: a duplicate with
 * another hash is a divergence. */
typedef struct part_group {
    struct part_group *next;
    int edge;
    int64_t step;
    uint32_t micro;
    int received;
    bool is_used;
    cfi_frame **frames; /* (edge's count) */
    uint64_t *hashes;
} part_group;

typedef struct part_inbox {
    part_edge edges[PART_EDGES_MAX];
    int edge_count;
    part_group **steps;  /* (step_count): groups of step s are listed at s % step_count */
    int64_t step_count;
    int64_t frames;      /* held now */
} part_inbox;

typedef enum part_taken { PART_TAKEN, PART_DUPLICATE, PART_DIVERGED, PART_NO_MEMORY } part_taken;

cf_status part_inbox_init(part_inbox *inbox, int64_t step_count, cf_error *error) __attribute__((warn_unused_result));
void part_inbox_fini(part_inbox *inbox);
void part_inbox_add_edge(part_inbox *inbox, cfi_frame_kind kind, int first_unit, int count);
int part_inbox_edge(const part_inbox *inbox, const cfi_frame_header *header); /* -1: not a value for this unit */
part_taken part_inbox_add(part_inbox *inbox, int edge, cfi_frame *frame);
part_group *part_inbox_find(const part_inbox *inbox, int edge, int64_t step, int64_t micro); /* NULL: nothing came */
/* The frames of a whole set, in the order of their units; NULL while one is missing (or they were used). */
cfi_frame *const *part_inbox_whole(const part_inbox *inbox, int edge, int64_t step, int64_t micro);
void part_inbox_use(part_inbox *inbox, int edge, int64_t step, int64_t micro); /* drops the frames, keeps the hashes */
void part_inbox_forget(part_inbox *inbox, int64_t below);                      /* all of steps below */
void part_inbox_clear(part_inbox *inbox);

/* ---- outbox.c: what was sent, until HEAD has passed it ---- */

typedef struct part_sent {
    cfi_frame *frame;
    uint32_t target; /* or CFI_UNIT_ALL: all readers */
} part_sent;

typedef struct part_outbox {
    part_sent *items; /* ascending by step, from `begin` on */
    int begin, end, capacity;
    int64_t bytes;
} part_outbox;

void part_outbox_fini(part_outbox *outbox);
bool part_outbox_add(part_outbox *outbox, cfi_frame *frame, uint32_t target); /* false: memory is short */
void part_outbox_forget(part_outbox *outbox, int64_t below);

/* ---- infer.c: questions to the network as it is, beside the training ---- */

/* Frames of one question, until all are there and this machine's step is the one that was asked about. */
typedef struct part_question {
    int64_t step;
    uint32_t number;
    int received;
    cfi_frame **frames; /* (count of the FORWARD edge); NULL: the place is free */
} part_question;

enum { PART_QUESTIONS_MAX = 8 };

/* ---- A machine ---- */

/* A state that is (being) made durable, kept until HEAD has passed it so that it can be put into a store that lost it.
 * */
typedef struct part_state {
    int64_t step;
    cfi_frame *put;         /* the request that puts it into the store */
    uint64_t tag;           /* of the put that is under way; 0 = none */
    bool on_volume, in_store;
    uint64_t generation;    /* of the store that has it */
} part_state;

/* Chain nodes of one chain step, kept until HEAD's record holds the chain. */
typedef struct part_chain {
    int64_t step;
    cfi_hash *nodes;        /* (node_count of the machine) */
} part_chain;

typedef enum part_purpose {
    PART_FOR_NOTHING, PART_FOR_LEASE, PART_FOR_HOLDER, PART_FOR_HEAD, PART_FOR_STATE, PART_FOR_PUT, PART_FOR_PLAN,
    PART_FOR_CAS,
    PART_FOR_REMOVE
} part_purpose;

typedef struct part_request {
    part_purpose purpose;   /* PART_FOR_NOTHING: the place is free */
    cfi_frame *frame;
    uint64_t tag;
    int64_t ticks, again_after;
    int piece;              /* PART_FOR_STATE: index of the earlier shard asked, or -1 */
} part_request;

enum { PART_REQUESTS_MAX = 64 };

typedef struct part_role {
    cf_status (*create)(cfi_machine *machine, cf_error *error);
    void (*destroy)(cfi_machine *machine);
    void (*begin)(cfi_machine *machine);                 /* the state before the first step */
    void (*load)(cfi_machine *machine, int64_t begin, int64_t end, const unsigned char *bytes); /* neurons */
    void (*save)(cfi_machine *machine, unsigned char *bytes);
    void (*hashes)(cfi_machine *machine, cfi_hash *hashes); /* of each neuron; NULL: no part of the chain */
    void (*restart)(cfi_machine *machine);               /* machine->step was set: forget what was half done */
    bool (*advance)(cfi_machine *machine);               /* does one thing if it can; false: nothing to do */
    bool (*fits)(const cfi_machine *machine, const cfi_frame *frame); /* the value's shape is as expected */
    bool (*fits_question)(const cfi_machine *machine, const cfi_frame *frame); /* NULL: takes none */
    void (*missing)(cfi_machine *machine);               /* part_ask() for everything that is waited for */
    void (*answer)(cfi_machine *machine, uint32_t unit, int64_t step, int64_t micro); /* NEED; NULL: the outbox alone */
    void (*frame)(cfi_machine *machine, cfi_frame *frame);             /* what is no value; NULL: dropped */
    void (*tick)(cfi_machine *machine);                                /* NULL: nothing */
    void (*infer)(cfi_machine *machine, const cfi_machine_event *event); /* NULL: not asked */
} part_role;

extern const part_role part_shard, part_source, part_loss, part_controller;

struct cfi_machine {
    cfi_machine_options options;
    const cfi_cluster *cluster;
    const cfi_work *work;
    const cfi_unit *me;
    const part_role *role;
    void *own;                 /* the role's */
    cfi_actions *actions;      /* during a step */

    part_phase phase;
    char failure[256];
    uint32_t incarnation, floor;
    int64_t step;              /* the state held is W[step] */
    int64_t next_micro;        /* the first micro-batch of `step` that this unit has not taken yet */
    int64_t head;              /* as far as known */
    int64_t heard_head;        /* the highest that a frame named; its record may still be on its way */
    cfi_head record;           /* HEAD's, as far as known; record.step == head once working */
    bool has_record;

    uint64_t generation;       /* of the store; 0 = not known yet */
    uint64_t last_tag;         /* upper half: boot */
    uint64_t lease_tag;              /* of the last request for a lease */
    part_request requests[PART_REQUESTS_MAX];

    part_inbox inbox;
    part_outbox outbox;
    uint32_t *readers;         /* units that get CFI_UNIT_ALL frames */
    int reader_count;

    size_t state_size;         /* bytes; 0: no state */
    size_t neuron_size;        /* bytes of one neuron's (loss: the whole) */
    int state_stage;           /* in keys: -1 for the loss */
    part_state *states;        /* ascending by step */
    int state_count, state_capacity;
    cfi_record *records;       /* owned copies of what the volume held at START */
    int record_count;
    int pieces_missing;        /* loading from earlier shards */
    part_chain *chains;
    int chain_count, chain_capacity;
    int node_count;            /* chain nodes of this shard */

    part_question questions[PART_QUESTIONS_MAX];
    int64_t idle_ticks, ask_after; /* waiting for a value */
    bool is_asking;
    int64_t report_ticks;
    int waiting_for;           /* -1: nobody */
    uint8_t waiting_kind;
    cfi_machine_status counted; /* only its counters are used */
};

/* actions.c */
cfi_action *part_add_action(cfi_machine *machine, cfi_action_kind kind); /* NULL: memory is short, noted */
void part_send(cfi_machine *machine, cfi_frame *frame, const uint32_t *targets, int count); /* takes a reference */
void part_send_to(cfi_machine *machine, cfi_frame *frame, uint32_t target);
void part_note(cfi_machine *machine, const char *format, ...) __attribute__((format(printf, 2, 3)));
void part_fail(cfi_machine *machine, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Another start of this unit, or another controller, has taken its place: the process has to end. */
void part_end_replaced(cfi_machine *machine, const char *format, ...) __attribute__((format(printf, 2, 3)));
void part_out_of_memory(cfi_machine *machine);

/* values.c: making, sending, asking for and answering values */
cfi_frame_header part_header(const cfi_machine *machine, cfi_frame_kind kind, uint32_t target);
/* A frame of this machine; NULL (and noted) when memory is short. */
cfi_frame *part_frame(cfi_machine *machine, const cfi_frame_header *header, size_t payload_size);
/* Seals, keeps in the outbox, sends to `target` (or all readers), and gives up the caller's reference. */
void part_publish(cfi_machine *machine, cfi_frame *frame, uint32_t target);
/* Notes that this unit's value is waited for; asks for it when it is time to (part_is_asking). */
void part_ask(cfi_machine *machine, uint32_t unit, uint8_t kind);
void part_ask_missing(cfi_machine *machine, int edge, int64_t micro); /* for all that lack in that set */
void part_ask_all(cfi_machine *machine); /* every unit that this one hears of */
void part_take_value(cfi_machine *machine, cfi_frame *frame);
void part_answer_need(cfi_machine *machine, const cfi_frame *frame);
void part_forget(cfi_machine *machine); /* everything below HEAD */

/* infer.c */
void part_take_question(cfi_machine *machine, cfi_frame *frame);
part_question *part_whole_question(cfi_machine *machine); /* NULL: none that can be answered now */
void part_question_done(cfi_machine *machine, part_question *question);
void part_questions_clear(cfi_machine *machine);

/* requests.c: the store */
void part_request_send(cfi_machine *machine, part_purpose purpose, const cfi_store_request *request, int piece);
void part_request_resend(cfi_machine *machine, part_purpose purpose, cfi_frame *frame, uint64_t tag, int piece);
cfi_frame *part_request_frame(cfi_machine *machine, const cfi_store_request *request); /* with a new tag */
void part_request_done(cfi_machine *machine, part_request *request); /* frees the place */
void part_requests_clear(cfi_machine *machine);
void part_requests_tick(cfi_machine *machine);
bool part_is_requesting(const cfi_machine *machine, part_purpose purpose);

/* states.c: durability */
/* Keeps what was loaded at HEAD until HEAD has passed it, and brings it to where it is not yet. */
void part_keep_loaded(cfi_machine *machine, bool from_volume, bool from_store);
void part_persisted(cfi_machine *machine, int64_t step, cf_status status);
void part_put_answered(cfi_machine *machine, const part_request *request, const cfi_store_reply *reply);
void part_states_renew(cfi_machine *machine); /* requests that are still to be sent, in the name of a new incarnation */
void part_put_again(cfi_machine *machine);  /* whatever the present store may not have */
/* The newest step up to which all states are durable on volume and store; -1: the one of HEAD is not (yet, again). */
int64_t part_durable(const cfi_machine *machine);
void part_report(cfi_machine *machine);
void part_states_forget(cfi_machine *machine, int64_t below);
void part_states_clear(cfi_machine *machine);
void part_reached(cfi_machine *machine);    /* machine->step has just grown: chain, durability, end */

/* life.c: from START to work; HEAD */
void part_start(cfi_machine *machine, const cfi_machine_event *event);
void part_store_reply(cfi_machine *machine, const cfi_frame *frame);
void part_take_record(cfi_machine *machine, const cfi_head *found);
void part_life_tick(cfi_machine *machine);
void part_go_on(cfi_machine *machine);      /* the role works as far as it can */
/* The controller has heard a later incarnation of this unit than this one: either it is a zombie, or the store has lost
 * leases. The store's own record of the lease tells. */
void part_doubt_lease(cfi_machine *machine, uint32_t heard);
void part_note_generation(cfi_machine *machine, uint64_t generation);

/* join.c: nodes of the aligned tree over 0..count-1, added ascending until they tile it; then entry 0 is the root. */
typedef struct part_joiner {
    int depth;
    cfi_tree_node nodes[CFI_TREE_NODES_MAX];
    cfi_hash hashes[CFI_TREE_NODES_MAX];
    float sums[CFI_TREE_NODES_MAX];
} part_joiner;

void part_joiner_add_hash(part_joiner *joiner, cfi_tree_node node, cfi_hash hash, int64_t count);
void part_joiner_add_sum(part_joiner *joiner, cfi_tree_node node, float sum, int64_t count);
cfi_hash part_join_leaves(cfi_hash *hashes, int64_t count); /* one node's own leaves; in place */

/* report.c: what a unit tells the controller */
typedef struct part_report_text {
    int64_t durable;           /* step */
    uint64_t generation;       /* of the store that has it */
    cfi_head record;           /* as the unit knows it; step -1: none */
    bool is_evaluated;         /* loss: the figures of the end are known */
    int64_t end;               /* loss: training ends here; INT64_MAX: not known */
    int chain_count;           /* chain steps behind the record's */
} part_report_text;

size_t part_report_size(int chain_count, int node_count);
void part_report_write(unsigned char *bytes, const part_report_text *report, const part_chain *chains, int node_count);
/* *chains_out points at chain_count entries of (step int64, node_count hashes) inside the payload. */
cf_status part_report_read(const cfi_frame *frame, int node_count, part_report_text *report_out,
                           const unsigned char **chains_out, cf_error *error) __attribute__((warn_unused_result));
void part_controller_take(cfi_machine *machine, const part_request *request, const cfi_store_reply *reply);
void part_controller_replan(cfi_machine *machine, const char *text, size_t size);
void part_controller_generation(cfi_machine *machine); /* the store is another one: what it has is not known */
int64_t part_loss_end(const cfi_machine *machine); /* the loss's: INT64_MAX unless it has stopped early */
bool part_loss_is_evaluated(const cfi_machine *machine);
void part_loss_status(const cfi_machine *machine, cfi_machine_status *status);

static inline bool part_is_working(const cfi_machine *machine)
{
    return machine->phase == PART_RUN || machine->phase == PART_FINISHED;
}

/* Nobody makes a state further than the window ahead of the HEAD it knows: what is kept for others stays bounded. */
static inline bool part_is_ahead(const cfi_machine *machine)
{
    return machine->step >= machine->head + machine->work->window;
}

static inline int64_t part_end(const cfi_machine *machine)
{
    return machine->record.end;
}

#endif
