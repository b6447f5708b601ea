/* Questions to a running network, through the container that hosts its source. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/cluster.h"
#include "base/alloc.h"

enum { TRIES = 3 }; /* each is seconds long already when the network is there and has no answer */

/* A question in pieces of at most training.batch rows. */
typedef struct asking {
    cf_cluster *cluster;
    const cfi_dataset *dataset;
    int64_t inputs, outputs, rows_max;
    float *values; /* (rows_max, inputs), as training sees them */
} asking;

/* One piece, whose values are in place. */
static cf_status ask_once(const asking *ask, int64_t rows, float *outputs, bool *is_answered_out, cf_error *error)
{
    char argument[32], *answer = NULL;
    size_t size = 0;
    const size_t wanted = (size_t)(rows * ask->outputs) * sizeof(float);
    snprintf(argument, sizeof argument, "%" PRId64, rows);
    CFI_TRY(cfi_cluster_ask(ask->cluster, CFI_UNIT_INDEX_SOURCE, "infer", argument, ask->values,
                            (size_t)(rows * ask->inputs) * sizeof(float), &answer, &size, error));
    cf_status status = CF_OK;
    if (size == wanted) {
        memcpy(outputs, answer, size);
    } else if (size > 0) {
        status = cfi_fail(error, CF_E_SHAPE, "the network answered %zu bytes where %zu belong", size, wanted);
    }
    *is_answered_out = size == wanted;
    cfi_free(answer);
    return status;
}

/* A change of plan moves the source; a container that is being started again comes back. */
static cf_status ask_piece(const asking *ask, int64_t rows, float *outputs, cf_error *error)
{
    cf_error last = {0};
    for (int i = 0; i < TRIES; i++) {
        bool is_answered = false;
        const cf_status status = ask_once(ask, rows, outputs, &is_answered, &last);
        if (is_answered) {
            return CF_OK;
        }
        if (status == CF_E_SHAPE || status == CF_E_MEMORY) {
            return cfi_fail(error, status, "%s", last.text);
        }
        CFI_TRY(cfi_cluster_is_up(ask->cluster, error));
        cfi_cluster_pause(CFI_CLUSTER_POLL_NS);
    }
    return cfi_fail(error, CF_E_IO,
                    "%s: the running network has no answer now%s%s; ask again, or see: cuttlefish status",
                    ask->cluster->network->settings.name, last.text[0] != '\0' ? ": " : "", last.text);
}

static cf_status need_data(cf_cluster *cluster, cf_error *error)
{
    return cluster->data != NULL ? CF_OK : cf_data_open(cluster->network, &cluster->data, error);
}

static cf_status begin(cf_cluster *cluster, const cfi_dataset *dataset, asking *ask_out, cf_error *error)
{
    CFI_TRY(cfi_cluster_is_up(cluster, error));
    asking ask = {.cluster = cluster, .dataset = dataset,
                  .inputs = cf_network_input_features(cluster->network),
                  .outputs = cf_network_output_features(cluster->network),
                  .rows_max = cluster->plan.work.batch};
    ask.values = cfi_calloc((size_t)(ask.rows_max * ask.inputs), sizeof ask.values[0]);
    if (ask.values == NULL) {
        return cfi_fail_memory(error, "a question");
    }
    *ask_out = ask;
    return CF_OK;
}

cf_status cf_cluster_predict(cf_cluster *cluster, const float *inputs, int64_t count, float *outputs, cf_error *error)
{
    cfi_dataset plain = {0};
    asking ask;
    cf_status status = CF_OK;
    if (count < 0) {
        return cfi_fail(error, CF_E_USAGE, "%" PRId64 " inputs", count);
    }
    cfi_dataset_byte_scale(&cluster->network->settings.data, &plain.scale, &plain.shift);
    CFI_TRY(cfi_cluster_is_up(cluster, error));
    if (cluster->network->settings.data.kind == CFI_DATA_CSV) {
        CFI_TRY(need_data(cluster, error));
    }
    CFI_TRY(begin(cluster, cluster->data != NULL ? &cluster->data->dataset : &plain, &ask, error));
    for (int64_t first = 0; first < count && status == CF_OK; first += ask.rows_max) {
        const int64_t rows = count - first < ask.rows_max ? count - first : ask.rows_max;
        cfi_data_normalise(cluster->network, ask.dataset, inputs + first * ask.inputs, rows, ask.inputs, ask.values);
        status = ask_piece(&ask, rows, outputs + first * ask.outputs, error);
    }
    cfi_free(ask.values);
    return status;
}

/* ---- Evaluation ---- */

/* The first of the largest; one output says 1 or 0. */
static int64_t class_of(const float *outputs, int64_t count)
{
    int64_t best = 0;
    if (count == 1) {
        return outputs[0] > 0.5f ? 1 : 0;
    }
    for (int64_t i = 1; i < count; i++) {
        best = outputs[i] > outputs[best] ? i : best;
    }
    return best;
}

/* A data set keeps bytes, or values that are normalised already. */
static void take_samples(const asking *ask, const cfi_samples *samples, const int64_t *indices, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++) {
        const int64_t first = indices[row] * ask->inputs;
        float *values = ask->values + row * ask->inputs;
        if (samples->floats != NULL) {
            memcpy(values, samples->floats + first, (size_t)ask->inputs * sizeof values[0]);
            continue;
        }
        for (int64_t i = 0; i < ask->inputs; i++) {
            values[i] = (float)samples->bytes[first + i];
        }
        cfi_data_normalise(ask->cluster->network, ask->dataset, values, 1, ask->inputs, values);
    }
}

static cf_status evaluate(const asking *ask, cf_data_part part, int64_t count, int64_t *correct_out,
                          int64_t *confusion, int64_t *indices, float *outputs, cf_error *error)
{
    const cf_data *data = ask->cluster->data;
    const cfi_samples *samples = part == CF_DATA_TEST ? &data->dataset.test : &data->dataset.train;
    const int64_t classes = data->dataset.classes;
    cfi_batches walk;
    CFI_TRY(cfi_data_walk(data, ask->rows_max, &walk, error));
    for (int64_t first = 0, rows = 0; first < count; first += rows) {
        rows = cfi_data_next(data, part, &walk, first, indices);
        take_samples(ask, samples, indices, rows);
        CFI_TRY(ask_piece(ask, rows, outputs, error));
        for (int64_t i = 0; i < rows; i++) {
            const int64_t label = samples->labels[indices[i]];
            const int64_t predicted = class_of(outputs + i * ask->outputs, ask->outputs);
            *correct_out += predicted == label;
            if (confusion != NULL && predicted < classes) { /* one output may say 1 where only 0 occurs */
                confusion[label * classes + predicted]++;
            }
        }
    }
    return CF_OK;
}

cf_status cf_cluster_evaluate(cf_cluster *cluster, cf_data_part part, double *accuracy_out, int64_t *count_out,
                              int64_t *confusion, cf_error *error)
{
    static const char *const names[] = {"training", "validation", "test"};
    int64_t correct = 0;
    asking ask;
    CFI_TRY(cfi_cluster_is_up(cluster, error));
    CFI_TRY(need_data(cluster, error));
    const int64_t count = cf_data_count(cluster->data, part), classes = cluster->data->dataset.classes;
    if (count == 0) {
        return cfi_fail(error, CF_E_USAGE, "%s: there are no %s samples", cluster->network->settings.name, names[part]);
    }
    CFI_TRY(begin(cluster, &cluster->data->dataset, &ask, error));
    int64_t *indices = cfi_calloc((size_t)ask.rows_max, sizeof indices[0]);
    float *outputs = cfi_calloc((size_t)(ask.rows_max * ask.outputs), sizeof outputs[0]);
    if (confusion != NULL) {
        memset(confusion, 0, (size_t)(classes * classes) * sizeof confusion[0]);
    }
    const cf_status status = indices == NULL || outputs == NULL
                                 ? cfi_fail_memory(error, "an evaluation")
                                 : evaluate(&ask, part, count, &correct, confusion, indices, outputs, error);
    cfi_free(indices);
    cfi_free(outputs);
    cfi_free(ask.values);
    CFI_TRY(status);
    *accuracy_out = (double)correct / (double)count;
    *count_out = count;
    return CF_OK;
}

const char *cf_cluster_class_name(cf_cluster *cluster, int64_t index)
{
    if (index < 0 || index >= cluster->network->graph.classes) {
        return "";
    }
    if (cluster->data != NULL) {
        return cf_data_class_name(cluster->data, index);
    }
    if (cluster->numbers == NULL) {
        cluster->numbers = cfi_number_names_new(cluster->network->graph.classes);
    }
    return cluster->numbers != NULL ? cluster->numbers[index] : "";
}
