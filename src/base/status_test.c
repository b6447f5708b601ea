#include "base/status.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void every_status_has_its_own_text(void **state)
{
    (void)state;
    const char *const texts[] = {
#define STATUS_TEXT(name, number, text) cf_status_text(CF_##name),
        CF_STATUS_MAP(STATUS_TEXT)
#undef STATUS_TEXT
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_non_null(texts[i]);
        assert_string_not_equal(texts[i], "unknown status");
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(texts[i], texts[j]);
        }
    }
    assert_string_equal(cf_status_text(CF_OK), "success");
}

/* Numbers are part of the public interface: programs compiled against an older header must keep their meaning. */
static void status_numbers_run_from_0_downwards(void **state)
{
    (void)state;
    int expected = 0;
#define CHECK_NUMBER(name, number, text) assert_int_equal(CF_##name, expected--);
    CF_STATUS_MAP(CHECK_NUMBER)
#undef CHECK_NUMBER
}

static void a_number_outside_the_table_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(cf_status_text((cf_status)-9999), "unknown status");
}

static void failing_sets_code_and_text(void **state)
{
    (void)state;
    cf_error error = {CF_OK, ""};
    assert_int_equal(cfi_fail(&error, CF_E_DATA, "%s: %d samples", "a.idx", 3), CF_E_DATA);
    assert_int_equal(error.code, CF_E_DATA);
    assert_string_equal(error.text, "a.idx: 3 samples");
}

static void failing_with_errno_appends_its_reason(void **state)
{
    (void)state;
    cf_error error;
    assert_int_equal(cfi_fail_errno(&error, CF_E_IO, ENOSPC, "%s: cannot write", "run/x"), CF_E_IO);
    assert_string_equal(error.text, "run/x: cannot write: No space left on device");
}

static void running_out_of_memory_names_what_for(void **state)
{
    (void)state;
    cf_error error;
    assert_int_equal(cfi_fail_memory(&error, "the layers"), CF_E_MEMORY);
    assert_string_equal(error.text, "out of memory for the layers");
}

static void nobody_has_to_want_the_text(void **state)
{
    (void)state;
    assert_int_equal(cfi_fail(NULL, CF_E_DATA, "x"), CF_E_DATA);
    assert_int_equal(cfi_fail_errno(NULL, CF_E_IO, EIO, "x"), CF_E_IO);
    assert_int_equal(cfi_fail_memory(NULL, "x"), CF_E_MEMORY);
    cfi_error_prefix(NULL, "x");
}

static void a_prefix_comes_before_and_leaves_the_code(void **state)
{
    (void)state;
    cf_error error;
    (void)cfi_fail(&error, CF_E_SHAPE, "28 is not 32");
    cfi_error_prefix(&error, "layer '%s'", "conv1");
    assert_int_equal(error.code, CF_E_SHAPE);
    assert_string_equal(error.text, "layer 'conv1': 28 is not 32");
}

static void text_that_is_too_long_is_cut_and_terminated(void **state)
{
    (void)state;
    char lengthy[3 * CF_ERROR_TEXT_SIZE];
    memset(lengthy, 'x', sizeof lengthy);
    lengthy[sizeof lengthy - 1] = '\0';
    cf_error error;
    (void)cfi_fail(&error, CF_E_DATA, "%s", lengthy);
    assert_int_equal(strlen(error.text), CF_ERROR_TEXT_SIZE - 1);
    (void)cfi_fail_errno(&error, CF_E_IO, EIO, "%s", lengthy);
    assert_int_equal(strlen(error.text), CF_ERROR_TEXT_SIZE - 1);

    cfi_error_prefix(&error, "place");
    assert_int_equal(strlen(error.text), CF_ERROR_TEXT_SIZE - 1);
    assert_memory_equal(error.text, "place: xxx", 10);
    for (size_t length = CF_ERROR_TEXT_SIZE - 5; length < CF_ERROR_TEXT_SIZE + 5; length++) {
        (void)cfi_fail(&error, CF_E_DATA, "what");
        cfi_error_prefix(&error, "%.*s", (int)length, lengthy);
        assert_true(strlen(error.text) < CF_ERROR_TEXT_SIZE);
        assert_int_equal(error.text[0], 'x');
    }
}

static cf_status fail_by_try(int *reached)
{
    CFI_TRY(CF_OK);
    *reached = 1;
    CFI_TRY(CF_E_LIMIT);
    *reached = 2;
    return CF_OK;
}

static cf_status fail_by_goto(int *cleaned)
{
    cf_status status;
    CFI_TRY_GOTO(CF_OK);
    CFI_TRY_GOTO(CF_E_EXISTS);
    *cleaned = -1;
done:
    (*cleaned)++;
    return status;
}

static void the_try_macros_leave_at_the_first_failure(void **state)
{
    (void)state;
    int reached = 0, cleaned = 0;
    assert_int_equal(fail_by_try(&reached), CF_E_LIMIT);
    assert_int_equal(reached, 1);
    assert_int_equal(fail_by_goto(&cleaned), CF_E_EXISTS);
    assert_int_equal(cleaned, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_own_text),
        cmocka_unit_test(status_numbers_run_from_0_downwards),
        cmocka_unit_test(a_number_outside_the_table_is_unknown),
        cmocka_unit_test(failing_sets_code_and_text),
        cmocka_unit_test(failing_with_errno_appends_its_reason),
        cmocka_unit_test(running_out_of_memory_names_what_for),
        cmocka_unit_test(nobody_has_to_want_the_text),
        cmocka_unit_test(a_prefix_comes_before_and_leaves_the_code),
        cmocka_unit_test(text_that_is_too_long_is_cut_and_terminated),
        cmocka_unit_test(the_try_macros_leave_at_the_first_failure),
    };
    return cmocka_run_group_tests_name("base.status", tests, NULL, NULL);
}
