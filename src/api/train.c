#include "api/handles.h"
#include "engine/train.h"

cf_status cf_train(const cf_network *network, const cf_train_options *options, cf_train_result *result_out,
                   cf_error *error)
{
    CFI_TRY(cfi_threads_check(options != NULL ? options->threads : 0, error));
    CFI_TRY(cfi_network_is_native(network, error));
    CFI_TRY(cfi_network_has_graph(network, error));
    cfi_train_job job = {
        .settings = &network->settings, .graph = &network->graph, .options = CF_TRAIN_OPTIONS_DEFAULT};
    if (options != NULL) {
        job.options = *options;
    }
    cfi_dataset dataset;
    CFI_TRY(cfi_dataset_load(&network->settings.data, &dataset, error));
    job.dataset = &dataset;
    const cf_status status = cfi_train(&job, result_out, error);
    cfi_dataset_fini(&dataset);
    return status;
}
