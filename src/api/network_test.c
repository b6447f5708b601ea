#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cuttlefish/cuttlefish.h"

static const char good_text[] = "name: small\n"
                                "data: {dataset: mnist}\n"
                                "network: {layers: [dense: {units: 16, activation: relu}, dense: {units: 10}]}\n";

static cf_network *parse_good(const char *text)
{
    cf_error error = {CF_OK, ""};
    cf_network *network = NULL;
    if (cf_network_parse(text, "test", &network, NULL, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    return network;
}

static void a_parsed_network_knows_its_shapes_without_data(void **state)
{
    (void)state;
    int64_t shape[3];
    cf_network *network = parse_good(good_text);
    assert_string_equal(cf_network_name(network), "small");
    assert_string_equal(cf_network_loss(network), "softmax_cross_entropy");
    assert_int_equal(cf_network_input_features(network), 784);
    assert_int_equal(cf_network_output_features(network), 10);
    assert_int_equal(cf_network_parameter_count(network), 784 * 16 + 16 + 16 * 10 + 10);
    cf_network_input_shape(network, shape);
    assert_int_equal(shape[0], 1);
    assert_int_equal(shape[1], 28);
    assert_int_equal(shape[2], 28);
    cf_network_free(network);
}

static void the_resolved_text_parses_to_itself(void **state)
{
    (void)state;
    cf_network *first = parse_good(good_text), *second = parse_good(cf_network_resolved_yaml(first));
    assert_string_equal(cf_network_resolved_yaml(first), cf_network_resolved_yaml(second));
    cf_network_free(first);
    cf_network_free(second);
}

static void mistakes_of_file_and_graph_have_their_places(void **state)
{
    (void)state;
    cf_error error = {CF_OK, ""};
    cf_network *network = NULL;
    cf_problems *problems = NULL;
    const char *text = "data: {dataset: mnist}\nnetwork: {layers: [dense: {units: 7}]}\n";
    assert_int_equal(cf_network_parse(text, "seven.yaml", &network, &problems, &error), CF_E_CONFIG);
    assert_null(network);
    assert_int_equal(cf_problems_count(problems), 1);
    const cf_problem problem = cf_problems_get(problems, 0);
    assert_string_equal(problem.file, "seven.yaml");
    assert_int_equal(problem.line, 2);
    assert_true(problem.column > 0);
    assert_non_null(strstr(problem.text, "7"));
    assert_non_null(strstr(error.text, "seven.yaml:2:"));
    const cf_problem beyond = cf_problems_get(problems, 1);
    assert_string_equal(beyond.text, "");
    cf_problems_free(problems);
}

static void problems_may_be_left_out_and_are_null_on_other_errors(void **state)
{
    (void)state;
    cf_network *network = NULL;
    cf_problems *problems = (cf_problems *)(uintptr_t)1;
    assert_int_equal(cf_network_parse("networkk: 1\n", "x", &network, NULL, NULL), CF_E_CONFIG);
    const char *const files[] = {"/nonexistent/file.yaml"};
    const cf_load_options options = {.files = files, .file_count = 1};
    assert_int_equal(cf_network_load(&options, &network, &problems, NULL), CF_E_NOT_FOUND);
    assert_null(problems);
    assert_int_equal(cf_network_load(&(cf_load_options){.file_count = 0}, &network, NULL, NULL), CF_E_USAGE);
    assert_int_equal(cf_problems_count(NULL), 0);
    cf_problems_free(NULL);
    cf_network_free(NULL);
}

static void missing_data_leaves_a_network_without_shapes(void **state)
{
    (void)state;
    cf_error error = {CF_OK, ""};
    cf_plan *plan = NULL;
    cf_train_result result;
    cf_network *network = parse_good("data: {csv: {train: /nonexistent/a.csv}}\n"
                                     "network: {layers: [dense: {units: 2}]}\n");
    assert_int_equal(cf_network_input_features(network), 0);
    assert_int_equal(cf_network_parameter_count(network), 0);
    assert_int_equal(cf_plan_new(network, 1, &plan, &error), CF_E_NOT_FOUND);
    assert_non_null(strstr(error.text, "/nonexistent/a.csv"));
    assert_int_equal(cf_train(network, NULL, &result, &error), CF_E_NOT_FOUND);
    assert_non_null(strstr(error.text, "/nonexistent/a.csv"));
    cf_network_free(network);
}

static void what_is_not_there_yet_says_so(void **state)
{
    (void)state;
    cf_error error = {CF_OK, ""};
    cf_plan *plan = NULL;
    cf_model *model = NULL;
    cf_train_result result;
    char text[512];
    snprintf(text, sizeof text, "%sengine: tensorflow\n", good_text);
    cf_network *network = parse_good(text);
    assert_int_equal(cf_train(network, NULL, &result, &error), CF_E_UNSUPPORTED);
    assert_string_equal(error.text,
                        "small: 'engine: tensorflow' is not available yet in this version (use: engine: native)");
    assert_int_equal(cf_plan_new(network, 0, &plan, &error), CF_E_UNSUPPORTED);
    assert_int_equal(cf_model_open(network, "x", 0, &model, &error), CF_E_UNSUPPORTED);
    cf_network_free(network);
}

static void threads_out_of_range_are_refused(void **state)
{
    (void)state;
    cf_error error = {CF_OK, ""};
    cf_plan *plan = NULL;
    cf_model *model = NULL;
    cf_train_result result;
    cf_network *network = parse_good(good_text);
    assert_int_equal(cf_plan_new(network, 257, &plan, &error), CF_E_USAGE);
    assert_string_equal(error.text, "threads: 257 is not from 1 to 256, or 0 for the default");
    assert_int_equal(cf_model_open(network, "x", -1, &model, &error), CF_E_USAGE);
    assert_int_equal(cf_train(network, &(cf_train_options){.threads = -1}, &result, &error), CF_E_USAGE);
    cf_network_free(network);
}

static cf_builder *new_builder(void)
{
    cf_builder *builder = NULL;
    assert_int_equal(cf_builder_new(&builder, NULL), CF_OK);
    cf_builder_set(builder, "name", "built");
    cf_builder_set(builder, "data.dataset", "mnist");
    cf_builder_add_layer(builder, "dense", "units: 16, activation: relu");
    return builder;
}

static void a_built_network_is_the_parsed_one(void **state)
{
    (void)state;
    cf_network *network = NULL;
    cf_builder *builder = new_builder();
    cf_builder_add_layer(builder, "dense", "units: 10");
    cf_builder_set(builder, "name", "small");
    assert_int_equal(cf_builder_build(builder, &network, NULL, NULL), CF_OK);
    cf_network *parsed = parse_good(good_text);
    assert_string_equal(cf_network_resolved_yaml(network), cf_network_resolved_yaml(parsed));
    cf_network_free(network);
    cf_network_free(parsed);
    cf_builder_free(builder);
}

static void a_builder_can_build_again_after_a_mistake(void **state)
{
    (void)state;
    cf_network *network = NULL;
    cf_problems *problems = NULL;
    cf_builder *builder = new_builder();
    cf_builder_set(builder, "training.batch", "many");
    assert_int_equal(cf_builder_build(builder, &network, &problems, NULL), CF_E_CONFIG);
    assert_true(cf_problems_count(problems) >= 1);
    assert_string_equal(cf_problems_get(problems, 0).file, "builder");
    assert_string_equal(cf_problems_get(problems, 0).path, "training.batch");
    cf_problems_free(problems);
    cf_builder_set(builder, "training.batch", "32");
    cf_builder_add_layer(builder, "dense", "units: 10");
    assert_int_equal(cf_builder_build(builder, &network, NULL, NULL), CF_OK);
    assert_int_equal(cf_network_parameter_count(network), 784 * 16 + 16 + 16 * 10 + 10);
    cf_network_free(network);
    cf_builder_free(builder);
}

static void text_that_is_no_layer_cannot_leave_its_braces(void **state)
{
    (void)state;
    cf_network *network = NULL;
    cf_builder *builder = new_builder();
    cf_builder_add_layer(builder, "dense", "units: 10}}, {dense: {units: 10");
    const cf_status status = cf_builder_build(builder, &network, NULL, NULL);
    assert_true(status == CF_OK || status == CF_E_CONFIG); /* YAML that closes its own braces is still YAML */
    cf_network_free(network);
    cf_builder_free(builder);
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    for (uint64_t n = 0;; n++) {
        cf_network *network = NULL;
        cf_problems *problems = NULL;
        cf_builder *builder = NULL;
        cfi_alloc_fail_after(n);
        cf_status status = cf_builder_new(&builder, NULL);
        if (status == CF_OK) {
            cf_builder_set(builder, "data.dataset", "mnist");
            cf_builder_add_layer(builder, "dense", "units: 10");
            status = cf_builder_build(builder, &network, &problems, NULL);
        }
        cfi_alloc_fail_after(UINT64_MAX);
        cf_network_free(network);
        cf_problems_free(problems);
        cf_builder_free(builder);
        if (status == CF_OK) {
            assert_true(n > 10);
            return;
        }
        assert_int_equal(status, CF_E_MEMORY);
    }
}

static void the_document_and_the_version_are_there(void **state)
{
    (void)state;
    char *text = NULL;
    assert_int_equal(cf_configuration_document(&text, NULL), CF_OK);
    assert_non_null(strstr(text, "training"));
    cf_string_free(text);
    cf_string_free(NULL);
    assert_string_equal(cf_version(), "0.1.0");
    assert_string_equal(cf_status_text(CF_OK), "success");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parsed_network_knows_its_shapes_without_data),
        cmocka_unit_test(the_resolved_text_parses_to_itself),
        cmocka_unit_test(mistakes_of_file_and_graph_have_their_places),
        cmocka_unit_test(problems_may_be_left_out_and_are_null_on_other_errors),
        cmocka_unit_test(missing_data_leaves_a_network_without_shapes),
        cmocka_unit_test(what_is_not_there_yet_says_so),
        cmocka_unit_test(threads_out_of_range_are_refused),
        cmocka_unit_test(a_built_network_is_the_parsed_one),
        cmocka_unit_test(a_builder_can_build_again_after_a_mistake),
        cmocka_unit_test(text_that_is_no_layer_cannot_leave_its_braces),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(the_document_and_the_version_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
