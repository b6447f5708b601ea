#include "plan/cluster.h"

#include <string.h>

#include "base/alloc.h"

void cfi_cluster_fini(cfi_cluster *cluster)
{
    cfi_free(cluster->stages);
    cfi_free(cluster->units);
    cfi_free(cluster->containers);
    cfi_free(cluster->earlier);
    memset(cluster, 0, sizeof *cluster);
}

static void fill_stage(const cfi_graph *graph, int layer, cfi_stage *stage)
{
    const cfi_layer *first = &graph->layers[layer];
    int end = layer + 1;
    while (end < graph->layer_count && graph->layers[end].weight_index < 0) {
        end++;
    }
    const int64_t outputs = cfi_shape_features(graph->layers[end - 1].output);
    *stage = (cfi_stage){.layer = layer,
                         .layer_end = end,
                         .neurons = first->neurons,
                         .grain = first->grain,
                         .inputs = cfi_shape_features(first->input),
                         .outputs = outputs,
                         .outputs_per_neuron = outputs / first->neurons};
}

cf_status cfi_cluster_stages(const cfi_graph *graph, cfi_stage **stages_out, int *count_out, cf_error *error)
{
    int count = 0;
    for (int i = 0; i < graph->layer_count; i++) {
        const cfi_layer *layer = &graph->layers[i];
        if (layer->weight_index < 0 && count == 0 && layer->kind != CFI_LAYER_FLATTEN) {
            return cfi_fail(error, CF_E_UNSUPPORTED,
                            "layer '%s' (%s) comes before the first layer with weights, so no container can hold it: "
                            "put it behind one, or train in one process",
                            layer->name, cfi_layer_kind_name(layer->kind));
        }
        count += layer->weight_index >= 0 ? 1 : 0;
    }
    if (count == 0) {
        return cfi_fail(error, CF_E_UNSUPPORTED, "the network has no layer with weights, so nothing to place");
    }
    cfi_stage *stages = cfi_calloc((size_t)count, sizeof *stages);
    if (stages == NULL) {
        return cfi_fail_memory(error, "the plan's stages");
    }
    for (int i = 0, stage = 0; i < graph->layer_count; i++) {
        if (graph->layers[i].weight_index >= 0) {
            fill_stage(graph, i, &stages[stage++]);
        }
    }
    *stages_out = stages;
    *count_out = count;
    return CF_OK;
}

int cfi_cluster_find_unit(const cfi_cluster *cluster, const char *name)
{
    for (int i = 0; i < cluster->unit_count; i++) {
        if (strcmp(cluster->units[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

int cfi_cluster_find_container(const cfi_cluster *cluster, const char *name)
{
    for (int i = 0; i < cluster->container_count; i++) {
        if (strcmp(cluster->containers[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}
