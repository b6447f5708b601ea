/* A simulator: what all its seeds have in common. */
#include <string.h>

#include "base/alloc.h"
#include "sim/world.h"

/* Cuts of the batch that the file's own rule allows: whole leaves of the sample tree. */
static void find_micro_choices(cfi_sim *sim)
{
    const cfi_training_settings *training = &sim->settings.training;
    sim->micro_choices[sim->micro_choice_count++] = 1;
    for (int64_t count = 2; count <= 8; count *= 2) {
        if (training->batch % count == 0 && training->batch / count % training->sample_grain == 0) {
            sim->micro_choices[sim->micro_choice_count++] = count;
        }
    }
}

static cf_status fill_work(cfi_sim *sim, cf_error *error)
{
    const cfi_sim_options *options = &sim->options;
    const cfi_training_settings *training = &sim->settings.training;
    cfi_batches batches;
    CFI_TRY(cfi_batches_init(&batches, sim->settings.seed, options->dataset->train.count,
                             sim->settings.data.validation, training->batch, training->drop_last, error));
    sim->work = (cfi_work){
        .train_count = batches.train_count, .validation_count = batches.validation_count,
        .test_count = options->dataset->test.count, .batch = training->batch,
        .sample_grain = training->sample_grain, .micro_batches = 1, .drop_last = training->drop_last,
        .steps_per_epoch = batches.steps_per_epoch, .step_count = options->steps,
        .chain_every = training->chain_every, .persist_every = 1, .window = 2};
    return CF_OK;
}

/* The calm run says where training ends and what the last states are; every other run is compared with it, and it with
 * the engine. */
static cf_status run_calm(cfi_sim *sim, cf_error *error)
{
    const cfi_sim_run run = {.seed = 0, .is_calm = true};
    cfi_sim_result result;
    CFI_TRY(cfi_sim_seed(sim, &run, &result, error));
    if (result.has_failed) {
        return cfi_fail(error, CF_E_INTERNAL, "a run without any fault fails: O%d %s", result.oracle, result.violation);
    }
    return CF_OK;
}

static cf_status sim_init(cfi_sim *sim, cf_error *error)
{
    if (sim->options.steps < 1 || sim->options.steps > 100000) {
        return cfi_fail(error, CF_E_USAGE, "steps: %lld is not from 1 to 100000", (long long)sim->options.steps);
    }
    if (sim->options.containers < 0 || sim->options.containers > SIM_PLACES_MAX) {
        return cfi_fail(error, CF_E_USAGE, "containers: %d is not from 1 to %d", sim->options.containers,
                        SIM_PLACES_MAX);
    }
    sim->settings = *sim->options.settings;
    sim->digest = 0xC0FFEE;
    find_micro_choices(sim);
    CFI_TRY(fill_work(sim, error));
    CFI_TRY(cfi_cluster_stages(sim->options.graph, &sim->stages, &sim->stage_count, error));
    CFI_TRY(sim_golden_init(sim, error));
    return run_calm(sim, error);
}

cf_status cfi_sim_new(const cfi_sim_options *options, cfi_sim **sim_out, cf_error *error)
{
    cfi_sim *sim = cfi_calloc(1, sizeof *sim);
    if (sim == NULL) {
        return cfi_fail_memory(error, "the simulator");
    }
    sim->options = *options;
    const cf_status status = sim_init(sim, error);
    if (status != CF_OK) {
        cfi_sim_free(sim);
        return status;
    }
    *sim_out = sim;
    return CF_OK;
}

void cfi_sim_free(cfi_sim *sim)
{
    if (sim != NULL) {
        sim_golden_fini(sim);
        cfi_free(sim->stages);
        cfi_free(sim);
    }
}

void cfi_sim_chain(const cfi_sim *sim, char *text)
{
    cfi_hash_text(sim->golden.final_chain[sim->golden.end], text);
}
