#include <inttypes.h>
#include <math.h>

#include "cli/cli.h"
#include "cli/json.h"

const cli_option cli_train_options[] = {
    {"resume", NULL, "go on with the newest whole checkpoint of the run; with none, start", 0},
    {"steps", "N", "stop after N optimizer steps in all; 0 writes the initial weights", 0},
    {"run", "FOLDER", "the run folder (default: runs/<name>, or runs/<name>-2, ... when taken)", 0},
    {"threads", "N", "use N threads (default: $CUTTLEFISH_THREADS, or the cores at hand); never changes a bit", 0},
    {"json", NULL, "print the result as one JSON object, the last line of stdout", 0},
    {"quiet", NULL, "show no progress", 'q'},
    {NULL, NULL, NULL, 0},
};

static int on_event(void *user, const cf_event *event)
{
    cli_progress_event(user, event);
    return cli_signal_caught();
}

int cli_result_print_json(const cf_network *network, const cf_train_result *result)
{
    return cli_json_print(json_pack(
        "{s:s, s:I, s:I, s:I, s:o, s:o, s:s, s:s, s:o, s:o, s:s, s:i}", "name", cf_network_name(network), "steps",
        (json_int_t)result->steps, "epochs", (json_int_t)result->epochs, "samples", (json_int_t)result->samples,
        "loss", cli_json_number(result->loss), "accuracy", cli_json_number(result->accuracy), "chain", result->chain,
        "weights", result->weights, "seconds", cli_json_number(result->seconds), "samples_per_second",
        cli_json_number(result->samples_per_second), "kernels", result->kernels, "threads", result->threads));
}

void cli_result_print(const cf_network *network, const cf_train_result *result)
{
    char steps[CLI_NUMBER_SIZE], samples[CLI_NUMBER_SIZE], seconds[CLI_NUMBER_SIZE], rate[CLI_NUMBER_SIZE];
    char accuracy[CLI_NUMBER_SIZE];
    printf("%s: %s steps, %" PRId64 " epochs, %s samples in %s", cf_network_name(network),
           cli_number_grouped(steps, result->steps), result->epochs, cli_number_grouped(samples, result->samples),
           cli_number_seconds(seconds, result->seconds));
    if (isfinite(result->samples_per_second) && result->samples_per_second > 0.0) {
        printf(" (%s samples/s, %s, %d thread%s)", cli_number_short(rate, result->samples_per_second),
               result->kernels, result->threads, result->threads == 1 ? "" : "s");
    }
    printf("\n");
    if (isfinite(result->loss)) {
        printf("accuracy  %s\nloss      %.6f\n", cli_number_percent(accuracy, result->accuracy), result->loss);
    }
    printf("chain     %s\nweights   %s\n", result->chain, result->weights);
    if (result->run_folder[0] != '\0') {
        printf("run       %s\n", result->run_folder);
    }
}

/* Says how far the run came and how to go on; 128 + signal is what a shell expects of a process that one ended. */
static int report_cancelled(const cli_arguments *arguments, const cf_train_result *result)
{
    const char *quote = result->run_folder[0] != '\0' && cli_option_get(arguments, "run") != NULL ? " --run " : "";
    fprintf(stderr, "stopped after step %" PRId64 "; go on with: cuttlefish train", result->steps);
    for (int i = 0; i < arguments->file_count; i++) {
        fprintf(stderr, "%s%s", i == 0 ? " " : " -f ", arguments->files[i]);
    }
    for (int i = 0; i < arguments->set_count; i++) {
        fprintf(stderr, " --set %s", arguments->sets[i]);
    }
    fprintf(stderr, " --resume%s%s\n", quote, quote[0] != '\0' ? result->run_folder : "");
    return 128 + cli_signal_caught();
}

static int train(const cli_arguments *arguments, const cf_network *network, cf_train_options *options)
{
    static cf_train_result result; /* too large for comfort on the stack */
    cf_error error = {0};
    cli_progress *progress = cli_progress_new(cli_option_get(arguments, "quiet") != NULL);
    options->on_event = on_event;
    options->user = progress;
    cli_signals_catch();
    const cf_status status = cf_train(network, options, &result, &error);
    cli_progress_free(progress);
    if (status == CF_E_CANCELLED && cli_signal_caught() != 0) {
        return report_cancelled(arguments, &result);
    }
    if (status != CF_OK) {
        return cli_fail(status, &error);
    }
    if (cli_option_get(arguments, "json") != NULL) {
        return cli_result_print_json(network, &result);
    }
    cli_result_print(network, &result);
    return CLI_DONE;
}

int cli_train(const cli_arguments *arguments)
{
    int64_t threads = 0;
    cf_train_options options = CF_TRAIN_OPTIONS_DEFAULT;
    options.run_folder = cli_option_get(arguments, "run");
    options.resume = cli_option_get(arguments, "resume") != NULL;
    int code = cli_option_number(arguments, "threads", 1, 256, &threads);
    if (code == CLI_DONE) {
        code = cli_option_number(arguments, "steps", 0, INT64_MAX, &options.steps);
    }
    options.threads = (int)threads;
    cf_network *network = NULL;
    if (code == CLI_DONE) {
        code = cli_network_load(arguments, false, stderr, &network);
    }
    if (code == CLI_DONE) {
        code = train(arguments, network, &options);
    }
    cf_network_free(network);
    return code;
}
