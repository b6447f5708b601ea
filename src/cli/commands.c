/* The table of commands: names, operands, help, and the function that runs each. */
#include <string.h>

#include "cli/cli.h"

#define LATER(name, summary) {name, "FILE", summary, NULL, NULL, false, 0, 64, NULL}

const cli_command cli_commands[] = {
    {"check", "FILE", "validate a network file; every mistake in one go", NULL, cli_check_options, true, 1, 1,
     cli_check},
    {"config", "FILE", "print the file with layers, overrides and every default written out", NULL,
     cli_config_options, true, 0, 1, cli_config},
    {"plan", "FILE", "shapes, parameters, memory, step time, and the containers it is cut into", NULL,
     cli_plan_options, true, 1, 1, cli_plan},
    {"train", "FILE", "train here, in one process",
     "Ctrl-C (or SIGTERM) finishes the step, writes a checkpoint and says how to go on; a second one ends at once.",
     cli_train_options, true, 1, 1, cli_train},
    {"predict", "FILE INPUT", "the class of one input, with probabilities",
     "INPUT is an image (PNG or PGM), a text file of raw numbers, IDXFILE:17 (sample 17 of an IDX file), or\n"
     "test:17, validation:17, train:17 (sample 17 of the network's own data).",
     cli_predict_options, true, 2, 2, cli_predict},
    {"evaluate", "FILE", "accuracy, confusion matrix, precision and recall", NULL, cli_evaluate_options, true, 1, 1,
     cli_evaluate},
    {"data get", "NAME", "fetch a data set (mnist) and verify its checksums", NULL, cli_data_get_options, false, 1, 1,
     cli_data_get},
    {"data show", "FILE", "draw samples of the network's data", NULL, cli_data_show_options, true, 1, 1,
     cli_data_show},
    {"data batches", "FILE", "the sample indices of each training step", NULL, cli_data_batches_options, true, 1, 1,
     cli_data_batches},
    {"simulate", "FILE", "a whole cluster in one thread, with faults from a seed",
     "Runs the network as a cluster with virtual time, network, disks and crashes, one run for each seed, and checks\n"
     "all along that the weights are those of train. A seed that fails is printed; --seed N --trace shows what it did.",
     cli_simulate_options, true, 1, 1, cli_simulate},
    {"version", "", "print the version", NULL, NULL, false, 0, 0, cli_version},
    {"help", "[COMMAND]", "print this, or one command's help", NULL, NULL, false, 0, 2, cli_help},
    {"up", "FILE", "train by containers; goes on after whatever ended it",
     "Returns when all containers run (see them with: cuttlefish status FILE), or with --wait when training ends.\n"
     "Ctrl-C during --wait stops the waiting; the cluster runs on.",
     cli_up_options, true, 1, 1, cli_up},
    {"status", "FILE", "what runs where, and who waits for whom", NULL, cli_status_options, true, 1, 1, cli_status},
    {"logs", "FILE [NAME]", "what the containers say", NULL, cli_logs_options, true, 1, 2, cli_logs},
    {"scale", "FILE N", "more or fewer containers, while it runs", NULL, cli_scale_options, true, 2, 2, cli_scale},
    {"down", "FILE", "stop the containers", NULL, cli_down_options, true, 1, 1, cli_down},
    {"chaos", "FILE", "kill at random and prove that nothing changed",
     "Exit code 0 only if weights and chain are those of `train`.", cli_chaos_options, true, 1, 1, cli_chaos},
    {"supervise", "FOLDER", NULL, NULL, NULL, false, 1, 1, cli_supervise},
    LATER("build", "container image and the target's files"),
    LATER("serve", "predictions over HTTP"),
    LATER("export", "write the weights in another format"),
    LATER("import", "read weights of another format"),
    LATER("sweep", "try many settings"),
    {NULL, NULL, NULL, NULL, NULL, false, 0, 0, NULL},
};

const cli_command *cli_command_find(const char *name)
{
    for (const cli_command *command = cli_commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0) {
            return command;
        }
    }
    return NULL;
}

int cli_version(const cli_arguments *arguments)
{
    (void)arguments;
    const char *kernels = NULL;
    cf_error error = {0};
    const cf_status status = cf_kernels_name(&kernels, &error);
    if (status != CF_OK) {
        return cli_fail(status, &error);
    }
    printf("cuttlefish %s (kernels: %s)\n", cf_version(), kernels);
    return CLI_DONE;
}
