/* The canonical kernels behind one table: everything that computes a float which may reach a weight.
 *
 * The same source (kernels_body.h) is compiled for each instruction set, and every operation in it is an IEEE 754
 * single-precision operation done lane by lane, so all tables give the same bits (docs/math/arithmetic.md).
 *
 * Shapes: activations are feature-major with the batch innermost. A block holds P samples (P a multiple of 16, at most
 * 64): value of feature f and sample s at [f*P + s]. Vectors run over samples (or, for weight gradients, over inputs),
 * never along a contraction, so the order of every sum is independent of the vector's width.
 *
 * Threads: all functions are pure over the memory they are given. None allocates. */
#ifndef CFI_NUMERICS_KERNELS_H
#define CFI_NUMERICS_KERNELS_H

#include <stdint.h>

#include "base/status.h"
#include "config/settings.h"

#define CFI_TILE_ROWS 6     /* most rows of one tile                                              */
#define CFI_TILE_COLUMNS 64 /* most columns of one tile; every count of columns is a multiple of  */
#define CFI_COLUMN_ALIGN 16 /* this, the widest vector                                            */
#define CFI_TREE_LEVELS 32  /* of the binary counter that joins leaves: 2^32 leaves               */

typedef enum cfi_tile_start {
    CFI_START_ZERO,        /* chains start at +0                                     */
    CFI_START_ROW_BIAS,    /* at bias[row]                                           */
    CFI_START_COLUMN_BIAS, /* at bias[column]                                        */
    CFI_START_OUTPUT       /* at what c holds: goes on with a chain cut for the cache */
} cfi_tile_start;

/* Coefficients of one optimizer step, prepared once a step (learn/optimizer.h). */
typedef struct cfi_update {
    cfi_optimizer_kind kind;
    bool has_momentum, nesterov;
    float rate, momentum, weight_decay;
    float decay, one_minus_decay;     /* rmsprop alpha; adam beta2     */
    float beta1, one_minus_beta1;
    float epsilon;
    float correction1;                /* adam: rate / (1 - beta1^t)    */
    float correction2_root;           /* adam: sqrt(1 - beta2^t)       */
    float decoupled;                  /* adamw: 1 - rate*weight_decay  */
} cfi_update;

/* One tile of a contraction: c[r][j] = sum over k of a[r][k] * b[k][j], for rows r and columns j.
 *
 * k runs over three nested counts, n[2] outermost, n[0] innermost; k2, k1, k0 reads a at as[2]*k2 + as[1]*k1 + as[0]*k0
 * floats from a[r], and b likewise with bs, from b + j. With leaf_count 1 that is one chain of fused multiply-adds.
 * With more, each leaf is such a chain from +0, leaf l starting
 *     (l % leaf_group)*leaf_as[0] + (l / leaf_group)*leaf_as[1]
 * floats further (b: leaf_bs), the last one having the counts last_n; leaves are joined by the aligned binary tree
 * over l. So a dense layer's forward pass, input gradient and weight gradient, and a convolution's, are all this. */
typedef struct cfi_tile {
    const float *a[CFI_TILE_ROWS];
    const float *b;
    float *c;
    int64_t ldc;              /* floats between rows of c */
    int rows, columns;
    cfi_tile_start start;     /* CFI_START_ZERO when leaf_count > 1 */
    const float *bias;
    int64_t n[3], as[3], bs[3];
    int64_t leaf_count, leaf_group;
    int64_t leaf_as[2], leaf_bs[2];
    int64_t last_n[3];
    const cfi_update *sgd;    /* not NULL: c is not written; an sgd step with it as the gradient is made of w and s1 */
    float *w, *s1;            /* rows w_stride apart, as wide as columns; s1 is the momentum, if there is one */
    int64_t w_stride;
    float *stack;             /* scratch, CFI_TILE_STACK_FLOATS, 64-byte aligned; may be NULL when leaf_count is 1 */
} cfi_tile;

#define CFI_TILE_STACK_FLOATS (CFI_TREE_LEVELS * CFI_TILE_ROWS * CFI_TILE_COLUMNS)

/* Values begin .. begin+count-1 of some samples of a data set held as bytes. */
typedef struct cfi_gather {
    const int64_t *indices;
    int64_t features, begin, count, stride;
    float scale, shift;
} cfi_gather;

/* Where a pool's window is in a block; strides in floats; lanes = P. */
typedef struct cfi_window {
    int64_t height, width, row_stride, column_stride;
    int64_t lanes;
} cfi_window;

typedef struct cfi_kernels {
    const char *name; /* "scalar", "avx2", "avx512", "neon" */
    int lanes;

    void (*tile)(const cfi_tile *tile);

    /* y[i] = f(y[i]); dy[i] *= f'(z) written in terms of y = f(z). */
    void (*activate)(cfi_activation activation, float slope, float *y, int64_t count);
    void (*activation_gradient)(cfi_activation activation, float slope, const float *y, float *dy, int64_t count);

    /* Loss of one block: z (outputs, lanes) in, gradient (outputs, lanes) and loss (lanes) out; gradient NULL: only
     * loss. scale = 1/rows of the whole batch. labels (lanes), lanes beyond `rows` get gradient 0 and loss 0. */
    void (*loss)(cfi_loss_kind kind, const float *z, int64_t outputs, int64_t lanes, int64_t rows,
                 const int32_t *labels, float scale, float *gradient, float *loss);
    void (*softmax)(float *z, int64_t outputs, int64_t lanes); /* in place, each lane by itself */

    /* One optimizer step over (rows, count) parameters, `stride` floats from row to row in w and its states s1, s2
     * (as the kind needs, else NULL), g_stride in the gradient g. */
    void (*update)(const cfi_update *update, float *w, float *s1, float *s2, const float *g, int64_t rows,
                   int64_t count, int64_t stride, int64_t g_stride);

    /* target[c*ldt + r] = source[r*lds + c]; rows and columns are multiples of 8. */
    void (*transpose)(const float *source, int64_t lds, int64_t rows, int64_t columns, float *target, int64_t ldt);

    /* target[s*stride + i] = source[index[s]*features + begin + i] * scale + shift, for s < rows and i < count;
     * indices NULL: sample s itself. */
    void (*gather_bytes)(const cfi_gather *gather, const uint8_t *source, int64_t rows, float *target);
    void (*multiply)(float *y, const float *factor, int64_t count);

    /* One output position of a pool over all lanes; x at the window's first tap. Gradients are added to dx; the
     * largest value's gradient goes to its first tap in row order. */
    void (*max_pool)(const cfi_window *window, const float *x, float *y);
    void (*max_pool_gradient)(const cfi_window *window, const float *x, const float *y, const float *dy, float *dx,
                              int64_t dx_row_stride, int64_t dx_column_stride);
    void (*average_pool)(const cfi_window *window, float scale, const float *x, float *y);
    void (*average_pool_gradient)(const cfi_window *window, float scale, const float *dy, float *dx,
                                  int64_t dx_row_stride, int64_t dx_column_stride);

    /* Sum of squares: 16 interleaved chains (element i in chain i mod 16), joined by the aligned tree. */
    float (*square_sum)(const float *x, int64_t count);
    /* True when a value is NaN or infinite. */
    bool (*has_nonfinite)(const float *x, int64_t count);

    /* y[i] = f(x[i]), for tests against libm. */
    void (*exponential)(const float *x, float *y, int64_t count);
    void (*logarithm)(const float *x, float *y, int64_t count);
} cfi_kernels;

/* The tables of this build that this processor can run, best first; count_out >= 1 (scalar is always there). */
const cfi_kernels *const *cfi_kernels_usable(int *count_out);

/* The table named by CUTTLEFISH_KERNELS, or the best. CF_E_USAGE for a name that is unknown or cannot run here. */
cf_status cfi_kernels_choose(const cfi_kernels **kernels_out, cf_error *error) __attribute__((warn_unused_result));

#endif
