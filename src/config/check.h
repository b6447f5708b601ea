/* Tree + option table -> settings: inside the room only. check.c walks mappings and lists, value.c reads
 * single values, rules.c knows what holds between keys. All of them add mistakes to the list and go on. */
#ifndef CFI_CONFIG_CHECK_H
#define CFI_CONFIG_CHECK_H

#include "config/options.h"
#include "config/yaml.h"

/* A key path as a chain of steps on the callers' stacks; written out only when there is something to say. */
typedef struct cfi_place {
    const struct cfi_place *parent; /* NULL: the file itself, which has no step */
    const char *key;                /* NULL: `index` of a list */
    size_t index;
} cfi_place;

typedef struct cfi_checker {
    cfi_tree *tree; /* where defaults and canonical spellings are made */
    cfi_settings *settings;
    cfi_problems *problems;
    int folder_count; /* settings->files below this index are files, so paths in them start at their folder */
    cf_error *error;
} cfi_checker;

/* Adds a mistake at `node` and marks it as bad. */
void cfi_check_problem(cfi_checker *check, cfi_yaml_node *node, const cfi_place *place, const char *format,
                       ...) CFI_PRINTF(4, 5);

/* "expected a whole number, not 'abc'", with a suggestion when words are close. */
void cfi_check_expected(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node,
                        const cfi_place *place);

/* Checks a single value, puts it into its field of `base` and its canonical spelling into `node`. A mistake
 * is no failure: only CF_E_MEMORY and CF_E_IO (no working folder) are. */
cf_status cfi_check_value(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, void *base,
                          const cfi_place *place) __attribute__((warn_unused_result));

/* Sets an enum field. */
void cfi_check_land_word(void *base, size_t offset, int value);

/* The whole tree: fills in every default, sorts keys as the table does, and fills settings. */
cf_status cfi_check_file(cfi_checker *check, cfi_yaml_node *root) __attribute__((warn_unused_result));

/* What holds between keys: names, micro-batches, placement. After cfi_check_file. Skips what is bad already.
 */
cf_status cfi_check_rules(cfi_checker *check, cfi_yaml_node *root) __attribute__((warn_unused_result));

#endif
