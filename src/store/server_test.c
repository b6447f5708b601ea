#include "store/request.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static cfi_store open_store(const char *name, int64_t size_max)
{
    cfi_store store;
    cf_error error;
    const cfi_store_options options = {folder, size_max, false};
    assert_int_equal(cfi_store_open(name, &options, &store, &error), CF_OK);
    return store;
}

static void make_folder(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/cf_store_XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static void test_back_end(const char *name)
{
    make_folder();
    cfi_store store = open_store(name, 0);
    const void *value;
    size_t size;
    assert_int_equal(store.ops->put(store.self, "b", "one", 3, NULL), CF_OK);
    assert_int_equal(store.ops->put(store.self, "b", "one", 3, NULL), CF_OK);
    assert_int_equal(store.ops->put(store.self, "b", "two", 3, NULL), CF_E_EXISTS);
    assert_int_equal(store.ops->get(store.self, "b", &value, &size, NULL), CF_OK);
    assert_int_equal(size, 3);
    assert_memory_equal(value, "one", 3);
    assert_int_equal(store.ops->cas(store.self, "b", NULL, 0, "x", 1, NULL), CF_E_EXISTS);
    assert_int_equal(store.ops->cas(store.self, "b", "one", 3, "", 0, NULL), CF_OK);
    assert_int_equal(store.ops->get(store.self, "b", &value, &size, NULL), CF_OK);
    assert_int_equal(size, 0);
    assert_int_equal(store.ops->remove(store.self, "b", NULL), CF_OK);
    assert_int_equal(store.ops->get(store.self, "b", &value, &size, NULL), CF_E_NOT_FOUND);
    cfi_store_close(&store);
}

static void memory_keeps_the_contract(void **state)
{
    (void)state;
    test_back_end("memory");
}

static void lmdb_keeps_the_contract(void **state)
{
    (void)state;
    test_back_end("lmdb");
    const cfi_store_options options = {folder, 0, false};
    cfi_store first = open_store("lmdb", 0), second;
    assert_int_equal(cfi_store_open("lmdb", &options, &second, NULL), CF_E_IO);
    cfi_store_close(&first);
}

/* The child says each number after its put; whatever was said must be there after kill -9. */
static void lmdb_survives_kill(void **state)
{
    (void)state;
    make_folder();
    unsigned said = 0;
    for (int round = 0; round < 20; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        const pid_t child = fork();
        if (child == 0) {
            cfi_store store = open_store("lmdb", 0);
            for (unsigned i = said;; i++) {
                char key[32];
                (void)snprintf(key, sizeof key, "k/%u", i);
                if (store.ops->put(store.self, key, &i, sizeof i, NULL) != CF_OK ||
                    write(ends[1], &i, sizeof i) != sizeof i) {
                    _exit(1);
                }
            }
        }
        (void)close(ends[1]);
        unsigned last = said;
        for (int i = 0; i < 50 + 7 * round && read(ends[0], &last, sizeof last) == sizeof last; i++) {
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (read(ends[0], &last, sizeof last) == sizeof last) {
        }
        (void)close(ends[0]);
        assert_true(last > said);
        said = last;
        cfi_store store = open_store("lmdb", 0);
        for (unsigned i = 0; i <= said; i++) {
            char key[32];
            const void *value;
            size_t size;
            (void)snprintf(key, sizeof key, "k/%u", i);
            assert_int_equal(store.ops->get(store.self, key, &value, &size, NULL), CF_OK);
            assert_memory_equal(value, &i, sizeof i);
        }
        cfi_store_close(&store);
    }
}

static cfi_store_outcome ask(cfi_store_server *server, uint32_t incarnation, cfi_store_request request, uint32_t *lease)
{
    const cfi_frame_header base = {.source_unit = 7, .source_incarnation = incarnation, .tag = 9};
    cfi_frame *frame, *answer;
    cfi_store_reply reply;
    assert_int_equal(cfi_store_request_frame(&base, &request, &frame, NULL), CF_OK);
    assert_int_equal(cfi_store_server_answer(server, frame, &answer, NULL), CF_OK);
    assert_int_equal(cfi_store_reply_read(answer, &reply, NULL), CF_OK);
    assert_int_equal(reply.generation, server->generation);
    assert_int_equal(answer->header.tag, 9);
    if (lease != NULL) {
        memcpy(lease, reply.value, 4);
    }
    cfi_frame_unref(frame);
    cfi_frame_unref(answer);
    return reply.outcome;
}

static void stale_incarnations_are_fenced(void **state)
{
    (void)state;
    cfi_store store = open_store("memory", 0);
    cfi_store_server server = {.store = store, .generation = 1};
    const cfi_store_request lease = {.kind = CFI_STORE_LEASE, .key = "", .number = 4};
    cfi_store_request put = {.kind = CFI_STORE_PUT, .key = "s/00000000012", .value = "a", .value_size = 1};
    uint32_t number = 0;
    assert_int_equal(ask(&server, 0, lease, &number), CFI_STORE_DONE);
    assert_int_equal(number, 5);
    assert_int_equal(ask(&server, 5, put, NULL), CFI_STORE_DONE);
    assert_int_equal(ask(&server, 5, put, NULL), CFI_STORE_DONE);
    assert_int_equal(ask(&server, 0, lease, &number), CFI_STORE_DONE);
    assert_int_equal(number, 6);
    assert_int_equal(ask(&server, 5, put, NULL), CFI_STORE_STALE);
    server = (cfi_store_server){.store = store, .generation = 2}; /* started again: nothing cached */
    assert_int_equal(ask(&server, 5, put, NULL), CFI_STORE_STALE);
    put.value = "b";
    assert_int_equal(ask(&server, 6, put, NULL), CFI_STORE_DIVERGED);
    cfi_store_request below = {.kind = CFI_STORE_REMOVE_BELOW, .key = "s/", .number = 12};
    const cfi_store_request get = {.kind = CFI_STORE_GET, .key = "s/00000000012"};
    assert_int_equal(ask(&server, 6, below, NULL), CFI_STORE_DONE);
    assert_int_equal(ask(&server, 0, get, NULL), CFI_STORE_DONE);
    below.number = 13;
    assert_int_equal(ask(&server, 6, below, NULL), CFI_STORE_DONE);
    assert_int_equal(ask(&server, 0, get, NULL), CFI_STORE_ABSENT);
    cfi_store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_keeps_the_contract),
        cmocka_unit_test(lmdb_keeps_the_contract),
        cmocka_unit_test(lmdb_survives_kill),
        cmocka_unit_test(stale_incarnations_are_fenced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
