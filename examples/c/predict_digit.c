/* Loads a network file, trains a few hundred steps, saves the weights, opens them again and reads digits.
 *
 *   cc predict_digit.c $(pkg-config --cflags --libs cuttlefish) -o predict_digit
 *   ./predict_digit examples/mnist/mlp.yaml */
#include <stdio.h>
#include <stdlib.h>

#include <cuttlefish/cuttlefish.h>

#define DIGITS 10

static cf_status load(const char *path, cf_network **network_out, cf_error *error)
{
    static const char *const sets[] = {"training.checkpoint_every=100"};
    const char *const files[] = {path};
    const cf_load_options options = {.files = files, .file_count = 1, .sets = sets, .set_count = 1, .check_data = 1};
    cf_problems *problems = NULL;
    const cf_status status = cf_network_load(&options, network_out, &problems, error);
    for (size_t i = 0; i < cf_problems_count(problems); i++) {
        const cf_problem problem = cf_problems_get(problems, i);
        fprintf(stderr, "%s:%d:%d: %s: %s\n", problem.file, problem.line, problem.column, problem.path, problem.text);
    }
    cf_problems_free(problems);
    return status;
}

/* Trains, and writes the weights alone as one safetensors file that other programs can read too. */
static cf_status train_and_save(const cf_network *network, const char *weights_path, cf_error *error)
{
    static cf_train_result result;
    cf_train_options options = CF_TRAIN_OPTIONS_DEFAULT;
    options.steps = 300;
    cf_model *model = NULL;
    cf_status status = cf_train(network, &options, &result, error);
    if (status == CF_OK) {
        printf("trained %lld steps on %d threads: accuracy %.1f %%\n", (long long)result.steps, result.threads,
               100.0 * result.accuracy);
        status = cf_model_open(network, result.run_folder, 0, &model, error);
    }
    if (status == CF_OK) {
        status = cf_model_save(model, weights_path, error);
    }
    cf_model_free(model);
    return status;
}

static int largest(const float *values, int64_t count)
{
    int best = 0;
    for (int i = 1; i < count; i++) {
        best = values[i] > values[best] ? i : best;
    }
    return best;
}

static cf_status read_digits(const cf_network *network, const char *weights_path, int *right_out, cf_error *error)
{
    cf_model *model = NULL;
    cf_data *data = NULL;
    float *pixels = calloc((size_t)cf_network_input_features(network), sizeof pixels[0]);
    float *outputs = calloc((size_t)cf_network_output_features(network), sizeof outputs[0]);
    cf_status status = pixels != NULL && outputs != NULL ? CF_OK : CF_E_MEMORY;
    if (status == CF_OK) {
        status = cf_model_open(network, weights_path, 1, &model, error);
    }
    if (status == CF_OK) {
        status = cf_data_open(network, &data, error);
    }
    for (int64_t i = 0; status == CF_OK && i < DIGITS; i++) {
        int64_t label = 0;
        status = cf_data_sample(data, CF_DATA_TEST, i, pixels, &label, error);
        if (status == CF_OK) {
            status = cf_model_predict(model, pixels, 1, outputs, error);
        }
        if (status == CF_OK) {
            const int digit = largest(outputs, cf_network_output_features(network));
            printf("test %lld: a %lld, read as %d (%.1f %%)\n", (long long)i, (long long)label, digit,
                   100.0 * (double)outputs[digit]);
            *right_out += digit == label;
        }
    }
    cf_data_free(data);
    cf_model_free(model);
    free(pixels);
    free(outputs);
    return status;
}

int main(int argc, char **argv)
{
    static const char weights_path[] = "predict_digit.safetensors";
    cf_error error = {CF_OK, ""};
    cf_network *network = NULL;
    int right = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: predict_digit FILE\n");
        return 2;
    }
    cf_status status = load(argv[1], &network, &error);
    if (status == CF_OK) {
        status = train_and_save(network, weights_path, &error);
    }
    if (status == CF_OK) {
        status = read_digits(network, weights_path, &right, &error);
    }
    cf_network_free(network);
    if (status != CF_OK) {
        fprintf(stderr, "predict_digit: %s\n", error.text[0] != '\0' ? error.text : cf_status_text(status));
        return 1;
    }
    return right >= DIGITS - 2 ? 0 : 1;
}
