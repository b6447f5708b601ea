#include "reference/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"

/* ---- Memory ------------------------------------------------------------------------------------------ */

static void *zeroed(int64_t count, size_t size)
{
    void *memory = calloc(count > 0 ? (size_t)count : 1, size);
    if (memory == NULL) {
        fprintf(stderr, "reference: out of memory\n");
        abort();
    }
    return memory;
}

static double *doubles(int64_t count)
{
    return zeroed(count, sizeof(double));
}

static void tensor_init(reference_tensor *tensor, int64_t count)
{
    tensor->count = count;
    tensor->values = doubles(count);
    tensor->gradient = doubles(count);
    for (int i = 0; i < REFERENCE_STATES; i++) {
        tensor->state[i] = doubles(count);
    }
}

static void tensor_fini(reference_tensor *tensor)
{
    free(tensor->values);
    free(tensor->gradient);
    for (int i = 0; i < REFERENCE_STATES; i++) {
        free(tensor->state[i]);
    }
}

reference_network *reference_new(const cfi_graph *graph, const cfi_training_settings *training, uint64_t seed)
{
    reference_network *result = zeroed(1, sizeof *result);
    result->graph = graph;
    result->training = training;
    result->seed = seed;
    result->layers = zeroed(graph->layer_count, sizeof *result->layers);
    result->input_gradient = doubles(cfi_shape_features(graph->input));
    for (int i = 0; i < graph->layer_count; i++) {
        const cfi_layer *layer = &graph->layers[i];
        reference_layer *mine = &result->layers[i];
        const int64_t features = cfi_shape_features(layer->output);
        const bool weighted = layer->kind == CFI_LAYER_DENSE || layer->kind == CFI_LAYER_CONV2D;
        mine->layer = layer;
        tensor_init(&mine->weight, weighted ? layer->neurons * layer->fan_in : 0);
        tensor_init(&mine->bias, weighted ? layer->neurons : 0);
        mine->before = doubles(features);
        mine->output = doubles(features);
        mine->factor = doubles(features);
        mine->output_gradient = doubles(features);
    }
    return result;
}

void reference_free(reference_network *reference)
{
    for (int i = 0; reference != NULL && i < reference->graph->layer_count; i++) {
        reference_layer *layer = &reference->layers[i];
        tensor_fini(&layer->weight);
        tensor_fini(&layer->bias);
        free(layer->before);
        free(layer->output);
        free(layer->factor);
        free(layer->output_gradient);
    }
    if (reference != NULL) {
        free(reference->layers);
        free(reference->input_gradient);
        free(reference);
    }
}

reference_tensor *reference_get(reference_network *reference, int weight_index, bool is_bias)
{
    for (int i = 0; i < reference->graph->layer_count; i++) {
        if (reference->graph->layers[i].weight_index == weight_index) {
            return is_bias ? &reference->layers[i].bias : &reference->layers[i].weight;
        }
    }
    fprintf(stderr, "reference: no layer has weight_index %d\n", weight_index);
    abort();
}

void reference_set(reference_network *reference, int weight_index, bool is_bias, const float *values,
                   int64_t count)
{
    reference_tensor *tensor = reference_get(reference, weight_index, is_bias);
    if (tensor->count != count) {
        fprintf(stderr, "reference: %lld values for a tensor of %lld\n", (long long)count,
                (long long)tensor->count);
        abort();
    }
    for (int64_t i = 0; i < count; i++) {
        tensor->values[i] = (double)values[i];
    }
}

/* ---- Places ------------------------------------------------------------------------------------------ */

static int64_t place(cfi_shape shape, int64_t channel, int64_t row, int64_t column)
{
    return (channel * shape.height + row) * shape.width + column;
}

static bool inside(cfi_shape shape, int64_t row, int64_t column)
{
    return row >= 0 && row < shape.height && column >= 0 && column < shape.width;
}

/* One use of a weight between an input and an output: what conv2d and dense are made of. */
typedef struct weight_use {
    int64_t output, input, weight;
} weight_use;

typedef void (*use_function)(reference_layer *layer, weight_use use, const double *input,
                                 double *input_gradient);

/* Calls `visit` for every use of a weight by a convolution that lies inside the image. */
static void each_conv_use(reference_layer *mine, const double *input, double *input_gradient,
                              use_function visit)
{
    const cfi_layer *layer = mine->layer;
    const int64_t kernel_height = layer->kernel[0], kernel_width = layer->kernel[1];
    const int64_t taps = layer->input.channels * kernel_height * kernel_width;
    const int64_t positions = layer->output.height * layer->output.width;
    for (int64_t output = 0; output < layer->output.channels * positions; output++) {
        const int64_t filter = output / positions;
        const int64_t top = output % positions / layer->output.width * layer->stride[0] - layer->pad_top;
        const int64_t left = output % layer->output.width * layer->stride[1] - layer->pad_left;
        for (int64_t tap = 0; tap < taps; tap++) {
            const int64_t channel = tap / (kernel_height * kernel_width);
            const int64_t row = top + tap / kernel_width % kernel_height;
            const int64_t column = left + tap % kernel_width;
            if (inside(layer->input, row, column)) {
                const int64_t seen = place(layer->input, channel, row, column);
                visit(mine, (weight_use){output, seen, filter * taps + tap}, input, input_gradient);
            }
        }
    }
}

static void each_dense_use(reference_layer *mine, const double *input, double *input_gradient,
                               use_function visit)
{
    const int64_t inputs = cfi_shape_features(mine->layer->input);
    for (int64_t neuron = 0; neuron < mine->layer->neurons; neuron++) {
        for (int64_t i = 0; i < inputs; i++) {
            visit(mine, (weight_use){neuron, i, neuron * inputs + i}, input, input_gradient);
        }
    }
}

static void each_use(reference_layer *mine, const double *input, double *input_gradient,
                         use_function visit)
{
    if (mine->layer->kind == CFI_LAYER_DENSE) {
        each_dense_use(mine, input, input_gradient, visit);
    } else {
        each_conv_use(mine, input, input_gradient, visit);
    }
}

/* ---- Forward ----------------------------------------------------------------------------------------- */

static double activate(const cfi_layer *layer, double z)
{
    switch (layer->activation) {
    case CFI_ACTIVATION_IDENTITY:
        return z;
    case CFI_ACTIVATION_RELU:
        return z > 0 ? z : 0;
    case CFI_ACTIVATION_LEAKY_RELU:
        return z >= 0 ? z : (double)layer->leaky_slope * z;
    case CFI_ACTIVATION_SIGMOID:
        return 1 / (1 + exp(-z));
    case CFI_ACTIVATION_TANH:
        return tanh(z);
    }
    return z;
}

static double activation_derivative(const cfi_layer *layer, double z)
{
    const double a = activate(layer, z);
    switch (layer->activation) {
    case CFI_ACTIVATION_IDENTITY:
        return 1;
    case CFI_ACTIVATION_RELU:
        return z > 0 ? 1 : 0;
    case CFI_ACTIVATION_LEAKY_RELU:
        return z >= 0 ? 1 : (double)layer->leaky_slope;
    case CFI_ACTIVATION_SIGMOID:
        return a * (1 - a);
    case CFI_ACTIVATION_TANH:
        return 1 - a * a;
    }
    return 1;
}

static void add_product(reference_layer *mine, weight_use use, const double *input, double *unused)
{
    (void)unused;
    mine->before[use.output] += mine->weight.values[use.weight] * input[use.input];
}

static void forward_weighted(reference_layer *mine, const double *input)
{
    const int64_t outputs = cfi_shape_features(mine->layer->output);
    const int64_t positions = outputs / mine->layer->neurons;
    for (int64_t i = 0; i < outputs; i++) {
        mine->before[i] = mine->bias.values[i / positions];
    }
    each_use(mine, input, NULL, add_product);
    for (int64_t i = 0; i < outputs; i++) {
        mine->output[i] = activate(mine->layer, mine->before[i]);
    }
}

/* The input that a max pool's output takes: the first of the largest in row order. */
static int64_t largest_in_window(const cfi_layer *layer, int64_t output, const double *input)
{
    const int64_t positions = layer->output.height * layer->output.width;
    const int64_t channel = output / positions;
    const int64_t top = output % positions / layer->output.width * layer->stride[0];
    const int64_t left = output % layer->output.width * layer->stride[1];
    int64_t best = place(layer->input, channel, top, left);
    for (int64_t tap = 0; tap < layer->kernel[0] * layer->kernel[1]; tap++) {
        const int64_t other =
            place(layer->input, channel, top + tap / layer->kernel[1], left + tap % layer->kernel[1]);
        best = input[other] > input[best] ? other : best;
    }
    return best;
}

static double window_mean(const cfi_layer *layer, int64_t output, const double *input)
{
    const int64_t positions = layer->output.height * layer->output.width;
    const int64_t top = output % positions / layer->output.width * layer->stride[0];
    const int64_t left = output % layer->output.width * layer->stride[1];
    const int64_t taps = layer->kernel[0] * layer->kernel[1];
    double sum = 0;
    for (int64_t tap = 0; tap < taps; tap++) {
        sum += input[place(layer->input, output / positions, top + tap / layer->kernel[1],
                           left + tap % layer->kernel[1])];
    }
    return sum / (double)taps;
}

/* step -1: dropout is off */
static void draw_dropout(const reference_network *reference, int index, int64_t row, int64_t step)
{
    reference_layer *mine = &reference->layers[index];
    for (int64_t i = 0; i < cfi_shape_features(mine->layer->output); i++) {
        mine->factor[i] = 1;
        if (step >= 0) {
            const cfi_philox_block block = cfi_draw(reference->seed, CFI_PURPOSE_DROPOUT, (uint32_t)index,
                                                    (uint32_t)i, (uint32_t)step, (uint32_t)(row / 4));
            const float u = cfi_uniform_float(block.word[row % 4]);
            mine->factor[i] = u >= mine->layer->dropout_rate ? 1 / (1 - (double)mine->layer->dropout_rate) : 0;
        }
    }
}

static void forward_layer(const reference_network *reference, int index, const double *input, int64_t row,
                          int64_t step)
{
    reference_layer *mine = &reference->layers[index];
    const cfi_layer_kind kind = mine->layer->kind;
    if (kind == CFI_LAYER_DENSE || kind == CFI_LAYER_CONV2D) {
        forward_weighted(mine, input);
        return;
    }
    if (kind == CFI_LAYER_DROPOUT) {
        draw_dropout(reference, index, row, step);
    }
    for (int64_t i = 0; i < cfi_shape_features(mine->layer->output); i++) {
        if (kind == CFI_LAYER_MAX_POOL) {
            mine->output[i] = input[largest_in_window(mine->layer, i, input)];
        } else if (kind == CFI_LAYER_AVG_POOL) {
            mine->output[i] = window_mean(mine->layer, i, input);
        } else {
            mine->output[i] = kind == CFI_LAYER_DROPOUT ? mine->factor[i] * input[i] : input[i];
        }
    }
}

static const double *forward(const reference_network *reference, const double *input, int64_t row, int64_t step)
{
    const double *values = input;
    for (int i = 0; i < reference->graph->layer_count; i++) {
        forward_layer(reference, i, values, row, step);
        values = reference->layers[i].output;
    }
    return values;
}

void reference_outputs(reference_network *reference, const double *input, double *outputs)
{
    const cfi_graph *graph = reference->graph;
    const int64_t count = cfi_shape_features(graph->layers[graph->layer_count - 1].output);
    memcpy(outputs, forward(reference, input, 0, -1), (size_t)count * sizeof *outputs);
}

/* ---- Loss -------------------------------------------------------------------------------------------- */

static double target(int64_t outputs, int64_t output, int32_t label)
{
    return outputs == 1 ? (double)label : (output == label ? 1.0 : 0.0);
}

/* log(sum exp z) without overflow */
static double log_sum_exp(const double *z, int64_t count)
{
    double largest = z[0], sum = 0;
    for (int64_t i = 1; i < count; i++) {
        largest = fmax(largest, z[i]);
    }
    for (int64_t i = 0; i < count; i++) {
        sum += exp(z[i] - largest);
    }
    return largest + log(sum);
}

/* Loss of one sample; gradient (NULL or outputs) receives its derivative by z. */
static double sample_loss(cfi_loss_kind kind, const double *z, int64_t outputs, int32_t label, double *gradient)
{
    const double total = kind == CFI_LOSS_SOFTMAX_CROSS_ENTROPY ? log_sum_exp(z, outputs) : 0;
    double loss = kind == CFI_LOSS_SOFTMAX_CROSS_ENTROPY ? total - z[label] : 0;
    for (int64_t i = 0; i < outputs; i++) {
        double slope = 0;
        const double y = target(outputs, i, label);
        switch (kind) {
        case CFI_LOSS_SOFTMAX_CROSS_ENTROPY:
            slope = exp(z[i] - total) - (i == label ? 1 : 0);
            break;
        case CFI_LOSS_MSE:
            loss += 0.5 * (z[i] - y) * (z[i] - y);
            slope = z[i] - y;
            break;
        case CFI_LOSS_BINARY_CROSS_ENTROPY:
            loss += fmax(z[i], 0) - z[i] * y + log1p(exp(-fabs(z[i])));
            slope = 1 / (1 + exp(-z[i])) - y;
            break;
        }
        if (gradient != NULL) {
            gradient[i] = slope;
        }
    }
    return loss;
}

double reference_loss(reference_network *reference, const double *inputs, const int32_t *labels, int64_t rows,
                      int64_t step)
{
    const cfi_graph *graph = reference->graph;
    const int64_t features = cfi_shape_features(graph->input);
    const int64_t outputs = cfi_shape_features(graph->layers[graph->layer_count - 1].output);
    double sum = 0;
    for (int64_t row = 0; row < rows; row++) {
        const double *z = forward(reference, inputs + row * features, row, step);
        sum += sample_loss(graph->loss, z, outputs, labels[row], NULL);
    }
    return sum / (double)rows;
}

/* ---- Backward ---------------------------------------------------------------------------------------- */

/* output_gradient holds the gradient by the values before the activation here. */
static void add_use_gradients(reference_layer *mine, weight_use use, const double *input,
                                  double *input_gradient)
{
    const double gradient = mine->output_gradient[use.output];
    mine->weight.gradient[use.weight] += gradient * input[use.input];
    input_gradient[use.input] += gradient * mine->weight.values[use.weight];
}

static void backward_weighted(reference_layer *mine, const double *input, double *input_gradient)
{
    const int64_t outputs = cfi_shape_features(mine->layer->output);
    const int64_t positions = outputs / mine->layer->neurons;
    for (int64_t i = 0; i < outputs; i++) {
        mine->output_gradient[i] *= activation_derivative(mine->layer, mine->before[i]);
        mine->bias.gradient[i / positions] += mine->output_gradient[i];
    }
    each_use(mine, input, input_gradient, add_use_gradients);
}

static void backward_average(const cfi_layer *layer, int64_t output, double gradient, double *input_gradient)
{
    const int64_t positions = layer->output.height * layer->output.width;
    const int64_t top = output % positions / layer->output.width * layer->stride[0];
    const int64_t left = output % layer->output.width * layer->stride[1];
    const int64_t taps = layer->kernel[0] * layer->kernel[1];
    for (int64_t tap = 0; tap < taps; tap++) {
        input_gradient[place(layer->input, output / positions, top + tap / layer->kernel[1],
                             left + tap % layer->kernel[1])] += gradient / (double)taps;
    }
}

/* From output_gradient of layer `index` to that of the layer before, and to the weights. */
static void backward_layer(reference_network *reference, int index, const double *input)
{
    reference_layer *mine = &reference->layers[index];
    const cfi_layer *layer = mine->layer;
    double *gradient = index > 0 ? reference->layers[index - 1].output_gradient : reference->input_gradient;
    memset(gradient, 0, (size_t)cfi_shape_features(layer->input) * sizeof *gradient);
    if (layer->kind == CFI_LAYER_DENSE || layer->kind == CFI_LAYER_CONV2D) {
        backward_weighted(mine, input, gradient);
        return;
    }
    for (int64_t i = 0; i < cfi_shape_features(layer->output); i++) {
        if (layer->kind == CFI_LAYER_MAX_POOL) {
            gradient[largest_in_window(layer, i, input)] += mine->output_gradient[i];
        } else if (layer->kind == CFI_LAYER_AVG_POOL) {
            backward_average(layer, i, mine->output_gradient[i], gradient);
        } else {
            gradient[i] = mine->output_gradient[i] * (layer->kind == CFI_LAYER_DROPOUT ? mine->factor[i] : 1);
        }
    }
}

static void clear_gradients(reference_network *reference)
{
    for (int i = 0; i < reference->graph->layer_count; i++) {
        reference_layer *layer = &reference->layers[i];
        memset(layer->weight.gradient, 0, (size_t)layer->weight.count * sizeof(double));
        memset(layer->bias.gradient, 0, (size_t)layer->bias.count * sizeof(double));
    }
}

double reference_gradients(reference_network *reference, const double *inputs, const int32_t *labels,
                           int64_t rows, int64_t step)
{
    const cfi_graph *graph = reference->graph;
    const int last = graph->layer_count - 1;
    const int64_t features = cfi_shape_features(graph->input);
    const int64_t outputs = cfi_shape_features(graph->layers[last].output);
    double sum = 0;
    clear_gradients(reference);
    for (int64_t row = 0; row < rows; row++) {
        const double *input = inputs + row * features;
        double *gradient = reference->layers[last].output_gradient;
        const double *z = forward(reference, input, row, step);
        sum += sample_loss(graph->loss, z, outputs, labels[row], gradient);
        for (int64_t i = 0; i < outputs; i++) {
            gradient[i] /= (double)rows;
        }
        for (int i = last; i >= 0; i--) {
            backward_layer(reference, i, i > 0 ? reference->layers[i - 1].output : input);
        }
    }
    return sum / (double)rows;
}

/* ---- Optimizers -------------------------------------------------------------------------------------- */

/* One parameter w with gradient g; t counts steps from 1. Formulas: docs/math/optimizers.md. */
static double updated(const cfi_optimizer_settings *settings, double w, double g, double *s0, double *s1,
                      double t, double rate)
{
    const double beta1 = settings->beta1, beta2 = settings->beta2;
    if (settings->kind != CFI_OPTIMIZER_ADAMW) {
        g += settings->weight_decay * w;
    }
    switch (settings->kind) {
    case CFI_OPTIMIZER_SGD:
        *s0 = settings->momentum * *s0 + g;
        return w - rate * (settings->nesterov ? g + settings->momentum * *s0 : *s0);
    case CFI_OPTIMIZER_RMSPROP:
        *s0 = settings->decay * *s0 + (1 - settings->decay) * g * g;
        *s1 = settings->momentum * *s1 + g / (sqrt(*s0) + settings->epsilon);
        return w - rate * *s1;
    case CFI_OPTIMIZER_ADAMW:
        w -= rate * settings->weight_decay * w;
        break;
    case CFI_OPTIMIZER_ADAM:
        break;
    }
    *s0 = beta1 * *s0 + (1 - beta1) * g;
    *s1 = beta2 * *s1 + (1 - beta2) * g * g;
    return w - rate * (*s0 / (1 - pow(beta1, t))) / (sqrt(*s1 / (1 - pow(beta2, t))) + settings->epsilon);
}

static double square_sum(const reference_tensor *tensor)
{
    double sum = 0;
    for (int64_t i = 0; i < tensor->count; i++) {
        sum += tensor->gradient[i] * tensor->gradient[i];
    }
    return sum;
}

/* What all gradients are multiplied with so that their norm is at most clip_norm (PyTorch's rule). */
static double clip_factor(const reference_network *reference)
{
    double sum = 0;
    for (int i = 0; i < reference->graph->layer_count; i++) {
        sum += square_sum(&reference->layers[i].weight) + square_sum(&reference->layers[i].bias);
    }
    const double limit = reference->training->clip_norm;
    return limit > 0 ? fmin(1, limit / (sqrt(sum) + 1e-6)) : 1;
}

static void update_tensor(const reference_network *reference, reference_tensor *tensor, double factor, double t,
                          double rate)
{
    for (int64_t i = 0; i < tensor->count; i++) {
        tensor->values[i] = updated(&reference->training->optimizer, tensor->values[i],
                                    tensor->gradient[i] * factor, &tensor->state[0][i], &tensor->state[1][i], t,
                                    rate);
    }
}

double reference_step(reference_network *reference, const double *inputs, const int32_t *labels, int64_t rows,
                      int64_t step, double rate)
{
    const double loss = reference_gradients(reference, inputs, labels, rows, step);
    const double factor = clip_factor(reference);
    for (int i = 0; i < reference->graph->layer_count; i++) {
        update_tensor(reference, &reference->layers[i].weight, factor, (double)(step + 1), rate);
        update_tensor(reference, &reference->layers[i].bias, factor, (double)(step + 1), rate);
    }
    return loss;
}
