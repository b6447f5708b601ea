/* YAML text -> a tree of nodes that know where they were written. libyaml does the grammar; this adds the
 * limits (size, depth, nodes after alias expansion) and finds duplicate keys.
 *
 * Ownership: every node and text lives in a cfi_tree and goes with it, so nodes may be moved between mappings
 * freely. Threads: one at a time for each tree. */
#ifndef CFI_CONFIG_YAML_H
#define CFI_CONFIG_YAML_H

#include "config/problems.h"

#define CFI_YAML_KEY_COUNT_MAX 1000    /* keys in one mapping  */
#define CFI_YAML_ANCHOR_COUNT_MAX 1000 /* anchors in one file  */

typedef enum cfi_yaml_kind { CFI_YAML_SCALAR, CFI_YAML_SEQUENCE, CFI_YAML_MAPPING } cfi_yaml_kind;

typedef struct cfi_yaml_node cfi_yaml_node;

typedef struct cfi_yaml_entry {
    cfi_yaml_node *key; /* a scalar; NULL in a sequence */
    cfi_yaml_node *value;
} cfi_yaml_entry;

struct cfi_yaml_node {
    cfi_yaml_kind kind;
    cfi_mark mark;
    bool quoted;      /* scalar: written in quotes or as a block, so it is text whatever it looks like */
    bool bad;         /* a mistake was reported here; rules over several keys skip it                  */
    const char *text; /* scalar: NUL-terminated, without a NUL inside                                  */
    cfi_yaml_entry *entries; /* sequence, mapping */
    size_t count, capacity;
};

/* An arena: nodes and texts are taken from blocks and freed together. Zero-initialise. */
typedef struct cfi_tree {
    struct cfi_tree_block *blocks;
} cfi_tree;

void cfi_tree_fini(cfi_tree *tree);

/* Each returns NULL when memory is short. Texts are copied. */
cfi_yaml_node *cfi_tree_new_node(cfi_tree *tree, cfi_yaml_kind kind, cfi_mark mark);
cfi_yaml_node *cfi_tree_new_scalar(cfi_tree *tree, const char *text, cfi_mark mark);
char *cfi_tree_copy_text(cfi_tree *tree, const char *text, size_t length);

/* Appends to a mapping (key is a scalar) or a sequence (key NULL); false when memory is short. */
bool cfi_tree_append(cfi_tree *tree, cfi_yaml_node *node, cfi_yaml_node *key, cfi_yaml_node *value);

/* The entry or value of `key`; NULL when it is missing or `node` is NULL or no mapping. */
cfi_yaml_entry *cfi_yaml_find(const cfi_yaml_node *node, const char *key);
cfi_yaml_node *cfi_yaml_get(const cfi_yaml_node *node, const char *key);

/* Whether a plain scalar says nothing: "", "~" or "null". */
bool cfi_yaml_is_null(const cfi_yaml_node *node);

/* Where a text comes from and where its mistakes go. */
typedef struct cfi_yaml_source {
    const char *file; /* its name in messages                                                             */
    int file_index;   /* for marks                                                                        */
    const char *path; /* key path that the text stands at: "" for a file, else no place inside it is given */
    cfi_problems *problems;
} cfi_yaml_source;

/* Parses one document of `size` bytes of UTF-8. *root_out is NULL (a value, not a failure) for an empty text.
 * Duplicate keys and tags are added to the problems and parsing goes on (the first key stays); a syntax error
 * is added and ends it with CF_E_CONFIG. CF_E_LIMIT (size, depth, nodes, keys, anchors) fills `error` with
 * file:line:column. Cost: linear in text and expanded nodes; memory at most a small multiple of them. */
cf_status cfi_yaml_parse(cfi_tree *tree, const cfi_yaml_source *source, const char *text, size_t size,
                         cfi_yaml_node **root_out, cf_error *error) __attribute__((warn_unused_result));

#endif
