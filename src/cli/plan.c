#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json.h"

const cli_option cli_plan_options[] = {
    {"json", NULL, "print one JSON object", 0},
    {"threads", "N", "plan for N threads", 0},
    {"containers", "N", "cut the network for N containers beside controller and store", 0},
    {"explain", NULL, "say for each container why it is as it is", 0},
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

/* ---- Containers ---- */

/* Whether two containers differ in their names alone, so that one row does for both. */
static bool is_alike(const cf_plan_container *a, const cf_plan_container *b)
{
    const size_t stem = strcspn(a->units, ".");
    return stem == strcspn(b->units, ".") && a->units[stem] == '.' && strncmp(a->units, b->units, stem) == 0 &&
           strchr(a->units, ',') == NULL && strchr(b->units, ',') == NULL && strcmp(a->host, b->host) == 0 &&
           strcmp(a->zone, b->zone) == 0 && a->neurons == b->neurons && a->parameters == b->parameters &&
           a->memory_bytes == b->memory_bytes && a->messages_in == b->messages_in &&
           a->messages_out == b->messages_out && a->bytes_in == b->bytes_in && a->bytes_out == b->bytes_out;
}

static void print_container_row(cli_table *table, const char *name, const cf_plan_container *container)
{
    char text[CLI_NUMBER_SIZE];
    cli_table_cell(table, "%s", name);
    cli_table_cell(table, "%s", container->host[0] != '\0' ? container->host : "any");
    cli_table_cell(table, "%s", cli_number_grouped(text, container->neurons));
    cli_table_cell(table, "%s", cli_number_bytes(text, container->memory_bytes));
    cli_table_cell(table, "%s", cli_number_grouped(text, container->messages_in));
    cli_table_cell(table, "%s", cli_number_grouped(text, container->messages_out));
    cli_table_cell(table, "%s", cli_number_bytes(text, container->bytes_in));
    cli_table_cell(table, "%s", cli_number_bytes(text, container->bytes_out));
    cli_table_cell(table, "%s", cli_number_seconds(text, container->seconds));
}

static void print_containers(const cf_plan *plan, int64_t count, const cli_terminal *terminal)
{
    static const char *const headings[] = {"container", "host", "neurons", "memory", "messages in", "out",
                                           "bytes in", "out", "processor"};
    cli_table *table = cli_table_new("llrrrrrrr");
    for (size_t i = 0; i < sizeof headings / sizeof headings[0]; i++) {
        cli_table_cell(table, "%s", headings[i]);
    }
    for (int64_t i = 0, next = 0; i < count; i = next) {
        const cf_plan_container first = cf_plan_get_container(plan, (size_t)i);
        cf_plan_container last = first;
        for (next = i + 1; next < count; next++) {
            const cf_plan_container other = cf_plan_get_container(plan, (size_t)next);
            if (!is_alike(&first, &other)) {
                break;
            }
            last = other;
        }
        char *name = next - i > 1 ? cli_format("%s .. %s (%" PRId64 ")", first.name, last.name, next - i)
                                  : cli_format("%s", first.name);
        print_container_row(table, name, &first);
        cli_free(name);
    }
    printf("\n");
    cli_table_print(table, terminal);
    cli_table_free(table);
}

static void print_cluster(const cf_plan *plan, const cf_plan_cluster *cluster, bool explain,
                          const cli_terminal *terminal)
{
    char a[CLI_NUMBER_SIZE], b[CLI_NUMBER_SIZE], c[CLI_NUMBER_SIZE];
    print_containers(plan, cluster->container_count, terminal);
    printf("\ncontainers      %s with %s parts, controller and store counted in; memory %s\n",
           cli_number_grouped(a, cluster->container_count), cli_number_grouped(b, cluster->unit_count),
           cli_number_bytes(c, cluster->memory_bytes));
    printf("each step       %s messages, %s; durable every %" PRId64 " steps, window %" PRId64 "\n",
           cli_number_grouped(a, cluster->messages), cli_number_bytes(b, cluster->message_bytes),
           cluster->persist_every, cluster->window);
    printf("predicted       %s/step by the cost model; %s in one container: this cut takes %.2f times as long\n",
           cli_number_seconds(a, cluster->predicted_step_seconds), cli_number_seconds(b, cluster->single_step_seconds),
           cluster->predicted_step_seconds / cluster->single_step_seconds);
    printf("critical path   %s\n", cluster->critical_path);
    for (int64_t i = 0; i < cluster->limit_count; i++) {
        printf("limit           %s\n", cf_plan_get_limit(plan, (size_t)i));
    }
    for (int64_t i = 0; explain && i < cluster->container_count; i++) {
        const cf_plan_container container = cf_plan_get_container(plan, (size_t)i);
        printf("%s%s (%s): %s\n", i == 0 ? "\n" : "", container.name, container.units, container.reason);
    }
}

static json_t *container_json(const cf_plan_container *c)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "name", c->name,
                     "units", c->units, "host", c->host, "zone", c->zone, "reason", c->reason, "cpu", c->cpu,
                     "memory_asked", (json_int_t)c->memory_asked, "memory", (json_int_t)c->memory_bytes, "neurons",
                     (json_int_t)c->neurons, "parameters", (json_int_t)c->parameters, "messages_in",
                     (json_int_t)c->messages_in, "messages_out", (json_int_t)c->messages_out, "bytes_in",
                     (json_int_t)c->bytes_in, "bytes_out", (json_int_t)c->bytes_out, "seconds", c->seconds);
}

static json_t *cluster_json(const cf_plan *plan, const cf_plan_cluster *cluster)
{
    json_t *containers = json_array(), *limits = json_array();
    for (int64_t i = 0; i < cluster->container_count; i++) {
        const cf_plan_container container = cf_plan_get_container(plan, (size_t)i);
        json_array_append_new(containers, container_json(&container));
    }
    for (int64_t i = 0; i < cluster->limit_count; i++) {
        json_array_append_new(limits, json_string(cf_plan_get_limit(plan, (size_t)i)));
    }
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:s}", "containers", containers, "limits",
                     limits, "units", (json_int_t)cluster->unit_count, "memory", (json_int_t)cluster->memory_bytes,
                     "messages", (json_int_t)cluster->messages, "message_bytes", (json_int_t)cluster->message_bytes,
                     "persist_every", (json_int_t)cluster->persist_every, "window", (json_int_t)cluster->window,
                     "predicted_step_seconds", cluster->predicted_step_seconds, "single_step_seconds",
                     cluster->single_step_seconds, "critical_path", cluster->critical_path);
}

/* ---- The whole ---- */

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

/* A network that cannot be cut has no containers, and unless these were asked for that is no failure: `why` says so. */
static cf_status place(cf_plan *plan, const cf_network *network, const cli_arguments *arguments, int64_t containers,
                       cf_error *why, cf_error *error)
{
    const cf_status status = cf_plan_place(plan, network, (int)containers, error);
    if (status == CF_E_UNSUPPORTED && cli_option_get(arguments, "containers") == NULL) {
        *why = *error;
        return CF_OK;
    }
    return status;
}

static int print_plan(const cli_arguments *arguments, const cf_network *network, const cf_plan *plan,
                      const cf_error *why)
{
    const cf_plan_summary summary = cf_plan_get_summary(plan);
    const cf_plan_cluster cluster = cf_plan_get_cluster(plan);
    if (cli_option_get(arguments, "json") != NULL) {
        json_t *object = plan_json(network, plan, &summary);
        json_object_set_new(object, "cluster",
                            cluster.container_count > 0 ? cluster_json(plan, &cluster) : json_null());
        return cli_json_print(object);
    }
    const cli_terminal terminal = cli_terminal_of(stdout);
    print_layers(plan, &summary, &terminal);
    print_summary(&summary);
    if (cluster.container_count > 0) {
        print_cluster(plan, &cluster, cli_option_get(arguments, "explain") != NULL, &terminal);
    } else {
        printf("containers      none: %s\n", why->text);
    }
    return CLI_DONE;
}

int cli_plan(const cli_arguments *arguments)
{
    int64_t threads = 0, containers = 0;
    cf_network *network = NULL;
    int code = cli_option_number(arguments, "threads", 1, 256, &threads);
    if (code == CLI_DONE) {
        code = cli_option_number(arguments, "containers", 1, 100000, &containers);
    }
    if (code == CLI_DONE) {
        code = cli_network_load(arguments, true, stderr, &network);
    }
    if (code != CLI_DONE) {
        return code;
    }
    cf_plan *plan = NULL;
    cf_error error = {0}, why = {0};
    cf_status status = cf_plan_new(network, (int)threads, &plan, &error);
    if (status == CF_OK) {
        status = place(plan, network, arguments, containers, &why, &error);
    }
    code = status == CF_OK ? print_plan(arguments, network, plan, &why) : cli_fail(status, &error);
    cf_plan_free(plan);
    cf_network_free(network);
    return code;
}
