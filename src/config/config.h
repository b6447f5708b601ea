/* The way into this room: files, texts and settings in, checked cfi_settings out.
 *
 * Layers: later files win key by key; mappings merge, lists and single values are replaced, and so is a
 * choice
 * (`optimizer: {sgd: {...}}`) of another kind. `--set path=value` comes last, in order; the value is YAML,
 * and `network.layers[N]` with N = the number of layers appends one. */
#ifndef CFI_CONFIG_CONFIG_H
#define CFI_CONFIG_CONFIG_H

#include "config/problems.h"
#include "config/settings.h"

typedef struct cfi_config_sources {
    const char *const *files; /* names of YAML files, later wins; may be none */
    size_t file_count;
    const char
        *text; /* NULL, or one YAML text laid over the files; paths in it start at the working folder */
    const char *text_name;   /* its name in messages; NULL = "text"   */
    const char *const *sets; /* "path=value" */
    size_t set_count;
    const char *set_name; /* what messages call them; NULL = "--set" */
} cfi_config_sources;

/* Reads, layers, checks, and fills in every default. All borrowed until return.
 *
 * settings_out  untouched on failure; free with cfi_settings_fini
 * problems      zero-initialised by the caller; on CF_E_CONFIG every mistake found, sorted; free with
 * cfi_problems_fini Errors        CF_E_CONFIG (`error`: the first mistake and their number); CF_E_NOT_FOUND,
 * CF_E_IO (a file, the working folder); CF_E_LIMIT (size, depth, nodes, files); CF_E_MEMORY Thread any; the
 * calling thread's locale is "C" for numbers meanwhile */
cf_status cfi_config_load(const cfi_config_sources *sources, cfi_settings *settings_out,
                          cfi_problems *problems, cf_error *error) __attribute__((warn_unused_result));

void cfi_settings_fini(cfi_settings *settings); /* leaves it zeroed */

/* docs/CONFIGURATION.md as the option table makes it. *text_out: free with cfi_free. */
cf_status cfi_config_document(char **text_out, cf_error *error) __attribute__((warn_unused_result));

#endif
