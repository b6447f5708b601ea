#include "config/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"

/* One text, parsed; `fini` gives everything back. */
typedef struct parsed_text {
    cfi_tree tree;
    cfi_problems problems;
    cf_error error;
    cfi_yaml_node *root;
    cf_status status;
} parsed_text;

static parsed_text parse_bytes(const char *text, size_t size)
{
    parsed_text result = {0};
    const cfi_yaml_source source = {"test.yaml", 3, "", &result.problems};
    result.status = cfi_yaml_parse(&result.tree, &source, text, size, &result.root, &result.error);
    return result;
}

static void fini(parsed_text *parsed)
{
    cfi_tree_fini(&parsed->tree);
    cfi_problems_fini(&parsed->problems);
}

static void assert_mark(const cfi_yaml_node *node, int line, int column)
{
    assert_non_null(node);
    assert_int_equal(node->mark.file_index, 3);
    assert_int_equal(node->mark.line, line);
    assert_int_equal(node->mark.column, column);
}

static void nodes_know_their_places(void **state)
{
    (void)state;
    static const char text[] = "a: 1\nb:\n  - x\n  - \"ü\": {c: 'd'}\n";
    parsed_text parsed = parse_bytes(text, strlen(text));
    assert_int_equal(parsed.status, CF_OK);
    assert_mark(parsed.root, 1, 1);
    assert_mark(cfi_yaml_get(parsed.root, "a"), 1, 4);
    const cfi_yaml_node *list = cfi_yaml_get(parsed.root, "b");
    assert_mark(list, 3, 3);
    assert_int_equal(list->count, 2);
    assert_mark(list->entries[0].value, 3, 5);
    const cfi_yaml_node *inner = cfi_yaml_get(list->entries[1].value, "ü");
    assert_mark(inner, 4, 10); /* a column is a character, not a byte */
    assert_string_equal(cfi_yaml_get(inner, "c")->text, "d");
    assert_true(cfi_yaml_get(inner, "c")->quoted);
    assert_false(cfi_yaml_get(parsed.root, "a")->quoted);
    fini(&parsed);
}

static void an_empty_text_has_no_root(void **state)
{
    (void)state;
    parsed_text parsed = parse_bytes("# only this\n", 12);
    assert_int_equal(parsed.status, CF_OK);
    assert_null(parsed.root);
    fini(&parsed);
}

static void a_byte_order_mark_is_skipped(void **state)
{
    (void)state;
    static const char text[] = "\xEF\xBB\xBF"
                               "a: 1\n";
    parsed_text parsed = parse_bytes(text, strlen(text));
    assert_int_equal(parsed.status, CF_OK);
    assert_string_equal(cfi_yaml_get(parsed.root, "a")->text, "1");
    fini(&parsed);
}

static void an_alias_is_a_copy_with_the_place_of_its_anchor(void **state)
{
    (void)state;
    static const char text[] = "a: &x {k: [1, 2]}\nb: *x\n";
    parsed_text parsed = parse_bytes(text, strlen(text));
    cfi_yaml_node *first = cfi_yaml_get(parsed.root, "a"), *second = cfi_yaml_get(parsed.root, "b");
    assert_ptr_not_equal(first, second);
    assert_int_equal(cfi_yaml_get(second, "k")->count, 2);
    assert_ptr_not_equal(cfi_yaml_get(first, "k"), cfi_yaml_get(second, "k"));
    assert_mark(cfi_yaml_get(second, "k"), 1, 11);
    fini(&parsed);
}

static void a_redefined_anchor_means_the_last_one(void **state)
{
    (void)state;
    static const char text[] = "[&x 1, &x 2, *x]";
    parsed_text parsed = parse_bytes(text, strlen(text));
    assert_string_equal(parsed.root->entries[2].value->text, "2");
    fini(&parsed);
}

static void the_first_of_duplicate_keys_stays(void **state)
{
    (void)state;
    static const char text[] = "a: 1\na: 2\nb: {c: 1, c: 2}\n";
    parsed_text parsed = parse_bytes(text, strlen(text));
    assert_int_equal(parsed.status, CF_OK);
    assert_string_equal(cfi_yaml_get(parsed.root, "a")->text, "1");
    assert_int_equal(parsed.problems.count, 2);
    assert_string_equal(parsed.problems.items[1].path, "b.c");
    fini(&parsed);
}

/* Text of `size` bytes that repeats `unit`. */
static char *repeat(const char *unit, size_t size)
{
    char *text = cfi_calloc(size + 1, 1);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++) {
        text[i] = unit[i % strlen(unit)];
    }
    return text;
}

static void five_mebibytes_of_nesting_are_refused_by_size(void **state)
{
    (void)state;
    const size_t size = (size_t)5 << 20;
    char *text = repeat("[", size);
    parsed_text parsed = parse_bytes(text, size);
    assert_int_equal(parsed.status, CF_E_LIMIT);
    assert_string_equal(parsed.error.text, "test.yaml: too large; bytes at most 4194304");
    fini(&parsed);
    cfi_free(text);
}

static void hostile_texts_of_four_mebibytes_end_at_a_limit_or_a_syntax_error(void **state)
{
    (void)state;
    static const char *const units[] = {"[",    "{",     "- ",   "? ",       "a: ", "[a, ", "{a: ", "&a ",
                                        "!a ",  "*a ",   "a\n",  "- a\n",    "\"",  "'",    "|\n ", "# ",
                                        "%a\n", "---\n", "\t",   "[]",       "{},", "-\n",  ": ",   "a:\n",
                                        "\n ",  ">",     "- - ", "\xC3\xBC", "\\",  "{? "};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        char *text = repeat(units[i], CFI_YAML_SIZE_MAX);
        parsed_text parsed = parse_bytes(text, CFI_YAML_SIZE_MAX);
        assert_true(parsed.status == CF_E_LIMIT || parsed.status == CF_E_CONFIG || parsed.status == CF_OK);
        fini(&parsed);
        cfi_free(text);
    }
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    static const char text[] = "a: &x {k: [1, 2, 3, 4, 5]}\nb: *x\na: 1\nc: !t \"long text\"\n";
    cf_status status = CF_E_MEMORY;
    uint64_t count = 0;
    for (; status != CF_OK; count++) {
        cfi_alloc_fail_after(count);
        parsed_text parsed = parse_bytes(text, strlen(text));
        cfi_alloc_fail_after(UINT64_MAX);
        status = parsed.status != CF_OK ? parsed.status : parsed.problems.status;
        assert_true(status == CF_OK || status == CF_E_MEMORY);
        fini(&parsed);
    }
    assert_true(count > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_know_their_places),
        cmocka_unit_test(an_empty_text_has_no_root),
        cmocka_unit_test(a_byte_order_mark_is_skipped),
        cmocka_unit_test(an_alias_is_a_copy_with_the_place_of_its_anchor),
        cmocka_unit_test(a_redefined_anchor_means_the_last_one),
        cmocka_unit_test(the_first_of_duplicate_keys_stays),
        cmocka_unit_test(five_mebibytes_of_nesting_are_refused_by_size),
        cmocka_unit_test(hostile_texts_of_four_mebibytes_end_at_a_limit_or_a_syntax_error),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
