/* The plan as JSON. One table says which member is which field, so that reading and writing cannot differ. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/text.h"
#include "plan/cluster_check.h"

typedef enum field_kind {
    FIELD_INT, FIELD_INT64, FIELD_BOOL, FIELD_REAL, FIELD_TEXT, FIELD_U32, FIELD_BITS
} field_kind;

typedef struct field {
    const char *key; /* NULL ends the table */
    field_kind kind;
    size_t offset, size;
} field;

#define F(type, member, kind) {#member, kind, offsetof(type, member), sizeof(((type *)0)->member)}
#define LAST {NULL, FIELD_INT, 0, 0}

static const field stage_fields[] = {
    F(cfi_stage, layer, FIELD_INT), F(cfi_stage, layer_end, FIELD_INT), F(cfi_stage, neurons, FIELD_INT64),
    F(cfi_stage, grain, FIELD_INT64), F(cfi_stage, inputs, FIELD_INT64), F(cfi_stage, outputs, FIELD_INT64),
    F(cfi_stage, outputs_per_neuron, FIELD_INT64), F(cfi_stage, first_unit, FIELD_INT),
    F(cfi_stage, unit_count, FIELD_INT), LAST};
static const field unit_fields[] = {F(cfi_unit, kind, FIELD_INT), F(cfi_unit, stage, FIELD_INT),
                                    F(cfi_unit, begin, FIELD_INT64), F(cfi_unit, end, FIELD_INT64),
                                    F(cfi_unit, container, FIELD_INT), F(cfi_unit, name, FIELD_TEXT), LAST};
static const field container_fields[] = {
    F(cfi_container, name, FIELD_TEXT), F(cfi_container, endpoint, FIELD_TEXT), F(cfi_container, host, FIELD_TEXT),
    F(cfi_container, zone, FIELD_TEXT), F(cfi_container, cpu, FIELD_REAL), F(cfi_container, memory, FIELD_INT64), LAST};
static const field earlier_fields[] = {F(cfi_earlier, stage, FIELD_INT), F(cfi_earlier, begin, FIELD_INT64),
                                       F(cfi_earlier, end, FIELD_INT64), LAST};
static const field work_fields[] = {
    F(cfi_work, train_count, FIELD_INT64), F(cfi_work, validation_count, FIELD_INT64),
    F(cfi_work, test_count, FIELD_INT64), F(cfi_work, batch, FIELD_INT64), F(cfi_work, sample_grain, FIELD_INT64),
    F(cfi_work, micro_batches, FIELD_INT64), F(cfi_work, drop_last, FIELD_BOOL),
    F(cfi_work, steps_per_epoch, FIELD_INT64), F(cfi_work, step_count, FIELD_INT64),
    F(cfi_work, chain_every, FIELD_INT64), F(cfi_work, persist_every, FIELD_INT64), F(cfi_work, window, FIELD_INT64),
    LAST};
/* Random 64 bits do not fit JSON's numbers in every reader: they are sixteen hexadecimal digits. */
static const field cluster_fields[] = {F(cfi_cluster, id, FIELD_U32),
                                       {"run_first", FIELD_BITS, offsetof(cfi_cluster, run), sizeof(uint64_t)},
                                       {"run_second", FIELD_BITS, offsetof(cfi_cluster, run) + sizeof(uint64_t),
                                        sizeof(uint64_t)},
                                       F(cfi_cluster, digest, FIELD_BITS),
                                       F(cfi_cluster, name, FIELD_TEXT),
                                       LAST};

_Static_assert(sizeof(cfi_unit_kind) == sizeof(int), "kinds are written as ints");

/* ---- Writing ---- */

static void add_text(cfi_text *text, const char *value)
{
    cfi_text_add(text, "\"");
    for (; *value != '\0'; value++) {
        const unsigned char byte = (unsigned char)*value;
        if (byte == '"' || byte == '\\') {
            cfi_text_add(text, "\\%c", byte);
        } else if (byte < 0x20) {
            cfi_text_add(text, "\\u%04x", byte);
        } else {
            cfi_text_add_bytes(text, value, 1);
        }
    }
    cfi_text_add(text, "\"");
}

/* Some locales write a comma. */
static void add_real(cfi_text *text, double value)
{
    char digits[40];
    snprintf(digits, sizeof digits, "%.17g", value);
    for (char *character = digits; *character != '\0'; character++) {
        *character = *character == ',' ? '.' : *character;
    }
    cfi_text_add(text, "%s", digits);
}

static void add_field(cfi_text *text, const field *f, const void *at)
{
    int number;
    int64_t large;
    uint64_t bits;
    uint32_t small;
    double real;
    bool truth;
    switch (f->kind) {
    case FIELD_INT:
        memcpy(&number, at, sizeof number);
        cfi_text_add(text, "%d", number);
        break;
    case FIELD_INT64:
        memcpy(&large, at, sizeof large);
        cfi_text_add(text, "%" PRId64, large);
        break;
    case FIELD_BOOL:
        memcpy(&truth, at, sizeof truth);
        cfi_text_add(text, truth ? "true" : "false");
        break;
    case FIELD_REAL:
        memcpy(&real, at, sizeof real);
        add_real(text, real);
        break;
    case FIELD_TEXT:
        add_text(text, at);
        break;
    case FIELD_U32:
        memcpy(&small, at, sizeof small);
        cfi_text_add(text, "%" PRIu32, small);
        break;
    case FIELD_BITS:
        memcpy(&bits, at, sizeof bits);
        cfi_text_add(text, "\"%016" PRIx64 "\"", bits);
        break;
    }
}

static void add_fields(cfi_text *text, const field *fields, const void *base)
{
    for (const field *f = fields; f->key != NULL; f++) {
        cfi_text_add(text, "%s\"%s\": ", f == fields ? "" : ", ", f->key);
        add_field(text, f, (const unsigned char *)base + f->offset);
    }
}

static void add_array(cfi_text *text, const char *key, const field *fields, const void *items, int count, size_t size)
{
    cfi_text_add(text, ",\n \"%s\": [", key);
    for (int i = 0; i < count; i++) {
        cfi_text_add(text, i == 0 ? "\n  {" : ",\n  {");
        add_fields(text, fields, (const unsigned char *)items + (size_t)i * size);
        cfi_text_add(text, "}");
    }
    cfi_text_add(text, "]");
}

cf_status cfi_cluster_print(const cfi_cluster *cluster, char **text_out, cf_error *error)
{
    cfi_text text = {0};
    cfi_text_add(&text, "{");
    add_fields(&text, cluster_fields, cluster);
    cfi_text_add(&text, ",\n \"work\": {");
    add_fields(&text, work_fields, &cluster->work);
    cfi_text_add(&text, "}");
    add_array(&text, "stages", stage_fields, cluster->stages, cluster->stage_count, sizeof *cluster->stages);
    add_array(&text, "units", unit_fields, cluster->units, cluster->unit_count, sizeof *cluster->units);
    add_array(&text, "containers", container_fields, cluster->containers, cluster->container_count,
              sizeof *cluster->containers);
    add_array(&text, "earlier", earlier_fields, cluster->earlier, cluster->earlier_count, sizeof *cluster->earlier);
    cfi_text_add(&text, "}\n");
    const cf_status status = text.status;
    char *taken = cfi_text_take(&text);
    if (taken == NULL) {
        return cfi_fail(error, status != CF_OK ? status : CF_E_MEMORY, "cannot write out the plan");
    }
    *text_out = taken;
    return CF_OK;
}

/* ---- Reading ---- */

/* Lowercase only, so that a plan has one spelling. */
static bool read_bits(const json_t *value, void *at)
{
    const char *text = json_string_value(value);
    if (text == NULL || json_string_length(value) != 16 || strspn(text, "0123456789abcdef") != 16) {
        return false;
    }
    const uint64_t bits = strtoull(text, NULL, 16);
    memcpy(at, &bits, sizeof bits);
    return true;
}

static bool read_integer(const json_t *value, int64_t least, int64_t most, void *at, size_t size)
{
    const int64_t number = json_integer_value(value);
    const int32_t small = (int32_t)(uint32_t)(uint64_t)number;
    if (!json_is_integer(value) || number < least || number > most) {
        return false;
    }
    memcpy(at, size == sizeof small ? (const void *)&small : (const void *)&number, size);
    return true;
}

static bool read_field(const json_t *value, const field *f, void *at)
{
    switch (f->kind) {
    case FIELD_INT:
        return read_integer(value, INT32_MIN, INT32_MAX, at, f->size);
    case FIELD_U32:
        return read_integer(value, 0, UINT32_MAX, at, f->size);
    case FIELD_INT64:
        return read_integer(value, INT64_MIN, INT64_MAX, at, f->size);
    case FIELD_BOOL:
        *(bool *)at = json_is_true(value);
        return json_is_boolean(value);
    case FIELD_REAL:
        *(double *)at = json_number_value(value);
        return json_is_number(value);
    case FIELD_TEXT:
        /* jansson refuses NUL inside texts unless told otherwise, so the length is all there is to check. */
        return json_is_string(value) && cfi_copy_name(at, f->size, json_string_value(value));
    case FIELD_BITS:
        return read_bits(value, at);
    }
    return false;
}

static cf_status read_fields(const json_t *object, const char *where, const field *fields, size_t others, void *base,
                             cf_error *error)
{
    size_t count = others;
    for (const field *f = fields; f->key != NULL; f++, count++) {
        const json_t *value = json_object_get(object, f->key);
        if (value == NULL) {
            return cfi_fail(error, CF_E_DATA, "the plan's %s lacks '%s'", where, f->key);
        }
        if (!read_field(value, f, (unsigned char *)base + f->offset)) {
            return cfi_fail(error, CF_E_DATA, "the plan's %s: '%s' is not what it must be", where, f->key);
        }
    }
    if (json_object_size(object) != count) {
        return cfi_fail(error, CF_E_DATA, "the plan's %s has a member that is not known", where);
    }
    return CF_OK;
}

static cf_status read_array(const json_t *root, const char *key, const field *fields, size_t size, size_t most,
                            void **items_out, int *count_out, cf_error *error)
{
    const json_t *array = json_object_get(root, key);
    const size_t count = json_array_size(array);
    if (!json_is_array(array) || count > most) {
        return cfi_fail(error, CF_E_DATA, "the plan's %s are not a list of at most %zu", key, most);
    }
    if (count == 0) {
        return CF_OK;
    }
    unsigned char *items = cfi_calloc(count, size);
    if (items == NULL) {
        return cfi_fail_memory(error, "the plan");
    }
    *items_out = items; /* owned by the cluster from here on, whatever comes */
    *count_out = (int)count;
    for (size_t i = 0; i < count; i++) {
        CFI_TRY(read_fields(json_array_get(array, i), key, fields, 0, items + i * size, error));
    }
    return CF_OK;
}

static cf_status read_cluster(const json_t *root, cfi_cluster *cluster, cf_error *error)
{
    enum { OTHERS = 5 }; /* work and the four lists */
    void *stages = NULL, *units = NULL, *containers = NULL, *earlier = NULL;
    CFI_TRY(read_fields(root, "top", cluster_fields, OTHERS, cluster, error));
    CFI_TRY(read_fields(json_object_get(root, "work"), "work", work_fields, 0, &cluster->work, error));
    cf_status status = read_array(root, "stages", stage_fields, sizeof *cluster->stages, CFI_LAYER_COUNT_MAX, &stages,
                                  &cluster->stage_count, error);
    if (status == CF_OK) {
        status = read_array(root, "units", unit_fields, sizeof *cluster->units, CFI_CLUSTER_UNIT_COUNT_MAX, &units,
                            &cluster->unit_count, error);
    }
    if (status == CF_OK) {
        status = read_array(root, "containers", container_fields, sizeof *cluster->containers,
                            CFI_CLUSTER_UNIT_COUNT_MAX, &containers, &cluster->container_count, error);
    }
    if (status == CF_OK) {
        status = read_array(root, "earlier", earlier_fields, sizeof *cluster->earlier, CFI_CLUSTER_UNIT_COUNT_MAX,
                            &earlier, &cluster->earlier_count, error);
    }
    cluster->stages = stages;
    cluster->units = units;
    cluster->containers = containers;
    cluster->earlier = earlier;
    return status == CF_OK ? cfi_cluster_check(cluster, error) : status;
}

cf_status cfi_cluster_parse(const char *text, size_t length, cfi_cluster *cluster_out, cf_error *error)
{
    json_error_t mistake;
    cfi_cluster cluster;
    memset(&cluster, 0, sizeof cluster);
    if (length > CFI_TEXT_LENGTH_MAX) {
        return cfi_fail(error, CF_E_DATA, "the plan has %zu bytes; at most %u are read", length, CFI_TEXT_LENGTH_MAX);
    }
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &mistake);
    if (root == NULL) {
        const bool is_short = json_error_code(&mistake) == json_error_out_of_memory;
        return cfi_fail(error, is_short ? CF_E_MEMORY : CF_E_DATA, "the plan is no JSON: line %d: %s", mistake.line,
                        mistake.text);
    }
    const cf_status status = read_cluster(root, &cluster, error);
    json_decref(root);
    if (status != CF_OK) {
        cfi_cluster_fini(&cluster);
        return status;
    }
    *cluster_out = cluster;
    return CF_OK;
}
