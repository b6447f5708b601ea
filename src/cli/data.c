#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/model.h"

#define SAMPLES_SHOWN 8
#define SAMPLES_MAX 1000
#define COLUMNS_SHOWN 10

const cli_option cli_data_get_options[] = {
    {"folder", "FOLDER", "where to put it (default: data/mnist)", 0},
    {NULL, NULL, NULL, 0},
};

const cli_option cli_data_show_options[] = {
    {"part", "PART", "train, validation or test (default: train)", 0},
    {"count", "N", "how many samples (default: 8)", 0},
    {"index", "I", "the first one (default: 0)", 0},
    {NULL, NULL, NULL, 0},
};

const cli_option cli_data_batches_options[] = {
    {"steps", "N", "how many optimizer steps (default: one epoch)", 0},
    {"first", "S", "the first step, from 0 (default: 0)", 0},
    {"json", NULL, "one JSON object for each step: {\"step\", \"indices\"}", 0},
    {NULL, NULL, NULL, 0},
};

static void print_text(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "%s\n", text);
}

int cli_data_get(const cli_arguments *arguments)
{
    cf_error error = {0};
    const cf_status status =
        cf_data_get(arguments->operands[0], cli_option_get(arguments, "folder"), print_text, NULL, &error);
    return status == CF_OK ? CLI_DONE : cli_fail(status, &error);
}

static int open_data(const cli_arguments *arguments, cf_network **network_out, cf_data **data_out)
{
    const int code = cli_network_load(arguments, false, stderr, network_out);
    if (code != CLI_DONE) {
        return code;
    }
    cf_error error = {0};
    const cf_status status = cf_data_open(*network_out, data_out, &error);
    return status == CF_OK ? CLI_DONE : cli_fail(status, &error);
}

typedef struct selection {
    cf_data_part part;
    int64_t first, count;
} selection;

/* Reads the wanted samples: values (count, features) and labels. */
static cf_status read_samples(const cf_data *data, const selection *wanted, int64_t features, float *values,
                              int64_t *labels, cf_error *error)
{
    for (int64_t i = 0; i < wanted->count; i++) {
        const cf_status status = cf_data_sample(data, wanted->part, wanted->first + i, values + i * features,
                                                &labels[i], error);
        if (status != CF_OK) {
            return status;
        }
    }
    return CF_OK;
}

static void print_pictures(const cf_data *data, const selection *wanted, const int64_t shape[3], const float *values,
                           const int64_t *labels)
{
    const cli_terminal terminal = cli_terminal_of(stdout);
    const float **pixels = cli_calloc((size_t)wanted->count, sizeof pixels[0]);
    char **names = cli_calloc((size_t)wanted->count, sizeof names[0]);
    for (int64_t i = 0; i < wanted->count; i++) {
        pixels[i] = values + i * shape[0] * shape[1] * shape[2];
        names[i] = cli_format("%" PRId64 ": %s", wanted->first + i, cf_data_class_name(data, labels[i]));
    }
    cli_pictures_print(&terminal, shape, pixels, (const char *const *)names, (int)wanted->count);
    for (int64_t i = 0; i < wanted->count; i++) {
        cli_free(names[i]);
    }
    cli_free(names);
    cli_free(pixels);
}

static void print_rows(const cf_data *data, const selection *wanted, int64_t features, const float *values,
                       const int64_t *labels)
{
    const cli_terminal terminal = cli_terminal_of(stdout);
    const int shown = (int)(features < COLUMNS_SHOWN ? features : COLUMNS_SHOWN);
    char align[COLUMNS_SHOWN + 4] = "rl";
    memset(align + 2, 'r', (size_t)shown);
    align[2 + shown] = shown < features ? 'l' : '\0';
    align[3 + shown] = '\0';
    cli_table *table = cli_table_new(align);
    cli_table_cell(table, "index");
    cli_table_cell(table, "label");
    for (int i = 0; i < shown; i++) {
        cli_table_cell(table, "value %d", i + 1);
    }
    if (shown < features) {
        cli_table_cell(table, "%s", "");
    }
    for (int64_t row = 0; row < wanted->count; row++) {
        cli_table_cell(table, "%" PRId64, wanted->first + row);
        cli_table_cell(table, "%s", cf_data_class_name(data, labels[row]));
        for (int i = 0; i < shown; i++) {
            cli_table_cell(table, "%.5g", (double)values[row * features + i]);
        }
        if (shown < features) {
            cli_table_cell(table, "... %" PRId64 " more", features - shown);
        }
    }
    cli_table_print(table, &terminal);
    cli_table_free(table);
}

static void print_totals(const cf_data *data, const int64_t shape[3])
{
    char train[CLI_NUMBER_SIZE], validation[CLI_NUMBER_SIZE], test[CLI_NUMBER_SIZE];
    printf("%s training, %s validation and %s test samples of %" PRId64 "x%" PRId64 "x%" PRId64 ", %" PRId64
           " classes\n\n",
           cli_number_grouped(train, cf_data_count(data, CF_DATA_TRAIN)),
           cli_number_grouped(validation, cf_data_count(data, CF_DATA_VALIDATION)),
           cli_number_grouped(test, cf_data_count(data, CF_DATA_TEST)), shape[0], shape[1], shape[2],
           cf_data_classes(data));
}

static int show(const cf_data *data, selection *wanted)
{
    int64_t shape[3];
    cf_data_shape(data, shape);
    const int64_t features = shape[0] * shape[1] * shape[2];
    const int64_t total = cf_data_count(data, wanted->part);
    if (wanted->first >= total) {
        cli_complain("data show: --index: %" PRId64 " is beyond the %" PRId64 " %s samples", wanted->first, total,
                     cli_part_name(wanted->part));
        return CLI_WRONG;
    }
    wanted->count = total - wanted->first < wanted->count ? total - wanted->first : wanted->count;
    float *values = cli_calloc((size_t)(wanted->count * features), sizeof values[0]);
    int64_t *labels = cli_calloc((size_t)wanted->count, sizeof labels[0]);
    cf_error error = {0};
    const cf_status status = read_samples(data, wanted, features, values, labels, &error);
    if (status == CF_OK) {
        print_totals(data, shape);
        if (shape[1] > 1 || shape[2] > 1) {
            print_pictures(data, wanted, shape, values, labels);
        } else {
            print_rows(data, wanted, features, values, labels);
        }
    }
    cli_free(values);
    cli_free(labels);
    return status == CF_OK ? CLI_DONE : cli_fail(status, &error);
}

int cli_data_show(const cli_arguments *arguments)
{
    selection wanted = {.part = CF_DATA_TRAIN, .count = SAMPLES_SHOWN};
    int code = cli_part_option(arguments, &wanted.part);
    if (code == CLI_DONE) {
        code = cli_option_number(arguments, "count", 1, SAMPLES_MAX, &wanted.count);
    }
    if (code == CLI_DONE) {
        code = cli_option_number(arguments, "index", 0, INT64_MAX, &wanted.first);
    }
    cf_network *network = NULL;
    cf_data *data = NULL;
    if (code == CLI_DONE) {
        code = open_data(arguments, &network, &data);
    }
    if (code == CLI_DONE) {
        code = show(data, &wanted);
    }
    cf_data_free(data);
    cf_network_free(network);
    return code;
}

static void print_batch(int64_t step, const int64_t *indices, int64_t rows, bool json)
{
    printf(json ? "{\"step\":%" PRId64 ",\"indices\":[" : "step %" PRId64 ": ", step);
    for (int64_t i = 0; i < rows; i++) {
        printf("%s%" PRId64, i == 0 ? "" : json ? "," : " ", indices[i]);
    }
    printf(json ? "]}\n" : "\n");
}

static int print_batches(const cf_data *data, int64_t first, int64_t steps, bool json)
{
    int64_t *indices = cli_calloc((size_t)cf_data_batch_size(data), sizeof indices[0]);
    cf_error error = {0};
    cf_status status = CF_OK;
    for (int64_t i = 0; i < steps && status == CF_OK; i++) {
        int64_t rows = 0;
        status = cf_data_batch(data, first + i, indices, &rows, &error);
        if (status == CF_OK) {
            print_batch(first + i, indices, rows, json);
        }
    }
    cli_free(indices);
    return status == CF_OK ? CLI_DONE : cli_fail(status, &error);
}

int cli_data_batches(const cli_arguments *arguments)
{
    int64_t steps = -1, first = 0;
    int code = cli_option_number(arguments, "steps", 0, INT64_MAX / 2, &steps);
    if (code == CLI_DONE) {
        code = cli_option_number(arguments, "first", 0, INT64_MAX / 2, &first);
    }
    cf_network *network = NULL;
    cf_data *data = NULL;
    if (code == CLI_DONE) {
        code = open_data(arguments, &network, &data);
    }
    if (code == CLI_DONE) {
        code = print_batches(data, first, steps < 0 ? cf_data_steps_per_epoch(data) : steps,
                             cli_option_get(arguments, "json") != NULL);
    }
    cf_data_free(data);
    cf_network_free(network);
    return code;
}
