#include "data/csv.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "data/csv_reader.h"
#include "data/decimal.h"

/* One file after reading: its values as doubles, its labels as texts inside the file's bytes. */
struct table {
    const char *path;
    int64_t column_count, label_index;
    char **names;          /* (column_count) from the header, or NULL   */
    int64_t row_count, row_capacity;
    double *values;        /* (row_count, column_count - 1) row-major   */
    cfi_csv_field *labels; /* (row_count)                               */
};

static void table_fini(struct table *table)
{
    cfi_free(table->names);
    cfi_free(table->values);
    cfi_free(table->labels);
    memset(table, 0, sizeof *table);
}

static cf_status fail_field(const struct table *table, const cfi_csv_field *field, const char *text, cf_error *error)
{
    return cfi_fail(error, CF_E_DATA, "%s:%lld:%lld: %s", table->path, (long long)field->line,
                    (long long)field->column, text);
}

/* ---- Columns and header ------------------------------------------------------------------------------------- */

/* A row of names: no field is a number, empty or a spelling of NaN. A mixed row is data, and then an error. */
static bool looks_like_header(const cfi_csv_reader *row, cfi_csv_label_kind label)
{
    double value;
    for (int64_t i = 0; i < row->field_count; i++) {
        const char *text = row->fields[i].text;
        const bool may_be_label = (label == CFI_CSV_LABEL_FIRST && i == 0) ||
                                  (label == CFI_CSV_LABEL_LAST && i == row->field_count - 1);
        if (text[0] == '\0') {
            return false;
        }
        if (!may_be_label && (cfi_decimal_parse(text, &value) || cfi_decimal_is_not_finite(text))) {
            return false;
        }
    }
    return true;
}

static cf_status find_label(const cfi_data_settings *settings, struct table *table, cf_error *error)
{
    if (settings->csv_label != CFI_CSV_LABEL_NAME) {
        table->label_index = settings->csv_label == CFI_CSV_LABEL_FIRST ? 0 : table->column_count - 1;
        return CF_OK;
    }
    const char *name = settings->csv_label_name;
    if (table->names == NULL) {
        return cfi_fail(error, CF_E_CONFIG, "%s:1:1: label '%s' needs a header line with the columns' names",
                        table->path, name);
    }
    int64_t found = -1;
    for (int64_t i = 0; i < table->column_count; i++) {
        if (strcmp(table->names[i], name) != 0) {
            continue;
        }
        if (found >= 0) {
            return cfi_fail(error, CF_E_DATA, "%s:1:1: columns %lld and %lld are both named '%s'", table->path,
                            (long long)found + 1, (long long)i + 1, name);
        }
        found = i;
    }
    if (found < 0) {
        return cfi_fail(error, CF_E_CONFIG, "%s:1:1: no column is named '%s' (the last is '%s')", table->path, name,
                        table->names[table->column_count - 1]);
    }
    table->label_index = found;
    return CF_OK;
}

static cf_status take_names(const cfi_csv_reader *row, struct table *table, cf_error *error)
{
    table->names = cfi_calloc((size_t)row->field_count, sizeof *table->names);
    if (table->names == NULL) {
        return cfi_fail_memory(error, "the names of the columns");
    }
    for (int64_t i = 0; i < row->field_count; i++) {
        table->names[i] = row->fields[i].text;
    }
    return CF_OK;
}

/* The test file's columns against the training file's. */
static cf_status check_same_columns(const cfi_csv_reader *row, const struct table *table, const struct table *training,
                                    cf_error *error)
{
    char quotes[2][CFI_QUOTE_SIZE];
    if (table->column_count != training->column_count) {
        return cfi_fail(error, CF_E_DATA, "%s:1:1: %lld columns where %s has %lld", table->path,
                        (long long)table->column_count, training->path, (long long)training->column_count);
    }
    for (int64_t i = 0; table->names != NULL && training->names != NULL && i < table->column_count; i++) {
        if (strcmp(table->names[i], training->names[i]) != 0) {
            return cfi_fail(error, CF_E_DATA, "%s:%lld:%lld: column %lld is '%s' where %s has '%s'", table->path,
                            (long long)row->fields[i].line, (long long)row->fields[i].column, (long long)i + 1,
                            cfi_quote(table->names[i], quotes[0]), training->path,
                            cfi_quote(training->names[i], quotes[1]));
        }
    }
    return CF_OK;
}

/* Decides on columns, header and label from the first row. */
static cf_status take_first_row(const cfi_data_settings *settings, const cfi_csv_reader *row,
                                const struct table *training, struct table *table, cf_error *error)
{
    table->column_count = row->field_count;
    if (row->field_count < 2) {
        return cfi_fail(error, CF_E_DATA, "%s:1:1: one column; a label and at least one value are needed (separated by "
                        "commas)", table->path);
    }
    if (settings->csv_header == CFI_CSV_HEADER_YES ||
        (settings->csv_header == CFI_CSV_HEADER_AUTO && looks_like_header(row, settings->csv_label))) {
        CFI_TRY(take_names(row, table, error));
    }
    if (training != NULL) {
        CFI_TRY(check_same_columns(row, table, training, error));
        table->label_index = training->label_index; /* checked there; this file may lack the header */
        return CF_OK;
    }
    return find_label(settings, table, error);
}

/* ---- Rows --------------------------------------------------------------------------------------------------- */

static cf_status take_value(const struct table *table, const cfi_csv_field *field, int64_t column, double *value_out,
                            cf_error *error)
{
    char name[CFI_QUOTE_SIZE + 8] = "", quote[CFI_QUOTE_SIZE], what[4 * CFI_QUOTE_SIZE];
    const bool is_number = cfi_decimal_parse(field->text, value_out);
    if (is_number && fabs(*value_out) <= (double)FLT_MAX) {
        return CF_OK;
    }
    if (table->names != NULL) {
        snprintf(name, sizeof name, " '%s'", cfi_quote(table->names[column], quote));
    } else {
        snprintf(name, sizeof name, " %lld", (long long)column + 1);
    }
    cfi_quote(field->text, quote);
    if (quote[0] == '\0') {
        snprintf(what, sizeof what, "column%s: the value is missing", name);
    } else if (is_number) {
        snprintf(what, sizeof what, "column%s: '%s' is too large for 32-bit floats", name, quote);
    } else if (cfi_decimal_is_not_finite(field->text)) {
        snprintf(what, sizeof what, "column%s: '%s' is not a finite number", name, quote);
    } else {
        snprintf(what, sizeof what, "column%s: '%s' is not a number", name, quote);
    }
    return fail_field(table, field, what, error);
}

static cf_status take_row(const cfi_csv_reader *row, struct table *table, cf_error *error)
{
    if (row->field_count != table->column_count) {
        return cfi_fail(error, CF_E_DATA, "%s:%lld:1: %lld columns where the first line has %lld", table->path,
                        (long long)row->fields[0].line, (long long)row->field_count,
                        (long long)table->column_count);
    }
    double *values = table->values + table->row_count * (table->column_count - 1);
    for (int64_t i = 0; i < row->field_count; i++) {
        if (i != table->label_index) {
            CFI_TRY(take_value(table, &row->fields[i], i, values++, error));
        } else if (row->fields[i].text[0] == '\0') {
            return fail_field(table, &row->fields[i], "the label is missing", error);
        }
    }
    table->labels[table->row_count++] = row->fields[table->label_index];
    return CF_OK;
}

/* Room for every row that the file can have: the one just read and one for each line after it, but two bytes at
 * least for each field. */
static cf_status make_room(struct table *table, const cfi_csv_reader *row, size_t size, cf_error *error)
{
    int64_t line_count = 2;
    const char *end = row->end;
    for (const char *place = row->next; (place = memchr(place, '\n', (size_t)(end - place))) != NULL; place++) {
        line_count++;
    }
    const int64_t row_size_min = 2 * table->column_count - 1; /* one character a field, the last without comma */
    const int64_t fitting = (int64_t)size / row_size_min + 1;
    table->row_capacity = line_count < fitting ? line_count : fitting;
    if (table->row_capacity > CFI_SAMPLE_COUNT_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "%s: more than the limit of %lld lines", table->path, CFI_SAMPLE_COUNT_MAX);
    }
    table->values = cfi_calloc((size_t)(table->row_capacity * (table->column_count - 1)), sizeof *table->values);
    table->labels = cfi_calloc((size_t)table->row_capacity, sizeof *table->labels);
    if (table->values == NULL || table->labels == NULL) {
        return cfi_fail(error, CF_E_MEMORY, "%s: out of memory for %lld rows of %lld columns", table->path,
                        (long long)table->row_capacity, (long long)table->column_count);
    }
    return CF_OK;
}

static cf_status read_rows(const cfi_data_settings *settings, cfi_csv_reader *reader, const struct table *training,
                           struct table *table, cf_error *error)
{
    const size_t size = (size_t)(reader->end - reader->next);
    bool found = false;
    CFI_TRY(cfi_csv_reader_next(reader, &found, error));
    if (!found) {
        return cfi_fail(error, CF_E_DATA, "%s:1:1: the file is empty", table->path);
    }
    CFI_TRY(take_first_row(settings, reader, training, table, error));
    CFI_TRY(make_room(table, reader, size, error));
    if (table->names == NULL) {
        CFI_TRY(take_row(reader, table, error));
    }
    for (;;) {
        CFI_TRY(cfi_csv_reader_next(reader, &found, error));
        if (!found) {
            break;
        }
        CFI_TRY(take_row(reader, table, error));
    }
    if (table->row_count == 0) {
        return cfi_fail(error, CF_E_DATA, "%s:2:1: no rows after the header", table->path);
    }
    return CF_OK;
}

/* Fills `table` (free with table_fini, on failure too). training: the table whose columns it must have, or NULL. */
static cf_status read_table(const cfi_data_settings *settings, cfi_csv_text text, const struct table *training,
                            struct table *table, cf_error *error)
{
    cfi_csv_reader reader;
    table->path = text.path;
    cfi_csv_reader_init(&reader, text.path, text.bytes, text.size);
    const cf_status status = read_rows(settings, &reader, training, table, error);
    cfi_csv_reader_fini(&reader);
    return status;
}

/* ---- Labels ------------------------------------------------------------------------------------------------- */

/* A whole number >= 0? */
static bool whole_number(const char *text, double *value_out)
{
    return cfi_decimal_parse(text, value_out) && *value_out >= 0 && *value_out == floor(*value_out);
}

static bool all_whole_numbers(const struct table *table)
{
    double value;
    for (int64_t i = 0; i < table->row_count; i++) {
        if (!whole_number(table->labels[i].text, &value)) {
            return false;
        }
    }
    return true;
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static cf_status fail_class_limit(const struct table *table, const cfi_csv_field *field, cf_error *error)
{
    char quote[CFI_QUOTE_SIZE];
    return cfi_fail(error, CF_E_LIMIT,
                    "%s:%lld:%lld: label '%s': more than the limit of %d classes (is this the label's column?)",
                    table->path, (long long)field->line, (long long)field->column, cfi_quote(field->text, quote),
                    CFI_CLASS_COUNT_MAX);
}

/* The largest label + 1 becomes the number of classes. */
static cf_status count_classes(const struct table *training, cfi_dataset *dataset, cf_error *error)
{
    double largest = 0;
    for (int64_t i = 0; i < training->row_count; i++) {
        double value = 0;
        if (!whole_number(training->labels[i].text, &value) || value >= CFI_CLASS_COUNT_MAX) {
            return fail_class_limit(training, &training->labels[i], error);
        }
        largest = value > largest ? value : largest;
    }
    dataset->classes = (int64_t)largest + 1;
    return CF_OK;
}

/* Copies the distinct ones of `count` sorted texts into dataset->class_names. */
static cf_status copy_names(char *const *sorted, int64_t count, cfi_dataset *dataset, cf_error *error)
{
    dataset->class_names = cfi_calloc((size_t)(count < CFI_CLASS_COUNT_MAX ? count : CFI_CLASS_COUNT_MAX),
                                      sizeof *dataset->class_names);
    if (dataset->class_names == NULL) {
        return cfi_fail_memory(error, "the names of the classes");
    }
    for (int64_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(sorted[i - 1], sorted[i]) == 0) {
            continue;
        }
        if (dataset->classes == CFI_CLASS_COUNT_MAX) {
            return CF_E_LIMIT; /* the caller knows the place */
        }
        char *name = cfi_strdup(sorted[i]);
        if (name == NULL) {
            return cfi_fail_memory(error, "the names of the classes");
        }
        dataset->class_names[dataset->classes++] = name;
    }
    return CF_OK;
}

static cf_status name_classes(const struct table *training, cfi_dataset *dataset, cf_error *error)
{
    char **sorted = cfi_calloc((size_t)training->row_count, sizeof *sorted);
    if (sorted == NULL) {
        return cfi_fail_memory(error, "the names of the classes");
    }
    for (int64_t i = 0; i < training->row_count; i++) {
        sorted[i] = training->labels[i].text;
    }
    qsort(sorted, (size_t)training->row_count, sizeof *sorted, compare_texts);
    cf_status status = copy_names(sorted, training->row_count, dataset, error);
    cfi_free(sorted);
    if (status == CF_E_LIMIT) {
        status = fail_class_limit(training, &training->labels[training->row_count - 1], error);
    }
    return status;
}

/* Class of one label, -1 when it is unknown. */
static int32_t class_of(const cfi_dataset *dataset, char *text)
{
    double value;
    if (dataset->class_names == NULL) {
        return whole_number(text, &value) && value < (double)dataset->classes ? (int32_t)value : -1;
    }
    char **found = bsearch(&text, dataset->class_names, (size_t)dataset->classes, sizeof *dataset->class_names,
                           compare_texts);
    return found != NULL ? (int32_t)(found - dataset->class_names) : -1;
}

static cf_status take_labels(const struct table *table, const char *training_path, const cfi_dataset *dataset,
                             cfi_samples *samples, cf_error *error)
{
    char quote[CFI_QUOTE_SIZE];
    samples->labels = cfi_calloc((size_t)table->row_count, sizeof *samples->labels);
    if (samples->labels == NULL) {
        return cfi_fail_memory(error, "the labels");
    }
    for (int64_t i = 0; i < table->row_count; i++) {
        const cfi_csv_field *field = &table->labels[i];
        samples->labels[i] = class_of(dataset, field->text);
        if (samples->labels[i] < 0) {
            return cfi_fail(error, CF_E_DATA, "%s:%lld:%lld: label '%s' does not occur in %s", table->path,
                            (long long)field->line, (long long)field->column, cfi_quote(field->text, quote),
                            training_path);
        }
    }
    return CF_OK;
}

/* ---- Values ------------------------------------------------------------------------------------------------- */

/* Mean and deviation (of the population) of each column over the training rows, in double and in file order, so
 * that the result is the same everywhere. A constant column, or one so nearly constant that its deviation is no
 * normal float, has deviation 1. */
static void measure(const struct table *table, double *mean, double *deviation)
{
    const int64_t features = table->column_count - 1;
    const double count = (double)table->row_count;
    for (int64_t i = 0; i < table->row_count; i++) {
        for (int64_t j = 0; j < features; j++) {
            mean[j] += table->values[i * features + j];
        }
    }
    for (int64_t j = 0; j < features; j++) {
        mean[j] /= count;
    }
    for (int64_t i = 0; i < table->row_count; i++) {
        for (int64_t j = 0; j < features; j++) {
            const double difference = table->values[i * features + j] - mean[j];
            deviation[j] += difference * difference;
        }
    }
    for (int64_t j = 0; j < features; j++) {
        deviation[j] = sqrt(deviation[j] / count);
        bool constant = true;
        for (int64_t i = 1; constant && i < table->row_count; i++) {
            constant = table->values[i * features + j] == table->values[j];
        }
        if (constant) { /* the rounded mean need not be the value itself */
            mean[j] = table->values[j];
        }
        deviation[j] = constant || !(deviation[j] > (double)FLT_MIN) ? 1 : deviation[j];
    }
}

static cf_status standardise(struct table *table, const double *mean, const double *deviation, cf_error *error)
{
    const int64_t features = table->column_count - 1;
    for (int64_t i = 0; i < table->row_count * features; i++) {
        const double value = (table->values[i] - mean[i % features]) / deviation[i % features];
        if (!(fabs(value) <= (double)FLT_MAX)) {
            return cfi_fail(error, CF_E_DATA, "%s:%lld:1: standardised value %lld is too large for 32-bit floats",
                            table->path, (long long)table->labels[i / features].line, (long long)(i % features) + 1);
        }
        table->values[i] = value;
    }
    return CF_OK;
}

static cf_status standardise_both(struct table *training, struct table *test, cfi_dataset *dataset, cf_error *error)
{
    const size_t features = (size_t)training->column_count - 1;
    double *mean = cfi_calloc(2 * features, sizeof *mean);
    dataset->column_mean = cfi_calloc(features, sizeof *dataset->column_mean);
    dataset->column_deviation = cfi_calloc(features, sizeof *dataset->column_deviation);
    if (mean == NULL || dataset->column_mean == NULL || dataset->column_deviation == NULL) {
        cfi_free(mean);
        return cfi_fail_memory(error, "the means of the columns");
    }
    measure(training, mean, mean + features);
    for (size_t i = 0; i < features; i++) {
        dataset->column_mean[i] = (float)mean[i];
        dataset->column_deviation[i] = (float)mean[features + i];
    }
    cf_status status = standardise(training, mean, mean + features, error);
    if (status == CF_OK && test->row_count > 0) {
        status = standardise(test, mean, mean + features, error);
    }
    cfi_free(mean);
    return status;
}

/* Turns the doubles into floats in their own memory (float i ends before double i + 1 begins) and hands it over. */
static void take_floats(struct table *table, cfi_samples *samples)
{
    const int64_t value_count = table->row_count * (table->column_count - 1);
    char *bytes = (char *)table->values;
    for (int64_t i = 0; i < value_count; i++) {
        double value;
        memcpy(&value, bytes + (size_t)i * sizeof value, sizeof value);
        const float narrow = (float)value;
        memcpy(bytes + (size_t)i * sizeof narrow, &narrow, sizeof narrow);
    }
    void *shrunk = cfi_realloc(bytes, (size_t)value_count, sizeof(float));
    samples->floats = shrunk != NULL ? shrunk : (void *)bytes; /* a failed shrink leaves the larger block */
    samples->count = table->row_count;
    table->values = NULL;
}

/* ---- The whole ---------------------------------------------------------------------------------------------- */

static cf_status build(const cfi_data_settings *settings, struct table *training, struct table *test,
                       cfi_dataset *dataset, cf_error *error)
{
    CFI_TRY(all_whole_numbers(training) ? count_classes(training, dataset, error)
                                        : name_classes(training, dataset, error));
    CFI_TRY(take_labels(training, training->path, dataset, &dataset->train, error));
    if (test->row_count > 0) {
        CFI_TRY(take_labels(test, training->path, dataset, &dataset->test, error));
    }
    if (settings->csv_standardise) {
        CFI_TRY(standardise_both(training, test, dataset, error));
    }
    dataset->features = training->column_count - 1;
    dataset->channels = dataset->features;
    dataset->height = 1;
    dataset->width = 1;
    dataset->scale = 1;
    take_floats(training, &dataset->train);
    if (test->row_count > 0) {
        take_floats(test, &dataset->test);
    }
    return CF_OK;
}

cf_status cfi_csv_parse(const cfi_data_settings *settings, cfi_csv_text train, cfi_csv_text test,
                        cfi_dataset *dataset_out, cf_error *error)
{
    struct table training_table = {0}, test_table = {0};
    cfi_dataset dataset = {0};
    cf_status status;
    CFI_TRY_GOTO(read_table(settings, train, NULL, &training_table, error));
    if (test.bytes != NULL) {
        CFI_TRY_GOTO(read_table(settings, test, &training_table, &test_table, error));
    }
    CFI_TRY_GOTO(build(settings, &training_table, &test_table, &dataset, error));
    *dataset_out = dataset;
done:
    if (status != CF_OK) {
        cfi_dataset_fini(&dataset);
    }
    table_fini(&training_table);
    table_fini(&test_table);
    return status;
}

cf_status cfi_csv_load(const cfi_data_settings *settings, cfi_dataset *dataset_out, cf_error *error)
{
    cfi_csv_text train = {settings->csv_train, NULL, 0}, test = {settings->csv_test, NULL, 0};
    cf_status status;
    CFI_TRY_GOTO(cfi_file_read(train.path, CFI_CSV_SIZE_MAX, &train.bytes, &train.size, error));
    if (test.path[0] != '\0') {
        CFI_TRY_GOTO(cfi_file_read(test.path, CFI_CSV_SIZE_MAX, &test.bytes, &test.size, error));
    }
    status = cfi_csv_parse(settings, train, test, dataset_out, error);
done:
    cfi_free(train.bytes);
    cfi_free(test.bytes);
    return status;
}
