#include "store/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "store/manifest.h"
#include "store/safetensors.h"

#define WEIGHTS_FILE "weights.safetensors"
#define STATE_FILE "state.safetensors"
#define MANIFEST_FILE "manifest.json"

enum { STEP_NAME_SIZE = 32 };

/* What goes into a checkpoint or comes out of it: parameters, then optimizer state. */
typedef struct tensor_set {
    const cfi_tensor *weights, *state;
    int weight_count, state_count;
    bool with_state; /* false: the state is neither read nor asked for */
} tensor_set;

static tensor_set make_set(const cfi_tensor *tensors, int tensor_count, int parameter_count, bool with_state)
{
    return (tensor_set){tensors, tensors + parameter_count, parameter_count,
                        with_state ? tensor_count - parameter_count : 0, with_state};
}

/* ---- Names ---- */

static void step_name(char *name, int64_t step)
{
    snprintf(name, STEP_NAME_SIZE, "step-%010" PRId64, step);
}

/* "step-0000000430" -> 430; false for anything that step_name would not have written. */
static bool parse_step_name(const char *name, int64_t *step_out)
{
    char again[STEP_NAME_SIZE];
    if (strncmp(name, "step-", 5) != 0 || strlen(name) >= sizeof again) {
        return false;
    }
    const int64_t step = (int64_t)strtoll(name + 5, NULL, 10);
    step_name(again, step);
    *step_out = step;
    return step >= 0 && strcmp(again, name) == 0;
}

static bool is_leftover(const char *name)
{
    const size_t length = strlen(name);
    return length > 4 && strncmp(name, "step-", 5) == 0 && strcmp(name + length - 4, ".tmp") == 0;
}

/* ---- The list of checkpoints ---- */

typedef struct step_list {
    int64_t *steps; /* owned; newest first once sorted */
    size_t count, capacity;
} step_list;

static int compare_newest_first(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a > b ? -1 : a < b;
}

static cf_status add_step(step_list *list, int64_t step, cf_error *error)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        int64_t *steps = cfi_realloc(list->steps, capacity, sizeof *steps);
        if (steps == NULL) {
            return cfi_fail_memory(error, "the list of checkpoints");
        }
        list->steps = steps;
        list->capacity = capacity;
    }
    list->steps[list->count++] = step;
    return CF_OK;
}

/* Steps that have a checkpoint folder, whole or not, newest first. A missing `folder` has none. */
static cf_status list_steps(const char *folder, step_list *list, cf_error *error)
{
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        return errno == ENOENT ? CF_OK : cfi_fail_errno(error, CF_E_IO, errno, "%s: cannot list", folder);
    }
    cf_status status = CF_OK;
    const struct dirent *item;
    while (status == CF_OK && (item = readdir(directory)) != NULL) {
        int64_t step;
        if (parse_step_name(item->d_name, &step)) {
            status = add_step(list, step, error);
        }
    }
    closedir(directory);
    if (status == CF_OK && list->count > 0) {
        qsort(list->steps, list->count, sizeof *list->steps, compare_newest_first);
    }
    return status;
}

/* ---- Removing ---- */

/* Removes a folder of files. What cannot be removed stays for the next time: it is only space. */
static void remove_folder(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return;
    }
    const struct dirent *item;
    while ((item = readdir(directory)) != NULL) {
        char file[CFI_PATH_SIZE_MAX];
        if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0 &&
            cfi_path_join(file, sizeof file, path, item->d_name, NULL) == CF_OK) {
            unlink(file);
        }
    }
    closedir(directory);
    rmdir(path);
}

/* What a killed writer left behind. */
static void remove_leftovers(const char *folder)
{
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        return;
    }
    const struct dirent *item;
    while ((item = readdir(directory)) != NULL) {
        char path[CFI_PATH_SIZE_MAX];
        if (is_leftover(item->d_name) && cfi_path_join(path, sizeof path, folder, item->d_name, NULL) == CF_OK) {
            remove_folder(path);
        }
    }
    closedir(directory);
}

/* Takes the name away before the files, so that no half-removed checkpoint is ever looked at. */
static void remove_step(const char *folder, int64_t step)
{
    char name[STEP_NAME_SIZE], path[CFI_PATH_SIZE_MAX], leftover[CFI_PATH_SIZE_MAX];
    step_name(name, step);
    if (cfi_path_join(path, sizeof path, folder, name, NULL) != CF_OK) {
        return;
    }
    const int length = snprintf(leftover, sizeof leftover, "%s.old.tmp", path);
    if (length > 0 && (size_t)length < sizeof leftover) {
        remove_folder(leftover);
        if (rename(path, leftover) == 0) {
            remove_folder(leftover);
        }
    }
}

/* Removes checkpoints of earlier steps beyond the newest `kept`, the one of `step` included. Later steps are not
 * counted and not touched: they were passed over as damaged, and training will come to them again. */
static void remove_old(const char *folder, int64_t step, int64_t kept)
{
    step_list list = {0};
    int64_t seen = 0;
    if (list_steps(folder, &list, NULL) == CF_OK) {
        for (size_t i = 0; i < list.count; i++) {
            seen += list.steps[i] <= step;
            if (list.steps[i] < step && seen > kept) {
                remove_step(folder, list.steps[i]);
            }
        }
    }
    cfi_free(list.steps);
}

/* ---- Reading one checkpoint ---- */

/* A checkpoint in memory, its checksums verified. */
typedef struct loaded {
    cfi_manifest manifest;
    char *weights, *state; /* whole files; owned; NULL when not read */
} loaded;

static void loaded_fini(loaded *one)
{
    cfi_free(one->weights);
    cfi_free(one->state);
    one->weights = one->state = NULL;
}

static cf_status load_manifest(const char *folder, int64_t step, cfi_manifest *manifest_out, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX], *text = NULL;
    size_t size = 0;
    CFI_TRY(cfi_path_join(path, sizeof path, folder, MANIFEST_FILE, error));
    CFI_TRY(cfi_file_read(path, CFI_MANIFEST_SIZE_MAX, &text, &size, error));
    cf_status status = cfi_manifest_decode(text, size, manifest_out, error);
    cfi_free(text);
    if (status != CF_OK) {
        cfi_error_prefix(error, "%s", path);
    } else if (manifest_out->progress.step != step) {
        status = cfi_fail(error, CF_E_DATA, "%s: it is of step %" PRId64, path, manifest_out->progress.step);
    }
    return status;
}

/* Reads a whole file that must have the manifest's size and checksum. */
static cf_status load_file(const char *folder, const char *name, const cfi_manifest_file *expected, char **bytes_out,
                           cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX], *bytes = NULL;
    size_t size = 0;
    CFI_TRY(cfi_path_join(path, sizeof path, folder, name, error));
    CFI_TRY(cfi_file_read(path, (size_t)expected->size, &bytes, &size, error));
    const cfi_hash hash = cfi_hash_bytes(bytes, size);
    if (size != (size_t)expected->size || hash.low != expected->hash.low || hash.high != expected->hash.high) {
        cfi_free(bytes);
        return cfi_fail(error, CF_E_DATA, "%s: %s", path,
                        size != (size_t)expected->size ? "torn (its size is not the manifest's)"
                                                       : "damaged (its checksum is not the manifest's)");
    }
    *bytes_out = bytes;
    return CF_OK;
}

/* The sizes that a manifest may name for these tensors; beyond, the checkpoint is of a larger network. */
static cf_status check_sizes(const char *folder, const cfi_manifest *manifest, const tensor_set *set, cf_error *error)
{
    const size_t weights_max = cfi_safetensors_size_max(set->weights, set->weight_count);
    const size_t state_max = cfi_safetensors_size_max(set->state, set->state_count);
    if ((size_t)manifest->weights.size > weights_max ||
        (set->with_state && (size_t)manifest->state.size > state_max)) {
        return cfi_fail(error, CF_E_SHAPE, "%s: it holds more values than this network has", folder);
    }
    return CF_OK;
}

/* Reads and verifies the checkpoint of `step`. On failure nothing is left in `one`. */
static cf_status load_step(const char *checkpoints, int64_t step, const tensor_set *set, loaded *one, cf_error *error)
{
    char folder[CFI_PATH_SIZE_MAX], name[STEP_NAME_SIZE];
    step_name(name, step);
    CFI_TRY(cfi_path_join(folder, sizeof folder, checkpoints, name, error));
    CFI_TRY(load_manifest(folder, step, &one->manifest, error));
    CFI_TRY(check_sizes(folder, &one->manifest, set, error));
    CFI_TRY(load_file(folder, WEIGHTS_FILE, &one->manifest.weights, &one->weights, error));
    if (set->with_state && one->manifest.state.present) {
        const cf_status status = load_file(folder, STATE_FILE, &one->manifest.state, &one->state, error);
        if (status != CF_OK) {
            loaded_fini(one);
            return status;
        }
    }
    return CF_OK;
}

/* Copies verified bytes into the tensors: checks everything first, so that a failure changes none of them. */
static cf_status unpack(const char *checkpoints, const loaded *one, const tensor_set *set, cf_error *error)
{
    char name[STEP_NAME_SIZE], path[CFI_PATH_SIZE_MAX];
    step_name(name, one->manifest.progress.step);
    CFI_TRY(cfi_path_join(path, sizeof path, checkpoints, name, error));
    if (set->with_state && one->manifest.state.present != (set->state_count > 0)) {
        return cfi_fail(error, CF_E_SHAPE, "%s: its optimizer %s state, that of this network %s", path,
                        one->manifest.state.present ? "has" : "has no", set->state_count > 0 ? "has" : "has none");
    }
    cfi_safetensors_entry *weights = NULL, *state = NULL;
    cf_status status = cfi_safetensors_match(path, one->weights, (size_t)one->manifest.weights.size, set->weights,
                                             set->weight_count, &weights, error);
    if (status == CF_OK && set->state_count > 0) {
        status = cfi_safetensors_match(path, one->state, (size_t)one->manifest.state.size, set->state,
                                       set->state_count, &state, error);
    }
    if (status == CF_OK) {
        cfi_safetensors_copy(one->weights, weights, set->weights, set->weight_count);
        cfi_safetensors_copy(one->state, state, set->state, set->state_count);
    }
    cfi_free(weights);
    cfi_free(state);
    return status;
}

/* Appends why a checkpoint was passed over, cutting what does not fit. */
static void add_note(char *note, const cf_error *reason)
{
    const size_t length = strlen(note);
    snprintf(note + length, CF_ERROR_TEXT_SIZE - length, "%spassed over: %.900s", length == 0 ? "" : "; ",
             reason->text);
}

/* Finds and loads the newest whole checkpoint. */
static cf_status load_newest(const char *checkpoints, const step_list *list, const tensor_set *set, loaded *one,
                             char *note, cf_error *error)
{
    for (size_t i = 0; i < list->count; i++) {
        cf_error reason = {.code = CF_OK};
        const cf_status status = load_step(checkpoints, list->steps[i], set, one, &reason);
        if (status == CF_OK) {
            return CF_OK;
        }
        if (status == CF_E_MEMORY || status == CF_E_SHAPE) {
            return cfi_fail(error, status, "%s", reason.text);
        }
        add_note(note, &reason);
    }
    return cfi_fail(error, CF_E_NOT_FOUND, "%s: no whole checkpoint%s%s", checkpoints, note[0] == '\0' ? "" : "; ",
                    note);
}

cf_status cfi_checkpoint_read(const char *run_folder, const cfi_tensor *tensors, int tensor_count,
                              int parameter_count, cfi_progress *progress_out, char *note, cf_error *error)
{
    const tensor_set set = make_set(tensors, tensor_count, parameter_count, progress_out != NULL);
    char checkpoints[CFI_PATH_SIZE_MAX], own_note[CF_ERROR_TEXT_SIZE] = "";
    step_list list = {0};
    loaded one;
    memset(&one, 0, sizeof one);
    cf_status status = cfi_path_join(checkpoints, sizeof checkpoints, run_folder, "checkpoints", error);
    CFI_TRY(status);
    CFI_TRY_GOTO(list_steps(checkpoints, &list, error));
    CFI_TRY_GOTO(load_newest(checkpoints, &list, &set, &one, own_note, error));
    CFI_TRY_GOTO(unpack(checkpoints, &one, &set, error));
    if (progress_out != NULL) {
        *progress_out = one.manifest.progress;
    }
done:
    if (note != NULL) {
        memcpy(note, own_note, sizeof own_note);
    }
    loaded_fini(&one);
    cfi_free(list.steps);
    return status;
}

/* ---- Writing ---- */

/* Writes `count` tensors as `name` in `folder` and notes size and hash. */
static cf_status write_file(const char *folder, const char *name, const cfi_tensor *tensors, int count,
                            cfi_manifest_file *file, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX];
    file->present = true;
    CFI_TRY(cfi_path_join(path, sizeof path, folder, name, error));
    return cfi_safetensors_write(path, tensors, count, &file->hash, &file->size, error);
}

static cf_status write_manifest(const char *folder, const cfi_manifest *manifest, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX], *text = NULL;
    CFI_TRY(cfi_path_join(path, sizeof path, folder, MANIFEST_FILE, error));
    CFI_TRY(cfi_manifest_encode(manifest, &text, error));
    const cfi_file_part part = {text, strlen(text)};
    const cf_status status = cfi_file_replace(path, &part, 1, error);
    cfi_free(text);
    return status;
}

/* Fills the temporary folder: tensors first, the manifest that vouches for them last. */
static cf_status fill_folder(const char *folder, const tensor_set *set, cfi_manifest *manifest, cf_error *error)
{
    CFI_TRY(write_file(folder, WEIGHTS_FILE, set->weights, set->weight_count, &manifest->weights, error));
    if (set->state_count > 0) {
        CFI_TRY(write_file(folder, STATE_FILE, set->state, set->state_count, &manifest->state, error));
    }
    return write_manifest(folder, manifest, error);
}

static bool same_file(const cfi_manifest_file *left, const cfi_manifest_file *right)
{
    return left->present == right->present && left->size == right->size && left->hash.low == right->hash.low &&
           left->hash.high == right->hash.high;
}

/* The step's checkpoint exists, is whole and holds the same values: then it is not touched. */
static bool is_there_already(const char *checkpoints, const cfi_manifest *manifest, const tensor_set *set)
{
    loaded one;
    memset(&one, 0, sizeof one);
    const bool same = load_step(checkpoints, manifest->progress.step, set, &one, NULL) == CF_OK &&
                      same_file(&one.manifest.weights, &manifest->weights) &&
                      same_file(&one.manifest.state, &manifest->state) &&
                      strcmp(one.manifest.progress.config_digest, manifest->progress.config_digest) == 0;
    loaded_fini(&one);
    return same;
}

/* Puts the filled temporary folder in its place, unless the very same checkpoint is there. */
static cf_status move_into_place(const char *checkpoints, const char *temporary, const char *path,
                                 const cfi_manifest *manifest, const tensor_set *set, cf_error *error)
{
    if (cfi_file_exists(path)) {
        if (is_there_already(checkpoints, manifest, set)) {
            remove_folder(temporary);
            return cfi_folder_sync(checkpoints, error);
        }
        remove_step(checkpoints, manifest->progress.step);
    }
    return cfi_file_rename(temporary, path, error);
}

static cf_status make_folders(const char *run_folder, int64_t step, char *checkpoints, char *path, char *temporary,
                              cf_error *error)
{
    char name[STEP_NAME_SIZE], temporary_name[STEP_NAME_SIZE + 4];
    step_name(name, step);
    snprintf(temporary_name, sizeof temporary_name, "%s.tmp", name);
    CFI_TRY(cfi_path_join(checkpoints, CFI_PATH_SIZE_MAX, run_folder, "checkpoints", error));
    CFI_TRY(cfi_path_join(path, CFI_PATH_SIZE_MAX, checkpoints, name, error));
    CFI_TRY(cfi_path_join(temporary, CFI_PATH_SIZE_MAX, checkpoints, temporary_name, error));
    if (!cfi_file_exists(checkpoints)) {
        CFI_TRY(cfi_folder_make(checkpoints, error));
        CFI_TRY(cfi_folder_sync(run_folder, error));
    }
    remove_leftovers(checkpoints);
    return cfi_folder_make(temporary, error);
}

cf_status cfi_checkpoint_write(const char *run_folder, const cfi_tensor *tensors, int tensor_count,
                               int parameter_count, const cfi_progress *progress, int64_t kept, cf_error *error)
{
    char checkpoints[CFI_PATH_SIZE_MAX], path[CFI_PATH_SIZE_MAX], temporary[CFI_PATH_SIZE_MAX];
    const tensor_set set = make_set(tensors, tensor_count, parameter_count, true);
    cfi_manifest manifest;
    memset(&manifest, 0, sizeof manifest);
    manifest.progress = *progress;
    CFI_TRY(make_folders(run_folder, progress->step, checkpoints, path, temporary, error));
    cf_status status = fill_folder(temporary, &set, &manifest, error);
    if (status == CF_OK) {
        status = move_into_place(checkpoints, temporary, path, &manifest, &set, error);
    }
    if (status != CF_OK) {
        remove_folder(temporary);
        cfi_error_prefix(error, "the checkpoint of step %" PRId64, progress->step);
        return status;
    }
    remove_old(checkpoints, progress->step, kept);
    return CF_OK;
}
