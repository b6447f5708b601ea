/* up, logs, scale, down: a network by containers. */
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

#define RUN_OPTION {"run", "FOLDER", "the run folder (default: the newest of runs/<name>, ... with a cluster)", 0}
#define END_OPTION {NULL, NULL, NULL, 0}
#define FOLLOW_NS 200000000L

const cli_option cli_up_options[] = {
    {"wait", NULL, "follow the training to its end, then print the result and stop the containers", 0},
    {"steps", "N", "end after N optimizer steps in all", 0},
    {"containers", "N", "cut the network into N containers (beside controller and store)", 0},
    {"keep", NULL, "with --wait: leave the containers running at the end", 0},
    {"json", NULL, "with --wait: print the result as one JSON object, the last line of stdout", 0},
    {"quiet", NULL, "show no progress", 'q'},
    RUN_OPTION, END_OPTION,
};
const cli_option cli_logs_options[] = {
    {"follow", NULL, "go on with what comes, until Ctrl-C", 'f'}, RUN_OPTION, END_OPTION};
const cli_option cli_scale_options[] = {RUN_OPTION, END_OPTION};
const cli_option cli_down_options[] = {
    {"keep", NULL, "keep the cluster's folder, so that `up` goes on with it", 0}, RUN_OPTION, END_OPTION};

static void own_path(char *path, size_t size)
{
    const ssize_t length = readlink("/proc/self/exe", path, size - 1);
    path[length > 0 ? length : 0] = '\0';
}

int cli_cluster_open(const cli_arguments *arguments, cf_network **network_out, cf_cluster **cluster_out)
{
    char command[4096];
    cf_error error = {0};
    int code = cli_network_load(arguments, false, stderr, network_out);
    if (code != CLI_DONE) {
        return code;
    }
    own_path(command, sizeof command);
    const cf_cluster_options options = {.run_folder = cli_option_get(arguments, "run"),
                                        .command = command[0] != '\0' ? command : NULL};
    const cf_status status = cf_cluster_open(*network_out, &options, cluster_out, &error);
    return status == CF_OK ? CLI_DONE : cli_fail(status, &error);
}

/* ---- up ---- */

static int on_event(void *user, const cf_event *event)
{
    cli_progress_event(user, event);
    return cli_signal_caught();
}

static int wait_for_end(const cli_arguments *arguments, const cf_network *network, cf_cluster *cluster)
{
    static cf_train_result result; /* too large for comfort on the stack */
    cf_error error = {0};
    cli_progress *progress = cli_progress_new(cli_option_get(arguments, "quiet") != NULL);
    cli_signals_catch();
    cf_status status = cf_cluster_wait(cluster, on_event, progress, &result, &error);
    cli_progress_free(progress);
    if (status == CF_E_CANCELLED && cli_signal_caught() != 0) {
        fprintf(stderr, "stopped waiting; the cluster runs on (cuttlefish status %s, cuttlefish down %s)\n",
                arguments->files[0], arguments->files[0]);
        return 128 + cli_signal_caught();
    }
    if (status == CF_OK && cli_option_get(arguments, "keep") == NULL) {
        status = cf_cluster_down(cluster, 1, &error);
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

static int say_running(const cli_arguments *arguments, cf_cluster *cluster)
{
    cf_error error = {0};
    cf_cluster_status now;
    const cf_status status = cf_cluster_get_status(cluster, &now, &error);
    if (status != CF_OK) {
        return cli_fail(status, &error);
    }
    const char *file = arguments->files[0];
    printf("%zu containers run%s; in %s\n", now.container_count, now.is_finished ? ", training has ended" : "",
           cf_cluster_run_folder(cluster));
    printf("look: cuttlefish status %s   logs: cuttlefish logs %s   stop: cuttlefish down %s\n", file, file, file);
    cf_cluster_status_free(&now);
    return CLI_DONE;
}

static int up(const cli_arguments *arguments, const cf_network *network, cf_cluster *cluster,
              const cf_up_options *options)
{
    cf_error error = {0};
    const cf_status status = cf_cluster_up(cluster, options, &error);
    if (status != CF_OK) {
        return cli_fail(status, &error);
    }
    return cli_option_get(arguments, "wait") != NULL ? wait_for_end(arguments, network, cluster)
                                                     : say_running(arguments, cluster);
}

int cli_up(const cli_arguments *arguments)
{
    cf_up_options options = CF_UP_OPTIONS_DEFAULT;
    int64_t containers = 0;
    cf_network *network = NULL;
    cf_cluster *cluster = NULL;
    int code = cli_option_number(arguments, "steps", 0, INT64_MAX, &options.steps);
    if (code == CLI_DONE) {
        code = cli_option_number(arguments, "containers", 1, 1000000, &containers);
    }
    options.containers = (int)containers;
    if (code == CLI_DONE) {
        code = cli_cluster_open(arguments, &network, &cluster);
    }
    if (code == CLI_DONE) {
        code = up(arguments, network, cluster, &options);
    }
    cf_cluster_close(cluster);
    cf_network_free(network);
    return code;
}

/* ---- scale, down ---- */

static int scale(cf_cluster *cluster, int containers)
{
    cf_error error = {0};
    const cf_status status = cf_cluster_scale(cluster, containers, &error);
    if (status != CF_OK) {
        return cli_fail(status, &error);
    }
    printf("cut for %d containers\n", containers);
    return CLI_DONE;
}

int cli_scale(const cli_arguments *arguments)
{
    cf_network *network = NULL;
    cf_cluster *cluster = NULL;
    char *end = NULL;
    const long containers = strtol(arguments->operands[0], &end, 10);
    if (*end != '\0' || end == arguments->operands[0] || containers < 1 || containers > 1000000) {
        cli_complain("scale: '%s' is no number of containers from 1 to 1000000", arguments->operands[0]);
        return CLI_WRONG;
    }
    int code = cli_cluster_open(arguments, &network, &cluster);
    if (code == CLI_DONE) {
        code = scale(cluster, (int)containers);
    }
    cf_cluster_close(cluster);
    cf_network_free(network);
    return code;
}

int cli_down(const cli_arguments *arguments)
{
    cf_error error = {0};
    cf_network *network = NULL;
    cf_cluster *cluster = NULL;
    int code = cli_cluster_open(arguments, &network, &cluster);
    if (code == CLI_DONE) {
        const cf_status status = cf_cluster_down(cluster, cli_option_get(arguments, "keep") != NULL, &error);
        code = status == CF_OK ? CLI_DONE : cli_fail(status, &error);
    }
    cf_cluster_close(cluster);
    cf_network_free(network);
    return code;
}

int cli_supervise(const cli_arguments *arguments)
{
    return cf_supervise(arguments->operands[0]);
}

/* ---- logs ---- */

typedef struct log_file {
    char *path, *name;
    long offset;
} log_file;

typedef struct log_files {
    log_file *items;
    size_t count;
} log_files;

/* Adds those that were not there before; a container may come later. */
static void find_logs(log_files *logs, const char *folder, const char *wanted)
{
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        const char *dot = strstr(entry->d_name, ".log");
        const int length = dot != NULL ? (int)(dot - entry->d_name) : 0;
        bool is_known = dot == NULL || dot[4] != '\0';
        is_known = is_known || (wanted != NULL && ((int)strlen(wanted) != length ||
                                                   strncmp(wanted, entry->d_name, (size_t)length) != 0));
        for (size_t i = 0; i < logs->count && !is_known; i++) {
            is_known = (int)strlen(logs->items[i].name) == length &&
                       strncmp(logs->items[i].name, entry->d_name, (size_t)length) == 0;
        }
        if (!is_known) {
            logs->items = cli_grow(logs->items, logs->count + 1, sizeof logs->items[0]);
            logs->items[logs->count++] = (log_file){cli_format("%s/%s", folder, entry->d_name),
                                                    cli_format("%.*s", length, entry->d_name), 0};
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
}

/* What was added since the last time. Lines of nodes begin with their names already. */
static void print_new(log_file *log)
{
    char bytes[8192];
    FILE *stream = fopen(log->path, "r");
    if (stream == NULL) {
        return;
    }
    if (fseek(stream, 0, SEEK_END) == 0 && ftell(stream) < log->offset) {
        log->offset = 0; /* begun anew */
    }
    if (fseek(stream, log->offset, SEEK_SET) == 0) {
        for (size_t size; (size = fread(bytes, 1, sizeof bytes, stream)) > 0;) {
            fwrite(bytes, 1, size, stdout);
        }
        log->offset = ftell(stream);
    }
    fclose(stream);
}

static int logs_of(const cli_arguments *arguments, const cf_cluster *cluster)
{
    const char *wanted = arguments->operand_count > 0 ? arguments->operands[0] : NULL;
    const bool follows = cli_option_get(arguments, "follow") != NULL;
    char *folder = cli_format("%s/cluster/logs", cf_cluster_run_folder(cluster));
    log_files logs = {NULL, 0};
    if (follows) {
        cli_signals_catch();
    }
    do {
        const struct timespec time = {0, follows ? FOLLOW_NS : 0};
        find_logs(&logs, folder, wanted);
        for (size_t i = 0; i < logs.count; i++) {
            print_new(&logs.items[i]);
        }
        fflush(stdout);
        nanosleep(&time, NULL);
    } while (follows && cli_signal_caught() == 0);
    if (logs.count == 0) {
        cli_complain("logs: there are none%s%s in %s", wanted != NULL ? " of " : "", wanted != NULL ? wanted : "",
                     folder);
    }
    for (size_t i = 0; i < logs.count; i++) {
        cli_free(logs.items[i].path);
        cli_free(logs.items[i].name);
    }
    cli_free(logs.items);
    cli_free(folder);
    return logs.count > 0 ? CLI_DONE : CLI_FAILED;
}

int cli_logs(const cli_arguments *arguments)
{
    cf_network *network = NULL;
    cf_cluster *cluster = NULL;
    int code = cli_cluster_open(arguments, &network, &cluster);
    if (code == CLI_DONE) {
        code = logs_of(arguments, cluster);
    }
    cf_cluster_close(cluster);
    cf_network_free(network);
    return code;
}
