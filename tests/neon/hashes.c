/* Trains three small networks for a few steps on made-up samples and prints their state hashes, for any processor:
 * tests/neon/run.sh compares what the native build prints with what an AArch64 build prints under emulation. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/philox.h"
#include "engine/engine.h"

enum { SAMPLES = 300, SIDE = 12, FEATURES = SIDE * SIDE, BATCH = 70, STEPS = 5 };

static cfi_layer_settings dense(int64_t units, cfi_activation activation)
{
    return (cfi_layer_settings){.kind = CFI_LAYER_DENSE, .units = units, .activation = activation,
                                .leaky_slope = 0.1, .init = CFI_INIT_AUTO};
}

static cfi_layer_settings conv(int64_t filters, int64_t stride)
{
    return (cfi_layer_settings){.kind = CFI_LAYER_CONV2D, .units = filters, .kernel = {3, 3},
                                .stride = {stride, stride}, .padding_kind = CFI_PADDING_SAME,
                                .activation = CFI_ACTIVATION_RELU, .init = CFI_INIT_AUTO};
}

static cfi_layer_settings plain(cfi_layer_kind kind)
{
    return (cfi_layer_settings){.kind = kind, .kernel = {2, 2}, .stride = {2, 2}, .dropout_rate = 0.25};
}

static cf_status make_samples(cfi_dataset *dataset)
{
    memset(dataset, 0, sizeof *dataset);
    dataset->channels = 1, dataset->height = dataset->width = SIDE;
    dataset->features = FEATURES, dataset->classes = 10, dataset->scale = 1.0f / 255.0f;
    dataset->train.count = SAMPLES;
    dataset->train.bytes = cfi_calloc(SAMPLES * FEATURES, 1);
    dataset->train.labels = cfi_calloc(SAMPLES, sizeof *dataset->train.labels);
    if (dataset->train.bytes == NULL || dataset->train.labels == NULL) {
        return CF_E_MEMORY;
    }
    for (uint32_t i = 0; i < SAMPLES * FEATURES; i++) {
        dataset->train.bytes[i] = (uint8_t)cfi_draw(1, CFI_PURPOSE_TEST, 0, i, 0, 0).word[0];
    }
    for (uint32_t i = 0; i < SAMPLES; i++) {
        dataset->train.labels[i] = (int32_t)(cfi_draw(1, CFI_PURPOSE_TEST, 1, i, 0, 0).word[0] % 10);
    }
    return CF_OK;
}

static void report_problem(void *user, cfi_mark mark, const char *path, const char *text)
{
    (void)user, (void)mark;
    fprintf(stderr, "%s: %s\n", path, text);
}

static cf_status train(const char *name, cfi_layer_settings *layers, int count, cfi_loss_kind loss,
                       const cfi_training_settings *training, const cfi_dataset *dataset, cf_error *error)
{
    cfi_settings settings = {.seed = 7, .layers = layers, .layer_count = count, .loss = loss};
    cfi_graph graph;
    for (int i = 0; i < count; i++) {
        snprintf(layers[i].name, sizeof layers[i].name, "layer%d", i);
    }
    const cfi_shape input = {1, SIDE, SIDE};
    CFI_TRY(cfi_graph_build(&settings, input, 10, report_problem, NULL, &graph, error));
    const cfi_engine_options options = {.graph = &graph, .training = training, .dataset = dataset, .seed = 7,
                                        .batch_max = BATCH, .threads = 2};
    cfi_engine *engine = NULL;
    cf_status status = cfi_engine_new(&options, &engine, error);
    for (int64_t step = 0; status == CF_OK && step < STEPS; step++) {
        int64_t indices[BATCH];
        cfi_step_result result;
        for (int64_t i = 0; i < BATCH; i++) {
            indices[i] = (step * 131 + i * 17) % SAMPLES;
        }
        status = cfi_engine_step(engine, step, indices, BATCH - step * 9, 0.01f, &result, error);
    }
    if (status == CF_OK) {
        char text[CFI_HASH_TEXT_SIZE];
        cfi_hash_text(cfi_engine_state_hash(engine), text);
        printf("%s %s\n", name, text);
        fprintf(stderr, "%s: %s\n", name, cfi_engine_kernels(engine));
    }
    cfi_engine_free(engine);
    cfi_graph_fini(&graph);
    return status;
}

static cf_status train_all(const cfi_dataset *dataset, cf_error *error)
{
    cfi_layer_settings wide[] = {dense(70, CFI_ACTIVATION_TANH), dense(40, CFI_ACTIVATION_LEAKY_RELU),
                                 dense(10, CFI_ACTIVATION_IDENTITY)};
    const cfi_training_settings momentum = {.batch = BATCH, .sample_grain = 16,
        .optimizer = {.kind = CFI_OPTIMIZER_SGD, .momentum = 0.9, .weight_decay = 1e-3}};
    CFI_TRY(train("wide", wide, 3, CFI_LOSS_SOFTMAX_CROSS_ENTROPY, &momentum, dataset, error));
    cfi_layer_settings image[] = {conv(6, 1), plain(CFI_LAYER_MAX_POOL), conv(9, 2), plain(CFI_LAYER_DROPOUT),
                                  plain(CFI_LAYER_FLATTEN), dense(10, CFI_ACTIVATION_IDENTITY)};
    const cfi_training_settings adam = {.batch = BATCH, .sample_grain = 64, .clip_norm = 0.5,
        .optimizer = {.kind = CFI_OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8}};
    CFI_TRY(train("image", image, 6, CFI_LOSS_BINARY_CROSS_ENTROPY, &adam, dataset, error));
    cfi_layer_settings quadratic[] = {plain(CFI_LAYER_AVG_POOL), plain(CFI_LAYER_FLATTEN),
                                      dense(30, CFI_ACTIVATION_SIGMOID), dense(10, CFI_ACTIVATION_SIGMOID)};
    const cfi_training_settings rmsprop = {.batch = BATCH, .sample_grain = 64,
        .optimizer = {.kind = CFI_OPTIMIZER_RMSPROP, .decay = 0.99, .momentum = 0.5, .epsilon = 1e-8}};
    return train("quadratic", quadratic, 4, CFI_LOSS_MSE, &rmsprop, dataset, error);
}

int main(void)
{
    cf_error error = {CF_OK, ""};
    cfi_dataset dataset;
    if (make_samples(&dataset) != CF_OK || train_all(&dataset, &error) != CF_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    cfi_free(dataset.train.bytes);
    cfi_free(dataset.train.labels);
    return 0;
}
