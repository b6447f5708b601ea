/* status: what runs where, and who waits for whom. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/json.h"

#define LONG_WAIT_SECONDS 1.0
#define FRAME_LINES 8      /* of the screen: header, headings and rules, what is left out */
#define WITHOUT_TERMINAL 100000

const cli_option cli_status_options[] = {
    {"watch", NULL, "redraw once a second, until Ctrl-C", 'w'},
    {"json", NULL, "print everything as one JSON object", 0},
    {"run", "FOLDER", "the run folder (default: the newest of runs/<name>, ... with a cluster)", 0},
    {NULL, NULL, NULL, 0},
};

static json_t *container_json(const cf_container *container)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:o}", "name", container->name,
                     "state", container->state, "text", container->text, "neurons", (json_int_t)container->neurons,
                     "pid", (json_int_t)container->pid, "restarts", (json_int_t)container->restarts, "step",
                     (json_int_t)container->step, "queue", (json_int_t)container->queue, "rss_bytes",
                     (json_int_t)container->rss_bytes, "pss_bytes", (json_int_t)container->pss_bytes, "waiting_for",
                     container->waiting_for, "waiting_kind", container->waiting_kind, "waiting_seconds",
                     cli_json_number(container->waiting_seconds));
}

static int print_json(const cf_network *network, const cf_cluster_status *status)
{
    json_t *containers = json_array();
    for (size_t i = 0; i < status->container_count; i++) {
        json_array_append_new(containers, container_json(&status->containers[i]));
    }
    return cli_json_print(json_pack(
        "{s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:s, s:o, s:o, s:o}", "name", cf_network_name(network), "running",
        status->is_running, "finished", status->is_finished, "plan", (json_int_t)status->plan, "head",
        (json_int_t)status->head, "step", (json_int_t)status->step, "steps", (json_int_t)status->step_count, "epoch",
        (json_int_t)status->epoch, "chain", status->chain, "loss", cli_json_number(status->loss), "accuracy",
        cli_json_number(status->accuracy), "containers", containers));
}

static void print_header(const cli_terminal *terminal, const cf_network *network, const cf_cluster_status *status)
{
    char head[CLI_NUMBER_SIZE], step[CLI_NUMBER_SIZE], end[CLI_NUMBER_SIZE], accuracy[CLI_NUMBER_SIZE];
    const char *state = status->is_finished ? "finished" : status->is_running ? "running" : "stopped";
    fprintf(terminal->stream, "%s%s%s  %s  plan %" PRId64 "  epoch %" PRId64 "/%" PRId64 "\n",
            cli_style_code(terminal, CLI_BOLD), cf_network_name(network), cli_style_code(terminal, CLI_PLAIN), state,
            status->plan, status->epoch, status->epoch_count);
    if (!status->is_running) {
        fprintf(terminal->stream, "nothing runs%s\n", status->is_finished ? "" : "; go on with: cuttlefish up");
        return;
    }
    fprintf(terminal->stream, "step %s of %s  HEAD %s  chain %s\n", cli_number_grouped(step, status->step),
            cli_number_grouped(end, status->step_count), cli_number_grouped(head, status->head),
            status->chain[0] != '\0' ? status->chain : "-");
    if (isfinite(status->loss)) {
        fprintf(terminal->stream, "loss %.6f  accuracy %s\n", status->loss,
                cli_number_percent(accuracy, status->accuracy));
    }
}

/* Not running first, then the longest wait, then by the order of the plan. */
static int by_interest(const void *left, const void *right)
{
    const cf_container *a = left, *b = right;
    const int a_runs = strcmp(a->state, "running") == 0, b_runs = strcmp(b->state, "running") == 0;
    if (a_runs != b_runs) {
        return a_runs - b_runs;
    }
    return (a->waiting_seconds < b->waiting_seconds) - (a->waiting_seconds > b->waiting_seconds);
}

static int lines_of(const cli_terminal *terminal)
{
    struct winsize size = {0};
    const bool is_known = terminal->tty && ioctl(fileno(terminal->stream), TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
    return is_known ? size.ws_row : WITHOUT_TERMINAL;
}

static void add_row(cli_table *table, const cf_container *container)
{
    char bytes[CLI_NUMBER_SIZE];
    cli_table_cell(table, "%s", container->name);
    cli_table_cell(table, "%" PRId64, container->neurons);
    cli_table_cell(table, "%s", container->state);
    if (container->step >= 0) {
        cli_table_cell(table, "%" PRId64, container->step);
    } else {
        cli_table_cell(table, "-");
    }
    cli_table_cell(table, "%" PRId64, container->queue);
    cli_table_cell(table, "%s", cli_number_bytes(bytes, container->rss_bytes));
    cli_table_cell(table, "%" PRId64, container->restarts);
    cli_table_cell(table, "%s", container->waiting_for);
}

static void print_waits(const cli_terminal *terminal, const cf_cluster_status *status, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        const cf_container *container = &status->containers[i];
        if (container->waiting_seconds > LONG_WAIT_SECONDS && !status->is_finished) {
            fprintf(terminal->stream, "%s%s waits for %s: %s of step %" PRId64 ", %.1f s%s\n",
                    cli_style_code(terminal, CLI_YELLOW), container->name, container->waiting_for,
                    container->waiting_kind, container->step, container->waiting_seconds,
                    cli_style_code(terminal, CLI_PLAIN));
        } else if (strcmp(container->state, "running") != 0 && container->text[0] != '\0') {
            fprintf(terminal->stream, "%s%s %s: %s%s\n", cli_style_code(terminal, CLI_RED), container->name,
                    container->state, container->text, cli_style_code(terminal, CLI_PLAIN));
        }
    }
}

static void print_containers(const cli_terminal *terminal, const cf_cluster_status *status)
{
    static const char *const headings[] = {"container", "neurons", "state", "step", "queue", "memory", "restarts",
                                           "waits for"};
    const int room = lines_of(terminal) - FRAME_LINES;
    size_t rows = status->container_count;
    if (room < (int)rows) {
        rows = room > 3 ? (size_t)room : 3;
        qsort(status->containers, status->container_count, sizeof status->containers[0], by_interest);
    }
    rows = rows < status->container_count ? rows : status->container_count;
    cli_table *table = cli_table_new("lrlrrrrl");
    for (size_t i = 0; i < sizeof headings / sizeof headings[0]; i++) {
        cli_table_cell(table, "%s", headings[i]);
    }
    for (size_t i = 0; i < rows; i++) {
        add_row(table, &status->containers[i]);
    }
    cli_table_print(table, terminal);
    cli_table_free(table);
    if (rows < status->container_count) {
        fprintf(terminal->stream, "and %zu more\n", status->container_count - rows);
    }
    print_waits(terminal, status, rows);
}

static int show(const cli_arguments *arguments, const cf_network *network, cf_cluster *cluster, const char *before)
{
    cf_error error = {0};
    cf_cluster_status status;
    const cf_status got = cf_cluster_get_status(cluster, &status, &error);
    int code = got == CF_OK ? CLI_DONE : cli_fail(got, &error);
    if (got != CF_OK) {
        return code;
    }
    if (cli_option_get(arguments, "json") != NULL) {
        code = print_json(network, &status);
    } else {
        const cli_terminal terminal = cli_terminal_of(stdout);
        fputs(before, stdout);
        print_header(&terminal, network, &status);
        if (status.container_count > 0) {
            print_containers(&terminal, &status);
        }
    }
    cf_cluster_status_free(&status);
    fflush(stdout);
    return code;
}

static int watch(const cli_arguments *arguments, const cf_network *network, cf_cluster *cluster)
{
    const struct timespec second = {1, 0};
    const cli_terminal terminal = cli_terminal_of(stdout);
    int code = CLI_DONE;
    cli_signals_catch();
    while (code == CLI_DONE && cli_signal_caught() == 0) {
        code = show(arguments, network, cluster, terminal.tty ? "\x1b[H\x1b[2J" : "");
        if (code == CLI_DONE) {
            nanosleep(&second, NULL);
        }
    }
    return code;
}

int cli_status(const cli_arguments *arguments)
{
    cf_network *network = NULL;
    cf_cluster *cluster = NULL;
    int code = cli_cluster_open(arguments, &network, &cluster);
    if (code == CLI_DONE) {
        code = cli_option_get(arguments, "watch") != NULL ? watch(arguments, network, cluster)
                                                          : show(arguments, network, cluster, "");
    }
    cf_cluster_close(cluster);
    cf_network_free(network);
    return code;
}
