#include "cases.h"

#include <stdio.h>
#include <string.h>

typedef struct case_row {
    const char *name;
    bool training, lenet;
    int64_t batch;
    cfi_activation activation;   /* of the hidden layers; the last is sigmoid with the quadratic cost, else identity */
    double rate, momentum;
    int64_t units[5];            /* of the dense layers, ending with 0 */
} case_row;

#define WIDE {512, 512, 10}

static const case_row case_rows[] = {
    {"a", true, false, 128, CFI_ACTIVATION_RELU, 0.02, 0.9, WIDE},
    {"b", true, false, 10, CFI_ACTIVATION_SIGMOID, 3.0, 0.0, {30, 10}},
    {"c", true, false, 128, CFI_ACTIVATION_SIGMOID, 3.0, 0.0, {30, 10}},
    {"d", true, false, 256, CFI_ACTIVATION_RELU, 0.02, 0.9, {1024, 1024, 1024, 10}},
    {"e", true, true, 64, CFI_ACTIVATION_RELU, 0.02, 0.9, {120, 84, 10}},
    {"f1", false, false, 1, CFI_ACTIVATION_RELU, 0.0, 0.0, WIDE},
    {"f256", false, false, 256, CFI_ACTIVATION_RELU, 0.0, 0.0, WIDE},
};

static cfi_layer_settings *add_layer(benchmark_case *benchmark, cfi_layer_kind kind)
{
    cfi_layer_settings *layer = &benchmark->layers[benchmark->settings.layer_count];
    layer->kind = kind;
    snprintf(layer->name, sizeof layer->name, "layer%d", benchmark->settings.layer_count + 1);
    layer->stride[0] = layer->stride[1] = 1;
    benchmark->settings.layer_count++;
    return layer;
}

static void add_convolution(benchmark_case *benchmark, int64_t filters, int64_t padding)
{
    cfi_layer_settings *layer = add_layer(benchmark, CFI_LAYER_CONV2D);
    layer->units = filters;
    layer->kernel[0] = layer->kernel[1] = 5;
    layer->padding_kind = CFI_PADDING_NUMBER;
    layer->padding = padding;
    layer->activation = CFI_ACTIVATION_RELU;
    cfi_layer_settings *pool = add_layer(benchmark, CFI_LAYER_MAX_POOL);
    pool->kernel[0] = pool->kernel[1] = 2;
    pool->stride[0] = pool->stride[1] = 2;
}

static void add_layers(benchmark_case *benchmark, const case_row *row)
{
    if (row->lenet) {
        add_convolution(benchmark, 6, 2);
        add_convolution(benchmark, 16, 0);
        add_layer(benchmark, CFI_LAYER_FLATTEN);
    }
    for (int i = 0; row->units[i] != 0; i++) {
        cfi_layer_settings *layer = add_layer(benchmark, CFI_LAYER_DENSE);
        const bool last = row->units[i + 1] == 0;
        layer->units = row->units[i];
        layer->activation = row->activation;
        if (last && row->activation == CFI_ACTIVATION_RELU) {
            layer->activation = CFI_ACTIVATION_IDENTITY;
        }
        if (row->activation == CFI_ACTIVATION_SIGMOID) {
            layer->init = CFI_INIT_NIELSEN;
        }
    }
}

static void set_training(cfi_training_settings *training, const case_row *row)
{
    training->epochs = 1;
    training->batch = row->batch;
    training->sample_grain = 64;
    training->micro_batches = 1;
    training->drop_last = true;  /* the peers' compiled steps know one batch size only */
    training->optimizer.kind = CFI_OPTIMIZER_SGD;
    training->optimizer.rate = row->rate;
    training->optimizer.momentum = row->momentum;
}

static void print_problem(void *user, cfi_mark mark, const char *path, const char *text)
{
    (void)user;
    (void)mark;
    fprintf(stderr, "%s: %s\n", path, text);
}

cf_status benchmark_case_build(const char *name, cfi_shape input, benchmark_case *benchmark, cf_error *error)
{
    const case_row *row = NULL;
    for (size_t i = 0; i < sizeof case_rows / sizeof case_rows[0]; i++) {
        if (strcmp(case_rows[i].name, name) == 0) {
            row = &case_rows[i];
        }
    }
    if (row == NULL) {
        return cfi_fail(error, CF_E_USAGE, "no case '%s' (there are a, b, c, d, e, f1, f256)", name);
    }
    memset(benchmark, 0, sizeof *benchmark);
    benchmark->training = row->training;
    benchmark->settings.seed = 7;
    benchmark->settings.layers = benchmark->layers;
    benchmark->settings.loss =
        row->activation == CFI_ACTIVATION_SIGMOID ? CFI_LOSS_MSE : CFI_LOSS_SOFTMAX_CROSS_ENTROPY;
    add_layers(benchmark, row);
    set_training(&benchmark->settings.training, row);
    return cfi_graph_build(&benchmark->settings, input, 10, print_problem, NULL, &benchmark->graph, error);
}
