#include "plan/plan.h"

#include "api/handles.h"

cf_status cf_plan_new(const cf_network *network, int threads, cf_plan **plan_out, cf_error *error)
{
    CFI_TRY(cfi_threads_check(threads, error));
    CFI_TRY(cfi_network_is_native(network, error));
    CFI_TRY(cfi_network_has_graph(network, error));
    return cfi_plan_new(&network->settings, &network->graph, threads, plan_out, error);
}

cf_status cf_plan_place(cf_plan *plan, const cf_network *network, int containers, cf_error *error)
{
    CFI_TRY(cfi_network_has_graph(network, error));
    return cfi_plan_place(plan, &network->settings, &network->graph, containers, error);
}
