#include <inttypes.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/json.h"

#define LINE_EVERY_SECONDS 0.2
#define PLAIN_EVERY_SECONDS 10.0

const cli_option cli_simulate_options[] = {
    {"seeds", "N", "how many seeds (default 100; 1 with --seed)", 0},
    {"seed", "S", "begin with this seed (default 1)", 0},
    {"steps", "N", "training steps of each run (default 30)", 0},
    {"containers", "N", "cut into so many containers (default: another number for each seed)", 0},
    {"trace", NULL, "print every event of one seed", 0},
    {"json", NULL, "print one JSON object", 0},
    {NULL, NULL, NULL, 0},
};

typedef struct watcher {
    cli_terminal terminal;
    bool is_quiet, line_is_open;
    double started, last;
} watcher;

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int show_progress(void *user, const cf_simulate_event *event)
{
    watcher *watch = user;
    const double now = now_seconds();
    const double every = watch->terminal.tty ? LINE_EVERY_SECONDS : PLAIN_EVERY_SECONDS;
    if (!watch->is_quiet && now - watch->last >= every) {
        char left[CLI_NUMBER_SIZE], faults[CLI_NUMBER_SIZE];
        const double each = (now - watch->started) / (double)event->done;
        fprintf(stderr, "%sseed %" PRId64 "/%" PRId64 "  %s faults  %" PRId64 " failed  %.1f ms/seed  ETA %s%s",
                watch->terminal.tty ? "\r" : "", event->done, event->seeds,
                cli_number_grouped(faults, event->faults), event->failures, each * 1000.0,
                cli_number_seconds(left, each * (double)(event->seeds - event->done)),
                watch->terminal.tty ? "\x1b[K" : "\n");
        fflush(stderr);
        watch->line_is_open = watch->terminal.tty;
        watch->last = now;
    }
    return cli_signal_caught();
}

static void show_line(void *user, const char *line)
{
    (void)user;
    puts(line);
}

static void print_faults(const cf_simulate_result *result, const cli_terminal *terminal)
{
    char number[CLI_NUMBER_SIZE];
    cli_table *table = cli_table_new("lr");
    cli_table_cell(table, "fault");
    cli_table_cell(table, "injected");
    int64_t all = 0;
    for (int f = 0; cf_simulate_fault_name(f) != NULL; f++) {
        cli_table_cell(table, "%s", cf_simulate_fault_name(f));
        cli_table_cell(table, "%s", cli_number_grouped(number, result->faults[f]));
        all += result->faults[f];
    }
    cli_table_rule(table);
    cli_table_cell(table, "all");
    cli_table_cell(table, "%s", cli_number_grouped(number, all));
    cli_table_print(table, terminal);
    cli_table_free(table);
}

static void print_result(const cf_simulate_result *result, const char *file)
{
    char steps[CLI_NUMBER_SIZE], events[CLI_NUMBER_SIZE], time[CLI_NUMBER_SIZE];
    const cli_terminal terminal = cli_terminal_of(stdout);
    print_faults(result, &terminal);
    printf("\n%" PRId64 " seed%s, %s steps, %s events, %s of virtual time\n", result->seeds,
           result->seeds == 1 ? "" : "s", cli_number_grouped(steps, result->steps),
           cli_number_grouped(events, result->events), cli_number_seconds(time, result->virtual_seconds));
    if (result->failures == 0) {
        printf("chain %s in every run: %s0 violations%s\n", result->chain, cli_style_code(&terminal, CLI_GREEN),
               cli_style_code(&terminal, CLI_PLAIN));
        return;
    }
    printf("%s%" PRId64 " seed%s failed%s; the first is %" PRId64 ", which broke O%d %s\n",
           cli_style_code(&terminal, CLI_RED), result->failures, result->failures == 1 ? "" : "s",
           cli_style_code(&terminal, CLI_PLAIN), result->failed_seed, result->oracle, result->violation);
    printf("run again, it %s\n",
           result->replays ? "did exactly the same" : "did something else: a defect of the simulator");
    printf("to see it: cuttlefish simulate %s --seed %" PRId64 " --trace\n", file, result->failed_seed);
}

static json_t *result_json(const cf_simulate_result *result)
{
    json_t *faults = json_object();
    for (int f = 0; cf_simulate_fault_name(f) != NULL; f++) {
        json_object_set_new(faults, cf_simulate_fault_name(f), json_integer((json_int_t)result->faults[f]));
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:o, s:I, s:i, s:s, s:b, s:s}", "seeds", (json_int_t)result->seeds,
                     "violations", (json_int_t)result->failures, "steps", (json_int_t)result->steps, "events",
                     (json_int_t)result->events, "virtual_seconds", result->virtual_seconds, "faults", faults,
                     "failed_seed", (json_int_t)result->failed_seed, "oracle", result->oracle, "violation",
                     result->violation, "replays", result->replays, "chain", result->chain);
}

static int read_options(const cli_arguments *arguments, cf_simulate_options *options)
{
    const bool has_trace = cli_option_get(arguments, "trace") != NULL;
    int64_t containers = 0;
    if (cli_option_get(arguments, "seed") != NULL || has_trace) {
        options->seeds = 1;
    }
    if (cli_option_number(arguments, "seeds", 1, INT64_MAX / 2, &options->seeds) != CLI_DONE ||
        cli_option_number(arguments, "seed", 0, INT64_MAX / 2, &options->first_seed) != CLI_DONE ||
        cli_option_number(arguments, "steps", 1, 100000, &options->steps) != CLI_DONE ||
        cli_option_number(arguments, "containers", 1, 64, &containers) != CLI_DONE) {
        return CLI_WRONG;
    }
    if (has_trace && options->seeds != 1) {
        cli_complain("simulate: --trace shows one seed: leave out --seeds, or set it to 1");
        return CLI_WRONG;
    }
    options->containers = (int)containers;
    options->on_line = has_trace ? show_line : NULL;
    return CLI_DONE;
}

int cli_simulate(const cli_arguments *arguments)
{
    const bool is_json = cli_option_get(arguments, "json") != NULL;
    watcher watch = {.terminal = cli_terminal_of(stderr), .started = now_seconds(), .last = now_seconds()};
    cf_simulate_options options = CF_SIMULATE_OPTIONS_DEFAULT;
    cf_network *network = NULL;
    int code = read_options(arguments, &options);
    if (code == CLI_DONE) {
        code = cli_network_load(arguments, true, stderr, &network);
    }
    if (code != CLI_DONE) {
        return code;
    }
    watch.is_quiet = options.on_line != NULL;
    options.on_seed = show_progress;
    options.user = &watch;
    cli_signals_catch();
    cf_error error = {0};
    cf_simulate_result result = {0};
    const cf_status status = cf_simulate(network, &options, &result, &error);
    cf_network_free(network);
    if (watch.line_is_open) {
        fputs("\r\x1b[K", stderr);
    }
    if (status != CF_OK && status != CF_E_CANCELLED) {
        return cli_fail(status, &error);
    }
    if (is_json) {
        code = cli_json_print(result_json(&result));
    } else {
        print_result(&result, arguments->file_count > 0 ? arguments->files[0] : "FILE");
    }
    if (status == CF_E_CANCELLED) {
        return cli_fail(status, &error);
    }
    return result.failures > 0 ? CLI_FAILED : code;
}
