#include <stdio.h>
#include <string.h>

#include "api/handles.h"
#include "base/alloc.h"

cf_network *cfi_network_share(const cf_network *network)
{
    /* Counting is the one change that an immutable network sees. */
    cf_network *shared = (cf_network *)(uintptr_t)network;
    atomic_fetch_add(&shared->references, 1);
    return shared;
}

void cf_network_free(cf_network *network)
{
    if (network == NULL || atomic_fetch_sub(&network->references, 1) > 1) {
        return;
    }
    cfi_graph_fini(&network->graph);
    cfi_settings_fini(&network->settings);
    cfi_free(network);
}

cf_status cfi_network_has_graph(const cf_network *network, cf_error *error)
{
    if (network->has_graph) {
        return CF_OK;
    }
    if (error != NULL) {
        *error = network->no_graph;
    }
    return network->no_graph.code;
}

cf_status cfi_network_is_native(const cf_network *network, cf_error *error)
{
    if (network->settings.engine_tensorflow) {
        return cfi_fail(error, CF_E_UNSUPPORTED,
                        "%s: 'engine: tensorflow' is not available yet in this version (use: engine: native)",
                        network->settings.name);
    }
    return CF_OK;
}

typedef struct graph_problems {
    const cfi_settings *settings;
    cfi_problems *list;
} graph_problems;

static const char *file_of(const cfi_settings *settings, cfi_mark mark)
{
    return mark.file_index >= 0 && mark.file_index < settings->file_count ? settings->files[mark.file_index] : "";
}

static void add_graph_problem(void *user, cfi_mark mark, const char *path, const char *text)
{
    graph_problems *problems = user;
    cfi_problems_add(problems->list, file_of(problems->settings, mark), mark, path, "%s", text);
}

/* The data set's shape. Without check_data a data set that cannot be read leaves the network without a graph
 * (network->no_graph); with it, that is a mistake of the file. */
static cf_status find_shape(cf_network *network, bool check_data, cfi_problems *list, int64_t shape_out[3],
                            int64_t *classes_out, bool *found_out)
{
    const cfi_settings *settings = &network->settings;
    const cf_status status = cfi_dataset_shape(&settings->data, shape_out, classes_out, &network->no_graph);
    *found_out = status == CF_OK;
    if (check_data && status != CF_OK && status != CF_E_MEMORY) {
        cfi_problems_add(list, file_of(settings, settings->data.mark), settings->data.mark, "data", "%s",
                         network->no_graph.text);
    }
    return status == CF_E_MEMORY ? status : CF_OK;
}

static cf_status build_graph(cf_network *network, bool check_data, cfi_problems *list, cf_error *error)
{
    int64_t shape[3] = {0, 0, 0}, classes = 0;
    bool found = false;
    const cf_status status = find_shape(network, check_data, list, shape, &classes, &found);
    if (status != CF_OK) {
        return cfi_fail_memory(error, "the data set's shape");
    }
    if (!found) {
        return cfi_problems_status(list, error);
    }
    graph_problems problems = {&network->settings, list};
    const cfi_shape input = {shape[0], shape[1], shape[2]};
    CFI_TRY(cfi_graph_build(&network->settings, input, classes, add_graph_problem, &problems, &network->graph, error));
    network->has_graph = true;
    return CF_OK;
}

static cf_status make(const cfi_config_sources *sources, bool check_data, cf_network *network, cfi_problems *list,
                      cf_error *error)
{
    CFI_TRY(cfi_config_load(sources, &network->settings, list, error));
    const cf_status status = build_graph(network, check_data, list, error);
    if (status == CF_E_CONFIG && list->count > 0) {
        cfi_problems_sort(list);
        return cfi_problems_status(list, error);
    }
    return status;
}

cf_status cfi_network_make(const cfi_config_sources *sources, bool check_data, cf_network **network_out,
                           cf_problems **problems_out, cf_error *error)
{
    if (problems_out != NULL) {
        *problems_out = NULL;
    }
    cf_problems *problems = cfi_calloc(1, sizeof *problems);
    cf_network *network = cfi_calloc(1, sizeof *network);
    cf_status status = CF_OK;
    if (problems == NULL || network == NULL) {
        status = cfi_fail_memory(error, "the network");
        goto done;
    }
    atomic_init(&network->references, 1);
    CFI_TRY_GOTO(make(sources, check_data, network, &problems->list, error));
    *network_out = network;
    network = NULL;

done:
    if (status == CF_E_CONFIG && problems_out != NULL) {
        *problems_out = problems;
        problems = NULL;
    }
    cf_problems_free(problems);
    cf_network_free(network);
    return status;
}

cf_status cf_network_load(const cf_load_options *options, cf_network **network_out, cf_problems **problems_out,
                          cf_error *error)
{
    if (options == NULL || options->file_count == 0) {
        if (problems_out != NULL) {
            *problems_out = NULL;
        }
        return cfi_fail(error, CF_E_USAGE, "no network file was named");
    }
    const cfi_config_sources sources = {.files = options->files, .file_count = options->file_count,
                                        .sets = options->sets, .set_count = options->set_count,
                                        .set_name = "--set"};
    return cfi_network_make(&sources, options->check_data != 0, network_out, problems_out, error);
}

cf_status cf_network_parse(const char *yaml, const char *name, cf_network **network_out, cf_problems **problems_out,
                           cf_error *error)
{
    const cfi_config_sources sources = {.text = yaml, .text_name = name};
    return cfi_network_make(&sources, false, network_out, problems_out, error);
}

const char *cf_network_name(const cf_network *network)
{
    return network->settings.name;
}

const char *cf_network_resolved_yaml(const cf_network *network)
{
    return network->settings.resolved_yaml;
}

const char *cf_network_loss(const cf_network *network)
{
    switch (network->settings.loss) {
    case CFI_LOSS_SOFTMAX_CROSS_ENTROPY:
        return "softmax_cross_entropy";
    case CFI_LOSS_MSE:
        return "mse";
    case CFI_LOSS_BINARY_CROSS_ENTROPY:
        return "binary_cross_entropy";
    }
    return "";
}

int64_t cf_network_input_features(const cf_network *network)
{
    return network->has_graph ? cfi_shape_features(network->graph.input) : 0;
}

void cf_network_input_shape(const cf_network *network, int64_t shape_out[3])
{
    const cfi_shape none = {0, 0, 0}, shape = network->has_graph ? network->graph.input : none;
    shape_out[0] = shape.channels;
    shape_out[1] = shape.height;
    shape_out[2] = shape.width;
}

int64_t cf_network_output_features(const cf_network *network)
{
    return network->has_graph ? cfi_shape_features(network->graph.layers[network->graph.layer_count - 1].output) : 0;
}

int64_t cf_network_parameter_count(const cf_network *network)
{
    return network->has_graph ? network->graph.parameter_count : 0;
}
