/* What every store's back end must do, as tests. A plug-in's own file says how to open it and what it is known not to
 * promise, and calls store_contract_run(). */
#ifndef CF_TESTS_STORE_CONTRACT_H
#define CF_TESTS_STORE_CONTRACT_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "store/store.h"

typedef struct store_subject {
    const char *name;        /* as in cfi_store_open */
    bool is_lasting;         /* what it acknowledged survives close and kill -9 */
    bool is_exclusive;       /* refuses a second process */
    int64_t full_size;       /* size_max at which some MiB fill it; 0: it knows no limit */
    const char *full_cure;   /* in the text of the failure then */
    size_t value_max;        /* largest value that the tests write */
} store_subject;

typedef struct store_fixture {
    const store_subject *subject;
    char folder[64];
    cfi_store store;
    bool is_open;
} store_fixture;

/* ---- Values that can be recognised ---- */

static inline void *make_value(uint64_t number, size_t size)
{
    unsigned char *bytes = malloc(size + 1);
    assert_non_null(bytes);
    uint64_t word = number * 0x9E3779B97F4A7C15u + size;
    for (size_t i = 0; i < size; i++) {
        word = word * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (unsigned char)(word >> 56);
    }
    return bytes;
}

static inline cf_status put_value(const cfi_store *store, const char *key, uint64_t number, size_t size,
                                  cf_error *error)
{
    void *bytes = make_value(number, size);
    const cf_status status = store->ops->put(store->self, key, bytes, size, error);
    free(bytes);
    return status;
}

static inline bool has_value(const cfi_store *store, const char *key, uint64_t number, size_t size)
{
    const void *found;
    size_t found_size;
    if (store->ops->get(store->self, key, &found, &found_size, NULL) != CF_OK || found_size != size) {
        return false;
    }
    void *bytes = make_value(number, size);
    const bool same = memcmp(found, bytes, size) == 0;
    free(bytes);
    return same;
}

static inline bool is_absent(const cfi_store *store, const char *key)
{
    const void *found;
    size_t size;
    return store->ops->get(store->self, key, &found, &size, NULL) == CF_E_NOT_FOUND;
}

/* ---- Opening ---- */

static inline cf_status try_open(const store_fixture *fixture, int64_t size_max, cfi_store *store, cf_error *error)
{
    const cfi_store_options options = {.folder = fixture->folder, .size_max = size_max};
    return cfi_store_open(fixture->subject->name, &options, store, error);
}

static inline void open_sized(store_fixture *fixture, int64_t size_max)
{
    cf_error error = {0};
    if (fixture->is_open) {
        cfi_store_close(&fixture->store);
    }
    fixture->is_open = false;
    if (try_open(fixture, size_max, &fixture->store, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    fixture->is_open = true;
}

static inline int store_setup(void **state)
{
    store_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->subject = *state;
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/cuttlefish-store-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    open_sized(fixture, 0);
    *state = fixture;
    return 0;
}

static inline int store_teardown(void **state)
{
    store_fixture *fixture = *state;
    char command[128];
    cfi_alloc_fail_after(UINT64_MAX);
    if (fixture->is_open) {
        cfi_store_close(&fixture->store);
    }
    (void)snprintf(command, sizeof command, "rm -rf '%s'", fixture->folder);
    const int code = system(command);
    free(fixture);
    return code;
}

/* ---- Values ---- */

static inline void what_is_put_is_got_in_every_size(void **state)
{
    store_fixture *fixture = *state;
    const size_t sizes[] = {0, 1, 7, 4095, 4096, 4097, 100000, fixture->subject->value_max};
    char key[16];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        (void)snprintf(key, sizeof key, "v/%zu", i);
        assert_true(is_absent(&fixture->store, key));
        assert_int_equal(put_value(&fixture->store, key, i, sizes[i], NULL), CF_OK);
        assert_true(has_value(&fixture->store, key, i, sizes[i]));
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        (void)snprintf(key, sizeof key, "v/%zu", i);
        assert_true(has_value(&fixture->store, key, i, sizes[i]));
    }
}

static inline void a_value_is_never_put_over_another(void **state)
{
    store_fixture *fixture = *state;
    const cfi_store *store = &fixture->store;
    cf_error error;
    for (size_t size = 0; size <= 8192; size += 2048) {
        char key[16];
        (void)snprintf(key, sizeof key, "v/%zu", size);
        assert_int_equal(put_value(store, key, 1, size, NULL), CF_OK);
        assert_int_equal(put_value(store, key, 1, size, NULL), CF_OK);
        assert_int_equal(put_value(store, key, 1, size + 1, &error), CF_E_EXISTS);
        assert_non_null(strstr(error.text, key));
        if (size > 0) {
            assert_int_equal(put_value(store, key, 2, size, NULL), CF_E_EXISTS);
            assert_int_equal(put_value(store, key, 1, size - 1, NULL), CF_E_EXISTS);
        }
        assert_true(has_value(store, key, 1, size));
    }
}

static inline void cas_replaces_only_what_was_expected(void **state)
{
    store_fixture *fixture = *state;
    const cfi_store *store = &fixture->store;
    const cfi_store_ops *ops = store->ops;
    const void *value;
    size_t size;
    assert_int_equal(ops->cas(store->self, "head", "old", 3, "new", 3, NULL), CF_E_EXISTS);
    assert_true(is_absent(store, "head"));
    assert_int_equal(ops->cas(store->self, "head", "", 0, "new", 3, NULL), CF_E_EXISTS); /* empty is not absent */
    assert_true(is_absent(store, "head"));
    assert_int_equal(ops->cas(store->self, "head", NULL, 0, "one", 3, NULL), CF_OK);
    assert_int_equal(ops->cas(store->self, "head", NULL, 0, "two", 3, NULL), CF_E_EXISTS);
    assert_int_equal(ops->cas(store->self, "head", "onE", 3, "two", 3, NULL), CF_E_EXISTS);
    assert_int_equal(ops->cas(store->self, "head", "on", 2, "two", 3, NULL), CF_E_EXISTS);
    assert_int_equal(ops->cas(store->self, "head", "one!", 4, "two", 3, NULL), CF_E_EXISTS);
    assert_int_equal(ops->get(store->self, "head", &value, &size, NULL), CF_OK);
    assert_true(size == 3 && memcmp(value, "one", 3) == 0);
    assert_int_equal(ops->cas(store->self, "head", "one", 3, "", 0, NULL), CF_OK);
    assert_int_equal(ops->get(store->self, "head", &value, &size, NULL), CF_OK);
    assert_int_equal(size, 0);
    assert_int_equal(ops->cas(store->self, "head", NULL, 0, "x", 1, NULL), CF_E_EXISTS);
    assert_int_equal(ops->cas(store->self, "head", "", 0, "longer than before", 18, NULL), CF_OK);
    assert_int_equal(ops->get(store->self, "head", &value, &size, NULL), CF_OK);
    assert_true(size == 18 && memcmp(value, "longer than before", 18) == 0);
}

static inline void what_is_removed_is_gone_and_may_be_put_anew(void **state)
{
    store_fixture *fixture = *state;
    const cfi_store *store = &fixture->store;
    assert_int_equal(store->ops->remove(store->self, "a", NULL), CF_OK);
    assert_int_equal(put_value(store, "a", 1, 10, NULL), CF_OK);
    assert_int_equal(put_value(store, "b", 2, 10, NULL), CF_OK);
    assert_int_equal(put_value(store, "c", 3, 10, NULL), CF_OK);
    assert_int_equal(store->ops->remove(store->self, "b", NULL), CF_OK);
    assert_int_equal(store->ops->remove(store->self, "b", NULL), CF_OK);
    assert_true(is_absent(store, "b"));
    assert_true(has_value(store, "a", 1, 10) && has_value(store, "c", 3, 10));
    assert_int_equal(put_value(store, "b", 4, 20, NULL), CF_OK);
    assert_true(has_value(store, "b", 4, 20));
}

/* ---- Keys ---- */

typedef struct seen_keys {
    char text[4096]; /* "key=size " */
    int left;        /* the callback returns false at the last */
} seen_keys;

static inline bool see_key(void *user, const char *key, size_t value_size)
{
    seen_keys *seen = user;
    const size_t length = strlen(seen->text);
    (void)snprintf(seen->text + length, sizeof seen->text - length, "%s=%zu ", key, value_size);
    return --seen->left > 0;
}

static inline void check_list(const cfi_store *store, const char *prefix, int count, const char *expected)
{
    seen_keys seen = {.left = count};
    assert_int_equal(store->ops->list(store->self, prefix, see_key, &seen, NULL), CF_OK);
    assert_string_equal(seen.text, expected);
}

static inline void keys_are_listed_in_byte_order_by_prefix(void **state)
{
    store_fixture *fixture = *state;
    const cfi_store *store = &fixture->store;
    const char *const keys[] = {"b/2", "a", "b/10", "b", "b/\xc3\xa9", "b0", "b/1", "c", "b/10/x"};
    check_list(store, "", 99, "");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        assert_int_equal(put_value(store, keys[i], i, i, NULL), CF_OK);
    }
    check_list(store, "", 99, "a=1 b=3 b/1=6 b/10=2 b/10/x=8 b/2=0 b/\xc3\xa9=4 b0=5 c=7 ");
    check_list(store, "b/", 99, "b/1=6 b/10=2 b/10/x=8 b/2=0 b/\xc3\xa9=4 ");
    check_list(store, "b/10", 99, "b/10=2 b/10/x=8 ");
    check_list(store, "b/1", 2, "b/1=6 b/10=2 ");
    check_list(store, "", 1, "a=1 ");
    check_list(store, "d", 99, "");
    check_list(store, "A", 99, "");
}

static inline void keys_of_every_length_up_to_the_maximum(void **state)
{
    store_fixture *fixture = *state;
    const cfi_store *store = &fixture->store;
    char key[CFI_STORE_KEY_SIZE_MAX + 1] = {0};
    for (size_t length = 1; length < CFI_STORE_KEY_SIZE_MAX; length++) {
        memset(key, 'k', length);
        assert_int_equal(put_value(store, key, length, length, NULL), CF_OK);
    }
    for (size_t length = 1; length < CFI_STORE_KEY_SIZE_MAX; length++) {
        memset(key, 0, sizeof key);
        memset(key, 'k', length);
        assert_true(has_value(store, key, length, length));
    }
    seen_keys seen = {.left = 1};
    assert_int_equal(store->ops->list(store->self, key, see_key, &seen, NULL), CF_OK);
    assert_memory_equal(seen.text, key, CFI_STORE_KEY_SIZE_MAX - 1);
    assert_int_equal(store->ops->remove(store->self, key, NULL), CF_OK);
    assert_true(is_absent(store, key));
}

static inline void check_key_refused(const cfi_store *store, const char *key)
{
    const cfi_store_ops *ops = store->ops;
    const void *value;
    size_t size;
    assert_int_equal(ops->put(store->self, key, "x", 1, NULL), CF_E_LIMIT);
    assert_int_equal(ops->cas(store->self, key, NULL, 0, "x", 1, NULL), CF_E_LIMIT);
    assert_int_equal(ops->get(store->self, key, &value, &size, NULL), CF_E_LIMIT);
    assert_int_equal(ops->remove(store->self, key, NULL), CF_E_LIMIT);
}

static inline void what_is_no_key_or_too_large_a_value_is_refused(void **state)
{
    store_fixture *fixture = *state;
    const cfi_store *store = &fixture->store;
    char key[2 * CFI_STORE_KEY_SIZE_MAX] = {0};
    cf_error error;
    check_key_refused(store, "");
    memset(key, 'k', CFI_STORE_KEY_SIZE_MAX);
    check_key_refused(store, key);
    check_list(store, key, 99, "");
    memset(key, 'k', sizeof key - 1);
    check_key_refused(store, key);
    /* Refused by its size alone: none of these bytes is read. */
    assert_int_equal(store->ops->put(store->self, "v", "x", CFI_STORE_VALUE_MAX + 1, &error), CF_E_LIMIT);
    assert_non_null(strstr(error.text, "268435456"));
    assert_int_equal(store->ops->cas(store->self, "v", NULL, 0, "x", SIZE_MAX, NULL), CF_E_LIMIT);
    check_list(store, "", 99, "");
}

/* ---- Lasting ---- */

static inline void what_was_acknowledged_is_there_after_reopening(void **state)
{
    store_fixture *fixture = *state;
    if (!fixture->subject->is_lasting) {
        skip();
    }
    assert_int_equal(put_value(&fixture->store, "a", 1, 0, NULL), CF_OK);
    assert_int_equal(put_value(&fixture->store, "b", 2, 100000, NULL), CF_OK);
    assert_int_equal(put_value(&fixture->store, "c", 3, 3, NULL), CF_OK);
    assert_int_equal(fixture->store.ops->cas(fixture->store.self, "head", NULL, 0, "1", 1, NULL), CF_OK);
    assert_int_equal(fixture->store.ops->cas(fixture->store.self, "head", "1", 1, "22", 2, NULL), CF_OK);
    assert_int_equal(fixture->store.ops->remove(fixture->store.self, "c", NULL), CF_OK);
    for (int i = 0; i < 3; i++) {
        open_sized(fixture, 0);
        check_list(&fixture->store, "", 99, "a=0 b=100000 head=2 ");
        assert_true(has_value(&fixture->store, "b", 2, 100000));
    }
}

static inline size_t size_of_put(uint64_t number)
{
    return (size_t)(number % 16 == 15 ? 300000 : number * 7919 % 9973);
}

/* The child's life: says each number once its put is acknowledged; every eighth also moves "head". */
static inline void put_until_killed(store_fixture *fixture, uint64_t number, int pipe_end)
{
    cfi_store store;
    if (try_open(fixture, 0, &store, NULL) != CF_OK) {
        _exit(1);
    }
    for (;; number++) {
        char key[32];
        (void)snprintf(key, sizeof key, "k/%llu", (unsigned long long)number);
        if (put_value(&store, key, number, size_of_put(number), NULL) != CF_OK ||
            write(pipe_end, &number, sizeof number) != sizeof number) {
            _exit(1);
        }
    }
}

/* Starts a child that puts from `*count` on, kills it after some acknowledgements, and counts them. */
static inline void one_life(store_fixture *fixture, int wanted, uint64_t *count)
{
    int ends[2], code;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        put_until_killed(fixture, *count, ends[1]);
    }
    (void)close(ends[1]);
    uint64_t number;
    for (int i = 0; read(ends[0], &number, sizeof number) == (ssize_t)sizeof number; i++) {
        assert_int_equal(number, *count);
        *count = number + 1;
        if (i == wanted) {
            assert_int_equal(kill(child, SIGKILL), 0);
        }
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFSIGNALED(code));
}

static inline void what_was_acknowledged_survives_kill(void **state)
{
    store_fixture *fixture = *state;
    if (!fixture->subject->is_lasting) {
        skip();
    }
    uint64_t count = 0;
    for (int life = 0; life < 20; life++) {
        cfi_store_close(&fixture->store);
        fixture->is_open = false;
        one_life(fixture, 3 + life * 5 % 23, &count);
        open_sized(fixture, 0);
        for (uint64_t i = 0; i <= count; i++) {
            char key[32];
            (void)snprintf(key, sizeof key, "k/%llu", (unsigned long long)i);
            /* The one after the last may have been written and not said: then all of it. */
            assert_true(has_value(&fixture->store, key, i, size_of_put(i)) ||
                        (i == count && is_absent(&fixture->store, key)));
        }
    }
    assert_true(count >= 20 * 4);
}

static inline void a_second_process_is_refused(void **state)
{
    store_fixture *fixture = *state;
    if (!fixture->subject->is_exclusive) {
        skip();
    }
    assert_int_equal(put_value(&fixture->store, "a", 1, 100, NULL), CF_OK);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        cfi_store second;
        cf_error error;
        const bool is_refused = try_open(fixture, 0, &second, &error) == CF_E_IO;
        _exit(is_refused && strstr(error.text, "another process") != NULL ? 0 : 1);
    }
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFEXITED(code) && WEXITSTATUS(code) == 0);
    assert_true(has_value(&fixture->store, "a", 1, 100));
    assert_int_equal(put_value(&fixture->store, "b", 1, 100, NULL), CF_OK);
}

/* ---- A store that is full ---- */

enum { FULL_VALUE = 100000, CRUMB = 1000 };

static inline const char *full_key(uint64_t number)
{
    static char key[32];
    (void)snprintf(key, sizeof key, "f/%06llu", (unsigned long long)number);
    return key;
}

/* Puts from `number` on until the store refuses; the number refused. */
static inline uint64_t fill(store_fixture *fixture, uint64_t number)
{
    cf_error error = {0};
    cf_status status;
    while ((status = put_value(&fixture->store, full_key(number), number, FULL_VALUE, &error)) == CF_OK) {
        number++;
        assert_true(number < 10000);
    }
    assert_int_equal(status, CF_E_LIMIT);
    assert_non_null(strstr(error.text, fixture->subject->full_cure));
    return number;
}

static inline void check_filled(const store_fixture *fixture, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        assert_true(has_value(&fixture->store, full_key(i), i, FULL_VALUE));
    }
    assert_true(is_absent(&fixture->store, full_key(to)));
}

static inline void a_full_store_says_so_and_works_again_after_remove(void **state)
{
    store_fixture *fixture = *state;
    if (fixture->subject->full_size == 0) {
        skip();
    }
    open_sized(fixture, fixture->subject->full_size);
    uint64_t end = fill(fixture, 0), begin = 0;
    assert_true(end > 8);
    for (int round = 0; round < 30; round++) {
        check_filled(fixture, begin, end);
        if (fixture->subject->is_lasting && round % 10 == 9) {
            open_sized(fixture, fixture->subject->full_size);
        }
        assert_int_equal(put_value(&fixture->store, full_key(begin), begin, FULL_VALUE, NULL), CF_OK); /* the same */
        assert_int_equal(fixture->store.ops->remove(fixture->store.self, full_key(begin), NULL), CF_OK);
        begin++;
        assert_int_equal(put_value(&fixture->store, full_key(end), end, FULL_VALUE, NULL), CF_OK);
        end++;
        end = fill(fixture, end);
    }
    for (; begin < end; begin++) {
        assert_int_equal(fixture->store.ops->remove(fixture->store.self, full_key(begin), NULL), CF_OK);
    }
    check_list(&fixture->store, "", 99, "");
    assert_true(fill(fixture, end) > end + 8);
}

/* A full store must still move HEAD, or nothing would ever be removed from it. */
static inline void a_full_store_still_replaces_small_values(void **state)
{
    store_fixture *fixture = *state;
    if (fixture->subject->full_size == 0) {
        skip();
    }
    open_sized(fixture, fixture->subject->full_size);
    char old[64] = "head 0", new[64];
    int crumbs = 0;
    assert_int_equal(fixture->store.ops->cas(fixture->store.self, "head", NULL, 0, old, sizeof old, NULL), CF_OK);
    const uint64_t end = fill(fixture, 0);
    char crumb[32];
    for (int i = 1; i < 500; i++) {
        cf_status status;
        do { /* whatever room a replacement left is taken again */
            (void)snprintf(crumb, sizeof crumb, "crumb/%d", ++crumbs);
            status = put_value(&fixture->store, crumb, 1, CRUMB, NULL);
        } while (status == CF_OK);
        assert_int_equal(status, CF_E_LIMIT);
        memset(new, 0, sizeof new);
        (void)snprintf(new, sizeof new, "head %d", i);
        assert_int_equal(fixture->store.ops->cas(fixture->store.self, "head", old, sizeof old, new, sizeof new, NULL),
                         CF_OK);
        memcpy(old, new, sizeof old);
    }
    check_filled(fixture, 0, end);
    for (uint64_t i = 0; i < end; i++) {
        assert_int_equal(fixture->store.ops->remove(fixture->store.self, full_key(i), NULL), CF_OK);
    }
    assert_true(fill(fixture, end) > end + 8);
}

static inline void a_smaller_limit_than_what_is_there_loses_nothing(void **state)
{
    store_fixture *fixture = *state;
    if (fixture->subject->full_size == 0 || !fixture->subject->is_lasting) {
        skip();
    }
    open_sized(fixture, fixture->subject->full_size);
    const uint64_t end = fill(fixture, 0);
    open_sized(fixture, fixture->subject->full_size / 4);
    check_filled(fixture, 0, end);
    assert_int_equal(put_value(&fixture->store, "more", 1, FULL_VALUE, NULL), CF_E_LIMIT);
    assert_int_equal(fixture->store.ops->remove(fixture->store.self, full_key(end - 1), NULL), CF_OK);
    check_filled(fixture, 0, end - 1);
    open_sized(fixture, fixture->subject->full_size * 2);
    check_filled(fixture, 0, end - 1);
    assert_int_equal(put_value(&fixture->store, "more", 1, FULL_VALUE, NULL), CF_OK);
}

/* Nothing of a large value's room may be lost or late: there is no other. */
static inline void a_large_value_fits_where_one_was_removed(void **state)
{
    store_fixture *fixture = *state;
    const size_t size = fixture->subject->value_max;
    if (fixture->subject->full_size == 0) {
        skip();
    }
    open_sized(fixture, (int64_t)size * 4);
    uint64_t begin = 0, end = 0;
    while (put_value(&fixture->store, full_key(end), end, size, NULL) == CF_OK) {
        end++;
    }
    assert_true(end == 3 || end == 4);
    for (int round = 0; round < 6; round++) {
        if (fixture->subject->is_lasting) { /* with a limit far below what is there */
            open_sized(fixture, (int64_t)size / 4);
        }
        assert_int_equal(fixture->store.ops->remove(fixture->store.self, full_key(begin), NULL), CF_OK);
        begin++;
        if (fixture->subject->is_lasting) {
            open_sized(fixture, (int64_t)size * 4);
        }
        assert_int_equal(put_value(&fixture->store, full_key(end), end, size, NULL), CF_OK);
        end++;
        assert_int_equal(put_value(&fixture->store, full_key(end), end, size, NULL), CF_E_LIMIT);
    }
    for (; begin < end; begin++) {
        assert_true(has_value(&fixture->store, full_key(begin), begin, size));
        assert_int_equal(fixture->store.ops->remove(fixture->store.self, full_key(begin), NULL), CF_OK);
    }
    check_list(&fixture->store, "", 99, "");
}

/* ---- Short of memory ---- */

/* Every operation with so many allocations allowed: done or CF_E_MEMORY, and the store holds the old or the new. */
static inline bool check_short_of_memory(const cfi_store *store, uint64_t number, uint64_t allowed)
{
    char key[32];
    (void)snprintf(key, sizeof key, "m/%llu", (unsigned long long)number);
    cfi_alloc_fail_after(allowed);
    const cf_status put = store->ops->put(store->self, key, "abc", 3, NULL);
    const cf_status cas = store->ops->cas(store->self, "head", "same", 4, "same", 4, NULL);
    seen_keys seen = {.left = 99};
    const cf_status list = store->ops->list(store->self, "head", see_key, &seen, NULL);
    cfi_alloc_fail_after(UINT64_MAX);
    assert_true(put == CF_OK || put == CF_E_MEMORY);
    assert_true(cas == CF_OK || cas == CF_E_MEMORY);
    assert_true(list == CF_OK ? strcmp(seen.text, "head=4 ") == 0 : list == CF_E_MEMORY);
    const void *value;
    size_t size;
    if (put == CF_OK) {
        assert_int_equal(store->ops->get(store->self, key, &value, &size, NULL), CF_OK);
        assert_true(size == 3 && memcmp(value, "abc", 3) == 0);
    } else {
        assert_true(is_absent(store, key));
    }
    assert_int_equal(store->ops->get(store->self, "head", &value, &size, NULL), CF_OK);
    assert_true(size == 4 && memcmp(value, "same", 4) == 0);
    return put == CF_OK && cas == CF_OK && list == CF_OK;
}

static inline void a_failing_allocation_while_opening_is_said(void **state)
{
    store_fixture *fixture = *state;
    assert_int_equal(put_value(&fixture->store, "a", 1, 5000, NULL), CF_OK);
    if (fixture->subject->is_exclusive) {
        cfi_store_close(&fixture->store);
        fixture->is_open = false;
    }
    cf_status status = CF_E_MEMORY;
    for (uint64_t n = 0; status != CF_OK; n++) {
        cfi_store store = {0};
        cfi_alloc_fail_after(n);
        status = try_open(fixture, 0, &store, NULL);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_true(status == CF_OK || (status == CF_E_MEMORY && store.ops == NULL && n < 1000));
        assert_true(status != CF_OK || !fixture->subject->is_lasting || has_value(&store, "a", 1, 5000));
        cfi_store_close(&store);
    }
}

static inline void a_failing_allocation_changes_nothing(void **state)
{
    store_fixture *fixture = *state;
    const cfi_store *store = &fixture->store;
    assert_int_equal(store->ops->cas(store->self, "head", NULL, 0, "same", 4, NULL), CF_OK);
    int passed = 0;
    for (uint64_t n = 0; n < 100; n++) { /* so many that tables of keys grow at each number of allocations */
        passed += check_short_of_memory(store, n, n % 7);
        assert_int_equal(put_value(store, full_key(n), n, 10, NULL), CF_OK);
    }
    assert_true(passed > 0);
    for (uint64_t n = 0; n < 100; n++) {
        assert_true(has_value(store, full_key(n), n, 10));
    }
}

static inline int store_contract_run(const store_subject *subject)
{
#define STORE_CASE(name) {#name, name, store_setup, store_teardown, (void *)(uintptr_t)subject}
    const struct CMUnitTest tests[] = {
        STORE_CASE(what_is_put_is_got_in_every_size),
        STORE_CASE(a_value_is_never_put_over_another),
        STORE_CASE(cas_replaces_only_what_was_expected),
        STORE_CASE(what_is_removed_is_gone_and_may_be_put_anew),
        STORE_CASE(keys_are_listed_in_byte_order_by_prefix),
        STORE_CASE(keys_of_every_length_up_to_the_maximum),
        STORE_CASE(what_is_no_key_or_too_large_a_value_is_refused),
        STORE_CASE(what_was_acknowledged_is_there_after_reopening),
        STORE_CASE(what_was_acknowledged_survives_kill),
        STORE_CASE(a_second_process_is_refused),
        STORE_CASE(a_full_store_says_so_and_works_again_after_remove),
        STORE_CASE(a_full_store_still_replaces_small_values),
        STORE_CASE(a_smaller_limit_than_what_is_there_loses_nothing),
        STORE_CASE(a_large_value_fits_where_one_was_removed),
        STORE_CASE(a_failing_allocation_while_opening_is_said),
        STORE_CASE(a_failing_allocation_changes_nothing),
    };
#undef STORE_CASE
    return cmocka_run_group_tests_name(subject->name, tests, NULL, NULL);
}

#endif
