#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handles.h"
#include "base/alloc.h"
#include "base/file.h"
#include "data/get.h"
#include "data/idx.h"
#include "data/image.h"

cfi_number_name *cfi_number_names_new(int64_t classes)
{
    cfi_number_name *numbers = cfi_calloc((size_t)classes, sizeof numbers[0]);
    for (int64_t i = 0; numbers != NULL && i < classes; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%" PRId64, i);
    }
    return numbers;
}

cf_status cf_data_open(const cf_network *network, cf_data **data_out, cf_error *error)
{
    const cfi_settings *settings = &network->settings;
    cf_data *data = cfi_calloc(1, sizeof *data);
    if (data == NULL) {
        return cfi_fail_memory(error, "the data set");
    }
    data->network = cfi_network_share(network);
    cf_status status = cfi_dataset_load(&settings->data, &data->dataset, error);
    if (status == CF_OK) {
        status = cfi_batches_init(&data->batches, settings->seed, data->dataset.train.count, settings->data.validation,
                                  settings->training.batch, settings->training.drop_last, error);
    }
    if (status == CF_OK) {
        data->numbers = cfi_number_names_new(data->dataset.classes);
        status = data->numbers != NULL ? CF_OK : cfi_fail_memory(error, "the names of the classes");
    }
    if (status != CF_OK) {
        cf_data_free(data);
        return status;
    }
    *data_out = data;
    return CF_OK;
}

void cf_data_free(cf_data *data)
{
    if (data != NULL) {
        cfi_dataset_fini(&data->dataset);
        cf_network_free(data->network);
        cfi_free(data->numbers);
        cfi_free(data);
    }
}

int64_t cf_data_count(const cf_data *data, cf_data_part part)
{
    switch (part) {
    case CF_DATA_TRAIN:
        return data->batches.train_count;
    case CF_DATA_VALIDATION:
        return data->batches.validation_count;
    case CF_DATA_TEST:
        return data->dataset.test.count;
    }
    return 0;
}

void cf_data_shape(const cf_data *data, int64_t shape_out[3])
{
    shape_out[0] = data->dataset.channels;
    shape_out[1] = data->dataset.height;
    shape_out[2] = data->dataset.width;
}

int64_t cf_data_classes(const cf_data *data)
{
    return data->dataset.classes;
}

const char *cf_data_class_name(const cf_data *data, int64_t index)
{
    if (index < 0 || index >= data->dataset.classes) {
        return "";
    }
    return data->dataset.class_names != NULL ? data->dataset.class_names[index] : data->numbers[index];
}

int64_t cf_data_batch_size(const cf_data *data)
{
    return data->batches.batch;
}

int64_t cf_data_steps_per_epoch(const cf_data *data)
{
    return data->batches.steps_per_epoch;
}

cf_status cfi_data_walk(const cf_data *data, int64_t rows_max, cfi_batches *walk_out, cf_error *error)
{
    return cfi_batches_init(walk_out, data->batches.seed, data->dataset.train.count, data->batches.validation_count,
                            rows_max, false, error);
}

int64_t cfi_data_next(const cf_data *data, cf_data_part part, const cfi_batches *walk, int64_t first,
                      int64_t *indices)
{
    if (part == CF_DATA_TRAIN) {
        return cfi_batches_step(walk, first / walk->batch, indices);
    }
    const int64_t left = cf_data_count(data, part) - first, rows = left < walk->batch ? left : walk->batch;
    for (int64_t i = 0; i < rows; i++) {
        indices[i] = part == CF_DATA_TEST ? first + i : cfi_batches_validation(&data->batches, first + i);
    }
    return rows;
}

static float normalise_one(const cfi_dataset *dataset, int64_t feature, float raw)
{
    if (dataset->column_mean != NULL) {
        return (raw - dataset->column_mean[feature]) / dataset->column_deviation[feature];
    }
    return fmaf(raw, dataset->scale, dataset->shift);
}

void cfi_data_normalise(const cf_network *network, const cfi_dataset *dataset, const float *raw, int64_t rows,
                        int64_t features, float *values_out)
{
    const bool as_they_are = dataset->column_mean == NULL && network->settings.data.kind == CFI_DATA_CSV;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t i = 0; i < features; i++) {
            const int64_t at = row * features + i;
            values_out[at] = as_they_are ? raw[at] : normalise_one(dataset, i, raw[at]);
        }
    }
}

/* The samples of a part and where sample `index` of it is among them. */
static cf_status find_sample(const cf_data *data, cf_data_part part, int64_t index, const cfi_samples **samples_out,
                             int64_t *position_out, cf_error *error)
{
    static const char *const names[] = {"train", "validation", "test"};
    const bool is_train = part == CF_DATA_TRAIN;
    const int64_t count = is_train ? data->dataset.train.count : cf_data_count(data, part);
    if (index < 0 || index >= count) {
        return cfi_fail(error, CF_E_USAGE, "%s:%" PRId64 ": there are %" PRId64 " such samples, counted from 0",
                        names[part], index, count);
    }
    *samples_out = part == CF_DATA_TEST ? &data->dataset.test : &data->dataset.train;
    *position_out = part == CF_DATA_VALIDATION ? cfi_batches_validation(&data->batches, index) : index;
    return CF_OK;
}

cf_status cf_data_sample(const cf_data *data, cf_data_part part, int64_t index, float *values, int64_t *label_out,
                         cf_error *error)
{
    const cfi_dataset *dataset = &data->dataset;
    const cfi_samples *samples = NULL;
    int64_t position = 0;
    CFI_TRY(find_sample(data, part, index, &samples, &position, error));
    const int64_t first = position * dataset->features;
    for (int64_t i = 0; values != NULL && i < dataset->features; i++) {
        if (samples->bytes != NULL) {
            values[i] = (float)samples->bytes[first + i];
        } else if (dataset->column_mean != NULL) {
            values[i] = fmaf(samples->floats[first + i], dataset->column_deviation[i], dataset->column_mean[i]);
        } else {
            values[i] = samples->floats[first + i];
        }
    }
    if (label_out != NULL) {
        *label_out = samples->labels[position];
    }
    return CF_OK;
}

cf_status cf_data_batch(const cf_data *data, int64_t step, int64_t *indices, int64_t *rows_out, cf_error *error)
{
    if (step < 0) {
        return cfi_fail(error, CF_E_USAGE, "step %" PRId64 ": steps are counted from 0", step);
    }
    *rows_out = cfi_batches_step(&data->batches, step, indices);
    return CF_OK;
}

cf_status cf_data_get(const char *name, const char *folder, void (*on_text)(void *user, const char *text), void *user,
                      cf_error *error)
{
    if (strcmp(name, "mnist") != 0) {
        return cfi_fail(error, CF_E_USAGE, "unknown data set '%s' (known: mnist)", name);
    }
    return cfi_data_get_mnist(folder, on_text, user, error);
}

/* "FILE:17" with a FILE that is there: copies FILE and says which sample. */
static bool is_idx_sample(const char *path, char *file_out, int64_t *index_out)
{
    const char *colon = strrchr(path, ':');
    if (colon == NULL || colon[1] < '0' || colon[1] > '9' || cfi_file_exists(path) || !cfi_copy_path(file_out, path)) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    *index_out = strtoll(colon + 1, &end, 10);
    file_out[colon - path] = '\0';
    return *end == '\0' && errno == 0;
}

static cf_status read_idx_sample(const char *path, int64_t index, float *values, int64_t count, cf_error *error)
{
    cfi_reader reader;
    cfi_idx idx = {0};
    CFI_TRY(cfi_reader_open(&reader, path, error));
    cf_status status = cfi_idx_read(&reader, true, &idx, error);
    cfi_reader_close(&reader);
    if (status != CF_OK) {
        return status;
    }
    if (index >= idx.dimension[0]) {
        status = cfi_fail(error, CF_E_USAGE, "%s:%" PRId64 ": the file has %" PRId64 " samples, counted from 0", path,
                          index, idx.dimension[0]);
    } else if (idx.features != count) {
        status = cfi_fail(error, CF_E_SHAPE, "%s: samples of %" PRId64 " values where the network takes %" PRId64,
                          path, idx.features, count);
    }
    for (int64_t i = 0; status == CF_OK && i < count; i++) {
        values[i] = (float)idx.bytes[index * count + i];
    }
    cfi_free(idx.bytes);
    return status;
}

cf_status cf_data_read_input(const char *path, int64_t height, int64_t width, float *values, int64_t count,
                             cf_error *error)
{
    char file[CFI_PATH_SIZE_MAX];
    int64_t index = 0;
    if (is_idx_sample(path, file, &index)) {
        return read_idx_sample(file, index, values, count, error);
    }
    /* Anything that is not one channel can only be read as a list of numbers. */
    const bool is_plane = height * width == count;
    return cfi_image_read(path, is_plane ? height : count, is_plane ? width : 1, values, error);
}
