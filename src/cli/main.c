/* The command: finds the command of the table, takes the line apart, runs it. */
#include <errno.h>
#include <locale.h>
#include <string.h>

#include "cli/cli.h"

static int unknown_command(const char *word, const char *prefix)
{
    const char *names[64];
    int count = 0;
    for (const cli_command *command = cli_commands; command->name != NULL; command++) {
        const bool has_prefix = strncmp(command->name, prefix, strlen(prefix)) == 0;
        if (has_prefix) {
            names[count++] = command->name + strlen(prefix);
        }
    }
    names[count] = NULL;
    const char *nearest = cli_nearest(word, names);
    if (nearest != NULL) {
        cli_complain("unknown command '%s%s' (did you mean '%s%s'?)", prefix, word, prefix, nearest);
    } else {
        cli_complain("unknown command '%s%s' (see: cuttlefish help)", prefix, word);
    }
    return CLI_WRONG;
}

static bool asks_help(int argc, char **argv, int first)
{
    for (int i = first; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static int run_command(const cli_command *command, int argc, char **argv, int first)
{
    if (asks_help(argc, argv, first)) {
        cli_command_help_print(stdout, command);
        return CLI_DONE;
    }
    if (command->run == NULL) {
        cli_complain("%s: not available yet in this version", command->name);
        return CLI_WRONG;
    }
    cli_arguments arguments;
    int code = cli_arguments_parse(command, argc, argv, first, &arguments);
    if (code == CLI_DONE) {
        code = command->run(&arguments);
    }
    cli_arguments_free(&arguments);
    return code;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        cli_help_print(stderr);
        return CLI_WRONG;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        cli_help_print(stdout);
        return CLI_DONE;
    }
    word = strcmp(word, "--version") == 0 ? "version" : word;
    const cli_command *command = cli_command_find(word);
    int first = 2;
    if (command == NULL && strcmp(word, "data") == 0) {
        if (argc < 3 || argv[2][0] == '-') {
            cli_complain("data: needs one of get, show, batches (see: cuttlefish help data)");
            return CLI_WRONG;
        }
        char name[64];
        snprintf(name, sizeof name, "data %s", argv[2]);
        command = cli_command_find(name);
        first = 3;
        if (command == NULL) {
            return unknown_command(argv[2], "data ");
        }
    }
    return command != NULL ? run_command(command, argc, argv, first) : unknown_command(word, "");
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, ""); /* only to know the character set; numbers stay as they are in C */
    int code = run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        cli_complain("writing to standard output failed: %s", strerror(errno));
        code = code == CLI_DONE ? CLI_FAILED : code;
    }
    return code;
}
