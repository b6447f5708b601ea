/* What a node writes when it says the same again and again, and when it says very much. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "node/host.h"
#include "node/supervise.h"

static cfi_node_host *host;
static int saved_stdout, saved_stderr;
static char folder[] = "/tmp/cf-log-XXXXXX";

static int setup(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    host = cfi_calloc(1, sizeof *host);
    if (host == NULL || mkdtemp(folder) == NULL || chdir(folder) != 0 || mkdir("logs", 0700) != 0) {
        return -1;
    }
    host->options.container = "hidden";
    host->options.handles_signals = true;
    fflush(NULL);
    saved_stdout = dup(STDOUT_FILENO);
    saved_stderr = dup(STDERR_FILENO);
    return cfi_child_open_log("hidden") ? 0 : -1;
}

/* From here on, messages of the test itself are seen again. */
static void stop_logging(void)
{
    fflush(NULL);
    dup2(saved_stdout, STDOUT_FILENO);
    dup2(saved_stderr, STDERR_FILENO);
}

static int teardown(void **state)
{
    (void)state;
    stop_logging();
    close(saved_stdout);
    close(saved_stderr);
    cfi_free(host);
    remove("logs/hidden.log");
    remove("logs/hidden.log.1");
    return rmdir("logs") == 0 && chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static void read_log(char *text, size_t size)
{
    FILE *file = fopen("logs/hidden.log", "rb");
    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void equal_lines_are_counted(void **state)
{
    (void)state;
    static char text[4096];
    for (int i = 0; i < 1000; i++) {
        cfi_host_log(host, "the store cannot hold %s", "state/1");
        cfi_host_log(host, "two\nlines");
    }
    cfi_host_log_flush(host);
    cfi_host_log_flush(host); /* nothing is left to say */
    for (int i = 0; i < CFI_HOST_LINES_KEPT; i++) {
        cfi_host_log(host, "other %d", i);
    }
    cfi_host_log(host, "two\nlines"); /* pushed out: new again */
    stop_logging();
    read_log(text, sizeof text);
    assert_string_equal(text, "hidden: the store cannot hold state/1\nhidden: two lines\n"
                              "hidden: the store cannot hold state/1 (repeated 999 times)\n"
                              "hidden: two lines (repeated 999 times)\n"
                              "hidden: other 0\nhidden: other 1\nhidden: other 2\nhidden: other 3\n"
                              "hidden: other 4\nhidden: other 5\nhidden: other 6\nhidden: other 7\n"
                              "hidden: two lines\n");
}

static void ticks_say_how_often(void **state)
{
    (void)state;
    static char text[4096];
    for (int i = 0; i < 600; i++) {
        cfi_host_log(host, "again");
        cfi_host_log_tick(host);
    }
    stop_logging();
    read_log(text, sizeof text);
    assert_string_equal(text, "hidden: again\nhidden: again (repeated 499 times)\n");
}

static void a_long_life_fills_two_files_at_most(void **state)
{
    (void)state;
    struct stat now, before;
    char filling[400];
    memset(filling, 'x', sizeof filling);
    filling[sizeof filling - 1] = '\0';
    for (int i = 0; i < 3 * (CFI_CHILD_LOG_SIZE_MAX / 400); i++) {
        cfi_host_log(host, "%d %s", i, filling);
    }
    stop_logging();
    assert_int_equal(stat("logs/hidden.log", &now), 0);
    assert_int_equal(stat("logs/hidden.log.1", &before), 0);
    assert_in_range(before.st_size, CFI_CHILD_LOG_SIZE_MAX, CFI_CHILD_LOG_SIZE_MAX + 1024);
    assert_in_range(now.st_size, 1, CFI_CHILD_LOG_SIZE_MAX + 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_lines_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(ticks_say_how_often, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_life_fills_two_files_at_most, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
