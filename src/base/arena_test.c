#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/arena.h"

static void check_pieces(bool thrifty)
{
    enum { PIECES = 40 };
    cfi_arena arena = {.thrifty = thrifty};
    unsigned char *pieces[PIECES];
    size_t sizes[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        sizes[i] = i * i * 3001 + i % 3; /* together some 60 MB: several chunks, some of one piece */
        pieces[i] = cfi_arena_take(&arena, sizes[i], 1);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 64, 0);
        for (size_t k = 0; k < sizes[i]; k++) {
            assert_int_equal(pieces[i][k], 0);
        }
        memset(pieces[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < PIECES; i++) {
        for (size_t k = 0; k < sizes[i]; k++) {
            assert_int_equal(pieces[i][k], i + 1);
        }
    }
    cfi_arena_fini(&arena);
    assert_null(arena.newest);
    cfi_arena_fini(&arena);
}

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    check_pieces(false);
    check_pieces(true);
}

static void failures_leave_what_was_taken(void **state)
{
    (void)state;
    cfi_arena arena = {0};
    char *first = cfi_arena_take(&arena, 100, 1);
    assert_non_null(first);
    assert_null(cfi_arena_take(&arena, SIZE_MAX / 2, 8));
    cfi_alloc_fail_after(0);
    void *none = cfi_arena_take(&arena, 64u << 20, 1);
    cfi_alloc_fail_after(UINT64_MAX);
    assert_null(none);
    memset(first, 1, 100);
    assert_non_null(cfi_arena_take(&arena, 0, 4));
    cfi_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(failures_leave_what_was_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
