/* The option table as docs/CONFIGURATION.md. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "config/config.h"
#include "config/options.h"

static const char introduction[] =
    "# The network file\n"
    "\n"
    "<!-- Made from the option table in src/config/options.c. Do not edit: a test compares it. -->\n"
    "\n"
    "One YAML file says what is learned from, which network, and how. Everything but `data` and `network` "
    "has a\n"
    "default:\n"
    "\n"
    "```yaml\n"
    "data: {dataset: mnist}\n"
    "network:\n"
    "  layers:\n"
    "    - dense: {units: 128, activation: relu}\n"
    "    - dense: {units: 10}\n"
    "```\n"
    "\n"
    "`cuttlefish check FILE` lists every mistake with file, line, column, and the path of the key:\n"
    "\n"
    "    mlp.yaml:5:23: network.layers[1].dense.unit: unknown key (did you mean 'units'?)\n"
    "\n"
    "## Layers of files\n"
    "\n"
    "- `-f base.yaml -f big.yaml`: the later file wins, key by key. Mappings merge; lists and single values "
    "are\n"
    "  replaced; a choice (such as `optimizer`) is replaced as a whole when its kind differs.\n"
    "- `--set training.batch=64` comes after the files. The value is YAML: `--set 'training.optimizer={adam: "
    "{}}'`.\n"
    "  Lists take an index from 0, `--set network.layers[1].dense.units=256`; the index behind the last one "
    "appends.\n"
    "- File names are relative to the folder of the file that names them; with `--set`, to the working "
    "folder.\n"
    "- The file with every default written out is kept in the run folder. It means the same when it is read "
    "again.\n"
    "\n"
    "## Writing values\n"
    "\n"
    "- Whole numbers are decimal (`128`), numbers may have a point and an exponent (`1e-3`), both without "
    "quotes.\n"
    "  `true` and `false` are the only truth values. Sizes have a unit: `32MiB`, `1GiB`, also `kB`, `MB`, "
    "`GB`.\n"
    "- Names are a letter followed by letters, digits, `_` or `-`, at most 63 characters.\n"
    "- Where exactly one of several keys is wanted (`optimizer: {sgd: {rate: 0.1}}`), the key alone takes "
    "all its\n"
    "  defaults: `optimizer: sgd`, `- flatten`.\n"
    "- Anchors and aliases work; a key that is written twice, a second document, and tags are mistakes.\n"
    "- A file may have 4 MiB, 64 levels, and 100000 values with every use of an alias counted.\n";

static bool has_keys(const cfi_option *option)
{
    const bool is_map = option->type == CFI_OPTION_MAP || option->type == CFI_OPTION_CHOICE;
    return is_map && option->children->key != NULL;
}

/* "whole number from 1 to 65536, a power of two". */
static void add_type(cfi_text *text, const cfi_option *option)
{
    char type[CFI_OPTION_LIST_SIZE], range[CFI_OPTION_LIST_SIZE];
    cfi_option_describe(type, option);
    cfi_option_describe_range(range, option);
    const char *limits = range + strlen("must be ");
    const bool is_number = option->type == CFI_OPTION_INT || option->type == CFI_OPTION_REAL;
    const bool is_ranged = is_number || option->type == CFI_OPTION_SIZE || option->type == CFI_OPTION_PAIR;
    const bool is_list = option->type == CFI_OPTION_LIST || option->type == CFI_OPTION_LAYERS;
    cfi_text_add(text, "%s%s%s", option->type == CFI_OPTION_MAP ? "keys" : type,
                 option->type == CFI_OPTION_PAIR ? ", each "
                 : is_ranged                     ? " "
                                                 : "",
                 is_ranged ? limits : "");
    if (is_list) {
        cfi_text_add(text, " of %lld to %lld items", (long long)option->minimum, (long long)option->maximum);
    }
    if ((option->flags & CFI_OPTION_POWER_OF_TWO) != 0) {
        cfi_text_add(text, ", a power of two");
    }
    if ((option->flags & CFI_OPTION_PER_LAYER) != 0) {
        cfi_text_add(text, "; or a mapping from layers to these");
    }
    if (option->unit != NULL) {
        cfi_text_add(text, " (%s)", option->unit);
    }
}

static void add_default(cfi_text *text, const cfi_option *option)
{
    if (option->fallback != NULL) {
        const bool own = strcmp(option->fallback, "{}") == 0;
        cfi_text_add(text, own ? "%s" : "`%s`", own ? "its own" : option->fallback);
    } else if ((option->flags & CFI_OPTION_ALTERNATIVE) != 0) {
        cfi_text_add(text, "one of these");
    } else {
        cfi_text_add(text, (option->flags & CFI_OPTION_OPTIONAL) != 0 ? "none" : "**needed**");
    }
}

static void add_table(cfi_text *text, const cfi_option *option)
{
    cfi_text_add(text, "\n| key | value | default | meaning |\n|---|---|---|---|\n");
    for (const cfi_option *child = option->children; child->key != NULL; child++) {
        cfi_text_add(text, "| `%s` | ", child->key);
        add_type(text, child);
        cfi_text_add(text, " | ");
        add_default(text, child);
        cfi_text_add(text, " | %s |\n", child->text);
    }
}

/* A section for each mapping that has keys, in the order of the table; `path` is that of `option`. */
static void add_section(cfi_text *text, const cfi_option *option, const char *path, int level)
{
    char child_path[CFI_OPTION_LIST_SIZE];
    cfi_text_add(
        text, "\n%.*s %s\n\n%c%s.\n", level < 4 ? level : 4, "####", path[0] != '\0' ? path : "All sections",
        option->text[0] >= 'a' && option->text[0] <= 'z' ? option->text[0] - 'a' + 'A' : option->text[0],
        option->text + 1);
    add_table(text, option);
    for (const cfi_option *child = option->children; child->key != NULL; child++) {
        const cfi_option *item = cfi_option_item(child);
        const int length = snprintf(child_path, sizeof child_path, "%s%s%s%s", path, path[0] != '\0' ? "." : "",
                                    child->key, item != NULL ? "[]" : "");
        if (length < (int)sizeof child_path && has_keys(item != NULL ? item : child)) {
            add_section(text, item != NULL ? item : child, child_path, level + 1);
        }
    }
}

cf_status cfi_config_document(char **text_out, cf_error *error)
{
    cfi_text text = {0};
    cfi_text_add(&text, "%s", introduction);
    add_section(&text, cfi_option_root(), "", 2);
    const cf_status status = text.status;
    char *taken = cfi_text_take(&text);
    if (taken == NULL) {
        return cfi_fail(error, status != CF_OK ? status : CF_E_MEMORY, "cannot write the document");
    }
    *text_out = taken;
    return CF_OK;
}
