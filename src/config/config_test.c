#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"

#define PAGE "docs/CONFIGURATION.md"
#define SMALLEST "data: {dataset: mnist}\nnetwork: {layers: [{dense: {units: 10}}]}\n"

/* ---- Help ---------------------------------------------------------------------------------------------- */

static void load_all(const cfi_config_sources *sources, cfi_settings *settings)
{
    cfi_problems problems = {0};
    cf_error error = {0};
    const cf_status status = cfi_config_load(sources, settings, &problems, &error);
    if (status != CF_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(problems.count, 0);
    cfi_problems_fini(&problems);
}

/* A text with up to four --set, ended by NULL. */
static void load_text(const char *text, const char *const *sets, cfi_settings *settings)
{
    size_t count = 0;
    while (sets != NULL && sets[count] != NULL) {
        count++;
    }
    const cfi_config_sources sources = {
        .text = text, .text_name = "t.yaml", .sets = sets, .set_count = count};
    load_all(&sources, settings);
}

/* Loading must fail; all messages, a line each, are compared. */
static void assert_mistakes(const cfi_config_sources *sources, const char *expected)
{
    cfi_settings settings;
    cfi_problems problems = {0};
    cf_error error = {0};
    cfi_text text = {0};
    assert_int_equal(cfi_config_load(sources, &settings, &problems, &error), CF_E_CONFIG);
    assert_int_equal(error.code, CF_E_CONFIG);
    for (size_t i = 0; i < problems.count; i++) {
        const cfi_problem *problem = &problems.items[i];
        cfi_text_add(&text, "%s:%d:%d: %s: %s\n", problem->file, problem->mark.line, problem->mark.column,
                     problem->path, problem->text);
    }
    assert_string_equal(text.data, expected);
    cfi_text_fini(&text);
    cfi_problems_fini(&problems);
}

static void assert_set_mistake(const char *set, const char *expected)
{
    const cfi_config_sources sources = {.text = SMALLEST, .sets = &set, .set_count = 1};
    assert_mistakes(&sources, expected);
}

static void write_file(const char *name, const char *content)
{
    const cfi_file_part part = {content, strlen(content)};
    assert_int_equal(cfi_file_replace(name, &part, 1, NULL), CF_OK);
}

static void assert_same_layer(const cfi_layer_settings *left, const cfi_layer_settings *right)
{
    assert_int_equal(left->kind, right->kind);
    assert_string_equal(left->name, right->name);
    assert_int_equal(left->units, right->units);
    assert_memory_equal(left->kernel, right->kernel, sizeof left->kernel);
    assert_memory_equal(left->stride, right->stride, sizeof left->stride);
    assert_int_equal(left->padding_kind, right->padding_kind);
    assert_int_equal(left->padding, right->padding);
    assert_int_equal(left->activation, right->activation);
    assert_memory_equal(&left->leaky_slope, &right->leaky_slope, sizeof left->leaky_slope);
    assert_int_equal(left->init, right->init);
    assert_memory_equal(&left->dropout_rate, &right->dropout_rate, sizeof left->dropout_rate);
    assert_int_equal(left->grain, right->grain);
}

static void assert_same_settings(const cfi_settings *left, const cfi_settings *right)
{
    assert_string_equal(left->name, right->name);
    assert_int_equal(left->seed, right->seed);
    assert_int_equal(left->layer_count, right->layer_count);
    for (int i = 0; i < left->layer_count; i++) {
        assert_same_layer(&left->layers[i], &right->layers[i]);
    }
    assert_int_equal(left->loss, right->loss);
    assert_int_equal(left->data.kind, right->data.kind);
    assert_string_equal(left->data.train_images, right->data.train_images);
    assert_string_equal(left->data.csv_train, right->data.csv_train);
    assert_string_equal(left->data.csv_test, right->data.csv_test);
    assert_string_equal(left->data.csv_label_name, right->data.csv_label_name);
    assert_int_equal(left->data.csv_label, right->data.csv_label);
    assert_int_equal(left->data.validation, right->data.validation);
    /* Padding too: both structs started as zeros. */
    assert_memory_equal(&left->training, &right->training, sizeof left->training);
    assert_int_equal(left->engine_tensorflow, right->engine_tensorflow);
}

/* The resolved file means the same, and resolving it again changes no byte. */
static void assert_round_trip(const cfi_settings *settings)
{
    cfi_settings again;
    load_text(settings->resolved_yaml, NULL, &again);
    assert_string_equal(again.resolved_yaml, settings->resolved_yaml);
    assert_same_settings(&again, settings);
    cfi_settings_fini(&again);
}

/* ---- What lands ---------------------------------------------------------------------------------------- */

static void a_short_file_gets_every_default(void **state)
{
    (void)state;
    cfi_settings settings;
    load_text(SMALLEST, NULL, &settings);
    assert_string_equal(settings.name, "t");
    assert_int_equal(settings.seed, 1);
    assert_int_equal(settings.data.kind, CFI_DATA_MNIST);
    assert_int_equal(settings.data.validation, 0);
    assert_true(settings.data.mean == 0 && settings.data.deviation == 1);
    assert_int_equal(settings.layer_count, 1);
    assert_string_equal(settings.layers[0].name, "dense1");
    assert_int_equal(settings.layers[0].units, 10);
    assert_int_equal(settings.layers[0].activation, CFI_ACTIVATION_IDENTITY);
    assert_int_equal(settings.layers[0].init, CFI_INIT_AUTO);
    assert_int_equal(settings.layers[0].grain, 0);
    assert_true(settings.layers[0].leaky_slope == 0.01);
    assert_int_equal(settings.layers[0].mark.line, 2);
    assert_int_equal(settings.layers[0].mark.column, 20);
    assert_int_equal(settings.data.mark.line, 1);
    assert_int_equal(settings.loss, CFI_LOSS_SOFTMAX_CROSS_ENTROPY);
    assert_int_equal(settings.loss_mark.line, 0);
    assert_false(settings.engine_tensorflow);
    const cfi_training_settings *training = &settings.training;
    assert_true(training->epochs == 10 && training->batch == 128 && training->sample_grain == 64);
    assert_true(training->micro_batches == 1 && training->chain_every == 10 &&
                training->checkpoint_every == 0);
    assert_true(training->checkpoints_kept == 3 && !training->drop_last && training->clip_norm == 0);
    assert_true(training->patience == 0 && training->min_delta == 0);
    assert_true(training->optimizer.kind == CFI_OPTIMIZER_SGD && training->optimizer.rate == 0.1);
    assert_true(training->optimizer.momentum == 0 && !training->optimizer.nesterov);
    assert_true(training->schedule.kind == CFI_SCHEDULE_CONSTANT && training->schedule.warmup_steps == 0);
    assert_round_trip(&settings);
    cfi_settings_fini(&settings);
}

static void layers_land_in_their_fields(void **state)
{
    (void)state;
    cfi_settings settings;
    load_text(
        "data: {dataset: mnist}\n"
        "network:\n"
        "  layers:\n"
        "    - conv2d: {name: c, filters: 6, kernel: [5, 3], stride: 2, padding: 2, activation: leaky_relu,\n"
        "               leaky_slope: 0.2, init: he, grain: 2}\n"
        "    - conv2d: {filters: 7, kernel: 3, padding: same}\n"
        "    - max_pool: {size: 2, stride: [1, 2]}\n"
        "    - avg_pool: {size: [2, 3]}\n"
        "    - flatten\n"
        "    - dropout: {rate: 0.25}\n"
        "    - dense: {units: 3, activation: tanh, init: glorot}\n"
        "    - dense: {units: 2, activation: sigmoid, init: nielsen, grain: auto}\n"
        "  loss: mse\n",
        NULL, &settings);
    const cfi_layer_settings *layers = settings.layers;
    assert_int_equal(settings.layer_count, 8);
    assert_true(layers[0].kind == CFI_LAYER_CONV2D && layers[0].units == 6 && layers[0].kernel[0] == 5);
    assert_true(layers[0].kernel[1] == 3 && layers[0].stride[0] == 2 && layers[0].stride[1] == 2);
    assert_true(layers[0].padding_kind == CFI_PADDING_NUMBER && layers[0].padding == 2 &&
                layers[0].grain == 2);
    assert_true(layers[0].activation == CFI_ACTIVATION_LEAKY_RELU && layers[0].leaky_slope == 0.2);
    assert_true(layers[0].init == CFI_INIT_HE_NORMAL);
    assert_true(layers[1].padding_kind == CFI_PADDING_SAME && layers[1].stride[0] == 1);
    assert_string_equal(layers[1].name, "conv2d2");
    assert_true(layers[2].kind == CFI_LAYER_MAX_POOL && layers[2].kernel[1] == 2 && layers[2].stride[1] == 2);
    assert_true(layers[3].kind == CFI_LAYER_AVG_POOL && layers[3].kernel[1] == 3 && layers[3].stride[0] == 0);
    assert_true(layers[4].kind == CFI_LAYER_FLATTEN);
    assert_true(layers[5].kind == CFI_LAYER_DROPOUT && layers[5].dropout_rate == 0.25);
    assert_true(layers[6].activation == CFI_ACTIVATION_TANH && layers[6].init == CFI_INIT_GLOROT_UNIFORM);
    assert_true(layers[7].activation == CFI_ACTIVATION_SIGMOID && layers[7].init == CFI_INIT_NIELSEN);
    assert_string_equal(layers[7].name, "dense2");
    assert_true(settings.loss == CFI_LOSS_MSE && settings.loss_mark.line == 13 &&
                settings.loss_mark.column == 9);
    assert_round_trip(&settings);
    cfi_settings_fini(&settings);
}

static void training_lands_in_its_fields(void **state)
{
    (void)state;
    cfi_settings settings;
    load_text(SMALLEST "seed: 9223372036854775807\nengine: tensorflow\n"
                       "training:\n"
                       "  epochs: 3\n  batch: 96\n  sample_grain: 16\n  micro_batches: 3\n  chain_every: 7\n"
                       "  checkpoint_every: 50\n  checkpoints_kept: 2\n  drop_last: true\n  clip_norm: 1.5\n"
                       "  early_stopping: {min_delta: 1e-3}\n"
                       "  optimizer: {sgd: {rate: .5, momentum: 0.9, nesterov: true, weight_decay: 1e-4}}\n"
                       "  schedule: {step: {factor: 0.5, every_epochs: 2.5, warmup_steps: 8}}\n",
              NULL, &settings);
    const cfi_training_settings *training = &settings.training;
    assert_true(settings.seed == INT64_MAX && settings.engine_tensorflow);
    assert_true(training->epochs == 3 && training->batch == 96 && training->sample_grain == 16);
    assert_true(training->micro_batches == 3 && training->chain_every == 7 &&
                training->checkpoint_every == 50);
    assert_true(training->checkpoints_kept == 2 && training->drop_last && training->clip_norm == 1.5);
    assert_true(training->min_delta == 1e-3);
    assert_true(training->optimizer.rate == 0.5 && training->optimizer.momentum == 0.9);
    assert_true(training->optimizer.nesterov && training->optimizer.weight_decay == 1e-4);
    assert_true(training->schedule.kind == CFI_SCHEDULE_STEP && training->schedule.factor == 0.5);
    assert_true(training->schedule.every_epochs == 2.5 && training->schedule.warmup_steps == 8);
    assert_round_trip(&settings);
    cfi_settings_fini(&settings);
}

static void placement_lands_in_its_fields(void **state)
{
    (void)state;
    cfi_settings settings;
    load_text("data: {dataset: mnist}\n"
              "network: {layers: [{dense: {name: h, units: 30}}, {dense: {name: o, units: 10}}]}\n"
              "placement:\n"
              "  neurons_per_container: {h: 6}\n"
              "  slots: 4\n"
              "  hints: [{layer: h, zone: b, label: disk=ssd}, {together: [o, loss]}, {neuron: h.3, host: x}, "
              "{apart: [h, o, source]}]\n"
              "  hosts: [{name: x, zone: b, labels: [disk=ssd, gpu], cpu: 2.5, memory: 2GiB}, {name: y}]\n"
              "neuron_types: {dense: {cpu: 0.5}, loss: {memory: 1GiB}}\n"
              "messaging: {zeromq: {scheme: tcp, port: 5000}}\nstore: {lmdb: {size: 1GiB}}\ndeploy: docker\n"
              "durability: power\npersist_every: 8\n",
              NULL, &settings);
    const cfi_placement_settings *placement = &settings.placement;
    assert_true(settings.layers[0].neurons_per_container == 6 && settings.layers[1].neurons_per_container == 0);
    assert_true(placement->slots == 4 && placement->hint_count == 4 && placement->host_count == 2);
    assert_int_equal(placement->hints[0].kind, CFI_HINT_LAYER);
    assert_string_equal(placement->hints[0].who, "h");
    assert_string_equal(placement->hints[0].zone, "b");
    assert_string_equal(placement->hints[0].label, "disk=ssd");
    assert_true(placement->hints[1].kind == CFI_HINT_TOGETHER && placement->hints[1].member_count == 2);
    assert_string_equal(placement->hints[1].members[1].text, "loss");
    assert_int_equal(placement->hints[2].kind, CFI_HINT_NEURON);
    assert_string_equal(placement->hints[2].host, "x");
    assert_true(placement->hints[3].kind == CFI_HINT_APART && placement->hints[3].member_count == 3);
    assert_string_equal(placement->hosts[0].labels[1].text, "gpu");
    assert_true(placement->hosts[0].cpu == 2.5 && placement->hosts[0].memory == INT64_C(2) << 30);
    assert_true(placement->hosts[1].label_count == 0 && placement->hosts[1].cpu == 0);
    assert_true(placement->hosts[1].memory == 0);
    assert_true(settings.neuron_types.dense.cpu == 0.5 && settings.neuron_types.dense.memory == INT64_C(32) << 20);
    assert_true(settings.neuron_types.loss.cpu == 0.25 && settings.neuron_types.loss.memory == INT64_C(1) << 30);
    assert_true(settings.running.scheme == CFI_SCHEME_TCP && settings.running.port == 5000);
    assert_true(settings.running.store_size == INT64_C(1) << 30 && settings.running.deploy == CFI_DEPLOY_DOCKER);
    assert_true(settings.running.durability == CFI_DURABILITY_POWER && settings.running.persist_every == 8);
    assert_round_trip(&settings);
    cfi_settings_fini(&settings);
    static const char *const sets[] = {"placement.neurons_per_container=3", "messaging=kafka", "store=memory", NULL};
    load_text(SMALLEST, sets, &settings);
    assert_int_equal(settings.layers[0].neurons_per_container, 3);
    assert_true(settings.running.messaging == CFI_MESSAGING_KAFKA && settings.running.store == CFI_STORE_KIND_MEMORY);
    assert_true(settings.running.durability == CFI_DURABILITY_PROCESS && settings.running.persist_every == 0);
    cfi_settings_fini(&settings);
}

static void two_hosts_may_not_share_a_name(void **state)
{
    (void)state;
    assert_set_mistake("placement.hosts=[{name: x}, {name: x}]",
                       "--set:0:0: placement.hosts[1].name: the name 'x' is that of placement.hosts[0] already\n");
    assert_set_mistake("network.layers[0]={dense: {name: store, units: 1}}",
                       "--set:0:0: network.layers[0].dense.name: 'store' is taken: it stands for the store itself\n");
}

static void every_optimizer_and_schedule_takes_its_own_keys(void **state)
{
    (void)state;
    static const char *const first[] = {
        "training.optimizer={rmsprop: {decay: 0.8, epsilon: 1e-6, momentum: 0.1}}",
        "training.schedule={polynomial: {power: 2, end_rate: 0.01}}", NULL};
    static const char *const second[] = {"training.optimizer={adamw: {beta1: 0.8, beta2: 0.95}}",
                                         "training.schedule=cosine", NULL};
    cfi_settings settings;
    load_text(SMALLEST, first, &settings);
    const cfi_training_settings *training = &settings.training;
    assert_true(training->optimizer.kind == CFI_OPTIMIZER_RMSPROP && training->optimizer.decay == 0.8);
    assert_true(training->optimizer.epsilon == 1e-6 && training->optimizer.momentum == 0.1);
    assert_true(training->optimizer.rate == 0.001);
    assert_true(training->schedule.kind == CFI_SCHEDULE_POLYNOMIAL && training->schedule.power == 2);
    assert_true(training->schedule.end_rate == 0.01);
    assert_round_trip(&settings);
    cfi_settings_fini(&settings);
    load_text(SMALLEST, second, &settings);
    assert_true(training->optimizer.kind == CFI_OPTIMIZER_ADAMW && training->optimizer.beta1 == 0.8);
    assert_true(training->optimizer.beta2 == 0.95 && training->optimizer.weight_decay == 0.01);
    assert_true(training->schedule.kind == CFI_SCHEDULE_COSINE && training->schedule.end_rate == 0);
    assert_round_trip(&settings);
    cfi_settings_fini(&settings);
}

static void every_bare_word_of_a_choice_is_a_whole_choice(void **state)
{
    (void)state;
    static const char *const sets[] = {"training.optimizer=sgd",
                                       "training.optimizer=rmsprop",
                                       "training.optimizer=adam",
                                       "training.optimizer=adamw",
                                       "training.schedule=constant",
                                       "training.schedule=step",
                                       "training.schedule=exponential",
                                       "training.schedule=polynomial",
                                       "training.schedule=cosine",
                                       "messaging=kafka",
                                       "store=dynamodb",
                                       "deploy=marathon",
                                       "deploy={kubernetes: }",
                                       "network.layers[1]=dropout",
                                       "network.layers[1]={flatten: null}"};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        const char *const one[] = {sets[i], NULL};
        cfi_settings settings;
        load_text(SMALLEST, one, &settings);
        assert_round_trip(&settings);
        cfi_settings_fini(&settings);
    }
}

static void csv_keys_land_in_their_fields(void **state)
{
    (void)state;
    cfi_settings settings;
    load_text(
        "data: {csv: {train: /a/b.csv, test: '/a/ü c.csv', label: first, header: no, standardise: true}}\n"
        "network: {layers: [{dense: {units: 2}}]}\n",
        NULL, &settings);
    assert_int_equal(settings.data.kind, CFI_DATA_CSV);
    assert_string_equal(settings.data.csv_train, "/a/b.csv");
    assert_string_equal(settings.data.csv_test, "/a/ü c.csv");
    assert_int_equal(settings.data.csv_label, CFI_CSV_LABEL_FIRST);
    assert_int_equal(settings.data.csv_header, CFI_CSV_HEADER_NO);
    assert_true(settings.data.csv_standardise);
    assert_round_trip(&settings);
    cfi_settings_fini(&settings);
}

static void a_quoted_word_is_the_name_of_a_column(void **state)
{
    (void)state;
    static const char *const sets[] = {"data={csv: {train: a.csv, label: 'first'}}", NULL};
    cfi_settings settings;
    load_text(SMALLEST, sets, &settings);
    assert_int_equal(settings.data.csv_label, CFI_CSV_LABEL_NAME);
    assert_string_equal(settings.data.csv_label_name, "first");
    assert_round_trip(&settings);
    cfi_settings_fini(&settings);
}

static void odd_texts_survive_the_resolved_file(void **state)
{
    (void)state;
    static const char *const sets[] = {
        "data={csv: {train: \"/a \\\"b\\\\\\t\\u0085\\u2028\\uFEFF#: ü.csv\", label: \"- no: #1 \"}}", NULL};
    cfi_settings settings;
    load_text(SMALLEST, sets, &settings);
    assert_string_equal(settings.data.csv_train, "/a \"b\\\t\xC2\x85\xE2\x80\xA8\xEF\xBB\xBF#: ü.csv");
    assert_string_equal(settings.data.csv_label_name, "- no: #1 ");
    assert_round_trip(&settings);
    cfi_settings_fini(&settings);
}

static void every_example_loads_and_round_trips(void **state)
{
    (void)state;
    static const char *const names[] = {"xor/xor",       "csv/spirals",   "mnist/mlp",
                                        "mnist/nielsen", "mnist/mlp-512", "mnist/lenet"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[CFI_PATH_SIZE_MAX];
        snprintf(path, sizeof path, "%s/examples/%s.yaml", CF_SOURCE_DIR, names[i]);
        const char *const files[] = {path};
        const cfi_config_sources sources = {.files = files, .file_count = 1};
        cfi_settings settings;
        load_all(&sources, &settings);
        assert_string_equal(settings.files[0], path);
        assert_round_trip(&settings);
        cfi_settings_fini(&settings);
    }
}

/* ---- Names and paths ----------------------------------------------------------------------------------- */

static void the_name_is_made_from_the_first_file(void **state)
{
    (void)state;
    static const struct {
        const char *file, *name;
    } cases[] = {{"a/b/net.yaml", "net"},
                 {"my net.v2.yaml", "my-net-v2"},
                 {"3layers", "n-3layers"},
                 {"ü.yaml", "n---"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const cfi_config_sources sources = {.text = SMALLEST, .text_name = cases[i].file};
        cfi_settings settings;
        load_all(&sources, &settings);
        assert_string_equal(settings.name, cases[i].name);
        cfi_settings_fini(&settings);
    }
    const cfi_config_sources nameless = {.text = SMALLEST};
    cfi_settings settings;
    load_all(&nameless, &settings);
    assert_string_equal(settings.name, "network");
    cfi_settings_fini(&settings);
}

static void paths_start_at_the_folder_of_the_file_that_names_them(void **state)
{
    (void)state;
    char working[CFI_PATH_SIZE_MAX], expected[2 * CFI_PATH_SIZE_MAX];
    assert_non_null(getcwd(working, sizeof working));
    assert_int_equal(cfi_folder_make("config_test/deep", NULL), CF_OK);
    write_file(
        "config_test/deep/base.yaml",
        "data: {csv: {train: one.csv, test: /abs/two.csv}}\nnetwork: {layers: [{dense: {units: 1}}]}\n");
    write_file("config_test/over.yaml", "data: {csv: {test: ../three.csv}}\n");
    const char *const files[] = {"config_test/deep/base.yaml", "config_test/over.yaml"};
    cfi_config_sources sources = {.files = files, .file_count = 1};
    cfi_settings settings;
    load_all(&sources, &settings);
    snprintf(expected, sizeof expected, "%s/config_test/deep/one.csv", working);
    assert_string_equal(settings.data.csv_train, expected);
    assert_string_equal(settings.data.csv_test, "/abs/two.csv");
    assert_string_equal(settings.name, "base");
    assert_round_trip(&settings);
    cfi_settings_fini(&settings);
    sources.file_count = 2;
    const char *const set = "data.csv.train=four.csv";
    sources.sets = &set;
    sources.set_count = 1;
    load_all(&sources, &settings);
    snprintf(expected, sizeof expected, "%s/four.csv", working);
    assert_string_equal(settings.data.csv_train, expected);
    snprintf(expected, sizeof expected, "%s/config_test/../three.csv", working);
    assert_string_equal(settings.data.csv_test, expected);
    cfi_settings_fini(&settings);
}

static void a_missing_file_is_not_found(void **state)
{
    (void)state;
    const char *const file = "config_test/nothing.yaml";
    const cfi_config_sources sources = {.files = &file, .file_count = 1};
    cfi_settings settings;
    cfi_problems problems = {0};
    cf_error error = {0};
    assert_int_equal(cfi_config_load(&sources, &settings, &problems, &error), CF_E_NOT_FOUND);
    assert_non_null(strstr(error.text, "config_test/nothing.yaml"));
    assert_int_equal(problems.count, 0);
}

static void more_than_sixteen_files_are_refused(void **state)
{
    (void)state;
    const char *files[CFI_FILE_LAYER_COUNT_MAX + 1];
    for (size_t i = 0; i <= CFI_FILE_LAYER_COUNT_MAX; i++) {
        files[i] = "x.yaml";
    }
    const cfi_config_sources sources = {.files = files, .file_count = CFI_FILE_LAYER_COUNT_MAX + 1};
    cfi_settings settings;
    cfi_problems problems = {0};
    cf_error error = {0};
    assert_int_equal(cfi_config_load(&sources, &settings, &problems, &error), CF_E_LIMIT);
    assert_string_equal(error.text, "too many files laid over each other; at most 16");
}

/* ---- Layers of files ----------------------------------------------------------------------------------- */

/* `over` laid over `base`, as files. */
static void load_two(const char *base, const char *over, cfi_settings *settings)
{
    static const char *const files[] = {"config_test/base.yaml", "config_test/over.yaml"};
    assert_int_equal(cfi_folder_make("config_test", NULL), CF_OK);
    write_file(files[0], base);
    write_file(files[1], over);
    const cfi_config_sources sources = {.files = files, .file_count = 2};
    load_all(&sources, settings);
}

static void later_files_win_key_by_key(void **state)
{
    (void)state;
    cfi_settings settings;
    load_two(SMALLEST "training: {epochs: 3, batch: 32, optimizer: {sgd: {rate: 0.2, momentum: 0.5}}}\n",
             "training:\n  batch: 16\n  sample_grain: 16\n  optimizer: {sgd: {momentum: 0.9}}\nplacement:\n",
             &settings);
    assert_true(settings.training.epochs == 3 && settings.training.batch == 16);
    assert_true(settings.training.optimizer.rate == 0.2 && settings.training.optimizer.momentum == 0.9);
    cfi_settings_fini(&settings);
}

static void a_choice_of_another_kind_is_replaced_whole(void **state)
{
    (void)state;
    cfi_settings settings;
    load_two(SMALLEST "training: {optimizer: {sgd: {rate: 0.2, momentum: 0.5}}}\n",
             "training: {optimizer: adam}\ndata: {csv: {train: a.csv}}\n", &settings);
    assert_true(settings.training.optimizer.kind == CFI_OPTIMIZER_ADAM &&
                settings.training.optimizer.rate == 0.001);
    assert_true(settings.training.optimizer.momentum == 0);
    assert_int_equal(settings.data.kind, CFI_DATA_CSV);
    cfi_settings_fini(&settings);
    load_two(SMALLEST "training: {optimizer: {sgd: {rate: 0.2}}}\n", "training: {optimizer: sgd}\n",
             &settings);
    assert_true(settings.training.optimizer.rate == 0.2);
    cfi_settings_fini(&settings);
}

static void lists_are_replaced_whole(void **state)
{
    (void)state;
    cfi_settings settings;
    load_two(SMALLEST, "network: {layers: [flatten, {dense: {units: 3}}]}\n", &settings);
    assert_int_equal(settings.layer_count, 2);
    assert_int_equal(settings.layers[1].units, 3);
    assert_int_equal(settings.layers[1].mark.file_index, 1);
    cfi_settings_fini(&settings);
}

static void mistakes_of_all_files_are_listed_in_file_order(void **state)
{
    (void)state;
    static const char *const files[] = {"config_test/base.yaml", "config_test/over.yaml"};
    assert_int_equal(cfi_folder_make("config_test", NULL), CF_OK);
    write_file(files[0], SMALLEST "training: {epochs: x}\nsed: 1\n");
    write_file(files[1], "training: {batch: y}\n");
    const char *const set = "training.chain_every=z";
    cfi_config_sources sources = {.files = files, .file_count = 2, .sets = &set, .set_count = 1};
    assert_mistakes(&sources,
                    "config_test/base.yaml:3:20: training.epochs: expected a whole number, not 'x'\n"
                    "config_test/base.yaml:4:1: sed: unknown key (did you mean 'seed'?)\n"
                    "config_test/over.yaml:1:19: training.batch: expected a whole number, not 'y'\n"
                    "--set:0:0: training.chain_every: expected a whole number, not 'z'\n");
    write_file(files[0], "a: [\n");
    write_file(files[1], "b: }\n");
    sources.set_count = 0;
    assert_mistakes(
        &sources,
        "config_test/base.yaml:2:1: : did not find expected node content (while parsing a flow node from "
        "line 2, column 1)\n"
        "config_test/over.yaml:1:4: : did not find expected node content (while parsing a block node from "
        "line 1, column 4)\n");
}

static void the_error_names_the_first_mistake_and_their_number(void **state)
{
    (void)state;
    const cfi_config_sources sources = {.text = "sed: 1\n" SMALLEST "nam: x\n", .text_name = "t.yaml"};
    cfi_settings settings;
    cfi_problems problems = {0};
    cf_error error = {0};
    assert_int_equal(cfi_config_load(&sources, &settings, &problems, &error), CF_E_CONFIG);
    assert_string_equal(error.text,
                        "t.yaml:1:1: sed: unknown key (did you mean 'seed'?) (the first of 2 mistakes)");
    cfi_problems_fini(&problems);
}

/* ---- --set --------------------------------------------------------------------------------------------- */

static void a_set_changes_one_value_and_the_last_one_wins(void **state)
{
    (void)state;
    static const char *const sets[] = {"training.batch=64", "seed=5", "training.batch=32", "name=other",
                                       NULL};
    cfi_settings settings;
    load_text(SMALLEST, sets, &settings);
    assert_true(settings.training.batch == 32 && settings.seed == 5);
    assert_string_equal(settings.name, "other");
    cfi_settings_fini(&settings);
}

static void a_set_reaches_into_lists_and_choices(void **state)
{
    (void)state;
    static const char *const sets[] = {
        "network.layers[0].dense.units=64", "network.layers[0].dense.activation=relu",
        "network.layers[1].dense.units=10", "training.optimizer.adam.rate=0.01", NULL};
    cfi_settings settings;
    load_text(SMALLEST "training: {optimizer: sgd}\n", sets, &settings);
    assert_int_equal(settings.layer_count, 2);
    assert_int_equal(settings.layers[0].units, 64);
    assert_int_equal(settings.layers[0].activation, CFI_ACTIVATION_RELU);
    assert_int_equal(settings.layers[1].units, 10);
    assert_true(settings.training.optimizer.kind == CFI_OPTIMIZER_ADAM &&
                settings.training.optimizer.rate == 0.01);
    cfi_settings_fini(&settings);
}

static void a_network_can_be_made_of_sets_alone(void **state)
{
    (void)state;
    static const char *const sets[] = {
        "data.dataset=mnist", "network.layers[0]={dense: {units: 128, activation: relu}}",
        "network.layers[1]={dropout: {rate: 0.2}}", "network.layers[2]={dense: {units: 10}}",
        "training={epochs: 2, optimizer: {adam: {}}}"};
    const cfi_config_sources sources = {.sets = sets, .set_count = 5, .set_name = "builder"};
    cfi_settings settings;
    load_all(&sources, &settings);
    assert_string_equal(settings.name, "network");
    assert_int_equal(settings.layer_count, 3);
    assert_int_equal(settings.training.epochs, 2);
    assert_int_equal(settings.layers[0].mark.line, 0);
    assert_round_trip(&settings);
    cfi_settings_fini(&settings);
    const cfi_config_sources nothing = {.set_name = "builder"};
    assert_mistakes(&nothing, "builder:0:0: data: required key is missing\n"
                              "builder:0:0: network: required key is missing\n");
}

static void a_wrong_set_is_told_exactly(void **state)
{
    (void)state;
    assert_set_mistake("training.batch", "--set:0:0: : expected path=value, not 'training.batch'\n");
    assert_set_mistake(
        "=3", "--set:0:0: : '' is no path such as training.batch or network.layers[0].dense.units\n");
    assert_set_mistake("training..batch=3",
                       "--set:0:0: : 'training..batch' is no path such as training.batch or "
                       "network.layers[0].dense.units\n");
    assert_set_mistake("network.layers[x]=3",
                       "--set:0:0: : 'network.layers[x]' is no path such as training.batch or "
                       "network.layers[0].dense.units\n");
    assert_set_mistake("network.layers[0]x=3",
                       "--set:0:0: : 'network.layers[0]x' is no path such as training.batch or "
                       "network.layers[0].dense.units\n");
    assert_set_mistake("network.layers[3]=flatten",
                       "--set:0:0: network.layers[3]: [3] is behind the end of a list of 1\n");
    assert_set_mistake("training[0]=3", "--set:0:0: training[0]: there is no list that [0] could be in\n");
    assert_set_mistake("trainig.batch=3", "--set:0:0: trainig: unknown key (did you mean 'training'?)\n");
    assert_set_mistake("training.batch=many",
                       "--set:0:0: training.batch: expected a whole number, not 'many'\n");
    assert_set_mistake("training.batch.size=3",
                       "--set:0:0: training.batch: expected a whole number, not a mapping\n");
    assert_set_mistake("training.batch=",
                       "--set:0:0: training.batch: expected a whole number, not an empty value\n");
    assert_set_mistake("training={batch: 3, batch: 4}", "--set:0:0: training.batch: duplicate key\n");
    assert_set_mistake("training={batch: [}",
                       "--set:0:0: training: did not find expected node content (while parsing a "
                       "flow node from line 1, column 10)\n");
    assert_set_mistake(
        "training.optimizer={sgd: {}, adam: {}}",
        "--set:0:0: training.optimizer.adam: only one of sgd, rmsprop, adam or adamw is allowed, and "
        "'sgd' is here already\n");
}

/* ---- The list of mistakes ------------------------------------------------------------------------------ */

static void problems_are_sorted_and_counted(void **state)
{
    (void)state;
    cfi_problems problems = {0};
    for (int i = 0; i < CFI_PROBLEM_COUNT_MAX + 5; i++) {
        cfi_problems_add(&problems, "f", (cfi_mark){i % 2, 200 - i, 1}, "p", "text %d", i);
    }
    cfi_problems_sort(&problems);
    assert_int_equal(problems.count, CFI_PROBLEM_COUNT_MAX + 1);
    for (size_t i = 1; i < CFI_PROBLEM_COUNT_MAX; i++) {
        const cfi_mark before = problems.items[i - 1].mark, mark = problems.items[i].mark;
        assert_true(before.file_index < mark.file_index ||
                    (before.file_index == mark.file_index && before.line < mark.line));
    }
    assert_string_equal(problems.items[CFI_PROBLEM_COUNT_MAX].text, "and 5 more");
    cfi_problems_fini(&problems);
    assert_int_equal(problems.count, 0);
}

/* ---- Memory and the document --------------------------------------------------------------------------- */

static void fail_each_allocation(const char *text, cf_status last)
{
    const cfi_config_sources sources = {.text = text, .text_name = "t.yaml"};
    cf_status status = CF_E_MEMORY;
    uint64_t count = 0;
    for (; status == CF_E_MEMORY; count++) {
        cfi_settings settings;
        cfi_problems problems = {0};
        cf_error error = {0};
        cfi_alloc_fail_after(count);
        status = cfi_config_load(&sources, &settings, &problems, &error);
        cfi_alloc_fail_after(UINT64_MAX);
        if (status == CF_OK) {
            cfi_settings_fini(&settings);
        } else {
            assert_int_equal(error.code, status);
            assert_true(error.text[0] != '\0');
        }
        cfi_problems_fini(&problems);
    }
    assert_int_equal(status, last);
    assert_true(count > 5);
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    fail_each_allocation(SMALLEST "training: {optimizer: adam}\n", CF_OK);
    fail_each_allocation(SMALLEST "training: {optimizer: adm}\nsed: 2\nname: 3\nname: 4\n", CF_E_CONFIG);
    fail_each_allocation(SMALLEST "placement: {hosts: [{name: x, labels: [a]}], hints: [{together: [source, loss]}]}\n",
                         CF_OK);
    fail_each_allocation("a: [", CF_E_CONFIG);
}

static void the_committed_page_is_what_the_table_makes(void **state)
{
    (void)state;
    char *made = NULL, *page = NULL;
    size_t size = 0;
    assert_int_equal(cfi_config_document(&made, NULL), CF_OK);
    assert_int_equal(cfi_file_read(CF_SOURCE_DIR "/" PAGE, CFI_YAML_SIZE_MAX, &page, &size, NULL), CF_OK);
    if (strcmp(page, made) != 0) {
        write_file("CONFIGURATION.md", made);
        fail_msg(PAGE " differs from the option table; the new page is CONFIGURATION.md in %s",
                 CF_BINARY_DIR);
    }
    cfi_free(page);
    cfi_free(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_file_gets_every_default),
        cmocka_unit_test(layers_land_in_their_fields),
        cmocka_unit_test(training_lands_in_its_fields),
        cmocka_unit_test(placement_lands_in_its_fields),
        cmocka_unit_test(two_hosts_may_not_share_a_name),
        cmocka_unit_test(every_optimizer_and_schedule_takes_its_own_keys),
        cmocka_unit_test(every_bare_word_of_a_choice_is_a_whole_choice),
        cmocka_unit_test(csv_keys_land_in_their_fields),
        cmocka_unit_test(a_quoted_word_is_the_name_of_a_column),
        cmocka_unit_test(odd_texts_survive_the_resolved_file),
        cmocka_unit_test(every_example_loads_and_round_trips),
        cmocka_unit_test(the_name_is_made_from_the_first_file),
        cmocka_unit_test(paths_start_at_the_folder_of_the_file_that_names_them),
        cmocka_unit_test(a_missing_file_is_not_found),
        cmocka_unit_test(more_than_sixteen_files_are_refused),
        cmocka_unit_test(later_files_win_key_by_key),
        cmocka_unit_test(a_choice_of_another_kind_is_replaced_whole),
        cmocka_unit_test(lists_are_replaced_whole),
        cmocka_unit_test(mistakes_of_all_files_are_listed_in_file_order),
        cmocka_unit_test(the_error_names_the_first_mistake_and_their_number),
        cmocka_unit_test(a_set_changes_one_value_and_the_last_one_wins),
        cmocka_unit_test(a_set_reaches_into_lists_and_choices),
        cmocka_unit_test(a_network_can_be_made_of_sets_alone),
        cmocka_unit_test(a_wrong_set_is_told_exactly),
        cmocka_unit_test(problems_are_sorted_and_counted),
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(the_committed_page_is_what_the_table_makes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
