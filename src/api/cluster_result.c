/* From the states in the store to a run folder like cf_train's: checkpoint, result. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/cluster.h"
#include "base/alloc.h"
#include "engine/digest.h"
#include "engine/run.h"
#include "store/checkpoint.h"

enum { LOSS_FIELDS = 12, LOSS_EPOCH_SUM = 0, LOSS_BEST = 1, LOSS_CORRECT = 6, LOSS_SAMPLES = 7, LOSS_SEEN = 8,
       LOSS_WITHOUT_GAIN = 9 }; /* the loss's state: docs/format/store.md */

typedef struct assembly {
    cf_cluster *cluster;
    cfi_engine *engine;
    const cfi_tensor *tensors;
    int tensor_count, parameter_count;
    int64_t step;
    int64_t neurons;       /* whose state has been read */
    cfi_progress progress;
} assembly;

/* One neuron's state, as compute.h lays it out: weight row, bias, then both of each of the optimizer's. */
static const float *put_neuron(const assembly *a, int weight_index, int64_t neuron, int64_t fan_in, const float *values)
{
    for (int first = 0; first < a->tensor_count; first += a->parameter_count) {
        const cfi_tensor *weight = &a->tensors[first + 2 * weight_index];
        memcpy(weight->values + neuron * fan_in, values, (size_t)fan_in * sizeof *values);
        weight[1].values[neuron] = values[fan_in];
        values += fan_in + 1;
    }
    return values;
}

static cf_status get_state(const assembly *a, int stage, int64_t begin, int64_t end, size_t wanted, char **bytes_out,
                           cf_error *error)
{
    char key[CFI_STORE_KEY_SIZE_MAX];
    size_t size = 0;
    cfi_key_state(key, sizeof key, stage, begin, end, a->step);
    CFI_TRY(cfi_cluster_ask(a->cluster, CFI_UNIT_INDEX_STORE, "get", key, NULL, 0, bytes_out, &size, error));
    if (size != wanted) {
        cfi_free(*bytes_out);
        return cfi_fail(error, CF_E_DATA, "the store's %s has %zu bytes, not %zu", key, size, wanted);
    }
    return CF_OK;
}

static cf_status read_shard(assembly *a, int stage, int64_t begin, int64_t end, cf_error *error)
{
    char *bytes = NULL;
    const cfi_graph *graph = &a->cluster->network->graph;
    const cfi_layer *layer = &graph->layers[a->cluster->plan.stages[stage].layer];
    const size_t sets = (size_t)(a->tensor_count / a->parameter_count);
    const size_t size = (size_t)(end - begin) * (size_t)(layer->fan_in + 1) * sets * sizeof(float);
    CFI_TRY(get_state(a, stage, begin, end, size, &bytes, error));
    const float *values = (const float *)(const void *)bytes; /* of calloc: aligned */
    for (int64_t neuron = begin; neuron < end; neuron++) {
        values = put_neuron(a, layer->weight_index, neuron, layer->fan_in, values);
    }
    a->neurons += end - begin;
    cfi_free(bytes);
    return CF_OK;
}

/* The key names the cut: states of the end may be of the plan in force or, had that just changed, of the one before. */
static cf_status read_key(assembly *a, const char *key, cf_error *error)
{
    int stage = 0;
    int64_t begin = 0, end = 0, step = 0;
    if (sscanf(key, "state/%d/%" SCNd64 "-%" SCNd64 "/%" SCNd64, &stage, &begin, &end, &step) != 4 || step != a->step) {
        return CF_OK;
    }
    if (stage < 0 || stage >= a->cluster->plan.stage_count || begin < 0 || begin >= end ||
        end > a->cluster->plan.stages[stage].neurons) {
        return cfi_fail(error, CF_E_DATA, "the store's key %s is not of this network", key);
    }
    return read_shard(a, stage, begin, end, error);
}

static cf_status read_shards(assembly *a, cf_error *error)
{
    char *keys = NULL;
    size_t size = 0;
    int64_t wanted = 0;
    CFI_TRY(cfi_cluster_ask(a->cluster, CFI_UNIT_INDEX_STORE, "list", "state/", NULL, 0, &keys, &size, error));
    cf_status status = CF_OK;
    for (char *key = keys, *end; status == CF_OK && key != NULL && (end = strchr(key, '\n')) != NULL; key = end + 1) {
        *end = '\0';
        status = read_key(a, key, error);
    }
    cfi_free(keys);
    CFI_TRY(status);
    for (int s = 0; s < a->cluster->plan.stage_count; s++) {
        wanted += a->cluster->plan.stages[s].neurons;
    }
    if (a->neurons < wanted) {
        return cfi_fail(error, CF_E_DATA, "the store has the state of %" PRId64 " of %" PRId64 " neurons at step "
                        "%" PRId64, a->neurons, wanted, a->step);
    }
    return CF_OK;
}

static uint64_t field(const char *bytes, int index)
{
    uint64_t value = 0;
    for (int b = 0; b < 8; b++) {
        value |= (uint64_t)(unsigned char)bytes[index * 8 + b] << (8 * b);
    }
    return value;
}

static double field_real(const char *bytes, int index)
{
    const uint64_t bits = field(bytes, index);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static cf_status read_progress(assembly *a, const cfi_head *head, double seconds, cf_error *error)
{
    char *bytes = NULL;
    cfi_progress *progress = &a->progress;
    progress->step = head->step;
    progress->chain = head->chain;
    progress->seconds = seconds;
    progress->best_validation_loss = (double)INFINITY;
    if (head->step == 0) {
        return CF_OK; /* nobody has kept anything yet */
    }
    CFI_TRY(get_state(a, -1, 0, 0, LOSS_FIELDS * 8, &bytes, error));
    progress->epoch_loss_sum = field_real(bytes, LOSS_EPOCH_SUM);
    progress->best_validation_loss = field_real(bytes, LOSS_BEST);
    progress->epoch_correct = (int64_t)field(bytes, LOSS_CORRECT);
    progress->epoch_samples = (int64_t)field(bytes, LOSS_SAMPLES);
    progress->samples = (int64_t)field(bytes, LOSS_SEEN);
    progress->epochs_without_gain = (int64_t)field(bytes, LOSS_WITHOUT_GAIN);
    progress->stopped_early = head->end < a->cluster->plan.work.step_count;
    cfi_free(bytes);
    return CF_OK;
}

static void fill_result(const assembly *a, const cfi_head *head, const cf_event *end, cf_train_result *result)
{
    const bool has_test = !isnan(end->test_loss), has_validation = !isnan(end->validation_loss);
    const cfi_progress *progress = &a->progress;
    memset(result, 0, sizeof *result);
    (void)cfi_copy_path(result->run_folder, a->cluster->run_folder);
    result->steps = progress->step;
    result->epochs = progress->step / a->cluster->plan.work.steps_per_epoch;
    result->samples = progress->samples;
    result->loss = has_test ? end->test_loss : has_validation ? end->validation_loss : end->loss;
    result->accuracy = has_test ? end->test_accuracy : has_validation ? end->validation_accuracy : end->accuracy;
    cfi_hash_text(head->final_chain, result->chain);
    cfi_hash_text(cfi_engine_weights_hash(a->engine), result->weights);
    result->seconds = progress->seconds;
    result->samples_per_second = isfinite(end->samples_per_second) ? end->samples_per_second : 0.0;
    snprintf(result->kernels, sizeof result->kernels, "%s", cfi_engine_kernels(a->engine));
    result->threads = 1;
}

static cf_status write_run(const assembly *a, const cf_train_result *result, cf_error *error)
{
    const cfi_settings *settings = &a->cluster->network->settings;
    cfi_line line = {.length = 0};
    cfi_run run;
    cfi_line_text(&line, "name", settings->name);
    cfi_line_integer(&line, "steps", result->steps);
    cfi_line_integer(&line, "epochs", result->epochs);
    cfi_line_integer(&line, "samples", result->samples);
    cfi_line_real(&line, "loss", result->loss);
    cfi_line_real(&line, "accuracy", result->accuracy);
    cfi_line_text(&line, "chain", result->chain);
    cfi_line_text(&line, "weights", result->weights);
    cfi_line_real(&line, "seconds", result->seconds);
    cfi_line_real(&line, "samples_per_second", result->samples_per_second);
    cfi_line_text(&line, "kernels", result->kernels);
    cfi_line_integer(&line, "threads", result->threads);
    cfi_line_end(&line);
    CFI_TRY(cfi_run_open(&run, settings->name, a->cluster->run_folder, true, error));
    cf_status status = cfi_checkpoint_write(run.folder, a->tensors, a->tensor_count, a->parameter_count, &a->progress,
                                            settings->training.checkpoints_kept, error);
    if (status == CF_OK) {
        status = cfi_run_write_result(&run, &line, error);
    }
    cfi_run_close(&run);
    return status;
}

static cf_status assemble(assembly *a, const cfi_dataset *dataset, const cfi_head *head, const cf_event *end,
                          double seconds, cf_train_result *result_out, cf_error *error)
{
    const cf_network *network = a->cluster->network;
    cf_train_result result;
    const cfi_engine_options options = {
        .graph = &network->graph, .training = &network->settings.training, .dataset = dataset,
        .seed = network->settings.seed, .batch_max = 1, .threads = 1};
    CFI_TRY(cfi_config_digest(&network->settings, &network->graph, dataset, a->progress.config_digest, error));
    CFI_TRY(cfi_engine_new(&options, &a->engine, error));
    a->tensors = cfi_engine_tensors(a->engine, &a->tensor_count, &a->parameter_count);
    if (a->step > 0) {
        CFI_TRY(read_shards(a, error));
        cfi_engine_weights_changed(a->engine);
    }
    CFI_TRY(read_progress(a, head, seconds, error));
    fill_result(a, head, end, &result);
    CFI_TRY(write_run(a, &result, error));
    *result_out = result;
    return CF_OK;
}

cf_status cfi_cluster_result(cf_cluster *cluster, const cfi_head *head, const cf_event *end, double seconds,
                             cf_train_result *result_out, cf_error *error)
{
    cfi_dataset dataset;
    assembly a = {.cluster = cluster, .step = head->step};
    CFI_TRY(cfi_dataset_load(&cluster->network->settings.data, &dataset, error));
    const cf_status status = assemble(&a, &dataset, head, end, seconds, result_out, error);
    cfi_engine_free(a.engine);
    cfi_dataset_fini(&dataset);
    return status;
}
