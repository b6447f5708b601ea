#include "config/check.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "config/merge.h"

static cf_status fail_memory(cfi_checker *check)
{
    return cfi_fail_memory(check->error, "the settings");
}

static cf_status check_option(cfi_checker *check, const cfi_option *option, cfi_yaml_node *at,
                              cfi_yaml_node *node, void *base, const cfi_place *place);

/* ---- Mappings ------------------------------------------------------------------------------------------ */

static void report_unknown_key(cfi_checker *check, const cfi_option *option, cfi_yaml_node *key,
                               const cfi_place *place)
{
    const cfi_place step = {place, key->text, 0};
    const char *nearest = cfi_option_nearest_key(option, key->text);
    char known[CFI_OPTION_LIST_SIZE];
    cfi_option_list_keys(known, option, false, ", ");
    if (nearest != NULL) {
        cfi_check_problem(check, key, &step, "unknown key (did you mean '%s'?)", nearest);
    } else if (known[0] == '\0') {
        cfi_check_problem(check, key, &step, "unknown key (there are none here)");
    } else {
        cfi_check_problem(check, key, &step, "unknown key (known keys: %s)", known);
    }
}

/* Whether there were any. */
static bool report_unknown_keys(cfi_checker *check, const cfi_option *option, const cfi_yaml_node *node,
                                const cfi_place *place)
{
    bool any = false;
    for (size_t i = 0; i < node->count; i++) {
        if (cfi_option_child(option, node->entries[i].key->text) == NULL) {
            report_unknown_key(check, option, node->entries[i].key, place);
            any = true;
        }
    }
    return any;
}

static bool is_alternative(const cfi_option *option)
{
    return option != NULL && (option->flags & CFI_OPTION_ALTERNATIVE) != 0;
}

static bool has_alternatives(const cfi_option *option)
{
    for (const cfi_option *child = option->children; child->key != NULL; child++) {
        if (is_alternative(child)) {
            return true;
        }
    }
    return false;
}

/* Exactly one of the alternatives must be there. */
static void check_alternatives(cfi_checker *check, const cfi_option *option, cfi_yaml_node *at,
                               const cfi_yaml_node *node, const cfi_place *place)
{
    const char *first = NULL;
    char list[CFI_OPTION_LIST_SIZE];
    cfi_option_list_keys(list, option, true, " or ");
    for (size_t i = 0; i < node->count; i++) {
        cfi_yaml_node *key = node->entries[i].key;
        if (!is_alternative(cfi_option_child(option, key->text))) {
            continue;
        }
        if (first != NULL) {
            const cfi_place step = {place, key->text, 0};
            cfi_check_problem(check, key, &step, "only one of %s is allowed, and '%s' is here already", list,
                              first);
        }
        first = first == NULL ? key->text : first;
    }
    if (first == NULL && has_alternatives(option)) {
        cfi_check_problem(check, at, place, "one of %s is needed", list);
    }
}

/* The node of a default, with no place of its own. */
static cfi_yaml_node *new_default(cfi_checker *check, const char *fallback)
{
    const cfi_mark nowhere = {0, 0, 0};
    if (strcmp(fallback, "{}") == 0) {
        return cfi_tree_new_node(check->tree, CFI_YAML_MAPPING, nowhere);
    }
    if (strcmp(fallback, "[]") == 0) {
        return cfi_tree_new_node(check->tree, CFI_YAML_SEQUENCE, nowhere);
    }
    return cfi_tree_new_scalar(check->tree, fallback, nowhere);
}

/* One key of the table: checks what is there, or fills in the default, and appends it to `sorted`. */
static cf_status check_child(cfi_checker *check, const cfi_option *option, const cfi_option *child,
                             cfi_yaml_node *at, cfi_yaml_node *node, cfi_yaml_node *sorted, void *base,
                             const cfi_place *place)
{
    const cfi_place step = {place, child->key, 0};
    const cfi_yaml_entry *entry = cfi_yaml_find(node, child->key);
    cfi_yaml_node *key = entry != NULL ? entry->key : NULL, *value = entry != NULL ? entry->value : NULL;
    if (entry == NULL && child->fallback != NULL) {
        key = cfi_tree_new_scalar(check->tree, child->key, (cfi_mark){0, 0, 0});
        value = new_default(check, child->fallback);
        if (key == NULL || value == NULL) {
            return fail_memory(check);
        }
    } else if (entry == NULL) {
        if ((child->flags & (CFI_OPTION_OPTIONAL | CFI_OPTION_ALTERNATIVE)) == 0) {
            cfi_check_problem(check, at, &step, "required key is missing");
        }
        return CF_OK;
    }
    if (is_alternative(child) && base != NULL) {
        cfi_check_land_word(base, option->offset, child->value);
    }
    CFI_TRY(check_option(check, child, key, value, base, &step));
    return cfi_tree_append(check->tree, sorted, key, value) ? CF_OK : fail_memory(check);
}

static cf_status check_map(cfi_checker *check, const cfi_option *option, cfi_yaml_node *at,
                           cfi_yaml_node *node, void *base, const cfi_place *place)
{
    if (!cfi_merge_expand(check->tree, option, node)) {
        return fail_memory(check);
    }
    if (node->kind != CFI_YAML_MAPPING) {
        cfi_check_expected(check, option, node, place);
        return CF_OK;
    }
    if (!report_unknown_keys(check, option, node, place)) {
        check_alternatives(check, option, at, node, place);
    }
    cfi_yaml_node sorted = *node;
    sorted.entries = NULL;
    sorted.count = sorted.capacity = 0;
    for (const cfi_option *child = option->children; child->key != NULL; child++) {
        CFI_TRY(check_child(check, option, child, at, node, &sorted, base, place));
    }
    sorted.bad = node->bad;
    *node = sorted;
    return CF_OK;
}

/* ---- Lists --------------------------------------------------------------------------------------------- */

/* Whether it is a list of a length that is allowed; reports what is wrong. */
static bool is_list(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, const cfi_place *place)
{
    if (node->kind != CFI_YAML_SEQUENCE) {
        cfi_check_expected(check, option, node, place);
        return false;
    }
    if ((int64_t)node->count < option->minimum || (int64_t)node->count > option->maximum) {
        cfi_check_problem(check, node, place, "must have from %lld to %lld items, not %zu",
                          (long long)option->minimum, (long long)option->maximum, node->count);
        return false;
    }
    return true;
}

/* Makes the array that a list's items land in. */
static cf_status new_items(cfi_checker *check, const cfi_option *option, size_t count, void *base,
                           unsigned char **items_out)
{
    const int number = (int)count;
    unsigned char *items = cfi_calloc(count, option->size);
    if (items == NULL) {
        return fail_memory(check);
    }
    memcpy((unsigned char *)base + option->offset, &items, sizeof items);
    memcpy((unsigned char *)base + option->word_offset, &number, sizeof number);
    *items_out = items;
    return CF_OK;
}

static cf_status check_list(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, void *base,
                            const cfi_place *place)
{
    unsigned char *items = NULL;
    if (!is_list(check, option, node, place)) {
        return CF_OK;
    }
    if (base != NULL && option->offset != CFI_OPTION_NOWHERE && node->count > 0) {
        CFI_TRY(new_items(check, option, node->count, base, &items));
    }
    for (size_t i = 0; i < node->count; i++) {
        const cfi_place step = {place, NULL, i};
        cfi_yaml_node *item = node->entries[i].value;
        CFI_TRY(check_option(check, option->children, item, item, items != NULL ? items + i * option->size : NULL,
                             &step));
    }
    return CF_OK;
}

/* Gives a layer without a name its kind and its number among the layers of that kind. `counts` has one item
 * for each child of the layer option. */
static cf_status name_layer(cfi_checker *check, const cfi_option *option, cfi_yaml_node *item, int *counts)
{
    if (!cfi_merge_expand(check->tree, option, item)) {
        return fail_memory(check);
    }
    const cfi_option *kind = item->count == 1 && item->kind == CFI_YAML_MAPPING
                                 ? cfi_option_child(option, item->entries[0].key->text)
                                 : NULL;
    if (kind == NULL) {
        return CF_OK;
    }
    cfi_yaml_node *keys = item->entries[0].value;
    const int number = ++counts[kind - option->children];
    if (!cfi_merge_expand(check->tree, kind, keys)) {
        return fail_memory(check);
    }
    if (keys->kind != CFI_YAML_MAPPING || cfi_yaml_get(keys, "name") != NULL) {
        return CF_OK;
    }
    char name[CFI_NAME_SIZE_MAX];
    snprintf(name, sizeof name, "%s%d", kind->key, number);
    cfi_yaml_node *key = cfi_tree_new_scalar(check->tree, "name", item->mark);
    cfi_yaml_node *value = cfi_tree_new_scalar(check->tree, name, item->mark);
    return key != NULL && value != NULL && cfi_tree_append(check->tree, keys, key, value)
               ? CF_OK
               : fail_memory(check);
}

static cf_status check_layers(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node,
                              const cfi_place *place)
{
    enum { KIND_COUNT = CFI_LAYER_DROPOUT + 1 };
    int counts[KIND_COUNT] = {0};
    if (!is_list(check, option, node, place)) {
        return CF_OK;
    }
    check->settings->layers = cfi_calloc(node->count, sizeof *check->settings->layers);
    if (check->settings->layers == NULL) {
        return fail_memory(check);
    }
    check->settings->layer_count = (int)node->count;
    for (size_t i = 0; i < node->count; i++) {
        const cfi_place step = {place, NULL, i};
        cfi_yaml_node *item = node->entries[i].value;
        check->settings->layers[i].mark = item->mark;
        CFI_TRY(name_layer(check, option->children, item, counts));
        CFI_TRY(check_option(check, option->children, item, item, &check->settings->layers[i], &step));
    }
    return CF_OK;
}

/* ---- The way in ---------------------------------------------------------------------------------------- */

/* at: what a mistake about `node` as a whole points at: its key, or itself. */
static cf_status check_option(cfi_checker *check, const cfi_option *option, cfi_yaml_node *at,
                              cfi_yaml_node *node, void *base, const cfi_place *place)
{
    switch (option->type) {
    case CFI_OPTION_MAP:
    case CFI_OPTION_CHOICE:
        return check_map(check, option, at, node, base, place);
    case CFI_OPTION_LIST:
        return check_list(check, option, node, base, place);
    case CFI_OPTION_LAYERS:
        return check_layers(check, option, node, place);
    case CFI_OPTION_BOOL:
    case CFI_OPTION_INT:
    case CFI_OPTION_REAL:
    case CFI_OPTION_SIZE:
    case CFI_OPTION_WORD:
    case CFI_OPTION_TEXT:
    case CFI_OPTION_NAME:
    case CFI_OPTION_PATH:
    case CFI_OPTION_PAIR:
        return cfi_check_value(check, option, node, base, place);
    }
    return CF_OK;
}

cf_status cfi_check_file(cfi_checker *check, cfi_yaml_node *root)
{
    const cfi_place top = {NULL, NULL, 0};
    return check_map(check, cfi_option_root(), root, root, check->settings, &top);
}
