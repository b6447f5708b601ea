/* What the public handles hold: inside this room only. */
#ifndef CFI_API_HANDLES_H
#define CFI_API_HANDLES_H

#include <stdatomic.h>

#include "config/config.h"
#include "data/dataset.h"
#include "engine/engine.h"
#include "graph/graph.h"

/* Checked settings and the graph made of them. Immutable once made, so models and data share it by counting. */
struct cf_network {
    atomic_int references;
    cfi_settings settings;
    bool has_graph;       /* false: the data set's shape is not known; no_graph says why */
    cfi_graph graph;
    cf_error no_graph;
};

struct cf_problems {
    cfi_problems list;
};

/* The name of a class that has none: its number. */
typedef char cfi_number_name[24];

struct cf_data {
    cf_network *network;
    cfi_dataset dataset;
    cfi_batches batches;
    cfi_number_name *numbers; /* (classes) */
};

/* Takes another reference; give it back with cf_network_free. */
cf_network *cfi_network_share(const cf_network *network);

/* CF_OK when the graph is known, else the reason why it is not. */
cf_status cfi_network_has_graph(const cf_network *network, cf_error *error) __attribute__((warn_unused_result));

/* CF_E_UNSUPPORTED when the file asks for an engine that this version does not have. */
cf_status cfi_network_is_native(const cf_network *network, cf_error *error) __attribute__((warn_unused_result));

/* CF_E_USAGE unless 0 (the default) or a number of threads that is allowed. */
cf_status cfi_threads_check(int threads, cf_error *error) __attribute__((warn_unused_result));

/* Makes a network of sources: the shared end of load, parse and build. */
cf_status cfi_network_make(const cfi_config_sources *sources, bool check_data, cf_network **network_out,
                           cf_problems **problems_out, cf_error *error) __attribute__((warn_unused_result));

/* "0", "1", ... for `classes` classes; free with cfi_free; NULL when memory is short. */
cfi_number_name *cfi_number_names_new(int64_t classes) __attribute__((warn_unused_result));

/* For going through a part in pieces of up to `rows_max` samples: cfi_data_next fills `indices` (into the training or
 * the test set) with the samples from `first` on, a multiple of rows_max below the part's count; returns how many. */
cf_status cfi_data_walk(const cf_data *data, int64_t rows_max, cfi_batches *walk_out, cf_error *error)
    __attribute__((warn_unused_result));
int64_t cfi_data_next(const cf_data *data, cf_data_part part, const cfi_batches *walk, int64_t first,
                      int64_t *indices);

/* Raw values of `rows` samples -> the values that training sees, both (rows, features). The dataset may be empty but
 * for what byte values are scaled with, unless the network's data is CSV. */
void cfi_data_normalise(const cf_network *network, const cfi_dataset *dataset, const float *raw, int64_t rows,
                        int64_t features, float *values_out);

#endif
