#include "data/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "data/csv.h"
#include "data/idx.h"
#include "data/mnist.h"

#define SEARCHED_SIZE 600 /* for the list of folders in a message; cut when longer */

void cfi_samples_fini(cfi_samples *samples)
{
    cfi_free(samples->bytes);
    cfi_free(samples->floats);
    cfi_free(samples->labels);
    memset(samples, 0, sizeof *samples);
}

void cfi_dataset_fini(cfi_dataset *dataset)
{
    for (int64_t i = 0; dataset->class_names != NULL && i < dataset->classes; i++) {
        cfi_free(dataset->class_names[i]);
    }
    cfi_free(dataset->class_names);
    cfi_free(dataset->column_mean);
    cfi_free(dataset->column_deviation);
    cfi_samples_fini(&dataset->train);
    cfi_samples_fini(&dataset->test);
    memset(dataset, 0, sizeof *dataset);
}

/* ---- Where MNIST lies --------------------------------------------------------------------------------------- */

/* Folder `number` (0 to 2) of the search order, "" when the environment does not name one. */
static cf_status mnist_folder(int number, char folder[CFI_PATH_SIZE_MAX], cf_error *error)
{
    folder[0] = '\0';
    const char *base = NULL, *name = "";
    switch (number) {
    case 0:
        base = getenv("CUTTLEFISH_DATA");
        break;
    case 1:
        base = CFI_MNIST_FOLDER;
        break;
    default:
        base = getenv("XDG_CACHE_HOME");
        name = "/cuttlefish/mnist";
        if (base == NULL || base[0] == '\0') {
            base = getenv("HOME");
            name = "/.cache/cuttlefish/mnist";
        }
        break;
    }
    if (base == NULL || base[0] == '\0') {
        return CF_OK;
    }
    const int length = snprintf(folder, CFI_PATH_SIZE_MAX, "%s%s", base, name);
    if (length < 0 || length >= CFI_PATH_SIZE_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "the path of the folder for mnist is too long: %.100s...", base);
    }
    return CF_OK;
}

/* Path of `name`, or of `name`.gz, in `folder`; false when neither is there. */
static bool find_in_folder(const char *folder, const char *name, char path[CFI_PATH_SIZE_MAX])
{
    static const char *const endings[] = {"", ".gz"};
    for (int i = 0; i < 2; i++) {
        const int length = snprintf(path, CFI_PATH_SIZE_MAX, "%s/%s%s", folder, name, endings[i]);
        if (length > 0 && length < CFI_PATH_SIZE_MAX && cfi_file_exists(path)) {
            return true;
        }
    }
    return false;
}

/* The four paths, all from the first folder that has the training images. */
static cf_status find_mnist(char paths[CFI_MNIST_FILE_COUNT][CFI_PATH_SIZE_MAX], cf_error *error)
{
    char folder[CFI_PATH_SIZE_MAX], searched[SEARCHED_SIZE] = "";
    for (int i = 0; i < 3; i++) {
        CFI_TRY(mnist_folder(i, folder, error));
        const size_t length = strlen(searched);
        snprintf(searched + length, sizeof searched - length, "%s%.180s", i > 0 ? ", " : "",
                 folder[0] != '\0' ? folder
                 : i == 0          ? "$CUTTLEFISH_DATA (not set)"
                                   : "~/.cache (HOME is not set)");
        if (folder[0] == '\0' || !find_in_folder(folder, cfi_mnist_files[0].name, paths[0])) {
            continue;
        }
        for (int j = 1; j < CFI_MNIST_FILE_COUNT; j++) {
            if (!find_in_folder(folder, cfi_mnist_files[j].name, paths[j])) {
                return cfi_fail(error, CF_E_NOT_FOUND, "%s/%s: not found, though %s is there (run: cuttlefish data get "
                                "mnist)", folder, cfi_mnist_files[j].name, cfi_mnist_files[0].name);
            }
        }
        return CF_OK;
    }
    return cfi_fail(error, CF_E_NOT_FOUND, "%s: not found in %s (run: cuttlefish data get mnist)",
                    cfi_mnist_files[0].name, searched);
}

/* ---- Loading ------------------------------------------------------------------------------------------------ */

/* Paths as settings name them: training images and labels, test images and labels (both "" for none). */
struct idx_paths {
    const char *train_images, *train_labels, *test_images, *test_labels;
};

static cf_status load_test(const struct idx_paths *paths, cfi_dataset *dataset, cf_error *error)
{
    int64_t shape[3], classes;
    CFI_TRY(cfi_idx_samples(paths->test_images, paths->test_labels, &dataset->test, shape, &classes, error));
    if (shape[0] != dataset->channels || shape[1] != dataset->height || shape[2] != dataset->width) {
        return cfi_fail(error, CF_E_DATA, "%s: samples of %lldx%lldx%lld where %s has %lldx%lldx%lld",
                        paths->test_images, (long long)shape[0], (long long)shape[1], (long long)shape[2],
                        paths->train_images, (long long)dataset->channels, (long long)dataset->height,
                        (long long)dataset->width);
    }
    if (classes > dataset->classes) {
        return cfi_fail(error, CF_E_DATA, "%s: label %lld does not occur in %s", paths->test_labels,
                        (long long)classes - 1, paths->train_labels);
    }
    return CF_OK;
}

void cfi_dataset_byte_scale(const cfi_data_settings *settings, float *scale_out, float *shift_out)
{
    *scale_out = (float)(1 / (255 * settings->deviation));
    *shift_out = (float)(-settings->mean / settings->deviation);
}

static cf_status load_idx(const cfi_data_settings *settings, const struct idx_paths *paths, cfi_dataset *dataset,
                          cf_error *error)
{
    int64_t shape[3];
    CFI_TRY(cfi_idx_samples(paths->train_images, paths->train_labels, &dataset->train, shape, &dataset->classes,
                            error));
    dataset->channels = shape[0];
    dataset->height = shape[1];
    dataset->width = shape[2];
    dataset->features = shape[0] * shape[1] * shape[2];
    cfi_dataset_byte_scale(settings, &dataset->scale, &dataset->shift);
    return paths->test_images[0] != '\0' ? load_test(paths, dataset, error) : CF_OK;
}

/* `check` and `plan` promised these figures without opening the files, so the files must keep them. */
static cf_status check_mnist(const cfi_dataset *dataset, const char *path, cf_error *error)
{
    if (dataset->channels != 1 || dataset->height != CFI_MNIST_SIDE || dataset->width != CFI_MNIST_SIDE ||
        dataset->classes != CFI_MNIST_CLASS_COUNT) {
        return cfi_fail(error, CF_E_DATA,
                        "%s: not MNIST: %lldx%lldx%lld and %lld classes instead of 1x28x28 and 10 "
                        "(run: cuttlefish data get mnist)",
                        path, (long long)dataset->channels, (long long)dataset->height, (long long)dataset->width,
                        (long long)dataset->classes);
    }
    return CF_OK;
}

static cf_status load_mnist(const cfi_data_settings *settings, cfi_dataset *dataset, cf_error *error)
{
    char paths[CFI_MNIST_FILE_COUNT][CFI_PATH_SIZE_MAX];
    CFI_TRY(find_mnist(paths, error));
    CFI_TRY(load_idx(settings, &(struct idx_paths){paths[0], paths[1], paths[2], paths[3]}, dataset, error));
    return check_mnist(dataset, paths[0], error);
}

cf_status cfi_dataset_load(const cfi_data_settings *settings, cfi_dataset *dataset_out, cf_error *error)
{
    cfi_dataset dataset = {0};
    cf_status status = CF_OK;
    switch (settings->kind) {
    case CFI_DATA_MNIST:
        status = load_mnist(settings, &dataset, error);
        break;
    case CFI_DATA_IDX:
        status = load_idx(settings, &(struct idx_paths){settings->train_images, settings->train_labels,
                                                        settings->test_images, settings->test_labels},
                          &dataset, error);
        break;
    case CFI_DATA_CSV:
        status = cfi_csv_load(settings, &dataset, error);
        break;
    }
    if (status != CF_OK) {
        cfi_dataset_fini(&dataset);
        return status;
    }
    *dataset_out = dataset;
    return CF_OK;
}

/* ---- Shape -------------------------------------------------------------------------------------------------- */

static cf_status idx_shape(const cfi_data_settings *settings, int64_t shape_out[3], int64_t *classes_out,
                           cf_error *error)
{
    int64_t shape[3], count, label_count, classes;
    int32_t *labels;
    CFI_TRY(cfi_idx_image_shape(settings->train_images, shape, &count, error));
    CFI_TRY(cfi_idx_labels(settings->train_labels, &labels, &label_count, &classes, error));
    cfi_free(labels);
    memcpy(shape_out, shape, sizeof shape);
    *classes_out = classes;
    return CF_OK;
}

static cf_status csv_shape(const cfi_data_settings *settings, int64_t shape_out[3], int64_t *classes_out,
                           cf_error *error)
{
    cfi_dataset dataset;
    CFI_TRY(cfi_csv_load(settings, &dataset, error));
    shape_out[0] = dataset.channels;
    shape_out[1] = dataset.height;
    shape_out[2] = dataset.width;
    *classes_out = dataset.classes;
    cfi_dataset_fini(&dataset);
    return CF_OK;
}

cf_status cfi_dataset_shape(const cfi_data_settings *settings, int64_t shape_out[3], int64_t *classes_out,
                            cf_error *error)
{
    switch (settings->kind) {
    case CFI_DATA_MNIST:
        shape_out[0] = 1;
        shape_out[1] = CFI_MNIST_SIDE;
        shape_out[2] = CFI_MNIST_SIDE;
        *classes_out = CFI_MNIST_CLASS_COUNT;
        return CF_OK;
    case CFI_DATA_IDX:
        return idx_shape(settings, shape_out, classes_out, error);
    case CFI_DATA_CSV:
        return csv_shape(settings, shape_out, classes_out, error);
    }
    return cfi_fail(error, CF_E_INTERNAL, "unknown kind of data");
}
