/* What predict, evaluate and data share: opening the model of a run, and naming a part of the data set. */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include <string.h>

#include "cli/cli.h"

/* Whom predict and evaluate ask. */
typedef struct cli_oracle {
    cf_network *network;
    cf_model *model;     /* weights of a run; NULL with --running */
    cf_cluster *cluster; /* --running; else NULL */
} cli_oracle;

const char *cli_class_name(const cli_oracle *oracle, int64_t index);

/* Work on a network and who answers for it; returns an exit code. */
typedef int (*cli_model_work)(const cli_arguments *arguments, const cli_oracle *oracle);

/* Loads the network, opens the weights of --run (a run folder or a .safetensors file) or of the newest run, or its
 * running cluster with --running, does the work and frees all; says what is wrong. Returns the exit code. */
int cli_with_model(const cli_arguments *arguments, cli_model_work work);

const char *cli_part_name(cf_data_part part); /* "train", "validation", "test" */
bool cli_part_parse(const char *text, size_t length, cf_data_part *part_out);

/* The --part option; *part_out keeps what it holds when absent. */
int cli_part_option(const cli_arguments *arguments, cf_data_part *part_out);

#endif
