/* The engine's gradients against finite differences of the reference's loss, for every kind of layer, activation and
 * loss. The engine does not show its gradients; one step of plain gradient descent does: g = (w - w') / rate. The
 * rate is large, so that w' keeps the gradient's digits, and a power of two, so that dividing is exact. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "reference/trial.h"

#define RATE 1024.0
#define NUDGE 1e-6 /* of a weight, in the finite difference */
/* Engine against finite differences, relative to the largest gradient of the tensor. Typical are 3e-7; a bias under an
 * average over many places loses digits to cancellation (6e-6 below). */
#define ENGINE_BOUND 2e-5
#define REFERENCE_BOUND 2e-7 /* the reference's own gradients against the same */

#define SOFTMAX CFI_LOSS_SOFTMAX_CROSS_ENTROPY
#define MSE CFI_LOSS_MSE
#define BINARY CFI_LOSS_BINARY_CROSS_ENTROPY

/* Every activation in front of every loss. */
static const trial_options dense_cases[] = {
    {.name = "softmax", .input = {7, 1, 1}, .classes = 3, .loss = SOFTMAX, .layers = {DENSE(3, IDENTITY)}},
    {.name = "relu, softmax", .input = {7, 1, 1}, .classes = 5, .loss = SOFTMAX,
     .layers = {DENSE(9, RELU), DENSE(5, IDENTITY)}},
    {.name = "leaky_relu, softmax", .input = {7, 1, 1}, .classes = 5, .loss = SOFTMAX,
     .layers = {DENSE(9, LEAKY_RELU), DENSE(5, IDENTITY)}},
    {.name = "sigmoid, softmax", .input = {7, 1, 1}, .classes = 5, .loss = SOFTMAX,
     .layers = {DENSE(9, SIGMOID), DENSE(5, IDENTITY)}},
    {.name = "tanh, softmax", .input = {7, 1, 1}, .classes = 5, .loss = SOFTMAX,
     .layers = {DENSE(9, TANH), DENSE(8, TANH), DENSE(5, IDENTITY)}},
    {.name = "identity, mse", .input = {7, 1, 1}, .classes = 4, .loss = MSE,
     .layers = {DENSE(6, IDENTITY), DENSE(4, IDENTITY)}},
    {.name = "sigmoid, mse", .input = {7, 1, 1}, .classes = 4, .loss = MSE,
     .layers = {DENSE(6, SIGMOID), DENSE(4, SIGMOID)}},
    {.name = "relu, mse", .input = {7, 1, 1}, .classes = 4, .loss = MSE, .layers = {DENSE(6, RELU), DENSE(4, RELU)}},
    {.name = "leaky_relu, tanh, one output, mse", .input = {7, 1, 1}, .classes = 2, .loss = MSE,
     .layers = {DENSE(6, LEAKY_RELU), DENSE(1, TANH)}},
    {.name = "one output, binary", .input = {7, 1, 1}, .classes = 2, .loss = BINARY,
     .layers = {DENSE(6, TANH), DENSE(1, IDENTITY)}},
    {.name = "four outputs, binary", .input = {7, 1, 1}, .classes = 4, .loss = BINARY,
     .layers = {DENSE(6, RELU), DENSE(4, IDENTITY)}},
};

/* Sizes around the edges of blocks (64 samples), tiles (6 rows) and leaves. */
static const trial_options shape_cases[] = {
    {.name = "one sample", .input = {3, 1, 1}, .classes = 2, .loss = SOFTMAX, .samples = 1, .training.batch = 1,
     .layers = {DENSE(5, TANH), DENSE(2, IDENTITY)}},
    {.name = "one input, one neuron", .input = {1, 1, 1}, .classes = 2, .loss = BINARY, .samples = 3,
     .training.batch = 3, .layers = {DENSE(1, IDENTITY)}},
    {.name = "64 samples", .input = {5, 1, 1}, .classes = 2, .loss = SOFTMAX, .samples = 64, .training.batch = 64,
     .layers = {DENSE(7, TANH), DENSE(2, IDENTITY)}},
    {.name = "65 samples, leaves of 1", .input = {5, 1, 1}, .classes = 2, .loss = SOFTMAX, .samples = 65,
     .training = {.batch = 65, .sample_grain = 1}, .layers = {DENSE(7, TANH), DENSE(2, IDENTITY)}},
    {.name = "200 samples, leaves of 4", .input = {5, 1, 1}, .classes = 2, .loss = SOFTMAX, .samples = 200,
     .training = {.batch = 200, .sample_grain = 4}, .layers = {DENSE(7, TANH), DENSE(2, IDENTITY)}},
    {.name = "200 samples, leaves of 64", .input = {5, 1, 1}, .classes = 2, .loss = SOFTMAX, .samples = 200,
     .training.batch = 200, .layers = {DENSE(7, TANH), DENSE(2, IDENTITY)}},
    {.name = "batch larger than the data", .input = {5, 1, 1}, .classes = 2, .loss = SOFTMAX, .samples = 10,
     .training.batch = 100, .layers = {DENSE(7, TANH), DENSE(2, IDENTITY)}},
    {.name = "70 and 130 neurons", .input = {3, 1, 1}, .classes = 3, .loss = SOFTMAX, .samples = 9,
     .training.batch = 9, .layers = {DENSE(70, TANH), DENSE_GRAIN(130, TANH, 8), DENSE(3, IDENTITY)}},
    {.name = "grain 4 of 11 neurons", .input = {3, 1, 1}, .classes = 3, .loss = SOFTMAX,
     .layers = {DENSE(5, TANH), DENSE_GRAIN(11, TANH, 4), DENSE_GRAIN(3, IDENTITY, 2)}},
    {.name = "150 inputs", .input = {150, 1, 1}, .classes = 2, .loss = SOFTMAX, .samples = 20, .training.batch = 20,
     .layers = {DENSE(3, TANH), DENSE(2, IDENTITY)}},
    {.name = "dense on images", .input = {2, 3, 4}, .classes = 2, .loss = SOFTMAX, .layers = {DENSE(2, IDENTITY)}},
    {.name = "flatten first", .input = {2, 3, 4}, .classes = 2, .loss = SOFTMAX,
     .layers = {FLATTEN, DENSE(4, SIGMOID), FLATTEN, DENSE(2, IDENTITY)}},
};

static const trial_options conv_cases[] = {
    {.name = "conv valid", .input = {1, 5, 6}, .classes = 2, .loss = SOFTMAX,
     .layers = {CONV(3, 3, 3, 1, 1, VALID, 0, RELU), FLATTEN, DENSE(2, IDENTITY)}},
    {.name = "conv same", .input = {2, 5, 4}, .classes = 2, .loss = SOFTMAX,
     .layers = {CONV(3, 3, 3, 1, 1, SAME, 0, TANH), FLATTEN, DENSE(2, IDENTITY)}},
    {.name = "conv same, even kernel, uneven stride", .input = {2, 7, 5}, .classes = 2, .loss = SOFTMAX,
     .layers = {CONV(3, 4, 2, 2, 3, SAME, 0, SIGMOID), FLATTEN, DENSE(2, IDENTITY)}},
    {.name = "conv padding 2, stride 2", .input = {1, 5, 5}, .classes = 2, .loss = SOFTMAX,
     .layers = {CONV(2, 3, 3, 2, 2, NUMBER, 2, LEAKY_RELU), FLATTEN, DENSE(2, IDENTITY)}},
    {.name = "conv 1x1 leaving columns out", .input = {3, 4, 5}, .classes = 2, .loss = MSE,
     .layers = {CONV(4, 1, 1, 3, 2, VALID, 0, IDENTITY), FLATTEN, DENSE(2, SIGMOID)}},
    {.name = "conv over the whole image", .input = {2, 3, 3}, .classes = 4, .loss = SOFTMAX,
     .layers = {CONV(4, 3, 3, 1, 1, VALID, 0, IDENTITY), FLATTEN}},
    {.name = "conv after conv valid", .input = {2, 6, 6}, .classes = 2, .loss = SOFTMAX, .samples = 20,
     .training.batch = 20,
     .layers = {CONV(3, 3, 3, 1, 1, VALID, 0, TANH), CONV(2, 2, 3, 1, 1, VALID, 0, TANH), FLATTEN,
                DENSE(2, IDENTITY)}},
    {.name = "conv after conv same, stride 2", .input = {1, 7, 6}, .classes = 2, .loss = SOFTMAX, .samples = 20,
     .training.batch = 20,
     .layers = {CONV(3, 3, 3, 1, 1, SAME, 0, TANH), CONV(4, 4, 3, 2, 2, SAME, 0, TANH), FLATTEN,
                DENSE(2, IDENTITY)}},
    {.name = "conv after conv, padding 1, stride 3", .input = {1, 8, 7}, .classes = 2, .loss = SOFTMAX, .samples = 20,
     .training.batch = 20,
     .layers = {CONV(2, 2, 2, 1, 1, NUMBER, 1, TANH), CONV(3, 2, 4, 3, 2, NUMBER, 1, SIGMOID), FLATTEN,
                DENSE(2, IDENTITY)}},
    {.name = "nine filters, grain 4, 70 samples in leaves of 16", .input = {2, 5, 5}, .classes = 2, .loss = SOFTMAX,
     .training = {.sample_grain = 16},
     .layers = {CONV_GRAIN(3, 2, TANH, 2), CONV_GRAIN(9, 2, TANH, 4), FLATTEN, DENSE(2, IDENTITY)}},
    {.name = "three convolutions", .input = {1, 6, 6}, .classes = 2, .loss = BINARY, .samples = 10,
     .training.batch = 10,
     .layers = {CONV(2, 3, 3, 1, 1, SAME, 0, RELU), CONV(3, 3, 3, 1, 1, SAME, 0, RELU),
                CONV(2, 3, 3, 2, 2, SAME, 0, RELU), FLATTEN, DENSE(1, IDENTITY)}},
};

static const trial_options pool_cases[] = {
    {.name = "max pool", .input = {1, 6, 6}, .classes = 2, .loss = SOFTMAX,
     .layers = {CONV(3, 3, 3, 1, 1, SAME, 0, RELU), POOL(MAX, 2, 2, 0, 0), FLATTEN, DENSE(2, IDENTITY)}},
    {.name = "max pool, overlapping", .input = {1, 7, 7}, .classes = 2, .loss = SOFTMAX, .samples = 20,
     .training.batch = 20,
     .layers = {CONV(2, 2, 2, 1, 1, VALID, 0, TANH), POOL(MAX, 3, 3, 1, 2), FLATTEN, DENSE(2, IDENTITY)}},
    {.name = "max pool leaving an edge out", .input = {2, 7, 8}, .classes = 2, .loss = SOFTMAX, .samples = 20,
     .training.batch = 20,
     .layers = {CONV(2, 2, 2, 1, 1, VALID, 0, SIGMOID), POOL(MAX, 4, 2, 0, 3), FLATTEN, DENSE(2, IDENTITY)}},
    {.name = "average pool", .input = {2, 6, 5}, .classes = 2, .loss = SOFTMAX,
     .layers = {CONV(3, 3, 2, 1, 1, VALID, 0, RELU), POOL(AVG, 2, 2, 0, 0), FLATTEN, DENSE(2, IDENTITY)}},
    {.name = "average pool, overlapping", .input = {1, 7, 6}, .classes = 2, .loss = SOFTMAX, .samples = 20,
     .training.batch = 20,
     .layers = {CONV(2, 2, 2, 1, 1, SAME, 0, TANH), POOL(AVG, 3, 2, 2, 1), FLATTEN, DENSE(2, IDENTITY)}},
    {.name = "average of the whole image as output", .input = {1, 4, 4}, .classes = 3, .loss = SOFTMAX,
     .layers = {CONV(3, 3, 3, 1, 1, SAME, 0, IDENTITY), POOL(AVG, 4, 4, 0, 0), FLATTEN}},
    {.name = "pool of the data", .input = {2, 4, 6}, .classes = 2, .loss = SOFTMAX,
     .layers = {POOL(MAX, 2, 2, 0, 0), CONV(3, 2, 2, 1, 1, VALID, 0, RELU), FLATTEN, DENSE(2, IDENTITY)}},
    {.name = "pool after pool, conv after pool", .input = {1, 9, 9}, .classes = 2, .loss = SOFTMAX, .samples = 20,
     .training.batch = 20,
     .layers = {CONV(2, 2, 2, 1, 1, VALID, 0, TANH), POOL(AVG, 2, 2, 0, 0), POOL(MAX, 2, 2, 1, 1),
                CONV(3, 2, 2, 1, 1, SAME, 0, TANH), POOL(MAX, 3, 3, 0, 0), FLATTEN, DENSE(2, IDENTITY)}},
};

static const trial_options dropout_cases[] = {
    {.name = "dropout between dense layers", .input = {7, 1, 1}, .classes = 3, .loss = SOFTMAX,
     .layers = {DENSE(9, TANH), DROPOUT(0.5), DENSE(6, RELU), DROPOUT(0.2), DENSE(3, IDENTITY)}},
    {.name = "dropout of the inputs", .input = {7, 1, 1}, .classes = 3, .loss = SOFTMAX,
     .layers = {DROPOUT(0.3), DENSE(6, TANH), DENSE(3, IDENTITY)}},
    {.name = "dropout of the inputs before a convolution", .input = {2, 4, 4}, .classes = 3, .loss = SOFTMAX,
     .layers = {DROPOUT(0.3), CONV(2, 3, 3, 1, 1, SAME, 0, TANH), FLATTEN, DENSE(3, IDENTITY)}},
    {.name = "dropout of channels' values", .input = {1, 5, 5}, .classes = 3, .loss = SOFTMAX,
     .layers = {CONV(3, 3, 3, 1, 1, SAME, 0, SIGMOID), DROPOUT(0.4), CONV(2, 2, 2, 1, 1, SAME, 0, TANH),
                DROPOUT(0.1), POOL(MAX, 2, 2, 0, 0), DROPOUT(0.25), FLATTEN, DROPOUT(0.5), DENSE(3, IDENTITY)}},
    {.name = "dropout after flatten", .input = {1, 5, 5}, .classes = 3, .loss = SOFTMAX,
     .layers = {CONV(3, 3, 3, 1, 1, SAME, 0, TANH), FLATTEN, DROPOUT(0.4), DENSE(3, IDENTITY)}},
    {.name = "dropout of images after flatten", .input = {2, 3, 4}, .classes = 3, .loss = SOFTMAX,
     .layers = {FLATTEN, DROPOUT(0.4), FLATTEN, DROPOUT(0.1), DENSE(3, TANH), DENSE(3, IDENTITY)}},
    {.name = "dropout of nothing", .input = {7, 1, 1}, .classes = 3, .loss = SOFTMAX,
     .layers = {DENSE(9, TANH), DROPOUT(0), DENSE(3, IDENTITY)}},
};

static double finite_difference(trial_network *trial, double *weight)
{
    const double before = *weight;
    *weight = before + NUDGE;
    const double above = reference_loss(trial->reference, trial->inputs, trial->labels, trial->rows, 0);
    *weight = before - NUDGE;
    const double below = reference_loss(trial->reference, trial->inputs, trial->labels, trial->rows, 0);
    *weight = before;
    return (above - below) / (2 * NUDGE);
}

typedef struct gradient_errors {
    double engine, reference, loss;
} gradient_errors;

/* Compares one tensor; `after` are the engine's weights after the step. */
static void compare_tensor(trial_network *trial, reference_tensor *tensor, const float *after,
                           gradient_errors *errors)
{
    double *differences = calloc((size_t)tensor->count, sizeof *differences);
    double *engine = calloc((size_t)tensor->count, sizeof *engine);
    assert_true(differences != NULL && engine != NULL);
    for (int64_t i = 0; i < tensor->count; i++) {
        differences[i] = finite_difference(trial, &tensor->values[i]);
        engine[i] = (tensor->values[i] - (double)after[i]) / RATE;
    }
    errors->engine = fmax(errors->engine, trial_distance(engine, differences, tensor->count));
    errors->reference = fmax(errors->reference, trial_distance(tensor->gradient, differences, tensor->count));
    free(differences);
    free(engine);
}

static gradient_errors measure(const trial_options *options)
{
    int count, parameter_count;
    gradient_errors errors = {0};
    trial_network trial;
    trial_init(&trial, options);
    const double engine_loss = (double)trial_engine_step(&trial, 0);
    const double loss =
        reference_gradients(trial.reference, trial.inputs, trial.labels, trial.rows, 0);
    errors.loss = fabs(engine_loss - loss) / loss;
    const cfi_tensor *tensors = cfi_engine_tensors(trial.engine, &count, &parameter_count);
    for (int i = 0; i < parameter_count; i++) {
        compare_tensor(&trial, reference_get(trial.reference, i / 2, i % 2 == 1), tensors[i].values, &errors);
    }
    trial_fini(&trial);
    return errors;
}

/* Each case twice: the update fused into the weight gradient, and apart from it (as clipping needs, here at a norm
 * that is never reached). */
static void check_cases(const trial_options *cases, size_t case_count)
{
    int wrong = 0;
    for (size_t i = 0; i < 2 * case_count; i++) {
        trial_options options = cases[i / 2];
        options.seed = 11;
        options.training.optimizer.rate = RATE;
        options.training.clip_norm = i % 2 == 1 ? 1e30 : 0;
        const gradient_errors errors = measure(&options);
        const bool good = errors.engine <= ENGINE_BOUND && errors.reference <= REFERENCE_BOUND && errors.loss <= 1e-6;
        print_message("%-50s %-5s engine %.1e  reference %.1e  loss %.1e%s\n", options.name,
                      i % 2 == 1 ? "apart" : "fused", errors.engine, errors.reference, errors.loss,
                      good ? "" : "  WRONG");
        wrong += !good;
    }
    assert_int_equal(wrong, 0);
}

#define CASE_COUNT(cases) (sizeof(cases) / sizeof *(cases))

static void gradients_of_dense_layers_activations_and_losses_are_right(void **state)
{
    (void)state;
    check_cases(dense_cases, CASE_COUNT(dense_cases));
}

static void gradients_are_right_at_odd_sizes(void **state)
{
    (void)state;
    check_cases(shape_cases, CASE_COUNT(shape_cases));
}

static void gradients_of_convolutions_are_right(void **state)
{
    (void)state;
    check_cases(conv_cases, CASE_COUNT(conv_cases));
}

static void gradients_through_pools_are_right(void **state)
{
    (void)state;
    check_cases(pool_cases, CASE_COUNT(pool_cases));
}

static void gradients_through_dropout_are_right(void **state)
{
    (void)state;
    check_cases(dropout_cases, CASE_COUNT(dropout_cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_dense_layers_activations_and_losses_are_right),
        cmocka_unit_test(gradients_are_right_at_odd_sizes),
        cmocka_unit_test(gradients_of_convolutions_are_right),
        cmocka_unit_test(gradients_through_pools_are_right),
        cmocka_unit_test(gradients_through_dropout_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
