/* Settings -> layers with shapes -> neurons. The graph is what every engine runs. */
#ifndef CFI_GRAPH_GRAPH_H
#define CFI_GRAPH_GRAPH_H

#include "config/settings.h"

typedef struct cfi_shape {
    int64_t channels, height, width; /* a dense layer's output is (units, 1, 1) */
} cfi_shape;

static inline int64_t cfi_shape_features(cfi_shape shape)
{
    return shape.channels * shape.height * shape.width;
}

/* One layer with everything inferred. Dense and conv2d have weights; the others have weight_count 0. */
typedef struct cfi_layer {
    cfi_layer_kind kind;
    char name[CFI_NAME_SIZE_MAX];
    cfi_shape input, output;
    cfi_activation activation;
    float leaky_slope;
    cfi_initialiser init;        /* never AUTO here */
    int64_t kernel[2], stride[2];
    int64_t pad_top, pad_left, pad_bottom, pad_right;
    float dropout_rate;
    int64_t grain;               /* leaf of the input gradient's tree, in neurons (output channels for conv2d) */
    int64_t neurons;             /* rows of the weight matrix: units, or output channels; 0 without weights */
    int64_t fan_in;              /* values in a row: inputs, or channels*kernel area; 0 without weights */
    int64_t weight_count;        /* neurons * fan_in */
    int weight_index;            /* 0, 1, ... among layers with weights; -1 without. The tensor ids of Philox are
                                  * 2*weight_index (weights) and 2*weight_index + 1 (biases) */
    cfi_mark mark;
} cfi_layer;

typedef struct cfi_graph {
    cfi_shape input;
    int64_t classes;
    cfi_loss_kind loss;
    cfi_layer *layers;           /* owned */
    int layer_count;
    int64_t parameter_count;     /* weights and biases */
} cfi_graph;

/* Calls back for each mistake, so that all are listed. `mark` is that of the layer or the loss at fault. */
typedef void (*cfi_graph_problem)(void *user, cfi_mark mark, const char *path, const char *text);

/* Infers shapes for samples of `input` with `classes` classes. Every mismatch goes to `problem` and names both
 * layers; CF_E_CONFIG when there was any. Free with cfi_graph_fini. */
cf_status cfi_graph_build(const cfi_settings *settings, cfi_shape input, int64_t classes,
                          cfi_graph_problem problem, void *user, cfi_graph *graph_out, cf_error *error)
    __attribute__((warn_unused_result));
void cfi_graph_fini(cfi_graph *graph);

/* The layer's words in the YAML file: "dense", "max_pool", ... */
const char *cfi_layer_kind_name(cfi_layer_kind kind);
const char *cfi_activation_name(cfi_activation activation);

/* Floating-point operations for one sample, multiply and add counted apart: forward only, and a whole training step.
 * Contractions count 2 for each weight used, pools 1 for each value seen; activations and losses count nothing. */
int64_t cfi_layer_forward_flops(const cfi_layer *layer);
int64_t cfi_graph_forward_flops(const cfi_graph *graph);
/* forward + weight gradient + input gradient (not for the first layer with weights) */
int64_t cfi_graph_training_flops(const cfi_graph *graph);

#endif
