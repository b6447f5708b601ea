#include "learn/optimizer.h"

#include <math.h>
#include <string.h>

#include "learn/portable_math.h"

cfi_update cfi_optimizer_prepare(const cfi_optimizer_settings *optimizer, int64_t step, float rate)
{
    cfi_update update;
    memset(&update, 0, sizeof update);
    update.kind = optimizer->kind;
    update.rate = rate;
    update.has_momentum = optimizer->momentum != 0.0;
    update.nesterov = optimizer->nesterov;
    update.momentum = (float)optimizer->momentum;
    update.weight_decay = (float)optimizer->weight_decay;
    update.epsilon = (float)optimizer->epsilon;
    const bool adam = optimizer->kind == CFI_OPTIMIZER_ADAM || optimizer->kind == CFI_OPTIMIZER_ADAMW;
    const double decay = adam ? optimizer->beta2 : optimizer->decay;
    update.decay = (float)decay;
    update.one_minus_decay = (float)(1.0 - decay);
    if (adam) {
        update.beta1 = (float)optimizer->beta1;
        update.one_minus_beta1 = (float)(1.0 - optimizer->beta1);
        update.correction1 = (float)((double)rate / (1.0 - cfi_power_integer(optimizer->beta1, step + 1)));
        update.correction2_root = (float)sqrt(1.0 - cfi_power_integer(optimizer->beta2, step + 1));
        update.decoupled = (float)(1.0 - (double)rate * optimizer->weight_decay);
    }
    return update;
}

int cfi_optimizer_state_count(const cfi_optimizer_settings *optimizer)
{
    switch (optimizer->kind) {
    case CFI_OPTIMIZER_SGD:
        return optimizer->momentum != 0.0 ? 1 : 0;
    case CFI_OPTIMIZER_RMSPROP:
        return optimizer->momentum != 0.0 ? 2 : 1;
    case CFI_OPTIMIZER_ADAM:
    case CFI_OPTIMIZER_ADAMW:
        return 2;
    }
    return 0;
}

const char *cfi_optimizer_state_name(const cfi_optimizer_settings *optimizer, int index)
{
    switch (optimizer->kind) {
    case CFI_OPTIMIZER_SGD:
        return "momentum";
    case CFI_OPTIMIZER_RMSPROP:
        return index == 0 ? "square_average" : "momentum";
    case CFI_OPTIMIZER_ADAM:
    case CFI_OPTIMIZER_ADAMW:
        break;
    }
    return index == 0 ? "first_moment" : "second_moment";
}
