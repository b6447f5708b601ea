#include <inttypes.h>

#include "cli/cli.h"

const cli_option cli_check_options[] = {
    {"print", NULL, "print the whole file with every default written out", 0},
    {NULL, NULL, NULL, 0},
};

int cli_check(const cli_arguments *arguments)
{
    cf_network *network = NULL;
    const int code = cli_network_load(arguments, true, stdout, &network);
    if (code != CLI_DONE) {
        return code;
    }
    if (cli_option_get(arguments, "print") != NULL) {
        fputs(cf_network_resolved_yaml(network), stdout);
    } else {
        const cli_terminal terminal = cli_terminal_of(stdout);
        char parameters[CLI_NUMBER_SIZE], inputs[CLI_NUMBER_SIZE], outputs[CLI_NUMBER_SIZE];
        printf("%s: %sok%s: %s, %s inputs, %s outputs, %s parameters\n", arguments->files[0],
               cli_style_code(&terminal, CLI_GREEN), cli_style_code(&terminal, CLI_PLAIN), cf_network_name(network),
               cli_number_grouped(inputs, cf_network_input_features(network)),
               cli_number_grouped(outputs, cf_network_output_features(network)),
               cli_number_grouped(parameters, cf_network_parameter_count(network)));
    }
    cf_network_free(network);
    return CLI_DONE;
}
