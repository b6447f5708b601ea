/* Whole trainings: the engine against the double-precision reference, and against itself with other kernels and
 * numbers of threads. Data are synthetic and seeded. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "numerics/kernels.h"
#include "reference/trial.h"

#define STEPS 10
#define SOFTMAX CFI_LOSS_SOFTMAX_CROSS_ENTROPY

/* The two networks of examples/mnist, with samples of MNIST's shape and sparseness. */
static const trial_options mlp = {
    .name = "mlp 784-128-10", .input = {1, 28, 28}, .classes = 10, .loss = SOFTMAX, .samples = 300, .seed = 7,
    .sparse = true,
    .training = {.batch = 128, .optimizer = {.rate = 0.1, .momentum = 0.9}},
    .layers = {DENSE(128, RELU), DENSE(10, IDENTITY)}};

static const trial_options lenet = {
    .name = "lenet", .input = {1, 28, 28}, .classes = 10, .loss = SOFTMAX, .samples = 40, .seed = 7, .sparse = true,
    .training = {.batch = 16, .optimizer = {.rate = 0.05, .momentum = 0.9}},
    .layers = {CONV(6, 5, 5, 1, 1, SAME, 0, RELU), POOL(MAX, 2, 2, 0, 0), CONV(16, 5, 5, 1, 1, VALID, 0, RELU),
               POOL(MAX, 2, 2, 0, 0), FLATTEN, DENSE(120, RELU), DENSE(84, RELU), DENSE(10, IDENTITY)}};

/* PyTorch-like weights instead of the trial's Nielsen ones, as the example files use them. */
static trial_options with_usual_weights(trial_options options)
{
    for (int i = 0; i < TRIAL_LAYERS_MAX; i++) {
        options.layers[i].init = CFI_INIT_AUTO;
    }
    return options;
}

/* Trains both; returns the largest relative error of a weight, and of a loss. */
static double train_both(const trial_options *options, int64_t steps, double *loss_error_out)
{
    trial_network trial;
    double loss_error = 0;
    trial_init(&trial, options);
    for (int64_t step = 0; step < steps; step++) {
        double engine_loss, loss;
        trial_step(&trial, step, &engine_loss, &loss);
        loss_error = fmax(loss_error, fabs(engine_loss - loss) / fabs(loss));
    }
    const double error = trial_parameter_error(&trial);
    trial_fini(&trial);
    *loss_error_out = loss_error;
    return error;
}

/* `bound` holds for weights (relative to the largest of their tensor) and losses (relative). */
static void expect_agreement(const trial_options *options, int64_t steps, double bound)
{
    double loss_error;
    const double error = train_both(options, steps, &loss_error);
    print_message("%-40s %3lld steps: weights %.1e, loss %.1e\n", options->name, (long long)steps, error, loss_error);
    assert_true(error <= bound);
    assert_true(loss_error <= bound);
}

static void ten_steps_of_mlp_agree_with_double_precision(void **state)
{
    (void)state;
    const trial_options options = with_usual_weights(mlp);
    expect_agreement(&options, STEPS, 1e-5);
}

static void ten_steps_of_lenet_agree_with_double_precision(void **state)
{
    (void)state;
    const trial_options options = with_usual_weights(lenet);
    expect_agreement(&options, STEPS, 1e-5);
}

/* ---- Optimizers, clipping, dropout, schedules -------------------------------------------------------- */

static const trial_options small = {
    .name = "small", .input = {1, 6, 6}, .classes = 3, .loss = SOFTMAX, .samples = 90, .seed = 5,
    .layers = {CONV(4, 3, 3, 1, 1, SAME, 0, TANH), POOL(AVG, 2, 2, 0, 0), FLATTEN, DENSE(11, SIGMOID),
               DENSE(3, IDENTITY)}};

/* 40 steps of 37 samples: the last step of each epoch has 16 rows, and epochs are reshuffled. */
static void expect_small_agreement(const char *name, cfi_training_settings training, double bound)
{
    trial_options options = small;
    options.name = name;
    options.training = training;
    options.training.batch = 37;
    options.training.sample_grain = 8;
    options.training.epochs = 14;
    expect_agreement(&options, 40, bound);
}

static void every_optimizer_agrees_with_double_precision(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        cfi_optimizer_settings optimizer;
    } rows[] = {
        {"sgd", {.kind = CFI_OPTIMIZER_SGD, .rate = 0.5}},
        {"sgd, weight decay", {.kind = CFI_OPTIMIZER_SGD, .rate = 0.5, .weight_decay = 0.03}},
        {"sgd, momentum", {.kind = CFI_OPTIMIZER_SGD, .rate = 0.1, .momentum = 0.9}},
        {"sgd, momentum, weight decay",
         {.kind = CFI_OPTIMIZER_SGD, .rate = 0.1, .momentum = 0.9, .weight_decay = 0.01}},
        {"sgd, nesterov", {.kind = CFI_OPTIMIZER_SGD, .rate = 0.1, .momentum = 0.9, .nesterov = true}},
        {"sgd, nesterov, weight decay",
         {.kind = CFI_OPTIMIZER_SGD, .rate = 0.1, .momentum = 0.9, .nesterov = true, .weight_decay = 0.01}},
        {"rmsprop", {.kind = CFI_OPTIMIZER_RMSPROP, .rate = 0.003, .decay = 0.99, .epsilon = 1e-3}},
        {"rmsprop, momentum, weight decay",
         {.kind = CFI_OPTIMIZER_RMSPROP, .rate = 0.001, .decay = 0.9, .epsilon = 1e-3, .momentum = 0.8,
          .weight_decay = 0.01}},
        {"adam", {.kind = CFI_OPTIMIZER_ADAM, .rate = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-4}},
        {"adam, weight decay",
         {.kind = CFI_OPTIMIZER_ADAM, .rate = 0.01, .beta1 = 0.8, .beta2 = 0.99, .epsilon = 1e-4,
          .weight_decay = 0.02}},
        {"adamw",
         {.kind = CFI_OPTIMIZER_ADAMW, .rate = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-4,
          .weight_decay = 0.1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_small_agreement(rows[i].name, (cfi_training_settings){.optimizer = rows[i].optimizer}, 2e-5);
    }
}

static void clipping_by_norm_agrees_with_double_precision(void **state)
{
    (void)state;
    const cfi_optimizer_settings sgd = {.kind = CFI_OPTIMIZER_SGD, .rate = 0.5, .weight_decay = 0.03};
    const cfi_optimizer_settings adam = {.kind = CFI_OPTIMIZER_ADAM, .rate = 0.01, .beta1 = 0.9, .beta2 = 0.999,
                                         .epsilon = 1e-4};
    expect_small_agreement("sgd, clipped to 0.05", (cfi_training_settings){.optimizer = sgd, .clip_norm = 0.05}, 1e-5);
    expect_small_agreement("sgd, clipped to 0.4 (at times)",
                           (cfi_training_settings){.optimizer = sgd, .clip_norm = 0.4}, 1e-5);
    expect_small_agreement("adam, clipped to 0.1", (cfi_training_settings){.optimizer = adam, .clip_norm = 0.1}, 2e-5);
}

static void schedules_agree_with_double_precision(void **state)
{
    (void)state;
    for (int kind = CFI_SCHEDULE_CONSTANT; kind <= CFI_SCHEDULE_COSINE; kind++) {
        static const char *const names[] = {"constant", "step", "exponential", "polynomial", "cosine"};
        const cfi_training_settings training = {
            .optimizer = {.kind = CFI_OPTIMIZER_SGD, .rate = 0.4, .momentum = 0.5},
            .schedule = {.kind = (cfi_schedule_kind)kind, .factor = 0.5, .every_epochs = 2, .power = 2,
                         .end_rate = 0.01, .warmup_steps = 5}};
        expect_small_agreement(names[kind], training, 1e-5);
    }
}

static void dropout_draws_new_masks_at_every_step(void **state)
{
    (void)state;
    const trial_options options = {
        .name = "dropout", .input = {2, 6, 6}, .classes = 3, .loss = SOFTMAX, .samples = 90, .seed = 5,
        .training = {.batch = 37, .optimizer = {.rate = 0.2, .momentum = 0.5}},
        .layers = {DROPOUT(0.1), CONV(4, 3, 3, 1, 1, SAME, 0, TANH), DROPOUT(0.2), POOL(MAX, 2, 2, 0, 0),
                   DROPOUT(0.3), FLATTEN, DENSE(11, TANH), DROPOUT(0.5), DENSE(3, IDENTITY)}};
    expect_agreement(&options, 20, 1e-5);
}

static void quadratic_and_binary_losses_train_alike(void **state)
{
    (void)state;
    const trial_options quadratic = {
        .name = "quadratic cost, sigmoid", .input = {1, 28, 28}, .classes = 10, .loss = CFI_LOSS_MSE, .samples = 100,
        .seed = 3, .sparse = true, .training = {.batch = 10, .optimizer = {.rate = 3.0}},
        .layers = {DENSE(30, SIGMOID), DENSE(10, SIGMOID)}};
    const trial_options binary = {
        .name = "binary cross-entropy", .input = {4, 1, 1}, .classes = 2, .loss = CFI_LOSS_BINARY_CROSS_ENTROPY,
        .seed = 3, .training = {.batch = 10, .optimizer = {.rate = 0.3}},
        .layers = {DENSE(8, LEAKY_RELU), DENSE(1, IDENTITY)}};
    expect_agreement(&quadratic, 30, 1e-5);
    expect_agreement(&binary, 30, 1e-5);
}

/* ---- Forward alone ------------------------------------------------------------------------------------ */

static double probability_error(const trial_options *options)
{
    trial_network trial;
    float inputs[5 * 40], outputs[5 * 3];
    double values[40], exact[3], worst = 0;
    trial_init(&trial, options);
    const int64_t features = trial.dataset.features;
    memcpy(inputs, trial.dataset.train.floats, (size_t)(5 * features) * sizeof *inputs);
    assert_int_equal(cfi_engine_predict(trial.engine, inputs, 5, outputs, NULL), CF_OK);
    for (int64_t row = 0; row < 5; row++) {
        double sum = 0;
        for (int64_t i = 0; i < features; i++) {
            values[i] = (double)inputs[row * features + i];
        }
        reference_outputs(trial.reference, values, exact);
        for (int i = 0; i < 3; i++) {
            exact[i] = exp(exact[i]);
            sum += exact[i];
        }
        for (int i = 0; i < 3; i++) {
            worst = fmax(worst, fabs((double)outputs[row * 3 + i] - exact[i] / sum));
        }
    }
    trial_fini(&trial);
    return worst;
}

static void predictions_are_the_references_without_dropout(void **state)
{
    (void)state;
    const trial_options flat = {
        .name = "dense", .input = {7, 1, 1}, .classes = 3, .loss = SOFTMAX, .seed = 2, .training.optimizer.rate = 1,
        .layers = {DROPOUT(0.3), DENSE(70, RELU), DROPOUT(0.5), DENSE(3, IDENTITY)}};
    assert_true(probability_error(&small) < 1e-6);
    assert_true(probability_error(&flat) < 1e-6);
}

/* The way of at most six samples through a dense network is another one than that of many. */
static void a_prediction_does_not_depend_on_its_neighbours(void **state)
{
    (void)state;
    const trial_options rows[] = {
        {.name = "dense", .input = {150, 1, 1}, .classes = 3, .loss = SOFTMAX, .seed = 2,
         .layers = {DENSE(70, RELU), DENSE(131, SIGMOID), DENSE(3, IDENTITY)}},
        {.name = "convolution", .input = {2, 5, 15}, .classes = 3, .loss = SOFTMAX, .seed = 2,
         .layers = {CONV(3, 2, 3, 1, 2, SAME, 0, TANH), FLATTEN, DENSE(3, IDENTITY)}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        trial_network trial;
        float together[70 * 3], apart[70 * 3];
        trial_init(&trial, &rows[i]);
        const float *inputs = trial.dataset.train.floats;
        assert_int_equal(cfi_engine_predict(trial.engine, inputs, 70, together, NULL), CF_OK);
        for (int64_t begin = 0, count = 1; begin < 70; begin += count, count = count % 7 + 1) {
            count = begin + count > 70 ? 70 - begin : count;
            assert_int_equal(cfi_engine_predict(trial.engine, inputs + begin * 150, count, apart + begin * 3, NULL),
                             CF_OK);
        }
        assert_memory_equal(together, apart, sizeof together);
        trial_fini(&trial);
    }
}

/* ---- One run, one result ------------------------------------------------------------------------------ */

typedef struct run_result {
    char state[CFI_HASH_TEXT_SIZE], weights[CFI_HASH_TEXT_SIZE];
    float losses[STEPS];
} run_result;

static run_result run_with(trial_options options, const char *kernels, int threads)
{
    run_result result;
    trial_network trial;
    memset(&result, 0, sizeof result);
    options.threads = threads;
    assert_int_equal(setenv("CUTTLEFISH_KERNELS", kernels, 1), 0);
    trial_init(&trial, &options);
    assert_string_equal(cfi_engine_kernels(trial.engine), kernels);
    assert_int_equal(cfi_engine_threads(trial.engine), threads);
    for (int64_t step = 0; step < STEPS; step++) {
        result.losses[step] = trial_engine_step(&trial, step);
    }
    cfi_hash_text(cfi_engine_state_hash(trial.engine), result.state);
    cfi_hash_text(cfi_engine_weights_hash(trial.engine), result.weights);
    trial_fini(&trial);
    assert_int_equal(unsetenv("CUTTLEFISH_KERNELS"), 0);
    return result;
}

/* The first table with one thread against every table with every number of threads. */
static void expect_same_bits(const trial_options *options)
{
    static const int threads[] = {1, 2, 5};
    int kernels_count, wrong = 0;
    const cfi_kernels *const *kernels = cfi_kernels_usable(&kernels_count);
    const run_result first = run_with(*options, kernels[0]->name, 1);
    for (int k = 0; k < kernels_count; k++) {
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            const run_result other = run_with(*options, kernels[k]->name, threads[t]);
            if (memcmp(&first, &other, sizeof first) != 0) {
                print_error("%s: %s with %d threads: state %s, weights %s\n", options->name, kernels[k]->name,
                            threads[t], other.state, other.weights);
                wrong++;
            }
        }
    }
    print_message("%-40s state %s on %d kernel tables\n", options->name, first.state, kernels_count);
    assert_int_equal(wrong, 0);
}

static void mlp_has_the_same_bits_on_every_table_and_thread_count(void **state)
{
    (void)state;
    const trial_options options = with_usual_weights(mlp);
    expect_same_bits(&options);
}

static void lenet_has_the_same_bits_on_every_table_and_thread_count(void **state)
{
    (void)state;
    const trial_options options = with_usual_weights(lenet);
    expect_same_bits(&options);
}

static void odd_sizes_have_the_same_bits_on_every_table_and_thread_count(void **state)
{
    (void)state;
    const cfi_optimizer_settings adamw = {.kind = CFI_OPTIMIZER_ADAMW, .rate = 0.01, .beta1 = 0.9, .beta2 = 0.999,
                                          .epsilon = 1e-8, .weight_decay = 0.1};
    const cfi_optimizer_settings rmsprop = {.kind = CFI_OPTIMIZER_RMSPROP, .rate = 0.01, .decay = 0.9,
                                            .epsilon = 1e-8, .momentum = 0.5};
    const trial_options rows[] = {
        {.name = "everything, adamw, clipped", .input = {3, 9, 11}, .classes = 5, .loss = SOFTMAX, .samples = 150,
         .seed = 1, .training = {.batch = 71, .sample_grain = 4, .clip_norm = 0.5, .optimizer = adamw},
         .layers = {CONV(7, 4, 3, 1, 2, SAME, 0, LEAKY_RELU), DROPOUT(0.2), POOL(MAX, 3, 2, 2, 1),
                    CONV_GRAIN(5, 2, TANH, 2), POOL(AVG, 2, 2, 1, 1), FLATTEN, DENSE_GRAIN(67, SIGMOID, 8),
                    DROPOUT(0.5), DENSE(5, IDENTITY)}},
        {.name = "deep and narrow, rmsprop", .input = {13, 1, 1}, .classes = 2, .loss = CFI_LOSS_BINARY_CROSS_ENTROPY,
         .samples = 133, .seed = 1, .training = {.batch = 19, .sample_grain = 1, .optimizer = rmsprop},
         .layers = {DENSE(17, TANH), DENSE_GRAIN(129, RELU, 64), DENSE(1, SIGMOID), DENSE(33, SIGMOID),
                    DENSE(1, IDENTITY)}},
        {.name = "wide, mse, batch 1", .input = {200, 1, 1}, .classes = 4, .loss = CFI_LOSS_MSE, .samples = 12,
         .seed = 1, .training = {.batch = 1, .optimizer = {.rate = 0.1, .momentum = 0.9, .nesterov = true}},
         .layers = {DENSE(190, TANH), DENSE(4, SIGMOID)}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_same_bits(&rows[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_steps_of_mlp_agree_with_double_precision),
        cmocka_unit_test(ten_steps_of_lenet_agree_with_double_precision),
        cmocka_unit_test(every_optimizer_agrees_with_double_precision),
        cmocka_unit_test(clipping_by_norm_agrees_with_double_precision),
        cmocka_unit_test(schedules_agree_with_double_precision),
        cmocka_unit_test(dropout_draws_new_masks_at_every_step),
        cmocka_unit_test(quadratic_and_binary_losses_train_alike),
        cmocka_unit_test(predictions_are_the_references_without_dropout),
        cmocka_unit_test(a_prediction_does_not_depend_on_its_neighbours),
        cmocka_unit_test(mlp_has_the_same_bits_on_every_table_and_thread_count),
        cmocka_unit_test(lenet_has_the_same_bits_on_every_table_and_thread_count),
        cmocka_unit_test(odd_sizes_have_the_same_bits_on_every_table_and_thread_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
