/* The keys of a run: made once, in a file that nobody else may read. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/cluster.h"
#include "base/file.h"
#include "transport/transport.h"

/* Not cfi_file_replace: the file must never be there with other rights, not even as NAME.tmp. */
static cf_status write_secretly(const char *path, const char *text, size_t size, cf_error *error)
{
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s", path);
    }
    const bool is_written = fchmod(file, 0600) == 0 && write(file, text, size) == (ssize_t)size && fsync(file) == 0;
    const int number = errno;
    close(file);
    return is_written ? CF_OK : cfi_fail_errno(error, CF_E_IO, number, "%s", path);
}

/* A memset of what nobody reads again would be left out. */
static void wipe(void *secret, size_t size)
{
    volatile char *bytes = secret;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = 0;
    }
}

cf_status cfi_cluster_write_keys(const cf_cluster *cluster, cf_error *error)
{
    const cfi_running_settings *running = &cluster->network->settings.running;
    char path[CFI_PATH_SIZE_MAX], text[2 * CFI_CURVE_KEY_SIZE + 1];
    cfi_transport_keys keys;
    if (running->messaging != CFI_MESSAGING_ZEROMQ || running->scheme != CFI_SCHEME_TCP) {
        return CF_OK;
    }
    CFI_TRY(cfi_path_join(path, sizeof path, cluster->folder, "keys", error));
    CFI_TRY(cfi_transport_keys_make(&keys, error));
    const int length = snprintf(text, sizeof text, "%s\n%s\n", keys.public_key, keys.secret_key);
    const cf_status status = write_secretly(path, text, (size_t)length, error);
    wipe(text, sizeof text);
    wipe(&keys, sizeof keys);
    return status;
}
