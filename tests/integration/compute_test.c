/* Whole networks trained through the shard arithmetic: every stage cut at random multiples of its grain, and anew in
 * the middle, any number of micro-batches, any kernel table. State, losses and classes are the engine's bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/philox.h"
#include "engine/compute.h"
#include "learn/schedule.h"
#include "numerics/kernels.h"
#include "reference/trial.h"

enum { STAGES_MAX = 6, SHARDS_MAX = 128, SLOTS_MAX = 8, BATCH = 160, STEPS = 4 };

typedef struct part {
    int64_t begin, end;
    void *shard;
} part;

typedef struct parts {
    trial_network *trial;
    cfi_compute_ops ops;
    uint64_t seed;
    uint32_t draws;
    bool single; /* every grain a shard */
    cfi_stage stages[STAGES_MAX];
    int stage_count;
    part shards[STAGES_MAX][SHARDS_MAX];
    int shard_count[STAGES_MAX];
    float *outputs[STAGES_MAX];       /* of the slot at hand, (outputs, rows) */
    float *gradients[SLOTS_MAX];      /* of the loss by the logits */
    float losses[BATCH];
    int32_t predicted[BATCH];
    void *loss;
} parts;

static void *room(int64_t count, size_t size)
{
    void *memory = calloc((size_t)count, size);
    assert_non_null(memory);
    return memory;
}

static void find_stages(parts *net)
{
    const cfi_graph *graph = &net->trial->graph;
    for (int i = 0; i < graph->layer_count; i++) {
        const cfi_layer *layer = &graph->layers[i];
        if (layer->neurons > 0) {
            assert_true(net->stage_count < STAGES_MAX);
            net->stages[net->stage_count++] = (cfi_stage){.layer = i, .neurons = layer->neurons, .grain = layer->grain,
                                                          .inputs = cfi_shape_features(layer->input)};
        }
        if (net->stage_count > 0) {
            cfi_stage *stage = &net->stages[net->stage_count - 1];
            stage->layer_end = i + 1;
            stage->outputs = cfi_shape_features(layer->output);
            stage->outputs_per_neuron = stage->outputs / stage->neurons;
        }
    }
}

static int64_t cut_end(parts *net, const cfi_stage *stage, int64_t begin)
{
    const uint32_t draw = cfi_draw(net->seed, CFI_PURPOSE_TEST, 5, net->draws++, 0, 0).word[0];
    const int64_t end = begin + stage->grain * (net->single ? 1 : 1 + draw % 9);
    return end < stage->neurons ? end : stage->neurons;
}

static void make_shards(parts *net, uint64_t seed)
{
    const cfi_dataset *dataset = &net->trial->dataset;
    for (int s = 0; s < net->stage_count; s++) {
        const cfi_stage *stage = &net->stages[s];
        net->shard_count[s] = 0;
        for (int64_t begin = 0, end; begin < stage->neurons; begin = end) {
            end = cut_end(net, stage, begin);
            assert_true(net->shard_count[s] < SHARDS_MAX);
            part *shard = &net->shards[s][net->shard_count[s]++];
            const cfi_compute_options options = {
                .graph = &net->trial->graph, .training = &net->trial->settings.training, .seed = seed,
                .stage = stage, .is_first = s == 0, .begin = begin, .end = end, .scale = dataset->scale,
                .shift = dataset->shift, .forward_rows = s % 2 == 0 ? 0 : 2 * BATCH};
            cf_error error = {0};
            *shard = (part){begin, end, NULL};
            if (net->ops.shard_new(&options, &shard->shard, &error) != CF_OK) {
                fail_msg("%s", error.text);
            }
        }
    }
}

static void free_shards(parts *net)
{
    for (int s = 0; s < net->stage_count; s++) {
        for (int i = 0; i < net->shard_count[s]; i++) {
            net->ops.shard_free(net->shards[s][i].shard);
        }
    }
}

static void parts_init(parts *net, trial_network *trial, uint64_t seed)
{
    net->trial = trial;
    assert_int_equal(cfi_native_compute(&net->ops, NULL), CF_OK);
    find_stages(net);
    for (int s = 0; s < net->stage_count; s++) {
        net->outputs[s] = room(net->stages[s].outputs * BATCH, sizeof(float));
    }
    for (int m = 0; m < SLOTS_MAX; m++) {
        net->gradients[m] = room(net->stages[net->stage_count - 1].outputs * BATCH, sizeof(float));
    }
    assert_int_equal(net->ops.loss_new(&trial->graph, BATCH, &net->loss, NULL), CF_OK);
    make_shards(net, seed);
}

static void parts_fini(parts *net)
{
    free_shards(net);
    net->ops.loss_free(net->loss);
    for (int s = 0; s < net->stage_count; s++) {
        free(net->outputs[s]);
    }
    for (int m = 0; m < SLOTS_MAX; m++) {
        free(net->gradients[m]);
    }
}

/* ---- Forward ---- */

static void first_input(const parts *net, void *shard, int slot, int64_t first, int64_t rows)
{
    const cfi_dataset *dataset = &net->trial->dataset;
    const int64_t features = dataset->features;
    const bool bytes = dataset->train.bytes != NULL;
    uint8_t *by_byte = room(rows * features, sizeof *by_byte);
    float *by_float = room(rows * features, sizeof *by_float);
    for (int64_t s = 0; s < rows; s++) {
        const int64_t sample = net->trial->indices[first + s] * features;
        if (bytes) {
            memcpy(by_byte + s * features, dataset->train.bytes + sample, (size_t)features);
        } else {
            memcpy(by_float + s * features, dataset->train.floats + sample, (size_t)features * sizeof(float));
        }
    }
    if (bytes) {
        net->ops.input_bytes(shard, slot, rows, by_byte);
    } else if (rows % 2 == 1) { /* feature by feature gives the same */
        float *column = room(rows, sizeof *column);
        for (int64_t i = 0; i < features; i++) {
            for (int64_t s = 0; s < rows; s++) {
                column[s] = by_float[s * features + i];
            }
            net->ops.input(shard, slot, i, 1, rows, column);
        }
        free(column);
    } else {
        net->ops.input_samples(shard, slot, rows, by_float);
    }
    free(by_byte);
    free(by_float);
}

static void forward(parts *net, int64_t step, int slot, int64_t first, int64_t rows, bool is_training)
{
    for (int s = 0; s < net->stage_count; s++) {
        const cfi_stage *stage = &net->stages[s];
        for (int i = net->shard_count[s] - 1; i >= 0; i--) { /* any order will do */
            const part *shard = &net->shards[s][i];
            if (s == 0) {
                first_input(net, shard->shard, slot, first, rows);
            }
            const int64_t width = s > 0 ? net->stages[s - 1].outputs_per_neuron : 0;
            for (int p = 0; s > 0 && p < net->shard_count[s - 1]; p++) {
                const part *before = &net->shards[s - 1][p];
                net->ops.input(shard->shard, slot, before->begin * width, (before->end - before->begin) * width, rows,
                               net->outputs[s - 1] + before->begin * width * rows);
            }
            net->ops.forward(shard->shard, step, slot, rows, is_training,
                             net->outputs[s] + shard->begin * stage->outputs_per_neuron * rows);
            assert_false(net->ops.has_nonfinite(shard->shard, slot, rows));
        }
    }
    net->ops.loss(net->loss, rows, is_training ? net->trial->rows : rows, net->outputs[net->stage_count - 1],
                  net->trial->labels + first, is_training ? net->gradients[slot] : NULL, net->losses + first,
                  net->predicted + first);
}

/* ---- Backward ---- */

static int64_t leaves_of(const cfi_stage *stage, int64_t neurons)
{
    return (neurons + stage->grain - 1) / stage->grain;
}

/* What a shard of the next stage says about the outputs of this one. */
static cfi_gradient_piece piece_of(const parts *net, int next, const part *from, const part *to, int slot, int64_t rows)
{
    const cfi_stage *stage = &net->stages[next];
    const int64_t width = net->stages[next - 1].outputs_per_neuron, count = (to->end - to->begin) * width;
    cfi_gradient_piece piece = {leaves_of(stage, from->begin), leaves_of(stage, from->end), NULL};
    cfi_tree_node nodes[CFI_TREE_NODES_MAX];
    const int node_count =
        cfi_tree_split(piece.leaf_begin, piece.leaf_end, leaves_of(stage, stage->neurons), nodes);
    float *values = room(node_count * count * rows, sizeof *values);
    for (int n = 0; n < node_count; n++) {
        const int64_t half = count / 2; /* in two pieces, the first without the other's features */
        float *target = values + n * count * rows;
        if (half > 0) {
            net->ops.input_gradient(from->shard, slot, rows, nodes[n], to->begin * width, half, target);
        }
        net->ops.input_gradient(from->shard, slot, rows, nodes[n], to->begin * width + half, count - half,
                                target + half * rows);
    }
    piece.values = values;
    return piece;
}

static void backward(parts *net, int slot, int64_t rows)
{
    for (int s = net->stage_count - 1; s >= 0; s--) {
        const bool is_last = s == net->stage_count - 1;
        for (int i = 0; i < net->shard_count[s]; i++) {
            const part *shard = &net->shards[s][i];
            cfi_gradient_piece pieces[SHARDS_MAX];
            const int count = is_last ? 1 : net->shard_count[s + 1];
            if (is_last) {
                pieces[0] = (cfi_gradient_piece){
                    0, 1, net->gradients[slot] + shard->begin * net->stages[s].outputs_per_neuron * rows};
            }
            for (int p = 0; p < count && !is_last; p++) {
                pieces[p] = piece_of(net, s + 1, &net->shards[s + 1][p], shard, slot, rows);
            }
            net->ops.backward(shard->shard, slot, rows, pieces, count,
                              is_last ? 1 : leaves_of(&net->stages[s + 1], net->stages[s + 1].neurons));
            for (int p = 0; p < count && !is_last; p++) {
                free((void *)(uintptr_t)pieces[p].values);
            }
        }
    }
}

static float clip_scale(const parts *net, int64_t rows)
{
    const float clip = (float)net->trial->settings.training.clip_norm;
    float sum = 0.0f;
    for (int s = 0; s < net->stage_count && clip > 0.0f; s++) {
        float *squares = room(net->stages[s].neurons, sizeof *squares);
        for (int i = 0; i < net->shard_count[s]; i++) {
            net->ops.squares(net->shards[s][i].shard, rows, squares + net->shards[s][i].begin);
        }
        sum += cfi_tree_sum(squares, net->stages[s].neurons);
        free(squares);
    }
    const float scale = clip / (__builtin_sqrtf(sum) + 1e-6f);
    return clip > 0.0f && scale < 1.0f ? scale : 1.0f;
}

static float parts_step(parts *net, int64_t step)
{
    const cfi_training_settings *training = &net->trial->settings.training;
    const int64_t rows = net->trial->rows, slot_rows = training->batch / training->micro_batches;
    const float rate = cfi_schedule_rate(training, net->trial->batches.steps_per_epoch, step);
    for (int64_t first = 0, slot = 0; first < rows; first += slot_rows, slot++) {
        const int64_t left = rows - first;
        forward(net, step, (int)slot, first, left < slot_rows ? left : slot_rows, true);
    }
    const float loss = cfi_tree_sum(net->losses, rows) / (float)rows;
    forward(net, step, CFI_SLOT_FORWARD, 0, rows, false); /* disturbs nothing */
    for (int64_t first = 0, slot = 0; first < rows; first += slot_rows, slot++) {
        const int64_t left = rows - first;
        backward(net, (int)slot, left < slot_rows ? left : slot_rows);
    }
    const float scale = clip_scale(net, rows);
    for (int s = 0; s < net->stage_count; s++) {
        for (int i = 0; i < net->shard_count[s]; i++) {
            net->ops.update(net->shards[s][i].shard, step, rows, rate, scale);
        }
    }
    return loss;
}

/* ---- Comparing ---- */

static cfi_hash parts_hash(const parts *net)
{
    cfi_hash root = {0, 0};
    for (int s = 0; s < net->stage_count; s++) {
        const int64_t neurons = net->stages[s].neurons;
        cfi_hash *hashes = room(neurons, sizeof *hashes);
        for (int i = 0; i < net->shard_count[s]; i++) {
            net->ops.neuron_hashes(net->shards[s][i].shard, hashes + net->shards[s][i].begin);
        }
        for (int64_t width = 1; width < neurons; width *= 2) {
            for (int64_t i = 0; i + width < neurons; i += 2 * width) {
                hashes[i] = cfi_hash_join(hashes[i], hashes[i + width]);
            }
        }
        root = s == 0 ? hashes[0] : cfi_hash_join(root, hashes[0]);
        free(hashes);
    }
    return root;
}

/* Other shards take over the neurons' state. */
static void cut_anew(parts *net, uint64_t seed)
{
    unsigned char *states[STAGES_MAX];
    size_t sizes[STAGES_MAX];
    for (int s = 0; s < net->stage_count; s++) {
        sizes[s] = net->ops.neuron_state_size(net->shards[s][0].shard);
        states[s] = room(net->stages[s].neurons, sizes[s]);
        for (int i = 0; i < net->shard_count[s]; i++) {
            const part *shard = &net->shards[s][i];
            net->ops.state_get(shard->shard, shard->begin, shard->end, states[s] + (size_t)shard->begin * sizes[s]);
        }
    }
    free_shards(net);
    make_shards(net, seed);
    for (int s = 0; s < net->stage_count; s++) {
        for (int i = 0; i < net->shard_count[s]; i++) {
            for (int64_t o = net->shards[s][i].begin; o < net->shards[s][i].end; o++) {
                net->ops.state_set(net->shards[s][i].shard, o, o + 1, states[s] + (size_t)o * sizes[s]);
            }
        }
        free(states[s]);
    }
}

static void check_forward(parts *net)
{
    trial_network *trial = net->trial;
    int32_t predicted[BATCH];
    double loss;
    int64_t correct;
    trial_gather(trial, 0);
    forward(net, 0, CFI_SLOT_FORWARD, 0, trial->rows, false);
    assert_int_equal(cfi_engine_evaluate(trial->engine, &trial->dataset.train, trial->indices, trial->rows, &loss,
                                         &correct, predicted, NULL), CF_OK);
    const float sum = cfi_tree_sum(net->losses, trial->rows);
    const float engine_sum = (float)loss;
    assert_memory_equal(&sum, &engine_sum, sizeof sum);
    assert_memory_equal(net->predicted, predicted, (size_t)trial->rows * sizeof *predicted);
}

static void compare(const trial_options *options, uint64_t seed, bool single)
{
    trial_network trial;
    trial_init(&trial, options);
    parts *net = room(1, sizeof *net);
    net->seed = seed;
    net->single = single;
    parts_init(net, &trial, options->seed);
    for (int64_t step = 0; step < STEPS; step++) {
        const float whole = trial_engine_step(&trial, step), cut = parts_step(net, step);
        if (memcmp(&whole, &cut, sizeof whole) != 0) {
            fail_msg("%s, %s, seed %d: loss of step %d is %.9g, not %.9g", options->name, net->ops.name, (int)seed,
                     (int)step, (double)cut, (double)whole);
        }
        const cfi_hash engine_hash = cfi_engine_state_hash(trial.engine), hash = parts_hash(net);
        if (memcmp(&engine_hash, &hash, sizeof hash) != 0) {
            fail_msg("%s, %s, seed %d: state differs after step %d", options->name, net->ops.name, (int)seed,
                     (int)step);
        }
        if (step == STEPS / 2) {
            cut_anew(net, options->seed);
        }
    }
    check_forward(net);
    parts_fini(net);
    free(net);
    trial_fini(&trial);
}

/* ---- Networks ---- */

#define OPTIMIZER(...) {.batch = 64, .sample_grain = 4, .optimizer = {__VA_ARGS__}}
#define SGD .kind = CFI_OPTIMIZER_SGD, .rate = 0.1

static const trial_options networks[] = {
    {.name = "dense sgd", .input = {20, 1, 1}, .classes = 10,
     .layers = {DENSE_GRAIN(75, TANH, 4), DENSE_GRAIN(33, RELU, 2), DENSE_GRAIN(10, IDENTITY, 1)},
     .training = OPTIMIZER(SGD)},
    {.name = "bytes, momentum, clip", .input = {1, 9, 9}, .classes = 10, .sparse = true,
     .layers = {FLATTEN, DENSE_GRAIN(30, SIGMOID, 1), DENSE_GRAIN(10, IDENTITY, 1)},
     .training = {.batch = 32, .sample_grain = 2, .clip_norm = 0.5,
                  .optimizer = {SGD, .momentum = 0.9, .nesterov = true, .weight_decay = 0.01}}},
    {.name = "mse, rmsprop", .input = {70, 1, 1}, .classes = 3, .loss = CFI_LOSS_MSE,
     .layers = {DENSE_GRAIN(13, LEAKY_RELU, 1), DENSE_GRAIN(9, SIGMOID, 4), DENSE_GRAIN(3, SIGMOID, 1)},
     .training = OPTIMIZER(.kind = CFI_OPTIMIZER_RMSPROP, .rate = 0.01, .decay = 0.9, .epsilon = 1e-8)},
    {.name = "binary, adam", .input = {65, 1, 1}, .classes = 2, .loss = CFI_LOSS_BINARY_CROSS_ENTROPY,
     .layers = {DENSE_GRAIN(70, SIGMOID, 8), DROPOUT(0.3), DENSE_GRAIN(7, TANH, 1), DENSE_GRAIN(1, IDENTITY, 1)},
     .training = OPTIMIZER(.kind = CFI_OPTIMIZER_ADAM, .rate = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8)},
    {.name = "odd slots, dropout", .input = {20, 1, 1}, .classes = 4,
     .layers = {DENSE_GRAIN(21, RELU, 2), DROPOUT(0.5), DENSE_GRAIN(12, TANH, 1), DROPOUT(0.2),
                DENSE_GRAIN(4, IDENTITY, 1)},
     .training = {.batch = 52, .sample_grain = 1, .optimizer = {SGD}}},
    {.name = "conv, pools, adamw, clip", .input = {2, 11, 9}, .classes = 10, .sparse = true,
     .layers = {CONV(5, 3, 3, 1, 1, SAME, 0, RELU), POOL(MAX, 2, 2, 2, 2), CONV_GRAIN(7, 3, TANH, 2), DROPOUT(0.25),
                FLATTEN, DENSE_GRAIN(12, RELU, 4), DENSE_GRAIN(10, IDENTITY, 1)},
     .training = {.batch = 48, .sample_grain = 4, .clip_norm = 0.1,
                  .optimizer = {.kind = CFI_OPTIMIZER_ADAMW, .rate = 0.01, .beta1 = 0.9, .beta2 = 0.999,
                                .epsilon = 1e-8, .weight_decay = 0.1}}},
    {.name = "strides, overlaps, dropout behind flatten", .input = {1, 12, 13}, .classes = 5,
     .layers = {CONV(9, 4, 3, 2, 1, NUMBER, 1, TANH), POOL(AVG, 3, 2, 1, 1), CONV(6, 2, 3, 1, 2, NUMBER, 2, RELU),
                POOL(MAX, 3, 3, 1, 2), FLATTEN, DROPOUT(0.4), DENSE_GRAIN(5, IDENTITY, 1)},
     .training = OPTIMIZER(SGD, .momentum = 0.9)},
};

static void compare_all(bool single)
{
    int table_count;
    const cfi_kernels *const *tables = cfi_kernels_usable(&table_count);
    for (int table = 0; table < table_count; table++) {
        assert_int_equal(setenv("CUTTLEFISH_KERNELS", tables[table]->name, 1), 0);
        for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
            for (int64_t micro = 1; micro <= 4; micro *= 2) {
                trial_options options = networks[i];
                options.seed = 3;
                options.samples = 2 * options.training.batch + 27; /* a short batch third */
                options.training.micro_batches = micro;
                compare(&options, 7 + (uint64_t)micro, single);
            }
        }
    }
    assert_int_equal(unsetenv("CUTTLEFISH_KERNELS"), 0);
}

static void any_cut_gives_the_bits_of_the_whole(void **state)
{
    (void)state;
    compare_all(false);
}

static void single_grains_give_the_bits_of_the_whole(void **state)
{
    (void)state;
    compare_all(true);
}

static void a_batch_of_several_blocks_in_one_slot(void **state)
{
    (void)state;
    trial_options options = networks[0];
    options.seed = 11;
    options.training.batch = 70; /* a full block of 64 and 6 more */
    options.training.sample_grain = 64;
    options.training.micro_batches = 1;
    options.samples = 2 * 70 + 5;
    compare(&options, 1, false);
    options.training.batch = 10; /* smaller than its leaf */
    options.samples = 35;
    compare(&options, 2, false);
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        options = networks[i];
        options.seed = 12;
        options.training.batch = BATCH; /* two slots of five blocks of 16; the third batch fills one and a half */
        options.training.sample_grain = 16;
        options.training.micro_batches = 2;
        options.samples = 2 * BATCH + 121;
        compare(&options, 3, false);
    }
}

/* Every allocation of a shard and of a loss fails once. */
static void memory_may_be_short_anywhere(void **state)
{
    (void)state;
    trial_network trial;
    trial_options options = networks[5];
    options.training.micro_batches = 2;
    trial_init(&trial, &options);
    parts *net = room(1, sizeof *net);
    parts_init(net, &trial, 1);
    const cfi_compute_options shard = {.graph = &trial.graph, .training = &trial.settings.training,
                                       .stage = &net->stages[1], .begin = 2, .end = 4};
    for (int kind = 0; kind < 2; kind++) {
        cf_status status = CF_E_MEMORY;
        uint64_t failures = 0;
        for (; status != CF_OK; failures++) {
            void *made = NULL;
            cfi_alloc_fail_after(failures);
            status = kind == 0 ? net->ops.shard_new(&shard, &made, NULL)
                               : net->ops.loss_new(&trial.graph, 9, &made, NULL);
            cfi_alloc_fail_after(UINT64_MAX);
            assert_true(status == CF_OK ? made != NULL : status == CF_E_MEMORY && made == NULL);
            (kind == 0 ? net->ops.shard_free : net->ops.loss_free)(made);
        }
        assert_true(failures > 3);
    }
    parts_fini(net);
    free(net);
    trial_fini(&trial);
}

static void wrong_shards_are_refused(void **state)
{
    (void)state;
    trial_network trial;
    trial_options options = networks[0];
    options.training.micro_batches = 1;
    trial_init(&trial, &options);
    parts *net = room(1, sizeof *net);
    parts_init(net, &trial, 1);
    static const int64_t wrong[][2] = {{0, 0}, {-4, 4}, {2, 8}, {0, 6}, {0, 76}, {72, 76}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const cfi_compute_options shard = {.graph = &trial.graph, .training = &trial.settings.training,
                                           .stage = &net->stages[0], .begin = wrong[i][0], .end = wrong[i][1]};
        void *made = NULL;
        assert_int_equal(net->ops.shard_new(&shard, &made, NULL), CF_E_USAGE);
        assert_null(made);
    }
    trial.settings.training.micro_batches = 3; /* 64 samples are no 3 equal parts */
    const cfi_compute_options shard = {.graph = &trial.graph, .training = &trial.settings.training,
                                       .stage = &net->stages[0], .begin = 0, .end = 4};
    void *made = NULL;
    assert_int_equal(net->ops.shard_new(&shard, &made, NULL), CF_E_USAGE);
    trial.settings.training.micro_batches = 1;
    parts_fini(net);
    free(net);
    trial_fini(&trial);
}

/* A neuron alone must be cheap: 784 inputs, 10 samples. */
static void one_neuron_is_small(void **state)
{
    (void)state;
    trial_network trial;
    const trial_options options = {.name = "small", .input = {784, 1, 1}, .classes = 10, .seed = 1,
                                   .layers = {DENSE_GRAIN(30, SIGMOID, 1), DENSE_GRAIN(10, IDENTITY, 1)},
                                   .training = {.batch = 10, .micro_batches = 1, .optimizer = {SGD}}};
    trial_init(&trial, &options);
    parts *net = room(1, sizeof *net);
    net->single = true;
    parts_init(net, &trial, 1);
    assert_true(net->ops.shard_memory(net->shards[0][0].shard) > 784 * sizeof(float));
    assert_true(net->ops.shard_memory(net->shards[0][0].shard) < 400 * 1000);
    parts_fini(net);
    free(net);
    trial_fini(&trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cut_gives_the_bits_of_the_whole),
        cmocka_unit_test(single_grains_give_the_bits_of_the_whole),
        cmocka_unit_test(a_batch_of_several_blocks_in_one_slot),
        cmocka_unit_test(memory_may_be_short_anywhere),
        cmocka_unit_test(wrong_shards_are_refused),
        cmocka_unit_test(one_neuron_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
