#include "cli/cli.h"

const cli_option cli_config_options[] = {
    {"document", NULL, "print the page of all keys (docs/CONFIGURATION.md) instead; needs no FILE", 0},
    {NULL, NULL, NULL, 0},
};

static int print_document(void)
{
    char *text = NULL;
    cf_error error = {0};
    const cf_status status = cf_configuration_document(&text, &error);
    if (status != CF_OK) {
        return cli_fail(status, &error);
    }
    fputs(text, stdout);
    cf_string_free(text);
    return CLI_DONE;
}

int cli_config(const cli_arguments *arguments)
{
    if (cli_option_get(arguments, "document") != NULL) {
        return print_document();
    }
    if (arguments->file_count == 0) {
        cli_complain("config: needs a network file: cuttlefish config FILE");
        return CLI_WRONG;
    }
    cf_network *network = NULL;
    const int code = cli_network_load(arguments, false, stderr, &network);
    if (code == CLI_DONE) {
        fputs(cf_network_resolved_yaml(network), stdout);
    }
    cf_network_free(network);
    return code;
}
