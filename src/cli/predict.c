#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/model.h"

#define ROWS_SHOWN 10
#define BAR_WIDTH 30

const cli_option cli_predict_options[] = {
    {"run", "FOLDER", "a run folder or a .safetensors file (default: the newest run of this network)", 0},
    {"running", NULL, "ask the running cluster (of --run, or the newest) instead of a checkpoint", 0},
    {"threads", "N", "use N threads", 0},
    {"json", NULL, "print one JSON object", 0},
    {NULL, NULL, NULL, 0},
};

typedef struct input_sample {
    float *values;
    int64_t count;
    int64_t label; /* -1: not known */
} input_sample;

/* "test:17": a part of the network's own data set and an index into it. */
static bool parse_reference(const char *text, cf_data_part *part_out, int64_t *index_out)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL || colon[1] < '0' || colon[1] > '9' || !cli_part_parse(text, (size_t)(colon - text), part_out)) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    *index_out = strtoll(colon + 1, &end, 10);
    return *end == '\0' && errno == 0;
}

static int read_sample(const cf_network *network, const char *input, input_sample *sample)
{
    cf_data_part part = CF_DATA_TEST;
    int64_t index = 0, shape[3];
    cf_error error = {0};
    cf_status status = CF_OK;
    cf_data *data = NULL;
    cf_network_input_shape(network, shape);
    sample->count = cf_network_input_features(network);
    if (parse_reference(input, &part, &index)) {
        status = cf_data_open(network, &data, &error);
        if (status == CF_OK) {
            sample->count = cf_network_input_features(network);
            sample->values = cli_calloc((size_t)sample->count, sizeof sample->values[0]);
            status = cf_data_sample(data, part, index, sample->values, &sample->label, &error);
        }
        cf_data_free(data);
    } else {
        sample->values = cli_calloc((size_t)sample->count, sizeof sample->values[0]);
        status = cf_data_read_input(input, shape[1], shape[2], sample->values, sample->count, &error);
    }
    if (status == CF_OK) {
        return CLI_DONE;
    }
    cli_fail(status, &error);
    return status == CF_E_MEMORY ? CLI_FAILED : CLI_WRONG; /* the INPUT is part of the command line */
}

/* One output is the probability (or value) of class 1. */
static int64_t class_of(const float *outputs, int64_t count)
{
    if (count == 1) {
        return outputs[0] > 0.5f ? 1 : 0;
    }
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++) {
        best = outputs[i] > outputs[best] ? i : best;
    }
    return best;
}

static int print_json(const char *input, const cli_oracle *oracle, const input_sample *sample, const float *outputs,
                      int64_t count)
{
    const int64_t class_index = class_of(outputs, count);
    const bool mse = strcmp(cf_network_loss(oracle->network), "mse") == 0;
    json_t *values = json_array();
    for (int64_t i = 0; i < count; i++) {
        json_array_append_new(values, cli_json_number((double)outputs[i]));
    }
    json_t *object = json_pack("{s:s, s:I, s:s, s:o}", "input", input, "index", (json_int_t)class_index, "class",
                               cli_class_name(oracle, class_index), mse ? "outputs" : "probabilities", values);
    if (object != NULL && sample->label >= 0) {
        json_object_set_new(object, "label", json_string(cli_class_name(oracle, sample->label)));
    }
    return cli_json_print(object);
}

static void print_row(const cli_terminal *terminal, const cli_oracle *oracle, int64_t index, float value, bool is_best)
{
    const int length = (int)(value * (float)BAR_WIDTH + 0.5f);
    printf("%s%12s  %8.4f  ", is_best ? cli_style_code(terminal, CLI_GREEN) : "", cli_class_name(oracle, index),
           (double)value);
    for (int i = 0; i < length && i < BAR_WIDTH; i++) {
        fputs(terminal->utf8 ? "\u2588" : "#", stdout);
    }
    printf("%s\n", is_best ? cli_style_code(terminal, CLI_PLAIN) : "");
}

/* The classes from likely to unlikely; a selection sort, for only the first few are wanted. */
static void print_outputs(const cli_oracle *oracle, const input_sample *sample, const float *outputs, int64_t count)
{
    const cli_terminal terminal = cli_terminal_of(stdout);
    const int64_t best = class_of(outputs, count);
    printf("class %s%s%s", cli_style_code(&terminal, CLI_BOLD), cli_class_name(oracle, best),
           cli_style_code(&terminal, CLI_PLAIN));
    if (sample->label == best) {
        printf(" (right)");
    } else if (sample->label >= 0) {
        printf(" (wrong: the label is %s)", cli_class_name(oracle, sample->label));
    }
    printf("\n");
    if (count == 1) {
        print_row(&terminal, oracle, 1, outputs[0], best == 1);
        return;
    }
    bool *shown = cli_calloc((size_t)count, sizeof shown[0]);
    for (int64_t row = 0; row < count && row < ROWS_SHOWN; row++) {
        int64_t next = -1;
        for (int64_t i = 0; i < count; i++) {
            next = !shown[i] && (next < 0 || outputs[i] > outputs[next]) ? i : next;
        }
        shown[next] = true;
        print_row(&terminal, oracle, next, outputs[next], next == best);
    }
    cli_free(shown);
}

static cf_status ask(const cli_oracle *oracle, const float *values, float *outputs, cf_error *error)
{
    return oracle->model != NULL ? cf_model_predict(oracle->model, values, 1, outputs, error)
                                 : cf_cluster_predict(oracle->cluster, values, 1, outputs, error);
}

static int predict(const cli_arguments *arguments, const cli_oracle *oracle)
{
    const char *input = arguments->operands[0];
    input_sample sample = {.label = -1};
    int code = read_sample(oracle->network, input, &sample);
    const int64_t count = cf_network_output_features(oracle->network);
    float *outputs = cli_calloc((size_t)count, sizeof outputs[0]);
    if (code == CLI_DONE) {
        cf_error error = {0};
        const cf_status status = ask(oracle, sample.values, outputs, &error);
        code = status == CF_OK ? CLI_DONE : cli_fail(status, &error);
    }
    if (code == CLI_DONE && cli_option_get(arguments, "json") != NULL) {
        code = print_json(input, oracle, &sample, outputs, count);
    } else if (code == CLI_DONE) {
        print_outputs(oracle, &sample, outputs, count);
    }
    cli_free(outputs);
    cli_free(sample.values);
    return code;
}

int cli_predict(const cli_arguments *arguments)
{
    return cli_with_model(arguments, predict);
}
