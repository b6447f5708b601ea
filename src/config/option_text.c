/* The option table in words: names that are close, lists of names, and what a value must be. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/options.h"

const cfi_option *cfi_option_child(const cfi_option *option, const char *key)
{
    if (option == NULL || (option->type != CFI_OPTION_MAP && option->type != CFI_OPTION_CHOICE)) {
        return NULL;
    }
    for (const cfi_option *child = option->children; child->key != NULL; child++) {
        if (strcmp(child->key, key) == 0) {
            return child;
        }
    }
    return NULL;
}

const cfi_option *cfi_option_item(const cfi_option *option)
{
    const bool is_list =
        option != NULL && (option->type == CFI_OPTION_LIST || option->type == CFI_OPTION_LAYERS);
    return is_list ? option->children : NULL;
}

/* ---- Did you mean -------------------------------------------------------------------------------------- */

bool cfi_option_is_close(size_t distance, const char *name)
{
    const size_t length = strlen(name);
    return distance < length && (distance == 1 || distance <= (length + 3) / 4);
}

const char *cfi_option_nearest_key(const cfi_option *option, const char *key)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX;
    for (const cfi_option *child = option->children; child->key != NULL; child++) {
        const size_t distance = cfi_edit_distance(key, child->key);
        if (distance < best) {
            best = distance;
            nearest = child->key;
        }
    }
    return cfi_option_is_close(best, key) ? nearest : NULL;
}

const char *cfi_option_nearest_word(const cfi_word *words, const char *word)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX;
    for (; words->name != NULL; words++) {
        const size_t distance = cfi_edit_distance(word, words->name);
        if (distance < best) {
            best = distance;
            nearest = words->name;
        }
    }
    return cfi_option_is_close(best, word) ? nearest : NULL;
}

/* ---- Lists of names ------------------------------------------------------------------------------------ */

/* Appends a name: `index` of `count`, the last one after `last_joint` (" or "). */
static void join(char list[CFI_OPTION_LIST_SIZE], const char *name, size_t index, size_t count,
                 const char *last_joint)
{
    const size_t length = strlen(list);
    const char *joint = index == 0 ? "" : index + 1 == count ? last_joint : ", ";
    snprintf(list + length, CFI_OPTION_LIST_SIZE - length, "%s%s", joint, name);
}

static bool is_listed(const cfi_option *child, bool only_alternatives)
{
    return !only_alternatives || (child->flags & CFI_OPTION_ALTERNATIVE) != 0;
}

void cfi_option_list_keys(char list[CFI_OPTION_LIST_SIZE], const cfi_option *option, bool only_alternatives,
                          const char *last_joint)
{
    size_t count = 0, index = 0;
    for (const cfi_option *child = option->children; child->key != NULL; child++) {
        count += is_listed(child, only_alternatives) ? 1 : 0;
    }
    list[0] = '\0';
    for (const cfi_option *child = option->children; child->key != NULL; child++) {
        if (is_listed(child, only_alternatives)) {
            join(list, child->key, index, count, last_joint);
            index++;
        }
    }
}

void cfi_option_list_words(char list[CFI_OPTION_LIST_SIZE], const cfi_word *words, const char *last_joint)
{
    size_t count = 0;
    while (words[count].name != NULL) {
        count++;
    }
    list[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        join(list, words[i].name, i, count, last_joint);
    }
}

/* ---- What a value must be ------------------------------------------------------------------------------ */

/* A number of bytes in the largest unit that divides it. */
static void show_size(char text[32], int64_t bytes)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (unit < 4 && bytes % 1024 == 0 && bytes > 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, 32, "%" PRId64 "%s", bytes, units[unit]);
}

/* "from 1 to 10", "above 0 and at most 1000", ... without a leading "must be". */
static void add_range(char *text, size_t size, const cfi_option *option)
{
    if (option->type == CFI_OPTION_SIZE) {
        char low[32], high[32];
        show_size(low, option->minimum);
        show_size(high, option->maximum);
        snprintf(text, size, "from %s to %s", low, high);
    } else if (option->type != CFI_OPTION_REAL) {
        snprintf(text, size, option->minimum == option->maximum ? "%" PRId64 : "from %" PRId64 " to %" PRId64,
                 option->minimum, option->maximum);
    } else if ((option->flags & (CFI_OPTION_ABOVE | CFI_OPTION_BELOW)) == 0) {
        snprintf(text, size, "from %.15g to %.15g", option->low, option->high);
    } else {
        snprintf(text, size, "%s %.15g and %s %.15g",
                 (option->flags & CFI_OPTION_ABOVE) != 0 ? "above" : "at least", option->low,
                 (option->flags & CFI_OPTION_BELOW) != 0 ? "below" : "at most", option->high);
    }
}

void cfi_option_describe_range(char text[CFI_OPTION_LIST_SIZE], const cfi_option *option)
{
    memcpy(text, "must be ", 9);
    add_range(text + 8, CFI_OPTION_LIST_SIZE - 8, option);
}

void cfi_option_describe(char text[CFI_OPTION_LIST_SIZE], const cfi_option *option)
{
    char words[CFI_OPTION_LIST_SIZE] = "";
    if (option->words != NULL) {
        cfi_option_list_words(words, option->words, option->type == CFI_OPTION_WORD ? " or " : ", ");
    }
    const char *joint = words[0] != '\0' ? " or " : "";
    switch (option->type) {
    case CFI_OPTION_BOOL:
        snprintf(text, CFI_OPTION_LIST_SIZE, "true or false");
        break;
    case CFI_OPTION_INT:
        snprintf(text, CFI_OPTION_LIST_SIZE, "%.200s%sa whole number", words, joint);
        break;
    case CFI_OPTION_REAL:
        snprintf(text, CFI_OPTION_LIST_SIZE, "a number");
        break;
    case CFI_OPTION_SIZE:
        snprintf(text, CFI_OPTION_LIST_SIZE, "a size such as 32MiB");
        break;
    case CFI_OPTION_WORD:
        snprintf(text, CFI_OPTION_LIST_SIZE, "%s", words);
        break;
    case CFI_OPTION_TEXT:
        snprintf(text, CFI_OPTION_LIST_SIZE, "%.200s%s%s", words, joint,
                 words[0] != '\0' ? "a name" : "text");
        break;
    case CFI_OPTION_NAME:
        snprintf(text, CFI_OPTION_LIST_SIZE, "a name");
        break;
    case CFI_OPTION_PATH:
        snprintf(text, CFI_OPTION_LIST_SIZE, "a file name");
        break;
    case CFI_OPTION_PAIR:
        snprintf(text, CFI_OPTION_LIST_SIZE, "a whole number or two as [height, width]");
        break;
    case CFI_OPTION_MAP:
        snprintf(text, CFI_OPTION_LIST_SIZE, "a mapping of keys to values");
        break;
    case CFI_OPTION_CHOICE:
        cfi_option_list_keys(text, option, true, " or ");
        break;
    case CFI_OPTION_LIST:
    case CFI_OPTION_LAYERS:
        snprintf(text, CFI_OPTION_LIST_SIZE, "a list");
        break;
    }
}
