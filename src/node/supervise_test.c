/* The supervisor with children that do what a test wants: exit, crash, stay. */
#include "node/supervise.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/alloc.h"
#include "base/file.h"
#include "node/control.h"
#include "node/node.h"

enum { KILLS = 50, PATIENCE_MS = 20000 };

static char folder[] = "/tmp/cf-supervise-XXXXXX";
static char control_path[64];

static int child_of_test(void *user, const char *container, uint64_t boot)
{
    (void)user;
    (void)boot;
    if (strncmp(container, "crash", 5) == 0) {
        return CFI_NODE_FAILED;
    }
    if (strncmp(container, "retired", 7) == 0) {
        return CFI_NODE_RETIRED;
    }
    if (strncmp(container, "deaf", 4) == 0) {
        signal(SIGTERM, SIG_IGN);
    }
    for (;;) {
        pause();
    }
}

/* The file `names` stands for plan.json: a name on each line. */
static cf_status names_of_test(void *user, bool (*add)(void *to, const char *name), void *to, cf_error *error)
{
    char *text = NULL, *rest = NULL;
    size_t size = 0;
    (void)user;
    CFI_TRY(cfi_file_read("names", 4096, &text, &size, error));
    for (char *name = strtok_r(text, "\n", &rest); name != NULL; name = strtok_r(NULL, "\n", &rest)) {
        assert_true(add(to, name));
    }
    cfi_free(text);
    return CF_OK;
}

static void write_names(const char *names)
{
    char path[64];
    snprintf(path, sizeof path, "%s/names", folder);
    const cfi_file_part part = {names, strlen(names)};
    assert_int_equal(cfi_file_replace(path, &part, 1, NULL), CF_OK);
}

static pid_t start_supervisor(void)
{
    const pid_t pid = fork();
    if (pid == 0) {
        bool is_child = false;
        const cfi_supervise_options options = {.folder = folder, .child = child_of_test, .containers = names_of_test};
        _exit(cfi_supervise(&options, &is_child));
    }
    assert_true(pid > 0);
    return pid;
}

static void nap(void)
{
    const struct timespec pause_time = {0, 1000000};
    nanosleep(&pause_time, NULL);
}

static json_t *ask_status(void)
{
    char *text = NULL;
    size_t size = 0;
    if (cfi_control_ask(control_path, "status", NULL, NULL, 0, PATIENCE_MS, &text, &size, NULL) != CF_OK) {
        return NULL;
    }
    json_t *root = json_loadb(text, size, 0, NULL);
    cfi_free(text);
    assert_non_null(root);
    return root;
}

/* What the supervisor says of a container; false: nothing. */
static bool look(const char *name, char state[32], int *pid_out, char reason[160])
{
    json_t *root = ask_status(), *item = NULL;
    size_t i = 0;
    bool is_found = false;
    json_array_foreach(json_object_get(root, "containers"), i, item) {
        if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0) {
            snprintf(state, 32, "%s", json_string_value(json_object_get(item, "state")));
            snprintf(reason, 160, "%s", json_string_value(json_object_get(item, "reason")));
            *pid_out = (int)json_integer_value(json_object_get(item, "pid"));
            is_found = true;
        }
    }
    json_decref(root);
    return is_found;
}

/* Waits until it is in that state under another pid than `not_pid`; its pid. */
static int await_state(const char *name, const char *wanted, int not_pid, char reason[160])
{
    char state[32] = "";
    int pid = 0;
    while (!look(name, state, &pid, reason) || strcmp(state, wanted) != 0 || pid == not_pid) {
        nap();
    }
    return pid;
}

static void stop_supervisor(pid_t supervisor)
{
    char *answer = NULL;
    size_t size = 1;
    int wait_status = 0;
    assert_int_equal(cfi_control_ask(control_path, "stop", NULL, NULL, 0, PATIENCE_MS, &answer, &size, NULL), CF_OK);
    assert_int_equal(size, 0);
    cfi_free(answer);
    assert_int_equal(waitpid(supervisor, &wait_status, 0), supervisor);
    assert_true(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0);
    assert_false(cfi_file_exists(control_path));
}

static void a_killed_child_is_started_again_each_time(void **state)
{
    (void)state;
    char reason[160];
    write_names("one\ntwo\n");
    const pid_t supervisor = start_supervisor();
    const int other = await_state("two", "running", 0, reason);
    int pid = await_state("one", "running", 0, reason);
    for (int i = 0; i < KILLS; i++) {
        assert_int_equal(kill(pid, SIGKILL), 0);
        pid = await_state("one", "running", pid, reason);
        assert_string_equal(reason, "killed by signal 9");
    }
    assert_int_equal(await_state("two", "running", 0, reason), other);
    stop_supervisor(supervisor);
    assert_int_not_equal(kill(pid, 0), 0);
    assert_int_not_equal(kill(other, 0), 0);
}

static void a_crash_loop_is_left_alone_with_its_reason(void **state)
{
    (void)state;
    char reason[160];
    write_names("crash\nretired\nfine\n");
    const pid_t supervisor = start_supervisor();
    await_state("retired", "stopped", -1, reason);
    assert_string_equal(reason, "not in the plan in force");
    await_state("crash", "stopped", -1, reason); /* after pauses of 0.1, 0.2, ... 5 s */
    assert_string_equal(reason, "failed 10 times in a row, last: exit code 4 (see its log)");
    await_state("fine", "running", 0, reason);
    stop_supervisor(supervisor);
}

static void the_children_die_with_their_supervisor(void **state)
{
    (void)state;
    char reason[160];
    write_names("deaf\n");
    const pid_t supervisor = start_supervisor();
    const int pid = await_state("deaf", "running", 0, reason);
    kill(supervisor, SIGKILL);
    waitpid(supervisor, NULL, 0);
    while (kill(pid, 0) == 0) {
        char path[64], *text = NULL;
        size_t size = 0;
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        const bool is_read = cfi_file_read(path, 4096, &text, &size, NULL) == CF_OK;
        const bool is_zombie = is_read && strstr(text, ") Z ") != NULL; /* nobody may be there to reap orphans */
        cfi_free(text);
        if (is_zombie) {
            break;
        }
        nap();
    }
    write_names("one\n"); /* what it left behind, a socket and a lock file, hinders nobody */
    const pid_t next = start_supervisor();
    await_state("one", "running", 0, reason);
    stop_supervisor(next);
}

static void a_second_supervisor_is_refused(void **state)
{
    (void)state;
    char reason[160];
    int wait_status = 0;
    write_names("one\n");
    const pid_t supervisor = start_supervisor();
    const int pid = await_state("one", "running", 0, reason);
    const pid_t second = start_supervisor();
    assert_int_equal(waitpid(second, &wait_status, 0), second);
    assert_true(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 1);
    assert_int_equal(await_state("one", "running", 0, reason), pid);
    stop_supervisor(supervisor);
}

static void reconcile_starts_what_is_new_and_stops_what_is_gone(void **state)
{
    (void)state;
    char reason[160], where[32];
    char *answer = NULL;
    size_t size = 0;
    int pid = 0;
    write_names("one\ntwo\n");
    const pid_t supervisor = start_supervisor();
    const int stays = await_state("one", "running", 0, reason);
    const int goes = await_state("two", "running", 0, reason);
    write_names("one\nthree\n");
    assert_int_equal(cfi_control_ask(control_path, "reconcile", NULL, NULL, 0, PATIENCE_MS, &answer, &size, NULL),
                     CF_OK);
    cfi_free(answer);
    await_state("three", "running", 0, reason);
    while (look("two", where, &pid, reason)) {
        nap();
    }
    assert_int_not_equal(kill(goes, 0), 0);
    assert_int_equal(await_state("one", "running", 0, reason), stays);
    stop_supervisor(supervisor);
}

static void sigterm_stops_all(void **state)
{
    (void)state;
    char reason[160];
    int wait_status = 0;
    write_names("one\n");
    const pid_t supervisor = start_supervisor();
    const int pid = await_state("one", "running", 0, reason);
    kill(supervisor, SIGTERM);
    assert_int_equal(waitpid(supervisor, &wait_status, 0), supervisor);
    assert_true(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0);
    assert_int_not_equal(kill(pid, 0), 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(control_path, sizeof control_path, "%s/c/supervisor", folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_child_is_started_again_each_time),
        cmocka_unit_test(a_crash_loop_is_left_alone_with_its_reason),
        cmocka_unit_test(the_children_die_with_their_supervisor),
        cmocka_unit_test(a_second_supervisor_is_refused),
        cmocka_unit_test(reconcile_starts_what_is_new_and_stops_what_is_gone),
        cmocka_unit_test(sigterm_stops_all),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
