/* Any bytes as a network file: loading must end with a status, and what is accepted must resolve to a file
 * that is accepted again and resolves to itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static cf_status load(const char *text, cfi_settings *settings)
{
    const cfi_config_sources sources = {.text = text, .text_name = "fuzz.yaml"};
    cfi_problems problems = {0};
    cf_error error = {0};
    const cf_status status = cfi_config_load(&sources, settings, &problems, &error);
    const bool listed = problems.count > 0;
    if ((status == CF_E_CONFIG && !listed) || (status == CF_OK && listed) ||
        (status != CF_OK && error.text[0] == '\0')) {
        abort(); /* a failure must say why */
    }
    cfi_problems_fini(&problems);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cfi_settings settings, again;
    char *text = cfi_calloc(size + 1, 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    if (load(text, &settings) == CF_OK) {
        if (load(settings.resolved_yaml, &again) != CF_OK ||
            strcmp(again.resolved_yaml, settings.resolved_yaml) != 0) {
            abort();
        }
        cfi_settings_fini(&again);
        cfi_settings_fini(&settings);
    }
    cfi_free(text);
    return 0;
}
