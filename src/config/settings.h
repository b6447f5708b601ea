/* The checked settings of one network: what a YAML file means after defaults, ranges and types. Plain values,
 * no YAML left. Filled by config/ from the option table; read by every room below. */
#ifndef CFI_CONFIG_SETTINGS_H
#define CFI_CONFIG_SETTINGS_H

#include "base/limits.h"
#include "base/status.h"

/* Where a setting was written; file_index into cfi_settings.files, line 0 = not from a file (default, --set). */
typedef struct cfi_mark {
    int file_index, line, column;
} cfi_mark;

typedef enum cfi_layer_kind {
    CFI_LAYER_DENSE, CFI_LAYER_CONV2D, CFI_LAYER_MAX_POOL, CFI_LAYER_AVG_POOL, CFI_LAYER_FLATTEN,
    CFI_LAYER_DROPOUT
} cfi_layer_kind;

typedef enum cfi_activation {
    CFI_ACTIVATION_IDENTITY, CFI_ACTIVATION_RELU, CFI_ACTIVATION_LEAKY_RELU, CFI_ACTIVATION_SIGMOID,
    CFI_ACTIVATION_TANH
} cfi_activation;

typedef enum cfi_initialiser {
    CFI_INIT_AUTO,            /* he_normal before relu and leaky_relu, glorot_uniform otherwise        */
    CFI_INIT_HE_UNIFORM, CFI_INIT_HE_NORMAL, CFI_INIT_GLOROT_UNIFORM, CFI_INIT_GLOROT_NORMAL,
    CFI_INIT_NIELSEN,         /* weights N(0, 1/sqrt(inputs)), biases N(0, 1)                          */
    CFI_INIT_ZEROS
} cfi_initialiser;

typedef enum cfi_loss_kind {
    CFI_LOSS_SOFTMAX_CROSS_ENTROPY, CFI_LOSS_MSE, CFI_LOSS_BINARY_CROSS_ENTROPY
} cfi_loss_kind;

typedef enum cfi_padding_kind {
    CFI_PADDING_VALID, CFI_PADDING_SAME, CFI_PADDING_NUMBER
} cfi_padding_kind;

typedef struct cfi_layer_settings {
    cfi_layer_kind kind;
    char name[CFI_NAME_SIZE_MAX];     /* given, or made: kind and a count from 1, as "dense1"          */
    int64_t units;                    /* dense: neurons; conv2d (key `filters`): output channels       */
    int64_t kernel[2], stride[2];     /* (height, width); conv2d and pools. Pool stride 0 = its size   */
    cfi_padding_kind padding_kind;    /* conv2d                                                        */
    int64_t padding;                  /* with CFI_PADDING_NUMBER: zeros on each side                   */
    cfi_activation activation;        /* dense, conv2d                                                 */
    double leaky_slope;               /* leaky_relu                                                    */
    cfi_initialiser init;             /* dense, conv2d                                                 */
    double dropout_rate;              /* dropout: share of values zeroed, [0, 1)                       */
    int64_t grain;                    /* 0 = auto; else a power of two: leaf of the input gradient    */
    int64_t neurons_per_container;    /* dense, conv2d: placement; 0 = all                             */
    cfi_mark mark;                    /* of the layer's item in the list                               */
} cfi_layer_settings;

typedef enum cfi_optimizer_kind {
    CFI_OPTIMIZER_SGD, CFI_OPTIMIZER_RMSPROP, CFI_OPTIMIZER_ADAM, CFI_OPTIMIZER_ADAMW
} cfi_optimizer_kind;

typedef struct cfi_optimizer_settings {
    cfi_optimizer_kind kind;
    double rate;                      /* base learning rate                                            */
    double momentum;                  /* sgd, rmsprop                                                  */
    bool nesterov;                    /* sgd                                                           */
    double weight_decay;              /* sgd, rmsprop, adam: L2 in the gradient; adamw: decoupled      */
    double decay;                     /* rmsprop: alpha                                                */
    double beta1, beta2, epsilon;     /* adam, adamw; epsilon also rmsprop                             */
} cfi_optimizer_settings;

typedef enum cfi_schedule_kind {
    CFI_SCHEDULE_CONSTANT, CFI_SCHEDULE_STEP, CFI_SCHEDULE_EXPONENTIAL, CFI_SCHEDULE_POLYNOMIAL,
    CFI_SCHEDULE_COSINE
} cfi_schedule_kind;

/* All counted in optimizer steps except `every_epochs`. */
typedef struct cfi_schedule_settings {
    cfi_schedule_kind kind;
    double factor;                    /* step, exponential: multiplied in every `every_epochs`         */
    double every_epochs;              /* step, exponential                                             */
    double power;                     /* polynomial                                                    */
    double end_rate;                  /* polynomial, cosine: the rate at the last step                 */
    int64_t warmup_steps;             /* all: linear from rate/warmup_steps to rate                    */
} cfi_schedule_settings;

typedef enum cfi_csv_label_kind { CFI_CSV_LABEL_LAST, CFI_CSV_LABEL_FIRST, CFI_CSV_LABEL_NAME } cfi_csv_label_kind;
typedef enum cfi_data_kind { CFI_DATA_MNIST, CFI_DATA_IDX, CFI_DATA_CSV } cfi_data_kind;
typedef enum cfi_csv_header { CFI_CSV_HEADER_AUTO, CFI_CSV_HEADER_YES, CFI_CSV_HEADER_NO } cfi_csv_header;

typedef struct cfi_data_settings {
    cfi_data_kind kind;
    /* idx: images and labels; csv: files. Relative to the folder of the YAML file that names them; already joined. */
    char train_images[CFI_PATH_SIZE_MAX], train_labels[CFI_PATH_SIZE_MAX];
    char test_images[CFI_PATH_SIZE_MAX], test_labels[CFI_PATH_SIZE_MAX];
    char csv_train[CFI_PATH_SIZE_MAX], csv_test[CFI_PATH_SIZE_MAX]; /* csv_test may be empty           */
    cfi_csv_label_kind csv_label;
    char csv_label_name[CFI_NAME_SIZE_MAX];
    cfi_csv_header csv_header;
    bool csv_standardise;             /* (x - mean) / deviation of the training columns                */
    int64_t validation;               /* samples taken out of the training set                         */
    double mean, deviation;           /* images: value = (byte/255 - mean) / deviation                 */
    cfi_mark mark;
} cfi_data_settings;

typedef struct cfi_training_settings {
    int64_t epochs, batch;
    int64_t sample_grain;             /* power of two; leaf of the weight gradient's tree              */
    int64_t micro_batches;            /* accepted now, used by the cluster; never changes a bit        */
    int64_t chain_every;              /* steps between chain hashes                                    */
    int64_t checkpoint_every;         /* steps between checkpoints; 0 = at each epoch's end            */
    int64_t checkpoints_kept;
    bool drop_last;                   /* leave out an epoch's last, smaller batch                      */
    double clip_norm;                 /* 0 = no clipping                                               */
    int64_t patience;                 /* early stopping: epochs without a better validation loss; 0 = off */
    double min_delta;                 /* early stopping: what counts as better                         */
    cfi_optimizer_settings optimizer;
    cfi_schedule_settings schedule;
} cfi_training_settings;

/* ---- What only a network in containers reads; none of it changes a weight ---- */

typedef struct cfi_label {
    char text[CFI_LABEL_SIZE_MAX];
} cfi_label;

typedef enum cfi_hint_kind { CFI_HINT_LAYER, CFI_HINT_NEURON, CFI_HINT_TOGETHER, CFI_HINT_APART } cfi_hint_kind;

/* Names are checked: a layer with neurons ("hidden"), one of its neurons ("hidden.3"), "source" or "loss". */
typedef struct cfi_hint {
    cfi_hint_kind kind;
    char who[CFI_LABEL_SIZE_MAX];     /* LAYER, NEURON                                                 */
    cfi_label *members;               /* owned; TOGETHER, APART                                        */
    int member_count;
    char zone[CFI_NAME_SIZE_MAX], host[CFI_NAME_SIZE_MAX], label[CFI_LABEL_SIZE_MAX]; /* "" = any; LAYER, NEURON */
} cfi_hint;

typedef struct cfi_host {
    char name[CFI_NAME_SIZE_MAX];
    char zone[CFI_NAME_SIZE_MAX];     /* "" = none                                                     */
    cfi_label *labels;                /* owned                                                         */
    int label_count;
    double cpu;                       /* cores; 0 = as many as needed                                  */
    int64_t memory;                   /* bytes; 0 = as much as needed                                  */
} cfi_host;

typedef struct cfi_placement_settings {
    int64_t neurons_per_container;    /* 0 = all; each layer's own value is in its settings            */
    cfi_hint *hints;                  /* owned                                                         */
    int hint_count;
    cfi_host *hosts;                  /* owned; none = one without bounds                              */
    int host_count;
    int64_t slots;                    /* most units in a container; 0 = any                            */
} cfi_placement_settings;

typedef struct cfi_needs {
    double cpu;                       /* cores for each part                                           */
    int64_t memory;                   /* bytes for each part                                           */
} cfi_needs;

typedef struct cfi_neuron_types {
    cfi_needs dense, conv2d, source, loss;
} cfi_neuron_types;

typedef enum cfi_messaging_kind { CFI_MESSAGING_ZEROMQ, CFI_MESSAGING_RABBITMQ, CFI_MESSAGING_KAFKA }
    cfi_messaging_kind;
typedef enum cfi_scheme { CFI_SCHEME_IPC, CFI_SCHEME_TCP } cfi_scheme;
typedef enum cfi_store_kind { CFI_STORE_KIND_LMDB, CFI_STORE_KIND_DYNAMODB, CFI_STORE_KIND_MEMORY } cfi_store_kind;
typedef enum cfi_deploy_kind {
    CFI_DEPLOY_LOCAL, CFI_DEPLOY_DOCKER, CFI_DEPLOY_COMPOSE, CFI_DEPLOY_KUBERNETES, CFI_DEPLOY_ECS, CFI_DEPLOY_MARATHON
} cfi_deploy_kind;
typedef enum cfi_durability { CFI_DURABILITY_PROCESS, CFI_DURABILITY_POWER } cfi_durability;

typedef struct cfi_running_settings {
    cfi_messaging_kind messaging;
    cfi_scheme scheme;                /* zeromq                                                        */
    int64_t port;                     /* zeromq over tcp: of the first container                       */
    cfi_store_kind store;
    int64_t store_size;               /* lmdb: bytes at most; 0 = the store's own default              */
    cfi_deploy_kind deploy;
    cfi_durability durability;
    int64_t persist_every;            /* steps between durable states; 0 = auto                        */
} cfi_running_settings;

typedef struct cfi_settings {
    char name[CFI_NAME_SIZE_MAX];
    uint64_t seed;
    cfi_data_settings data;
    cfi_layer_settings *layers;       /* owned; layer_count >= 1                                       */
    int layer_count;
    cfi_loss_kind loss;
    cfi_mark loss_mark;
    cfi_training_settings training;
    cfi_placement_settings placement;
    cfi_neuron_types neuron_types;
    cfi_running_settings running;
    char **files;                     /* owned; names of the layered files, for marks                  */
    int file_count;
    char *resolved_yaml;              /* owned; the whole file after layering, --set and defaults; parsing it
                                       * again gives the same settings (data paths absolute)           */
    bool engine_tensorflow;           /* engine: tensorflow was asked for                              */
} cfi_settings;

#endif
