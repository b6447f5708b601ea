/* Laying trees over each other: files, then --set. Inside the room only. */
#ifndef CFI_CONFIG_MERGE_H
#define CFI_CONFIG_MERGE_H

#include "config/options.h"
#include "config/yaml.h"

/* In place: nothing (for keys with keys of their own) becomes {}, and a choice's bare word `sgd` {sgd: {}}.
 * False when memory is short. `option` may be NULL: then nothing happens. */
bool cfi_merge_expand(cfi_tree *tree, const cfi_option *option, cfi_yaml_node *node);

/* Lays `over` over `base` and returns the result in *base: mappings merge key by key, a choice of another
 * kind, lists and values are replaced. *base may be NULL. Both belong to `tree` and are used up. */
cf_status cfi_merge(cfi_tree *tree, const cfi_option *option, cfi_yaml_node **base, cfi_yaml_node *over,
                    cf_error *error) __attribute__((warn_unused_result));

/* Lays `value` over the place `path` ("network.layers[1].dense.units"); an index equal to a list's length
 * appends. A path that leads nowhere is added to the problems of `source`. New keys get `mark`. */
cf_status cfi_merge_set(cfi_tree *tree, const cfi_yaml_source *source, const char *path, cfi_yaml_node *value,
                        cfi_yaml_node **root, cf_error *error) __attribute__((warn_unused_result));

#endif
