#include "config/emit.h"

#include <string.h>

enum { INDENT = 2 };

/* ---- Scalars ------------------------------------------------------------------------------------------- */

/* Whether a plain spelling cannot be taken for anything else: words and numbers. */
static bool is_plain(const cfi_yaml_node *node)
{
    static const char alphanumerics[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    static const char others[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-";
    const char *text = node->text;
    text += text[0] == '+' || text[0] == '-' || text[0] == '.' ? 1 : 0;
    return !node->quoted && text[0] != '\0' && strchr(alphanumerics, text[0]) != NULL &&
           text[strspn(text, others)] == '\0';
}

/* The code point at *bytes (valid UTF-8), which then stands behind it. */
static unsigned next_character(const char **bytes)
{
    const unsigned char first = (unsigned char)**bytes;
    const int more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    unsigned character = more == 0 ? first : first & (0x3Fu >> more);
    (*bytes)++;
    for (int i = 0; i < more && **bytes != '\0'; i++) {
        character = (character << 6) | ((unsigned char)**bytes & 0x3Fu);
        (*bytes)++;
    }
    return character;
}

static void emit_quoted(cfi_text *text, const char *bytes)
{
    cfi_text_add_bytes(text, "\"", 1);
    while (*bytes != '\0') {
        const char *start = bytes;
        const unsigned character = next_character(&bytes);
        const bool line_break = character == 0x2028 || character == 0x2029;
        if (character == '"' || character == '\\') {
            cfi_text_add(text, "\\%c", (int)character);
        } else if (character < 0x20 || (character >= 0x7F && character <= 0xA0) || line_break ||
                   character == 0xFEFF || character == 0xFFFE || character == 0xFFFF) {
            cfi_text_add(text, "\\u%04X", character); /* would be folded, or refused by a reader */
        } else {
            cfi_text_add_bytes(text, start, (size_t)(bytes - start));
        }
    }
    cfi_text_add_bytes(text, "\"", 1);
}

static void emit_scalar(cfi_text *text, const cfi_yaml_node *node)
{
    if (is_plain(node)) {
        cfi_text_add_bytes(text, node->text, strlen(node->text));
    } else {
        emit_quoted(text, node->text);
    }
}

/* ---- Collections --------------------------------------------------------------------------------------- */

static bool is_flat(const cfi_yaml_node *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->entries[i].value->kind != CFI_YAML_SCALAR) {
            return false;
        }
    }
    return true;
}

static void emit_mapping(cfi_text *text, const cfi_yaml_node *mapping, int indent, bool first_in_line);

static void emit_flat_list(cfi_text *text, const cfi_yaml_node *list)
{
    cfi_text_add(text, "[");
    for (size_t i = 0; i < list->count; i++) {
        cfi_text_add(text, "%s", i > 0 ? ", " : "");
        emit_scalar(text, list->entries[i].value);
    }
    cfi_text_add(text, "]");
}

/* What stands behind "key:" or "-", with the line's end. */
static void emit_value(cfi_text *text, const cfi_yaml_node *node, int indent)
{
    if (node->kind == CFI_YAML_SCALAR) {
        cfi_text_add(text, " ");
        emit_scalar(text, node);
        cfi_text_add(text, "\n");
    } else if (node->kind == CFI_YAML_MAPPING && node->count == 0) {
        cfi_text_add(text, " {}\n");
    } else if (node->kind == CFI_YAML_MAPPING) {
        cfi_text_add(text, "\n");
        emit_mapping(text, node, indent + INDENT, false);
    } else if (is_flat(node)) {
        cfi_text_add(text, " ");
        emit_flat_list(text, node);
        cfi_text_add(text, "\n");
    } else {
        cfi_text_add(text, "\n");
        for (size_t i = 0; i < node->count; i++) { /* lists of lists do not occur in this format */
            cfi_text_add(text, "%*s- ", indent + INDENT, "");
            emit_mapping(text, node->entries[i].value, indent + 2 * INDENT, true);
        }
    }
}

static void emit_mapping(cfi_text *text, const cfi_yaml_node *mapping, int indent, bool first_in_line)
{
    for (size_t i = 0; i < mapping->count; i++) {
        cfi_text_add(text, "%*s", first_in_line && i == 0 ? 0 : indent, "");
        emit_scalar(text, mapping->entries[i].key);
        cfi_text_add(text, ":");
        emit_value(text, mapping->entries[i].value, indent);
    }
}

void cfi_emit(cfi_text *text, const cfi_yaml_node *root)
{
    emit_mapping(text, root, 0, false);
}
