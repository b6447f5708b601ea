#include "numerics/tree.h"

int cfi_tree_split(int64_t begin, int64_t end, int64_t count, cfi_tree_node nodes[CFI_TREE_NODES_MAX])
{
    int node_count = 0;
    while (begin < end && node_count < CFI_TREE_NODES_MAX) {
        int64_t size = 1;
        /* Double while the start stays aligned and the node, cut off at count, stays inside. */
        while (begin % (2 * size) == 0 && (begin + 2 * size <= end || (end == count && begin + size < count))) {
            size *= 2;
        }
        const int64_t node_end = begin + size < count ? begin + size : count;
        nodes[node_count++] = (cfi_tree_node){begin, node_end};
        begin = node_end;
    }
    return node_count;
}

float cfi_tree_sum(const float *values, int64_t count)
{
    float waiting[64];
    float current = 0.0f;
    for (int64_t i = 0; i < count; i++) {
        current = values[i];
        int level = 0;
        for (int64_t bits = i; (bits & 1) != 0; bits >>= 1) {
            current = waiting[level++] + current;
        }
        waiting[level] = current;
    }
    bool loaded = false;
    int level = 0;
    for (int64_t bits = count; bits != 0; bits >>= 1, level++) {
        if ((bits & 1) != 0) {
            current = loaded ? waiting[level] + current : waiting[level];
            loaded = true;
        }
    }
    return current;
}
