/* Samples in memory, and the order in which training sees them. */
#ifndef CFI_DATA_DATASET_H
#define CFI_DATA_DATASET_H

#include "config/settings.h"

/* One set of labelled samples. Immutable after loading, so any thread may read it.
 * Exactly one of bytes and floats is set. A byte becomes fmaf((float)byte, scale, shift). */
typedef struct cfi_samples {
    int64_t count;
    uint8_t *bytes;      /* (count, features) row-major, owned */
    float *floats;       /* (count, features) row-major, owned */
    int32_t *labels;     /* (count), each in [0, classes), owned */
} cfi_samples;

typedef struct cfi_dataset {
    int64_t channels, height, width; /* CSV: (features, 1, 1) */
    int64_t features;                /* channels*height*width */
    int64_t classes;
    float scale, shift;              /* for bytes */
    float *column_mean, *column_deviation; /* owned, `features` entries each: standardised CSV columns are
                                      * (raw - mean) / deviation; NULL when values are not standardised */
    char **class_names;              /* owned, `classes` entries, or NULL (then the number is the name) */
    cfi_samples train;               /* training and validation samples in file order */
    cfi_samples test;                /* count 0 when there is no test set */
} cfi_dataset;

/* Loads what `settings` names. Errors: CF_E_NOT_FOUND (the text names the file and the cure, for mnist
 * "run: cuttlefish data get mnist"), CF_E_DATA (malformed; file and offset or line), CF_E_MEMORY, CF_E_LIMIT.
 * mnist is looked for in $CUTTLEFISH_DATA, then ./data/mnist, then $XDG_CACHE_HOME or ~/.cache in cuttlefish/mnist. */
cf_status cfi_dataset_load(const cfi_data_settings *settings, cfi_dataset *dataset_out, cf_error *error)
    __attribute__((warn_unused_result));
void cfi_dataset_fini(cfi_dataset *dataset);  /* safe on a zeroed one */
void cfi_samples_fini(cfi_samples *samples);

/* What a byte is multiplied by, and what is added then: cfi_dataset.scale and shift of image data, without the data. */
void cfi_dataset_byte_scale(const cfi_data_settings *settings, float *scale_out, float *shift_out);

/* Shape and classes only, for check and plan: MNIST's are known without its files, IDX needs a header and the labels,
 * CSV is read whole (its classes show only in the rows). */
cf_status cfi_dataset_shape(const cfi_data_settings *settings, int64_t shape_out[3], int64_t *classes_out,
                            cf_error *error) __attribute__((warn_unused_result));

#define CFI_BATCHES_ROUND_COUNT_MAX 16 /* of the Feistel network */

/* The order of samples: a pure function of (seed, sizes, step). */
typedef struct cfi_batches {
    uint64_t seed;
    int64_t train_count;      /* samples trained on: total less validation            */
    int64_t validation_count;
    int64_t batch;
    bool drop_last;
    int64_t steps_per_epoch;  /* ceil(train_count / batch), floor with drop_last      */
    uint32_t split_key[CFI_BATCHES_ROUND_COUNT_MAX]; /* of the split's permutation, a function of seed */
} cfi_batches;

/* total: samples in the training file. CF_E_CONFIG when validation leaves no full sample to train on. */
cf_status cfi_batches_init(cfi_batches *batches, uint64_t seed, int64_t total, int64_t validation,
                           int64_t batch, bool drop_last, cf_error *error)
    __attribute__((warn_unused_result));

/* Fills indices (capacity batch) with the samples of optimizer step `step` (0-based, any epoch); returns the rows.
 * Epoch e's order is a keyed Feistel permutation of [0, train_count) (key: seed, CFI_PURPOSE_SHUFFLE, e), mapped
 * through the split's own permutation (with validation_count 0 that is left out). Pure, allocates nothing. */
int64_t cfi_batches_step(const cfi_batches *batches, int64_t step, int64_t *indices);

/* Sample index of validation sample `position` (0-based). */
int64_t cfi_batches_validation(const cfi_batches *batches, int64_t position);

#endif
