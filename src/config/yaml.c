#include "config/yaml.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/text.h"

/* A mapping or sequence that is still open, and the key whose value comes next. */
typedef struct frame {
    cfi_yaml_node *node, *key;
} frame;

typedef struct anchor {
    const char *name;
    cfi_yaml_node *node;
} anchor;

typedef struct yaml_reader {
    yaml_parser_t parser;
    cfi_tree *tree;
    const cfi_yaml_source *source;
    cf_error *error;
    frame frames[CFI_YAML_DEPTH_MAX];
    size_t depth;
    anchor anchors[CFI_YAML_ANCHOR_COUNT_MAX];
    size_t anchor_count;
    size_t node_count;
    cfi_yaml_node *root;
    int document_count;
} yaml_reader;

/* ---- Places and failures ------------------------------------------------------------------------------- */

static cfi_mark mark_of(const yaml_reader *reader, yaml_mark_t mark)
{
    cfi_mark result = {reader->source->file_index, 0, 0};
    if (reader->source->path[0] == '\0') {
        result.line = (int)mark.line + 1;
        result.column = (int)mark.column + 1;
    }
    return result;
}

/* Line and column (in characters) of a byte of the text; for errors below libyaml's marks. */
static cfi_mark mark_of_byte(const yaml_reader *reader, const char *text, size_t offset)
{
    yaml_mark_t mark = {0, 0, 0};
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            mark.column++;
        }
    }
    return mark_of(reader, mark);
}

/* The path of what is being read: the source's own, then the open keys and indices. Empty when memory is
 * short. */
static void add_problem(yaml_reader *reader, cfi_mark mark, const char *text)
{
    cfi_text path = {0};
    cfi_text_add(&path, "%s", reader->source->path);
    for (size_t i = 0; i < reader->depth; i++) {
        const frame *open = &reader->frames[i];
        if (open->node->kind == CFI_YAML_SEQUENCE) {
            cfi_text_add(&path, "[%zu]", open->node->count);
        } else if (open->key != NULL) {
            char shown[CFI_SHOWN_SIZE];
            cfi_problems_show(shown, open->key->text);
            cfi_text_add(&path, "%s%s", path.length > 0 ? "." : "", shown);
        }
    }
    cfi_problems_add(reader->source->problems, reader->source->file, mark, path.data != NULL ? path.data : "",
                     "%s", text);
    cfi_text_fini(&path);
}

/* A mistake after which the rest cannot be read. */
static cf_status stop(yaml_reader *reader, cfi_mark mark, const char *text)
{
    cfi_problems_add(reader->source->problems, reader->source->file, mark, reader->source->path, "%s", text);
    return CF_E_CONFIG;
}

static cf_status stop_at_limit(yaml_reader *reader, cfi_mark mark, const char *what, long limit)
{
    char place[64] = "";
    if (mark.line > 0) {
        snprintf(place, sizeof place, ":%d:%d", mark.line, mark.column);
    }
    return cfi_fail(reader->error, CF_E_LIMIT, "%s%s: %s%s%s %ld", reader->source->file, place,
                    reader->source->path, reader->source->path[0] != '\0' ? ": " : "", what, limit);
}

static cf_status stop_without_memory(yaml_reader *reader)
{
    return cfi_fail_memory(reader->error, "the network file");
}

static cf_status stop_at_syntax_error(yaml_reader *reader, const char *text)
{
    const yaml_parser_t *parser = &reader->parser;
    char message[CF_ERROR_TEXT_SIZE];
    if (parser->error == YAML_MEMORY_ERROR) {
        return stop_without_memory(reader);
    }
    if (parser->error == YAML_READER_ERROR) {
        return stop(reader, mark_of_byte(reader, text, parser->problem_offset), parser->problem);
    }
    const cfi_mark mark = mark_of(reader, parser->problem_mark);
    if (parser->context == NULL) {
        snprintf(message, sizeof message, "%s", parser->problem);
    } else {
        snprintf(message, sizeof message, "%s (%s from line %zu, column %zu)", parser->problem,
                 parser->context, parser->context_mark.line + 1, parser->context_mark.column + 1);
    }
    return stop(reader, mark, message);
}

/* ---- Building the tree --------------------------------------------------------------------------------- */

/* Counts a node and its depth against the limits before it is made. */
static cf_status count_node(yaml_reader *reader, cfi_mark mark, size_t depth)
{
    reader->node_count++;
    if (reader->node_count > CFI_YAML_NODE_COUNT_MAX) {
        return stop_at_limit(reader, mark, "too many values, counting every use of an alias; at most",
                             CFI_YAML_NODE_COUNT_MAX);
    }
    if (depth > CFI_YAML_DEPTH_MAX) {
        return stop_at_limit(reader, mark, "nested too deeply; levels at most", CFI_YAML_DEPTH_MAX);
    }
    return CF_OK;
}

static cf_status attach_value(yaml_reader *reader, frame *open, cfi_yaml_node *node)
{
    cfi_yaml_node *key = open->key;
    if (key != NULL && cfi_yaml_find(open->node, key->text) != NULL) {
        char text[96];
        const cfi_mark first = cfi_yaml_find(open->node, key->text)->key->mark;
        snprintf(text, sizeof text, "duplicate key (first at line %d, column %d)", first.line, first.column);
        add_problem(reader, key->mark, first.line > 0 ? text : "duplicate key");
        open->key = NULL;
        return CF_OK; /* the first one stays */
    }
    if (key != NULL && open->node->count >= CFI_YAML_KEY_COUNT_MAX) {
        return stop_at_limit(reader, key->mark, "too many keys in one mapping; at most",
                             CFI_YAML_KEY_COUNT_MAX);
    }
    open->key = NULL;
    return cfi_tree_append(reader->tree, open->node, key, node) ? CF_OK : stop_without_memory(reader);
}

/* Puts a finished or just opened node where it belongs. */
static cf_status attach(yaml_reader *reader, cfi_yaml_node *node)
{
    if (reader->depth == 0) {
        reader->root = node;
        return CF_OK;
    }
    frame *open = &reader->frames[reader->depth - 1];
    if (open->node->kind == CFI_YAML_SEQUENCE || open->key != NULL) {
        return attach_value(reader, open, node);
    }
    if (node->kind != CFI_YAML_SCALAR) {
        return stop(reader, node->mark, "a key must be a word, not a list or mapping");
    }
    open->key = node;
    return CF_OK;
}

static cf_status remember_anchor(yaml_reader *reader, const yaml_char_t *name, cfi_yaml_node *node)
{
    if (name == NULL) {
        return CF_OK;
    }
    if (reader->anchor_count >= CFI_YAML_ANCHOR_COUNT_MAX) {
        return stop_at_limit(reader, node->mark, "too many anchors; at most", CFI_YAML_ANCHOR_COUNT_MAX);
    }
    const char *copy = cfi_tree_copy_text(reader->tree, (const char *)name, strlen((const char *)name));
    if (copy == NULL) {
        return stop_without_memory(reader);
    }
    reader->anchors[reader->anchor_count] = (anchor){copy, node};
    reader->anchor_count++;
    return CF_OK;
}

static cf_status new_node(yaml_reader *reader, const yaml_event_t *event, cfi_yaml_kind kind,
                          const yaml_char_t *name, const yaml_char_t *tag, cfi_yaml_node **node_out)
{
    const cfi_mark mark = mark_of(reader, event->start_mark);
    CFI_TRY(count_node(reader, mark, reader->depth + (kind == CFI_YAML_SCALAR ? 0 : 1)));
    cfi_yaml_node *node = cfi_tree_new_node(reader->tree, kind, mark);
    if (node == NULL) {
        return stop_without_memory(reader);
    }
    if (tag != NULL) {
        char text[CFI_SHOWN_SIZE + 64], shown[CFI_SHOWN_SIZE];
        cfi_problems_show(shown, (const char *)tag);
        snprintf(text, sizeof text, "tags are not known here: remove '%s'", shown);
        add_problem(reader, mark, text);
    }
    *node_out = node;
    return remember_anchor(reader, name, node);
}

static cf_status read_scalar(yaml_reader *reader, const yaml_event_t *event)
{
    cfi_yaml_node *node = NULL;
    const char *text = (const char *)event->data.scalar.value;
    const size_t length = event->data.scalar.length;
    CFI_TRY(
        new_node(reader, event, CFI_YAML_SCALAR, event->data.scalar.anchor, event->data.scalar.tag, &node));
    if (memchr(text, '\0', length) != NULL) {
        return stop(reader, node->mark, "text may not contain a NUL character");
    }
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = cfi_tree_copy_text(reader->tree, text, length);
    return node->text != NULL ? attach(reader, node) : stop_without_memory(reader);
}

static cf_status open_collection(yaml_reader *reader, const yaml_event_t *event)
{
    cfi_yaml_node *node = NULL;
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        CFI_TRY(new_node(reader, event, CFI_YAML_SEQUENCE, event->data.sequence_start.anchor,
                         event->data.sequence_start.tag, &node));
    } else {
        CFI_TRY(new_node(reader, event, CFI_YAML_MAPPING, event->data.mapping_start.anchor,
                         event->data.mapping_start.tag, &node));
    }
    const frame *parent = reader->depth > 0 ? &reader->frames[reader->depth - 1] : NULL;
    if (parent != NULL && parent->node->kind == CFI_YAML_MAPPING && parent->key == NULL) {
        return attach(reader, node); /* refuses it as a key */
    }
    reader->frames[reader->depth] = (frame){node, NULL}; /* count_node has checked the depth */
    reader->depth++;
    return CF_OK;
}

/* Attaching at the end, not at the start, lets a path in a message name the index or key that is being read.
 */
static cf_status close_collection(yaml_reader *reader)
{
    reader->depth--;
    return attach(reader, reader->frames[reader->depth].node);
}

/* A copy of a finished node, counted as if it had been written out: mappings may be changed later, one by
 * one. */
static cf_status copy_node(yaml_reader *reader, const cfi_yaml_node *source, cfi_mark mark, size_t depth,
                           cfi_yaml_node **copy_out)
{
    CFI_TRY(count_node(reader, mark, depth + (source->kind == CFI_YAML_SCALAR ? 0 : 1)));
    cfi_yaml_node *copy = cfi_tree_new_node(reader->tree, source->kind, source->mark);
    if (copy == NULL) {
        return stop_without_memory(reader);
    }
    copy->quoted = source->quoted;
    copy->text = source->text;
    for (size_t i = 0; i < source->count; i++) {
        cfi_yaml_node *value = NULL;
        if (source->entries[i].key != NULL) {
            CFI_TRY(count_node(reader, mark, depth));
        }
        CFI_TRY(copy_node(reader, source->entries[i].value, mark, depth + 1, &value));
        if (!cfi_tree_append(reader->tree, copy, source->entries[i].key, value)) {
            return stop_without_memory(reader);
        }
    }
    *copy_out = copy;
    return CF_OK;
}

static cf_status read_alias(yaml_reader *reader, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    const cfi_mark mark = mark_of(reader, event->start_mark);
    const cfi_yaml_node *target = NULL;
    for (size_t i = reader->anchor_count; target == NULL && i > 0; i--) {
        target = strcmp(reader->anchors[i - 1].name, name) == 0 ? reader->anchors[i - 1].node : NULL;
    }
    char shown[CFI_SHOWN_SIZE], text[CFI_SHOWN_SIZE + 64];
    cfi_problems_show(shown, name);
    if (target == NULL) {
        snprintf(text, sizeof text, "there is no anchor '&%s' before this alias", shown);
        return stop(reader, mark, text);
    }
    for (size_t i = 0; i < reader->depth; i++) {
        if (reader->frames[i].node == target) {
            snprintf(text, sizeof text, "the alias '*%s' contains itself", shown);
            return stop(reader, mark, text);
        }
    }
    cfi_yaml_node *copy = NULL;
    CFI_TRY(copy_node(reader, target, mark, reader->depth, &copy));
    return attach(reader, copy);
}

static cf_status read_event(yaml_reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        reader->document_count++;
        return reader->document_count == 1 ? CF_OK
                                           : stop(reader, mark_of(reader, event->start_mark),
                                                  "a second document starts here; only one is allowed");
    case YAML_SCALAR_EVENT:
        return read_scalar(reader, event);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return open_collection(reader, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_collection(reader);
    case YAML_ALIAS_EVENT:
        return read_alias(reader, event);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return CF_OK;
    }
    return CF_OK;
}

/* ---- UTF-8 --------------------------------------------------------------------------------------------- */

/* Bytes of the valid UTF-8 character at `text` (RFC 3629 section 4), 0 when it is none. */
static size_t utf8_size(const unsigned char *text, size_t left)
{
    const unsigned char first = text[0];
    const size_t size = first < 0x80   ? 1
                        : first < 0xC2 ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF5 ? 4
                                       : 0;
    if (size > left) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    const bool overlong = (first == 0xE0 && text[1] < 0xA0) || (first == 0xF0 && text[1] < 0x90);
    const bool outside = (first == 0xED && text[1] > 0x9F) || (first == 0xF4 && text[1] > 0x8F);
    return overlong || outside ? 0 : size;
}

static cf_status check_utf8(yaml_reader *reader, const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        const size_t step = utf8_size((const unsigned char *)text + i, size - i);
        if (step == 0) {
            char message[64];
            snprintf(message, sizeof message, "not UTF-8: byte 0x%02X", (unsigned)(unsigned char)text[i]);
            return stop(reader, mark_of_byte(reader, text, i), message);
        }
        i += step;
    }
    return CF_OK;
}

/* ---- The way in ---------------------------------------------------------------------------------------- */

static cf_status read_all(yaml_reader *reader, const char *text, size_t size)
{
    yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, size);
    for (bool done = false; !done;) {
        yaml_event_t event;
        if (yaml_parser_parse(&reader->parser, &event) == 0) {
            return stop_at_syntax_error(reader, text);
        }
        done = event.type == YAML_STREAM_END_EVENT;
        const cf_status status = read_event(reader, &event);
        yaml_event_delete(&event);
        CFI_TRY(status);
    }
    return CF_OK;
}

cf_status cfi_yaml_parse(cfi_tree *tree, const cfi_yaml_source *source, const char *text, size_t size,
                         cfi_yaml_node **root_out, cf_error *error)
{
    static const yaml_reader empty;
    yaml_reader reader = empty;
    reader.tree = tree;
    reader.source = source;
    reader.error = error;
    if (size > CFI_YAML_SIZE_MAX) {
        return stop_at_limit(&reader, (cfi_mark){0}, "too large; bytes at most", CFI_YAML_SIZE_MAX);
    }
    CFI_TRY(check_utf8(&reader, text, size));
    if (yaml_parser_initialize(&reader.parser) == 0) {
        return stop_without_memory(&reader);
    }
    const cf_status status = read_all(&reader, text, size);
    yaml_parser_delete(&reader.parser);
    if (status == CF_OK) {
        *root_out = reader.root;
    }
    return status;
}
