#include <string.h>

#include "api/handles.h"
#include "engine/compute.h"
#include "sim/sim.h"

_Static_assert(CFI_SIM_FAULT_COUNT <= CF_SIMULATE_FAULTS_MAX, "cf_simulate_result has too little room");

const char *cf_simulate_fault_name(int kind)
{
    return kind >= 0 && kind < CFI_SIM_FAULT_COUNT ? cfi_sim_fault_name((cfi_sim_fault)kind) : NULL;
}

static int64_t add_run(cf_simulate_result *total, const cfi_sim_result *run)
{
    int64_t faults = 0;
    total->seeds++;
    total->steps += run->steps;
    total->events += run->events;
    total->virtual_seconds += (double)run->microseconds * 1e-6;
    for (int f = 0; f < CFI_SIM_FAULT_COUNT; f++) {
        total->faults[f] += run->faults[f];
        faults += run->faults[f];
    }
    return faults;
}

/* The first seed that fails is run once more: it must do the same again, or the simulator is at fault. */
static cf_status note_failure(cfi_sim *sim, const cfi_sim_run *run, const cfi_sim_result *first,
                              cf_simulate_result *total, cf_error *error)
{
    cfi_sim_result second;
    total->failures++;
    if (total->failures > 1) {
        return CF_OK;
    }
    const cfi_sim_run again = {.seed = run->seed};
    CFI_TRY(cfi_sim_seed(sim, &again, &second, error));
    total->failed_seed = (int64_t)run->seed;
    total->oracle = first->oracle;
    memcpy(total->violation, first->violation, sizeof total->violation);
    total->replays = second.has_failed && second.trace == first->trace;
    return CF_OK;
}

static cf_status run_seeds(cfi_sim *sim, const cf_simulate_options *options, cf_simulate_result *total, cf_error *error)
{
    cf_simulate_event event = {.seeds = options->seeds};
    for (int64_t i = 0; i < options->seeds; i++) {
        const cfi_sim_run run = {
            .seed = (uint64_t)(options->first_seed + i), .on_line = options->on_line, .user = options->user};
        cfi_sim_result result;
        CFI_TRY(cfi_sim_seed(sim, &run, &result, error));
        event.faults += add_run(total, &result);
        if (result.has_failed) {
            CFI_TRY(note_failure(sim, &run, &result, total, error));
        }
        event.done = i + 1;
        event.failures = total->failures;
        event.steps = total->steps;
        event.events = total->events;
        if (options->on_seed != NULL && options->on_seed(options->user, &event) != 0) {
            return cfi_fail(error, CF_E_CANCELLED, "cancelled after %lld of %lld seeds", (long long)i + 1,
                            (long long)options->seeds);
        }
    }
    return CF_OK;
}

static cf_status simulate(const cf_network *network, const cfi_dataset *dataset, const cf_simulate_options *options,
                          cf_simulate_result *total, cf_error *error)
{
    cfi_compute_ops compute;
    CFI_TRY(cfi_native_compute(&compute, error));
    const cfi_sim_options sim_options = {
        .settings = &network->settings, .graph = &network->graph, .dataset = dataset,
        .compute = &compute, .steps = options->steps, .containers = options->containers};
    cfi_sim *sim = NULL;
    CFI_TRY(cfi_sim_new(&sim_options, &sim, error));
    cfi_sim_chain(sim, total->chain);
    const cf_status status = run_seeds(sim, options, total, error);
    cfi_sim_free(sim);
    return status;
}

cf_status cf_simulate(const cf_network *network, const cf_simulate_options *options, cf_simulate_result *result_out,
                      cf_error *error)
{
    const cf_simulate_options usual = CF_SIMULATE_OPTIONS_DEFAULT;
    cf_simulate_result total = {.failed_seed = -1};
    cfi_dataset dataset;
    options = options != NULL ? options : &usual;
    if (options->seeds < 1 || options->first_seed < 0 || options->first_seed > INT64_MAX - options->seeds) {
        return cfi_fail(error, CF_E_USAGE, "seeds: at least 1, from 0 on");
    }
    CFI_TRY(cfi_network_is_native(network, error));
    CFI_TRY(cfi_network_has_graph(network, error));
    CFI_TRY(cfi_dataset_load(&network->settings.data, &dataset, error));
    const cf_status status = simulate(network, &dataset, options, &total, error);
    cfi_dataset_fini(&dataset);
    if (status == CF_OK || status == CF_E_CANCELLED) {
        *result_out = total;
    }
    return status;
}
