/* Removing a folder with all that is in it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/cluster.h"
#include "base/file.h"

#define DEPTH_MAX 8 /* of a cluster's folder: volumes/NAME/store/FILE */

static cf_status remove_at(int parent, const char *name, int depth, cf_error *error);

static cf_status empty_folder(int parent, const char *name, int depth, cf_error *error)
{
    const int file = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = file >= 0 ? fdopendir(file) : NULL;
    if (folder == NULL || depth > DEPTH_MAX) {
        const int number = folder == NULL ? errno : ELOOP;
        if (folder != NULL) {
            closedir(folder);
        } else if (file >= 0) {
            close(file);
        }
        return cfi_fail_errno(error, CF_E_IO, number, "%s", name);
    }
    cf_status status = CF_OK;
    for (struct dirent *entry = readdir(folder); entry != NULL && status == CF_OK; entry = readdir(folder)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            status = remove_at(file, entry->d_name, depth + 1, error);
        }
    }
    closedir(folder);
    return status;
}

static cf_status remove_at(int parent, const char *name, int depth, cf_error *error)
{
    struct stat info;
    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? CF_OK : cfi_fail_errno(error, CF_E_IO, errno, "%s", name);
    }
    const bool is_folder = S_ISDIR(info.st_mode);
    if (is_folder) {
        CFI_TRY(empty_folder(parent, name, depth, error));
    }
    if (unlinkat(parent, name, is_folder ? AT_REMOVEDIR : 0) != 0 && errno != ENOENT) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s", name);
    }
    return CF_OK;
}

cf_status cfi_folder_remove(const char *path, cf_error *error)
{
    const cf_status status = remove_at(AT_FDCWD, path, 0, error);
    if (status != CF_OK) {
        cfi_error_prefix(error, "cannot remove %s", path);
    }
    return status;
}
