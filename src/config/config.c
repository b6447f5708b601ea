#include "config/config.h"

#include <locale.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"
#include "config/check.h"
#include "config/emit.h"
#include "config/merge.h"

typedef struct config_loader {
    const cfi_config_sources *sources;
    cfi_tree tree;
    cfi_yaml_node *root;
    cfi_settings settings;
    cfi_problems *problems;
    bool unreadable; /* a source has a syntax error or a --set leads nowhere: the whole cannot be checked */
    cf_error *error;
} config_loader;

static cf_status fail_memory(const config_loader *loader)
{
    return cfi_fail_memory(loader->error, "the settings");
}

/* ---- Sources ------------------------------------------------------------------------------------------- */

static cf_status add_file_name(config_loader *loader, const char *name)
{
    char *copy = cfi_strdup(name);
    if (copy == NULL) {
        return fail_memory(loader);
    }
    loader->settings.files[loader->settings.file_count] = copy;
    loader->settings.file_count++;
    return CF_OK;
}

/* Marks index this list: the files, the text, and what all --set together are called. */
static cf_status add_file_names(config_loader *loader)
{
    const cfi_config_sources *sources = loader->sources;
    if (sources->file_count > CFI_FILE_LAYER_COUNT_MAX) {
        return cfi_fail(loader->error, CF_E_LIMIT, "too many files laid over each other; at most %d",
                        CFI_FILE_LAYER_COUNT_MAX);
    }
    loader->settings.files = cfi_calloc(sources->file_count + 2, sizeof *loader->settings.files);
    if (loader->settings.files == NULL) {
        return fail_memory(loader);
    }
    for (size_t i = 0; i < sources->file_count; i++) {
        CFI_TRY(add_file_name(loader, sources->files[i]));
    }
    if (sources->text != NULL) {
        CFI_TRY(add_file_name(loader, sources->text_name != NULL ? sources->text_name : "text"));
    }
    return add_file_name(loader, sources->set_name != NULL ? sources->set_name : "--set");
}

/* Parses a text; CF_OK with *root_out NULL and `unreadable` set when it has syntax errors. */
static cf_status parse(config_loader *loader, const cfi_yaml_source *source, const char *text, size_t size,
                       cfi_yaml_node **root_out)
{
    *root_out = NULL;
    const cf_status status = cfi_yaml_parse(&loader->tree, source, text, size, root_out, loader->error);
    loader->unreadable = loader->unreadable || status == CF_E_CONFIG;
    return status == CF_E_CONFIG ? CF_OK : status;
}

static cf_status lay_text(config_loader *loader, int file_index, const char *text, size_t size)
{
    const cfi_yaml_source source = {loader->settings.files[file_index], file_index, "", loader->problems};
    cfi_yaml_node *root = NULL;
    CFI_TRY(parse(loader, &source, text, size, &root));
    if (root == NULL && !loader->unreadable) {
        root = cfi_tree_new_node(&loader->tree, CFI_YAML_MAPPING,
                                 (cfi_mark){file_index, 1, 1}); /* an empty file */
        if (root == NULL) {
            return fail_memory(loader);
        }
    }
    if (root == NULL) {
        return CF_OK;
    }
    return cfi_merge(&loader->tree, cfi_option_root(), &loader->root, root, loader->error);
}

static cf_status lay_file(config_loader *loader, int file_index)
{
    char *text = NULL;
    size_t size = 0;
    const char *name = loader->settings.files[file_index];
    CFI_TRY(cfi_file_read(name, CFI_YAML_SIZE_MAX, &text, &size, loader->error));
    const cf_status status = lay_text(loader, file_index, text, size);
    cfi_free(text);
    return status;
}

/* One "path=value". */
static cf_status lay_set(config_loader *loader, const char *set)
{
    const int file_index = loader->settings.file_count - 1;
    const char *equals = strchr(set, '=');
    const char *name = loader->settings.files[file_index];
    if (equals == NULL) {
        char shown[CFI_SHOWN_SIZE];
        cfi_problems_show(shown, set);
        cfi_problems_add(loader->problems, name, (cfi_mark){file_index, 0, 0}, "",
                         "expected path=value, not '%s'", shown);
        loader->unreadable = true;
        return CF_OK;
    }
    const char *path = cfi_tree_copy_text(&loader->tree, set, (size_t)(equals - set));
    if (path == NULL) {
        return fail_memory(loader);
    }
    /* A blank path would make the value's marks those of a file. */
    const cfi_yaml_source source = {name, file_index, path[0] != '\0' ? path : "?", loader->problems};
    cfi_yaml_node *value = NULL;
    CFI_TRY(parse(loader, &source, equals + 1, strlen(equals + 1), &value));
    if (value == NULL) {
        value = cfi_tree_new_scalar(&loader->tree, "", (cfi_mark){file_index, 0, 0});
    }
    if (value == NULL) {
        return fail_memory(loader);
    }
    const cf_status status = cfi_merge_set(&loader->tree, &source, path, value, &loader->root, loader->error);
    loader->unreadable = loader->unreadable || status == CF_E_CONFIG;
    return status == CF_E_CONFIG ? CF_OK : status;
}

static cf_status lay_sources(config_loader *loader)
{
    const cfi_config_sources *sources = loader->sources;
    for (size_t i = 0; i < sources->file_count; i++) {
        CFI_TRY(lay_file(loader, (int)i));
    }
    if (sources->text != NULL) {
        CFI_TRY(lay_text(loader, (int)sources->file_count, sources->text, strlen(sources->text)));
    }
    for (size_t i = 0; i < sources->set_count; i++) {
        CFI_TRY(lay_set(loader, sources->sets[i]));
    }
    if (loader->root == NULL) {
        loader->root = cfi_tree_new_node(&loader->tree, CFI_YAML_MAPPING,
                                         (cfi_mark){loader->settings.file_count - 1, 0, 0});
    }
    return loader->root != NULL ? CF_OK : fail_memory(loader);
}

/* ---- The default name ---------------------------------------------------------------------------------- */

/* The first file's name without folder and ending, with '-' for what a name may not hold. */
static void make_name(const config_loader *loader, char name[CFI_NAME_SIZE_MAX])
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    const bool has_file = loader->sources->file_count > 0 || loader->sources->text_name != NULL;
    const char *file = has_file ? loader->settings.files[0] : "network";
    const char *slash = strrchr(file, '/');
    const char *stem = slash != NULL ? slash + 1 : file;
    const bool letter_first = (stem[0] >= 'A' && stem[0] <= 'Z') || (stem[0] >= 'a' && stem[0] <= 'z');
    (void)cfi_copy_name(name, CFI_NAME_SIZE_MAX, letter_first ? "" : "n-");
    const size_t start = strlen(name);
    (void)cfi_copy_name(name + start, CFI_NAME_SIZE_MAX - start, stem);
    char *dot = strrchr(name + start, '.');
    if (dot != NULL) {
        *dot = '\0';
    }
    for (char *character = name; *character != '\0'; character++) {
        *character = strchr(allowed, *character) != NULL ? *character : '-';
    }
}

static cf_status add_name(config_loader *loader)
{
    char name[CFI_NAME_SIZE_MAX];
    if (loader->root->kind != CFI_YAML_MAPPING || cfi_yaml_get(loader->root, "name") != NULL) {
        return CF_OK;
    }
    make_name(loader, name);
    cfi_yaml_node *key = cfi_tree_new_scalar(&loader->tree, "name", (cfi_mark){0, 0, 0});
    cfi_yaml_node *value = cfi_tree_new_scalar(&loader->tree, name, (cfi_mark){0, 0, 0});
    return key != NULL && value != NULL && cfi_tree_append(&loader->tree, loader->root, key, value)
               ? CF_OK
               : fail_memory(loader);
}

/* ---- The way in ---------------------------------------------------------------------------------------- */

static cf_status check_tree(config_loader *loader)
{
    cfi_checker check = {&loader->tree, &loader->settings, loader->problems, (int)loader->sources->file_count,
                         loader->error};
    CFI_TRY(add_name(loader));
    CFI_TRY(cfi_check_file(&check, loader->root));
    return cfi_check_rules(&check, loader->root);
}

static cf_status resolve(config_loader *loader)
{
    cfi_text text = {0};
    cfi_emit(&text, loader->root);
    const cf_status status = text.status;
    loader->settings.resolved_yaml = cfi_text_take(&text);
    return loader->settings.resolved_yaml != NULL
               ? CF_OK
               : cfi_fail(loader->error, status != CF_OK ? status : CF_E_MEMORY,
                          "cannot write out the settings");
}

static cf_status load(config_loader *loader)
{
    CFI_TRY(add_file_names(loader));
    CFI_TRY(lay_sources(loader));
    if (!loader->unreadable) {
        CFI_TRY(check_tree(loader));
    }
    cfi_problems_sort(loader->problems);
    CFI_TRY(cfi_problems_status(loader->problems, loader->error));
    return resolve(loader);
}

cf_status cfi_config_load(const cfi_config_sources *sources, cfi_settings *settings_out,
                          cfi_problems *problems, cf_error *error)
{
    config_loader loader = {.sources = sources, .problems = problems, .error = error};
    const locale_t locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (locale == (locale_t)0) {
        return fail_memory(&loader);
    }
    const locale_t before = uselocale(locale);
    const cf_status status = load(&loader);
    uselocale(before);
    freelocale(locale);
    cfi_tree_fini(&loader.tree);
    if (status != CF_OK) {
        cfi_settings_fini(&loader.settings);
        return status;
    }
    *settings_out = loader.settings;
    return CF_OK;
}

void cfi_settings_fini(cfi_settings *settings)
{
    for (int i = 0; i < settings->file_count; i++) {
        cfi_free(settings->files[i]);
    }
    for (int i = 0; i < settings->placement.hint_count; i++) {
        cfi_free(settings->placement.hints[i].members);
    }
    for (int i = 0; i < settings->placement.host_count; i++) {
        cfi_free(settings->placement.hosts[i].labels);
    }
    cfi_free(settings->placement.hints);
    cfi_free(settings->placement.hosts);
    cfi_free(settings->files);
    cfi_free(settings->layers);
    cfi_free(settings->resolved_yaml);
    memset(settings, 0, sizeof *settings);
}
