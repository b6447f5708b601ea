#include <string.h>

#include "cli/cli.h"

void cli_help_print(FILE *stream)
{
    fputs("Cuttlefish: networks from one YAML file, trained to the same bits everywhere.\n\n"
          "usage: cuttlefish COMMAND [FILE] [OPTIONS]\n\n",
          stream);
    for (const cli_command *command = cli_commands; command->name != NULL; command++) {
        if (command->run != NULL && command->summary != NULL) {
            char usage[64];
            snprintf(usage, sizeof usage, "%s %s", command->name, command->operands);
            fprintf(stream, "  %-21s %s\n", usage, command->summary);
        }
    }
    fputs("\nNot available yet in this version:", stream);
    for (const cli_command *command = cli_commands; command->name != NULL; command++) {
        if (command->run == NULL) {
            fprintf(stream, " %s", command->name);
        }
    }
    fputs("\n\nEvery command that takes a FILE also takes -f FILE (layers), --set KEY=VALUE and --seed N.\n"
          "Exit codes: 0 done, 1 the work failed, 2 the command line or the file is wrong.\n"
          "Environment: CUTTLEFISH_THREADS, CUTTLEFISH_KERNELS (scalar, avx2, avx512, neon), CUTTLEFISH_DATA,\n"
          "NO_COLOR.\n",
          stream);
}

static void print_options(FILE *stream, const cli_option *options)
{
    for (const cli_option *option = options; option != NULL && option->name != NULL; option++) {
        char usage[64];
        snprintf(usage, sizeof usage, "%c%c%s--%s%s%s", option->letter != 0 ? '-' : ' ',
                 option->letter != 0 ? option->letter : ' ', option->letter != 0 ? ", " : "  ", option->name,
                 option->value != NULL ? " " : "", option->value != NULL ? option->value : "");
        fprintf(stream, "  %-22s %s\n", usage, option->help);
    }
}

void cli_command_help_print(FILE *stream, const cli_command *command)
{
    fprintf(stream, "usage: cuttlefish %s%s%s [OPTIONS]\n\n%s\n", command->name,
            command->operands[0] != '\0' ? " " : "", command->operands,
            command->summary != NULL ? command->summary : "for the command's own use");
    if (command->run == NULL) {
        fputs("\nNot available yet in this version.\n", stream);
        return;
    }
    if (command->details != NULL) {
        fprintf(stream, "%s\n", command->details);
    }
    fputs("\n", stream);
    print_options(stream, command->options);
    if (command->takes_file) {
        print_options(stream, cli_file_options);
    }
}

int cli_help(const cli_arguments *arguments)
{
    if (arguments->operand_count == 0) {
        cli_help_print(stdout);
        return CLI_DONE;
    }
    char name[64];
    const bool two = arguments->operand_count == 2;
    snprintf(name, sizeof name, "%s%s%s", arguments->operands[0], two ? " " : "", two ? arguments->operands[1] : "");
    const cli_command *command = cli_command_find(name);
    if (command == NULL && strcmp(name, "data") == 0) {
        cli_command_help_print(stdout, cli_command_find("data get"));
        fputs("\n", stdout);
        cli_command_help_print(stdout, cli_command_find("data show"));
        fputs("\n", stdout);
        command = cli_command_find("data batches");
    }
    if (command == NULL) {
        cli_complain("help: unknown command '%s'", name);
        return CLI_WRONG;
    }
    cli_command_help_print(stdout, command);
    return CLI_DONE;
}
