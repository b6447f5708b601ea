/* Planted protocol bugs, to prove that the simulator finds such bugs (tests/sim): in a build with CFI_PLANTS one of them
 * can be switched on; in every other build the conditions are the constant 0 and leave no trace in the program. */
#ifndef CFI_BASE_PLANTED_H
#define CFI_BASE_PLANTED_H

#ifdef CFI_PLANTS
extern int cfi_planted_bug; /* 0 = none */
#define CFI_PLANTED(number) (cfi_planted_bug == (number))
#else
#define CFI_PLANTED(number) 0
#endif

#endif
