/* Random numbers of a seed, counted: the n-th draw is the same in every run. */
#include "base/philox.h"
#include "sim/world.h"

uint32_t sim_draw(sim_draws *draws)
{
    const uint32_t place = draws->count % 4;
    if (place == 0) {
        const cfi_philox_block block = cfi_draw(draws->seed, CFI_PURPOSE_TEST, 0, draws->count / 4, 0, 0);
        for (int i = 0; i < 4; i++) {
            draws->words[i] = block.word[i];
        }
    }
    draws->count++;
    return draws->words[place];
}

int64_t sim_draw_range(sim_draws *draws, int64_t least, int64_t most)
{
    const uint64_t high = sim_draw(draws), low = sim_draw(draws);
    return least + (int64_t)((high << 32 | low) % (uint64_t)(most - least + 1));
}

bool sim_draw_chance(sim_draws *draws, double probability)
{
    return probability > 0 && (double)sim_draw(draws) < probability * 0x1p32;
}

/* Geometric rather than by a logarithm, whose last bit differs between libraries: halves of the mean are added while a
 * coin says so, and then a part of one. */
int64_t sim_draw_waiting(sim_draws *draws, int64_t mean)
{
    int64_t waiting = 1;
    const int64_t half = mean / 2 + 1;
    for (int i = 0; i < 16 && (sim_draw(draws) & 0x10000u) != 0; i++) {
        waiting += half;
    }
    return waiting + sim_draw_range(draws, 0, half * 2);
}
