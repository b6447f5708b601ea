/* The arena of YAML nodes and what is done with single nodes. */
#include <string.h>

#include "base/alloc.h"
#include "config/yaml.h"

enum { BLOCK_SIZE = 16384, ALIGNMENT = 16 };

struct cfi_tree_block {
    struct cfi_tree_block *next;
    size_t used, size;
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

void cfi_tree_fini(cfi_tree *tree)
{
    while (tree->blocks != NULL) {
        struct cfi_tree_block *next = tree->blocks->next;
        cfi_free(tree->blocks);
        tree->blocks = next;
    }
}

/* Zeroed bytes that live as long as the tree. */
static void *take(cfi_tree *tree, size_t size)
{
    if (size > CFI_TEXT_LENGTH_MAX) {
        return NULL;
    }
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct cfi_tree_block *block = tree->blocks;
    if (block == NULL || block->size - block->used < size) {
        const size_t block_size = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = cfi_calloc(1, sizeof *block + block_size);
        if (block == NULL) {
            return NULL;
        }
        block->size = block_size;
        block->next = tree->blocks;
        tree->blocks = block;
    }
    void *memory = block->bytes + block->used;
    block->used += size;
    return memory;
}

cfi_yaml_node *cfi_tree_new_node(cfi_tree *tree, cfi_yaml_kind kind, cfi_mark mark)
{
    cfi_yaml_node *node = take(tree, sizeof *node);
    if (node != NULL) {
        node->kind = kind;
        node->mark = mark;
        node->text = "";
    }
    return node;
}

char *cfi_tree_copy_text(cfi_tree *tree, const char *text, size_t length)
{
    char *copy = take(tree, length + 1);
    if (copy != NULL) {
        memcpy(copy, text, length);
    }
    return copy;
}

cfi_yaml_node *cfi_tree_new_scalar(cfi_tree *tree, const char *text, cfi_mark mark)
{
    cfi_yaml_node *node = cfi_tree_new_node(tree, CFI_YAML_SCALAR, mark);
    if (node != NULL) {
        node->text = cfi_tree_copy_text(tree, text, strlen(text));
    }
    return node != NULL && node->text != NULL ? node : NULL;
}

bool cfi_tree_append(cfi_tree *tree, cfi_yaml_node *node, cfi_yaml_node *key, cfi_yaml_node *value)
{
    if (node->count == node->capacity) {
        const size_t capacity = node->capacity == 0 ? 4 : node->capacity * 2;
        cfi_yaml_entry *entries = take(tree, capacity * sizeof *entries);
        if (entries == NULL) {
            return false;
        }
        if (node->count > 0) {
            memcpy(entries, node->entries, node->count * sizeof *entries);
        }
        node->entries = entries;
        node->capacity = capacity;
    }
    node->entries[node->count] = (cfi_yaml_entry){key, value};
    node->count++;
    return true;
}

cfi_yaml_entry *cfi_yaml_find(const cfi_yaml_node *node, const char *key)
{
    if (node == NULL || node->kind != CFI_YAML_MAPPING) {
        return NULL;
    }
    for (size_t i = 0; i < node->count; i++) {
        if (strcmp(node->entries[i].key->text, key) == 0) {
            return &node->entries[i];
        }
    }
    return NULL;
}

cfi_yaml_node *cfi_yaml_get(const cfi_yaml_node *node, const char *key)
{
    cfi_yaml_entry *entry = cfi_yaml_find(node, key);
    return entry != NULL ? entry->value : NULL;
}

bool cfi_yaml_is_null(const cfi_yaml_node *node)
{
    return node->kind == CFI_YAML_SCALAR && !node->quoted &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}
