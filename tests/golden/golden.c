#include "golden/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#define GOLDEN_FILE CF_SOURCE_DIR "/tests/golden/golden.json"
#define JSON_LAYOUT (JSON_INDENT(4) | JSON_SORT_KEYS)

static cf_status load_network(const golden_example *example, cf_network **network_out, cf_error *error)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", CF_SOURCE_DIR, example->file);
    const char *const files[] = {path};
    const cf_load_options options = {.files = files, .file_count = 1};
    return cf_network_load(&options, network_out, NULL, error);
}

cf_status golden_find_data(const golden_example *example, cf_error *error)
{
    cf_network *network = NULL;
    cf_data *data = NULL;
    cf_status status = load_network(example, &network, error);
    if (status == CF_OK) {
        status = cf_data_open(network, &data, error);
    }
    cf_data_free(data);
    cf_network_free(network);
    return status;
}

/* CF_E_USAGE when this machine cannot run the table. */
static cf_status train(const golden_example *example, const char *kernels, int threads, cf_train_result *result)
{
    cf_error error = {CF_OK, ""};
    cf_network *network = NULL;
    const char *name;
    const cf_train_options options = {.steps = example->steps, .threads = threads, .no_run_folder = 1};
    assert_int_equal(setenv("CUTTLEFISH_KERNELS", kernels, 1), 0);
    cf_status status = cf_kernels_name(&name, NULL);
    if (status == CF_OK) {
        status = load_network(example, &network, &error);
        status = status == CF_OK ? cf_train(network, &options, result, &error) : status;
        cf_network_free(network);
        if (status != CF_OK) {
            fail_msg("%s: %s", example->name, error.text);
        }
        assert_string_equal(result->kernels, kernels);
        assert_int_equal(result->threads, threads);
        assert_int_equal(result->steps, example->steps);
    }
    assert_int_equal(unsetenv("CUTTLEFISH_KERNELS"), 0);
    return status;
}

/* Compares, or in update mode replaces, the example's entry in golden.json. */
static void compare(const golden_example *example, const cf_train_result *result)
{
    json_t *all = json_load_file(GOLDEN_FILE, 0, NULL);
    if (getenv("CF_GOLDEN_UPDATE") != NULL) {
        all = all != NULL ? all : json_object();
        json_t *entry = json_pack("{s:I, s:s, s:s}", "steps", (json_int_t)example->steps, "chain", result->chain,
                                  "weights", result->weights);
        assert_int_equal(json_object_set_new(all, example->name, entry), 0);
        assert_int_equal(json_dump_file(all, GOLDEN_FILE, JSON_LAYOUT), 0);
    }
    const char *chain = NULL, *weights = NULL;
    json_int_t steps = 0;
    if (json_unpack(all, "{s:{s:I, s:s, s:s}}", example->name, "steps", &steps, "chain", &chain, "weights",
                    &weights) != 0) {
        fail_msg("%s has no whole entry '%s'", GOLDEN_FILE, example->name);
    }
    assert_int_equal(example->steps, steps);
    assert_string_equal(result->weights, weights);
    assert_string_equal(result->chain, chain);
    json_decref(all);
}

void golden_check(const golden_example *example)
{
    static const char *const tables[] = {"avx512", "avx2", "neon", "scalar"}; /* best first */
    static const int threads[] = {1, 2, 5};
    int run_count = 0;
    cf_train_result first, result;
    memset(&first, 0, sizeof first);
    for (int t = 0; t < 4; t++) {
        /* All numbers of threads on the best table; the slower ones once, each with another number. */
        const int wanted = run_count == 0 ? 3 : 1;
        for (int i = 0; i < wanted && train(example, tables[t], threads[(i + t) % 3], &result) == CF_OK; i++) {
            print_message("%-14s %-7s %d threads: chain %s weights %s\n", example->name, result.kernels,
                          result.threads, result.chain, result.weights);
            first = run_count++ == 0 ? result : first;
            assert_string_equal(result.weights, first.weights);
            assert_string_equal(result.chain, first.chain);
        }
    }
    assert_true(run_count > 0);
    compare(example, &first);
}
