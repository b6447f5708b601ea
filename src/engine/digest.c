#include "engine/digest.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

static void add_integer(cfi_text *text, const char *key, int64_t value)
{
    cfi_text_add(text, "%s %" PRId64 "\n", key, value);
}

/* By its bits: exact, and the same in every locale. */
static void add_real(cfi_text *text, const char *key, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    cfi_text_add(text, "%s %016" PRIx64 "\n", key, bits);
}

static void add_layer(cfi_text *text, const cfi_layer *layer)
{
    add_integer(text, "layer", layer->kind);
    add_integer(text, "channels", layer->output.channels);
    add_integer(text, "height", layer->output.height);
    add_integer(text, "width", layer->output.width);
    add_integer(text, "activation", layer->activation);
    add_real(text, "leaky_slope", (double)layer->leaky_slope);
    add_integer(text, "init", layer->init);
    add_integer(text, "kernel", layer->kernel[0]);
    add_integer(text, "kernel", layer->kernel[1]);
    add_integer(text, "stride", layer->stride[0]);
    add_integer(text, "stride", layer->stride[1]);
    add_integer(text, "pad", layer->pad_top);
    add_integer(text, "pad", layer->pad_left);
    add_integer(text, "pad", layer->pad_bottom);
    add_integer(text, "pad", layer->pad_right);
    add_real(text, "dropout_rate", (double)layer->dropout_rate);
    add_integer(text, "grain", layer->grain);
}

static void add_graph(cfi_text *text, const cfi_graph *graph)
{
    add_integer(text, "input", graph->input.channels);
    add_integer(text, "input", graph->input.height);
    add_integer(text, "input", graph->input.width);
    add_integer(text, "classes", graph->classes);
    add_integer(text, "loss", graph->loss);
    for (int i = 0; i < graph->layer_count; i++) {
        add_layer(text, &graph->layers[i]);
    }
}

static void add_optimizer(cfi_text *text, const cfi_optimizer_settings *optimizer)
{
    add_integer(text, "optimizer", optimizer->kind);
    add_real(text, "rate", optimizer->rate);
    add_real(text, "momentum", optimizer->momentum);
    add_integer(text, "nesterov", optimizer->nesterov);
    add_real(text, "weight_decay", optimizer->weight_decay);
    add_real(text, "decay", optimizer->decay);
    add_real(text, "beta1", optimizer->beta1);
    add_real(text, "beta2", optimizer->beta2);
    add_real(text, "epsilon", optimizer->epsilon);
}

static void add_training(cfi_text *text, const cfi_training_settings *training)
{
    const cfi_schedule_settings *schedule = &training->schedule;
    add_integer(text, "batch", training->batch);
    add_integer(text, "sample_grain", training->sample_grain);
    add_integer(text, "chain_every", training->chain_every);
    add_integer(text, "drop_last", training->drop_last);
    add_real(text, "clip_norm", training->clip_norm);
    add_real(text, "min_delta", training->min_delta);
    add_optimizer(text, &training->optimizer);
    add_integer(text, "schedule", schedule->kind);
    add_real(text, "factor", schedule->factor);
    add_real(text, "every_epochs", schedule->every_epochs);
    add_real(text, "power", schedule->power);
    add_real(text, "end_rate", schedule->end_rate);
    add_integer(text, "warmup_steps", schedule->warmup_steps);
    if (schedule->kind == CFI_SCHEDULE_POLYNOMIAL || schedule->kind == CFI_SCHEDULE_COSINE) {
        add_integer(text, "epochs", training->epochs); /* these two end at the last step */
    }
}

static void add_data(cfi_text *text, const cfi_dataset *dataset, int64_t validation)
{
    const cfi_samples *train = &dataset->train;
    const size_t values = (size_t)(train->count * dataset->features);
    char hash[CFI_HASH_TEXT_SIZE];
    add_integer(text, "samples", train->count);
    add_integer(text, "validation", validation);
    add_real(text, "scale", (double)dataset->scale);
    add_real(text, "shift", (double)dataset->shift);
    cfi_hash_text(train->bytes != NULL ? cfi_hash_bytes(train->bytes, values)
                                       : cfi_hash_bytes(train->floats, values * sizeof(float)),
                  hash);
    cfi_text_add(text, "%s %s\n", train->bytes != NULL ? "bytes" : "floats", hash);
    cfi_hash_text(cfi_hash_bytes(train->labels, (size_t)train->count * sizeof *train->labels), hash);
    cfi_text_add(text, "labels %s\n", hash);
}

cf_status cfi_config_digest(const cfi_settings *settings, const cfi_graph *graph, const cfi_dataset *dataset,
                            char *text_out, cf_error *error)
{
    cfi_text text = {0};
    cfi_text_add(&text, "cuttlefish 1\nseed %016" PRIx64 "\n", settings->seed);
    add_graph(&text, graph);
    add_training(&text, &settings->training);
    add_data(&text, dataset, settings->data.validation);
    const bool complete = text.status == CF_OK;
    if (complete) {
        cfi_hash_text(cfi_hash_bytes(text.data, text.length), text_out);
    }
    cfi_text_fini(&text);
    return complete ? CF_OK : cfi_fail_memory(error, "the configuration's digest");
}
