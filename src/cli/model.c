#include "cli/model.h"

static int open_model(const cli_arguments *arguments, const cf_network *network, cf_model **model_out)
{
    int64_t threads = 0;
    const int code = cli_option_number(arguments, "threads", 1, 256, &threads);
    if (code != CLI_DONE) {
        return code;
    }
    cf_error error = {0};
    cf_status status = CF_OK;
    char *found = NULL;
    const char *run = cli_option_get(arguments, "run");
    if (run == NULL) {
        status = cf_model_default_run(network, &found, &error);
        run = found;
    }
    if (status == CF_OK) {
        status = cf_model_open(network, run, (int)threads, model_out, &error);
    }
    cf_string_free(found);
    return status == CF_OK ? CLI_DONE : cli_fail(status, &error);
}

static int open_running(const cli_arguments *arguments, cli_oracle *oracle)
{
    if (cli_option_get(arguments, "threads") != NULL) {
        cli_complain("%s: --threads is for a model that runs here, not with --running", arguments->command->name);
        return CLI_WRONG;
    }
    return cli_cluster_open(arguments, &oracle->network, &oracle->cluster);
}

const char *cli_class_name(const cli_oracle *oracle, int64_t index)
{
    return oracle->model != NULL ? cf_model_class_name(oracle->model, index)
                                 : cf_cluster_class_name(oracle->cluster, index);
}

bool cli_part_parse(const char *text, size_t length, cf_data_part *part_out)
{
    for (int i = 0; i < 3; i++) {
        if (strlen(cli_part_name((cf_data_part)i)) == length
            && strncmp(text, cli_part_name((cf_data_part)i), length) == 0) {
            *part_out = (cf_data_part)i;
            return true;
        }
    }
    return false;
}

const char *cli_part_name(cf_data_part part)
{
    static const char *const names[] = {"train", "validation", "test"};
    return names[part];
}

int cli_part_option(const cli_arguments *arguments, cf_data_part *part_out)
{
    const char *text = cli_option_get(arguments, "part");
    if (text != NULL && !cli_part_parse(text, strlen(text), part_out)) {
        cli_complain("%s: --part: '%s' is not train, validation or test", arguments->command->name, text);
        return CLI_WRONG;
    }
    return CLI_DONE;
}

int cli_with_model(const cli_arguments *arguments, cli_model_work work)
{
    cli_oracle oracle = {.network = NULL};
    int code = CLI_DONE;
    if (cli_option_get(arguments, "running") != NULL) {
        code = open_running(arguments, &oracle);
    } else {
        code = cli_network_load(arguments, false, stderr, &oracle.network);
        code = code == CLI_DONE ? open_model(arguments, oracle.network, &oracle.model) : code;
    }
    if (code == CLI_DONE) {
        code = work(arguments, &oracle);
    }
    cf_model_free(oracle.model);
    cf_cluster_close(oracle.cluster);
    cf_network_free(oracle.network);
    return code;
}
