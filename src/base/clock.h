/* Monotonic time for progress and rates. Nothing that reaches a weight may call this. */
#ifndef CFI_BASE_CLOCK_H
#define CFI_BASE_CLOCK_H

#include <stdint.h>

uint64_t cfi_clock_ns(void); /* nanoseconds since an arbitrary start, CLOCK_MONOTONIC */

#endif
