#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "api/cluster.h"
#include "cuttlefish/cuttlefish.h"

static const cf_cluster_options here = {"cluster_test_no_such_run", "/bin/false"};

static cf_network *parse(const char *extra)
{
    char text[512];
    cf_error error = {CF_OK, ""};
    cf_network *network = NULL;
    snprintf(text, sizeof text, "name: small\ndata: {dataset: mnist}\n%s"
                                "network: {layers: [dense: {units: 16}, dense: {units: 10}]}\n", extra);
    if (cf_network_parse(text, "test", &network, NULL, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    return network;
}

static void another_target_is_not_available(void **state)
{
    (void)state;
    cf_error error = {CF_OK, ""};
    cf_cluster *cluster = NULL;
    cf_network *network = parse("deploy: {docker: {}}\n");
    assert_int_equal(cf_cluster_open(network, &here, &cluster, &error), CF_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "not available yet"));
    assert_null(cluster);
    cf_network_free(network);
}

static void a_run_that_is_not_there_is_named(void **state)
{
    (void)state;
    cf_error error = {CF_OK, ""};
    cf_cluster *cluster = NULL;
    cf_cluster_status status;
    cf_train_result result;
    cf_network *network = parse("");
    assert_int_equal(cf_cluster_open(network, &here, &cluster, &error), CF_OK);
    assert_string_equal(cf_cluster_run_folder(cluster), here.run_folder);
    assert_int_equal(cf_cluster_get_status(cluster, &status, &error), CF_E_NOT_FOUND);
    assert_non_null(strstr(error.text, here.run_folder));
    assert_int_equal(cf_cluster_wait(cluster, NULL, NULL, &result, &error), CF_E_NOT_FOUND);
    assert_int_equal(cf_cluster_scale(cluster, 3, &error), CF_E_NOT_FOUND);
    assert_int_equal(cf_cluster_kill(cluster, "loss", 9, &error), CF_E_NOT_FOUND);
    assert_int_equal(cf_cluster_down(cluster, 0, &error), CF_OK);
    cf_cluster_close(cluster);
    cf_network_free(network);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    cf_error error = {CF_OK, ""};
    cf_cluster *cluster = NULL;
    cf_network *network = parse("");
    const cf_up_options steps = {-2, 0}, containers = {-1, -1};
    cf_chaos_options chaos = CF_CHAOS_OPTIONS_DEFAULT;
    cf_chaos_report report;
    assert_int_equal(cf_cluster_open(network, &here, &cluster, &error), CF_OK);
    assert_int_equal(cf_cluster_up(cluster, &steps, &error), CF_E_USAGE);
    assert_int_equal(cf_cluster_up(cluster, &containers, &error), CF_E_USAGE);
    assert_int_equal(cf_cluster_scale(cluster, 0, &error), CF_E_USAGE);
    chaos.every = -1.0;
    assert_int_equal(cf_chaos(cluster, &chaos, &report, &error), CF_E_USAGE);
    cf_cluster_close(cluster);
    cf_cluster_close(NULL);
    cf_network_free(network);
}

static void identical_is_steps_weights_and_chain(void **state)
{
    (void)state;
    const cf_train_result base = {.steps = 9, .weights = "0123", .chain = "4567"};
    cf_train_result other = base;
    assert_true(cfi_chaos_is_identical(&base, &other));
    other.steps = 8;
    assert_false(cfi_chaos_is_identical(&base, &other));
    other = base;
    other.weights[3] = '4';
    assert_false(cfi_chaos_is_identical(&base, &other));
    other = base;
    other.chain[0] = '5';
    assert_false(cfi_chaos_is_identical(&base, &other));
    const cf_train_result nothing = {.steps = 9};
    assert_false(cfi_chaos_is_identical(&nothing, &nothing));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_target_is_not_available),
        cmocka_unit_test(a_run_that_is_not_there_is_named),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(identical_is_steps_weights_and_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
