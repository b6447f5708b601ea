#include <inttypes.h>
#include <math.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/model.h"

#define CONFUSION_SHOWN_MAX 30   /* a larger matrix does not fit a terminal; --json has it whole */
#define CONFUSION_CLASSES_MAX 2000 /* beyond, the matrix itself is too large: accuracy alone */

const cli_option cli_evaluate_options[] = {
    {"part", "PART", "train, validation or test (default: test, or validation where there is no test set)", 0},
    {"run", "FOLDER", "a run folder or a .safetensors file (default: the newest run of this network)", 0},
    {"running", NULL, "ask the running cluster (of --run, or the newest) instead of a checkpoint; gives no loss", 0},
    {"threads", "N", "use N threads", 0},
    {"json", NULL, "print one JSON object", 0},
    {NULL, NULL, NULL, 0},
};

typedef struct evaluation {
    const cli_oracle *oracle;
    cf_data_part part;
    double loss, accuracy;
    int64_t count, classes;
    int64_t *confusion; /* (classes, classes): row = true, column = predicted */
} evaluation;

static int64_t row_sum(const evaluation *result, int64_t row)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < result->classes; i++) {
        sum += result->confusion[row * result->classes + i];
    }
    return sum;
}

static int64_t column_sum(const evaluation *result, int64_t column)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < result->classes; i++) {
        sum += result->confusion[i * result->classes + column];
    }
    return sum;
}

static double share(int64_t part, int64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : NAN;
}

static double precision_of(const evaluation *result, int64_t class_index)
{
    return share(result->confusion[class_index * result->classes + class_index], column_sum(result, class_index));
}

static double recall_of(const evaluation *result, int64_t class_index)
{
    return share(result->confusion[class_index * result->classes + class_index], row_sum(result, class_index));
}

/* A cell's shade: green on the diagonal, red off it, stronger with its share of the row. */
static void print_cell(const cli_terminal *terminal, int64_t count, double of_row, bool right, int width)
{
    static const int greens[] = {22, 28, 34, 40}, reds[] = {52, 88, 124, 160};
    if (!terminal->colour || count == 0) {
        printf(" %*" PRId64, width, count);
        return;
    }
    const int step = right ? (of_row > 0.97 ? 3 : of_row > 0.9 ? 2 : of_row > 0.5 ? 1 : 0)
                           : (of_row > 0.1 ? 3 : of_row > 0.03 ? 2 : of_row > 0.01 ? 1 : 0);
    printf(" \x1b[48;5;%dm\x1b[97m%*" PRId64 "\x1b[0m", right ? greens[step] : reds[step], width, count);
}

static void print_confusion(const cli_terminal *terminal, const evaluation *result)
{
    int width = 5, name_width = 4;
    for (int64_t i = 0; i < result->classes; i++) {
        const int length = cli_text_width(cli_class_name(result->oracle, i));
        width = length > width ? length : width;
        name_width = length > name_width ? length : name_width;
    }
    printf("\n%s%*s \\ predicted%s\n%*s", cli_style_code(terminal, CLI_FAINT), name_width, "true",
           cli_style_code(terminal, CLI_PLAIN), name_width, "");
    for (int64_t i = 0; i < result->classes; i++) {
        printf(" %s%*s%s", cli_style_code(terminal, CLI_BOLD), width, cli_class_name(result->oracle, i),
               cli_style_code(terminal, CLI_PLAIN));
    }
    printf("\n");
    for (int64_t row = 0; row < result->classes; row++) {
        const int64_t sum = row_sum(result, row);
        printf("%s%*s%s", cli_style_code(terminal, CLI_BOLD), name_width, cli_class_name(result->oracle, row),
               cli_style_code(terminal, CLI_PLAIN));
        for (int64_t column = 0; column < result->classes; column++) {
            const int64_t count = result->confusion[row * result->classes + column];
            print_cell(terminal, count, share(count, sum), row == column, width);
        }
        printf("\n");
    }
}

static void print_classes(const cli_terminal *terminal, const evaluation *result)
{
    char text[CLI_NUMBER_SIZE];
    cli_table *table = cli_table_new("lrrr");
    cli_table_cell(table, "class");
    cli_table_cell(table, "samples");
    cli_table_cell(table, "precision");
    cli_table_cell(table, "recall");
    for (int64_t i = 0; i < result->classes; i++) {
        cli_table_cell(table, "%s", cli_class_name(result->oracle, i));
        cli_table_cell(table, "%" PRId64, row_sum(result, i));
        cli_table_cell(table, "%s", cli_number_percent(text, precision_of(result, i)));
        cli_table_cell(table, "%s", cli_number_percent(text, recall_of(result, i)));
    }
    printf("\n");
    cli_table_print(table, terminal);
    cli_table_free(table);
}

static void print_evaluation(const evaluation *result)
{
    const cli_terminal terminal = cli_terminal_of(stdout);
    char accuracy[CLI_NUMBER_SIZE], count[CLI_NUMBER_SIZE];
    printf("accuracy %s%s%s on %s %s samples", cli_style_code(&terminal, CLI_BOLD),
           cli_number_percent(accuracy, result->accuracy), cli_style_code(&terminal, CLI_PLAIN),
           cli_number_grouped(count, result->count), cli_part_name(result->part));
    if (!isnan(result->loss)) {
        printf(", loss %.6f", result->loss);
    }
    printf("\n");
    if (result->classes > 0 && result->classes <= CONFUSION_SHOWN_MAX) {
        print_confusion(&terminal, result);
    }
    if (result->classes > 0) {
        print_classes(&terminal, result);
    }
}

static int print_evaluation_json(const evaluation *result)
{
    json_t *classes = json_array(), *confusion = json_array();
    for (int64_t row = 0; row < result->classes; row++) {
        json_array_append_new(classes, json_pack("{s:s, s:I, s:o, s:o}", "name",
                                                 cli_class_name(result->oracle, row), "samples",
                                                 (json_int_t)row_sum(result, row), "precision",
                                                 cli_json_number(precision_of(result, row)), "recall",
                                                 cli_json_number(recall_of(result, row))));
        json_t *counts = json_array();
        for (int64_t column = 0; column < result->classes; column++) {
            json_array_append_new(counts, json_integer(result->confusion[row * result->classes + column]));
        }
        json_array_append_new(confusion, counts);
    }
    return cli_json_print(json_pack("{s:s, s:I, s:o, s:o, s:o, s:o}", "part", cli_part_name(result->part), "samples",
                                    (json_int_t)result->count, "loss", cli_json_number(result->loss), "accuracy",
                                    cli_json_number(result->accuracy), "classes", classes, "confusion", confusion));
}

/* The part to evaluate when none is asked for: the test set, else validation, else training. */
static cf_data_part default_part(const cf_data *data)
{
    if (cf_data_count(data, CF_DATA_TEST) > 0) {
        return CF_DATA_TEST;
    }
    return cf_data_count(data, CF_DATA_VALIDATION) > 0 ? CF_DATA_VALIDATION : CF_DATA_TRAIN;
}

/* A running network answers with probabilities alone: no loss. */
static cf_status ask(const cli_oracle *oracle, evaluation *result, cf_error *error)
{
    int64_t *confusion = result->classes > 0 ? result->confusion : NULL;
    if (oracle->model != NULL) {
        return cf_model_evaluate(oracle->model, result->part, &result->loss, &result->accuracy, &result->count,
                                 confusion, error);
    }
    result->loss = (double)NAN;
    return cf_cluster_evaluate(oracle->cluster, result->part, &result->accuracy, &result->count, confusion, error);
}

static int evaluate(const cli_arguments *arguments, const cli_oracle *oracle)
{
    cf_error error = {0};
    cf_data *data = NULL;
    cf_status status = cf_data_open(oracle->network, &data, &error);
    if (status != CF_OK) {
        return cli_fail(status, &error);
    }
    evaluation result = {.oracle = oracle, .part = default_part(data), .classes = cf_data_classes(data)};
    cf_data_free(data);
    int code = cli_part_option(arguments, &result.part);
    if (code != CLI_DONE) {
        return code;
    }
    result.classes = result.classes <= CONFUSION_CLASSES_MAX ? result.classes : 0;
    result.confusion = cli_calloc((size_t)(result.classes * result.classes), sizeof result.confusion[0]);
    status = ask(oracle, &result, &error);
    if (status != CF_OK) {
        code = cli_fail(status, &error);
    } else if (cli_option_get(arguments, "json") != NULL) {
        code = print_evaluation_json(&result);
    } else {
        print_evaluation(&result);
    }
    cli_free(result.confusion);
    return code;
}

int cli_evaluate(const cli_arguments *arguments)
{
    return cli_with_model(arguments, evaluate);
}
