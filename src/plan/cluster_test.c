#include "plan/cluster.h"

#include <stdlib.h>

#include "plan/cluster_check.h"
#include "plan/plan_fixture.h"

static void a_plan_is_the_same_after_print_and_parse(void **state)
{
    (void)state;
    static const int counts[] = {0, 1, 5, 42};
    network n;
    mnist_init(&n, NULL);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        cfi_cluster cluster, again;
        char *text = NULL, *second = NULL;
        plan_for(&n, counts[i], &cluster);
        cluster.run[0] = UINT64_MAX;
        cluster.run[1] = 1;
        cluster.digest = 0x8000000000000001u;
        snprintf(cluster.containers[0].endpoint, sizeof cluster.containers[0].endpoint, "ipc:///a \"b\"\\\t");
        assert_int_equal(cfi_cluster_print(&cluster, &text, NULL), CF_OK);
        assert_int_equal(cfi_cluster_parse(text, strlen(text), &again, NULL), CF_OK);
        assert_int_equal(cfi_cluster_print(&again, &second, NULL), CF_OK);
        assert_string_equal(text, second);
        assert_true(again.run[0] == UINT64_MAX && again.digest == 0x8000000000000001u);
        assert_string_equal(again.containers[0].endpoint, "ipc:///a \"b\"\\\t");
        assert_memory_equal(&again.work, &cluster.work, sizeof again.work);
        assert_memory_equal(again.stages, cluster.stages, (size_t)again.stage_count * sizeof *again.stages);
        cfi_free(text);
        cfi_free(second);
        cfi_cluster_fini(&cluster);
        cfi_cluster_fini(&again);
    }
    network_fini(&n);
}

static void units_and_containers_are_found_by_name(void **state)
{
    (void)state;
    network n;
    cfi_cluster cluster;
    mnist_init(&n, NULL);
    plan_for(&n, 42, &cluster);
    assert_int_equal(cfi_cluster_find_unit(&cluster, "controller"), CFI_UNIT_INDEX_CONTROLLER);
    assert_int_equal(cfi_cluster_find_unit(&cluster, "hidden.29"), CFI_UNIT_INDEX_SHARDS + 29);
    assert_int_equal(cfi_cluster_find_unit(&cluster, "output.9"), CFI_UNIT_INDEX_SHARDS + 39);
    assert_int_equal(cfi_cluster_find_unit(&cluster, "hidden"), -1);
    assert_int_equal(cfi_cluster_find_container(&cluster, "output.0"), CFI_UNIT_INDEX_SHARDS + 30);
    assert_int_equal(cfi_cluster_find_container(&cluster, ""), -1);
    cfi_cluster_fini(&cluster);
    network_fini(&n);
}

static void layers_without_weights_go_with_the_one_before(void **state)
{
    (void)state;
    network n;
    cfi_stage *stages = NULL;
    int count = 0;
    network_init(&n,
                 "data: {dataset: mnist}\nnetwork: {layers: [{conv2d: {name: c, filters: 6, kernel: 5}}, {max_pool: "
                 "{size: 2}}, flatten, {dense: {name: d, units: 84}}, {dropout: {rate: 0.5}}, {dense: {units: 10}}]}\n",
                 NULL, (cfi_shape){1, 28, 28});
    assert_int_equal(cfi_cluster_stages(&n.graph, &stages, &count, NULL), CF_OK);
    assert_int_equal(count, 3);
    assert_true(stages[0].layer == 0 && stages[0].layer_end == 3 && stages[0].neurons == 6);
    assert_true(stages[0].inputs == 784 && stages[0].outputs == 864 && stages[0].outputs_per_neuron == 144);
    assert_true(stages[1].layer == 3 && stages[1].layer_end == 5 && stages[1].grain == 32 && stages[1].inputs == 864);
    assert_true(stages[2].outputs == 10 && stages[2].outputs_per_neuron == 1);
    cfi_free(stages);
    network_fini(&n);
    network_init(&n,
                 "data: {dataset: mnist}\nnetwork: {layers: [{avg_pool: {name: shrink, size: 2}}, flatten, {dense: "
                 "{units: 10}}]}\n",
                 NULL, (cfi_shape){1, 28, 28});
    cf_error error;
    assert_int_equal(cfi_cluster_stages(&n.graph, &stages, &count, &error), CF_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "'shrink' (avg_pool)"));
    network_fini(&n);
}

/* ---- What is read ---- */

/* The plan's text with the first `from` replaced by `to`. */
static cf_status parse_changed(const char *text, const char *from, const char *to, cf_error *error)
{
    char changed[16384];
    cfi_cluster cluster;
    const char *at = strstr(text, from);
    assert_non_null(at);
    const int length = snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_true(length > 0 && (size_t)length < sizeof changed);
    const cf_status status = cfi_cluster_parse(changed, (size_t)length, &cluster, error);
    if (status == CF_OK) {
        cfi_cluster_fini(&cluster);
    }
    return status;
}

static void each_wrong_plan_is_refused_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *text;
    } cases[] = {
        {"\"id\": 1", "\"id\": 0", "no number or no name"},
        {"\"id\": 1", "\"id\": 2", "says nothing about the shards before"},
        {"\"id\": 1", "\"id\": 1.5", "'id' is not what it must be"},
        {"\"id\": 1,", "", "lacks 'id'"},
        {"\"id\": 1", "\"id\": 1, \"more\": 1", "not known"},
        {"\"id\": 1", "\"id\": 1, \"id\": 1", "no JSON"},
        {"\"digest\": \"0000", "\"digest\": \"00A0", "'digest' is not"},
        {"\"digest\": \"0000", "\"digest\": \"000", "'digest' is not"},
        {"\"begin\": 15", "\"begin\": 14", "do not follow"},
        {"\"end\": 15", "\"end\": 16", "do not follow"},
        {"\"end\": 30", "\"end\": 29", "end at neuron 29 of 30"},
        {"\"end\": 30", "\"end\": 31", "do not follow"},
        {"\"grain\": 1", "\"grain\": 3", "out of range or do not fit"},
        {"\"grain\": 1", "\"grain\": 2", "at multiples of the grain 2"},
        {"\"outputs_per_neuron\": 1", "\"outputs_per_neuron\": 2", "do not fit"},
        {"\"first_unit\": 4", "\"first_unit\": 5", "not the units from 4"},
        {"\"unit_count\": 2", "\"unit_count\": 3", "from 7 on"},
        {"\"unit_count\": 2", "\"unit_count\": 2000000000", "not the units from 4"},
        {"\"kind\": 0", "\"kind\": 1", "stands at that place"},
        {"\"container\": 0", "\"container\": 7", "in container 7"},
        {"\"container\": 0", "\"container\": -1", "in container -1"},
        {"\"container\": 0", "\"container\": 1", "holds nothing"},
        {"\"name\": \"store\"", "\"name\": \"loss\"", "two units are called 'loss'"},
        {"\"name\": \"store\"", "\"name\": \"a/b\"", "cannot be that of a unit"},
        {"\"name\": \"store\"", "\"name\": \"a\\u0000b\"", "no JSON"},
        {"\"cpu\": 0.25", "\"cpu\": -1", "needs what cannot be"},
        {"\"cpu\": 0.25", "\"cpu\": 1e999", "no JSON"},
        {"\"steps_per_epoch\": 469", "\"steps_per_epoch\": 468", "make 469"},
        {"\"batch\": 128", "\"batch\": 0", "batch, sample_grain and micro_batches"},
        {"\"micro_batches\": 1", "\"micro_batches\": 3", "batch, sample_grain and micro_batches"},
        {"\"window\": ", "\"window\": 1", "window"},
        {"\"drop_last\": false", "\"drop_last\": 0", "'drop_last' is not"},
        {"\"earlier\": []", "\"earlier\": [{\"stage\": 0, \"begin\": 0, \"end\": 30}]", "earlier"},
        {"\"earlier\": []", "\"earlier\": 0", "are not a list"},
        {"\"stages\": [", "\"stages\": [{},", "lacks"},
        {"{", "[", "no JSON"},
        {"{", "x", "no JSON"},
    };
    network n;
    cfi_cluster cluster;
    char *text = NULL;
    mnist_init(&n, NULL);
    plan_for(&n, 5, &cluster);
    assert_int_equal(cfi_cluster_print(&cluster, &text, NULL), CF_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cf_error error = {0};
        if (parse_changed(text, cases[i].from, cases[i].to, &error) != CF_E_DATA) {
            fail_msg("'%s' for '%s' was not refused as data: %s", cases[i].to, cases[i].from, error.text);
        }
        if (strstr(error.text, cases[i].text) == NULL) {
            fail_msg("'%s' for '%s': %s", cases[i].to, cases[i].from, error.text);
        }
    }
    cfi_free(text);
    cfi_cluster_fini(&cluster);
    network_fini(&n);
}

/* Any byte changed or cut off: refused, or a plan that holds what every plan must. */
static void no_mutation_is_accepted_wrongly(void **state)
{
    (void)state;
    static const char bytes[] = "0129-\"{}[],:ex \\";
    network n;
    cfi_cluster cluster;
    char *text = NULL;
    int accepted = 0;
    mnist_init(&n, NULL);
    plan_for(&n, 3, &cluster);
    assert_int_equal(cfi_cluster_print(&cluster, &text, NULL), CF_OK);
    const size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        const char kept = text[i];
        cfi_cluster again;
        cfi_cluster_fini(&cluster);
        if (i < length - 2) {
            assert_int_equal(cfi_cluster_parse(text, i, &again, NULL), CF_E_DATA);
        }
        for (size_t j = 0; j < sizeof bytes - 1; j++) {
            text[i] = bytes[j];
            const cf_status status = cfi_cluster_parse(text, length, &again, NULL);
            assert_true(status == CF_OK || status == CF_E_DATA);
            if (status == CF_OK) {
                assert_int_equal(cfi_cluster_check(&again, NULL), CF_OK);
                cfi_cluster_fini(&again);
                accepted++;
            }
        }
        text[i] = kept;
    }
    assert_true(accepted > 0); /* names and counts may be others */
    cfi_free(text);
    network_fini(&n);
}

static void any_failing_allocation_is_reported(void **state)
{
    (void)state;
    network n;
    cfi_cluster cluster, again;
    char *text = NULL;
    uint64_t prints = 0, parses = 0;
    mnist_init(&n, NULL);
    plan_for(&n, 42, &cluster);
    for (cf_status status = CF_E_MEMORY; status != CF_OK; prints++) {
        cfi_alloc_fail_after(prints);
        status = cfi_cluster_print(&cluster, &text, NULL);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_true(status == CF_OK || status == CF_E_MEMORY);
    }
    for (cf_status status = CF_E_MEMORY; status != CF_OK; parses++) {
        cfi_alloc_fail_after(parses);
        status = cfi_cluster_parse(text, strlen(text), &again, NULL);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_true(status == CF_OK || status == CF_E_MEMORY);
    }
    assert_true(prints > 2 && parses > 5);
    cfi_free(text);
    cfi_cluster_fini(&again);
    cfi_cluster_fini(&cluster);
    network_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_is_the_same_after_print_and_parse),
        cmocka_unit_test(units_and_containers_are_found_by_name),
        cmocka_unit_test(layers_without_weights_go_with_the_one_before),
        cmocka_unit_test(each_wrong_plan_is_refused_with_its_reason),
        cmocka_unit_test(no_mutation_is_accepted_wrongly),
        cmocka_unit_test(any_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
