/* Both sides of the control socket: the server on a thread of its own, the client and hostile peers here. */
#include "node/control.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "node/control_server.h"

enum { BIG = 3 << 20, PATIENCE_MS = 20000, LATER_MAX = 64 };

static char folder[] = "/tmp/cf-control-XXXXXX";
static char path[64];

typedef struct serving {
    uv_loop_t loop;
    uv_async_t end;
    cfi_control_server *server;
    pthread_t thread;
} serving;

static serving served;
static uint64_t later[LATER_MAX];
static int later_count; /* of the server's thread */

/* To those who wait, each its own number; "all": nothing. Also to a connection that never was. */
static void answer_later(const char *how)
{
    if (strcmp(how, "all") == 0) {
        cfi_control_server_answer_all(served.server);
    }
    for (int i = later_count - 1; i >= 0 && strcmp(how, "all") != 0; i--) {
        uint64_t *answer = cfi_calloc(1, sizeof *answer);
        assert_non_null(answer);
        *answer = later[i];
        cfi_control_server_answer(served.server, later[i], (char *)answer, sizeof *answer);
    }
    cfi_control_server_answer(served.server, UINT64_MAX, cfi_strdup("nobody"), 6);
    later_count = 0;
}

/* "echo": the body; "big": BIG bytes; "later": when "go" comes; anything else fails. */
static cf_status answer_for_test(void *user, const cfi_control_request *request, char **answer_out, size_t *size_out,
                                 cf_error *error)
{
    const cfi_control_line *line = request->line;
    (void)user;
    if (strcmp(line->operation, "later") == 0) {
        *request->is_later = true;
        later[later_count++] = request->connection;
        return CF_OK;
    }
    if (strcmp(line->operation, "now") == 0) { /* to be answered later, and then within the call */
        *request->is_later = true;
        cfi_control_server_answer(served.server, request->connection, cfi_strdup("at once"), 7);
        return CF_OK;
    }
    if (strcmp(line->operation, "go") == 0) {
        answer_later(line->argument);
    }
    const bool is_big = strcmp(line->operation, "big") == 0;
    const size_t size = is_big ? BIG : line->body_size;
    if (!is_big && strcmp(line->operation, "echo") != 0 && strcmp(line->operation, "go") != 0) {
        return cfi_fail(error, CF_E_USAGE, "no operation '%s' (%s)", line->operation, line->argument);
    }
    *answer_out = cfi_calloc(size + 1, 1);
    assert_non_null(*answer_out);
    memset(*answer_out, 'x', size);
    if (!is_big) {
        memcpy(*answer_out, request->body, size);
    }
    *size_out = size;
    return CF_OK;
}

static void end_loop(uv_async_t *async)
{
    cfi_control_server_close(served.server);
    uv_close((uv_handle_t *)async, NULL);
}

static void *run_loop(void *argument)
{
    (void)argument;
    uv_run(&served.loop, UV_RUN_DEFAULT);
    return NULL;
}

static int start(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    signal(SIGPIPE, SIG_IGN); /* as a node does */
    snprintf(path, sizeof path, "%s/node", folder);
    uv_loop_init(&served.loop);
    uv_async_init(&served.loop, &served.end, end_loop);
    if (cfi_control_server_open(&served.loop, path, answer_for_test, NULL, &served.server, NULL) != CF_OK) {
        return -1;
    }
    return pthread_create(&served.thread, NULL, run_loop, NULL);
}

static int finish(void **state)
{
    (void)state;
    uv_async_send(&served.end);
    pthread_join(served.thread, NULL);
    const bool is_removed = access(path, F_OK) != 0;
    return uv_loop_close(&served.loop) == 0 && is_removed && rmdir(folder) == 0 ? 0 : -1;
}

static int dial(void)
{
    struct sockaddr_un address;
    const int dialled = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(cfi_control_address(path, &address, NULL), CF_OK);
    assert_int_equal(connect(dialled, (struct sockaddr *)&address, sizeof address), 0);
    return dialled;
}

static void expect_echo(const char *body, size_t size)
{
    char *answer = NULL;
    size_t answer_size = 0;
    cf_error error = {0};
    assert_int_equal(cfi_control_ask(path, "echo", NULL, body, size, PATIENCE_MS, &answer, &answer_size, &error),
                     CF_OK);
    assert_int_equal(answer_size, size);
    assert_memory_equal(answer, body, size);
    cfi_free(answer);
}

static void a_body_comes_back(void **state)
{
    (void)state;
    char *body = cfi_calloc(BIG, 1);
    assert_non_null(body);
    for (int i = 0; i < BIG; i++) {
        body[i] = (char)(i * 7);
    }
    expect_echo("", 0);
    expect_echo("one\ntwo", 7);
    expect_echo(body, BIG);
    cfi_free(body);
}

static void an_error_is_told(void **state)
{
    (void)state;
    char *answer = NULL;
    size_t size = 0;
    cf_error error = {0};
    assert_int_equal(cfi_control_ask(path, "nonsense", "KEY", NULL, 0, PATIENCE_MS, &answer, &size, &error),
                     CF_E_USAGE);
    assert_non_null(strstr(error.text, "no operation 'nonsense' (KEY)"));
    assert_null(answer);
    assert_int_equal(cfi_control_ask(path, "two words", NULL, NULL, 0, PATIENCE_MS, &answer, &size, &error),
                     CF_E_LIMIT);
    assert_int_equal(cfi_control_ask("/tmp/cf-no-such-folder/x", "status", NULL, NULL, 0, 10, &answer, &size, &error),
                     CF_E_NOT_FOUND);
}

static void the_socket_is_private(void **state)
{
    (void)state;
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
}

static void peers_that_hang_or_do_not_read_stall_nobody(void **state)
{
    (void)state;
    int silent[CFI_CONTROL_CONNECTIONS_MAX - 1];
    for (int i = 0; i < CFI_CONTROL_CONNECTIONS_MAX - 1; i++) {
        silent[i] = dial();
        const char *text = i % 2 == 0 ? "big - 0\n" : "ech"; /* never read; never finished */
        assert_int_equal(send(silent[i], text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    }
    expect_echo("still there", 11);
    for (int i = 0; i < CFI_CONTROL_CONNECTIONS_MAX - 1; i++) {
        close(silent[i]);
    }
    expect_echo("and later", 9);
}

/* Asks on a connection of its own, whose request the server has when this returns. */
static int ask_later(const char *text)
{
    const int dialled = dial();
    assert_int_equal(send(dialled, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    expect_echo("1", 1);
    expect_echo("2", 1);
    return dialled;
}

static void go(const char *how)
{
    char *answer = NULL;
    size_t size = 0;
    assert_int_equal(cfi_control_ask(path, "go", how, NULL, 0, PATIENCE_MS, &answer, &size, NULL), CF_OK);
    cfi_free(answer);
}

static void an_answer_may_come_later(void **state)
{
    (void)state;
    char text[32] = "";
    uint64_t numbers[3];
    int waiting[3];
    for (int i = 0; i < 3; i++) {
        waiting[i] = ask_later("later - 3\nabc");
    }
    close(waiting[1]); /* gone before its answer; one that says more than it may is closed as well */
    assert_int_equal(send(waiting[0], "more", 4, MSG_NOSIGNAL), 4);
    assert_true(recv(waiting[0], text, sizeof text, MSG_WAITALL) <= 0);
    go("each");
    assert_int_equal(recv(waiting[2], text, 5, MSG_WAITALL), 5);
    assert_memory_equal(text, "ok 8\n", 5);
    assert_int_equal(recv(waiting[2], &numbers[2], 8, MSG_WAITALL), 8);
    assert_int_equal(recv(waiting[2], text, 1, MSG_WAITALL), 0);
    close(waiting[0]);
    close(waiting[2]);
    waiting[0] = ask_later("later - 0\n");
    waiting[1] = ask_later("later - 0\n");
    go("each");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(recv(waiting[i], text, 5, MSG_WAITALL), 5);
        assert_int_equal(recv(waiting[i], &numbers[i], 8, MSG_WAITALL), 8);
        close(waiting[i]);
    }
    assert_true(numbers[0] > numbers[2] && numbers[1] > numbers[0]); /* each its own, and no number twice */
    waiting[0] = ask_later("later - 0\n");
    go("all");
    assert_int_equal(recv(waiting[0], text, sizeof text, MSG_WAITALL), 5);
    assert_memory_equal(text, "ok 0\n", 5);
    close(waiting[0]);
}

static void an_answer_that_was_to_come_later_may_come_at_once(void **state)
{
    (void)state;
    char *answer = NULL;
    size_t size = 0;
    assert_int_equal(cfi_control_ask(path, "now", NULL, NULL, 0, PATIENCE_MS, &answer, &size, NULL), CF_OK);
    assert_string_equal(answer, "at once");
    assert_int_equal(size, 7);
    cfi_free(answer);
}

static void garbage_is_answered_and_the_connection_closed(void **state)
{
    (void)state;
    static const char *const garbage[] = {
        "\n", "status\n", "status - -1\n", "status - 01\n", "status - 99999999999999999\n", "status  0\n",
        "status - 0 0\n", "\x01\x02 - 0\n", "a_very_long_operation - 0\n"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        char answer[256] = "";
        const int dialled = dial();
        assert_int_equal(send(dialled, garbage[i], strlen(garbage[i]), MSG_NOSIGNAL), (ssize_t)strlen(garbage[i]));
        assert_true(recv(dialled, answer, sizeof answer - 1, MSG_WAITALL) > 0);
        assert_non_null(strstr(answer, "error "));
        assert_non_null(strstr(answer, "not a request"));
        close(dialled);
    }
    char endless[CFI_CONTROL_LINE_MAX], answer[256] = "";
    memset(endless, 'a', sizeof endless);
    const int dialled = dial();
    assert_int_equal(send(dialled, endless, sizeof endless, MSG_NOSIGNAL), sizeof endless);
    assert_true(recv(dialled, answer, sizeof answer - 1, MSG_WAITALL) > 0);
    assert_non_null(strstr(answer, "the first line is longer"));
    close(dialled);
}

static void the_client_trusts_no_answer(void **state)
{
    (void)state;
    bool is_ok = false;
    size_t size = 0, used = 7;
    assert_int_equal(cfi_control_answer_read("ok 12", 5, &is_ok, &size, &used, NULL), CF_OK);
    assert_int_equal(used, 0);
    assert_int_equal(cfi_control_answer_read("ok 12\nabc", 9, &is_ok, &size, &used, NULL), CF_OK);
    assert_true(is_ok && size == 12 && used == 6);
    assert_int_equal(cfi_control_answer_read("error 3\n", 8, &is_ok, &size, &used, NULL), CF_OK);
    assert_true(!is_ok && size == 3);
    assert_int_equal(cfi_control_answer_read("ok 999999999999\n", 16, &is_ok, &size, &used, NULL), CF_E_DATA);
    assert_int_equal(cfi_control_answer_read("fine 1\n", 7, &is_ok, &size, &used, NULL), CF_E_DATA);
    assert_int_equal(cfi_control_answer_read("ok\n", 3, &is_ok, &size, &used, NULL), CF_E_DATA);
}

static void a_silent_server_is_given_up(void **state)
{
    (void)state;
    char quiet[80];
    char *answer = NULL;
    size_t size = 0;
    cf_error error = {0};
    struct sockaddr_un address;
    snprintf(quiet, sizeof quiet, "%s/quiet", folder);
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(cfi_control_address(quiet, &address, NULL), CF_OK);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(cfi_control_ask(quiet, "status", NULL, NULL, 0, 30, &answer, &size, &error), CF_E_IO);
    assert_non_null(strstr(error.text, "no answer in time"));
    close(listener);
    unlink(quiet);
}

/* A paused process accepts nobody: at some point its backlog is full, and connecting has to give up as well. */
static void a_full_backlog_is_given_up(void **state)
{
    (void)state;
    char *answer = NULL, full[64];
    size_t size = 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(full, sizeof full, "%s/full", folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", full);
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    for (int i = 0; i < 8; i++) { /* none of these may wait for ever */
        cf_error error = {0};
        assert_int_equal(cfi_control_ask(full, "echo", "-", NULL, 0, 20, &answer, &size, &error), CF_E_IO);
    }
    close(listener);
    unlink(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_comes_back),
        cmocka_unit_test(an_error_is_told),
        cmocka_unit_test(the_socket_is_private),
        cmocka_unit_test(peers_that_hang_or_do_not_read_stall_nobody),
        cmocka_unit_test(an_answer_may_come_later),
        cmocka_unit_test(an_answer_that_was_to_come_later_may_come_at_once),
        cmocka_unit_test(garbage_is_answered_and_the_connection_closed),
        cmocka_unit_test(the_client_trusts_no_answer),
        cmocka_unit_test(a_silent_server_is_given_up),
        cmocka_unit_test(a_full_backlog_is_given_up),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
