/* The table alone; what is done with it is in option_text.c (words for people), check.c, merge.c and
 * document.c. */
#include "config/options.h"

#define NOWHERE .offset = CFI_OPTION_NOWHERE, .word_offset = CFI_OPTION_NOWHERE
#define S(field) .offset = offsetof(cfi_settings, field), .word_offset = CFI_OPTION_NOWHERE
#define H(field) .offset = offsetof(cfi_hint, field), .word_offset = CFI_OPTION_NOWHERE
#define HOST(field) .offset = offsetof(cfi_host, field), .word_offset = CFI_OPTION_NOWHERE
#define L(field) .offset = offsetof(cfi_layer_settings, field), .word_offset = CFI_OPTION_NOWHERE
#define END         \
    {               \
        .key = NULL \
    }

/* One line each: key, default, where it lands, text; then range, words or children. */
#define BOOL(k, d, where, t)                                               \
    {                                                                      \
        .key = k, .type = CFI_OPTION_BOOL, .fallback = d, where, .text = t \
    }
#define INT(k, d, where, lo, hi, u, t)                                                                   \
    {                                                                                                    \
        .key = k, .type = CFI_OPTION_INT, .fallback = d, where, .minimum = lo, .maximum = hi, .unit = u, \
        .text = t                                                                                        \
    }
#define REAL(k, d, where, lo, hi, f, u, t)                                                          \
    {                                                                                               \
        .key = k, .type = CFI_OPTION_REAL, .fallback = d, where, .low = lo, .high = hi, .flags = f, \
        .unit = u, .text = t                                                                        \
    }
#define WORD(k, d, where, w, t)                                                        \
    {                                                                                  \
        .key = k, .type = CFI_OPTION_WORD, .fallback = d, where, .words = w, .text = t \
    }
#define PAIR(k, d, where, f, lo, hi, u, t)                                                                 \
    {                                                                                                      \
        .key = k, .type = CFI_OPTION_PAIR, .fallback = d, where, .flags = f, .minimum = lo, .maximum = hi, \
        .unit = u, .text = t                                                                               \
    }
#define FILE_NAME(k, f, where, t)                                                                  \
    {                                                                                              \
        .key = k, .type = CFI_OPTION_PATH, .flags = f, where, .size = CFI_PATH_SIZE_MAX, .text = t \
    }
#define MAP(k, d, c, t)                                                                    \
    {                                                                                      \
        .key = k, .type = CFI_OPTION_MAP, .fallback = d, .children = c, NOWHERE, .text = t \
    }
#define CHOICE(k, d, where, c, t)                                                           \
    {                                                                                       \
        .key = k, .type = CFI_OPTION_CHOICE, .fallback = d, where, .children = c, .text = t \
    }
#define KIND(k, v, c, t)                                                                              \
    {                                                                                                 \
        .key = k, .type = CFI_OPTION_MAP, .flags = CFI_OPTION_ALTERNATIVE, .value = v, .children = c, \
        NOWHERE, .text = t                                                                            \
    }
#define ABOVE CFI_OPTION_ABOVE
#define BELOW CFI_OPTION_BELOW

static const cfi_option no_keys[] = {END};

/* ---- data ---------------------------------------------------------------------------------------------- */

static const cfi_word dataset_words[] = {{"mnist", CFI_DATA_MNIST, NULL}, {0}};
static const cfi_word csv_label_words[] = {{"first", CFI_CSV_LABEL_FIRST, NULL},
                                           {"last", CFI_CSV_LABEL_LAST, NULL},
                                           {NULL, CFI_CSV_LABEL_NAME, NULL}};
static const cfi_word csv_header_words[] = {{"auto", CFI_CSV_HEADER_AUTO, NULL},
                                            {"yes", CFI_CSV_HEADER_YES, NULL},
                                            {"no", CFI_CSV_HEADER_NO, NULL},
                                            {0}};

static const cfi_option idx_keys[] = {
    FILE_NAME("train_images", 0, S(data.train_images), "training images, IDX, may be gzipped"),
    FILE_NAME("train_labels", 0, S(data.train_labels), "training labels, IDX, may be gzipped"),
    FILE_NAME("test_images", CFI_OPTION_OPTIONAL, S(data.test_images), "test images"),
    FILE_NAME("test_labels", CFI_OPTION_OPTIONAL, S(data.test_labels), "test labels"), END};

static const cfi_option csv_keys[] = {
    FILE_NAME("train", 0, S(data.csv_train), "training samples, one a line"),
    FILE_NAME("test", CFI_OPTION_OPTIONAL, S(data.csv_test), "test samples, with the same columns"),
    {.key = "label",
     .type = CFI_OPTION_TEXT,
     .fallback = "last",
     .words = csv_label_words,
     .size = CFI_NAME_SIZE_MAX,
     .offset = offsetof(cfi_settings, data.csv_label_name),
     .word_offset = offsetof(cfi_settings, data.csv_label),
     .text =
         "the column with the label, or its name in the header (in quotes if it is called first or last)"},
    WORD(
        "header", "auto", S(data.csv_header), csv_header_words,
        "whether the first line names the columns; auto: it does when no field beside the label is a number"),
    BOOL("standardise", "false", S(data.csv_standardise),
         "(x - mean) / deviation for each column, both taken from the training samples"),
    END};

static const cfi_option data_keys[] = {
    {.key = "dataset",
     .type = CFI_OPTION_WORD,
     .flags = CFI_OPTION_ALTERNATIVE,
     .words = dataset_words,
     .value = CFI_DATA_MNIST,
     NOWHERE,
     .text = "a known data set; `cuttlefish data get mnist` fetches it"},
    KIND("idx", CFI_DATA_IDX, idx_keys, "images and labels in the format of MNIST"),
    KIND("csv", CFI_DATA_CSV, csv_keys, "numbers and a label on each line"),
    INT("validation", "0", S(data.validation), 0, CFI_SAMPLE_COUNT_MAX, "samples",
        "taken out of the training samples, by seed, for the figures of each epoch"),
    REAL("mean", "0", S(data.mean), -1e6, 1e6, 0, NULL, "images: value = (byte / 255 - mean) / deviation"),
    REAL("deviation", "1", S(data.deviation), 0, 1e6, ABOVE, NULL, "images: see mean"),
    END};

/* ---- network ------------------------------------------------------------------------------------------- */

static const cfi_word activation_words[] = {{"identity", CFI_ACTIVATION_IDENTITY, NULL},
                                            {"relu", CFI_ACTIVATION_RELU, NULL},
                                            {"leaky_relu", CFI_ACTIVATION_LEAKY_RELU, NULL},
                                            {"sigmoid", CFI_ACTIVATION_SIGMOID, NULL},
                                            {"tanh", CFI_ACTIVATION_TANH, NULL},
                                            {0}};
static const cfi_word init_words[] = {{"auto", CFI_INIT_AUTO, NULL},
                                      {"he", CFI_INIT_HE_NORMAL, "he_normal"},
                                      {"he_normal", CFI_INIT_HE_NORMAL, NULL},
                                      {"he_uniform", CFI_INIT_HE_UNIFORM, NULL},
                                      {"glorot", CFI_INIT_GLOROT_UNIFORM, "glorot_uniform"},
                                      {"glorot_uniform", CFI_INIT_GLOROT_UNIFORM, NULL},
                                      {"glorot_normal", CFI_INIT_GLOROT_NORMAL, NULL},
                                      {"nielsen", CFI_INIT_NIELSEN, NULL},
                                      {"zeros", CFI_INIT_ZEROS, NULL},
                                      {0}};
static const cfi_word padding_words[] = {
    {"valid", CFI_PADDING_VALID, NULL}, {"same", CFI_PADDING_SAME, NULL}, {NULL, CFI_PADDING_NUMBER, NULL}};
static const cfi_word auto_words[] = {{"auto", 0, NULL}, {0}};
static const cfi_word loss_words[] = {{"softmax_cross_entropy", CFI_LOSS_SOFTMAX_CROSS_ENTROPY, NULL},
                                      {"mse", CFI_LOSS_MSE, NULL},
                                      {"binary_cross_entropy", CFI_LOSS_BINARY_CROSS_ENTROPY, NULL},
                                      {0}};

#define LAYER_NAME                                                                          \
    {                                                                                       \
        .key = "name", .type = CFI_OPTION_NAME, .flags = CFI_OPTION_OPTIONAL, L(name),      \
        .size = CFI_NAME_SIZE_MAX,                                                          \
        .text = "unlike any other layer's; made from kind and number (dense1) when missing" \
    }
#define NEURON_KEYS                                                                                    \
    WORD("activation", "identity", L(activation), activation_words, "applied to each neuron's sum"),   \
        REAL("leaky_slope", "0.01", L(leaky_slope), 0, 1, BELOW, NULL, "leaky_relu: slope below 0"),   \
        WORD("init", "auto", L(init), init_words,                                                      \
             "initial weights; auto: he_normal before relu and leaky_relu, else glorot_uniform"),      \
    {                                                                                                  \
        .key = "grain", .type = CFI_OPTION_INT, .flags = CFI_OPTION_POWER_OF_TWO, .fallback = "auto",  \
        .words = auto_words, L(grain), .minimum = 1, .maximum = 65536, .unit = "neurons",              \
        .text = "smallest slice that the layer may be cut into; part of the result; auto: 1 up to 64 " \
                "neurons, else 32"                                                                     \
    }

enum { WINDOW_MAX = 1024 };

static const cfi_option dense_keys[] = {
    LAYER_NAME,
    INT("units", NULL, L(units), 1, CFI_UNIT_COUNT_MAX, "neurons", "neurons, each seeing the whole input"),
    NEURON_KEYS, END};

static const cfi_option conv2d_keys[] = {
    LAYER_NAME,
    INT("filters", NULL, L(units), 1, CFI_UNIT_COUNT_MAX, "channels", "output channels"),
    PAIR("kernel", NULL, L(kernel), 0, 1, WINDOW_MAX, "values", "window: one number, or [height, width]"),
    PAIR("stride", "1", L(stride), 0, 1, WINDOW_MAX, "values", "step of the window"),
    {.key = "padding",
     .type = CFI_OPTION_INT,
     .fallback = "valid",
     .words = padding_words,
     .minimum = 0,
     .maximum = WINDOW_MAX,
     .unit = "values",
     .offset = offsetof(cfi_layer_settings, padding),
     .word_offset = offsetof(cfi_layer_settings, padding_kind),
     .text =
         "zeros around the input: none, as many as keep its size (with stride 1), or a number on each side"},
    NEURON_KEYS,
    END};

static const cfi_option pool_keys[] = {
    LAYER_NAME,
    PAIR("size", NULL, L(kernel), 0, 1, WINDOW_MAX, "values", "window: one number, or [height, width]"),
    PAIR("stride", NULL, L(stride), CFI_OPTION_OPTIONAL, 1, WINDOW_MAX, "values",
         "step of the window; its size when missing"),
    END};

static const cfi_option flatten_keys[] = {LAYER_NAME, END};

static const cfi_option dropout_keys[] = {
    LAYER_NAME,
    REAL("rate", "0.5", L(dropout_rate), 0, 1, BELOW, NULL, "share of the values set to 0 in training"), END};

static const cfi_option layer_keys[] = {
    KIND("dense", CFI_LAYER_DENSE, dense_keys, "every neuron sees the whole input"),
    KIND("conv2d", CFI_LAYER_CONV2D, conv2d_keys, "two-dimensional convolution"),
    KIND("max_pool", CFI_LAYER_MAX_POOL, pool_keys, "largest value of each window"),
    KIND("avg_pool", CFI_LAYER_AVG_POOL, pool_keys, "mean of each window"),
    KIND("flatten", CFI_LAYER_FLATTEN, flatten_keys, "channels, height and width become one row"),
    KIND("dropout", CFI_LAYER_DROPOUT, dropout_keys,
         "drops values at random in training, and scales the others up"),
    END};

static const cfi_option layer_item[] = {CHOICE("layer", NULL, L(kind), layer_keys, "one layer"), END};

static const cfi_option network_keys[] = {
    {.key = "layers",
     .type = CFI_OPTION_LAYERS,
     .children = layer_item,
     .minimum = 1,
     .maximum = CFI_LAYER_COUNT_MAX,
     NOWHERE,
     .text = "the layers, from the input to the output"},
    WORD("loss", "softmax_cross_entropy", S(loss), loss_words,
         "what training makes small; the first and last take the outputs before any activation"),
    END};

/* ---- training ------------------------------------------------------------------------------------------ */

#define RATE(d) REAL("rate", d, S(training.optimizer.rate), 0, 1000, ABOVE, NULL, "learning rate")
#define MOMENTUM \
    REAL("momentum", "0", S(training.optimizer.momentum), 0, 1, BELOW, NULL, "share of the last step kept")
#define WEIGHT_DECAY(d, t) REAL("weight_decay", d, S(training.optimizer.weight_decay), 0, 1000, 0, NULL, t)
#define EPSILON                                                               \
    REAL("epsilon", "1e-8", S(training.optimizer.epsilon), 0, 1, ABOVE, NULL, \
         "added to the root, against division by 0")
#define BETAS                                                                  \
    REAL("beta1", "0.9", S(training.optimizer.beta1), 0, 1, BELOW, NULL,       \
         "decay of the mean of the gradients"),                                \
        REAL("beta2", "0.999", S(training.optimizer.beta2), 0, 1, BELOW, NULL, \
             "decay of the mean of their squares")
#define L2 "times the weight is added to its gradient"

static const cfi_option sgd_keys[] = {RATE("0.1"), MOMENTUM,
                                      BOOL("nesterov", "false", S(training.optimizer.nesterov),
                                           "look ahead by the momentum, which must be above 0"),
                                      WEIGHT_DECAY("0", L2), END};
static const cfi_option rmsprop_keys[] = {RATE("0.001"),
                                          REAL("decay", "0.99", S(training.optimizer.decay), 0, 1, BELOW,
                                               NULL, "decay of the mean of the squared gradients"),
                                          EPSILON,
                                          MOMENTUM,
                                          WEIGHT_DECAY("0", L2),
                                          END};
static const cfi_option adam_keys[] = {RATE("0.001"), BETAS, EPSILON, WEIGHT_DECAY("0", L2), END};
static const cfi_option adamw_keys[] = {
    RATE("0.001"), BETAS, EPSILON,
    WEIGHT_DECAY("0.01", "times the rate: the share that each weight loses in a step"), END};

static const cfi_option optimizer_keys[] = {
    KIND("sgd", CFI_OPTIMIZER_SGD, sgd_keys, "stochastic gradient descent"),
    KIND("rmsprop", CFI_OPTIMIZER_RMSPROP, rmsprop_keys, "steps scaled by the mean squared gradient"),
    KIND("adam", CFI_OPTIMIZER_ADAM, adam_keys, "adaptive moments"),
    KIND("adamw", CFI_OPTIMIZER_ADAMW, adamw_keys, "Adam with decoupled weight decay"), END};

#define WARMUP                                                                             \
    INT("warmup_steps", "0", S(training.schedule.warmup_steps), 0, 1000000000000, "steps", \
        "the rate grows linearly over these first steps")
#define FACTOR(d)                                                     \
    REAL("factor", d, S(training.schedule.factor), 0, 1, ABOVE, NULL, \
         "multiplied into the rate every so often")
#define EVERY(d) \
    REAL("every_epochs", d, S(training.schedule.every_epochs), 0, 1e6, ABOVE, "epochs", "how often")
#define END_RATE \
    REAL("end_rate", "0", S(training.schedule.end_rate), 0, 1000, 0, NULL, "the rate at the last step")

static const cfi_option constant_keys[] = {WARMUP, END};
static const cfi_option step_keys[] = {FACTOR("0.1"), EVERY("10"), WARMUP, END};
static const cfi_option exponential_keys[] = {FACTOR("0.95"), EVERY("1"), WARMUP, END};
static const cfi_option polynomial_keys[] = {
    REAL("power", "1", S(training.schedule.power), 0, 100, ABOVE, NULL, "1 is a straight line"), END_RATE,
    WARMUP, END};
static const cfi_option cosine_keys[] = {END_RATE, WARMUP, END};

static const cfi_option schedule_keys[] = {
    KIND("constant", CFI_SCHEDULE_CONSTANT, constant_keys, "the rate stays"),
    KIND("step", CFI_SCHEDULE_STEP, step_keys, "the rate falls by a factor, in stairs"),
    KIND("exponential", CFI_SCHEDULE_EXPONENTIAL, exponential_keys, "the rate falls by a factor, smoothly"),
    KIND("polynomial", CFI_SCHEDULE_POLYNOMIAL, polynomial_keys,
         "the rate falls to end_rate by a power of what is left"),
    KIND("cosine", CFI_SCHEDULE_COSINE, cosine_keys, "the rate falls to end_rate along half a cosine"),
    END};

static const cfi_option early_stopping_keys[] = {
    INT("patience", "0", S(training.patience), 0, 1000000, "epochs",
        "stop after this many epochs without a better validation loss; 0: never"),
    REAL("min_delta", "0", S(training.min_delta), 0, 1e6, 0, NULL,
         "how much smaller the loss must be to count"),
    END};

static const cfi_option training_keys[] = {
    INT("epochs", "10", S(training.epochs), 1, 1000000, "epochs", "times through the training samples"),
    INT("batch", "128", S(training.batch), 1, CFI_BATCH_MAX, "samples", "samples in one optimizer step"),
    {.key = "sample_grain",
     .type = CFI_OPTION_INT,
     .flags = CFI_OPTION_POWER_OF_TWO,
     .fallback = "64",
     S(training.sample_grain),
     .minimum = 1,
     .maximum = CFI_BATCH_MAX,
     .unit = "samples",
     .text = "smallest slice that a batch may be cut into; part of the result"},
    INT("micro_batches", "1", S(training.micro_batches), 1, CFI_BATCH_MAX, NULL,
        "slices of a batch that travel apart; never changes the result"),
    INT("chain_every", "10", S(training.chain_every), 1, 1000000000, "steps",
        "how often the chain hash is taken"),
    INT("checkpoint_every", "0", S(training.checkpoint_every), 0, 1000000000, "steps",
        "how often a checkpoint is written; 0: at each epoch's end"),
    INT("checkpoints_kept", "3", S(training.checkpoints_kept), 1, 1000000, NULL, "older ones are deleted"),
    BOOL("drop_last", "false", S(training.drop_last), "leave out an epoch's last batch when it is smaller"),
    REAL("clip_norm", "0", S(training.clip_norm), 0, 1e30, 0, NULL,
         "largest norm of all gradients together; longer ones are scaled down; 0: no clipping"),
    MAP("early_stopping", "{}", early_stopping_keys, "when to stop before the last epoch"),
    CHOICE("optimizer", "sgd", S(training.optimizer.kind), optimizer_keys,
           "how gradients change the weights"),
    CHOICE("schedule", "constant", S(training.schedule.kind), schedule_keys, "how the learning rate changes"),
    END};

/* ---- Checked now, used when a network runs distributed ------------------------------------------------- */

static const cfi_word all_words[] = {{"all", 0, NULL}, {0}};
static const cfi_word any_words[] = {{"any", 0, NULL}, {0}};
static const cfi_word engine_words[] = {{"native", 0, NULL}, {"tensorflow", 1, NULL}, {0}};
static const cfi_word scheme_words[] = {{"ipc", CFI_SCHEME_IPC, NULL}, {"tcp", CFI_SCHEME_TCP, NULL}, {0}};
static const cfi_word durability_words[] = {
    {"process", CFI_DURABILITY_PROCESS, NULL}, {"power", CFI_DURABILITY_POWER, NULL}, {0}};

#define LABEL(k, f, where, t)                                                                        \
    {                                                                                                \
        .key = k, .type = CFI_OPTION_TEXT, .flags = f, where, .size = CFI_LABEL_SIZE_MAX, .text = t  \
    }
#define PLACE_NAME(k, where, t)                                                                      \
    {                                                                                                \
        .key = k, .type = CFI_OPTION_TEXT, .flags = CFI_OPTION_OPTIONAL, where,                      \
        .size = CFI_NAME_SIZE_MAX, .text = t                                                         \
    }
#define HINT_LABEL(k, v, t)                                                                         \
    {                                                                                               \
        .key = k, .type = CFI_OPTION_TEXT, .flags = CFI_OPTION_ALTERNATIVE, .value = v, H(who),     \
        .size = CFI_LABEL_SIZE_MAX, .text = t                                                       \
    }
#define BYTES(k, d, f, where, lo, t)                                                                  \
    {                                                                                                 \
        .key = k, .type = CFI_OPTION_SIZE, .fallback = d, .flags = f, where, .minimum = lo,           \
        .maximum = INT64_C(1) << 40, .unit = "bytes", .text = t                                       \
    }
#define MEBIBYTE (INT64_C(1) << 20)
enum { HINT_COUNT_MAX = 10000, TOGETHER_MAX = 1000, HOST_COUNT_MAX = 1000, HOST_LABELS_MAX = 100 };

#define ITEM .offset = offsetof(cfi_label, text), .word_offset = CFI_OPTION_NOWHERE
static const cfi_option member_item[] = {
    LABEL("member", 0, ITEM, "a layer, a neuron (hidden.3), source or loss"), END};
#define MEMBERS(k, v, t)                                                                             \
    {                                                                                                \
        .key = k, .type = CFI_OPTION_LIST, .flags = CFI_OPTION_ALTERNATIVE, .value = v,              \
        .children = member_item, .minimum = 2, .maximum = TOGETHER_MAX, .size = sizeof(cfi_label),   \
        .offset = offsetof(cfi_hint, members), .word_offset = offsetof(cfi_hint, member_count),      \
        .text = t                                                                                    \
    }

static const cfi_option hint_keys[] = {
    HINT_LABEL("layer", CFI_HINT_LAYER, "the layer that the hint is for"),
    HINT_LABEL("neuron", CFI_HINT_NEURON, "the neuron that the hint is for, as hidden.3"),
    MEMBERS("together", CFI_HINT_TOGETHER, "layers, neurons, source or loss that belong in one container"),
    MEMBERS("apart", CFI_HINT_APART, "those that may not share a container"),
    PLACE_NAME("zone", H(zone), "availability zone"),
    PLACE_NAME("host", H(host), "host name"),
    LABEL("label", CFI_OPTION_OPTIONAL, H(label), "label of the host, as disk=ssd"),
    END};
static const cfi_option hint_item[] = {
    {.key = "hint", .type = CFI_OPTION_MAP, .children = hint_keys, H(kind), .text = "one hint"}, END};

static const cfi_option host_label_item[] = {LABEL("label", 0, ITEM, "a label, as disk=ssd"), END};
static const cfi_option host_keys[] = {
    {.key = "name", .type = CFI_OPTION_NAME, HOST(name), .size = CFI_NAME_SIZE_MAX, .text = "what hints call it"},
    {.key = "zone",
     .type = CFI_OPTION_NAME,
     .flags = CFI_OPTION_OPTIONAL,
     HOST(zone),
     .size = CFI_NAME_SIZE_MAX,
     .text = "availability zone"},
    {.key = "labels",
     .type = CFI_OPTION_LIST,
     .fallback = "[]",
     .children = host_label_item,
     .minimum = 0,
     .maximum = HOST_LABELS_MAX,
     .size = sizeof(cfi_label),
     .offset = offsetof(cfi_host, labels),
     .word_offset = offsetof(cfi_host, label_count),
     .text = "what hints may ask for"},
    {.key = "cpu",
     .type = CFI_OPTION_REAL,
     .flags = CFI_OPTION_OPTIONAL | CFI_OPTION_ABOVE,
     HOST(cpu),
     .low = 0,
     .high = 1e6,
     .unit = "cores",
     .text = "processors; unbounded when missing"},
    BYTES("memory", NULL, CFI_OPTION_OPTIONAL, HOST(memory), MEBIBYTE, "unbounded when missing"),
    END};
static const cfi_option host_item[] = {MAP("host", NULL, host_keys, "one host"), END};

static const cfi_option placement_keys[] = {
    {.key = "neurons_per_container",
     .type = CFI_OPTION_INT,
     .flags = CFI_OPTION_PER_LAYER,
     .fallback = "all",
     .words = all_words,
     .minimum = 1,
     .maximum = CFI_UNIT_COUNT_MAX,
     .unit = "neurons",
     S(placement.neurons_per_container),
     .text = "all: the whole layer; 1: a container for each neuron; or a value for each layer by name"},
    {.key = "hints",
     .type = CFI_OPTION_LIST,
     .fallback = "[]",
     .children = hint_item,
     .minimum = 0,
     .maximum = HINT_COUNT_MAX,
     .size = sizeof(cfi_hint),
     .offset = offsetof(cfi_settings, placement.hints),
     .word_offset = offsetof(cfi_settings, placement.hint_count),
     .text = "where containers should run"},
    {.key = "hosts",
     .type = CFI_OPTION_LIST,
     .fallback = "[]",
     .children = host_item,
     .minimum = 0,
     .maximum = HOST_COUNT_MAX,
     .size = sizeof(cfi_host),
     .offset = offsetof(cfi_settings, placement.hosts),
     .word_offset = offsetof(cfi_settings, placement.host_count),
     .text = "what there is to run on; none: one host without bounds, called local"},
    {.key = "slots",
     .type = CFI_OPTION_INT,
     .fallback = "any",
     .words = any_words,
     .minimum = 1,
     .maximum = 1000000,
     S(placement.slots),
     .text = "nodes that a container may hold"},
    END};

#define NEEDS(field)                                                                                      \
    {                                                                                                     \
        REAL("cpu", "0.25", S(neuron_types.field.cpu), 0, 1024, ABOVE, "cores",                           \
             "cores for each part; a container asks for the sum of its parts"),                           \
            BYTES("memory", "32MiB", 0, S(neuron_types.field.memory), MEBIBYTE, "memory for each part"), \
            END                                                                                           \
    }
static const cfi_option dense_needs[] = NEEDS(dense);
static const cfi_option conv2d_needs[] = NEEDS(conv2d);
static const cfi_option source_needs[] = NEEDS(source);
static const cfi_option loss_needs[] = NEEDS(loss);
static const cfi_option neuron_type_keys[] = {
    MAP("dense", "{}", dense_needs, "parts of dense layers"),
    MAP("conv2d", "{}", conv2d_needs, "parts of convolutions"),
    MAP("source", "{}", source_needs, "the part that makes the batches"),
    MAP("loss", "{}", loss_needs, "the part that computes the loss"), END};

static const cfi_option zeromq_keys[] = {
    WORD("scheme", "ipc", S(running.scheme), scheme_words, "ipc: sockets of this machine; tcp: ports"),
    INT("port", "24100", S(running.port), 1024, 65535, NULL, "tcp: of the first container; the others follow"), END};
static const cfi_option lmdb_keys[] = {
    BYTES("size", NULL, CFI_OPTION_OPTIONAL, S(running.store_size), MEBIBYTE, "how large the file may grow"), END};

static const cfi_option messaging_keys[] = {
    KIND("zeromq", CFI_MESSAGING_ZEROMQ, zeromq_keys, "direct connections"),
    KIND("rabbitmq", CFI_MESSAGING_RABBITMQ, no_keys, "a RabbitMQ broker"),
    KIND("kafka", CFI_MESSAGING_KAFKA, no_keys, "a Kafka broker"), END};
static const cfi_option store_keys[] = {KIND("lmdb", CFI_STORE_KIND_LMDB, lmdb_keys, "a file"),
                                        KIND("dynamodb", CFI_STORE_KIND_DYNAMODB, no_keys, "DynamoDB"),
                                        KIND("memory", CFI_STORE_KIND_MEMORY, no_keys, "nothing lasting"), END};
static const cfi_option deploy_keys[] = {
    KIND("local", CFI_DEPLOY_LOCAL, no_keys, "processes on this machine"),
    KIND("docker", CFI_DEPLOY_DOCKER, no_keys, "a Docker engine"),
    KIND("compose", CFI_DEPLOY_COMPOSE, no_keys, "Docker Compose"),
    KIND("kubernetes", CFI_DEPLOY_KUBERNETES, no_keys, "Kubernetes"),
    KIND("ecs", CFI_DEPLOY_ECS, no_keys, "Amazon ECS"),
    KIND("marathon", CFI_DEPLOY_MARATHON, no_keys, "Marathon on Mesos"),
    END};

/* ---- The file ------------------------------------------------------------------------------------------ */

static const cfi_option root_keys[] = {
    INT("cuttlefish", "1", NOWHERE, 1, 1, NULL, "version of this format"),
    {.key = "name",
     .type = CFI_OPTION_NAME,
     .flags = CFI_OPTION_OPTIONAL,
     S(name),
     .size = CFI_NAME_SIZE_MAX,
     .text = "of the run folder and the containers; made from the file's name when missing"},
    INT("seed", "1", S(seed), 0, INT64_MAX, NULL, "of everything random; part of the result"),
    {.key = "data",
     .type = CFI_OPTION_MAP,
     .children = data_keys,
     S(data.kind),
     .text = "what is learned from"},
    MAP("network", NULL, network_keys, "the layers and the loss"),
    MAP("training", "{}", training_keys, "how it is trained"),
    MAP("placement", "{}", placement_keys, "which neurons share a container, and where these run"),
    MAP("neuron_types", "{}", neuron_type_keys, "what a container needs, by what it holds"),
    CHOICE("messaging", "zeromq", S(running.messaging), messaging_keys, "what carries messages between containers"),
    CHOICE("store", "lmdb", S(running.store), store_keys, "what keeps versions of the weights"),
    WORD("durability", "process", S(running.durability), durability_words,
         "what a step that counts survives: process: kill -9; power: a power failure too, by fsync"),
    {.key = "persist_every",
     .type = CFI_OPTION_INT,
     .fallback = "auto",
     .words = auto_words,
     .minimum = 1,
     .maximum = CFI_PERSIST_EVERY_MAX,
     .unit = "steps",
     S(running.persist_every),
     .text = "steps between durable states; never changes the result"},
    CHOICE("deploy", "local", S(running.deploy), deploy_keys, "where containers run"),
    WORD("engine", "native", NOWHERE, engine_words,
         "what computes: Cuttlefish itself, or a TensorFlow cluster"),
    END};

static const cfi_option root = MAP("", NULL, root_keys, "the network file");

const cfi_option *cfi_option_root(void)
{
    return &root;
}
