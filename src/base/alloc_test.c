#include "base/alloc.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static int reset_hook(void **state)
{
    (void)state;
    cfi_alloc_fail_after(UINT64_MAX);
    return 0;
}

static void memory_comes_zeroed(void **state)
{
    (void)state;
    static const unsigned char zeros[3000];
    unsigned char *plain = cfi_calloc(1000, 3);
    unsigned char *aligned = cfi_aligned_calloc(1000, 3);
    assert_non_null(plain);
    assert_non_null(aligned);
    assert_memory_equal(plain, zeros, sizeof zeros);
    assert_memory_equal(aligned, zeros, sizeof zeros);
    cfi_free(plain);
    cfi_aligned_free(aligned);
}

static void aligned_memory_starts_on_a_cache_line(void **state)
{
    (void)state;
    for (size_t size = 1; size < 300; size += 7) {
        void *memory = cfi_aligned_calloc(size, 1);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 64, 0);
        memset(memory, 0xff, size);
        cfi_aligned_free(memory);
    }
}

static void nothing_asked_for_is_a_pointer_that_may_be_freed(void **state)
{
    (void)state;
    void *no_items = cfi_calloc(0, 8);
    void *no_bytes = cfi_aligned_calloc(8, 0);
    assert_non_null(no_items);
    assert_non_null(no_bytes);
    cfi_free(no_items);
    cfi_aligned_free(no_bytes);
    cfi_free(NULL);
    cfi_aligned_free(NULL);
}

/* The products are 2^64 + 2 and 2^64: a check that multiplies first would see 2 and 0. volatile, so that the
 * compiler does not judge the sizes before the code does. */
static void an_overflowing_size_is_refused(void **state)
{
    (void)state;
    const volatile size_t half = SIZE_MAX / 2 + 2, root = (size_t)1 << 32;
    assert_null(cfi_calloc(half, 2));
    assert_null(cfi_calloc(root, root));
    assert_null(cfi_aligned_calloc(root, root));
    char *alive = cfi_strdup("alive");
    assert_non_null(alive);
    assert_null(cfi_realloc(alive, half, 2));
    assert_string_equal(alive, "alive");
    cfi_free(alive);
}

static void growing_keeps_what_was_there(void **state)
{
    (void)state;
    int *values = cfi_realloc(NULL, 4, sizeof *values);
    assert_non_null(values);
    for (int i = 0; i < 4; i++) {
        values[i] = i * i;
    }
    int *grown = cfi_realloc(values, 4000, sizeof *values);
    assert_non_null(grown);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(grown[i], i * i);
    }
    cfi_free(grown);
}

static void every_kind_of_allocation_is_counted(void **state)
{
    (void)state;
    const uint64_t before = cfi_alloc_count();
    void *plain = cfi_calloc(1, 1);
    void *aligned = cfi_aligned_calloc(1, 1);
    char *copy = cfi_strdup("x");
    plain = cfi_realloc(plain, 2, 1);
    assert_int_equal(cfi_alloc_count() - before, 4);
    cfi_free(plain);
    cfi_aligned_free(aligned);
    cfi_free(copy);
    assert_int_equal(cfi_alloc_count() - before, 4);
}

static void the_hook_fails_the_nth_allocation_and_all_after(void **state)
{
    (void)state;
    cfi_alloc_fail_after(2);
    void *first = cfi_calloc(1, 1);
    char *second = cfi_strdup("second");
    assert_non_null(first);
    assert_non_null(second);
    assert_null(cfi_aligned_calloc(1, 1));
    assert_null(cfi_calloc(1, 1));
    assert_null(cfi_strdup("third"));
    assert_null(cfi_realloc(second, 100, 1));
    assert_string_equal(second, "second");
    cfi_alloc_fail_after(UINT64_MAX);
    void *again = cfi_calloc(1, 1);
    assert_non_null(again);
    cfi_free(again);
    cfi_free(second);
    cfi_free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_comes_zeroed),
        cmocka_unit_test(aligned_memory_starts_on_a_cache_line),
        cmocka_unit_test(nothing_asked_for_is_a_pointer_that_may_be_freed),
        cmocka_unit_test(an_overflowing_size_is_refused),
        cmocka_unit_test(growing_keeps_what_was_there),
        cmocka_unit_test(every_kind_of_allocation_is_counted),
        cmocka_unit_test_teardown(the_hook_fails_the_nth_allocation_and_all_after, reset_hook),
    };
    return cmocka_run_group_tests_name("base.alloc", tests, NULL, NULL);
}
