#include <string.h>

#include "api/handles.h"
#include "base/alloc.h"
#include "base/text.h"

/* Everything set in code becomes "path=value" texts, as --set gives them; the layers one list in flow style. */
struct cf_builder {
    char **sets;
    size_t set_count;
    cfi_text layers;
    cf_status status; /* of the first call that ran out of memory */
};

cf_status cf_builder_new(cf_builder **builder_out, cf_error *error)
{
    cf_builder *builder = cfi_calloc(1, sizeof *builder);
    if (builder == NULL) {
        return cfi_fail_memory(error, "the builder");
    }
    *builder_out = builder;
    return CF_OK;
}

/* Keeps one more text; takes it over. */
static void keep(cf_builder *builder, char *text)
{
    char **sets = cfi_realloc(builder->sets, builder->set_count + 1, sizeof sets[0]);
    if (sets != NULL) {
        builder->sets = sets;
    }
    if (sets == NULL || text == NULL) {
        cfi_free(text);
        builder->status = CF_E_MEMORY;
        return;
    }
    sets[builder->set_count++] = text;
}

void cf_builder_set(cf_builder *builder, const char *path, const char *yaml_value)
{
    cfi_text text = {0};
    cfi_text_add(&text, "%s=%s", path, yaml_value);
    keep(builder, cfi_text_take(&text));
}

void cf_builder_add_layer(cf_builder *builder, const char *kind, const char *yaml_keys)
{
    cfi_text_add(&builder->layers, "%s{%s: {%s}}", builder->layers.length > 0 ? ", " : "", kind, yaml_keys);
}

cf_status cf_builder_build(cf_builder *builder, cf_network **network_out, cf_problems **problems_out, cf_error *error)
{
    if (problems_out != NULL) {
        *problems_out = NULL;
    }
    const size_t set_count = builder->set_count;
    if (builder->layers.length > 0 && builder->layers.status == CF_OK) {
        cfi_text text = {0};
        cfi_text_add(&text, "network.layers=[%s]", builder->layers.data);
        keep(builder, cfi_text_take(&text));
    }
    if (builder->status != CF_OK || builder->layers.status != CF_OK) {
        return cfi_fail_memory(error, "the network that is being built");
    }
    const cfi_config_sources sources = {
        .sets = (const char *const *)builder->sets, .set_count = builder->set_count, .set_name = "builder"};
    const cf_status status = cfi_network_make(&sources, false, network_out, problems_out, error);
    while (builder->set_count > set_count) { /* so that building again, with more layers, is right too */
        cfi_free(builder->sets[--builder->set_count]);
    }
    return status;
}

void cf_builder_free(cf_builder *builder)
{
    if (builder == NULL) {
        return;
    }
    for (size_t i = 0; i < builder->set_count; i++) {
        cfi_free(builder->sets[i]);
    }
    cfi_free(builder->sets);
    cfi_text_fini(&builder->layers);
    cfi_free(builder);
}
