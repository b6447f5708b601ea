#include "graph/graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"

#define LAYERS_MAX 16

/* What the callback heard, one line for each problem: "line path: text\n". */
typedef struct heard_problems {
    char text[8192];
    int count;
} heard_problems;

static void hear(void *user, cfi_mark mark, const char *path, const char *text)
{
    heard_problems *all = user;
    const size_t length = strlen(all->text);
    snprintf(all->text + length, sizeof all->text - length, "%d %s: %s\n", mark.line, path, text);
    all->count++;
}

/* ---- Networks in one line each ----------------------------------------------------------------------- */

static cfi_layer_settings dense(const char *name, int64_t units)
{
    cfi_layer_settings layer = {.kind = CFI_LAYER_DENSE, .units = units};
    snprintf(layer.name, sizeof layer.name, "%s", name);
    return layer;
}

static cfi_layer_settings activated(cfi_layer_settings layer, cfi_activation activation)
{
    layer.activation = activation;
    return layer;
}

static cfi_layer_settings grained(cfi_layer_settings layer, int64_t grain)
{
    layer.grain = grain;
    return layer;
}

static cfi_layer_settings window(cfi_layer_kind kind, const char *name, int64_t size, int64_t stride)
{
    cfi_layer_settings layer = {.kind = kind, .kernel = {size, size}, .stride = {stride, stride}};
    snprintf(layer.name, sizeof layer.name, "%s", name);
    return layer;
}

static cfi_layer_settings conv(const char *name, int64_t filters, int64_t kernel, cfi_padding_kind padding)
{
    cfi_layer_settings layer = window(CFI_LAYER_CONV2D, name, kernel, 1);
    layer.units = filters;
    layer.padding_kind = padding;
    return layer;
}

static cfi_layer_settings plain(cfi_layer_kind kind, const char *name)
{
    cfi_layer_settings layer = {.kind = kind, .dropout_rate = 0.5};
    snprintf(layer.name, sizeof layer.name, "%s", name);
    return layer;
}

typedef struct test_network {
    cfi_settings settings;
    cfi_layer_settings layers[LAYERS_MAX];
    cfi_shape input;
    int64_t classes;
} test_network;

static void add(test_network *network, cfi_layer_settings layer)
{
    assert_true(network->settings.layer_count < LAYERS_MAX);
    layer.mark.line = 10 + network->settings.layer_count;
    network->layers[network->settings.layer_count++] = layer;
}

static const cfi_shape mnist = {1, 28, 28};
static const cfi_shape wine = {13, 1, 1};

static void expect_problems(test_network *network, const char *expected)
{
    network->settings.layers = network->layers;
    heard_problems heard = {0};
    cf_error error = {0};
    cfi_graph graph = {.parameter_count = -5};
    const cf_status status = cfi_graph_build(&network->settings, network->input, network->classes, hear,
                                             &heard, &graph, &error);
    assert_string_equal(heard.text, expected);
    assert_int_equal(status, CF_E_CONFIG);
    assert_int_equal(error.code, CF_E_CONFIG);
    assert_non_null(strstr(expected, error.text)); /* the first of them */
    assert_int_equal(graph.parameter_count, -5);   /* untouched */
}

static cfi_graph build(test_network *network)
{
    network->settings.layers = network->layers;
    heard_problems heard = {0};
    cf_error error = {0};
    cfi_graph graph = {0};
    const cf_status status = cfi_graph_build(&network->settings, network->input, network->classes, hear,
                                             &heard, &graph, &error);
    assert_string_equal(heard.text, "");
    assert_int_equal(status, CF_OK);
    return graph;
}

static void assert_shape(cfi_shape shape, int64_t channels, int64_t height, int64_t width)
{
    assert_int_equal(shape.channels, channels);
    assert_int_equal(shape.height, height);
    assert_int_equal(shape.width, width);
}

static test_network lenet(void)
{
    test_network network = {.input = mnist, .classes = 10};
    cfi_layer_settings same = conv("conv1", 6, 5, CFI_PADDING_SAME);
    same.activation = CFI_ACTIVATION_RELU;
    add(&network, same);
    add(&network, window(CFI_LAYER_MAX_POOL, "pool1", 2, 0));
    add(&network, conv("conv2", 16, 5, CFI_PADDING_VALID));
    add(&network, window(CFI_LAYER_AVG_POOL, "pool2", 2, 0));
    add(&network, plain(CFI_LAYER_FLATTEN, "flatten1"));
    add(&network, activated(dense("dense1", 120), CFI_ACTIVATION_TANH));
    add(&network, plain(CFI_LAYER_DROPOUT, "dropout1"));
    add(&network, dense("dense2", 84));
    add(&network, dense("dense3", 10));
    return network;
}

/* ---- What is right ------------------------------------------------------------------------------------- */

static void lenet_has_the_shapes_and_counts_of_the_paper(void **state)
{
    (void)state;
    test_network network = lenet();
    cfi_graph graph = build(&network);
    assert_shape(graph.layers[0].output, 6, 28, 28);
    assert_shape(graph.layers[1].output, 6, 14, 14);
    assert_shape(graph.layers[2].output, 16, 10, 10);
    assert_shape(graph.layers[3].output, 16, 5, 5);
    assert_shape(graph.layers[4].output, 400, 1, 1);
    assert_shape(graph.layers[5].output, 120, 1, 1);
    assert_shape(graph.layers[6].output, 120, 1, 1);
    assert_shape(graph.layers[8].output, 10, 1, 1);
    assert_int_equal(graph.layers[0].pad_top, 2);
    assert_int_equal(graph.layers[0].pad_bottom, 2);
    assert_int_equal(graph.layers[1].stride[0], 2); /* stride 0 = the pool's size */
    assert_int_equal(graph.layers[2].fan_in, 150);
    assert_int_equal(graph.layers[2].neurons, 16);
    assert_int_equal(graph.layers[2].weight_count, 2400);
    assert_int_equal(graph.layers[2].weight_index, 1);
    assert_int_equal(graph.layers[4].weight_index, -1);
    assert_int_equal(graph.layers[4].neurons, 0);
    assert_int_equal(graph.layers[8].weight_index, 4);
    /* 156 + 2416 + 48120 + 10164 + 850 */
    assert_int_equal(graph.parameter_count, 61706);
    assert_int_equal(graph.layers[0].init, CFI_INIT_HE_NORMAL);
    assert_int_equal(graph.layers[5].init, CFI_INIT_GLOROT_UNIFORM);
    assert_float_equal(graph.layers[6].dropout_rate, 0.5, 0);
    cfi_graph_fini(&graph);
    assert_null(graph.layers);
}

static void flops_count_multiplications_and_additions_apart(void **state)
{
    (void)state;
    test_network network = lenet();
    cfi_graph graph = build(&network);
    const int64_t conv1 = 2 * 25 * 6 * 784, conv2 = 2 * 150 * 1600, pools = 4 * 1176 + 4 * 400;
    const int64_t dense_sum = 2 * (400 * 120 + 120 * 84 + 84 * 10);
    assert_int_equal(cfi_layer_forward_flops(&graph.layers[0]), conv1);
    assert_int_equal(cfi_layer_forward_flops(&graph.layers[1]), 4 * 1176);
    assert_int_equal(cfi_layer_forward_flops(&graph.layers[4]), 0);
    assert_int_equal(cfi_graph_forward_flops(&graph), conv1 + conv2 + pools + dense_sum);
    assert_int_equal(cfi_graph_training_flops(&graph), 2 * conv1 + 3 * conv2 + pools + 3 * dense_sum);
    cfi_graph_fini(&graph);
}

static void dense_takes_images_of_the_data_set_as_they_come(void **state)
{
    (void)state;
    test_network network = {.input = {3, 4, 5}, .classes = 2};
    add(&network, plain(CFI_LAYER_DROPOUT, "drop"));
    add(&network, dense("output", 2));
    cfi_graph graph = build(&network);
    assert_int_equal(graph.layers[1].fan_in, 60);
    assert_shape(graph.layers[1].input, 3, 4, 5);
    cfi_graph_fini(&graph);
}

/* By hand: out = ceil(in / stride), total = (out - 1) * stride + kernel - in, half of it (floor) before. */
static void same_padding_puts_the_odd_zero_at_the_end(void **state)
{
    (void)state;
    static const struct {
        int64_t in, kernel, stride, out, before, after;
    } rows[] = {{28, 5, 1, 28, 2, 2}, {7, 2, 1, 7, 0, 1}, {7, 4, 2, 4, 1, 2},  {8, 3, 2, 4, 0, 1},
                {9, 3, 3, 3, 0, 0},   {5, 1, 2, 3, 0, 0}, {2, 5, 1, 2, 2, 2},  {10, 2, 4, 3, 0, 0},
                {6, 6, 4, 2, 2, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        test_network network = {.input = {2, rows[i].in, rows[i].in}, .classes = rows[i].out * rows[i].out};
        cfi_layer_settings layer = conv("conv", 1, rows[i].kernel, CFI_PADDING_SAME);
        layer.stride[0] = layer.stride[1] = rows[i].stride;
        add(&network, layer);
        cfi_graph graph = build(&network);
        assert_shape(graph.layers[0].output, 1, rows[i].out, rows[i].out);
        assert_int_equal(graph.layers[0].pad_top, rows[i].before);
        assert_int_equal(graph.layers[0].pad_left, rows[i].before);
        assert_int_equal(graph.layers[0].pad_bottom, rows[i].after);
        assert_int_equal(graph.layers[0].pad_right, rows[i].after);
        cfi_graph_fini(&graph);
    }
}

static void windows_that_hang_over_the_edge_are_left_out(void **state)
{
    (void)state;
    test_network network = {.input = {1, 7, 10}, .classes = 3 * 2 * 3};
    cfi_layer_settings layer = conv("conv", 3, 3, CFI_PADDING_NUMBER);
    layer.padding = 1;
    layer.kernel[1] = 4;
    layer.stride[0] = 2;
    layer.stride[1] = 2; /* (7 + 2 - 3) / 2 + 1 = 4, (10 + 2 - 4) / 2 + 1 = 5 */
    add(&network, layer);
    cfi_layer_settings pool = window(CFI_LAYER_MAX_POOL, "pool", 3, 1);
    pool.kernel[1] = 1;
    pool.stride[1] = 2; /* 4 - 3 + 1 = 2, (5 - 1) / 2 + 1 = 3 */
    add(&network, pool);
    cfi_graph graph = build(&network);
    assert_shape(graph.layers[0].output, 3, 4, 5);
    assert_shape(graph.layers[1].output, 3, 2, 3);
    cfi_graph_fini(&graph);
}

static void grain_auto_is_one_up_to_64_neurons_and_32_above(void **state)
{
    (void)state;
    test_network network = {.input = wine, .classes = 3};
    add(&network, dense("a", 64));
    add(&network, dense("b", 65));
    add(&network, grained(dense("c", 100), 128));
    add(&network, grained(dense("output", 3), 4));
    cfi_graph graph = build(&network);
    assert_int_equal(graph.layers[0].grain, 1);
    assert_int_equal(graph.layers[1].grain, 32);
    assert_int_equal(graph.layers[2].grain, 128);
    assert_int_equal(graph.layers[3].grain, 4);
    cfi_graph_fini(&graph);
}

static void one_output_is_enough_for_two_classes_with_mse_and_binary_cross_entropy(void **state)
{
    (void)state;
    for (int loss = CFI_LOSS_MSE; loss <= CFI_LOSS_BINARY_CROSS_ENTROPY; loss++) {
        test_network network = {.input = {2, 1, 1}, .classes = 2, .settings.loss = (cfi_loss_kind)loss};
        add(&network, dense("output", 1));
        cfi_graph graph = build(&network);
        assert_int_equal(graph.parameter_count, 3);
        cfi_graph_fini(&graph);
    }
}

static void mse_may_end_in_any_activation(void **state)
{
    (void)state;
    test_network network = {.input = mnist, .classes = 10, .settings.loss = CFI_LOSS_MSE};
    add(&network, activated(dense("output", 10), CFI_ACTIVATION_SIGMOID));
    cfi_graph graph = build(&network);
    cfi_graph_fini(&graph);
}

static void names_are_those_of_the_file(void **state)
{
    (void)state;
    assert_string_equal(cfi_layer_kind_name(CFI_LAYER_DENSE), "dense");
    assert_string_equal(cfi_layer_kind_name(CFI_LAYER_CONV2D), "conv2d");
    assert_string_equal(cfi_layer_kind_name(CFI_LAYER_MAX_POOL), "max_pool");
    assert_string_equal(cfi_layer_kind_name(CFI_LAYER_AVG_POOL), "avg_pool");
    assert_string_equal(cfi_layer_kind_name(CFI_LAYER_FLATTEN), "flatten");
    assert_string_equal(cfi_layer_kind_name(CFI_LAYER_DROPOUT), "dropout");
    assert_string_equal(cfi_activation_name(CFI_ACTIVATION_IDENTITY), "identity");
    assert_string_equal(cfi_activation_name(CFI_ACTIVATION_RELU), "relu");
    assert_string_equal(cfi_activation_name(CFI_ACTIVATION_LEAKY_RELU), "leaky_relu");
    assert_string_equal(cfi_activation_name(CFI_ACTIVATION_SIGMOID), "sigmoid");
    assert_string_equal(cfi_activation_name(CFI_ACTIVATION_TANH), "tanh");
}

/* ---- What is wrong ------------------------------------------------------------------------------------- */

static void dense_after_an_image_layer_names_both(void **state)
{
    (void)state;
    test_network network = {.input = mnist, .classes = 10};
    add(&network, conv("conv1", 4, 3, CFI_PADDING_VALID));
    add(&network, plain(CFI_LAYER_DROPOUT, "dropout1"));
    add(&network, dense("output", 10));
    expect_problems(&network,
        "12 network.layers[2].dense: layer 'output' (dense) needs flat values, but layer "
        "'conv1' (conv2d) gives an image; add '- flatten' between them\n");
}

static void image_layers_after_flat_values_name_both(void **state)
{
    (void)state;
    test_network network = {.input = mnist, .classes = 10};
    add(&network, dense("hidden", 30));
    add(&network, conv("conv1", 4, 3, CFI_PADDING_VALID));
    add(&network, plain(CFI_LAYER_FLATTEN, "flatten1"));
    add(&network, window(CFI_LAYER_MAX_POOL, "pool1", 2, 0));
    add(&network, plain(CFI_LAYER_FLATTEN, "flatten2"));
    add(&network, dense("output", 10));
    expect_problems(&network,
        "11 network.layers[1].conv2d: layer 'conv1' (conv2d) needs images, but layer 'hidden' (dense) "
        "gives flat values; put 'conv1' before 'hidden'\n"
        "13 network.layers[3].max_pool: layer 'pool1' (max_pool) needs images, but layer 'flatten1' "
        "(flatten) gives flat values; put 'pool1' before 'flatten1'\n");
}

static void image_layers_on_plain_values_name_the_data_set(void **state)
{
    (void)state;
    test_network network = {.input = wine, .classes = 3};
    add(&network, window(CFI_LAYER_AVG_POOL, "pool1", 2, 0));
    add(&network, plain(CFI_LAYER_FLATTEN, "flatten1"));
    add(&network, dense("output", 3));
    expect_problems(&network,
        "10 network.layers[0].avg_pool: layer 'pool1' (avg_pool) needs images, but the data "
        "set gives 13 plain values for each sample; use dense layers\n");
}

static void a_kernel_or_window_larger_than_its_input_is_refused(void **state)
{
    (void)state;
    test_network network = {.input = {1, 6, 6}, .classes = 10};
    cfi_layer_settings padded = conv("conv1", 2, 9, CFI_PADDING_NUMBER);
    padded.padding = 1;
    add(&network, padded);
    add(&network, plain(CFI_LAYER_FLATTEN, "flatten1"));
    add(&network, dense("output", 10));
    expect_problems(&network,
        "10 network.layers[0].conv2d.kernel: the 9x9 kernel of layer 'conv1' (conv2d) is larger "
        "than its 8x8 input (with padding) from the data set; make it smaller or use "
        "'padding: same'\n");
    network.layers[0] = conv("conv1", 2, 3, CFI_PADDING_VALID);
    network.layers[1] = window(CFI_LAYER_MAX_POOL, "pool1", 5, 1);
    network.layers[1].mark.line = 11;
    network.layers[2] = dense("output", 10); /* follows from nothing above: reported too */
    network.layers[2].mark.line = 12;
    expect_problems(&network,
        "11 network.layers[1].max_pool.size: the 5x5 window of layer 'pool1' (max_pool) is "
        "larger than its 4x4 input from layer 'conv1' (conv2d); make it smaller\n"
        "12 network.layers[2].dense: layer 'output' (dense) needs flat values, but layer "
        "'pool1' (max_pool) gives an image; add '- flatten' between them\n");
}

static void grain_must_be_a_power_of_two_within_the_layer(void **state)
{
    (void)state;
    test_network network = {.input = wine, .classes = 10};
    add(&network, grained(dense("hidden", 30), 12));
    add(&network, grained(dense("output", 10), 32));
    expect_problems(&network,
        "10 network.layers[0].dense.grain: grain 12 of layer 'hidden' (dense) is not a power of two\n"
        "11 network.layers[1].dense.grain: grain 32 is larger than layer 'output' (dense) with its 10 "
        "neurons; use at most 16\n");
}

static void outputs_that_do_not_match_the_classes_are_refused(void **state)
{
    (void)state;
    test_network network = {.input = mnist, .classes = 10};
    add(&network, dense("output", 8));
    expect_problems(&network,
        "10 network.layers[0].dense.units: layer 'output' (dense) gives 8 outputs, but the data "
        "set has 10 classes and loss softmax_cross_entropy needs one output for each; set "
        "'units: 10'\n");
    network.settings.loss = CFI_LOSS_BINARY_CROSS_ENTROPY;
    network.classes = 2;
    expect_problems(&network,
        "10 network.layers[0].dense.units: layer 'output' (dense) gives 8 outputs, but the data "
        "set has 2 classes and loss binary_cross_entropy needs one output for each (or a "
        "single one); set 'units: 2'\n");
    network.settings.loss = CFI_LOSS_MSE;
    network.classes = 3;
    network.layers[0] = dense("output", 1);
    expect_problems(&network,
        "0 network.layers[0].dense.units: layer 'output' (dense) gives 1 output, but the data "
        "set has 3 classes and loss mse needs one output for each; set 'units: 3'\n");
    network.settings.loss = CFI_LOSS_SOFTMAX_CROSS_ENTROPY;
    network.classes = 2;
    expect_problems(&network,
        "0 network.layers[0].dense.units: layer 'output' (dense) gives 1 output, but the data "
        "set has 2 classes and loss softmax_cross_entropy needs one output for each; set "
        "'units: 2'\n");
    network.layers[0] = conv("conv1", 1, 28, CFI_PADDING_VALID);
    expect_problems(&network,
        "0 network.layers[0].conv2d: layer 'conv1' (conv2d) gives 1 output, but the data set "
        "has 2 classes and loss softmax_cross_entropy needs one output for each; end with a "
        "dense layer of 2 units\n");
}

static void losses_with_their_own_activation_want_raw_outputs(void **state)
{
    (void)state;
    test_network network = {.input = mnist, .classes = 10};
    add(&network, activated(dense("output", 10), CFI_ACTIVATION_RELU));
    add(&network, plain(CFI_LAYER_FLATTEN, "flatten1"));
    expect_problems(&network,
        "10 network.layers[0].dense.activation: layer 'output' (dense) ends in relu, but loss "
        "softmax_cross_entropy applies its own softmax; set 'activation: identity'\n");
    network.settings.loss = CFI_LOSS_BINARY_CROSS_ENTROPY;
    network.layers[0].activation = CFI_ACTIVATION_SIGMOID;
    expect_problems(&network,
        "10 network.layers[0].dense.activation: layer 'output' (dense) ends in sigmoid, but loss "
        "binary_cross_entropy applies its own sigmoid; set 'activation: identity'\n");
}

static void a_network_without_weights_is_refused(void **state)
{
    (void)state;
    test_network network = {.input = wine, .classes = 3};
    add(&network, plain(CFI_LAYER_FLATTEN, "flatten1"));
    expect_problems(&network,
        "10 network.layers: no layer has weights, so there is nothing to train; add a dense or "
        "conv2d layer\n");
}

static void dropout_at_the_end_is_refused(void **state)
{
    (void)state;
    test_network network = {.input = wine, .classes = 3};
    add(&network, dense("output", 3));
    add(&network, plain(CFI_LAYER_DROPOUT, "dropout1"));
    expect_problems(&network,
        "11 network.layers[1].dropout: layer 'dropout1' (dropout) comes last and would zero the "
        "network's outputs; put it before the layer with the outputs\n");
}

static void limits_are_named(void **state)
{
    (void)state;
    test_network network = {.input = {1, 2048, 2048}, .classes = 10};
    add(&network, conv("conv1", 8, 1, CFI_PADDING_VALID));
    add(&network, plain(CFI_LAYER_FLATTEN, "flatten1"));
    add(&network, dense("output", 10));
    expect_problems(&network,
        "10 network.layers[0].conv2d: layer 'conv1' (conv2d) gives 8x2048x2048 values for each "
        "sample; the limit is 16777216\n");
    network.settings.layer_count = 0;
    add(&network, dense("hidden", 1000));
    add(&network, dense("wide", 1000000));
    add(&network, dense("output", 10));
    expect_problems(&network,
        "10 network.layers[0].dense: layer 'hidden' (dense) brings the network to 4194305000 "
        "parameters; the limit is 2000000000\n");
    network.settings.layer_count = 0;
    network.input = (cfi_shape){16777216, 1, 1};
    add(&network, dense("hidden", 1000001));
    add(&network, dense("output", 10));
    expect_problems(&network,
        "10 network.layers[0].dense.units: units must be 1 to 1000000\n");
}

static void values_that_would_overflow_are_refused(void **state)
{
    (void)state;
    test_network network = {.input = {2, 8, 8}, .classes = 10};
    cfi_layer_settings layer = conv("conv1", 8, 900000, CFI_PADDING_SAME);
    add(&network, layer);
    add(&network, plain(CFI_LAYER_FLATTEN, "flatten1"));
    add(&network, dense("output", 10));
    expect_problems(&network,
        "10 network.layers[0].conv2d.kernel: the 900000x900000 kernel of layer 'conv1' (conv2d) "
        "over 2 channels sees more than 16777216 values, which is the limit\n");
    network.layers[0].stride[1] = 0;
    expect_problems(&network,
        "10 network.layers[0].conv2d.stride: stride must be 1 to 1000000\n");
    network.layers[0].kernel[0] = INT64_MAX;
    network.layers[0].stride[1] = 1;
    expect_problems(&network,
        "10 network.layers[0].conv2d.kernel: kernel must be 1 to 1000000\n");
    network.layers[0] = window(CFI_LAYER_MAX_POOL, "pool1", -1, 0);
    expect_problems(&network,
        "0 network.layers[0].max_pool.size: size must be 1 to 1000000\n");
    network.layers[0] = conv("conv1", 8, 3, CFI_PADDING_NUMBER);
    network.layers[0].padding = -1;
    expect_problems(&network,
        "0 network.layers[0].conv2d.padding: padding must be 0 to 1000000\n");
}

static void samples_without_values_or_classes_are_refused(void **state)
{
    (void)state;
    test_network network = {.input = {0, 1, 1}, .classes = 2};
    cf_error error;
    cfi_graph graph;
    add(&network, dense("output", 2));
    network.settings.layers = network.layers;
    assert_int_equal(cfi_graph_build(&network.settings, network.input, 2, NULL, NULL, &graph, &error),
                     CF_E_LIMIT);
    assert_string_equal(error.text, "samples of 0x1x1 values in 2 classes cannot be used: 1 to 16777216 "
                                    "values and at least one class are needed");
    network.input = (cfi_shape){INT64_MAX, 3, 3};
    assert_int_equal(cfi_graph_build(&network.settings, network.input, 2, NULL, NULL, &graph, NULL),
                     CF_E_LIMIT);
    network.settings.layer_count = CFI_LAYER_COUNT_MAX + 1;
    assert_int_equal(cfi_graph_build(&network.settings, wine, 2, NULL, NULL, &graph, &error), CF_E_LIMIT);
    assert_string_equal(error.text, "a network has 1 to 256 layers, not 257");
}

static void problems_may_be_ignored_but_the_status_tells(void **state)
{
    (void)state;
    test_network network = {.input = wine, .classes = 3};
    cfi_graph graph;
    add(&network, dense("output", 4));
    network.settings.layers = network.layers;
    assert_int_equal(cfi_graph_build(&network.settings, wine, 3, NULL, NULL, &graph, NULL), CF_E_CONFIG);
}

static void short_memory_is_survived(void **state)
{
    (void)state;
    test_network network = lenet();
    cfi_graph graph;
    cf_error error;
    network.settings.layers = network.layers;
    cfi_alloc_fail_after(0);
    const cf_status status = cfi_graph_build(&network.settings, mnist, 10, NULL, NULL, &graph, &error);
    cfi_alloc_fail_after(UINT64_MAX);
    assert_int_equal(status, CF_E_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lenet_has_the_shapes_and_counts_of_the_paper),
        cmocka_unit_test(flops_count_multiplications_and_additions_apart),
        cmocka_unit_test(dense_takes_images_of_the_data_set_as_they_come),
        cmocka_unit_test(same_padding_puts_the_odd_zero_at_the_end),
        cmocka_unit_test(windows_that_hang_over_the_edge_are_left_out),
        cmocka_unit_test(grain_auto_is_one_up_to_64_neurons_and_32_above),
        cmocka_unit_test(one_output_is_enough_for_two_classes_with_mse_and_binary_cross_entropy),
        cmocka_unit_test(mse_may_end_in_any_activation),
        cmocka_unit_test(names_are_those_of_the_file),
        cmocka_unit_test(dense_after_an_image_layer_names_both),
        cmocka_unit_test(image_layers_after_flat_values_name_both),
        cmocka_unit_test(image_layers_on_plain_values_name_the_data_set),
        cmocka_unit_test(a_kernel_or_window_larger_than_its_input_is_refused),
        cmocka_unit_test(grain_must_be_a_power_of_two_within_the_layer),
        cmocka_unit_test(outputs_that_do_not_match_the_classes_are_refused),
        cmocka_unit_test(losses_with_their_own_activation_want_raw_outputs),
        cmocka_unit_test(a_network_without_weights_is_refused),
        cmocka_unit_test(dropout_at_the_end_is_refused),
        cmocka_unit_test(limits_are_named),
        cmocka_unit_test(values_that_would_overflow_are_refused),
        cmocka_unit_test(samples_without_values_or_classes_are_refused),
        cmocka_unit_test(problems_may_be_ignored_but_the_status_tells),
        cmocka_unit_test(short_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
