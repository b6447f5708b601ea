#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "api/handles.h"
#include "base/alloc.h"
#include "base/file.h"
#include "engine/run.h"
#include "store/checkpoint.h"
#include "store/safetensors.h"

#define BATCH_MAX 256
#define SCRATCH_VALUES_MAX ((int64_t)1 << 24) /* of normalised inputs: 64 MiB */

struct cf_model {
    cf_network *network;
    cf_data *data;        /* NULL until it is needed: for CSV at once (column statistics), else to evaluate */
    cfi_dataset plain;    /* without data: only what normalises bytes */
    cfi_engine *engine;
    bool engine_has_data;
    int threads;
    int64_t batch;        /* rows of one call of the engine */
    float *inputs;        /* (batch, features) normalised */
    int64_t *indices;     /* (batch) */
    int32_t *predicted;   /* (batch) */
    cfi_number_name *numbers; /* (classes) */
};

static cf_status new_engine(const cf_model *model, const cfi_dataset *dataset, cfi_engine **engine_out,
                            cf_error *error)
{
    const cfi_engine_options options = {
        .graph = &model->network->graph, .dataset = dataset, .seed = model->network->settings.seed,
        .batch_max = model->batch, .threads = model->threads};
    return cfi_engine_new(&options, engine_out, error);
}

/* A run folder holds checkpoints; anything else is one file of weights. */
static cf_status read_weights(cf_model *model, const char *path, cf_error *error)
{
    int count = 0, parameter_count = 0;
    const cfi_tensor *tensors = cfi_engine_tensors(model->engine, &count, &parameter_count);
    struct stat info;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
        CFI_TRY(cfi_safetensors_read(path, tensors, parameter_count, NULL, NULL, error));
    } else {
        CFI_TRY(cfi_checkpoint_read(path, tensors, count, parameter_count, NULL, NULL, error));
    }
    cfi_engine_weights_changed(model->engine);
    return CF_OK;
}

static cf_status allocate(cf_model *model, cf_error *error)
{
    const cfi_graph *graph = &model->network->graph;
    const int64_t features = cfi_shape_features(graph->input);
    model->batch = SCRATCH_VALUES_MAX / features;
    model->batch = model->batch < 1 ? 1 : model->batch > BATCH_MAX ? BATCH_MAX : model->batch;
    model->inputs = cfi_calloc((size_t)(model->batch * features), sizeof model->inputs[0]);
    model->indices = cfi_calloc((size_t)model->batch, sizeof model->indices[0]);
    model->predicted = cfi_calloc((size_t)model->batch, sizeof model->predicted[0]);
    model->numbers = cfi_number_names_new(graph->classes);
    if (model->inputs == NULL || model->indices == NULL || model->predicted == NULL || model->numbers == NULL) {
        return cfi_fail_memory(error, "the model");
    }
    return CF_OK;
}

static cf_status open_data(cf_model *model, cf_error *error)
{
    return model->data != NULL ? CF_OK : cf_data_open(model->network, &model->data, error);
}

static cf_status open_model(cf_model *model, const char *path, int threads, cf_error *error)
{
    const cfi_data_settings *settings = &model->network->settings.data;
    CFI_TRY(cfi_network_is_native(model->network, error));
    CFI_TRY(cfi_network_has_graph(model->network, error));
    CFI_TRY(cfi_threads_check(threads, error));
    model->threads = threads;
    cfi_dataset_byte_scale(settings, &model->plain.scale, &model->plain.shift);
    if (settings->kind == CFI_DATA_CSV) {
        CFI_TRY(open_data(model, error));
    }
    CFI_TRY(allocate(model, error));
    CFI_TRY(new_engine(model, NULL, &model->engine, error));
    return read_weights(model, path, error);
}

cf_status cf_model_open(const cf_network *network, const char *path, int threads, cf_model **model_out,
                        cf_error *error)
{
    cf_model *model = cfi_calloc(1, sizeof *model);
    if (model == NULL) {
        return cfi_fail_memory(error, "the model");
    }
    model->network = cfi_network_share(network);
    const cf_status status = open_model(model, path, threads, error);
    if (status != CF_OK) {
        cf_model_free(model);
        return status;
    }
    *model_out = model;
    return CF_OK;
}

void cf_model_free(cf_model *model)
{
    if (model == NULL) {
        return;
    }
    cfi_engine_free(model->engine);
    cf_data_free(model->data);
    cf_network_free(model->network);
    cfi_free(model->inputs);
    cfi_free(model->indices);
    cfi_free(model->predicted);
    cfi_free(model->numbers);
    cfi_free(model);
}

cf_status cf_model_default_run(const cf_network *network, char **path_out, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX];
    CFI_TRY(cfi_run_newest(network->settings.name, path, error));
    char *copy = cfi_strdup(path);
    if (copy == NULL) {
        return cfi_fail_memory(error, "the run folder's name");
    }
    *path_out = copy;
    return CF_OK;
}

cf_status cf_model_predict(cf_model *model, const float *inputs, int64_t count, float *outputs, cf_error *error)
{
    const int64_t features = cf_network_input_features(model->network);
    const int64_t output_features = cf_network_output_features(model->network);
    const cfi_dataset *dataset = model->data != NULL ? &model->data->dataset : &model->plain;
    if (count < 0) {
        return cfi_fail(error, CF_E_USAGE, "%" PRId64 " inputs", count);
    }
    for (int64_t first = 0; first < count; first += model->batch) {
        const int64_t rows = count - first < model->batch ? count - first : model->batch;
        cfi_data_normalise(model->network, dataset, inputs + first * features, rows, features, model->inputs);
        CFI_TRY(cfi_engine_predict(model->engine, model->inputs, rows, outputs + first * output_features, error));
    }
    return CF_OK;
}

const char *cf_model_class_name(const cf_model *model, int64_t index)
{
    if (index < 0 || index >= model->network->graph.classes) {
        return "";
    }
    return model->data != NULL ? cf_data_class_name(model->data, index) : model->numbers[index];
}

/* The same weights in an engine that can read the data set's own samples. */
static cf_status give_data_to_engine(cf_model *model, cf_error *error)
{
    cfi_engine *engine = NULL;
    int count = 0, parameter_count = 0;
    if (model->engine_has_data) {
        return CF_OK;
    }
    CFI_TRY(open_data(model, error));
    CFI_TRY(new_engine(model, &model->data->dataset, &engine, error));
    const cfi_tensor *from = cfi_engine_tensors(model->engine, &count, &parameter_count);
    const cfi_tensor *to = cfi_engine_tensors(engine, &count, &parameter_count);
    for (int i = 0; i < parameter_count; i++) {
        memcpy(to[i].values, from[i].values, (size_t)from[i].count * sizeof from[i].values[0]);
    }
    cfi_engine_weights_changed(engine);
    cfi_engine_free(model->engine);
    model->engine = engine;
    model->engine_has_data = true;
    return CF_OK;
}

static cf_status evaluate(cf_model *model, cf_data_part part, int64_t count, double *loss_out, int64_t *correct_out,
                          int64_t *confusion, cf_error *error)
{
    const cf_data *data = model->data;
    const cfi_samples *samples = part == CF_DATA_TEST ? &data->dataset.test : &data->dataset.train;
    cfi_batches walk;
    CFI_TRY(cfi_data_walk(data, model->batch, &walk, error));
    for (int64_t first = 0, rows = 0; first < count; first += rows) {
        double loss = 0.0;
        int64_t correct = 0;
        rows = cfi_data_next(data, part, &walk, first, model->indices);
        CFI_TRY(cfi_engine_evaluate(model->engine, samples, model->indices, rows, &loss, &correct, model->predicted,
                                    error));
        *loss_out += loss;
        *correct_out += correct;
        for (int64_t i = 0; confusion != NULL && i < rows; i++) {
            if (model->predicted[i] < data->dataset.classes) { /* one output may say 1 where only 0 occurs */
                confusion[samples->labels[model->indices[i]] * data->dataset.classes + model->predicted[i]]++;
            }
        }
    }
    return CF_OK;
}

cf_status cf_model_evaluate(cf_model *model, cf_data_part part, double *loss_out, double *accuracy_out,
                            int64_t *count_out, int64_t *confusion, cf_error *error)
{
    static const char *const names[] = {"training", "validation", "test"};
    double loss = 0.0;
    int64_t correct = 0;
    CFI_TRY(give_data_to_engine(model, error));
    const int64_t count = cf_data_count(model->data, part);
    if (count == 0) {
        return cfi_fail(error, CF_E_USAGE, "%s: there are no %s samples", model->network->settings.name, names[part]);
    }
    const int64_t classes = model->data->dataset.classes;
    if (confusion != NULL) {
        memset(confusion, 0, (size_t)(classes * classes) * sizeof confusion[0]);
    }
    CFI_TRY(evaluate(model, part, count, &loss, &correct, confusion, error));
    *loss_out = loss / (double)count;
    *accuracy_out = (double)correct / (double)count;
    *count_out = count;
    return CF_OK;
}

cf_status cf_model_save(const cf_model *model, const char *path, cf_error *error)
{
    int count = 0, parameter_count = 0;
    const cfi_tensor *tensors = cfi_engine_tensors(model->engine, &count, &parameter_count);
    return cfi_safetensors_write(path, tensors, parameter_count, NULL, NULL, error);
}
