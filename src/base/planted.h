/* Mistakes planted on purpose, so that the simulator can show that it finds them (tests/sim/planted_test.c).
 *
 * A line that the protocol cannot do without is guarded by CFI_PLANTED(n): false, and gone from the program, unless it
 * is built with CFI_PLANTS, where `cfi_planted_bug` says which mistake is made: 0 none, else 1 .. CFI_PLANTED_COUNT.
 *
 *  1 values sent are not kept            2 nothing is asked for again          3 values are dropped too early
 *  4 not written, reported as durable    5 not in the store, reported as such  6 a store that lost states gets none
 * again
 *  7 HEAD is never learnt                8 no fast-forward to HEAD             9 restart from the newest state, not
 * HEAD's 10 the store forgets W[HEAD] as well  11 a step without its last micro-batch 12 the source forgets one step
 * 13 no window for the source           14 no barrier before another plan     15 HEAD as soon as one unit is there
 * 16 HEAD does not wait for shards      17 HEAD goes without its chain         18 a refused swap of HEAD is taken as
 * done 19 after a start all that was found counts as durable                       20 the store lets earlier
 * incarnations write 21 records of a volume are not checked                                      22 chain nodes are
 * dropped once sent 23 the source makes nothing again     24 after a new cut the wrong rows     25 requests are never
 * repeated 26 damaged values are taken */
#ifndef CFI_BASE_PLANTED_H
#define CFI_BASE_PLANTED_H

enum { CFI_PLANTED_COUNT = 26 };

#ifdef CFI_PLANTS
extern int cfi_planted_bug;
#define CFI_PLANTED(n) (cfi_planted_bug == (n))
#else
#define CFI_PLANTED(n) 0
#endif

#endif
