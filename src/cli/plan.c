#include <inttypes.h>

#include "cli/cli.h"
#include "cli/json.h"

const cli_option cli_plan_options[] = {
    {"json", NULL, "print one JSON object", 0},
    {"threads", "N", "plan for N threads", 0},
    {NULL, NULL, NULL, 0},
};

static void format_shape(char *text, const int64_t shape[3])
{
    if (shape[1] == 1 && shape[2] == 1) {
        snprintf(text, CLI_NUMBER_SIZE, "%" PRId64, shape[0]);
    } else {
        snprintf(text, CLI_NUMBER_SIZE, "%" PRId64 "x%" PRId64 "x%" PRId64, shape[0], shape[1], shape[2]);
    }
}

static void print_layers(const cf_plan *plan, const cf_plan_summary *summary, const cli_terminal *terminal)
{
    static const char *const headings[] = {"layer", "kind", "activation", "input", "output", "parameters",
                                           "FLOPs/sample", "grain"};
    char first[CLI_NUMBER_SIZE], second[CLI_NUMBER_SIZE];
    cli_table *table = cli_table_new("lllrrrrr");
    for (size_t i = 0; i < sizeof headings / sizeof headings[0]; i++) {
        cli_table_cell(table, "%s", headings[i]);
    }
    for (int64_t i = 0; i < summary->layer_count; i++) {
        const cf_plan_layer layer = cf_plan_get_layer(plan, (size_t)i);
        cli_table_cell(table, "%s", layer.name);
        cli_table_cell(table, "%s", layer.kind);
        cli_table_cell(table, "%s", layer.activation);
        format_shape(first, layer.input);
        format_shape(second, layer.output);
        cli_table_cell(table, "%s", first);
        cli_table_cell(table, "%s", second);
        cli_table_cell(table, "%s", layer.parameters > 0 ? cli_number_grouped(first, layer.parameters) : "");
        cli_table_cell(table, "%s", cli_number_grouped(second, layer.forward_flops));
        if (layer.parameters > 0) {
            cli_table_cell(table, "%" PRId64, layer.grain);
        } else {
            cli_table_cell(table, "%s", "");
        }
    }
    cli_table_rule(table);
    cli_table_cell(table, "all");
    for (int i = 0; i < 4; i++) {
        cli_table_cell(table, "%s", "");
    }
    cli_table_cell(table, "%s", cli_number_grouped(first, summary->parameters));
    cli_table_cell(table, "%s", cli_number_grouped(second, summary->forward_flops));
    cli_table_cell(table, "%s", "");
    cli_table_print(table, terminal);
    cli_table_free(table);
}

static void print_summary(const cf_plan_summary *summary)
{
    char a[CLI_NUMBER_SIZE], b[CLI_NUMBER_SIZE], c[CLI_NUMBER_SIZE], d[CLI_NUMBER_SIZE], e[CLI_NUMBER_SIZE];
    const bool has_data = summary->steps_per_epoch > 0;
    printf("\ntraining step   %s FLOPs/sample, batch %" PRId64 ", %s steps/epoch\n",
           cli_number_grouped(a, summary->training_flops), summary->batch,
           has_data ? cli_number_grouped(b, summary->steps_per_epoch) : "?");
    printf("memory          %s: weights %s, optimizer %s, activations %s, data %s\n",
           cli_number_bytes(a, summary->memory_bytes), cli_number_bytes(b, summary->weight_bytes),
           cli_number_bytes(c, summary->optimizer_bytes), cli_number_bytes(d, summary->activation_bytes),
           has_data ? cli_number_bytes(e, summary->data_bytes) : "? (its files are not here)");
    printf("this machine    %.1f GFLOP/s measured (%s, %d thread%s)\n", summary->measured_gflops, summary->kernels,
           summary->threads, summary->threads == 1 ? "" : "s");
    printf("predicted       %s/step, %s samples/s", cli_number_seconds(a, summary->predicted_step_seconds),
           cli_number_short(b, summary->predicted_samples_per_second));
    if (has_data) {
        printf(", %s/epoch", cli_number_seconds(c, summary->predicted_step_seconds * (double)summary->steps_per_epoch));
    }
    printf("\n");
}

static json_t *shape_json(const int64_t shape[3])
{
    return json_pack("[I,I,I]", (json_int_t)shape[0], (json_int_t)shape[1], (json_int_t)shape[2]);
}

static json_t *plan_json(const cf_network *network, const cf_plan *plan, const cf_plan_summary *summary)
{
    json_t *layers = json_array();
    for (int64_t i = 0; i < summary->layer_count; i++) {
        const cf_plan_layer layer = cf_plan_get_layer(plan, (size_t)i);
        json_array_append_new(
            layers, json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:I}", "name", layer.name, "kind", layer.kind,
                              "activation", layer.activation, "input", shape_json(layer.input), "output",
                              shape_json(layer.output), "parameters", (json_int_t)layer.parameters, "forward_flops",
                              (json_int_t)layer.forward_flops, "grain", (json_int_t)layer.grain));
    }
    return json_pack("{s:s, s:o, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I, s:I}, s:I, s:I, s:f, s:f, s:f, s:s, s:i}",
                     "name", cf_network_name(network), "layers", layers, "parameters",
                     (json_int_t)summary->parameters, "forward_flops", (json_int_t)summary->forward_flops,
                     "training_flops", (json_int_t)summary->training_flops, "memory", "total",
                     (json_int_t)summary->memory_bytes, "weights", (json_int_t)summary->weight_bytes, "optimizer",
                     (json_int_t)summary->optimizer_bytes, "activations", (json_int_t)summary->activation_bytes,
                     "data", (json_int_t)summary->data_bytes, "steps_per_epoch",
                     (json_int_t)summary->steps_per_epoch, "batch", (json_int_t)summary->batch, "measured_gflops",
                     summary->measured_gflops, "predicted_step_seconds", summary->predicted_step_seconds,
                     "predicted_samples_per_second", summary->predicted_samples_per_second, "kernels",
                     summary->kernels, "threads", summary->threads);
}

int cli_plan(const cli_arguments *arguments)
{
    int64_t threads = 0;
    cf_network *network = NULL;
    int code = cli_option_number(arguments, "threads", 1, 256, &threads);
    if (code == CLI_DONE) {
        code = cli_network_load(arguments, true, stderr, &network);
    }
    if (code != CLI_DONE) {
        return code;
    }
    cf_plan *plan = NULL;
    cf_error error = {0};
    const cf_status status = cf_plan_new(network, (int)threads, &plan, &error);
    if (status != CF_OK) {
        cf_network_free(network);
        return cli_fail(status, &error);
    }
    const cf_plan_summary summary = cf_plan_get_summary(plan);
    if (cli_option_get(arguments, "json") != NULL) {
        code = cli_json_print(plan_json(network, plan, &summary));
    } else {
        const cli_terminal terminal = cli_terminal_of(stdout);
        print_layers(plan, &summary, &terminal);
        print_summary(&summary);
    }
    cf_plan_free(plan);
    cf_network_free(network);
    return code;
}
