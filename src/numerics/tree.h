/* The aligned binary tree over indices 0 .. count-1 (docs/math/arithmetic.md): node (level j, k) covers
 * [k*2^j, (k+1)*2^j), cut off at count; a node with only a left half is that half.
 *
 * Whoever holds any contiguous range sends its maximal aligned nodes, and whoever joins them gets the root of the
 * whole, bit for bit. Pure, any thread. */
#ifndef CFI_NUMERICS_TREE_H
#define CFI_NUMERICS_TREE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct cfi_tree_node {
    int64_t begin, end; /* indices covered, end cut off at count */
} cfi_tree_node;

#define CFI_TREE_NODES_MAX 128 /* a range has at most 2*log2(count) maximal nodes */

/* Splits [begin, end) into its maximal aligned nodes, ascending; returns how many. 0 <= begin <= end <= count. */
int cfi_tree_split(int64_t begin, int64_t end, int64_t count, cfi_tree_node nodes[CFI_TREE_NODES_MAX]);

/* Sum of `count` floats by the tree, each a leaf. */
float cfi_tree_sum(const float *values, int64_t count);

#endif
