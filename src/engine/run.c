#include "engine/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

#define SERIES_FOLDER "runs"
#define RUN_FILE "run.json"
#define NETWORK_FILE "network.yaml"
#define METRICS_FILE "metrics.jsonl"

enum { RUN_FILE_SIZE_MAX = 4096, NUMBER_TRIED_MAX = 1000 };
#define METRICS_SIZE_MAX (1u << 30)

/* ---- The series runs/<name>, runs/<name>-2, ... ---- */

static void run_folder_of(char *path, const char *name, int64_t number)
{
    if (number == 1) {
        snprintf(path, CFI_PATH_SIZE_MAX, SERIES_FOLDER "/%s", name);
    } else {
        snprintf(path, CFI_PATH_SIZE_MAX, SERIES_FOLDER "/%s-%" PRId64, name, number);
    }
}

/* "<name>" -> 1, "<name>-7" -> 7, anything else -> 0. */
static int64_t number_of(const char *item, const char *name)
{
    const size_t length = strlen(name);
    if (strncmp(item, name, length) != 0) {
        return 0;
    }
    if (item[length] == '\0') {
        return 1;
    }
    if (item[length] != '-' || strspn(item + length + 1, "0123456789") != strlen(item + length + 1)) {
        return 0;
    }
    const int64_t number = (int64_t)strtoll(item + length + 1, NULL, 10);
    char again[32];
    snprintf(again, sizeof again, "%" PRId64, number);
    return number >= 2 && strcmp(again, item + length + 1) == 0 ? number : 0;
}

/* The folder's run is one of the network `name`: "mlp-512" may be the 512th of "mlp" or the first of "mlp-512". */
static bool is_run_of(const char *folder, const char *name)
{
    char path[CFI_PATH_SIZE_MAX], *text = NULL;
    size_t size = 0;
    if (cfi_path_join(path, sizeof path, folder, RUN_FILE, NULL) != CF_OK ||
        cfi_file_read(path, RUN_FILE_SIZE_MAX, &text, &size, NULL) != CF_OK) {
        return false;
    }
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    cfi_free(text);
    const char *found = json_string_value(json_object_get(root, "name"));
    const bool same = found != NULL && strcmp(found, name) == 0;
    json_decref(root);
    return same;
}

/* The highest number of a run of `name`; 0 when there is none. */
static cf_status newest_number(const char *name, int64_t *number_out, cf_error *error)
{
    DIR *directory = opendir(SERIES_FOLDER);
    *number_out = 0;
    if (directory == NULL) {
        return errno == ENOENT ? CF_OK : cfi_fail_errno(error, CF_E_IO, errno, "%s: cannot list", SERIES_FOLDER);
    }
    const struct dirent *item;
    while ((item = readdir(directory)) != NULL) {
        const int64_t number = number_of(item->d_name, name);
        char folder[CFI_PATH_SIZE_MAX];
        if (number > *number_out) {
            run_folder_of(folder, name, number);
            *number_out = is_run_of(folder, name) ? number : *number_out;
        }
    }
    closedir(directory);
    return CF_OK;
}

cf_status cfi_run_newest(const char *name, char *path_out, cf_error *error)
{
    int64_t number;
    CFI_TRY(newest_number(name, &number, error));
    if (number == 0) {
        return cfi_fail(error, CF_E_NOT_FOUND, "%s/%s: no run of this network; train it first", SERIES_FOLDER, name);
    }
    run_folder_of(path_out, name, number);
    return CF_OK;
}

/* ---- Opening ---- */

static bool holds(const char *folder, const char *name)
{
    char path[CFI_PATH_SIZE_MAX];
    return cfi_path_join(path, sizeof path, folder, name, NULL) == CF_OK && cfi_file_exists(path);
}

/* Anything that a run would write is there: never to be overwritten by a new run. */
static bool holds_run(const char *folder)
{
    return holds(folder, RUN_FILE) || holds(folder, NETWORK_FILE) || holds(folder, METRICS_FILE) ||
           holds(folder, "checkpoints");
}

/* Makes run->folder where needed and locks it. CF_E_EXISTS when another training has it. */
static cf_status lock_folder(cfi_run *run, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX], parent[CFI_PATH_SIZE_MAX];
    if (!cfi_file_exists(run->folder)) {
        CFI_TRY(cfi_folder_make(run->folder, error));
        CFI_TRY(cfi_path_folder(parent, sizeof parent, run->folder, error));
        CFI_TRY(cfi_folder_sync(parent, error));
    }
    CFI_TRY(cfi_path_join(path, sizeof path, run->folder, "lock", error));
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s: cannot open for writing", path);
    }
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        const int number = errno;
        close(file);
        return number == EWOULDBLOCK
                   ? cfi_fail(error, CF_E_EXISTS, "%s: another training is running in this folder", run->folder)
                   : cfi_fail_errno(error, CF_E_IO, number, "%s: cannot lock", path);
    }
    run->lock = file;
    return CF_OK;
}

static cf_status open_explicit(cfi_run *run, const char *folder, bool resume, cf_error *error)
{
    if (folder[0] == '\0' || !cfi_copy_path(run->folder, folder)) {
        return cfi_fail(error, CF_E_LIMIT, "the run folder's name is empty or too long");
    }
    CFI_TRY(lock_folder(run, error));
    run->continued = holds_run(folder);
    if (run->continued && !resume) {
        cfi_run_close(run);
        return cfi_fail(error, CF_E_EXISTS,
                        "%s: holds a run already; go on with it by --resume, or name another folder", folder);
    }
    return CF_OK;
}

/* Takes the first free number after `number`. Two trainings started at once get two folders: the lock decides. */
static cf_status open_new(cfi_run *run, const char *name, int64_t number, cf_error *error)
{
    for (int64_t next = number + 1; next <= number + NUMBER_TRIED_MAX; next++) {
        run_folder_of(run->folder, name, next);
        if (holds_run(run->folder)) {
            continue;
        }
        const cf_status status = lock_folder(run, error);
        if (status == CF_OK && !holds_run(run->folder)) {
            return CF_OK;
        }
        if (status == CF_OK) {
            cfi_run_close(run);
        } else if (status != CF_E_EXISTS) {
            return status;
        }
    }
    return cfi_fail(error, CF_E_LIMIT, "%s/%s: no free run folder among %d numbers", SERIES_FOLDER, name,
                    NUMBER_TRIED_MAX);
}

cf_status cfi_run_open(cfi_run *run, const char *name, const char *folder, bool resume, cf_error *error)
{
    memset(run, 0, sizeof *run);
    run->lock = -1;
    if (folder != NULL) {
        return open_explicit(run, folder, resume, error);
    }
    int64_t number;
    CFI_TRY(newest_number(name, &number, error));
    if (!resume || number == 0) {
        return open_new(run, name, number, error);
    }
    run_folder_of(run->folder, name, number);
    run->continued = true;
    return lock_folder(run, error);
}

void cfi_run_close(cfi_run *run)
{
    if (run->lock >= 0) {
        close(run->lock);
    }
    run->lock = -1;
}

/* ---- Small files ---- */

static cf_status replace_file(const cfi_run *run, const char *name, const char *text, size_t length, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX];
    const cfi_file_part part = {text, length};
    CFI_TRY(cfi_path_join(path, sizeof path, run->folder, name, error));
    return cfi_file_replace(path, &part, 1, error);
}

cf_status cfi_run_describe(const cfi_run *run, const char *name, const char *yaml, cf_error *error)
{
    cfi_line line = {.length = 0};
    cfi_line_integer(&line, "cuttlefish_run", 1);
    cfi_line_text(&line, "name", name);
    cfi_line_end(&line);
    CFI_TRY(replace_file(run, RUN_FILE, line.text, line.length, error));
    return yaml == NULL ? CF_OK : replace_file(run, NETWORK_FILE, yaml, strlen(yaml), error);
}

cf_status cfi_run_write_result(const cfi_run *run, const cfi_line *line, cf_error *error)
{
    return replace_file(run, "result.json", line->text, line->length, error);
}

/* ---- Metrics ---- */

cf_status cfi_run_flush_metrics(cfi_run *run, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX];
    if (run->metrics_length == 0) {
        return CF_OK;
    }
    CFI_TRY(cfi_path_join(path, sizeof path, run->folder, METRICS_FILE, error));
    CFI_TRY(cfi_file_append(path, run->metrics, run->metrics_length, error));
    run->metrics_length = 0;
    return CF_OK;
}

cf_status cfi_run_add_metrics(cfi_run *run, const cfi_line *line, cf_error *error)
{
    if (line->length > sizeof run->metrics - run->metrics_length) {
        CFI_TRY(cfi_run_flush_metrics(run, error));
    }
    memcpy(run->metrics + run->metrics_length, line->text, line->length);
    run->metrics_length += line->length;
    return CF_OK;
}

/* A whole line of ours at or before `step`. */
static bool is_line_kept(const char *line, size_t length, int64_t step)
{
    json_t *root = json_loadb(line, length, 0, NULL);
    const json_t *value = json_object_get(root, "step");
    const bool kept = json_is_integer(value) && json_integer_value(value) <= step;
    json_decref(root);
    return kept;
}

/* Bytes of `text` up to the first line that is later than `step` or torn. */
static size_t kept_length(const char *text, size_t size, int64_t step)
{
    size_t kept = 0;
    while (kept < size) {
        const char *end = memchr(text + kept, '\n', size - kept);
        const size_t length = end == NULL ? 0 : (size_t)(end - (text + kept));
        if (end == NULL || !is_line_kept(text + kept, length, step)) {
            break;
        }
        kept += length + 1;
    }
    return kept;
}

cf_status cfi_run_cut_metrics(const cfi_run *run, int64_t step, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX], *text = NULL;
    size_t size = 0;
    CFI_TRY(cfi_path_join(path, sizeof path, run->folder, METRICS_FILE, error));
    cf_status status = cfi_file_read(path, METRICS_SIZE_MAX, &text, &size, error);
    if (status != CF_OK) {
        return status == CF_E_NOT_FOUND ? CF_OK : status;
    }
    const size_t kept = kept_length(text, size, step);
    if (kept < size) {
        status = replace_file(run, METRICS_FILE, text, kept, error);
    }
    cfi_free(text);
    return status;
}
