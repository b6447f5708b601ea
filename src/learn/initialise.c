#include "learn/initialise.h"

#include <math.h>

#include "base/philox.h"
#include "learn/portable_math.h"

/* value = scale * (2u - 1), or scale * the normal that u stands for */
typedef struct weight_law {
    bool normal;
    double scale;
} weight_law;

static double draw(uint64_t seed, uint32_t tensor, int64_t element, weight_law law)
{
    const cfi_philox_block block = cfi_draw(seed, CFI_PURPOSE_WEIGHT, tensor, (uint32_t)element, 0, 0);
    const double u = cfi_uniform_double(block.word[0], block.word[1]);
    return law.scale * (law.normal ? cfi_inverse_normal(u) : 2.0 * u - 1.0);
}

static weight_law law_of(const cfi_layer *layer)
{
    const double in = (double)layer->fan_in;
    /* What one input reaches: every neuron, for a convolution at each position of the kernel. */
    const double out = layer->kind == CFI_LAYER_CONV2D
                           ? (double)layer->neurons * (double)(layer->kernel[0] * layer->kernel[1])
                           : (double)layer->neurons;
    switch (layer->init) {
    case CFI_INIT_HE_UNIFORM:
        return (weight_law){false, sqrt(6.0 / in)};
    case CFI_INIT_HE_NORMAL:
        return (weight_law){true, sqrt(2.0 / in)};
    case CFI_INIT_GLOROT_UNIFORM:
        return (weight_law){false, sqrt(6.0 / (in + out))};
    case CFI_INIT_GLOROT_NORMAL:
        return (weight_law){true, sqrt(2.0 / (in + out))};
    case CFI_INIT_NIELSEN:
        return (weight_law){true, 1.0 / sqrt(in)};
    case CFI_INIT_ZEROS:
    case CFI_INIT_AUTO: /* resolved by graph/ */
        break;
    }
    return (weight_law){false, 0.0};
}

void cfi_initialise_layer(const cfi_layer *layer, uint64_t seed, int64_t row_begin, int64_t row_end,
                          float *weights, float *biases)
{
    const uint32_t tensor = 2u * (uint32_t)layer->weight_index;
    const weight_law law = law_of(layer);
    const int64_t first = row_begin * layer->fan_in, count = row_end * layer->fan_in - first;
    for (int64_t i = 0; i < count; i++) {
        /* adding 0 turns the -0 of `zeros` into +0 */
        weights[i] = (float)(draw(seed, tensor, first + i, law) + 0.0);
    }
    for (int64_t row = row_begin; row < row_end; row++) {
        const bool random = layer->init == CFI_INIT_NIELSEN;
        const weight_law standard = {true, 1.0};
        biases[row - row_begin] = random ? (float)draw(seed, tensor + 1, row, standard) : 0.0f;
    }
}
