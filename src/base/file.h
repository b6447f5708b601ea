/* Files, written so that a crash at any moment leaves either the old or the new content.
 *
 * cfi_file_replace = write to NAME.tmp, fsync, rename over NAME, fsync the folder. Errors are CF_E_IO with the
 * file's name and errno's text (CF_E_NOT_FOUND for ENOENT on open). Blocking; any thread. */
#ifndef CFI_BASE_FILE_H
#define CFI_BASE_FILE_H

#include "base/status.h"

/* One piece of a file's content; borrowed until return. */
typedef struct cfi_file_part {
    const void *bytes;
    size_t size;
} cfi_file_part;

/* Replaces `path` by the concatenated parts, durably (see above). A failure leaves the old file, removes the .tmp. */
cf_status cfi_file_replace(const char *path, const cfi_file_part *parts, size_t part_count, cf_error *error)
    __attribute__((warn_unused_result));

/* Appends and fsyncs nothing (metrics lines: rewritten on resume, so not precious). */
cf_status cfi_file_append(const char *path, const void *bytes, size_t size, cf_error *error)
    __attribute__((warn_unused_result));

/* Reads a whole file of at most `size_max` bytes (CF_E_LIMIT beyond). *bytes_out is NUL-terminated one past
 * its size; free with cfi_free. */
cf_status cfi_file_read(const char *path, size_t size_max, char **bytes_out, size_t *size_out, cf_error *error)
    __attribute__((warn_unused_result));

/* Creates a folder and its parents (as mkdir -p), mode 0777 less umask; fine when it exists. */
cf_status cfi_folder_make(const char *path, cf_error *error) __attribute__((warn_unused_result));

/* fsync of a folder, so that renames in it last. */
cf_status cfi_folder_sync(const char *path, cf_error *error) __attribute__((warn_unused_result));

/* rename(from, to) and fsync of the folder of `to`, so that the new name lasts. Fails where `to` is a folder that is
 * not empty. */
cf_status cfi_file_rename(const char *from, const char *to, cf_error *error) __attribute__((warn_unused_result));

/* Copies a path into a buffer of CFI_PATH_SIZE_MAX bytes; false when it does not fit. */
bool cfi_copy_path(char *target, const char *source);

bool cfi_file_exists(const char *path);

/* Joins folder and name with one '/', or copies `name` when it is absolute or `folder` is empty or ".".
 * CF_E_LIMIT when `size` is too small. */
cf_status cfi_path_join(char *target, size_t size, const char *folder, const char *name, cf_error *error)
    __attribute__((warn_unused_result));

/* The part of `path` before its last '/', or "." */
cf_status cfi_path_folder(char *target, size_t size, const char *path, cf_error *error)
    __attribute__((warn_unused_result));

/* Test hook: lets `successes` further write-side calls (open for writing, write, fsync, rename, mkdir) pass and
 * fails every one after with ENOSPC; UINT64_MAX (the default) never fails. */
void cfi_file_fail_after(uint64_t successes);

/* Write-side calls made so far; tests use it to know how many points there are. */
uint64_t cfi_file_call_count(void);

#endif
