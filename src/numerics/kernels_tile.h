/* The contraction tile, written once over the vector type of simd_*.h. See cfi_tile in kernels.h.
 *
 * A tile of R rows and V vectors of columns keeps R*V accumulators in registers. Each k costs V loads of b, R
 * broadcasts of a and R*V fused multiply-adds. Leaves are joined by a binary counter of whole register tiles: leaf
 * l's tile is added to the tiles that wait at levels 0, 1, ... for as long as the bits of l are ones, and then waits
 * at the next level. What is left at the end is added from the smallest subtree to the largest: the aligned binary
 * tree, cut off at the last leaf (docs/math/arithmetic.md). */

/* c[r][v] += a * b over three nested counts, ascending. R and V are constants where this is inlined. */
INLINE void tile_chain(vf c[CFI_TILE_ROWS][TILE_VECTORS_MAX], const float *const *a, const float *b,
                       const int64_t *n, const cfi_tile *tile, const int R, const int V)
{
    const int64_t as0 = tile->as[0], bs0 = tile->bs[0];
    const float *a0 = a[0];
    const float *a1 = R > 1 ? a[1] : a0, *a2 = R > 2 ? a[2] : a0, *a3 = R > 3 ? a[3] : a0;
    const float *a4 = R > 4 ? a[4] : a0, *a5 = R > 5 ? a[5] : a0;
    for (int64_t k2 = 0; k2 < n[2]; k2++) {
        for (int64_t k1 = 0; k1 < n[1]; k1++) {
            int64_t ka = k2 * tile->as[2] + k1 * tile->as[1];
            const float *bk = b + k2 * tile->bs[2] + k1 * tile->bs[1];
            for (int64_t k0 = 0; k0 < n[0]; k0++, ka += as0, bk += bs0) {
                vf bv[TILE_VECTORS_MAX];
#define LOAD_B(v)                     \
    if (V > (v)) {                    \
        bv[v] = v_load(bk + (v) * VL); \
    }
                LOAD_B(0) LOAD_B(1) LOAD_B(2) LOAD_B(3)
#if TILE_VECTORS_MAX > 4
                LOAD_B(4) LOAD_B(5) LOAD_B(6) LOAD_B(7)
#endif
#undef LOAD_B
#define ROW(r, pointer)                                \
    if (R > (r)) {                                     \
        const vf av = v_set1((pointer)[ka]);           \
        _Pragma("GCC unroll 8") for (int v = 0; v < V; v++) \
        {                                              \
            c[r][v] = v_fma(av, bv[v], c[r][v]);       \
        }                                              \
    }
                ROW(0, a0) ROW(1, a1) ROW(2, a2) ROW(3, a3) ROW(4, a4) ROW(5, a5)
#undef ROW
            }
        }
    }
}

#define LEVEL_FLOATS (CFI_TILE_ROWS * CFI_TILE_COLUMNS)
#define FOR_TILE                                            \
    _Pragma("GCC unroll 8") for (int r = 0; r < R; r++)     \
        _Pragma("GCC unroll 8") for (int v = 0; v < V; v++)

/* The accumulators' first values, for the columns from `column` on. */
INLINE void tile_begin(vf c[CFI_TILE_ROWS][TILE_VECTORS_MAX], const cfi_tile *tile, int64_t column, const int R,
                       const int V)
{
    if (tile->start == CFI_START_ROW_BIAS) {
        FOR_TILE { c[r][v] = v_set1(tile->bias[r]); }
    } else if (tile->start == CFI_START_COLUMN_BIAS) {
        FOR_TILE { c[r][v] = v_load(tile->bias + column + v * VL); }
    } else if (tile->start == CFI_START_OUTPUT) {
        FOR_TILE { c[r][v] = v_load(tile->c + r * tile->ldc + column + v * VL); }
    } else {
        FOR_TILE { c[r][v] = v_set1(0.0f); }
    }
}

/* Leaves joined by the binary counter; the result ends in c. */
INLINE void tile_tree(vf c[CFI_TILE_ROWS][TILE_VECTORS_MAX], const cfi_tile *tile, int64_t column, const int R,
                      const int V)
{
    const int64_t last = tile->leaf_count - 1;
    for (int64_t leaf = 0;; leaf++) {
        const int64_t inner = leaf % tile->leaf_group, outer = leaf / tile->leaf_group;
        const int64_t shift_a = inner * tile->leaf_as[0] + outer * tile->leaf_as[1];
        const float *a[CFI_TILE_ROWS];
        _Pragma("GCC unroll 8") for (int r = 0; r < R; r++)
        {
            a[r] = tile->a[r] + shift_a;
        }
        FOR_TILE { c[r][v] = v_set1(0.0f); }
        const float *b = tile->b + column + inner * tile->leaf_bs[0] + outer * tile->leaf_bs[1];
        tile_chain(c, a, b, leaf == last ? tile->last_n : tile->n, tile, R, V);
        float *waiting = tile->stack;
        for (int64_t bits = leaf; leaf == last ? bits != 0 : (bits & 1) != 0; bits >>= 1, waiting += LEVEL_FLOATS) {
            if ((bits & 1) != 0) {
                FOR_TILE { c[r][v] = v_add(v_load(waiting + (r * V + v) * VL), c[r][v]); }
            }
        }
        if (leaf == last) {
            return;
        }
        FOR_TILE { v_store(waiting + (r * V + v) * VL, c[r][v]); }
    }
}

/* The sgd step of one vector of parameters (docs/math/optimizers.md): returns the new w, changes the momentum. */
INLINE vf update_sgd(const cfi_update *u, vf w, vf g, vf *momentum)
{
    g = v_fma(v_set1(u->weight_decay), w, g);
    if (u->has_momentum) {
        *momentum = v_fma(v_set1(u->momentum), *momentum, g);
        g = u->nesterov ? v_fma(v_set1(u->momentum), *momentum, g) : *momentum;
    }
    return v_fma(v_set1(-u->rate), g, w);
}

/* The finished sums are a gradient: the parameters are updated from the registers, and it is never stored. */
INLINE void tile_update(vf c[CFI_TILE_ROWS][TILE_VECTORS_MAX], const cfi_tile *tile, int64_t column, const int R,
                        const int V)
{
    const cfi_update update = *tile->sgd;
    if (update.has_momentum) {
        FOR_TILE
        {
            float *w = tile->w + r * tile->w_stride + column + v * VL;
            float *s1 = tile->s1 + r * tile->w_stride + column + v * VL;
            vf momentum = v_load(s1);
            v_store(w, update_sgd(&update, v_load(w), c[r][v], &momentum));
            v_store(s1, momentum);
        }
    } else {
        FOR_TILE
        {
            float *w = tile->w + r * tile->w_stride + column + v * VL;
            v_store(w, update_sgd(&update, v_load(w), c[r][v], NULL));
        }
    }
}

INLINE void tile_run(const cfi_tile *tile, int64_t column, const int R, const int V)
{
    vf c[CFI_TILE_ROWS][TILE_VECTORS_MAX];
    if (tile->leaf_count > 1) {
        tile_tree(c, tile, column, R, V);
    } else {
        tile_begin(c, tile, column, R, V);
        tile_chain(c, tile->a, tile->b + column, tile->n, tile, R, V);
    }
    if (tile->sgd != NULL) {
        tile_update(c, tile, column, R, V);
    } else {
        FOR_TILE { v_store(tile->c + r * tile->ldc + column + v * VL, c[r][v]); }
    }
}

/* One function for each pair (rows, vectors) that fits the registers. */
#define TILE(R, V)                                               \
    static void tile_##R##_##V(const cfi_tile *tile, int64_t column) \
    {                                                            \
        tile_run(tile, column, R, V);                            \
    }
typedef void (*tile_function)(const cfi_tile *tile, int64_t column);

#if TILE_VECTORS_MAX == 8 /* AVX2: 12 accumulators and 3 more registers; NEON could hold more */
TILE(1, 8) TILE(1, 4) TILE(1, 2) TILE(1, 1) TILE(2, 4) TILE(2, 2) TILE(2, 1) TILE(3, 4) TILE(3, 2) TILE(3, 1)
TILE(4, 2) TILE(4, 1) TILE(5, 2) TILE(5, 1) TILE(6, 2) TILE(6, 1)
/* [rows - 1][log2 of vectors]; the widest that is there is used as long as it fits. */
static const tile_function tile_functions[CFI_TILE_ROWS][4] = {
    {tile_1_1, tile_1_2, tile_1_4, tile_1_8}, {tile_2_1, tile_2_2, tile_2_4, NULL},
    {tile_3_1, tile_3_2, tile_3_4, NULL},     {tile_4_1, tile_4_2, NULL, NULL},
    {tile_5_1, tile_5_2, NULL, NULL},         {tile_6_1, tile_6_2, NULL, NULL}};
#else
TILE(1, 4) TILE(1, 2) TILE(1, 1) TILE(2, 4) TILE(2, 2) TILE(2, 1) TILE(3, 4) TILE(3, 2) TILE(3, 1)
TILE(4, 4) TILE(4, 2) TILE(4, 1) TILE(5, 4) TILE(5, 2) TILE(5, 1) TILE(6, 4) TILE(6, 2) TILE(6, 1)
static const tile_function tile_functions[CFI_TILE_ROWS][4] = {
    {tile_1_1, tile_1_2, tile_1_4, NULL}, {tile_2_1, tile_2_2, tile_2_4, NULL},
    {tile_3_1, tile_3_2, tile_3_4, NULL}, {tile_4_1, tile_4_2, tile_4_4, NULL},
    {tile_5_1, tile_5_2, tile_5_4, NULL}, {tile_6_1, tile_6_2, tile_6_4, NULL}};
#endif

static void tile_compute(const cfi_tile *tile)
{
    const tile_function *functions = tile_functions[tile->rows - 1];
    int64_t column = 0;
    for (int width = 3; width >= 0; width--) {
        const int64_t columns = (int64_t)VL << width;
        while (functions[width] != NULL && tile->columns - column >= columns) {
            functions[width](tile, column);
            column += columns;
        }
    }
}
