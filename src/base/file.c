#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/limits.h"

static atomic_uint_fast64_t call_count;
static atomic_uint_fast64_t successes_left = UINT64_MAX;

/* Counts one write-side call; false with errno = ENOSPC when the test hook wants it to fail. */
static bool call_allowed(void)
{
    atomic_fetch_add(&call_count, 1);
    uint_fast64_t left = atomic_load(&successes_left);
    if (left == UINT64_MAX) {
        return true;
    }
    while (left > 0) {
        if (atomic_compare_exchange_weak(&successes_left, &left, left - 1)) {
            return true;
        }
    }
    errno = ENOSPC;
    return false;
}

void cfi_file_fail_after(uint64_t successes)
{
    atomic_store(&successes_left, successes);
}

uint64_t cfi_file_call_count(void)
{
    return atomic_load(&call_count);
}

/* Writes all of `size` bytes, going on after short writes and signals; false with errno set. */
static bool write_all(int file, const char *bytes, size_t size)
{
    while (size > 0) {
        if (!call_allowed()) {
            return false;
        }
        const ssize_t written = write(file, bytes, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            errno = written == 0 ? EIO : errno;
            return false;
        }
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

static int open_for_writing(const char *path, int flags)
{
    return call_allowed() ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666) : -1;
}

static cf_status sync_folder_of(const char *path, cf_error *error)
{
    char folder[CFI_PATH_SIZE_MAX];
    CFI_TRY(cfi_path_folder(folder, sizeof folder, path, error));
    return cfi_folder_sync(folder, error);
}

cf_status cfi_folder_sync(const char *path, cf_error *error)
{
    const int file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s: cannot open the folder", path);
    }
    const bool synced = call_allowed() && fsync(file) == 0;
    const int number = errno;
    close(file);
    return synced ? CF_OK : cfi_fail_errno(error, CF_E_IO, number, "%s: cannot sync the folder", path);
}

/* Writes and fsyncs a new file at `path`. */
static cf_status write_synced(const char *path, const cfi_file_part *parts, size_t part_count, cf_error *error)
{
    const int file = open_for_writing(path, O_TRUNC);
    if (file < 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s: cannot open for writing", path);
    }
    bool written = true;
    for (size_t i = 0; written && i < part_count; i++) {
        written = write_all(file, parts[i].bytes, parts[i].size);
    }
    written = written && call_allowed() && fsync(file) == 0;
    int number = errno;
    if (close(file) != 0 && written) {
        written = false;
        number = errno;
    }
    return written ? CF_OK : cfi_fail_errno(error, CF_E_IO, number, "%s: cannot write", path);
}

cf_status cfi_file_replace(const char *path, const cfi_file_part *parts, size_t part_count, cf_error *error)
{
    char temporary[CFI_PATH_SIZE_MAX];
    const int length = snprintf(temporary, sizeof temporary, "%s.tmp", path);
    if (length < 0 || (size_t)length >= sizeof temporary) {
        return cfi_fail(error, CF_E_LIMIT, "%s: the file name is too long", path);
    }
    cf_status status = write_synced(temporary, parts, part_count, error);
    if (status == CF_OK && (!call_allowed() || rename(temporary, path) != 0)) {
        status = cfi_fail_errno(error, CF_E_IO, errno, "%s: cannot rename into place", path);
    }
    if (status != CF_OK) {
        unlink(temporary);
        return status;
    }
    return sync_folder_of(path, error);
}

cf_status cfi_file_rename(const char *from, const char *to, cf_error *error)
{
    if (!call_allowed() || rename(from, to) != 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s: cannot rename to %s", from, to);
    }
    return sync_folder_of(to, error);
}

cf_status cfi_file_append(const char *path, const void *bytes, size_t size, cf_error *error)
{
    const int file = open_for_writing(path, O_APPEND);
    if (file < 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s: cannot open for appending", path);
    }
    const bool written = write_all(file, bytes, size);
    const int number = errno;
    close(file);
    return written ? CF_OK : cfi_fail_errno(error, CF_E_IO, number, "%s: cannot append", path);
}

/* Reads up to size_max + 1 bytes from `file`, growing; the caller judges the size. */
static cf_status read_growing(int file, const char *path, size_t size_max, char **bytes_out, size_t *size_out,
                              cf_error *error)
{
    struct stat information;
    size_t capacity = 4096;
    if (fstat(file, &information) == 0 && information.st_size > 0 && (uint64_t)information.st_size <= size_max) {
        capacity = (size_t)information.st_size + 2;
    }
    char *bytes = NULL;
    size_t size = 0;
    for (;;) {
        char *grown = cfi_realloc(bytes, capacity, 1);
        if (grown == NULL) {
            cfi_free(bytes);
            return cfi_fail(error, CF_E_MEMORY, "%s: out of memory", path);
        }
        bytes = grown;
        ssize_t got = 0;
        while (size + 1 < capacity && (got = read(file, bytes + size, capacity - 1 - size)) != 0) {
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got < 0) {
                const int number = errno;
                cfi_free(bytes);
                return cfi_fail_errno(error, CF_E_IO, number, "%s: cannot read", path);
            }
            size += (size_t)got;
        }
        if (size + 1 < capacity || size > size_max) {
            break;
        }
        capacity *= 2;
    }
    bytes[size] = '\0';
    *bytes_out = bytes;
    *size_out = size;
    return CF_OK;
}

cf_status cfi_file_read(const char *path, size_t size_max, char **bytes_out, size_t *size_out, cf_error *error)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return cfi_fail_errno(error, errno == ENOENT ? CF_E_NOT_FOUND : CF_E_IO, errno, "%s: cannot open", path);
    }
    char *bytes = NULL;
    size_t size = 0;
    const cf_status status = read_growing(file, path, size_max, &bytes, &size, error);
    close(file);
    CFI_TRY(status);
    if (size > size_max) {
        cfi_free(bytes);
        return cfi_fail(error, CF_E_LIMIT, "%s: larger than the limit of %zu bytes", path, size_max);
    }
    *bytes_out = bytes;
    *size_out = size;
    return CF_OK;
}

static cf_status make_one_folder(const char *path, cf_error *error)
{
    struct stat information;
    if (stat(path, &information) == 0 && S_ISDIR(information.st_mode)) {
        return CF_OK;
    }
    if (!call_allowed() || (mkdir(path, 0777) != 0 && errno != EEXIST)) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s: cannot make the folder", path);
    }
    if (stat(path, &information) != 0 || !S_ISDIR(information.st_mode)) {
        return cfi_fail(error, CF_E_IO, "%s: exists and is not a folder", path);
    }
    return CF_OK;
}

cf_status cfi_folder_make(const char *path, cf_error *error)
{
    char partial[CFI_PATH_SIZE_MAX];
    if (!cfi_copy_path(partial, path)) {
        return cfi_fail(error, CF_E_LIMIT, "%s: the folder's name is too long", path);
    }
    for (char *slash = strchr(partial + (partial[0] == '/'), '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (partial[0] != '\0') {
            CFI_TRY(make_one_folder(partial, error));
        }
        *slash = '/';
    }
    return make_one_folder(partial, error);
}

bool cfi_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool cfi_copy_path(char *target, const char *source)
{
    const size_t length = strlen(source);
    if (length >= CFI_PATH_SIZE_MAX) {
        return false;
    }
    memcpy(target, source, length + 1);
    return true;
}

cf_status cfi_path_join(char *target, size_t size, const char *folder, const char *name, cf_error *error)
{
    const bool alone = name[0] == '/' || folder[0] == '\0' || strcmp(folder, ".") == 0;
    const int length = alone ? snprintf(target, size, "%s", name)
                             : snprintf(target, size, "%s%s%s", folder,
                                        folder[strlen(folder) - 1] == '/' ? "" : "/", name);
    if (length < 0 || (size_t)length >= size) {
        return cfi_fail(error, CF_E_LIMIT, "%s/%s: the path is too long", folder, name);
    }
    return CF_OK;
}

cf_status cfi_path_folder(char *target, size_t size, const char *path, cf_error *error)
{
    const char *slash = strrchr(path, '/');
    const size_t length = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (length >= size) {
        return cfi_fail(error, CF_E_LIMIT, "%s: the path is too long", path);
    }
    memcpy(target, slash == NULL ? "." : path, length);
    target[length] = '\0';
    return CF_OK;
}
