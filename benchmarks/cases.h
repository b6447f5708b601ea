/* The networks that are compared: the C side of peers/common.py. */
#ifndef CF_BENCHMARKS_CASES_H
#define CF_BENCHMARKS_CASES_H

#include "graph/graph.h"

#define BENCHMARK_LAYER_COUNT_MAX 8

/* One case, ready for cfi_engine_new. The graph borrows from the settings, which borrow from `layers`, so a
 * benchmark_case stays where it was filled. */
typedef struct benchmark_case {
    bool training;               /* false: predict with floats */
    cfi_layer_settings layers[BENCHMARK_LAYER_COUNT_MAX];
    cfi_settings settings;
    cfi_graph graph;             /* owned; free with cfi_graph_fini */
} benchmark_case;

/* Fills the case called `name` (a, b, c, d, e, f1, f256) for samples of `input`; CF_E_USAGE when there is none. */
cf_status benchmark_case_build(const char *name, cfi_shape input, benchmark_case *benchmark, cf_error *error)
    __attribute__((warn_unused_result));

#endif
