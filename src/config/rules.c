/* What must hold between keys. A rule is skipped when a value that it needs is bad already. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/check.h"

static const cfi_place top = {NULL, NULL, 0};

/* The node at a dotted path without indices; NULL when it is missing or has a mistake. */
static cfi_yaml_node *find_good(cfi_yaml_node *root, const char *path)
{
    cfi_yaml_node *node = root;
    while (node != NULL && *path != '\0') {
        char key[CFI_NAME_SIZE_MAX];
        const size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        node = cfi_yaml_get(node, key);
        path += path[length] == '.' ? length + 1 : length;
    }
    return node != NULL && !node->bad ? node : NULL;
}

/* ---- Training ------------------------------------------------------------------------------------------ */

/* Whether this many micro-batches cut the batch only between leaves of the sample tree. */
static bool is_aligned(const cfi_training_settings *training, int64_t micro_batches)
{
    return micro_batches == 1 || (training->batch % micro_batches == 0 &&
                                  training->batch / micro_batches % training->sample_grain == 0);
}

static void check_micro_batches(cfi_checker *check, cfi_yaml_node *root)
{
    static const cfi_place place = {&top, "training.micro_batches", 0};
    const cfi_training_settings *training = &check->settings->training;
    cfi_yaml_node *node = find_good(root, "training.micro_batches");
    if (node == NULL || find_good(root, "training.batch") == NULL ||
        find_good(root, "training.sample_grain") == NULL || is_aligned(training, training->micro_batches)) {
        return;
    }
    int64_t fitting = training->micro_batches < training->batch ? training->micro_batches : training->batch;
    while (!is_aligned(training, fitting)) {
        fitting--;
    }
    if (training->batch % training->micro_batches != 0) {
        cfi_check_problem(check, node, &place,
                          "a batch of %" PRId64 " does not divide into %" PRId64
                          " micro-batches: use %" PRId64,
                          training->batch, training->micro_batches, fitting);
        return;
    }
    const int64_t rows = training->batch / training->micro_batches;
    cfi_check_problem(check, node, &place,
                      "micro-batches of %" PRId64 " samples are no multiples of sample_grain %" PRId64
                      ": use micro_batches %" PRId64 ", or sample_grain %" PRId64,
                      rows, training->sample_grain, fitting, rows & -rows);
}

static void check_training(cfi_checker *check, cfi_yaml_node *root)
{
    static const cfi_place nesterov_place = {&top, "training.optimizer.sgd.nesterov", 0};
    static const cfi_place patience_place = {&top, "training.early_stopping.patience", 0};
    const cfi_training_settings *training = &check->settings->training;
    cfi_yaml_node *nesterov = find_good(root, "training.optimizer.sgd.nesterov");
    cfi_yaml_node *patience = find_good(root, "training.early_stopping.patience");
    check_micro_batches(check, root);
    if (nesterov != NULL && training->optimizer.nesterov && training->optimizer.momentum <= 0 &&
        find_good(root, "training.optimizer.sgd.momentum") != NULL) {
        cfi_check_problem(check, nesterov, &nesterov_place, "needs a momentum above 0");
    }
    if (patience != NULL && training->patience > 0 && check->settings->data.validation == 0 &&
        find_good(root, "data.validation") != NULL) {
        cfi_check_problem(check, patience, &patience_place,
                          "needs validation samples: set data.validation above 0");
    }
}

static void check_data(cfi_checker *check, cfi_yaml_node *root)
{
    static const char *const paths[] = {"data.idx.test_images", "data.idx.test_labels"};
    const cfi_yaml_entry *data = cfi_yaml_find(root, "data");
    if (data != NULL) {
        check->settings->data.mark = data->key->mark;
    }
    for (size_t i = 0; i < 2; i++) {
        const cfi_place place = {&top, paths[i], 0};
        const char *other = paths[1 - i] + strlen("data.idx.");
        cfi_yaml_node *node = find_good(root, paths[i]);
        if (node != NULL && cfi_yaml_get(cfi_yaml_get(cfi_yaml_get(root, "data"), "idx"), other) == NULL) {
            cfi_check_problem(check, node, &place, "needs '%s' beside it", other);
        }
    }
}

/* ---- Names of layers ----------------------------------------------------------------------------------- */

static bool is_reserved(const char *name)
{
    return strcmp(name, "loss") == 0 || strcmp(name, "source") == 0;
}

/* Every plan has units of these names. */
static bool is_taken(const char *name)
{
    return is_reserved(name) || strcmp(name, "controller") == 0 || strcmp(name, "store") == 0;
}

static int find_layer(const cfi_settings *settings, const char *name)
{
    for (int i = 0; i < settings->layer_count; i++) {
        if (strcmp(settings->layers[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* False when a layer has no name because it is wrong itself. */
static bool check_layer_names(cfi_checker *check, cfi_yaml_node *root)
{
    const cfi_place network = {&top, "network", 0}, layers = {&network, "layers", 0};
    const cfi_yaml_node *list = find_good(root, "network.layers");
    bool complete = list != NULL && check->settings->layer_count > 0;
    for (int i = 0; i < check->settings->layer_count && list != NULL; i++) {
        const char *name = check->settings->layers[i].name;
        const cfi_yaml_node *item = list->entries[i].value;
        if (name[0] == '\0' || item->kind != CFI_YAML_MAPPING || item->count == 0) {
            complete = false;
            continue;
        }
        const cfi_place place = {&layers, NULL, (size_t)i}, kind = {&place, item->entries[0].key->text, 0};
        const cfi_place key = {&kind, "name", 0};
        cfi_yaml_node *node = cfi_yaml_get(item->entries[0].value, "name");
        if (node != NULL && is_taken(name)) {
            cfi_check_problem(check, node, &key, "'%s' is taken: it stands for the %s itself", name, name);
        } else if (node != NULL && find_layer(check->settings, name) < i) {
            cfi_check_problem(check, node, &key, "the name '%s' is that of network.layers[%d] already", name,
                              find_layer(check->settings, name));
        }
    }
    return complete;
}

static void report_unknown_layer(cfi_checker *check, cfi_yaml_node *node, const cfi_place *place,
                                 const char *name)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX;
    for (int i = 0; i < check->settings->layer_count; i++) {
        const size_t distance = cfi_edit_distance(name, check->settings->layers[i].name);
        if (distance < best) {
            best = distance;
            nearest = check->settings->layers[i].name;
        }
    }
    char shown[CFI_SHOWN_SIZE];
    cfi_problems_show(shown, name);
    if (nearest != NULL && cfi_option_is_close(best, name)) {
        cfi_check_problem(check, node, place, "there is no layer '%s' (did you mean '%s'?)", shown, nearest);
    } else {
        cfi_check_problem(check, node, place, "there is no layer '%s'", shown);
    }
}

/* The layer `name` when it has neurons of its own; reports when not. */
static const cfi_layer_settings *find_neurons(cfi_checker *check, cfi_yaml_node *node, const cfi_place *place,
                                              const char *name)
{
    const int index = find_layer(check->settings, name);
    if (index < 0) {
        report_unknown_layer(check, node, place, name);
        return NULL;
    }
    const cfi_layer_settings *layer = &check->settings->layers[index];
    if (layer->kind != CFI_LAYER_DENSE && layer->kind != CFI_LAYER_CONV2D) {
        cfi_check_problem(check, node, place,
                          "layer '%s' has no neurons of its own: it goes with the layer before it", name);
        return NULL;
    }
    return layer;
}

/* ---- Placement ----------------------------------------------------------------------------------------- */

/* The number behind the dot of "hidden.3"; -1 when it is none. */
static int64_t neuron_index(const char *digits)
{
    const size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > 9 || digits[count] != '\0') {
        return -1;
    }
    int64_t index = 0;
    for (; *digits != '\0'; digits++) {
        index = index * 10 + (*digits - '0');
    }
    return index;
}

static void check_neuron(cfi_checker *check, cfi_yaml_node *node, const cfi_place *place)
{
    const char *dot = strchr(node->text, '.');
    char name[CFI_NAME_SIZE_MAX], shown[CFI_SHOWN_SIZE];
    cfi_problems_show(shown, node->text);
    if (dot == NULL || dot - node->text >= CFI_NAME_SIZE_MAX || neuron_index(dot + 1) < 0) {
        cfi_check_problem(check, node, place, "expected a neuron as layer.index, from 0, not '%s'", shown);
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)(dot - node->text), node->text);
    const cfi_layer_settings *layer = find_neurons(check, node, place, name);
    if (layer != NULL && layer->units > 0 && neuron_index(dot + 1) >= layer->units) {
        cfi_check_problem(check, node, place, "layer '%s' has the neurons 0 to %" PRId64 ", not '%s'", name,
                          layer->units - 1, shown);
    }
}

/* A layer, a neuron, source or loss. */
static void check_member(cfi_checker *check, cfi_yaml_node *node, const cfi_place *place)
{
    if (node->bad || node->kind != CFI_YAML_SCALAR || is_reserved(node->text)) {
        return;
    }
    if (strchr(node->text, '.') != NULL) {
        check_neuron(check, node, place);
    } else {
        (void)find_neurons(check, node, place, node->text);
    }
}

static void check_members(cfi_checker *check, const cfi_yaml_node *list, const cfi_place *hint,
                          const char *key)
{
    const cfi_place place = {hint, key, 0};
    for (size_t i = 0; list != NULL && list->kind == CFI_YAML_SEQUENCE && i < list->count; i++) {
        const cfi_place step = {&place, NULL, i};
        check_member(check, list->entries[i].value, &step);
    }
}

static void check_hint(cfi_checker *check, cfi_yaml_node *hint, const cfi_place *place)
{
    static const char *const wheres[] = {"zone", "host", "label"};
    const cfi_place layer_place = {place, "layer", 0}, neuron_place = {place, "neuron", 0};
    cfi_yaml_node *layer = cfi_yaml_get(hint, "layer"), *neuron = cfi_yaml_get(hint, "neuron");
    const bool single = layer != NULL || neuron != NULL;
    cfi_yaml_node *where = NULL;
    for (size_t i = 0; i < 3; i++) {
        const cfi_place where_place = {place, wheres[i], 0};
        where = cfi_yaml_get(hint, wheres[i]) != NULL ? cfi_yaml_get(hint, wheres[i]) : where;
        if (!single && cfi_yaml_find(hint, wheres[i]) != NULL) {
            cfi_check_problem(check, cfi_yaml_find(hint, wheres[i])->key, &where_place,
                              "goes with layer or neuron only");
        }
    }
    if (single && where == NULL) {
        cfi_check_problem(check, hint, place, "one of zone, host or label is needed");
    }
    if (layer != NULL) {
        check_member(check, layer, &layer_place);
    }
    if (neuron != NULL && !neuron->bad) {
        check_neuron(check, neuron, &neuron_place);
    }
    check_members(check, cfi_yaml_get(hint, "together"), place, "together");
    check_members(check, cfi_yaml_get(hint, "apart"), place, "apart");
}

/* What each layer says, or the file for all; a mapping leaves out layers that stay whole. */
static void land_neurons_per_container(cfi_settings *settings, const cfi_yaml_node *numbers)
{
    for (int i = 0; i < settings->layer_count; i++) {
        cfi_layer_settings *layer = &settings->layers[i];
        const cfi_yaml_node *own = cfi_yaml_get(numbers, layer->name);
        const int64_t number = own != NULL && own->kind == CFI_YAML_SCALAR ? neuron_index(own->text) : 0;
        layer->neurons_per_container = own == NULL ? settings->placement.neurons_per_container
                                                   : number > 0 ? number : 0;
    }
}

static void check_hosts(cfi_checker *check, cfi_yaml_node *root)
{
    static const cfi_place placement = {&top, "placement", 0}, hosts = {&placement, "hosts", 0};
    const cfi_placement_settings *settings = &check->settings->placement;
    const cfi_yaml_node *list = find_good(root, "placement.hosts");
    for (int i = 0; list != NULL && i < settings->host_count; i++) {
        for (int j = 0; j < i; j++) {
            cfi_yaml_node *name = cfi_yaml_get(list->entries[i].value, "name");
            if (name != NULL && strcmp(settings->hosts[i].name, settings->hosts[j].name) == 0 && !name->bad) {
                const cfi_place step = {&hosts, NULL, (size_t)i}, key = {&step, "name", 0};
                cfi_check_problem(check, name, &key, "the name '%s' is that of placement.hosts[%d] already",
                                  settings->hosts[i].name, j);
            }
        }
    }
}

static void check_placement(cfi_checker *check, cfi_yaml_node *root)
{
    const cfi_place placement = {&top, "placement", 0};
    const cfi_place per_layer = {&placement, "neurons_per_container", 0}, hints = {&placement, "hints", 0};
    const cfi_yaml_node *numbers = find_good(root, "placement.neurons_per_container");
    const cfi_yaml_node *list = find_good(root, "placement.hints");
    for (size_t i = 0; numbers != NULL && numbers->kind == CFI_YAML_MAPPING && i < numbers->count; i++) {
        cfi_yaml_node *key = numbers->entries[i].key;
        const cfi_place step = {&per_layer, key->text, 0};
        (void)find_neurons(check, key, &step, key->text);
    }
    land_neurons_per_container(check->settings, numbers);
    for (size_t i = 0; list != NULL && list->kind == CFI_YAML_SEQUENCE && i < list->count; i++) {
        const cfi_place step = {&hints, NULL, i};
        cfi_yaml_node *hint = list->entries[i].value;
        if (hint->kind == CFI_YAML_MAPPING && !hint->bad) {
            check_hint(check, hint, &step);
        }
    }
}

cf_status cfi_check_rules(cfi_checker *check, cfi_yaml_node *root)
{
    const cfi_yaml_node *engine = find_good(root, "engine"), *loss = find_good(root, "network.loss");
    check->settings->engine_tensorflow = engine != NULL && strcmp(engine->text, "tensorflow") == 0;
    if (loss != NULL) {
        check->settings->loss_mark = loss->mark;
    }
    check_data(check, root);
    check_training(check, root);
    check_hosts(check, root);
    if (check_layer_names(check, root)) {
        check_placement(check, root);
    }
    return CF_OK;
}
