#include "config/merge.h"

#include <string.h>

#include "base/alloc.h"

bool cfi_merge_expand(cfi_tree *tree, const cfi_option *option, cfi_yaml_node *node)
{
    if (option == NULL || node->kind != CFI_YAML_SCALAR ||
        (option->type != CFI_OPTION_MAP && option->type != CFI_OPTION_CHOICE)) {
        return true;
    }
    const bool bare_word =
        option->type == CFI_OPTION_CHOICE && !node->quoted && cfi_option_child(option, node->text) != NULL;
    if (bare_word) {
        cfi_yaml_node *key = cfi_tree_new_scalar(tree, node->text, node->mark);
        cfi_yaml_node *value = cfi_tree_new_node(tree, CFI_YAML_MAPPING, node->mark);
        if (key == NULL || value == NULL || !cfi_tree_append(tree, node, key, value)) {
            return false;
        }
    }
    if (bare_word || cfi_yaml_is_null(node)) {
        node->kind = CFI_YAML_MAPPING;
    }
    return true;
}

/* Takes the other alternatives out, so that the one that is laid over replaces them. */
static void drop_other_alternatives(const cfi_option *option, cfi_yaml_node *node, const char *key)
{
    const cfi_option *chosen = cfi_option_child(option, key);
    if (chosen == NULL || (chosen->flags & CFI_OPTION_ALTERNATIVE) == 0) {
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < node->count; i++) {
        const cfi_option *child = cfi_option_child(option, node->entries[i].key->text);
        const bool other = child != NULL && child != chosen && (child->flags & CFI_OPTION_ALTERNATIVE) != 0;
        if (!other) {
            node->entries[kept] = node->entries[i];
            kept++;
        }
    }
    node->count = kept;
}

static cf_status fail_memory(cf_error *error)
{
    return cfi_fail_memory(error, "the settings");
}

static cf_status merge_entry(cfi_tree *tree, const cfi_option *option, cfi_yaml_node *base,
                             const cfi_yaml_entry *over, cf_error *error)
{
    cfi_yaml_entry *entry = cfi_yaml_find(base, over->key->text);
    if (entry == NULL) {
        return cfi_tree_append(tree, base, over->key, over->value) ? CF_OK : fail_memory(error);
    }
    entry->key = over->key;
    return cfi_merge(tree, cfi_option_child(option, over->key->text), &entry->value, over->value, error);
}

cf_status cfi_merge(cfi_tree *tree, const cfi_option *option, cfi_yaml_node **base, cfi_yaml_node *over,
                    cf_error *error)
{
    if (!cfi_merge_expand(tree, option, over) || (*base != NULL && !cfi_merge_expand(tree, option, *base))) {
        return fail_memory(error);
    }
    if (*base == NULL || (*base)->kind != CFI_YAML_MAPPING || over->kind != CFI_YAML_MAPPING) {
        *base = over;
        return CF_OK;
    }
    /* First all the removals: a file that names two alternatives keeps both, for the check to complain. */
    for (size_t i = 0; i < over->count; i++) {
        drop_other_alternatives(option, *base, over->entries[i].key->text);
    }
    for (size_t i = 0; i < over->count; i++) {
        CFI_TRY(merge_entry(tree, option, *base, &over->entries[i], error));
    }
    return CF_OK;
}

/* ---- --set --------------------------------------------------------------------------------------------- */

/* One step of a path: a key (NULL for an index), or an index. */
typedef struct step {
    const char *key;
    size_t index;
} step;

typedef struct path_setter {
    cfi_tree *tree;
    const cfi_yaml_source *source;
    const char *path;
    cf_error *error;
} path_setter;

static cf_status malformed(const path_setter *setter)
{
    char shown[CFI_SHOWN_SIZE];
    cfi_problems_show(shown, setter->path);
    cfi_problems_add(setter->source->problems, setter->source->file,
                     (cfi_mark){setter->source->file_index, 0, 0}, "",
                     "'%s' is no path such as training.batch or network.layers[0].dense.units", shown);
    return CF_E_CONFIG;
}

/* Reads "[12]" at *rest. */
static cf_status parse_index(const path_setter *setter, const char **rest, step *step_out)
{
    const char *digits = *rest + 1;
    const size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > 6 || digits[count] != ']') {
        return malformed(setter);
    }
    step_out->key = NULL;
    step_out->index = 0;
    for (size_t i = 0; i < count; i++) {
        step_out->index = step_out->index * 10 + (size_t)(digits[i] - '0');
    }
    *rest = digits + count + 1;
    return CF_OK;
}

/* Splits the path into steps; at most `step_max`. */
static cf_status parse_path(const path_setter *setter, step *steps, size_t step_max, size_t *count_out)
{
    const char *rest = setter->path;
    size_t count = 0;
    bool key_next = true; /* at the start and after a dot */
    while (key_next || *rest != '\0') {
        if (count == step_max) {
            return malformed(setter);
        }
        if (key_next) {
            const size_t length = strcspn(rest, ".[]");
            steps[count].key = cfi_tree_copy_text(setter->tree, rest, length);
            if (steps[count].key == NULL) {
                return fail_memory(setter->error);
            }
            if (length == 0) {
                return malformed(setter);
            }
            rest += length;
            key_next = false;
        } else if (*rest == '[') {
            CFI_TRY(parse_index(setter, &rest, &steps[count]));
        } else {
            return malformed(setter);
        }
        count++;
        if (*rest == '.') {
            key_next = true;
            rest++;
        }
    }
    *count_out = count;
    return CF_OK;
}

static cf_status new_node(const path_setter *setter, cfi_yaml_kind kind, cfi_yaml_node **node_out)
{
    *node_out = cfi_tree_new_node(setter->tree, kind, (cfi_mark){setter->source->file_index, 0, 0});
    return *node_out != NULL ? CF_OK : fail_memory(setter->error);
}

/* The place of a list item, made when it is the next one. */
static cf_status step_into_list(const path_setter *setter, cfi_yaml_node **node, size_t index,
                                cfi_yaml_node ***child_out)
{
    if (*node == NULL || cfi_yaml_is_null(*node)) {
        CFI_TRY(new_node(setter, CFI_YAML_SEQUENCE, node));
    }
    if ((*node)->kind != CFI_YAML_SEQUENCE || index > (*node)->count) {
        cfi_problems_add(setter->source->problems, setter->source->file,
                         (cfi_mark){setter->source->file_index, 0, 0}, setter->path,
                         (*node)->kind != CFI_YAML_SEQUENCE ? "there is no list that [%zu] could be in"
                                                            : "[%zu] is behind the end of a list of %zu",
                         index, (*node)->count);
        return CF_E_CONFIG;
    }
    cfi_yaml_node *item = NULL;
    if (index == (*node)->count) {
        CFI_TRY(new_node(setter, CFI_YAML_SCALAR, &item));
        if (!cfi_tree_append(setter->tree, *node, NULL, item)) {
            return fail_memory(setter->error);
        }
    }
    *child_out = &(*node)->entries[index].value;
    return CF_OK;
}

/* The place of a key, made when it is missing. */
static cf_status step_into_mapping(const path_setter *setter, const cfi_option *option, cfi_yaml_node **node,
                                   const char *key, cfi_yaml_node ***child_out)
{
    if (*node == NULL || (*node)->kind != CFI_YAML_MAPPING) {
        CFI_TRY(new_node(setter, CFI_YAML_MAPPING, node));
    }
    drop_other_alternatives(option, *node, key);
    cfi_yaml_entry *entry = cfi_yaml_find(*node, key);
    if (entry == NULL) {
        cfi_yaml_node *scalar =
            cfi_tree_new_scalar(setter->tree, key, (cfi_mark){setter->source->file_index, 0, 0});
        cfi_yaml_node *value = NULL;
        CFI_TRY(new_node(setter, CFI_YAML_SCALAR, &value));
        if (scalar == NULL || !cfi_tree_append(setter->tree, *node, scalar, value)) {
            return fail_memory(setter->error);
        }
        entry = &(*node)->entries[(*node)->count - 1];
    }
    *child_out = &entry->value;
    return CF_OK;
}

cf_status cfi_merge_set(cfi_tree *tree, const cfi_yaml_source *source, const char *path, cfi_yaml_node *value,
                        cfi_yaml_node **root, cf_error *error)
{
    enum { STEP_MAX = 32 };
    const path_setter setter = {tree, source, path, error};
    step steps[STEP_MAX];
    size_t count = 0;
    CFI_TRY(parse_path(&setter, steps, STEP_MAX, &count));
    cfi_yaml_node **node = root;
    const cfi_option *option = cfi_option_root();
    for (size_t i = 0; i < count; i++) {
        if (*node != NULL && !cfi_merge_expand(tree, option, *node)) {
            return fail_memory(error);
        }
        if (steps[i].key == NULL) {
            CFI_TRY(step_into_list(&setter, node, steps[i].index, &node));
            option = cfi_option_item(option);
        } else {
            CFI_TRY(step_into_mapping(&setter, option, node, steps[i].key, &node));
            option = cfi_option_child(option, steps[i].key);
        }
    }
    return cfi_merge(tree, option, node, value, error);
}
