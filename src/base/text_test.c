#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"

static int reset_hook(void **state)
{
    (void)state;
    cfi_alloc_fail_after(UINT64_MAX);
    return 0;
}

static void text_grows_as_it_is_added_to(void **state)
{
    (void)state;
    cfi_text text = {0};
    char expected[8000] = "";
    for (int i = 0; i < 1000; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d,", i);
        strncat(expected, number, sizeof expected - strlen(expected) - 1);
        cfi_text_add(&text, "%d,", i);
    }
    cfi_text_add_bytes(&text, "end", 3);
    strncat(expected, "end", sizeof expected - strlen(expected) - 1);
    assert_int_equal(text.status, CF_OK);
    assert_string_equal(text.data, expected);
    assert_int_equal(text.length, strlen(expected));
    cfi_text_fini(&text);
    assert_null(text.data);
}

static void taking_hands_over_the_buffer_and_empties_the_text(void **state)
{
    (void)state;
    cfi_text text = {0};
    cfi_text_add(&text, "one");
    char *taken = cfi_text_take(&text);
    assert_string_equal(taken, "one");
    assert_null(text.data);
    assert_int_equal(text.length, 0);
    cfi_text_add(&text, "two");
    assert_string_equal(text.data, "two");
    cfi_text_fini(&text);
    cfi_free(taken);
}

static void taking_from_an_empty_text_is_an_empty_string(void **state)
{
    (void)state;
    cfi_text text = {0};
    char *taken = cfi_text_take(&text);
    assert_string_equal(taken, "");
    cfi_free(taken);
}

static void text_may_reach_its_limit_and_not_pass_it(void **state)
{
    (void)state;
    cfi_text text = {.length_max = 5};
    cfi_text_add(&text, "12345");
    assert_int_equal(text.status, CF_OK);
    cfi_text_add_bytes(&text, "", 0);
    assert_int_equal(text.status, CF_OK);
    cfi_text_add(&text, "6");
    assert_int_equal(text.status, CF_E_LIMIT);
    assert_string_equal(text.data, "12345");
    assert_null(cfi_text_take(&text));
}

static void the_first_failure_stays_and_later_adds_do_nothing(void **state)
{
    (void)state;
    cfi_text text = {0};
    cfi_text_add(&text, "kept");
    cfi_alloc_fail_after(0);
    char lengthy[1000];
    memset(lengthy, 'x', sizeof lengthy);
    cfi_text_add_bytes(&text, lengthy, sizeof lengthy);
    assert_int_equal(text.status, CF_E_MEMORY);
    cfi_alloc_fail_after(UINT64_MAX);
    cfi_text_add(&text, "ignored");
    assert_string_equal(text.data, "kept");
    assert_null(cfi_text_take(&text));
    assert_int_equal(text.status, CF_OK);
}

static void names_are_copied_whole_or_reported_as_cut(void **state)
{
    (void)state;
    char name[5];
    assert_true(cfi_copy_name(name, sizeof name, "four"));
    assert_string_equal(name, "four");
    assert_false(cfi_copy_name(name, sizeof name, "fiver"));
    assert_string_equal(name, "five");
    assert_true(cfi_copy_name(name, sizeof name, ""));
    assert_string_equal(name, "");
}

static void the_edit_distance_counts_insertions_deletions_and_replacements(void **state)
{
    (void)state;
    assert_int_equal(cfi_edit_distance("", ""), 0);
    assert_int_equal(cfi_edit_distance("units", "units"), 0);
    assert_int_equal(cfi_edit_distance("unit", "units"), 1);
    assert_int_equal(cfi_edit_distance("units", "unts"), 1);
    assert_int_equal(cfi_edit_distance("bath", "batch"), 1);
    assert_int_equal(cfi_edit_distance("", "abc"), 3);
    assert_int_equal(cfi_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(cfi_edit_distance("sitting", "kitten"), 3);
}

static void names_over_64_bytes_are_never_near(void **state)
{
    (void)state;
    char longest[66];
    memset(longest, 'a', sizeof longest);
    longest[64] = '\0';
    assert_int_equal(cfi_edit_distance(longest, longest), 0);
    longest[64] = 'a';
    longest[65] = '\0';
    assert_true(cfi_edit_distance(longest, longest) == SIZE_MAX);
    assert_true(cfi_edit_distance("a", longest) == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_as_it_is_added_to),
        cmocka_unit_test(taking_hands_over_the_buffer_and_empties_the_text),
        cmocka_unit_test(taking_from_an_empty_text_is_an_empty_string),
        cmocka_unit_test(text_may_reach_its_limit_and_not_pass_it),
        cmocka_unit_test_teardown(the_first_failure_stays_and_later_adds_do_nothing, reset_hook),
        cmocka_unit_test(names_are_copied_whole_or_reported_as_cut),
        cmocka_unit_test(the_edit_distance_counts_insertions_deletions_and_replacements),
        cmocka_unit_test(names_over_64_bytes_are_never_near),
    };
    return cmocka_run_group_tests_name("base.text", tests, NULL, NULL);
}
