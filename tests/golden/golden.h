/* Trainings whose results are committed: tests/golden/golden.json holds `chain` and `weights` of every example file
 * after a few steps. Whatever the kernel table, the number of threads, the compiler and its options: the same bits.
 *
 * A change of these hashes means that every result ever printed by Cuttlefish can no longer be reproduced. If that is
 * wanted, CF_GOLDEN_UPDATE=1 rewrites the entries of the examples that the test runs. */
#ifndef GOLDEN_GOLDEN_H
#define GOLDEN_GOLDEN_H

#include "cuttlefish/cuttlefish.h"

typedef struct golden_example {
    const char *name; /* key in golden.json */
    const char *file; /* below the source folder */
    int64_t steps;
} golden_example;

/* Trains the example with 1, 2 and 5 threads on the best kernel table of this machine and once on every other, and
 * compares with golden.json. Ends the test on any difference (cmocka). */
void golden_check(const golden_example *example);

/* CF_E_NOT_FOUND when the example's data are not on this machine; `error` says how to get them. */
cf_status golden_find_data(const golden_example *example, cf_error *error);

#endif
