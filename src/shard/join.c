/* Joins of tree nodes that tile a whole layer: ascending nodes go on a stack, and two neighbours that are the halves of
 * one node become it (docs/math/arithmetic.md). */
#include "shard/parts.h"

/* Whether `right` completes `left` to the node above. */
static bool are_halves(cfi_tree_node left, cfi_tree_node right, int64_t count)
{
    const int64_t size = left.end - left.begin;
    const bool is_power = (size & (size - 1)) == 0 && left.begin % (2 * size) == 0;
    const int64_t past = left.begin + 2 * size;
    return is_power && right.begin == left.end && right.end == (past < count ? past : count);
}

/* Whether the two nodes on top are now one; their values are at depth-1 (the joined) and depth. */
static bool joins(part_joiner *joiner, int64_t count)
{
    if (joiner->depth < 2 || !are_halves(joiner->nodes[joiner->depth - 2], joiner->nodes[joiner->depth - 1], count)) {
        return false;
    }
    joiner->nodes[joiner->depth - 2].end = joiner->nodes[joiner->depth - 1].end;
    joiner->depth--;
    return true;
}

void part_joiner_add_hash(part_joiner *joiner, cfi_tree_node node, cfi_hash hash, int64_t count)
{
    joiner->nodes[joiner->depth] = node;
    joiner->hashes[joiner->depth++] = hash;
    while (joins(joiner, count)) {
        cfi_hash *left = &joiner->hashes[joiner->depth - 1];
        *left = cfi_hash_join(*left, left[1]);
    }
}

void part_joiner_add_sum(part_joiner *joiner, cfi_tree_node node, float sum, int64_t count)
{
    joiner->nodes[joiner->depth] = node;
    joiner->sums[joiner->depth++] = sum;
    while (joins(joiner, count)) {
        float *left = &joiner->sums[joiner->depth - 1];
        *left = *left + left[1];
    }
}

cfi_hash part_join_leaves(cfi_hash *hashes, int64_t count)
{
    for (int64_t width = 1; width < count; width *= 2) {
        for (int64_t i = 0; i + width < count; i += 2 * width) {
            hashes[i] = cfi_hash_join(hashes[i], hashes[i + width]);
        }
    }
    return hashes[0];
}
