/* chaos: kill at random, and prove that nothing changed. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json.h"

const cli_option cli_chaos_options[] = {
    {"kills", "N", "how often to kill a random shard (default: 10)", 0},
    {"every", "SECONDS", "from one to the next, if it has recovered (default: 1)", 0},
    {"pause", NULL, "instead of some of these, pause a container for 1 to 10 seconds", 0},
    {"store", NULL, "... kill the store", 0},
    {"controller", NULL, "... kill the controller", 0},
    {"all-at-once", NULL, "... kill everything at once, then up again", 0},
    {"steps", "N", "end after N optimizer steps in all", 0},
    {"run", "FOLDER", "the run folder (default: the newest of runs/<name>, ... with a cluster)", 0},
    {"json", NULL, "print the report as one JSON object", 0},
    {"schedule", "S", "seed of the schedule of kills (default: 1)", 0},
    {NULL, NULL, NULL, 0},
};

static int on_event(void *user, const cf_event *event)
{
    (void)user;
    if (event->text[0] != '\0') {
        fprintf(stderr, "step %" PRId64 "/%" PRId64 "  %s\n", event->step, event->step_count, event->text);
    }
    return cli_signal_caught();
}

/* How much of its speed the network had under the blows. */
static double goodput(const cf_chaos_report *report)
{
    return report->rate_before > 0.0 ? report->rate_during / report->rate_before : (double)NAN;
}

static int print_json(const cf_network *network, const cf_chaos_report *report)
{
    json_t *recoveries = json_array();
    for (int k = 0; k < CF_CHAOS_KIND_COUNT; k++) {
        const cf_chaos_recovery *r = &report->recovery[k];
        json_array_append_new(recoveries, json_pack("{s:s, s:I, s:o, s:o, s:o}", "kind", r->kind, "count",
                                                    (json_int_t)r->count, "p50", cli_json_number(r->p50), "p99",
                                                    cli_json_number(r->p99), "max", cli_json_number(r->most)));
    }
    return cli_json_print(json_pack(
        "{s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:b, s:s, s:s, s:s, s:s}", "name", cf_network_name(network),
        "done", (json_int_t)report->done, "steps", (json_int_t)report->result.steps, "recovery", recoveries,
        "steps_per_second_before", cli_json_number(report->rate_before), "steps_per_second_during",
        cli_json_number(report->rate_during), "goodput",
        cli_json_number(goodput(report)), "survivors_restarted", (json_int_t)report->survivors_restarted, "steps_lost",
        (json_int_t)report->steps_lost, "identical", report->is_identical, "chain", report->result.chain,
        "weights", report->result.weights, "train_chain", report->reference.chain, "train_weights",
        report->reference.weights));
}

static void print_report(const cf_chaos_report *report)
{
    static const char *const headings[] = {"what", "count", "p50", "p99", "max"};
    const cli_terminal terminal = cli_terminal_of(stdout);
    cli_table *table = cli_table_new("lrrrr");
    for (int i = 0; i < 5; i++) {
        cli_table_cell(table, "%s", headings[i]);
    }
    for (int k = 0; k < CF_CHAOS_KIND_COUNT; k++) {
        const cf_chaos_recovery *r = &report->recovery[k];
        const double times[] = {r->p50, r->p99, r->most};
        cli_table_cell(table, "%s", r->kind);
        cli_table_cell(table, "%" PRId64, r->count);
        for (int i = 0; i < 3; i++) {
            char text[CLI_NUMBER_SIZE];
            cli_table_cell(table, "%s", isfinite(times[i]) ? cli_number_seconds(text, times[i]) : "-");
        }
    }
    char share[CLI_NUMBER_SIZE] = "-";
    if (isfinite(goodput(report))) {
        cli_number_percent(share, goodput(report));
    }
    printf("recovery: from the kill, or the end of the pause, to the next new step of the network with what was\n"
           "killed (store and controller: to the next move of HEAD)\n");
    cli_table_print(table, &terminal);
    cli_table_free(table);
    printf("steps/s   %.1f before, %.1f during\ngoodput   %s\n", report->rate_before, report->rate_during, share);
    printf("survivors restarted: %" PRId64 "\nsteps lost: %" PRId64 "\n", report->survivors_restarted,
           report->steps_lost);
    printf("chain     %s\nweights   %s\n", report->result.chain, report->result.weights);
    printf("weights identical: %s\n", report->is_identical ? "yes" : "no");
}

static int run_chaos(const cli_arguments *arguments, const cf_network *network, cf_cluster *cluster,
                     cf_chaos_options *options)
{
    static cf_chaos_report report; /* too large for comfort on the stack */
    cf_error error = {0};
    options->on_event = on_event;
    cli_signals_catch();
    const cf_status status = cf_chaos(cluster, options, &report, &error);
    if (status == CF_E_CANCELLED && cli_signal_caught() != 0) {
        cli_complain("chaos was stopped; the cluster runs on (cuttlefish status %s, cuttlefish down %s)",
                     arguments->files[0], arguments->files[0]);
        return 128 + cli_signal_caught();
    }
    if (status != CF_OK) {
        return cli_fail(status, &error);
    }
    int code = CLI_DONE;
    if (cli_option_get(arguments, "json") != NULL) {
        code = print_json(network, &report);
    } else {
        print_report(&report);
    }
    return report.is_identical ? code : CLI_FAILED;
}

static int read_options(const cli_arguments *arguments, cf_chaos_options *options)
{
    int64_t seed = 1;
    const char *every = cli_option_get(arguments, "every");
    char *end = NULL;
    options->every = every != NULL ? strtod(every, &end) : options->every;
    if (every != NULL && (end == every || (*end != '\0' && strcmp(end, "s") != 0) ||
                          !(options->every >= 0.0 && options->every <= 3600.0))) {
        cli_complain("chaos: --every '%s' is no number of seconds from 0 to 3600", every);
        return CLI_WRONG;
    }
    options->pause = cli_option_get(arguments, "pause") != NULL;
    options->store = cli_option_get(arguments, "store") != NULL;
    options->controller = cli_option_get(arguments, "controller") != NULL;
    options->all_at_once = cli_option_get(arguments, "all-at-once") != NULL;
    int code = cli_option_number(arguments, "kills", 0, 100000, &options->kills);
    code = code == CLI_DONE ? cli_option_number(arguments, "steps", 0, INT64_MAX, &options->steps) : code;
    code = code == CLI_DONE ? cli_option_number(arguments, "schedule", 0, INT64_MAX, &seed) : code;
    options->seed = (uint64_t)seed;
    return code;
}

int cli_chaos(const cli_arguments *arguments)
{
    cf_chaos_options options = CF_CHAOS_OPTIONS_DEFAULT;
    cf_network *network = NULL;
    cf_cluster *cluster = NULL;
    int code = read_options(arguments, &options);
    if (code == CLI_DONE) {
        code = cli_cluster_open(arguments, &network, &cluster);
    }
    if (code == CLI_DONE) {
        code = run_chaos(arguments, network, cluster, &options);
    }
    cf_cluster_close(cluster);
    cf_network_free(network);
    return code;
}
