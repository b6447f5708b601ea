#include "graph/graph.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define PATH_SIZE 128
#define GRAIN_FINE_NEURONS_MAX 64 /* grain: auto is 1 up to here */
#define GRAIN_COARSE 32

/* The walk over the layers: what the next layer would see, and who made it. */
typedef struct graph_builder {
    const cfi_settings *settings;
    cfi_graph *graph;
    cfi_graph_problem problem;
    void *user;
    cf_error *error;
    int problem_count;
    cfi_shape shape;         /* of the values that the next layer sees */
    bool shape_known;        /* false after a mistake that leaves the shape open */
    bool image;              /* the next layer sees an image, not flat values */
    const cfi_layer *source; /* last layer that shaped the values (not dropout); NULL: the data set */
} graph_builder;

const char *cfi_layer_kind_name(cfi_layer_kind kind)
{
    switch (kind) {
    case CFI_LAYER_DENSE:
        return "dense";
    case CFI_LAYER_CONV2D:
        return "conv2d";
    case CFI_LAYER_MAX_POOL:
        return "max_pool";
    case CFI_LAYER_AVG_POOL:
        return "avg_pool";
    case CFI_LAYER_FLATTEN:
        return "flatten";
    case CFI_LAYER_DROPOUT:
        return "dropout";
    }
    return "unknown";
}

const char *cfi_activation_name(cfi_activation activation)
{
    switch (activation) {
    case CFI_ACTIVATION_IDENTITY:
        return "identity";
    case CFI_ACTIVATION_RELU:
        return "relu";
    case CFI_ACTIVATION_LEAKY_RELU:
        return "leaky_relu";
    case CFI_ACTIVATION_SIGMOID:
        return "sigmoid";
    case CFI_ACTIVATION_TANH:
        return "tanh";
    }
    return "unknown";
}

static const char *loss_name(cfi_loss_kind loss)
{
    switch (loss) {
    case CFI_LOSS_SOFTMAX_CROSS_ENTROPY:
        return "softmax_cross_entropy";
    case CFI_LOSS_MSE:
        return "mse";
    case CFI_LOSS_BINARY_CROSS_ENTROPY:
        return "binary_cross_entropy";
    }
    return "unknown";
}

/* ---- Reporting --------------------------------------------------------------------------------------- */

static void report(graph_builder *builder, cfi_mark mark, const char *path, const char *format, ...)
    CFI_PRINTF(4, 5);

static void report(graph_builder *builder, cfi_mark mark, const char *path, const char *format, ...)
{
    char text[CF_ERROR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (builder->problem_count++ == 0) {
        (void)cfi_fail(builder->error, CF_E_CONFIG, "%s: %s", path, text);
    }
    if (builder->problem != NULL) {
        builder->problem(builder->user, mark, path, text);
    }
}

/* "network.layers[2].conv2d.kernel", or without the key when it is NULL. */
static const char *layer_path(const graph_builder *builder, const cfi_layer *layer, const char *key,
                              char path[PATH_SIZE])
{
    const int index = (int)(layer - builder->graph->layers);
    snprintf(path, PATH_SIZE, "network.layers[%d].%s%s%s", index, cfi_layer_kind_name(layer->kind),
             key == NULL ? "" : ".", key == NULL ? "" : key);
    return path;
}

/* "layer 'pool2' (max_pool)", or "the data set" for NULL. */
#define WHO_SIZE (CFI_NAME_SIZE_MAX + 32)

static const char *who(const cfi_layer *layer, char text[WHO_SIZE])
{
    if (layer == NULL) {
        snprintf(text, WHO_SIZE, "the data set");
    } else {
        snprintf(text, WHO_SIZE, "layer '%s' (%s)", layer->name, cfi_layer_kind_name(layer->kind));
    }
    return text;
}

/* ---- One layer after the other ----------------------------------------------------------------------- */

static bool has_weights(cfi_layer_kind kind)
{
    return kind == CFI_LAYER_DENSE || kind == CFI_LAYER_CONV2D;
}

/* The kinds that slide a window over an image. */
static bool has_window(cfi_layer_kind kind)
{
    return kind == CFI_LAYER_CONV2D || kind == CFI_LAYER_MAX_POOL || kind == CFI_LAYER_AVG_POOL;
}

static cfi_initialiser resolve_initialiser(cfi_initialiser init, cfi_activation activation)
{
    if (init != CFI_INIT_AUTO) {
        return init;
    }
    const bool rectified = activation == CFI_ACTIVATION_RELU || activation == CFI_ACTIVATION_LEAKY_RELU;
    return rectified ? CFI_INIT_HE_NORMAL : CFI_INIT_GLOROT_UNIFORM;
}

/* What follows from the settings alone. */
static void copy_settings(cfi_layer *layer, const cfi_layer_settings *settings)
{
    *layer = (cfi_layer){.kind = settings->kind, .weight_index = -1, .mark = settings->mark};
    memcpy(layer->name, settings->name, sizeof layer->name);
    layer->activation = CFI_ACTIVATION_IDENTITY;
    if (has_weights(settings->kind)) {
        layer->activation = settings->activation;
        layer->leaky_slope = (float)settings->leaky_slope;
        layer->init = resolve_initialiser(settings->init, settings->activation);
        layer->neurons = settings->units;
    }
    if (has_window(settings->kind)) {
        for (int axis = 0; axis < 2; axis++) {
            layer->kernel[axis] = settings->kernel[axis];
            layer->stride[axis] = settings->stride[axis] == 0 && settings->kind != CFI_LAYER_CONV2D
                                      ? settings->kernel[axis]
                                      : settings->stride[axis];
        }
    }
    if (settings->kind == CFI_LAYER_DROPOUT) {
        layer->dropout_rate = (float)settings->dropout_rate;
    }
}

/* The ranges that the arithmetic below relies on, so that no file can make it overflow or divide by zero.
 * config/ knows narrower ones and gives better messages. */
static bool check_ranges(graph_builder *builder, const cfi_layer *layer, const cfi_layer_settings *settings)
{
    char path[PATH_SIZE];
    const char *key = NULL;
    int64_t least = 1;
    if (has_weights(layer->kind) && (layer->neurons < 1 || layer->neurons > CFI_UNIT_COUNT_MAX)) {
        key = layer->kind == CFI_LAYER_DENSE ? "units" : "filters";
    }
    if (has_window(layer->kind)) {
        for (int axis = 0; axis < 2; axis++) {
            if (layer->kernel[axis] < 1 || layer->kernel[axis] > CFI_UNIT_COUNT_MAX) {
                key = layer->kind == CFI_LAYER_CONV2D ? "kernel" : "size";
            } else if (layer->stride[axis] < 1 || layer->stride[axis] > CFI_UNIT_COUNT_MAX) {
                key = "stride";
            }
        }
    }
    if (layer->kind == CFI_LAYER_CONV2D && settings->padding_kind == CFI_PADDING_NUMBER &&
        (settings->padding < 0 || settings->padding > CFI_UNIT_COUNT_MAX)) {
        key = "padding";
        least = 0;
    }
    if (key == NULL) {
        return true;
    }
    report(builder, layer->mark, layer_path(builder, layer, key, path), "%s must be %lld to %d", key,
           (long long)least, CFI_UNIT_COUNT_MAX);
    return false;
}

/* A network may be cut at multiples of `grain` and gives the same bits; a grain beyond the whole layer would
 * promise nothing more. */
static void set_grain(graph_builder *builder, cfi_layer *layer, int64_t grain)
{
    char path[PATH_SIZE], name[WHO_SIZE];
    int64_t whole = 1;
    while (whole < layer->neurons) {
        whole *= 2;
    }
    layer->grain = grain;
    if (grain == 0) {
        layer->grain = layer->neurons <= GRAIN_FINE_NEURONS_MAX ? 1 : GRAIN_COARSE;
    } else if (grain < 1 || (grain & (grain - 1)) != 0) {
        report(builder, layer->mark, layer_path(builder, layer, "grain", path),
               "grain %lld of %s is not a power of two", (long long)grain, who(layer, name));
    } else if (grain > whole) {
        report(builder, layer->mark, layer_path(builder, layer, "grain", path),
               "grain %lld is larger than %s with its %lld neurons; use at most %lld", (long long)grain,
               who(layer, name), (long long)layer->neurons, (long long)whole);
    }
}

/* Sets fan_in and weight_count, adds to the graph's parameters; reports the layer that passes the limit. */
static void count_parameters(graph_builder *builder, cfi_layer *layer, int64_t fan_in)
{
    char path[PATH_SIZE], name[WHO_SIZE];
    cfi_graph *graph = builder->graph;
    const bool fitted = graph->parameter_count <= CFI_PARAMETER_COUNT_MAX;
    layer->fan_in = fan_in;
    layer->weight_count = layer->neurons * fan_in; /* both are limited: below 2^45 */
    graph->parameter_count += layer->weight_count + layer->neurons;
    if (fitted && graph->parameter_count > CFI_PARAMETER_COUNT_MAX) {
        report(builder, layer->mark, layer_path(builder, layer, NULL, path),
               "%s brings the network to %lld parameters; the limit is %lld", who(layer, name),
               (long long)graph->parameter_count, CFI_PARAMETER_COUNT_MAX);
    }
}

/* Takes the layer's output as the next layer's input, unless it is too large. */
static void set_output(graph_builder *builder, cfi_layer *layer, int64_t channels, int64_t height,
                       int64_t width)
{
    char path[PATH_SIZE], name[WHO_SIZE];
    layer->output = (cfi_shape){channels, height, width};
    builder->shape = layer->output;
    if (channels * height > CFI_FEATURE_COUNT_MAX || channels * height * width > CFI_FEATURE_COUNT_MAX) {
        report(builder, layer->mark, layer_path(builder, layer, NULL, path),
               "%s gives %lldx%lldx%lld values for each sample; the limit is %d", who(layer, name),
               (long long)channels, (long long)height, (long long)width, CFI_FEATURE_COUNT_MAX);
        builder->shape_known = false;
    }
}

static void add_dense(graph_builder *builder, cfi_layer *layer, const cfi_layer_settings *settings)
{
    char path[PATH_SIZE], name[WHO_SIZE], source[WHO_SIZE];
    /* Images of the data set are flattened as a matter of course; between layers it is written down, because
     * a forgotten flatten is more often a forgotten layer. */
    if (builder->image && builder->source != NULL) {
        report(builder, layer->mark, layer_path(builder, layer, NULL, path),
               "%s needs flat values, but %s gives an image; add '- flatten' between them", who(layer, name),
               who(builder->source, source));
    }
    set_grain(builder, layer, settings->grain);
    if (builder->shape_known) {
        count_parameters(builder, layer, cfi_shape_features(builder->shape));
    }
    builder->image = false;
    builder->shape_known = true;
    builder->source = layer;
    set_output(builder, layer, layer->neurons, 1, 1);
}

/* True when the layer sees an image, or when that is unknown; reports otherwise. */
static bool check_image(graph_builder *builder, const cfi_layer *layer)
{
    char path[PATH_SIZE], name[WHO_SIZE], source[WHO_SIZE];
    if (builder->image) {
        return true;
    }
    if (builder->source == NULL) {
        report(builder, layer->mark, layer_path(builder, layer, NULL, path),
               "%s needs images, but the data set gives %lld plain values for each sample; use dense layers",
               who(layer, name), (long long)cfi_shape_features(builder->shape));
    } else {
        report(builder, layer->mark, layer_path(builder, layer, NULL, path),
               "%s needs images, but %s gives flat values; put '%s' before '%s'", who(layer, name),
               who(builder->source, source), layer->name, builder->source->name);
    }
    return false;
}

/* Padding of one axis. 'same' is TensorFlow's rule: out = ceil(in / stride), the odd zero at the end. */
static void pad_axis(const cfi_layer_settings *settings, int axis, int64_t in, int64_t *before,
                     int64_t *after)
{
    int64_t total = 0;
    if (settings->padding_kind == CFI_PADDING_NUMBER) {
        *before = *after = settings->padding;
        return;
    }
    if (settings->padding_kind == CFI_PADDING_SAME) {
        const int64_t stride = settings->stride[axis];
        const int64_t out = (in + stride - 1) / stride;
        total = (out - 1) * stride + settings->kernel[axis] - in;
        total = total > 0 ? total : 0;
    }
    *before = total / 2;
    *after = total - total / 2;
}

/* Output height and width of a sliding window; where it would hang over the edge there is no output (floor).
 * Reports a window that fits nowhere. */
static bool slide(graph_builder *builder, const cfi_layer *layer, int64_t out[2])
{
    char path[PATH_SIZE], name[WHO_SIZE], source[WHO_SIZE];
    const bool convolution = layer->kind == CFI_LAYER_CONV2D;
    const int64_t height = layer->input.height + layer->pad_top + layer->pad_bottom;
    const int64_t width = layer->input.width + layer->pad_left + layer->pad_right;
    if (layer->kernel[0] > height || layer->kernel[1] > width) {
        report(builder, layer->mark, layer_path(builder, layer, convolution ? "kernel" : "size", path),
               "the %lldx%lld %s of %s is larger than its %lldx%lld input %sfrom %s; make it smaller%s",
               (long long)layer->kernel[0], (long long)layer->kernel[1], convolution ? "kernel" : "window",
               who(layer, name), (long long)height, (long long)width, convolution ? "(with padding) " : "",
               who(builder->source, source), convolution ? " or use 'padding: same'" : "");
        return false;
    }
    out[0] = (height - layer->kernel[0]) / layer->stride[0] + 1;
    out[1] = (width - layer->kernel[1]) / layer->stride[1] + 1;
    return true;
}

static void report_large_kernel(graph_builder *builder, const cfi_layer *layer)
{
    char path[PATH_SIZE], name[WHO_SIZE];
    report(builder, layer->mark, layer_path(builder, layer, "kernel", path),
           "the %lldx%lld kernel of %s over %lld channels sees more than %d values, which is the limit",
           (long long)layer->kernel[0], (long long)layer->kernel[1], who(layer, name),
           (long long)layer->input.channels, CFI_FEATURE_COUNT_MAX);
    builder->shape_known = false;
}

static void add_window(graph_builder *builder, cfi_layer *layer, const cfi_layer_settings *settings)
{
    const bool convolution = layer->kind == CFI_LAYER_CONV2D;
    int64_t out[2];
    if (convolution) {
        set_grain(builder, layer, settings->grain);
    }
    bool fits = check_image(builder, layer) && builder->shape_known;
    if (fits && convolution) {
        pad_axis(settings, 0, layer->input.height, &layer->pad_top, &layer->pad_bottom);
        pad_axis(settings, 1, layer->input.width, &layer->pad_left, &layer->pad_right);
    }
    fits = fits && slide(builder, layer, out);
    builder->image = true;
    builder->source = layer;
    builder->shape_known = fits;
    if (!fits) {
        return;
    }
    const int64_t area = layer->kernel[0] * layer->kernel[1];
    if (convolution && area > CFI_FEATURE_COUNT_MAX / layer->input.channels) {
        report_large_kernel(builder, layer);
        return;
    }
    if (convolution) {
        count_parameters(builder, layer, layer->input.channels * area);
    }
    set_output(builder, layer, convolution ? layer->neurons : layer->input.channels, out[0], out[1]);
}

static void add_layer(graph_builder *builder, int index)
{
    const cfi_layer_settings *settings = &builder->settings->layers[index];
    cfi_layer *layer = &builder->graph->layers[index];
    copy_settings(layer, settings);
    layer->input = builder->shape;
    if (!check_ranges(builder, layer, settings)) {
        builder->shape_known = false;
        builder->image = layer->kind != CFI_LAYER_DENSE;
        builder->source = layer;
        return;
    }
    switch (layer->kind) {
    case CFI_LAYER_DENSE:
        add_dense(builder, layer, settings);
        break;
    case CFI_LAYER_CONV2D:
    case CFI_LAYER_MAX_POOL:
    case CFI_LAYER_AVG_POOL:
        add_window(builder, layer, settings);
        break;
    case CFI_LAYER_FLATTEN:
        builder->image = false;
        builder->source = layer;
        if (builder->shape_known) {
            set_output(builder, layer, cfi_shape_features(builder->shape), 1, 1);
        }
        break;
    case CFI_LAYER_DROPOUT:
        layer->output = layer->input;
        break;
    }
}

/* ---- The end of the network against the loss and the data set ---------------------------------------- */

/* The last layer that is not a flatten (which changes no value); NULL when there is none. */
static const cfi_layer *last_computing_layer(const cfi_graph *graph)
{
    for (int index = graph->layer_count - 1; index >= 0; index--) {
        if (graph->layers[index].kind != CFI_LAYER_FLATTEN) {
            return &graph->layers[index];
        }
    }
    return NULL;
}

static void check_last_values(graph_builder *builder)
{
    char path[PATH_SIZE], name[WHO_SIZE];
    const cfi_layer *last = last_computing_layer(builder->graph);
    if (last == NULL) {
        return;
    }
    if (last->kind == CFI_LAYER_DROPOUT) {
        report(builder, last->mark, layer_path(builder, last, NULL, path),
               "%s comes last and would zero the network's outputs; put it before the layer with the outputs",
               who(last, name));
    } else if (builder->graph->loss != CFI_LOSS_MSE && last->activation != CFI_ACTIVATION_IDENTITY) {
        report(builder, last->mark, layer_path(builder, last, "activation", path),
               "%s ends in %s, but loss %s applies its own %s; set 'activation: identity'", who(last, name),
               cfi_activation_name(last->activation), loss_name(builder->graph->loss),
               builder->graph->loss == CFI_LOSS_BINARY_CROSS_ENTROPY ? "sigmoid" : "softmax");
    }
}

static void check_output_count(graph_builder *builder)
{
    char path[PATH_SIZE], name[WHO_SIZE];
    const cfi_graph *graph = builder->graph;
    const cfi_layer *last = &graph->layers[graph->layer_count - 1];
    const int64_t outputs = cfi_shape_features(builder->shape);
    const bool may_be_one = graph->loss != CFI_LOSS_SOFTMAX_CROSS_ENTROPY && graph->classes <= 2;
    if (outputs == graph->classes || (outputs == 1 && may_be_one)) {
        return;
    }
    const char *key = last->kind == CFI_LAYER_DENSE ? "units" : NULL;
    report(builder, last->mark, layer_path(builder, last, key, path),
           "%s gives %lld output%s, but the data set has %lld class%s and loss %s needs one output for "
           "each%s; %s %lld%s",
           who(last, name), (long long)outputs, outputs == 1 ? "" : "s", (long long)graph->classes,
           graph->classes == 1 ? "" : "es", loss_name(graph->loss), may_be_one ? " (or a single one)" : "",
           key != NULL ? "set 'units:" : "end with a dense layer of", (long long)graph->classes,
           key != NULL ? "'" : " units");
}

static void check_end(graph_builder *builder)
{
    const cfi_graph *graph = builder->graph;
    bool trainable = false;
    for (int index = 0; index < graph->layer_count; index++) {
        trainable = trainable || graph->layers[index].weight_index >= 0;
    }
    if (!trainable) {
        report(builder, graph->layers[0].mark, "network.layers",
               "no layer has weights, so there is nothing to train; add a dense or conv2d layer");
        return;
    }
    check_last_values(builder);
    if (builder->shape_known) {
        check_output_count(builder);
    }
}

/* ---- The graph --------------------------------------------------------------------------------------- */

static cf_status check_arguments(const cfi_settings *settings, cfi_shape input, int64_t classes,
                                 cf_error *error)
{
    if (settings->layer_count < 1 || settings->layer_count > CFI_LAYER_COUNT_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "a network has 1 to %d layers, not %d", CFI_LAYER_COUNT_MAX,
                        settings->layer_count);
    }
    const int64_t most = CFI_FEATURE_COUNT_MAX;
    const bool positive = input.channels >= 1 && input.height >= 1 && input.width >= 1 && classes >= 1;
    if (!positive || input.channels > most || input.height > most / input.channels ||
        input.width > most / (input.channels * input.height)) {
        return cfi_fail(error, CF_E_LIMIT,
                        "samples of %lldx%lldx%lld values in %lld classes cannot be used: 1 to %d values and "
                        "at least one class are needed",
                        (long long)input.channels, (long long)input.height, (long long)input.width,
                        (long long)classes, CFI_FEATURE_COUNT_MAX);
    }
    return CF_OK;
}

cf_status cfi_graph_build(const cfi_settings *settings, cfi_shape input, int64_t classes,
                          cfi_graph_problem problem, void *user, cfi_graph *graph_out, cf_error *error)
{
    CFI_TRY(check_arguments(settings, input, classes, error));
    cfi_graph graph = {.input = input, .classes = classes, .loss = settings->loss};
    graph.layers = cfi_calloc((size_t)settings->layer_count, sizeof *graph.layers);
    if (graph.layers == NULL) {
        return cfi_fail_memory(error, "the network's layers");
    }
    graph.layer_count = settings->layer_count;
    graph_builder builder = {.settings = settings, .graph = &graph, .problem = problem, .user = user,
                             .error = error, .shape = input, .shape_known = true,
                             .image = input.height * input.width > 1};
    int weight_index = 0;
    for (int index = 0; index < graph.layer_count; index++) {
        add_layer(&builder, index);
        if (has_weights(graph.layers[index].kind)) {
            graph.layers[index].weight_index = weight_index++;
        }
    }
    check_end(&builder);
    if (builder.problem_count > 0) {
        cfi_graph_fini(&graph);
        return CF_E_CONFIG;
    }
    *graph_out = graph;
    return CF_OK;
}

void cfi_graph_fini(cfi_graph *graph)
{
    cfi_free(graph->layers);
    *graph = (cfi_graph){0};
}

/* ---- Work -------------------------------------------------------------------------------------------- */

int64_t cfi_layer_forward_flops(const cfi_layer *layer)
{
    const int64_t outputs = cfi_shape_features(layer->output);
    switch (layer->kind) {
    case CFI_LAYER_DENSE:
    case CFI_LAYER_CONV2D:
        return 2 * layer->fan_in * outputs;
    case CFI_LAYER_MAX_POOL:
    case CFI_LAYER_AVG_POOL:
        return layer->kernel[0] * layer->kernel[1] * outputs;
    case CFI_LAYER_FLATTEN:
    case CFI_LAYER_DROPOUT:
        return 0;
    }
    return 0;
}

int64_t cfi_graph_forward_flops(const cfi_graph *graph)
{
    int64_t flops = 0;
    for (int index = 0; index < graph->layer_count; index++) {
        flops += cfi_layer_forward_flops(&graph->layers[index]);
    }
    return flops;
}

int64_t cfi_graph_training_flops(const cfi_graph *graph)
{
    int64_t flops = cfi_graph_forward_flops(graph);
    for (int index = 0; index < graph->layer_count; index++) {
        const cfi_layer *layer = &graph->layers[index];
        if (layer->weight_index >= 0) {
            /* The weight gradient repeats the forward multiplications, the input gradient once more. */
            flops += cfi_layer_forward_flops(layer) * (layer->weight_index == 0 ? 1 : 2);
        }
    }
    return flops;
}
