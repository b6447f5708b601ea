#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define SOURCE_LINE_MAX 240 /* bytes of a line that are shown under a mistake */

void cli_complain(const char *format, ...)
{
    const cli_terminal terminal = cli_terminal_of(stderr);
    fprintf(stderr, "%scuttlefish:%s ", cli_style_code(&terminal, CLI_RED), cli_style_code(&terminal, CLI_PLAIN));
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
}

static int exit_code_of(cf_status status)
{
    switch (status) {
    case CF_OK:
        return CLI_DONE;
    case CF_E_USAGE:
    case CF_E_CONFIG:
    case CF_E_SHAPE:
    case CF_E_EXISTS:
    case CF_E_UNSUPPORTED:
        return CLI_WRONG;
    case CF_E_MEMORY:
    case CF_E_NOT_FOUND:
    case CF_E_IO:
    case CF_E_DATA:
    case CF_E_LIMIT:
    case CF_E_CANCELLED:
    case CF_E_NUMERIC:
    case CF_E_INTERNAL:
        return CLI_FAILED;
    }
    return CLI_FAILED;
}

int cli_fail(cf_status status, const cf_error *error)
{
    cli_complain("%s", error->text[0] != '\0' ? error->text : cf_status_text(status));
    return exit_code_of(status);
}

/* Reads line `number` (from 1) of a file into `line`, cut at its room; false when there is none. */
static bool read_line(const char *path, int number, char *line, size_t room)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    int current = 1;
    size_t length = 0;
    int byte = 0;
    while (current <= number && (byte = fgetc(file)) != EOF) {
        if (byte == '\n') {
            current++;
        } else if (current == number && length + 1 < room && byte != '\r') {
            /* A control character could move the cursor or change colours: shown as a blank, as a tab is. */
            line[length++] = (char)(byte < ' ' || byte == 127 ? ' ' : byte);
        }
    }
    line[length] = '\0';
    fclose(file);
    return length > 0;
}

/* The line and a caret below the column, which counts characters, not bytes. */
static void print_source(FILE *stream, const cli_terminal *terminal, const cf_problem *problem)
{
    char line[SOURCE_LINE_MAX];
    if (problem->line <= 0 || !read_line(problem->file, problem->line, line, sizeof line)) {
        return;
    }
    const int column = problem->column > 0 ? problem->column : 1;
    if (column > cli_text_width(line) + 1) {
        return;
    }
    fprintf(stream, "    %s\n    %*s%s^%s\n", line, column - 1, "", cli_style_code(terminal, CLI_GREEN),
            cli_style_code(terminal, CLI_PLAIN));
}

void cli_problems_print(FILE *stream, const cf_problems *problems)
{
    const cli_terminal terminal = cli_terminal_of(stream);
    const char *plain = cli_style_code(&terminal, CLI_PLAIN);
    const size_t count = cf_problems_count(problems);
    for (size_t i = 0; i < count; i++) {
        const cf_problem problem = cf_problems_get(problems, i);
        fputs(cli_style_code(&terminal, CLI_BOLD), stream);
        if (problem.line > 0) {
            fprintf(stream, "%s:%d:%d: ", problem.file, problem.line, problem.column);
        } else {
            fprintf(stream, "%s: ", problem.file);
        }
        fputs(plain, stream);
        if (problem.path[0] != '\0') {
            fprintf(stream, "%s%s%s: ", cli_style_code(&terminal, CLI_CYAN), problem.path, plain);
        }
        fprintf(stream, "%s%s%s\n", cli_style_code(&terminal, CLI_RED), problem.text, plain);
        print_source(stream, &terminal, &problem);
    }
    fprintf(stream, "%s%zu problem%s%s\n", cli_style_code(&terminal, CLI_BOLD), count, count == 1 ? "" : "s", plain);
}

int cli_network_load(const cli_arguments *arguments, bool check_data, FILE *stream, cf_network **network_out)
{
    const cf_load_options options = {
        .files = arguments->files, .file_count = (size_t)arguments->file_count,
        .sets = (const char *const *)arguments->sets, .set_count = (size_t)arguments->set_count,
        .check_data = check_data ? 1 : 0,
    };
    cf_problems *problems = NULL;
    cf_error error = {0};
    const cf_status status = cf_network_load(&options, network_out, &problems, &error);
    if (status == CF_OK) {
        return CLI_DONE;
    }
    if (cf_problems_count(problems) > 0) {
        cli_problems_print(stream, problems);
    } else {
        cli_fail(status, &error);
    }
    cf_problems_free(problems);
    return status == CF_E_MEMORY ? CLI_FAILED : CLI_WRONG; /* a file that is not there is a wrong command line */
}
