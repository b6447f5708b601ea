#include "config/problems.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* Makes room for one more item; false when memory is short. */
static bool reserve(cfi_problems *problems)
{
    if (problems->count < problems->capacity) {
        return true;
    }
    const size_t capacity = problems->capacity == 0 ? 8 : problems->capacity * 2;
    cfi_problem *items = cfi_realloc(problems->items, capacity, sizeof *items);
    if (items == NULL) {
        return false;
    }
    problems->items = items;
    problems->capacity = capacity;
    return true;
}

static void problem_fini(cfi_problem *problem)
{
    cfi_free(problem->file);
    cfi_free(problem->path);
    cfi_free(problem->text);
}

static void add_text(cfi_problems *problems, const char *file, cfi_mark mark, const char *path,
                     const char *text)
{
    cfi_problem problem = {cfi_strdup(file), mark, cfi_strdup(path), cfi_strdup(text)};
    if (problem.file == NULL || problem.path == NULL || problem.text == NULL || !reserve(problems)) {
        problem_fini(&problem);
        problems->status = CF_E_MEMORY;
        return;
    }
    problems->items[problems->count] = problem;
    problems->count++;
}

void cfi_problems_add(cfi_problems *problems, const char *file, cfi_mark mark, const char *path,
                      const char *format, ...)
{
    if (problems->count >= CFI_PROBLEM_COUNT_MAX) {
        problems->left_out++;
        return;
    }
    char text[CF_ERROR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    add_text(problems, file, mark, path, text);
}

static bool comes_before(cfi_mark left, cfi_mark right)
{
    if (left.file_index != right.file_index) {
        return left.file_index < right.file_index;
    }
    return left.line != right.line ? left.line < right.line : left.column < right.column;
}

void cfi_problems_sort(cfi_problems *problems)
{
    /* Insertion: stable, and the list is short. */
    for (size_t i = 1; i < problems->count; i++) {
        const cfi_problem problem = problems->items[i];
        size_t place = i;
        while (place > 0 && comes_before(problem.mark, problems->items[place - 1].mark)) {
            problems->items[place] = problems->items[place - 1];
            place--;
        }
        problems->items[place] = problem;
    }
    if (problems->left_out > 0) {
        char text[64];
        snprintf(text, sizeof text, "and %zu more", problems->left_out);
        const cfi_mark nowhere = {problems->items[problems->count - 1].mark.file_index, 0, 0};
        problems->left_out = 0;
        add_text(problems, problems->items[problems->count - 1].file, nowhere, "", text);
    }
}

cf_status cfi_problems_status(const cfi_problems *problems, cf_error *error)
{
    if (problems->status != CF_OK) {
        return cfi_fail_memory(error, "the list of mistakes");
    }
    if (problems->count == 0) {
        return CF_OK;
    }
    const cfi_problem *first = &problems->items[0];
    char place[64] = "", more[64] = "";
    if (first->mark.line > 0) {
        snprintf(place, sizeof place, ":%d:%d", first->mark.line, first->mark.column);
    }
    if (problems->count > 1) {
        snprintf(more, sizeof more, " (the first of %zu mistakes)", problems->count);
    }
    return cfi_fail(error, CF_E_CONFIG, "%s%s: %s%s%s%s", first->file, place, first->path,
                    first->path[0] != '\0' ? ": " : "", first->text, more);
}

void cfi_problems_fini(cfi_problems *problems)
{
    if (problems == NULL) {
        return;
    }
    for (size_t i = 0; i < problems->count; i++) {
        problem_fini(&problems->items[i]);
    }
    cfi_free(problems->items);
    memset(problems, 0, sizeof *problems);
}

/* Bytes of the character at `text` (valid UTF-8), 0 at the end. */
static size_t character_size(const char *text)
{
    const unsigned char first = (unsigned char)text[0];
    size_t size = first == 0 ? 0 : first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    for (size_t i = 1; i < size; i++) {
        if (((unsigned char)text[i] & 0xC0) != 0x80) {
            return i;
        }
    }
    return size;
}

void cfi_problems_show(char shown[CFI_SHOWN_SIZE], const char *text)
{
    enum { CHARACTERS_MAX = 40 };
    size_t length = 0;
    for (int i = 0; i < CHARACTERS_MAX && *text != '\0'; i++) {
        const size_t size = character_size(text);
        const unsigned char first = (unsigned char)text[0];
        const bool control =
            first < 0x20 || first == 0x7F || (first == 0xC2 && (unsigned char)text[1] < 0xA0);
        if (control) { /* a file must not be able to steer the terminal */
            shown[length++] = '?';
        } else {
            memcpy(shown + length, text, size);
            length += size;
        }
        text += size;
    }
    memcpy(shown + length, *text == '\0' ? "" : "...", *text == '\0' ? 1 : 4);
}
