/* The loss of each of the first steps of a network file, and the network in JSON: our side of parity.py.
 *
 *   losses FILE STEPS [THREADS]
 *
 * First line: the network as trained. Then for each step {"step": 0, "rate": 0.1, "loss": 2.3}; the loss is taken
 * before the step's update. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "config/config.h"
#include "engine/engine.h"
#include "learn/schedule.h"

static const char *const optimizer_names[] = {"sgd", "rmsprop", "adam", "adamw"};
static const char *const loss_names[] = {"softmax_cross_entropy", "mse", "binary_cross_entropy"};

static void print_layer(const cfi_layer *layer)
{
    printf("{\"kind\": \"%s\", \"name\": \"%s\", \"activation\": \"%s\", \"leaky_slope\": %.9g, ",
           cfi_layer_kind_name(layer->kind), layer->name, cfi_activation_name(layer->activation),
           (double)layer->leaky_slope);
    printf("\"inputs\": %lld, \"neurons\": %lld, \"input_channels\": %lld, \"kernel\": [%lld, %lld], ",
           (long long)cfi_shape_features(layer->input), (long long)layer->neurons, (long long)layer->input.channels,
           (long long)layer->kernel[0], (long long)layer->kernel[1]);
    printf("\"stride\": [%lld, %lld], \"pad\": [%lld, %lld, %lld, %lld]}", (long long)layer->stride[0],
           (long long)layer->stride[1], (long long)layer->pad_left, (long long)layer->pad_right,
           (long long)layer->pad_top, (long long)layer->pad_bottom);
}

static void print_network(const cfi_settings *settings, const cfi_graph *graph, const cfi_dataset *dataset)
{
    const cfi_training_settings *training = &settings->training;
    const cfi_optimizer_settings *optimizer = &training->optimizer;
    printf("{\"images\": %s, \"shape\": [%lld, %lld, %lld], \"classes\": %lld, \"scale\": %.9g, \"shift\": %.9g, ",
           settings->data.kind == CFI_DATA_MNIST ? "true" : "false", (long long)dataset->channels,
           (long long)dataset->height, (long long)dataset->width, (long long)dataset->classes, (double)dataset->scale,
           (double)dataset->shift);
    printf("\"loss\": \"%s\", \"clip_norm\": %.17g, \"optimizer\": {\"kind\": \"%s\", \"momentum\": %.17g, "
           "\"nesterov\": %s, \"weight_decay\": %.17g, \"decay\": %.17g, \"betas\": [%.17g, %.17g], "
           "\"epsilon\": %.17g}, \"layers\": [",
           loss_names[graph->loss], training->clip_norm, optimizer_names[optimizer->kind], optimizer->momentum,
           optimizer->nesterov ? "true" : "false", optimizer->weight_decay, optimizer->decay, optimizer->beta1,
           optimizer->beta2, optimizer->epsilon);
    for (int i = 0; i < graph->layer_count; i++) {
        printf("%s", i > 0 ? ", " : "");
        print_layer(&graph->layers[i]);
    }
    printf("]}\n");
}

static cf_status train(const cfi_settings *settings, const cfi_graph *graph, const cfi_dataset *dataset, int64_t steps,
                       int threads, cf_error *error)
{
    const cfi_training_settings *training = &settings->training;
    cfi_batches batches;
    cfi_step_result result;
    cfi_engine *engine = NULL;
    cf_status status = CF_OK;
    int64_t *indices = cfi_calloc((size_t)training->batch, sizeof *indices);
    if (indices == NULL) {
        return cfi_fail_memory(error, "indices");
    }
    CFI_TRY_GOTO(cfi_batches_init(&batches, settings->seed, dataset->train.count, settings->data.validation,
                                  training->batch, training->drop_last, error));
    const cfi_engine_options options = {.graph = graph, .training = training, .dataset = dataset,
                                        .seed = settings->seed, .batch_max = training->batch, .threads = threads};
    CFI_TRY_GOTO(cfi_engine_new(&options, &engine, error));
    for (int64_t step = 0; step < steps; step++) {
        const int64_t rows = cfi_batches_step(&batches, step, indices);
        const float rate = cfi_schedule_rate(training, batches.steps_per_epoch, step);
        CFI_TRY_GOTO(cfi_engine_step(engine, step, indices, rows, rate, &result, error));
        printf("{\"step\": %lld, \"rate\": %.9g, \"loss\": %.9g}\n", (long long)step, (double)rate,
               (double)result.loss);
    }
done:
    cfi_engine_free(engine);
    cfi_free(indices);
    return status;
}

static void print_problem(void *user, cfi_mark mark, const char *path, const char *text)
{
    fprintf(stderr, "%s:%d:%d: %s: %s\n", (const char *)user, mark.line, mark.column, path, text);
}

static cf_status run(char *file, int64_t steps, int threads, cf_error *error)
{
    const char *const files[] = {file};
    const cfi_config_sources sources = {.files = files, .file_count = 1};
    cfi_settings settings = {0};
    cfi_problems problems = {0};
    cfi_dataset dataset = {0};
    cfi_graph graph = {0};
    cf_status status = CF_OK;
    CFI_TRY_GOTO(cfi_config_load(&sources, &settings, &problems, error));
    CFI_TRY_GOTO(cfi_dataset_load(&settings.data, &dataset, error));
    const cfi_shape input = {dataset.channels, dataset.height, dataset.width};
    CFI_TRY_GOTO(cfi_graph_build(&settings, input, dataset.classes, print_problem, file, &graph, error));
    print_network(&settings, &graph, &dataset);
    status = train(&settings, &graph, &dataset, steps, threads, error);
done:
    cfi_graph_fini(&graph);
    cfi_dataset_fini(&dataset);
    cfi_problems_fini(&problems);
    cfi_settings_fini(&settings);
    return status;
}

int main(int argument_count, char **arguments)
{
    cf_error error = {0};
    const long long steps = argument_count > 2 ? atoll(arguments[2]) : 0;
    const int threads = argument_count > 3 ? atoi(arguments[3]) : 1;
    if (steps < 1 || threads < 1 || threads > CFI_THREAD_COUNT_MAX) {
        fprintf(stderr, "usage: losses FILE STEPS [THREADS]\n");
        return 2;
    }
    if (run(arguments[1], steps, threads, &error) != CF_OK) {
        fprintf(stderr, "losses: %s\n", error.text);
        return 1;
    }
    return 0;
}
