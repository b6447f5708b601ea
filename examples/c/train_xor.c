/* Builds a network in code, trains it on the four lines of XOR and asks it what it has learnt.
 *
 *   cc train_xor.c $(pkg-config --cflags --libs cuttlefish) -o train_xor && ./train_xor */
#include <stdio.h>

#include <cuttlefish/cuttlefish.h>

static const char data_file[] = "train_xor.csv";

static int write_data(void)
{
    FILE *file = fopen(data_file, "w");
    if (file == NULL) {
        return -1;
    }
    fputs("0,0,0\n0,1,1\n1,0,1\n1,1,0\n", file);
    return fclose(file);
}

/* The keys are those of the YAML file; a mistake is reported by cf_builder_build. */
static cf_status build(cf_network **network_out, cf_error *error)
{
    cf_builder *builder = NULL;
    cf_status status = cf_builder_new(&builder, error);
    if (status != CF_OK) {
        return status;
    }
    cf_builder_set(builder, "name", "xor-in-code");
    cf_builder_set(builder, "data.csv.train", data_file);
    cf_builder_set(builder, "network.loss", "binary_cross_entropy");
    cf_builder_add_layer(builder, "dense", "units: 8, activation: tanh");
    cf_builder_add_layer(builder, "dense", "units: 1");
    cf_builder_set(builder, "training.epochs", "500");
    cf_builder_set(builder, "training.batch", "4");
    cf_builder_set(builder, "training.checkpoint_every", "500"); /* steps; each one is written durably */
    cf_builder_set(builder, "training.optimizer", "{adam: {rate: 0.05}}");
    status = cf_builder_build(builder, network_out, NULL, error);
    cf_builder_free(builder);
    return status;
}

/* Called after each epoch's evaluation, among others; anything but 0 would stop the training. */
static int on_event(void *user, const cf_event *event)
{
    int *evaluations = user;
    if (event->kind == CF_EVENT_EVALUATION && ++*evaluations % 100 == 0) {
        printf("epoch %3lld: loss %.4f\n", (long long)event->epoch, event->loss);
    }
    return 0;
}

static cf_status predict(const cf_network *network, const char *run_folder, int *right_out, cf_error *error)
{
    static const float inputs[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
    static const int wanted[4] = {0, 1, 1, 0};
    float outputs[4];
    cf_model *model = NULL;
    cf_status status = cf_model_open(network, run_folder, 1, &model, error);
    if (status == CF_OK) {
        status = cf_model_predict(model, inputs[0], 4, outputs, error);
    }
    for (int i = 0; status == CF_OK && i < 4; i++) {
        printf("%.0f xor %.0f = %.3f\n", (double)inputs[i][0], (double)inputs[i][1], (double)outputs[i]);
        *right_out += (outputs[i] > 0.5f) == wanted[i];
    }
    cf_model_free(model);
    return status;
}

int main(void)
{
    cf_error error = {CF_OK, ""};
    cf_network *network = NULL;
    static cf_train_result result;
    int evaluations = 0, right = 0;
    if (write_data() != 0) {
        perror(data_file);
        return 1;
    }
    cf_status status = build(&network, &error);
    if (status == CF_OK) {
        cf_train_options options = CF_TRAIN_OPTIONS_DEFAULT;
        options.on_event = on_event;
        options.user = &evaluations;
        status = cf_train(network, &options, &result, &error);
    }
    if (status == CF_OK) {
        printf("%lld steps into %s\nchain %s\n", (long long)result.steps, result.run_folder, result.chain);
        status = predict(network, result.run_folder, &right, &error);
    }
    cf_network_free(network);
    if (status != CF_OK) {
        fprintf(stderr, "train_xor: %s\n", error.text);
        return 1;
    }
    return right == 4 ? 0 : 1;
}
