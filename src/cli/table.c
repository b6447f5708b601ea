#include <stdarg.h>
#include <string.h>

#include "cli/cli.h"

#define COLUMN_MAX 40
#define RULES_MAX 8

struct cli_table {
    char align[COLUMN_MAX + 1];
    int column_count;
    char **cells;       /* row-major, owned */
    size_t cell_count, cell_room;
    size_t rules[RULES_MAX]; /* rows that have a line before them */
    int rule_count;
};

cli_table *cli_table_new(const char *align)
{
    cli_table *table = cli_calloc(1, sizeof *table);
    snprintf(table->align, sizeof table->align, "%s", align);
    table->column_count = (int)strlen(table->align);
    return table;
}

void cli_table_cell(cli_table *table, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (table->cell_count == table->cell_room) {
        table->cell_room = table->cell_room * 2 + 64;
        table->cells = cli_grow(table->cells, table->cell_room, sizeof table->cells[0]);
    }
    table->cells[table->cell_count++] = cli_format("%s", text);
}

void cli_table_rule(cli_table *table)
{
    if (table->rule_count < RULES_MAX) {
        table->rules[table->rule_count++] = table->cell_count / (size_t)table->column_count;
    }
}

static void print_rule(const cli_terminal *terminal, const int *widths, int columns, const char *left,
                       const char *middle, const char *right)
{
    const char *bar = terminal->utf8 ? "\u2500" : "-";
    fprintf(terminal->stream, "%s%s", cli_style_code(terminal, CLI_FAINT), left);
    for (int column = 0; column < columns; column++) {
        for (int i = 0; i < widths[column] + 2; i++) {
            fputs(bar, terminal->stream);
        }
        fputs(column + 1 < columns ? middle : right, terminal->stream);
    }
    fprintf(terminal->stream, "%s\n", cli_style_code(terminal, CLI_PLAIN));
}

static void print_inner_rule(const cli_terminal *terminal, const int *widths, int columns)
{
    if (terminal->utf8) {
        print_rule(terminal, widths, columns, "\u251c", "\u253c", "\u2524");
    } else {
        print_rule(terminal, widths, columns, "", "", "");
    }
}

static void print_row(const cli_table *table, const cli_terminal *terminal, const int *widths, size_t row)
{
    FILE *stream = terminal->stream;
    const char *faint = cli_style_code(terminal, CLI_FAINT), *plain = cli_style_code(terminal, CLI_PLAIN);
    for (int column = 0; column < table->column_count; column++) {
        const char *cell = table->cells[row * (size_t)table->column_count + (size_t)column];
        const int pad = widths[column] - cli_text_width(cell);
        const bool is_last = column + 1 == table->column_count;
        if (terminal->utf8) {
            fprintf(stream, "%s\u2502%s", faint, plain);
        }
        const char *style = row == 0 ? cli_style_code(terminal, CLI_BOLD) : "";
        if (table->align[column] == 'r') {
            fprintf(stream, " %*s%s%s%s ", pad, "", style, cell, row == 0 ? plain : "");
        } else {
            const int trailing = is_last && !terminal->utf8 ? 0 : pad; /* no blanks at a line's end */
            fprintf(stream, " %s%s%s%*s%s", style, cell, row == 0 ? plain : "", trailing, "",
                    is_last && !terminal->utf8 ? "" : " ");
        }
    }
    fprintf(stream, terminal->utf8 ? "%s\u2502%s\n" : "%s%s\n", faint, plain);
}

void cli_table_print(const cli_table *table, const cli_terminal *terminal)
{
    const size_t columns = (size_t)table->column_count;
    const size_t rows = table->cell_count / columns;
    int widths[COLUMN_MAX] = {0};
    for (size_t i = 0; i < rows * columns; i++) {
        const int width = cli_text_width(table->cells[i]);
        widths[i % columns] = width > widths[i % columns] ? width : widths[i % columns];
    }
    if (terminal->utf8) {
        print_rule(terminal, widths, table->column_count, "\u250c", "\u252c", "\u2510");
    }
    for (size_t row = 0; row < rows; row++) {
        bool has_rule = row == 1;
        for (int i = 0; i < table->rule_count; i++) {
            has_rule = has_rule || table->rules[i] == row;
        }
        if (has_rule) {
            print_inner_rule(terminal, widths, table->column_count);
        }
        print_row(table, terminal, widths, row);
    }
    if (terminal->utf8) {
        print_rule(terminal, widths, table->column_count, "\u2514", "\u2534", "\u2518");
    }
}

void cli_table_free(cli_table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        cli_free(table->cells[i]);
    }
    cli_free(table->cells);
    cli_free(table);
}
