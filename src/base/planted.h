/* Mistakes planted on purpose, so that the simulator can show that it finds them (tests/sim/planted_test.c).
 *
 * A line that the protocol cannot do without is guarded by CFI_PLANTED(n): false, and gone from the program, unless it
 * is built with CFI_PLANTS, where `cfi_planted_bug` says which mistake is made: 0 none, else 1 .. CFI_PLANTED_COUNT.
 * Each use says in its comment what is left out. */
#ifndef CFI_BASE_PLANTED_H
#define CFI_BASE_PLANTED_H

enum { CFI_PLANTED_COUNT = 19 };

#ifdef CFI_PLANTS
extern int cfi_planted_bug;
#define CFI_PLANTED(n) (cfi_planted_bug == (n))
#else
#define CFI_PLANTED(n) 0
#endif

#endif
