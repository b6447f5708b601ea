#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "data/dataset.h"
#include "engine/engine.h"
#include "plan/placement.h"

enum { TIMED_STEPS_MIN = 3, TIMED_STEPS_MAX = 4096 };
#define CALIBRATION_NS 200000000u

struct cf_plan {
    cf_plan_summary summary;
    char kernels[16];
    char (*names)[CFI_NAME_SIZE_MAX]; /* (layer_count), owned: what the layers' `name` points at */
    cf_plan_layer *layers;            /* (layer_count), owned */
    int64_t train_count, test_count;  /* samples in the data set; 0: its files are missing */
    cfi_placement *placement;         /* owned; NULL before cfi_plan_place */
};

/* ---- Layers ---- */

static void fill_layer(const cfi_layer *layer, char *name, cf_plan_layer *plan_layer)
{
    const bool has_weights = layer->weight_index >= 0;
    memcpy(name, layer->name, CFI_NAME_SIZE_MAX);
    *plan_layer = (cf_plan_layer){
        .name = name,
        .kind = cfi_layer_kind_name(layer->kind),
        .activation = has_weights ? cfi_activation_name(layer->activation) : "",
        .input = {layer->input.channels, layer->input.height, layer->input.width},
        .output = {layer->output.channels, layer->output.height, layer->output.width},
        .parameters = has_weights ? layer->weight_count + layer->neurons : 0,
        .forward_flops = cfi_layer_forward_flops(layer),
        .grain = layer->grain,
    };
}

static cf_status fill_layers(cf_plan *plan, const cfi_graph *graph, cf_error *error)
{
    plan->layers = cfi_calloc((size_t)graph->layer_count, sizeof *plan->layers);
    plan->names = cfi_calloc((size_t)graph->layer_count, sizeof *plan->names);
    if (plan->layers == NULL || plan->names == NULL) {
        return cfi_fail_memory(error, "the plan's layers");
    }
    for (int i = 0; i < graph->layer_count; i++) {
        fill_layer(&graph->layers[i], plan->names[i], &plan->layers[i]);
    }
    plan->summary.layer_count = graph->layer_count;
    plan->summary.parameters = graph->parameter_count;
    plan->summary.forward_flops = cfi_graph_forward_flops(graph);
    plan->summary.training_flops = cfi_graph_training_flops(graph);
    return CF_OK;
}

/* ---- The data set, or samples in its place ---- */

/* `count` samples of random bytes, all of class 0: as much work as real ones. */
static cf_status make_up_samples(const cfi_graph *graph, int64_t count, cfi_dataset *dataset, cf_error *error)
{
    const int64_t features = cfi_shape_features(graph->input);
    *dataset = (cfi_dataset){
        .channels = graph->input.channels, .height = graph->input.height, .width = graph->input.width,
        .features = features, .classes = graph->classes, .scale = 1.0f / 255.0f,
        .train = {.count = count,
                  .bytes = cfi_calloc((size_t)count, (size_t)features),
                  .labels = cfi_calloc((size_t)count, sizeof(int32_t))},
    };
    if (dataset->train.bytes == NULL || dataset->train.labels == NULL) {
        return cfi_fail_memory(error, "the calibration's samples");
    }
    for (int64_t i = 0; i < count * features; i++) {
        dataset->train.bytes[i] = (uint8_t)((uint32_t)i * 2654435761u >> 24);
    }
    return CF_OK;
}

static int64_t samples_bytes(const cfi_samples *samples, int64_t features)
{
    const int64_t value_size = samples->bytes != NULL ? 1 : (int64_t)sizeof(float);
    return samples->count * (features * value_size + (int64_t)sizeof *samples->labels);
}

/* Fills `dataset` and `batches` with the real data where there are, and says so in the summary. */
static cf_status prepare_data(cf_plan *plan, const cfi_settings *settings, const cfi_graph *graph,
                              cfi_dataset *dataset, cfi_batches *batches, cf_error *error)
{
    const int64_t batch = settings->training.batch;
    const cf_status status = cfi_dataset_load(&settings->data, dataset, error);
    if (status == CF_E_NOT_FOUND) {
        CFI_TRY(make_up_samples(graph, batch, dataset, error));
        return cfi_batches_init(batches, settings->seed, batch, 0, batch, false, error);
    }
    CFI_TRY(status);
    if (dataset->features != cfi_shape_features(graph->input)) {
        return cfi_fail(error, CF_E_DATA, "the data set has changed since the network was loaded");
    }
    CFI_TRY(cfi_batches_init(batches, settings->seed, dataset->train.count, settings->data.validation, batch,
                             settings->training.drop_last, error));
    plan->summary.data_bytes = samples_bytes(&dataset->train, dataset->features) +
                               samples_bytes(&dataset->test, dataset->features);
    plan->summary.steps_per_epoch = batches->steps_per_epoch;
    plan->train_count = dataset->train.count;
    plan->test_count = dataset->test.count;
    return CF_OK;
}

/* ---- Calibration ---- */

static int compare_times(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* Full batches only: an epoch's last one may be smaller. */
static int64_t full_steps(const cfi_batches *batches)
{
    const int64_t full = batches->train_count / batches->batch;
    return full > 0 ? full : 1;
}

/* Makes steps for about CALIBRATION_NS. Rate 0 leaves the weights alone, so nothing can diverge. */
static cf_status measure(cfi_engine *engine, const cfi_batches *batches, uint64_t *times, int64_t *indices,
                         cf_plan_summary *summary, cf_error *error)
{
    int count = 0;
    int64_t rows = 0;
    const uint64_t begin = cfi_clock_ns();
    uint64_t last = begin;
    for (int64_t step = 0; count < TIMED_STEPS_MAX; step++) {
        cfi_step_result result;
        rows = cfi_batches_step(batches, step % full_steps(batches), indices);
        CFI_TRY(cfi_engine_step(engine, step, indices, rows, 0.0f, &result, error));
        const uint64_t now = cfi_clock_ns();
        if (step > 0) { /* the first one touches memory for the first time */
            times[count++] = now - last;
        }
        last = now;
        if (now - begin > CALIBRATION_NS && count >= TIMED_STEPS_MIN) {
            break;
        }
    }
    qsort(times, (size_t)count, sizeof *times, compare_times);
    const uint64_t median = times[count / 2] > 0 ? times[count / 2] : 1;
    summary->predicted_step_seconds = (double)median * 1e-9;
    summary->predicted_samples_per_second = (double)rows / summary->predicted_step_seconds;
    summary->measured_gflops = (double)summary->training_flops * (double)rows / (double)median;
    return CF_OK;
}

/* What the engine itself says: memory, kernels, threads. */
static void fill_from_engine(cf_plan *plan, const cfi_engine *engine)
{
    cf_plan_summary *summary = &plan->summary;
    int64_t bytes[3];
    cfi_engine_memory(engine, bytes);
    summary->weight_bytes = bytes[0];
    summary->optimizer_bytes = bytes[1];
    summary->activation_bytes = bytes[2];
    summary->memory_bytes = bytes[0] + bytes[1] + bytes[2] + summary->data_bytes;
    summary->threads = cfi_engine_threads(engine);
    (void)cfi_copy_name(plan->kernels, sizeof plan->kernels, cfi_engine_kernels(engine));
}

static cf_status calibrate(cf_plan *plan, const cfi_settings *settings, const cfi_graph *graph, int threads,
                           cf_error *error)
{
    cf_status status = CF_OK;
    cfi_engine *engine = NULL;
    cfi_dataset dataset;
    cfi_batches batches;
    const int64_t batch = settings->training.batch;
    uint64_t *times = cfi_calloc(TIMED_STEPS_MAX, sizeof *times);
    int64_t *indices = cfi_calloc((size_t)batch, sizeof *indices);
    memset(&dataset, 0, sizeof dataset);
    if (times == NULL || indices == NULL) {
        status = cfi_fail_memory(error, "the calibration");
        goto done;
    }
    CFI_TRY_GOTO(prepare_data(plan, settings, graph, &dataset, &batches, error));
    const cfi_engine_options options = {.graph = graph, .training = &settings->training, .dataset = &dataset,
                                        .seed = settings->seed, .batch_max = batch, .threads = threads};
    CFI_TRY_GOTO(cfi_engine_new(&options, &engine, error));
    fill_from_engine(plan, engine);
    status = measure(engine, &batches, times, indices, &plan->summary, error);
done:
    cfi_engine_free(engine);
    cfi_dataset_fini(&dataset);
    cfi_free(times);
    cfi_free(indices);
    return status;
}

cf_status cfi_plan_new(const cfi_settings *settings, const cfi_graph *graph, int threads, cf_plan **plan_out,
                       cf_error *error)
{
    if (threads < 0 || threads > CFI_THREAD_COUNT_MAX) {
        return cfi_fail(error, CF_E_USAGE, "threads: %d is not from 0 to %d", threads, CFI_THREAD_COUNT_MAX);
    }
    cf_plan *plan = cfi_calloc(1, sizeof *plan);
    if (plan == NULL) {
        return cfi_fail_memory(error, "the plan");
    }
    plan->summary.batch = settings->training.batch;
    cf_status status = fill_layers(plan, graph, error);
    if (status == CF_OK) {
        status = calibrate(plan, settings, graph, threads, error);
    }
    if (status != CF_OK) {
        cf_plan_free(plan);
        return status;
    }
    *plan_out = plan;
    return CF_OK;
}

cf_status cfi_plan_place(cf_plan *plan, const cfi_settings *settings, const cfi_graph *graph, int containers,
                         cf_error *error)
{
    const int threads = plan->summary.threads > 0 ? plan->summary.threads : 1;
    /* Without data one step is planned. */
    const int64_t train_count = plan->train_count > 0 ? plan->train_count
                                                      : settings->data.validation + settings->training.batch;
    const cfi_cluster_options options = {.settings = settings, .graph = graph, .train_count = train_count,
                                         .test_count = plan->test_count, .steps = -1, .containers = containers};
    cfi_placement *placement = NULL;
    CFI_TRY(cfi_placement_new(&options, plan->summary.measured_gflops * 1e9 / threads, threads, &placement, error));
    cfi_placement_free(plan->placement);
    plan->placement = placement;
    return CF_OK;
}

/* ---- Getters (cuttlefish.h) ---- */

cf_plan_summary cf_plan_get_summary(const cf_plan *plan)
{
    cf_plan_summary summary = plan->summary;
    summary.kernels = plan->kernels;
    return summary;
}

cf_plan_layer cf_plan_get_layer(const cf_plan *plan, size_t index)
{
    return plan->layers[index];
}

cf_plan_cluster cf_plan_get_cluster(const cf_plan *plan)
{
    const cfi_placement *placement = plan->placement;
    if (placement == NULL) {
        return (cf_plan_cluster){.critical_path = ""};
    }
    const cfi_cost *cost = &placement->cost;
    return (cf_plan_cluster){.container_count = placement->cluster.container_count,
                             .unit_count = placement->cluster.unit_count,
                             .memory_bytes = cost->total.memory,
                             .messages = cost->total.messages_out,
                             .message_bytes = cost->total.bytes_out,
                             .persist_every = placement->cluster.work.persist_every,
                             .window = placement->cluster.work.window,
                             .predicted_step_seconds = cost->step_seconds,
                             .single_step_seconds = placement->free_seconds,
                             .critical_path = cost->path,
                             .limit_count = cost->limit_count};
}

cf_plan_container cf_plan_get_container(const cf_plan *plan, size_t index)
{
    const cfi_placement *placement = plan->placement;
    const cfi_container *container = &placement->cluster.containers[index];
    const cfi_cost_part *part = &placement->cost.containers[index];
    return (cf_plan_container){.name = container->name,
                               .units = placement->units[index],
                               .host = container->host,
                               .zone = container->zone,
                               .reason = placement->reasons[index],
                               .cpu = container->cpu,
                               .memory_asked = container->memory,
                               .neurons = part->neurons,
                               .parameters = part->parameters,
                               .memory_bytes = part->memory,
                               .messages_in = part->messages_in,
                               .messages_out = part->messages_out,
                               .bytes_in = part->bytes_in,
                               .bytes_out = part->bytes_out,
                               .seconds = part->forward + part->backward};
}

const char *cf_plan_get_limit(const cf_plan *plan, size_t index)
{
    return plan->placement->cost.limits[index];
}

void cf_plan_free(cf_plan *plan)
{
    if (plan != NULL) {
        cfi_placement_free(plan->placement);
        cfi_free(plan->layers);
        cfi_free(plan->names);
        cfi_free(plan);
    }
}
