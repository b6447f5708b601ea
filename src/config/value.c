/* Single values: text -> number, word, name, path; ranges; canonical spelling. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "config/check.h"

/* ---- Mistakes ------------------------------------------------------------------------------------------ */

static void add_place(cfi_text *path, const cfi_place *place)
{
    if (place == NULL || place->parent == NULL) {
        return;
    }
    add_place(path, place->parent);
    if (place->key == NULL) {
        cfi_text_add(path, "[%zu]", place->index);
        return;
    }
    char shown[CFI_SHOWN_SIZE];
    cfi_problems_show(shown, place->key);
    cfi_text_add(path, "%s%s", path->length > 0 ? "." : "", shown);
}

void cfi_check_problem(cfi_checker *check, cfi_yaml_node *node, const cfi_place *place, const char *format,
                       ...)
{
    char text[CF_ERROR_TEXT_SIZE];
    cfi_text path = {0};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    add_place(&path, place);
    if (path.status != CF_OK) {
        check->problems->status = CF_E_MEMORY;
    }
    cfi_problems_add(check->problems, check->settings->files[node->mark.file_index], node->mark,
                     path.data != NULL ? path.data : "", "%s", text);
    cfi_text_fini(&path);
    node->bad = true;
}

static bool is_number_type(cfi_option_type type)
{
    return type == CFI_OPTION_INT || type == CFI_OPTION_REAL || type == CFI_OPTION_BOOL ||
           type == CFI_OPTION_SIZE || type == CFI_OPTION_PAIR;
}

/* What stands there instead: "'abc'", "a list". */
static void show_node(char text[CFI_SHOWN_SIZE + 16], const cfi_option *option, const cfi_yaml_node *node)
{
    char shown[CFI_SHOWN_SIZE];
    if (node->kind != CFI_YAML_SCALAR) {
        snprintf(text, CFI_SHOWN_SIZE + 16, node->kind == CFI_YAML_MAPPING ? "a mapping" : "a list");
    } else if (cfi_yaml_is_null(node) || node->text[0] == '\0') {
        snprintf(text, CFI_SHOWN_SIZE + 16, "an empty value");
    } else {
        cfi_problems_show(shown, node->text);
        snprintf(text, CFI_SHOWN_SIZE + 16, "%s'%s'",
                 node->quoted && is_number_type(option->type) ? "the text " : "", shown);
    }
}

void cfi_check_expected(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node,
                        const cfi_place *place)
{
    char wanted[CFI_OPTION_LIST_SIZE], found[CFI_SHOWN_SIZE + 16], hint[96] = "";
    const char *nearest = NULL;
    cfi_option_describe(wanted, option);
    show_node(found, option, node);
    if (node->kind == CFI_YAML_SCALAR && option->words != NULL) {
        nearest = cfi_option_nearest_word(option->words, node->text);
    } else if (node->kind == CFI_YAML_SCALAR && option->type == CFI_OPTION_CHOICE) {
        nearest = cfi_option_nearest_key(option, node->text);
    }
    if (nearest != NULL && strcmp(nearest, node->text) != 0) {
        snprintf(hint, sizeof hint, " (did you mean '%s'?)", nearest);
    }
    cfi_check_problem(check, node, place, "expected %s, not %s%s", wanted, found, hint);
}

static void out_of_range(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node,
                         const cfi_place *place)
{
    char range[CFI_OPTION_LIST_SIZE], shown[CFI_SHOWN_SIZE];
    cfi_option_describe_range(range, option);
    cfi_problems_show(shown, node->text);
    cfi_check_problem(check, node, place, "%s, not %s", range, shown);
}

/* ---- Landing ------------------------------------------------------------------------------------------- */

static void land(void *base, size_t offset, const void *value, size_t size)
{
    if (base != NULL && offset != CFI_OPTION_NOWHERE) {
        memcpy((unsigned char *)base + offset, value, size);
    }
}

void cfi_check_land_word(void *base, size_t offset, int value)
{
    _Static_assert(sizeof(cfi_activation) == sizeof(int) && sizeof(cfi_loss_kind) == sizeof(int) &&
                       sizeof(cfi_layer_kind) == sizeof(int) && sizeof(cfi_data_kind) == sizeof(int),
                   "words land in enums as ints");
    land(base, offset, &value, sizeof value);
}

static cf_status respell(cfi_checker *check, cfi_yaml_node *node, const char *text)
{
    node->text = cfi_tree_copy_text(check->tree, text, strlen(text));
    return node->text != NULL ? CF_OK : cfi_fail_memory(check->error, "the settings");
}

/* ---- Numbers ------------------------------------------------------------------------------------------- */

typedef enum parsed { PARSED_NOT, PARSED_TOO_LARGE, PARSED } parsed;

/* Digits without leading zeros at *text, which then stands behind them. */
static parsed parse_digits(const char **text, int64_t *value_out)
{
    const char *digits = *text;
    const size_t count = strspn(digits, "0123456789");
    *text = digits + count;
    if (count == 0 || (digits[0] == '0' && count > 1)) {
        return PARSED_NOT;
    }
    int64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        const int64_t digit = digits[i] - '0';
        if (value > (INT64_MAX - digit) / 10) {
            return PARSED_TOO_LARGE;
        }
        value = value * 10 + digit;
    }
    *value_out = value;
    return PARSED;
}

static parsed parse_whole(const char *text, int64_t *value_out)
{
    const bool negative = text[0] == '-';
    text += text[0] == '-' || text[0] == '+' ? 1 : 0;
    int64_t value = 0;
    const parsed result = parse_digits(&text, &value);
    if (*text != '\0') {
        return PARSED_NOT;
    }
    *value_out = negative ? -value : value;
    return result;
}

/* Decimal numbers alone: no hexadecimal, infinity or nan. The caller has set the "C" locale. */
static bool parse_real(const char *text, double *value_out)
{
    const char *rest = text + (text[0] == '-' || text[0] == '+' ? 1 : 0);
    const size_t whole = strspn(rest, "0123456789");
    rest += whole;
    const size_t part = rest[0] == '.' ? strspn(rest + 1, "0123456789") : 0;
    rest += rest[0] == '.' ? part + 1 : 0;
    if (whole + part == 0) {
        return false;
    }
    if (rest[0] == 'e' || rest[0] == 'E') {
        rest += rest[1] == '-' || rest[1] == '+' ? 2 : 1;
        const size_t exponent = strspn(rest, "0123456789");
        rest += exponent;
        if (exponent == 0) {
            return false;
        }
    }
    if (*rest != '\0') {
        return false;
    }
    *value_out = strtod(text, NULL);
    return true;
}

static parsed parse_size(const char *text, int64_t *bytes_out)
{
    static const struct {
        const char *name;
        int64_t bytes;
    } units[] = {{"", 1},
                 {"B", 1},
                 {"kB", 1000},
                 {"MB", 1000000},
                 {"GB", 1000000000},
                 {"KiB", INT64_C(1) << 10},
                 {"MiB", INT64_C(1) << 20},
                 {"GiB", INT64_C(1) << 30},
                 {"TiB", INT64_C(1) << 40}};
    int64_t value = 0;
    const parsed result = parse_digits(&text, &value);
    for (size_t i = 0; result != PARSED_NOT && i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text, units[i].name) == 0) {
            if (result == PARSED_TOO_LARGE || value > INT64_MAX / units[i].bytes) {
                return PARSED_TOO_LARGE;
            }
            *bytes_out = value * units[i].bytes;
            return PARSED;
        }
    }
    return PARSED_NOT;
}

/* A whole number with its range; false when a mistake was reported. */
static bool read_whole(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node,
                       const cfi_place *place, int64_t *value_out)
{
    int64_t value = 0;
    const bool is_plain = node->kind == CFI_YAML_SCALAR && !node->quoted;
    const parsed result = !is_plain                         ? PARSED_NOT
                          : option->type == CFI_OPTION_SIZE ? parse_size(node->text, &value)
                                                            : parse_whole(node->text, &value);
    if (result == PARSED_NOT) {
        cfi_check_expected(check, option, node, place);
        return false;
    }
    if (result == PARSED_TOO_LARGE || value < option->minimum || value > option->maximum) {
        out_of_range(check, option, node, place);
        return false;
    }
    if ((option->flags & CFI_OPTION_POWER_OF_TWO) != 0 && (value & (value - 1)) != 0) {
        cfi_check_problem(check, node, place, "must be a power of two, not %" PRId64, value);
        return false;
    }
    *value_out = value;
    return true;
}

static const cfi_word *find_word(const cfi_option *option, const cfi_yaml_node *node)
{
    const cfi_word *word = option->words;
    if (word == NULL || node->kind != CFI_YAML_SCALAR) {
        return NULL;
    }
    while (word->name != NULL && strcmp(word->name, node->text) != 0) {
        word++;
    }
    return word->name != NULL ? word : NULL;
}

/* The value of the entry that ends a list of words: what lands when it is none of them. */
static int no_word_value(const cfi_option *option)
{
    const cfi_word *word = option->words;
    while (word != NULL && word->name != NULL) {
        word++;
    }
    return word != NULL ? word->value : 0;
}

static cf_status check_int(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, void *base,
                           const cfi_place *place)
{
    const cfi_word *word = find_word(option, node);
    if (word != NULL) {
        const int64_t value = word->value;
        if (option->word_offset != CFI_OPTION_NOWHERE) {
            cfi_check_land_word(base, option->word_offset, word->value);
        } else {
            land(base, option->offset, &value, sizeof value);
        }
        return CF_OK;
    }
    int64_t value = 0;
    char text[32];
    if (!read_whole(check, option, node, place, &value)) {
        return CF_OK;
    }
    land(base, option->offset, &value, sizeof value);
    cfi_check_land_word(base, option->word_offset, no_word_value(option));
    snprintf(text, sizeof text, "%" PRId64, value);
    return respell(check, node, text);
}

static cf_status check_int_per_layer(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node,
                                     void *base, const cfi_place *place)
{
    if (node->kind != CFI_YAML_MAPPING) {
        return check_int(check, option, node, base, place);
    }
    for (size_t i = 0; i < node->count; i++) {
        const cfi_place step = {place, node->entries[i].key->text, 0};
        CFI_TRY(check_int(check, option, node->entries[i].value, NULL, &step));
    }
    return CF_OK;
}

static cf_status check_size(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, void *base,
                            const cfi_place *place)
{
    int64_t bytes = 0;
    if (read_whole(check, option, node, place, &bytes)) {
        land(base, option->offset, &bytes, sizeof bytes);
    }
    return CF_OK;
}

static cf_status check_real(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, void *base,
                            const cfi_place *place)
{
    double value = 0;
    if (node->kind != CFI_YAML_SCALAR || node->quoted || !parse_real(node->text, &value)) {
        cfi_check_expected(check, option, node, place);
        return CF_OK;
    }
    const bool low = value < option->low || ((option->flags & CFI_OPTION_ABOVE) != 0 && value <= option->low);
    const bool high =
        value > option->high || ((option->flags & CFI_OPTION_BELOW) != 0 && value >= option->high);
    if (low || high) {
        out_of_range(check, option, node, place);
        return CF_OK;
    }
    land(base, option->offset, &value, sizeof value);
    char text[64];
    double again = 0;
    for (int digits = 15; digits <= 17; digits++) { /* the shortest spelling that gives the same double */
        snprintf(text, sizeof text, "%.*g", digits, value);
        again = strtod(text, NULL);
        if (again >= value && again <= value) {
            break;
        }
    }
    return respell(check, node, text);
}

static cf_status check_pair(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, void *base,
                            const cfi_place *place)
{
    int64_t pair[2] = {0, 0};
    if (node->kind != CFI_YAML_SEQUENCE) {
        if (read_whole(check, option, node, place, &pair[0])) {
            pair[1] = pair[0];
            land(base, option->offset, pair, sizeof pair);
        }
        return CF_OK;
    }
    if (node->count != 2) {
        cfi_check_problem(check, node, place, "expected two numbers as [height, width], not %zu",
                          node->count);
        return CF_OK;
    }
    for (size_t i = 0; i < 2; i++) {
        const cfi_place step = {place, NULL, i};
        if (!read_whole(check, option, node->entries[i].value, &step, &pair[i])) {
            node->bad = true;
        }
    }
    if (!node->bad) {
        land(base, option->offset, pair, sizeof pair);
    }
    return CF_OK;
}

/* ---- Words and texts ----------------------------------------------------------------------------------- */

static cf_status check_bool(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, void *base,
                            const cfi_place *place)
{
    const bool plain = node->kind == CFI_YAML_SCALAR && !node->quoted;
    const bool value = plain && strcmp(node->text, "true") == 0;
    if (!value && !(plain && strcmp(node->text, "false") == 0)) {
        cfi_check_expected(check, option, node, place);
        return CF_OK;
    }
    land(base, option->offset, &value, sizeof value);
    return CF_OK;
}

static cf_status check_word(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, void *base,
                            const cfi_place *place)
{
    const cfi_word *word = find_word(option, node);
    if (word == NULL) {
        cfi_check_expected(check, option, node, place);
        return CF_OK;
    }
    cfi_check_land_word(base, option->offset, word->value);
    return word->same_as != NULL ? respell(check, node, word->same_as) : CF_OK;
}

/* Whether it is a text that fits its field; reports what is wrong. */
static bool is_text(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, const cfi_place *place)
{
    if (node->kind != CFI_YAML_SCALAR || cfi_yaml_is_null(node) || node->text[0] == '\0') {
        cfi_check_expected(check, option, node, place);
        return false;
    }
    if (strlen(node->text) >= option->size) {
        cfi_check_problem(check, node, place, "must have at most %zu bytes, not %zu", option->size - 1,
                          strlen(node->text));
        return false;
    }
    return true;
}

static cf_status check_text(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, void *base,
                            const cfi_place *place)
{
    const cfi_word *word = node->quoted ? NULL : find_word(option, node);
    if (word != NULL) {
        cfi_check_land_word(base, option->word_offset, word->value);
    } else if (is_text(check, option, node, place)) {
        cfi_check_land_word(base, option->word_offset, no_word_value(option));
        land(base, option->offset, node->text, strlen(node->text) + 1);
    }
    return CF_OK;
}

static cf_status check_name(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, void *base,
                            const cfi_place *place)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const char others[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    if (!is_text(check, option, node, place)) {
        return CF_OK;
    }
    if (strchr(letters, node->text[0]) == NULL || node->text[strspn(node->text, others)] != '\0') {
        char shown[CFI_SHOWN_SIZE];
        cfi_problems_show(shown, node->text);
        cfi_check_problem(check, node, place,
                          "must be a letter followed by letters, digits, '_' or '-', not '%s'", shown);
        return CF_OK;
    }
    land(base, option->offset, node->text, strlen(node->text) + 1);
    return CF_OK;
}

/* Joins a path with the folder of the file that names it, and that with the working folder. CF_E_LIMIT: too
 * long. */
static cf_status make_absolute(const cfi_checker *check, const cfi_yaml_node *node,
                               char path[CFI_PATH_SIZE_MAX])
{
    char folder[CFI_PATH_SIZE_MAX] = "", joined[CFI_PATH_SIZE_MAX], working[CFI_PATH_SIZE_MAX];
    if (node->mark.file_index < check->folder_count && node->text[0] != '/') {
        const char *file = check->settings->files[node->mark.file_index];
        CFI_TRY(cfi_path_folder(folder, sizeof folder, file, NULL));
    }
    CFI_TRY(cfi_path_join(joined, sizeof joined, folder, node->text, NULL));
    if (joined[0] != '/' && getcwd(working, sizeof working) == NULL) {
        return cfi_fail_errno(check->error, CF_E_IO, errno, "the working folder has no name");
    }
    return cfi_path_join(path, CFI_PATH_SIZE_MAX, joined[0] == '/' ? "" : working, joined, NULL);
}

static cf_status check_path(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, void *base,
                            const cfi_place *place)
{
    char path[CFI_PATH_SIZE_MAX];
    if (!is_text(check, option, node, place)) {
        return CF_OK;
    }
    const cf_status status = make_absolute(check, node, path);
    if (status == CF_E_LIMIT) {
        cfi_check_problem(check, node, place, "the path is longer than %d bytes", CFI_PATH_SIZE_MAX - 1);
        return CF_OK;
    }
    CFI_TRY(status);
    land(base, option->offset, path, strlen(path) + 1);
    node->quoted = true;
    return respell(check, node, path);
}

cf_status cfi_check_value(cfi_checker *check, const cfi_option *option, cfi_yaml_node *node, void *base,
                          const cfi_place *place)
{
    switch (option->type) {
    case CFI_OPTION_BOOL:
        return check_bool(check, option, node, base, place);
    case CFI_OPTION_INT:
        return (option->flags & CFI_OPTION_PER_LAYER) != 0
                   ? check_int_per_layer(check, option, node, base, place)
                   : check_int(check, option, node, base, place);
    case CFI_OPTION_REAL:
        return check_real(check, option, node, base, place);
    case CFI_OPTION_SIZE:
        return check_size(check, option, node, base, place);
    case CFI_OPTION_WORD:
        return check_word(check, option, node, base, place);
    case CFI_OPTION_TEXT:
        return check_text(check, option, node, base, place);
    case CFI_OPTION_NAME:
        return check_name(check, option, node, base, place);
    case CFI_OPTION_PATH:
        return check_path(check, option, node, base, place);
    case CFI_OPTION_PAIR:
        return check_pair(check, option, node, base, place);
    case CFI_OPTION_MAP:
    case CFI_OPTION_CHOICE:
    case CFI_OPTION_LIST:
    case CFI_OPTION_LAYERS:
        break;
    }
    return cfi_fail(check->error, CF_E_INTERNAL, "option '%s' is no single value", option->key);
}
