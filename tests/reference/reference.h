/* An independent implementation of training in double precision: plain loops over one sample at a time, written
 * from the formulas in docs/math and from nothing else. It shares no code with src/ but the graph and settings that
 * it reads and Philox, whose draws (initial weights, dropout) are part of the definition. The engine is tested
 * against it, and it is tested against finite differences of its own loss.
 *
 * A programming mistake or short memory ends the test program; there is nothing to recover in a test. */
#ifndef REFERENCE_REFERENCE_H
#define REFERENCE_REFERENCE_H

#include "graph/graph.h"

#define REFERENCE_STATES 2 /* momentum, or first and second moment; rmsprop: mean square, momentum */

/* A parameter tensor of one layer with everything that goes with it, all (count). */
typedef struct reference_tensor {
    int64_t count;
    double *values, *gradient, *state[REFERENCE_STATES];
} reference_tensor;

/* One layer; arrays hold one value for each output or input of ONE sample. */
typedef struct reference_layer {
    const cfi_layer *layer;
    reference_tensor weight, bias; /* count 0 for layers without weights */
    double *before;                /* values before the activation */
    double *output;                /* after it */
    double *factor;                /* dropout: what each output was multiplied with */
    double *output_gradient;       /* of the loss by output */
} reference_layer;

typedef struct reference_network {
    const cfi_graph *graph;                /* borrowed */
    const cfi_training_settings *training; /* borrowed */
    uint64_t seed;
    reference_layer *layers;
    double *input_gradient;                /* of the loss by the network's input, one sample */
} reference_network;

/* Weights are zero; set them with reference_set. Free with reference_free. */
reference_network *reference_new(const cfi_graph *graph, const cfi_training_settings *training, uint64_t seed);
void reference_free(reference_network *reference);

/* Copies `count` floats into the weights (or biases) of the layer with this weight_index. */
void reference_set(reference_network *reference, int weight_index, bool is_bias, const float *values,
                   int64_t count);

/* The weights (or biases) of the layer with this weight_index. */
reference_tensor *reference_get(reference_network *reference, int weight_index, bool is_bias);

/* Mean loss over the rows with the dropout masks of `step`; step -1: dropout is off. inputs (rows, features). */
double reference_loss(reference_network *reference, const double *inputs, const int32_t *labels, int64_t rows,
                      int64_t step);

/* As reference_loss, leaving the gradient of that mean in every tensor. No clipping, no weight decay. */
double reference_gradients(reference_network *reference, const double *inputs, const int32_t *labels,
                           int64_t rows, int64_t step);

/* One optimizer step at `rate`; returns the loss before it. */
double reference_step(reference_network *reference, const double *inputs, const int32_t *labels, int64_t rows,
                      int64_t step, double rate);

/* Output of the last layer for one sample, dropout off. outputs has room for the network's outputs. */
void reference_outputs(reference_network *reference, const double *input, double *outputs);

#endif
