/* The kernel as a volume's disk. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "node/volume.h"

static cf_status posix_open(void *disk, const char *path, int *file_out, cf_error *error)
{
    (void)disk;
    char folder[CFI_PATH_SIZE_MAX];
    CFI_TRY(cfi_path_folder(folder, sizeof folder, path, error));
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "cannot be opened");
    }
    const cf_status status = cfi_folder_sync(folder, error); /* its name lasts as long as what is synced in it */
    if (status != CF_OK) {
        (void)close(file);
        return status;
    }
    *file_out = file;
    return CF_OK;
}

static cf_status posix_read(void *disk, int file, int64_t offset, void *bytes, size_t size, size_t *read_out,
                            cf_error *error)
{
    (void)disk;
    size_t done = 0;
    while (done < size) {
        const ssize_t count = pread(file, (char *)bytes + done, size - done, (off_t)offset + (off_t)done);
        if (count < 0 && errno != EINTR) {
            return cfi_fail_errno(error, CF_E_IO, errno, "cannot be read");
        }
        if (count == 0) {
            break;
        }
        done += count > 0 ? (size_t)count : 0;
    }
    *read_out = done;
    return CF_OK;
}

static cf_status posix_write(void *disk, int file, int64_t offset, const void *bytes, size_t size, cf_error *error)
{
    (void)disk;
    size_t done = 0;
    while (done < size) {
        const ssize_t count = pwrite(file, (const char *)bytes + done, size - done, (off_t)offset + (off_t)done);
        if (count < 0 && errno != EINTR) {
            return cfi_fail_errno(error, errno == ENOSPC ? CF_E_LIMIT : CF_E_IO, errno, "cannot be written");
        }
        done += count > 0 ? (size_t)count : 0;
    }
    return CF_OK;
}

/* Where the file system cannot reserve room, zeros written take it. */
static cf_status write_zeros(void *disk, int file, int64_t size, cf_error *error)
{
    static const char zeros[1 << 16];
    for (int64_t at = 0; at < size; at += (int64_t)sizeof zeros) {
        const int64_t left = size - at;
        CFI_TRY(posix_write(disk, file, at, zeros, left < (int64_t)sizeof zeros ? (size_t)left : sizeof zeros, error));
    }
    return CF_OK;
}

static cf_status posix_allocate(void *disk, int file, int64_t size, cf_error *error)
{
    int code;
    do {
        code = posix_fallocate(file, 0, (off_t)size);
    } while (code == EINTR);
    if (code == EOPNOTSUPP || code == EINVAL) {
        return write_zeros(disk, file, size, error);
    }
    if (code != 0) {
        return cfi_fail_errno(error, code == ENOSPC || code == EFBIG ? CF_E_LIMIT : CF_E_IO, code, "no room");
    }
    return CF_OK;
}

static cf_status posix_sync(void *disk, int file, cf_error *error)
{
    (void)disk;
    return fsync(file) == 0 ? CF_OK : cfi_fail_errno(error, CF_E_IO, errno, "cannot be synced");
}

static cf_status posix_remove(void *disk, const char *path, cf_error *error)
{
    (void)disk;
    return unlink(path) == 0 || errno == ENOENT ? CF_OK : cfi_fail_errno(error, CF_E_IO, errno, "cannot be removed");
}

static void posix_close(void *disk, int file)
{
    (void)disk;
    (void)close(file);
}

cfi_disk cfi_disk_posix(void)
{
    static const cfi_disk_ops ops = {posix_open, posix_allocate, posix_read, posix_write,
                                     posix_sync, posix_remove,   posix_close};
    return (cfi_disk){&ops, NULL};
}
