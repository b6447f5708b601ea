#include "data/process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHOWN_SIZE 240 /* of the program's output in a message */

extern char **environ;

/* Starts the program with both outputs on `output`; an errno value, 0 when it runs. */
static int start(char *const *arguments, int output, pid_t *process_out)
{
    posix_spawn_file_actions_t actions;
    int number = posix_spawn_file_actions_init(&actions);
    if (number != 0) {
        return number;
    }
    number = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (number == 0) {
        number = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    }
    if (number == 0) {
        number = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    }
    if (number == 0) {
        number = posix_spawnp(process_out, arguments[0], &actions, NULL, arguments, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    return number;
}

/* Reads to the end, keeping the first characters as one line. */
static void drain(int input, char shown[SHOWN_SIZE])
{
    char block[1024];
    size_t length = 0;
    for (;;) {
        const ssize_t got = read(input, block, sizeof block);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        for (ssize_t i = 0; i < got && length < SHOWN_SIZE - 1; i++) {
            const bool printable = block[i] >= ' ' && block[i] < 0x7f;
            if (printable || (length > 0 && shown[length - 1] != ' ')) {
                shown[length++] = printable ? block[i] : ' ';
            }
        }
    }
    while (length > 0 && shown[length - 1] == ' ') {
        length--;
    }
    shown[length] = '\0';
}

static cf_status judge(const char *name, int result, const char *shown, cf_error *error)
{
    const char *separator = shown[0] != '\0' ? ": " : "";
    if (WIFSIGNALED(result)) {
        return cfi_fail(error, CF_E_IO, "%s was killed by signal %d%s%s", name, WTERMSIG(result), separator, shown);
    }
    if (WEXITSTATUS(result) == 127 && shown[0] == '\0') { /* how a spawn that cannot report says "no such program" */
        return cfi_fail(error, CF_E_NOT_FOUND, "%s is not installed", name);
    }
    if (WEXITSTATUS(result) != 0) {
        return cfi_fail(error, CF_E_IO, "%s failed with exit code %d%s%s", name, WEXITSTATUS(result), separator, shown);
    }
    return CF_OK;
}

cf_status cfi_process_run(char *const *arguments, cf_error *error)
{
    int ends[2];
    char shown[SHOWN_SIZE] = "";
    if (pipe(ends) != 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s cannot be run", arguments[0]);
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    pid_t process;
    const int number = start(arguments, ends[1], &process);
    close(ends[1]);
    if (number != 0) {
        close(ends[0]);
        return number == ENOENT ? cfi_fail(error, CF_E_NOT_FOUND, "%s is not installed", arguments[0])
                                : cfi_fail_errno(error, CF_E_IO, number, "%s cannot be run", arguments[0]);
    }
    drain(ends[0], shown);
    close(ends[0]);
    int result;
    while (waitpid(process, &result, 0) < 0) {
        if (errno != EINTR) {
            return cfi_fail_errno(error, CF_E_IO, errno, "%s cannot be waited for", arguments[0]);
        }
    }
    return judge(arguments[0], result, shown, error);
}
