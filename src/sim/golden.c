/* What every run must come to: the chain of the engine of one process. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/engine.h"
#include "learn/schedule.h"
#include "sim/world.h"

static cf_status make_steps(cfi_sim *sim, cfi_engine *engine, const cfi_batches *batches, int64_t *indices,
                            cf_error *error)
{
    const cfi_training_settings *training = &sim->settings.training;
    sim_golden *golden = &sim->golden;
    golden->final_chain[0] = cfi_hash_join(golden->chain[0], cfi_engine_state_hash(engine));
    for (int64_t step = 0; step < sim->work.step_count; step++) {
        cfi_step_result result;
        const int64_t rows = cfi_batches_step(batches, step, indices);
        const float rate = cfi_schedule_rate(training, batches->steps_per_epoch, step);
        CFI_TRY(cfi_engine_step(engine, step, indices, rows, rate, &result, error));
        const cfi_hash state = cfi_engine_state_hash(engine);
        const cfi_hash joined = cfi_hash_join(golden->chain[step], state);
        const bool is_chain_step = (step + 1) % training->chain_every == 0;
        golden->chain[step + 1] = is_chain_step ? joined : golden->chain[step];
        golden->final_chain[step + 1] = joined;
    }
    return CF_OK;
}

static cf_status run_engine(cfi_sim *sim, cf_error *error)
{
    const cfi_training_settings *training = &sim->settings.training;
    const cfi_engine_options options = {
        .graph = sim->options.graph, .training = training, .dataset = sim->options.dataset,
        .seed = sim->settings.seed, .batch_max = training->batch, .threads = 1};
    cfi_batches batches;
    cfi_engine *engine = NULL;
    CFI_TRY(cfi_batches_init(&batches, sim->settings.seed, sim->options.dataset->train.count,
                             sim->settings.data.validation, training->batch, training->drop_last, error));
    int64_t *indices = cfi_calloc((size_t)training->batch, sizeof *indices);
    if (indices == NULL) {
        return cfi_fail_memory(error, "the simulator");
    }
    cf_status status = cfi_engine_new(&options, &engine, error);
    if (status == CF_OK) {
        status = make_steps(sim, engine, &batches, indices, error);
    }
    cfi_engine_free(engine);
    cfi_free(indices);
    return status;
}

cf_status sim_golden_init(cfi_sim *sim, cf_error *error)
{
    const size_t count = (size_t)sim->work.step_count + 1;
    sim_golden *golden = &sim->golden;
    golden->chain = cfi_calloc(count, sizeof *golden->chain);
    golden->final_chain = cfi_calloc(count, sizeof *golden->final_chain);
    golden->states = cfi_calloc((size_t)sim->stage_count, sizeof *golden->states);
    golden->state_sizes = cfi_calloc((size_t)sim->stage_count, sizeof *golden->state_sizes);
    golden->end = -1;
    if (golden->chain == NULL || golden->final_chain == NULL || golden->states == NULL ||
        golden->state_sizes == NULL) {
        return cfi_fail_memory(error, "the simulator");
    }
    return run_engine(sim, error);
}

void sim_golden_fini(cfi_sim *sim)
{
    sim_golden *golden = &sim->golden;
    for (int s = 0; s < sim->stage_count && golden->states != NULL; s++) {
        cfi_free(golden->states[s]);
    }
    cfi_free(golden->states);
    cfi_free(golden->state_sizes);
    cfi_free(golden->chain);
    cfi_free(golden->final_chain);
}
