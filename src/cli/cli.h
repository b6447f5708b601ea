/* The command's shared pieces. Everything about networks comes from cuttlefish.h; this is only about the terminal. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cuttlefish/cuttlefish.h"

#define CLI_DONE 0   /* the work is done */
#define CLI_FAILED 1 /* the work failed */
#define CLI_WRONG 2  /* the command line or the network file is wrong */

#define CLI_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))

/* ---- memory.c: the only place of the command that allocates. Short memory ends the process with CLI_FAILED. ---- */

void *cli_calloc(size_t count, size_t size);              /* zeroed; free with cli_free */
void *cli_grow(void *memory, size_t count, size_t size);  /* as realloc to count*size bytes */
char *cli_format(const char *format, ...) CLI_PRINTF(1, 2); /* the formatted text; free with cli_free */
void cli_free(void *memory);

/* ---- arguments.c: one command line, taken apart by the command's own table ---- */

typedef struct cli_option {
    const char *name;     /* "steps" for --steps */
    const char *value;    /* "N" in the help text; NULL for a flag */
    const char *help;
    char letter;          /* 'f' for -f; 0 for none */
} cli_option;

typedef struct cli_arguments cli_arguments;

typedef struct cli_command {
    const char *name;            /* one or two words: "train", "data show" */
    const char *operands;        /* "FILE INPUT" in the help text; the first is always FILE where `takes_file` */
    const char *summary;         /* one line; NULL: hidden, not for people */
    const char *details;         /* more help, or NULL */
    const cli_option *options;   /* its own; ends with a NULL name; may be NULL */
    bool takes_file;             /* FILE, -f, --set, --seed */
    int operand_min, operand_max; /* FILE counted in */
    int (*run)(const cli_arguments *arguments); /* NULL: not available yet */
} cli_command;

struct cli_arguments {
    const cli_command *command;
    const char **operands;       /* without FILE when the command takes one */
    int operand_count;
    const char **files;          /* FILE and every -f, in the order of layering */
    int file_count;
    char **sets;                 /* every --set, and --seed as one; owned */
    int set_count;
    const char **values;         /* of each option given: name, value, name, value, ... */
    int value_count;             /* entries of `values`, two for each option */
};

extern const cli_option cli_file_options[]; /* -f, --set, --seed: of every command that takes a FILE */

/* Takes apart argv[first..]; CLI_WRONG when the line is wrong, and says so. Free `arguments` in both cases. */
int cli_arguments_parse(const cli_command *command, int argc, char **argv, int first, cli_arguments *arguments);
void cli_arguments_free(cli_arguments *arguments);

/* The last value given for an option, "" for a flag, or NULL when it was not given. */
const char *cli_option_get(const cli_arguments *arguments, const char *name);

/* A whole number option: *value_out keeps what it holds when the option is absent. CLI_WRONG (and says so) when it is
 * no number from `least` to `most`. */
int cli_option_number(const cli_arguments *arguments, const char *name, int64_t least, int64_t most,
                      int64_t *value_out);

/* The nearest of `names` (ends with NULL) for a mistyped `word`, or NULL when none is near. */
const char *cli_nearest(const char *word, const char *const *names);

/* ---- messages.c: what went wrong, on stderr ---- */

/* "cuttlefish: <text>" on stderr. */
void cli_complain(const char *format, ...) CLI_PRINTF(1, 2);

/* Complains about a library error and returns the exit code that it means. */
int cli_fail(cf_status status, const cf_error *error);

/* The mistakes, each as "file:line:column: path: text" with the line itself and a caret; then their number. */
void cli_problems_print(FILE *stream, const cf_problems *problems);

/* Loads the network that the arguments name; on failure prints why to `stream` and returns the exit code. */
int cli_network_load(const cli_arguments *arguments, bool check_data, FILE *stream, cf_network **network_out);

/* ---- terminal.c: what a stream can show ---- */

typedef enum cli_style {
    CLI_PLAIN, CLI_BOLD, CLI_FAINT, CLI_RED, CLI_GREEN, CLI_YELLOW, CLI_CYAN
} cli_style;

typedef struct cli_terminal {
    FILE *stream;
    bool tty;        /* a person may be looking: lines may be redrawn */
    bool colour;     /* tty, NO_COLOR is not set, TERM is not dumb */
    bool truecolour; /* 24-bit colours, as COLORTERM says */
    bool utf8;       /* the locale's character set */
    int width;       /* columns; 100 when it is no terminal */
} cli_terminal;

cli_terminal cli_terminal_of(FILE *stream);
const char *cli_style_code(const cli_terminal *terminal, cli_style style); /* "" without colour */
int cli_text_width(const char *text); /* code points of UTF-8 text */

/* ---- numbers.c: numbers for people. Each writes into `text` (CLI_NUMBER_SIZE bytes) and returns it. ---- */

#define CLI_NUMBER_SIZE 48
char *cli_number_grouped(char *text, int64_t number);  /* 1,234,567 */
char *cli_number_short(char *text, double number);     /* 41.2k, 3.05M */
char *cli_number_bytes(char *text, int64_t bytes);     /* 12.3 MiB */
char *cli_number_seconds(char *text, double seconds);  /* 340 us, 12.3 s, 4m 05s, 2h 03m */
char *cli_number_percent(char *text, double share);    /* 97.81 %; "-" for NaN */

/* ---- table.c: aligned columns; box drawing on UTF-8 locales ---- */

typedef struct cli_table cli_table; /* free with cli_table_free */

/* align: one letter for each column, 'l' or 'r'. */
cli_table *cli_table_new(const char *align);
void cli_table_cell(cli_table *table, const char *format, ...) CLI_PRINTF(2, 3); /* first row: the headings */
void cli_table_rule(cli_table *table); /* a line before the next row */
void cli_table_print(const cli_table *table, const cli_terminal *terminal);
void cli_table_free(cli_table *table);

/* ---- signals.c ---- */

/* From now on the first SIGINT or SIGTERM only makes cli_signal_caught() not 0; the second ends the process. */
void cli_signals_catch(void);
int cli_signal_caught(void); /* the signal's number, or 0 */

/* ---- progress.c: training on stderr ---- */

typedef struct cli_progress cli_progress;
cli_progress *cli_progress_new(bool quiet);
void cli_progress_event(cli_progress *progress, const cf_event *event);
void cli_progress_free(cli_progress *progress); /* leaves the cursor on a fresh line */

/* ---- picture.c ---- */

/* Draws images of one shape side by side, `label` below each: half blocks in grey levels or colours on a terminal, else
 * an ASCII ramp. pixels[i]: (channels, height, width), 0 to 255. */
void cli_pictures_print(const cli_terminal *terminal, const int64_t shape[3], const float *const *pixels,
                        const char *const *labels, int count);

/* ---- train.c: the end of a training, by whichever way ---- */

void cli_result_print(const cf_network *network, const cf_train_result *result);
int cli_result_print_json(const cf_network *network, const cf_train_result *result); /* the exit code */

/* ---- cluster.c ---- */

/* The network and its cluster, as the arguments name them; says why not, and returns the exit code. Free both. */
int cli_cluster_open(const cli_arguments *arguments, cf_network **network_out, cf_cluster **cluster_out);

/* ---- the commands ---- */

extern const cli_command cli_commands[]; /* ends with a NULL name */
const cli_command *cli_command_find(const char *name);
void cli_help_print(FILE *stream);
void cli_command_help_print(FILE *stream, const cli_command *command);

int cli_check(const cli_arguments *arguments);
int cli_config(const cli_arguments *arguments);
int cli_plan(const cli_arguments *arguments);
int cli_train(const cli_arguments *arguments);
int cli_predict(const cli_arguments *arguments);
int cli_evaluate(const cli_arguments *arguments);
int cli_data_get(const cli_arguments *arguments);
int cli_data_show(const cli_arguments *arguments);
int cli_data_batches(const cli_arguments *arguments);
int cli_up(const cli_arguments *arguments);
int cli_status(const cli_arguments *arguments);
int cli_logs(const cli_arguments *arguments);
int cli_scale(const cli_arguments *arguments);
int cli_down(const cli_arguments *arguments);
int cli_chaos(const cli_arguments *arguments);
int cli_supervise(const cli_arguments *arguments);
int cli_simulate(const cli_arguments *arguments);
int cli_version(const cli_arguments *arguments);
int cli_help(const cli_arguments *arguments);

extern const cli_option cli_check_options[], cli_config_options[], cli_plan_options[], cli_train_options[];
extern const cli_option cli_up_options[], cli_status_options[], cli_logs_options[], cli_scale_options[];
extern const cli_option cli_down_options[], cli_chaos_options[];
extern const cli_option cli_predict_options[], cli_evaluate_options[];
extern const cli_option cli_simulate_options[];
extern const cli_option cli_data_get_options[], cli_data_show_options[], cli_data_batches_options[];

#endif
