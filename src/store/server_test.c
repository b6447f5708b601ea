#include "store/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"

enum { UNIT = 7, SERVER_UNIT = 3, REQUEST_KEY_AT = 24, REPLY_KEY_AT = 16 };

/* ---- A server over a store in memory, and its answers ---- */

static cfi_store_server new_server(int64_t size_max)
{
    cfi_store_server server = {.generation = 1, .unit = SERVER_UNIT};
    const cfi_store_options options = {.size_max = size_max};
    assert_int_equal(cfi_store_open("memory", &options, &server.store, NULL), CF_OK);
    return server;
}

/* The same store behind a server that was started again. */
static void restart(cfi_store_server *server)
{
    *server = (cfi_store_server){.store = server->store, .generation = server->generation + 1, .unit = SERVER_UNIT};
}

typedef struct asker {
    uint32_t unit, incarnation;
} asker;

typedef struct answered {
    cfi_store_outcome outcome;
    char text[256]; /* the reply's value */
    size_t size;
} answered;

static cfi_frame *request_frame(asker who, cfi_store_request request)
{
    const cfi_frame_header base = {.run = {1, 2}, .digest = 3, .plan = 4, .source_unit = who.unit,
                                   .source_incarnation = who.incarnation, .target_unit = SERVER_UNIT, .tag = 9};
    cfi_frame *frame;
    assert_int_equal(cfi_store_request_frame(&base, &request, &frame, NULL), CF_OK);
    return frame;
}

static answered ask_as(cfi_store_server *server, asker who, cfi_store_request request)
{
    cfi_frame *frame = request_frame(who, request), *answer;
    cfi_store_reply reply;
    assert_int_equal(cfi_store_server_answer(server, frame, &answer, NULL), CF_OK);
    assert_int_equal(cfi_store_reply_read(answer, &reply, NULL), CF_OK);
    assert_int_equal(reply.kind, request.kind);
    assert_int_equal(reply.generation, server->generation);
    assert_string_equal(reply.key, request.key);
    assert_int_equal(answer->header.tag, 9);
    assert_int_equal(answer->header.target_unit, who.unit);
    assert_int_equal(answer->header.source_unit, SERVER_UNIT);
    answered made = {.outcome = reply.outcome, .size = reply.value_size};
    assert_true(reply.value_size < sizeof made.text);
    if (reply.value_size > 0) {
        memcpy(made.text, reply.value, reply.value_size);
    }
    cfi_frame_unref(frame);
    cfi_frame_unref(answer);
    return made;
}

static answered ask(cfi_store_server *server, uint32_t incarnation, cfi_store_request request)
{
    return ask_as(server, (asker){UNIT, incarnation}, request);
}

static cfi_store_request put_of(const char *key, const char *text)
{
    return (cfi_store_request){.kind = CFI_STORE_PUT, .key = key, .value = text, .value_size = strlen(text)};
}

static cfi_store_request get_of(const char *key)
{
    return (cfi_store_request){.kind = CFI_STORE_GET, .key = key};
}

/* `expected` NULL: absent. */
static cfi_store_request cas_of(const char *key, const char *expected, const char *text)
{
    return (cfi_store_request){.kind = CFI_STORE_CAS, .key = key, .value = text, .value_size = strlen(text),
                               .expected = expected, .expected_size = expected != NULL ? strlen(expected) : 0};
}

static cfi_store_request below_of(const char *prefix, uint64_t limit)
{
    return (cfi_store_request){.kind = CFI_STORE_REMOVE_BELOW, .key = prefix, .number = limit};
}

static cfi_store_request list_of(const char *prefix)
{
    return (cfi_store_request){.kind = CFI_STORE_LIST, .key = prefix};
}

static uint32_t take_lease(cfi_store_server *server, asker who, uint64_t floor)
{
    const answered made = ask_as(server, who, (cfi_store_request){.kind = CFI_STORE_LEASE, .key = "", .number = floor});
    assert_int_equal(made.outcome, CFI_STORE_DONE);
    const unsigned char *bytes = (const unsigned char *)made.text;
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void check_answer(answered made, cfi_store_outcome outcome, const char *text)
{
    assert_int_equal(made.outcome, outcome);
    assert_string_equal(made.text, text);
    assert_int_equal(made.size, strlen(text));
}

/* ---- Operations ---- */

static void what_is_put_is_got(void **state)
{
    (void)state;
    cfi_store_server server = new_server(0);
    check_answer(ask(&server, 1, get_of("k")), CFI_STORE_ABSENT, "");
    check_answer(ask(&server, 1, put_of("k", "value")), CFI_STORE_DONE, "");
    check_answer(ask(&server, 1, put_of("k", "value")), CFI_STORE_DONE, "");
    check_answer(ask(&server, 1, put_of("k", "other")), CFI_STORE_DIVERGED, "");
    check_answer(ask(&server, 1, get_of("k")), CFI_STORE_DONE, "value");
    check_answer(ask(&server, 1, put_of("empty", "")), CFI_STORE_DONE, "");
    check_answer(ask(&server, 1, get_of("empty")), CFI_STORE_DONE, "");
    assert_int_equal(server.requests, 7);
    assert_int_equal(server.diverged, 1);
    assert_int_equal(server.stale + server.failed, 0);
    cfi_store_close(&server.store);
}

static void a_refused_cas_says_what_is_there(void **state)
{
    (void)state;
    cfi_store_server server = new_server(0);
    check_answer(ask(&server, 1, cas_of("head", "one", "two")), CFI_STORE_CONFLICT, "");
    check_answer(ask(&server, 1, cas_of("head", NULL, "one")), CFI_STORE_DONE, "");
    check_answer(ask(&server, 1, cas_of("head", NULL, "two")), CFI_STORE_CONFLICT, "one");
    check_answer(ask(&server, 1, cas_of("head", "", "two")), CFI_STORE_CONFLICT, "one");
    check_answer(ask(&server, 1, cas_of("head", "one", "two")), CFI_STORE_DONE, "");
    /* Asked again because the answer was lost: the asker sees its own value and knows. */
    check_answer(ask(&server, 1, cas_of("head", "one", "two")), CFI_STORE_CONFLICT, "two");
    check_answer(ask(&server, 1, cas_of("head", "two", "")), CFI_STORE_DONE, "");
    check_answer(ask(&server, 1, cas_of("head", "", "three")), CFI_STORE_DONE, "");
    check_answer(ask(&server, 1, get_of("head")), CFI_STORE_DONE, "three");
    cfi_store_close(&server.store);
}

/* Another generation of the server may have lost what the change relies on. */
static void a_cas_meant_for_another_generation_is_refused(void **state)
{
    (void)state;
    cfi_store_server server = new_server(0);
    cfi_store_request cas = cas_of("head", NULL, "one");
    cas.number = server.generation + 1;
    check_answer(ask(&server, 1, cas), CFI_STORE_CONFLICT, "");
    check_answer(ask(&server, 1, get_of("head")), CFI_STORE_ABSENT, "");
    cas.number = server.generation;
    check_answer(ask(&server, 1, cas), CFI_STORE_DONE, "");
    cas = cas_of("head", "one", "two");
    cas.number = server.generation;
    restart(&server);
    check_answer(ask(&server, 1, cas), CFI_STORE_CONFLICT, "one");
    cas.number = server.generation;
    check_answer(ask(&server, 1, cas), CFI_STORE_DONE, "");
    cfi_store_close(&server.store);
}

static void a_list_has_the_keys_of_the_prefix_in_order(void **state)
{
    (void)state;
    cfi_store_server server = new_server(0);
    check_answer(ask(&server, 1, list_of("")), CFI_STORE_DONE, "");
    const char *const keys[] = {"b/2", "a", "b/10", "b", "c"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        check_answer(ask(&server, 1, put_of(keys[i], "x")), CFI_STORE_DONE, "");
    }
    check_answer(ask(&server, 1, list_of("")), CFI_STORE_DONE, "a\nb\nb/10\nb/2\nc\n");
    check_answer(ask(&server, 1, list_of("b/")), CFI_STORE_DONE, "b/10\nb/2\n");
    check_answer(ask(&server, 1, list_of("d")), CFI_STORE_DONE, "");
    cfi_store_close(&server.store);
}

static void only_keys_that_end_in_a_number_below_the_limit_are_removed(void **state)
{
    (void)state;
    cfi_store_server server = new_server(0);
    const char *const keys[] = {
        "s/", "s/x", "s/4x", "s/x4", "s/-4", "s/+4", "s/ 4", "s/4 ", "s/4/", "s/0x4", "s/4.0", "s", "s4", "t/4",
        "s/18446744073709551615", "s/18446744073709551616", "s/18446744073709551620", "s/99999999999999999999999",
        "s/5", "s/4", "s/0", "s/00000000000000000000000000000000004", "s/9/3"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        check_answer(ask(&server, 1, put_of(keys[i], "x")), CFI_STORE_DONE, "");
    }
    check_answer(ask(&server, 1, below_of("s/", 0)), CFI_STORE_DONE, "");
    check_answer(ask(&server, 1, get_of("s/0")), CFI_STORE_DONE, "x");
    check_answer(ask(&server, 1, below_of("s/", 5)), CFI_STORE_DONE, "");
    check_answer(ask(&server, 1, below_of("s/", 5)), CFI_STORE_DONE, "");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const bool is_removed = i >= sizeof keys / sizeof *keys - 4;
        assert_int_equal(ask(&server, 1, get_of(keys[i])).outcome, is_removed ? CFI_STORE_ABSENT : CFI_STORE_DONE);
    }
    check_answer(ask(&server, 1, below_of("", UINT64_MAX)), CFI_STORE_DONE, "");
    assert_int_equal(ask(&server, 1, get_of("s/5")).outcome, CFI_STORE_ABSENT);
    assert_int_equal(ask(&server, 1, get_of("t/4")).outcome, CFI_STORE_ABSENT);
    assert_int_equal(ask(&server, 1, get_of("s/18446744073709551615")).outcome, CFI_STORE_DONE);
    assert_int_equal(ask(&server, 1, get_of("s/18446744073709551616")).outcome, CFI_STORE_DONE);
    cfi_store_close(&server.store);
}

/* More than is collected at once. */
static void many_keys_are_removed_at_once(void **state)
{
    (void)state;
    for (int count = 62; count < 200; count += count < 67 ? 1 : 61) {
        cfi_store_server server = new_server(0);
        char key[32];
        for (int i = 0; i <= count; i++) {
            (void)snprintf(key, sizeof key, "s/%011d", i);
            check_answer(ask(&server, 1, put_of(key, "x")), CFI_STORE_DONE, "");
        }
        check_answer(ask(&server, 1, below_of("s/", (uint64_t)count)), CFI_STORE_DONE, "");
        (void)strncat(key, "\n", sizeof key - strlen(key) - 1);
        check_answer(ask(&server, 1, list_of("")), CFI_STORE_DONE, key);
        cfi_store_close(&server.store);
    }
}

/* ---- Fencing ---- */

static void each_lease_is_above_all_before_and_above_its_floor(void **state)
{
    (void)state;
    cfi_store_server server = new_server(0);
    const asker first = {UNIT, 0}, second = {UNIT + CFI_STORE_LEASE_CACHE, 0}; /* both in one place of the cache */
    assert_int_equal(take_lease(&server, first, 0), 1);
    assert_int_equal(take_lease(&server, first, 4), 5);
    assert_int_equal(take_lease(&server, first, 2), 6);
    assert_int_equal(take_lease(&server, second, 0), 1);
    restart(&server);
    assert_int_equal(take_lease(&server, first, 6), 7);
    assert_int_equal(take_lease(&server, first, 0x01020304), 0x01020305);
    assert_int_equal(take_lease(&server, first, UINT32_MAX - 1), UINT32_MAX);
    for (uint64_t floor = 0; floor < 2; floor++) {
        const cfi_store_request lease = {.kind = CFI_STORE_LEASE, .key = "", .number = floor == 0 ? 0 : UINT64_MAX};
        const answered made = ask(&server, 0, lease);
        assert_int_equal(made.outcome, CFI_STORE_FULL);
        assert_non_null(strstr(made.text, "lease/4.7: no incarnation above"));
    }
    assert_int_equal(take_lease(&server, second, 0), 2);
    cfi_store_close(&server.store);
}

static void check_fenced(cfi_store_server *server)
{
    check_answer(ask(server, 1, put_of("new", "x")), CFI_STORE_STALE, "");
    check_answer(ask(server, 1, put_of("k/1", "x")), CFI_STORE_STALE, "");
    check_answer(ask(server, 0, cas_of("new", NULL, "x")), CFI_STORE_STALE, "");
    check_answer(ask(server, 1, below_of("k/", 2)), CFI_STORE_STALE, "");
    check_answer(ask(server, 1, get_of("k/1")), CFI_STORE_DONE, "x");
    check_answer(ask(server, 1, list_of("new")), CFI_STORE_DONE, "");
    check_answer(ask(server, 2, put_of("k/1", "x")), CFI_STORE_DONE, "");
}

static void what_an_earlier_incarnation_wants_to_change_is_refused(void **state)
{
    (void)state;
    cfi_store_server server = new_server(0);
    const asker other = {UNIT + CFI_STORE_LEASE_CACHE, 1};
    assert_int_equal(take_lease(&server, (asker){UNIT, 0}, 0), 1);
    check_answer(ask(&server, 1, put_of("k/1", "x")), CFI_STORE_DONE, "");
    assert_int_equal(take_lease(&server, (asker){UNIT, 0}, 0), 2);
    check_fenced(&server);
    restart(&server); /* nothing cached */
    check_fenced(&server);
    assert_int_equal(server.stale, 4);
    assert_int_equal(take_lease(&server, other, 0), 1);
    check_answer(ask_as(&server, other, put_of("other", "x")), CFI_STORE_DONE, ""); /* each unit has its own */
    check_fenced(&server);
    check_answer(ask(&server, 2, below_of("k/", 2)), CFI_STORE_DONE, "");
    check_answer(ask(&server, 0, get_of("k/1")), CFI_STORE_ABSENT, "");
    cfi_store_close(&server.store);
}

static void a_lease_is_changed_by_taking_it_only(void **state)
{
    (void)state;
    cfi_store_server server = new_server(0);
    assert_int_equal(take_lease(&server, (asker){UNIT, 0}, 8), 9);
    assert_int_equal(ask(&server, 9, put_of("lease/4.8", "abcd")).outcome, CFI_STORE_FAILED);
    assert_int_equal(ask(&server, 9, cas_of("lease/4.7", "\t\0\0\0", "abcd")).outcome, CFI_STORE_FAILED);
    assert_int_equal(ask(&server, 9, below_of("lease/", 100)).outcome, CFI_STORE_FAILED);
    check_answer(ask(&server, 9, below_of("", UINT64_MAX)), CFI_STORE_DONE, "");
    assert_int_equal(take_lease(&server, (asker){UNIT, 0}, 0), 10);
    cfi_store_close(&server.store);
}

static void a_lease_that_is_none_is_said(void **state)
{
    (void)state;
    cfi_store_server server = new_server(0);
    assert_int_equal(server.store.ops->put(server.store.self, "lease/4.7", "abc", 3, NULL), CF_OK);
    const answered made = ask(&server, 1, put_of("k", "x"));
    assert_int_equal(made.outcome, CFI_STORE_FAILED);
    assert_string_equal(made.text, "lease/4.7: a lease of 3 bytes");
    check_answer(ask(&server, 1, get_of("k")), CFI_STORE_ABSENT, "");
    cfi_store_close(&server.store);
}

/* ---- A back end that fails ---- */

static void a_full_store_is_answered_with_its_text(void **state)
{
    (void)state;
    cfi_store_server server = new_server(10);
    check_answer(ask(&server, 1, put_of("a/1", "1234567")), CFI_STORE_DONE, "");
    const answered made = ask(&server, 1, put_of("b", "1"));
    assert_int_equal(made.outcome, CFI_STORE_FULL);
    assert_non_null(strstr(made.text, "full"));
    assert_int_equal(server.failed, 1);
    check_answer(ask(&server, 1, below_of("a/", 2)), CFI_STORE_DONE, "");
    check_answer(ask(&server, 1, put_of("b", "1")), CFI_STORE_DONE, "");
    cfi_store_close(&server.store);
}

/* A back end whose n-th call fails, and whose leases are always changed by somebody else. */
typedef struct broken {
    cfi_store inner;
    int allowed;
    bool has_rival, is_endless;
} broken;

static cf_status spend(broken *self, cf_error *error)
{
    return self->allowed-- > 0 ? CF_OK : cfi_fail(error, CF_E_IO, "broken");
}

static cf_status broken_get(void *self, const char *key, const void **value_out, size_t *size_out, cf_error *error)
{
    broken *store = self;
    CFI_TRY(spend(store, error));
    return store->inner.ops->get(store->inner.self, key, value_out, size_out, error);
}

static cf_status broken_put(void *self, const char *key, const void *value, size_t size, cf_error *error)
{
    broken *store = self;
    CFI_TRY(spend(store, error));
    return store->inner.ops->put(store->inner.self, key, value, size, error);
}

static cf_status broken_cas(void *self, const char *key, const void *expected, size_t expected_size,
                            const void *value, size_t size, cf_error *error)
{
    broken *store = self;
    CFI_TRY(spend(store, error));
    if (store->has_rival) {
        return cfi_fail(error, CF_E_EXISTS, "rival");
    }
    return store->inner.ops->cas(store->inner.self, key, expected, expected_size, value, size, error);
}

static cf_status broken_remove(void *self, const char *key, cf_error *error)
{
    broken *store = self;
    CFI_TRY(spend(store, error));
    return store->inner.ops->remove(store->inner.self, key, error);
}

static cf_status broken_list(void *self, const char *prefix,
                             bool (*each)(void *user, const char *key, size_t value_size), void *user, cf_error *error)
{
    broken *store = self;
    CFI_TRY(spend(store, error));
    char key[CFI_STORE_KEY_SIZE_MAX] = {0};
    memset(key, 'k', sizeof key - 1);
    for (size_t i = 0; store->is_endless && i * sizeof key <= CFI_FRAME_PAYLOAD_MAX && each(user, key, 1); i++) {
    }
    return store->inner.ops->list(store->inner.self, prefix, each, user, error);
}

static const cfi_store_ops broken_ops = {.abi = CFI_STORE_ABI, .size = sizeof(broken), .name = "broken",
                                         .get = broken_get, .put = broken_put, .cas = broken_cas,
                                         .remove = broken_remove, .list = broken_list};

static const cfi_store_request *every_kind(size_t *count_out)
{
    static cfi_store_request kinds[7];
    kinds[0] = put_of("k/5", "five");
    kinds[1] = get_of("k/1");
    kinds[2] = cas_of("head", "one", "one");
    kinds[3] = cas_of("head", "two", "three");
    kinds[4] = (cfi_store_request){.kind = CFI_STORE_LEASE, .key = "", .number = 3};
    kinds[5] = below_of("k/", 4);
    kinds[6] = list_of("");
    *count_out = sizeof kinds / sizeof *kinds;
    return kinds;
}

static cfi_store_server new_filled_server(void)
{
    cfi_store_server server = new_server(0);
    check_answer(ask(&server, 1, put_of("k/1", "one")), CFI_STORE_DONE, "");
    check_answer(ask(&server, 1, put_of("k/3", "three")), CFI_STORE_DONE, "");
    check_answer(ask(&server, 1, cas_of("head", NULL, "one")), CFI_STORE_DONE, "");
    return server;
}

/* Whichever call fails is said; the same request again gets what it would have got. */
static void a_failing_back_end_is_answered_with_its_text(void **state)
{
    (void)state;
    size_t count;
    const cfi_store_request *kinds = every_kind(&count);
    for (size_t i = 0; i < count; i++) {
        cfi_store_server whole = new_filled_server(), server = new_filled_server();
        const answered expected = ask(&whole, 1, kinds[i]);
        broken inner = {.inner = server.store};
        server.store = (cfi_store){&broken_ops, &inner};
        answered made = {.outcome = CFI_STORE_FAILED};
        int failures = -1;
        while (made.outcome == CFI_STORE_FAILED) {
            inner.allowed = ++failures;
            made = ask(&server, 1, kinds[i]);
            if (made.outcome == CFI_STORE_FAILED) {
                assert_string_equal(made.text, "broken");
            }
        }
        assert_true(failures > 0);
        assert_int_equal(server.failed, failures);
        assert_int_equal(made.outcome, expected.outcome);
        assert_memory_equal(made.text, expected.text, sizeof made.text);
        cfi_store_close(&inner.inner);
        cfi_store_close(&whole.store);
    }
}

static void a_rival_for_leases_is_said(void **state)
{
    (void)state;
    cfi_store_server server = new_server(0);
    broken inner = {.inner = server.store, .allowed = 1000, .has_rival = true};
    server.store = (cfi_store){&broken_ops, &inner};
    const answered made = ask(&server, 0, (cfi_store_request){.kind = CFI_STORE_LEASE, .key = ""});
    assert_int_equal(made.outcome, CFI_STORE_FAILED);
    assert_non_null(strstr(made.text, "changed by somebody else"));
    cfi_store_close(&inner.inner);
}

static void a_list_too_long_for_a_reply_is_said(void **state)
{
    (void)state;
    cfi_store_server server = new_server(0);
    broken inner = {.inner = server.store, .allowed = 1000, .is_endless = true};
    server.store = (cfi_store){&broken_ops, &inner};
    const answered made = ask(&server, 0, list_of(""));
    assert_int_equal(made.outcome, CFI_STORE_FULL);
    assert_non_null(strstr(made.text, "too many keys to list"));
    cfi_store_close(&inner.inner);
}

static void a_failing_allocation_is_said_and_heals(void **state)
{
    (void)state;
    size_t count;
    const cfi_store_request *kinds = every_kind(&count);
    for (size_t i = 0; i < count; i++) {
        cfi_store_server whole = new_filled_server(), server = new_filled_server();
        const answered expected = ask(&whole, 1, kinds[i]);
        cfi_frame *frame = request_frame((asker){UNIT, 1}, kinds[i]);
        uint64_t failures = 0;
        bool is_done = false;
        for (; !is_done; failures++) {
            cfi_frame *answer;
            cfi_store_reply reply;
            cfi_alloc_fail_after(failures);
            const cf_status status = cfi_store_server_answer(&server, frame, &answer, NULL);
            cfi_alloc_fail_after(UINT64_MAX);
            assert_true(status == CF_OK || status == CF_E_MEMORY);
            if (status == CF_OK) {
                assert_int_equal(cfi_store_reply_read(answer, &reply, NULL), CF_OK);
                is_done = reply.outcome != CFI_STORE_FAILED;
                assert_true(!is_done || reply.outcome == expected.outcome);
                cfi_frame_unref(answer);
            }
        }
        assert_true(failures > 1);
        cfi_frame_unref(frame);
        if (kinds[i].kind == CFI_STORE_LEASE) { /* one that nobody learned of may have been taken */
            assert_true(take_lease(&server, (asker){UNIT, 0}, 0) > 4);
        } else {
            const answered again = ask(&server, 1, kinds[i]);
            assert_int_equal(again.outcome, expected.outcome);
            assert_memory_equal(again.text, expected.text, sizeof again.text);
        }
        cfi_store_close(&server.store);
        cfi_store_close(&whole.store);
    }
}

/* ---- What is malformed ---- */

/* A frame of the same header and `size` bytes of payload: those of `frame`, then zeros. */
static cfi_frame *resized(const cfi_frame *frame, size_t size)
{
    cfi_frame *made;
    assert_int_equal(cfi_frame_new(&frame->header, size, &made, NULL), CF_OK);
    memcpy(cfi_frame_payload(made), cfi_frame_payload(frame), size < frame->payload_size ? size : frame->payload_size);
    return made;
}

/* Neither answered nor counted; what was given to be filled is untouched. */
static void check_malformed(cfi_frame *frame)
{
    cfi_store_server server = new_server(0);
    cfi_frame *answer = frame;
    cf_error error = {0};
    cfi_frame_seal(frame);
    assert_int_equal(cfi_store_server_answer(&server, frame, &answer, &error), CF_E_DATA);
    assert_ptr_equal(answer, frame);
    assert_int_equal(server.requests, 0);
    assert_non_null(strstr(error.text, "store "));
    cfi_frame_unref(frame);
    cfi_store_close(&server.store);
}

static void requests_cut_or_lengthened_anywhere_are_refused(void **state)
{
    (void)state;
    size_t count;
    const cfi_store_request *kinds = every_kind(&count);
    for (size_t i = 0; i < count; i++) {
        cfi_frame *frame = request_frame((asker){UNIT, 1}, kinds[i]);
        for (size_t size = 0; size < frame->payload_size + 20u; size++) {
            if (size != frame->payload_size) {
                check_malformed(resized(frame, size));
            }
        }
        cfi_frame_unref(frame);
    }
}

typedef struct planted_bytes {
    int request; /* of every_kind */
    size_t at;
    unsigned char bytes[4];
    size_t size;
} planted_bytes;

static void requests_wrong_in_one_place_are_refused(void **state)
{
    (void)state;
    static const planted_bytes cases[] = {
        {0, 0, {0}, 1}, {0, 0, {7}, 1}, {0, 0, {255}, 1},                   /* kinds */
        {0, 1, {1}, 1}, {2, 1, {2}, 1}, {2, 1, {0}, 1}, {1, 1, {1}, 1},     /* flags */
        {0, 2, {2}, 1}, {0, 2, {192}, 1}, {0, 2, {255, 255}, 2},            /* the key's size */
        {0, 4, {3}, 1}, {0, 4, {5}, 1}, {0, 4, {255, 255, 255, 255}, 4},    /* the value's */
        {2, 16, {2}, 1}, {2, 16, {255, 255, 255, 255}, 4}, {0, 16, {1}, 1}, /* the expected's */
        {0, 20, {1}, 1}, {0, 23, {1}, 1},                                   /* zeros */
        {0, REQUEST_KEY_AT, {0}, 1}, {0, REQUEST_KEY_AT + 1, {'\n'}, 1},    /* in the key */
        {0, REQUEST_KEY_AT + 3, {1}, 1}, {0, REQUEST_KEY_AT + 7, {1}, 1},   /* after the key */
        {0, 0, {CFI_STORE_GET}, 1}, {0, 0, {CFI_STORE_LIST}, 1},            /* kinds that have no value */
        {2, 0, {CFI_STORE_PUT}, 1}, {2, 0, {CFI_STORE_LEASE}, 1},
    };
    size_t count;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cfi_frame *frame = request_frame((asker){UNIT, 1}, every_kind(&count)[cases[i].request]);
        memcpy(cfi_frame_payload(frame) + cases[i].at, cases[i].bytes, cases[i].size);
        check_malformed(frame);
    }
    for (int kind = CFI_STORE_GET; kind <= CFI_STORE_CAS; kind++) { /* those that need a key */
        check_malformed(request_frame((asker){UNIT, 1}, (cfi_store_request){.kind = (cfi_store_request_kind)kind,
                                                                           .key = ""}));
    }
    cfi_frame *frame = request_frame((asker){UNIT, 1}, get_of("k"));
    frame->header.kind = CFI_FRAME_STORE_REPLY;
    check_malformed(frame);
}

/* Sizes that add up to the right sum only beyond 32 bits. */
static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    cfi_frame *frame = request_frame((asker){UNIT, 1}, cas_of("head", "expected", "value"));
    memset(cfi_frame_payload(frame) + 4, 0xff, 4);
    const uint32_t expected_size = 8 + 5 + 1;
    memcpy(cfi_frame_payload(frame) + 16, &expected_size, sizeof expected_size);
    check_malformed(frame);
}

static cfi_frame *reply_frame(cfi_store_request_kind kind, cfi_store_outcome outcome, const char *value)
{
    cfi_frame *request = request_frame((asker){UNIT, 1}, get_of("key")), *frame;
    const cfi_store_reply reply = {.kind = kind, .outcome = outcome, .generation = 77, .key = "key", .value = value,
                                   .value_size = strlen(value)};
    assert_int_equal(cfi_store_reply_frame(request, SERVER_UNIT, &reply, &frame, NULL), CF_OK);
    cfi_frame_unref(request);
    return frame;
}

static void check_reply_malformed(cfi_frame *frame)
{
    cfi_store_reply reply = {.generation = 5};
    cfi_frame_seal(frame);
    assert_int_equal(cfi_store_reply_read(frame, &reply, NULL), CF_E_DATA);
    assert_int_equal(reply.generation, 5);
    cfi_frame_unref(frame);
}

static void malformed_replies_are_refused(void **state)
{
    (void)state;
    static const planted_bytes cases[] = {
        {0, 0, {0}, 1}, {0, 0, {7}, 1}, {0, 1, {7}, 1}, {0, 1, {255}, 1}, {0, 2, {4}, 1}, {0, 2, {255, 255}, 2},
        {0, 4, {3}, 1}, {0, 4, {255, 255, 255, 255}, 4}, {0, REPLY_KEY_AT, {0}, 1}, {0, REPLY_KEY_AT, {'\n'}, 1},
        {0, REPLY_KEY_AT + 3, {1}, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cfi_frame *frame = reply_frame(CFI_STORE_GET, CFI_STORE_DONE, "five!");
        memcpy(cfi_frame_payload(frame) + cases[i].at, cases[i].bytes, cases[i].size);
        check_reply_malformed(frame);
    }
    cfi_frame *whole = reply_frame(CFI_STORE_GET, CFI_STORE_DONE, "five!");
    for (size_t size = 0; size < whole->payload_size + 20u; size++) {
        if (size != whole->payload_size) {
            check_reply_malformed(resized(whole, size));
        }
    }
    cfi_frame_unref(whole);
    check_reply_malformed(reply_frame(CFI_STORE_LEASE, CFI_STORE_DONE, "five!"));
    cfi_frame *other = reply_frame(CFI_STORE_GET, CFI_STORE_DONE, "");
    other->header.kind = CFI_FRAME_STORE_REQUEST;
    check_reply_malformed(other);
}

static void what_does_not_fit_into_a_request_is_refused(void **state)
{
    (void)state;
    const cfi_frame_header base = {.source_unit = UNIT};
    char key[CFI_STORE_KEY_SIZE_MAX + 1] = {0};
    memset(key, 'k', CFI_STORE_KEY_SIZE_MAX);
    cfi_frame *frame = NULL;
    cfi_store_request request = put_of(key, "x");
    assert_int_equal(cfi_store_request_frame(&base, &request, &frame, NULL), CF_E_LIMIT);
    key[CFI_STORE_KEY_SIZE_MAX - 1] = '\0';
    assert_int_equal(cfi_store_request_frame(&base, &request, &frame, NULL), CF_OK);
    cfi_frame_unref(frame);
    frame = NULL;
    request.value_size = CFI_STORE_VALUE_MAX + 1;
    assert_int_equal(cfi_store_request_frame(&base, &request, &frame, NULL), CF_E_LIMIT);
    request = cas_of("head", "x", "y");
    request.expected_size = SIZE_MAX;
    assert_int_equal(cfi_store_request_frame(&base, &request, &frame, NULL), CF_E_LIMIT);
    request.expected_size = CFI_STORE_VALUE_MAX; /* each fits, both do not */
    request.value_size = CFI_STORE_VALUE_MAX;
    assert_int_equal(cfi_store_request_frame(&base, &request, &frame, NULL), CF_E_LIMIT);
    assert_null(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_got),
        cmocka_unit_test(a_refused_cas_says_what_is_there),
        cmocka_unit_test(a_cas_meant_for_another_generation_is_refused),
        cmocka_unit_test(a_list_has_the_keys_of_the_prefix_in_order),
        cmocka_unit_test(only_keys_that_end_in_a_number_below_the_limit_are_removed),
        cmocka_unit_test(many_keys_are_removed_at_once),
        cmocka_unit_test(each_lease_is_above_all_before_and_above_its_floor),
        cmocka_unit_test(what_an_earlier_incarnation_wants_to_change_is_refused),
        cmocka_unit_test(a_lease_is_changed_by_taking_it_only),
        cmocka_unit_test(a_lease_that_is_none_is_said),
        cmocka_unit_test(a_full_store_is_answered_with_its_text),
        cmocka_unit_test(a_failing_back_end_is_answered_with_its_text),
        cmocka_unit_test(a_rival_for_leases_is_said),
        cmocka_unit_test(a_list_too_long_for_a_reply_is_said),
        cmocka_unit_test(a_failing_allocation_is_said_and_heals),
        cmocka_unit_test(requests_cut_or_lengthened_anywhere_are_refused),
        cmocka_unit_test(requests_wrong_in_one_place_are_refused),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(malformed_replies_are_refused),
        cmocka_unit_test(what_does_not_fit_into_a_request_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
