#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

const cli_option cli_file_options[] = {
    {"file", "FILE", "lay another file over the ones before; may be repeated", 'f'},
    {"set", "KEY=VALUE", "override one key, as training.batch=64; may be repeated", 0},
    {"seed", "N", "the same as --set seed=N", 0},
    {NULL, NULL, NULL, 0},
};

static const cli_option *find_in(const cli_option *options, const char *name, size_t length, char letter)
{
    for (const cli_option *option = options; option != NULL && option->name != NULL; option++) {
        const bool same = letter != 0 ? option->letter == letter
                                      : strlen(option->name) == length && strncmp(option->name, name, length) == 0;
        if (same) {
            return option;
        }
    }
    return NULL;
}

static const cli_option *find_option(const cli_command *command, const char *name, size_t length, char letter)
{
    const cli_option *option = find_in(command->options, name, length, letter);
    if (option == NULL && command->takes_file) {
        option = find_in(cli_file_options, name, length, letter);
    }
    return option;
}

/* Edit distance with a row of the matrix; words longer than the row are far from everything. */
static size_t distance(const char *left, const char *right)
{
    size_t row[64];
    const size_t width = strlen(right);
    if (width >= sizeof row / sizeof row[0] || strlen(left) >= sizeof row / sizeof row[0]) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= width; j++) {
        row[j] = j;
    }
    for (size_t i = 0; left[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            const size_t replaced = diagonal + (left[i] != right[j] ? 1 : 0);
            const size_t added = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = replaced < added ? replaced : added;
        }
    }
    return row[width];
}

const char *cli_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 2; /* two mistakes, and one more for every three letters */
    for (; *names != NULL; names++) {
        const size_t found = distance(word, *names);
        if (found < best_distance) {
            best_distance = found;
            best = *names;
        }
    }
    return best;
}

static int unknown_option(const cli_command *command, const char *argument)
{
    const char *names[64];
    int count = 0;
    const cli_option *const tables[] = {command->options, command->takes_file ? cli_file_options : NULL};
    for (size_t table = 0; table < 2; table++) {
        for (const cli_option *option = tables[table]; option != NULL && option->name != NULL; option++) {
            names[count++] = option->name;
        }
    }
    names[count++] = "help";
    names[count] = NULL;
    char word[64];
    snprintf(word, sizeof word, "%s", argument + strspn(argument, "-"));
    word[strcspn(word, "=")] = '\0';
    const char *nearest = cli_nearest(word, names);
    if (nearest != NULL) {
        cli_complain("%s: unknown option '%s' (did you mean '--%s'?)", command->name, argument, nearest);
    } else {
        cli_complain("%s: unknown option '%s' (see: cuttlefish help %s)", command->name, argument, command->name);
    }
    return CLI_WRONG;
}

static void keep_option(cli_arguments *arguments, const cli_option *option, const char *value)
{
    /* A command may have an option of its own under one of these names; then it is not about the file. */
    if (find_in(cli_file_options, option->name, strlen(option->name), 0) != option) {
        arguments->values[arguments->value_count++] = option->name;
        arguments->values[arguments->value_count++] = value;
    } else if (option->letter == 'f') {
        arguments->files[arguments->file_count++] = value;
    } else if (strcmp(option->name, "set") == 0) {
        arguments->sets[arguments->set_count++] = cli_format("%s", value);
    } else {
        arguments->sets[arguments->set_count++] = cli_format("seed=%s", value);
    }
}

/* One argument that starts with '-'. *index moves on when the option takes the next argument as its value. */
static int take_option(cli_arguments *arguments, int argc, char **argv, int *index)
{
    const char *argument = argv[*index];
    const bool is_long = argument[1] == '-';
    const char *name = is_long ? argument + 2 : argument + 1;
    const char *value = is_long ? strchr(name, '=') : (name[1] != '\0' ? name + 1 : NULL);
    const size_t length = value != NULL ? (size_t)(value - name) : strlen(name);
    const cli_option *option = find_option(arguments->command, name, length, is_long ? 0 : name[0]);
    if (option == NULL) {
        return unknown_option(arguments->command, argument);
    }
    if (option->value == NULL) {
        if (value != NULL) {
            cli_complain("%s: option '--%s' takes no value", arguments->command->name, option->name);
            return CLI_WRONG;
        }
        keep_option(arguments, option, "");
        return CLI_DONE;
    }
    if (value != NULL && is_long) {
        value++;
    }
    if (value == NULL) {
        if (*index + 1 >= argc) {
            cli_complain("%s: option '--%s' needs a value: --%s %s", arguments->command->name, option->name,
                         option->name, option->value);
            return CLI_WRONG;
        }
        value = argv[++*index];
    }
    keep_option(arguments, option, value);
    return CLI_DONE;
}

/* FILE is the lowest layer; with -f it may be left out. */
static void take_file_operand(cli_arguments *arguments)
{
    const cli_command *command = arguments->command;
    const bool has_file = arguments->operand_count > 0
                          && (arguments->file_count == 0 || arguments->operand_count == command->operand_max);
    if (!command->takes_file || !has_file) {
        return;
    }
    memmove(arguments->files + 1, arguments->files, (size_t)arguments->file_count * sizeof arguments->files[0]);
    arguments->files[0] = arguments->operands[0];
    arguments->file_count++;
    arguments->operand_count--;
    memmove(arguments->operands, arguments->operands + 1,
            (size_t)arguments->operand_count * sizeof arguments->operands[0]);
}

static int check_operands(const cli_arguments *arguments)
{
    const cli_command *command = arguments->command;
    const int taken = command->takes_file ? 1 : 0;
    if (taken > 0 && arguments->file_count == 0 && command->operand_min > 0) {
        cli_complain("%s: needs a network file: cuttlefish %s %s", command->name, command->name, command->operands);
        return CLI_WRONG;
    }
    if (arguments->operand_count + taken < command->operand_min) {
        cli_complain("%s: too few arguments: cuttlefish %s %s", command->name, command->name, command->operands);
        return CLI_WRONG;
    }
    if (arguments->operand_count + taken > command->operand_max) {
        const int last = command->operand_max - taken;
        cli_complain("%s: unexpected argument '%s': cuttlefish %s %s", command->name, arguments->operands[last],
                     command->name, command->operands);
        return CLI_WRONG;
    }
    return CLI_DONE;
}

int cli_arguments_parse(const cli_command *command, int argc, char **argv, int first, cli_arguments *arguments)
{
    const size_t room = (size_t)argc + 1;
    *arguments = (cli_arguments){.command = command};
    arguments->operands = cli_calloc(room, sizeof arguments->operands[0]);
    arguments->files = cli_calloc(room, sizeof arguments->files[0]);
    arguments->sets = cli_calloc(room, sizeof arguments->sets[0]);
    arguments->values = cli_calloc(2 * room, sizeof arguments->values[0]);
    bool only_operands = false;
    for (int index = first; index < argc; index++) {
        const char *argument = argv[index];
        if (!only_operands && strcmp(argument, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && argument[0] == '-' && argument[1] != '\0') {
            const int code = take_option(arguments, argc, argv, &index);
            if (code != CLI_DONE) {
                return code;
            }
        } else {
            arguments->operands[arguments->operand_count++] = argument;
        }
    }
    take_file_operand(arguments);
    return check_operands(arguments);
}

void cli_arguments_free(cli_arguments *arguments)
{
    for (int i = 0; i < arguments->set_count; i++) {
        cli_free(arguments->sets[i]);
    }
    cli_free(arguments->operands);
    cli_free(arguments->files);
    cli_free(arguments->sets);
    cli_free(arguments->values);
    *arguments = (cli_arguments){.command = arguments->command};
}

const char *cli_option_get(const cli_arguments *arguments, const char *name)
{
    for (int i = arguments->value_count - 2; i >= 0; i -= 2) {
        if (strcmp(arguments->values[i], name) == 0) {
            return arguments->values[i + 1];
        }
    }
    return NULL;
}

int cli_option_number(const cli_arguments *arguments, const char *name, int64_t least, int64_t most,
                      int64_t *value_out)
{
    const char *text = cli_option_get(arguments, name);
    if (text == NULL) {
        return CLI_DONE;
    }
    char *end = NULL;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    const bool starts_well = (text[0] >= '0' && text[0] <= '9') || (text[0] == '-' && text[1] != '\0');
    if (!starts_well || *end != '\0' || errno != 0 || number < least || number > most) {
        cli_complain("%s: --%s: '%s' is not a whole number from %" PRId64 " to %" PRId64, arguments->command->name,
                     name, text, least, most);
        return CLI_WRONG;
    }
    *value_out = number;
    return CLI_DONE;
}
