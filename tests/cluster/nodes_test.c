/* Whole clusters of real nodes, as threads over inproc and as processes over Unix sockets, give the chain of `train`;
 * also while their processes are killed. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/alloc.h"
#include "base/file.h"
#include "config/config.h"
#include "engine/compute.h"
#include "engine/train.h"
#include "node/control.h"
#include "node/host.h"
#include "node/supervisor.h"
#include "plan/place.h"

enum { STEPS = 200, KILL_STEPS = 3000, KILLS = 12, PATIENCE_MS = 20000, NODES_MAX = 32 };

typedef struct fixture {
    cfi_settings settings;
    cfi_graph graph;
    cfi_dataset dataset;
    cfi_cluster cluster;
    cfi_compute_ops compute;
    char folder[64];
} fixture;

static void ignore_problem(void *user, cfi_mark mark, const char *path, const char *text)
{
    (void)user;
    (void)mark;
    print_error("%s: %s\n", path, text);
}

static void read_network(fixture *f, const char *file, const char *cut)
{
    const cfi_config_sources sources = {.files = &file, .file_count = 1, .sets = &cut, .set_count = 1};
    cfi_problems problems = {0};
    cf_error error = {0};
    int64_t shape[3], classes = 0;
    if (cfi_config_load(&sources, &f->settings, &problems, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(cfi_dataset_shape(&f->settings.data, shape, &classes, &error), CF_OK);
    assert_int_equal(cfi_graph_build(&f->settings, (cfi_shape){shape[0], shape[1], shape[2]}, classes, ignore_problem,
                                     NULL, &f->graph, &error), CF_OK);
    assert_int_equal(cfi_dataset_load(&f->settings.data, &f->dataset, &error), CF_OK);
    assert_int_equal(cfi_native_compute(&f->compute, &error), CF_OK);
}

static void write_file(const fixture *f, const char *name, const char *text)
{
    char path[128];
    const cfi_file_part part = {text, strlen(text)};
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    assert_int_equal(cfi_file_replace(path, &part, 1, NULL), CF_OK);
}

static void make_cluster(fixture *f, const char *scheme, int64_t steps)
{
    cf_error error = {0};
    char *text = NULL, path[128];
    const cfi_cluster_options options = {.settings = &f->settings, .graph = &f->graph,
                                         .train_count = f->dataset.train.count, .test_count = f->dataset.test.count,
                                         .steps = steps};
    if (f->folder[0] == '\0') {
        strcpy(f->folder, "/tmp/cf-nodes-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
    }
    if (cfi_cluster_plan(&options, &f->cluster, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    assert_in_range(f->cluster.container_count, 8, NODES_MAX); /* several shards, beside the four other units */
    f->cluster.run[0] = 17;
    f->cluster.run[1] = (uint64_t)getpid();
    f->cluster.digest = 4711;
    for (int c = 0; c < f->cluster.container_count; c++) {
        cfi_container *container = &f->cluster.containers[c];
        snprintf(container->endpoint, sizeof container->endpoint, "%s%s", scheme, container->name);
    }
    assert_int_equal(cfi_cluster_print(&f->cluster, &text, &error), CF_OK);
    write_file(f, "plan.json", text);
    write_file(f, "network.yaml", f->settings.resolved_yaml);
    cfi_free(text);
    snprintf(path, sizeof path, "%s/c", f->folder);
    assert_int_equal(cfi_folder_make(path, NULL), CF_OK);
}

static int setup(void **state)
{
    fixture *f = cfi_calloc(1, sizeof *f);
    assert_non_null(f);
    read_network(f, CF_SOURCE_DIR "/examples/xor/xor.yaml", "placement.neurons_per_container=1");
    *state = f;
    return 0;
}

/* Images of SIDE by SIDE, a bright quarter for each label, and their labels, in the format of MNIST. */
static void write_pictures(const char *folder, const char *name, int count)
{
    enum { SIDE = 12, LABELS = 4 };
    char path[128];
    snprintf(path, sizeof path, "%s/%s-images", folder, name);
    FILE *images = fopen(path, "wbe");
    snprintf(path, sizeof path, "%s/%s-labels", folder, name);
    FILE *labels = fopen(path, "wbe");
    assert_true(images != NULL && labels != NULL);
    const unsigned char image_head[16] = {0, 0, 8, 3, 0, 0, (unsigned char)(count >> 8), (unsigned char)count,
                                          0, 0, 0, SIDE, 0, 0, 0, SIDE};
    const unsigned char label_head[8] = {0, 0, 8, 1, 0, 0, (unsigned char)(count >> 8), (unsigned char)count};
    fwrite(image_head, 1, sizeof image_head, images);
    fwrite(label_head, 1, sizeof label_head, labels);
    for (int i = 0; i < count; i++) {
        const int label = i * 7 % LABELS;
        fputc(label, labels);
        for (int p = 0; p < SIDE * SIDE; p++) {
            const int quarter = p % SIDE / (SIDE / 2) + 2 * (p / SIDE / (SIDE / 2));
            fputc((i * 31 + p * 17) % 90 + (quarter == label ? 120 : 0), images);
        }
    }
    assert_true(fclose(images) == 0 && fclose(labels) == 0);
}

static const char pictures_network[] =
    "name: pictures\nseed: 2\n"
    "data:\n  idx: {train_images: train-images, train_labels: train-labels,\n"
    "        test_images: test-images, test_labels: test-labels}\n"
    "network:\n  layers:\n"
    "    - conv2d: {name: conv1, filters: 3, kernel: 3, padding: same, activation: relu}\n"
    "    - max_pool: {size: 2}\n"
    "    - conv2d: {name: conv2, filters: 6, kernel: 3, padding: valid, activation: relu}\n"
    "    - avg_pool: {size: 2}\n    - flatten\n"
    "    - dense: {name: dense1, units: 10, activation: relu}\n    - dense: {name: output, units: 4}\n"
    "  loss: softmax_cross_entropy\n"
    "training: {epochs: 20, batch: 32, sample_grain: 8, micro_batches: 2, clip_norm: 0.5, optimizer: {adam: {}}}\n";

static int setup_pictures(void **state)
{
    char path[128], command[128];
    fixture *f = cfi_calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->folder, "/tmp/cf-pictures-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    write_pictures(f->folder, "train", 320);
    write_pictures(f->folder, "test", 80);
    write_file(f, "network.yaml", pictures_network);
    snprintf(path, sizeof path, "%s/network.yaml", f->folder);
    read_network(f, path, "placement.neurons_per_container={conv1: 1, conv2: 2, dense1: 5, output: all}");
    snprintf(command, sizeof command, "rm '%s/network.yaml'", f->folder);
    *state = f;
    return system(command);
}

static int setup_nielsen(void **state)
{
    const char *data = getenv("CUTTLEFISH_DATA");
    fixture *f = NULL;
    if (data != NULL && data[0] != '\0') {
        f = cfi_calloc(1, sizeof *f);
        assert_non_null(f);
        read_network(f, CF_SOURCE_DIR "/examples/mnist/nielsen.yaml", "placement.neurons_per_container=4");
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[128];
    if (f == NULL) {
        return 0;
    }
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    cfi_cluster_fini(&f->cluster);
    cfi_dataset_fini(&f->dataset);
    cfi_graph_fini(&f->graph);
    cfi_settings_fini(&f->settings);
    cfi_free(f);
    return system(command) == 0 ? 0 : -1;
}

static void nap(int milliseconds)
{
    const struct timespec pause_time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&pause_time, NULL);
}

/* The controller's unit in its node's status; NULL: it does not answer now. */
static json_t *ask_controller(const fixture *f)
{
    char path[256], *text = NULL;
    size_t size = 0;
    const int container = f->cluster.units[CFI_UNIT_INDEX_CONTROLLER].container;
    snprintf(path, sizeof path, "%s/c/%s", f->folder, f->cluster.containers[container].name);
    if (cfi_control_ask(path, "status", NULL, NULL, 0, PATIENCE_MS, &text, &size, NULL) != CF_OK) {
        return NULL;
    }
    json_t *root = json_loadb(text, size, 0, NULL);
    cfi_free(text);
    json_t *unit = json_incref(json_array_get(json_object_get(root, "units"), 0));
    json_decref(root);
    return unit;
}

static void await_chain(const fixture *f, char chain[CFI_HASH_TEXT_SIZE])
{
    bool is_finished = false;
    while (!is_finished) {
        json_t *unit = ask_controller(f);
        is_finished = json_is_true(json_object_get(unit, "finished"));
        assert_false(json_is_true(json_object_get(unit, "failed")));
        if (is_finished) {
            snprintf(chain, CFI_HASH_TEXT_SIZE, "%s", json_string_value(json_object_get(unit, "chain")));
        }
        json_decref(unit);
        nap(2);
    }
}

static void check_chain(const fixture *f, const char *chain, int64_t steps)
{
    cf_train_result result;
    cf_error error = {0};
    const cfi_train_job job = {.settings = &f->settings, .graph = &f->graph, .dataset = &f->dataset,
                               .options = {.steps = steps, .threads = 1}};
    if (cfi_train(&job, &result, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    assert_string_equal(chain, result.chain);
}

static void *run_host(void *host)
{
    return (void *)(intptr_t)cfi_host_run(host);
}

static void train_by_threads(fixture *f, int64_t steps)
{
    cfi_node_host *hosts[NODES_MAX] = {NULL};
    pthread_t threads[NODES_MAX];
    char chain[CFI_HASH_TEXT_SIZE] = "";
    cf_error error = {0};
    signal(SIGPIPE, SIG_IGN);
    make_cluster(f, "inproc://", steps);
    for (int c = 0; c < f->cluster.container_count; c++) {
        const cfi_host_options options = {.folder = f->folder, .container = f->cluster.containers[c].name,
                                          .compute = &f->compute, .boot = 1000u * (unsigned)(c + 1), .store = "memory"};
        if (cfi_host_new(&options, &hosts[c], &error) != CF_OK) {
            fail_msg("%s", error.text);
        }
    }
    for (int c = 0; c < f->cluster.container_count; c++) {
        assert_int_equal(pthread_create(&threads[c], NULL, run_host, hosts[c]), 0);
    }
    await_chain(f, chain);
    for (int c = 0; c < f->cluster.container_count; c++) {
        void *code = NULL;
        cfi_host_stop(hosts[c]);
        assert_int_equal(pthread_join(threads[c], &code), 0);
        assert_int_equal((intptr_t)code, CFI_NODE_STOPPED);
    }
    for (int c = 0; c < f->cluster.container_count; c++) {
        cfi_host_free(hosts[c]);
    }
    check_chain(f, chain, steps);
}

static void threads_over_inproc_give_the_chain_of_train(void **state)
{
    train_by_threads(*state, STEPS);
}

static void convolutions_cut_by_channel_give_the_chain_of_train(void **state)
{
    train_by_threads(*state, STEPS / 2);
}

static void mnist_by_threads_gives_the_chain_of_train(void **state)
{
    if (*state == NULL) {
        skip();
    }
    train_by_threads(*state, STEPS / 2);
}

static pid_t start_supervisor(const fixture *f)
{
    const pid_t pid = fork();
    if (pid == 0) {
        const cfi_supervisor_options options = {.folder = f->folder, .compute = &f->compute};
        _exit(cfi_supervisor_run(&options));
    }
    assert_true(pid > 0);
    return pid;
}

/* Kills the process of the container with that number, if it has one now. */
static bool kill_one(const char *supervisor, int number)
{
    char *text = NULL;
    size_t size = 0;
    if (cfi_control_ask(supervisor, "status", NULL, NULL, 0, PATIENCE_MS, &text, &size, NULL) != CF_OK) {
        return false;
    }
    json_t *root = json_loadb(text, size, 0, NULL), *list = json_object_get(root, "containers");
    cfi_free(text);
    const size_t place = (size_t)number % json_array_size(list);
    const int pid = (int)json_integer_value(json_object_get(json_array_get(list, place), "pid"));
    json_decref(root);
    return pid > 0 && kill(pid, SIGKILL) == 0;
}

static void killed_processes_over_unix_sockets_give_the_chain_of_train(void **state)
{
    fixture *f = *state;
    char supervisor[128], chain[CFI_HASH_TEXT_SIZE] = "", *answer = NULL;
    size_t size = 0;
    int wait_status = 0, kills = 0;
    make_cluster(f, "ipc://s/", KILL_STEPS);
    const pid_t pid = start_supervisor(f);
    snprintf(supervisor, sizeof supervisor, "%s/c/supervisor", f->folder);
    for (int i = 0; kills < KILLS; i++) {
        kills += kill_one(supervisor, i * 5) ? 1 : 0;
        nap(40);
    }
    await_chain(f, chain);
    assert_int_equal(cfi_control_ask(supervisor, "stop", NULL, NULL, 0, PATIENCE_MS, &answer, &size, NULL), CF_OK);
    cfi_free(answer);
    assert_int_equal(waitpid(pid, &wait_status, 0), pid);
    assert_true(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0);
    check_chain(f, chain, KILL_STEPS);
}

/* ---- A hostile process at a node's queue ---- */

/* A gradient-sized lie: a value that the shard waits for, but of another run, network or plan. */
static void send_lie(const fixture *f, cfi_transport *transport, uint32_t target, uint64_t step, int kind)
{
    const cfi_cluster *cluster = &f->cluster;
    cfi_frame_header header = {.kind = CFI_FRAME_FORWARD, .run = {cluster->run[0], cluster->run[1]},
                               .digest = cluster->digest, .plan = cluster->id, .epoch = 1,
                               .source_unit = CFI_UNIT_INDEX_SOURCE, .source_incarnation = 9, .target_unit = target,
                               .tensor = CFI_TENSOR_INPUT, .step = step, .rows = 4, .cols = 2,
                               .flags = CFI_FRAME_SAMPLES};
    cfi_frame *frame = NULL;
    header.run[1] += kind == 0;
    header.digest += kind == 1;
    header.plan += kind == 2 ? 7 : 0;
    assert_int_equal(cfi_frame_new(&header, 8 * sizeof(float), &frame, NULL), CF_OK);
    memset(cfi_frame_payload(frame), 0x3f, 8 * sizeof(float));
    cfi_frame_seal(frame);
    (void)!transport->ops->send(transport->self, 0, frame, NULL);
    cfi_frame_unref(frame);
}

/* Node status of a unit's container. */
static json_t *ask_node(const fixture *f, int unit)
{
    char path[256], *text = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/c/%s", f->folder, f->cluster.containers[f->cluster.units[unit].container].name);
    assert_int_equal(cfi_control_ask(path, "status", NULL, NULL, 0, PATIENCE_MS, &text, &size, NULL), CF_OK);
    json_t *root = json_loadb(text, size, 0, NULL);
    cfi_free(text);
    assert_non_null(root);
    return root;
}

/* Lines of the container's log with that text. */
static int count_lines(const fixture *f, int unit, const char *text)
{
    char path[256], line[1024];
    int count = 0;
    snprintf(path, sizeof path, "%s/logs/%s.log", f->folder,
             f->cluster.containers[f->cluster.units[unit].container].name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        count += strstr(line, text) != NULL;
    }
    fclose(file);
    return count;
}

static int first_shard(const fixture *f)
{
    int unit = 0;
    while (f->cluster.units[unit].kind != CFI_UNIT_SHARD) {
        unit++;
    }
    return unit;
}

static void frames_of_strangers_are_dropped_and_counted(void **state)
{
    enum { LIES = 60 };
    fixture *f = *state;
    char supervisor[128], chain[CFI_HASH_TEXT_SIZE] = "", own[128], *answer = NULL;
    cfi_transport transport = {0};
    cf_error error = {0};
    size_t size = 0;
    int wait_status = 0;
    make_cluster(f, "ipc://s/", KILL_STEPS);
    const int unit = first_shard(f);
    const pid_t pid = start_supervisor(f);
    snprintf(supervisor, sizeof supervisor, "%s/c/supervisor", f->folder);
    json_t *unit_status = NULL;
    while ((unit_status = ask_controller(f)) == NULL) {
        nap(10);
    }
    json_decref(unit_status);
    snprintf(own, sizeof own, "ipc://%s/stranger", f->folder);
    const cfi_transport_options options = {.endpoint = own};
    assert_int_equal(cfi_transport_open("zeromq", &options, &transport, &error), CF_OK);
    char endpoint[128];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/%s", f->folder,
             f->cluster.containers[f->cluster.units[unit].container].endpoint + strlen("ipc://"));
    assert_int_equal(transport.ops->connect(transport.self, 0, endpoint, &error), CF_OK);
    int64_t foreign = 0, stale = 0;
    for (int sent = 0; foreign < LIES || stale < LIES / 2; sent++) {
        send_lie(f, &transport, (uint32_t)unit, (uint64_t)(sent * 7 % KILL_STEPS), sent % 3);
        nap(2);
        if (sent % 30 == 0) {
            json_t *node = ask_node(f, unit);
            foreign = json_integer_value(json_object_get(json_object_get(node, "transport"), "foreign"));
            stale = json_integer_value(json_object_get(json_array_get(json_object_get(node, "units"), 0), "stale"));
            json_decref(node);
        }
    }
    await_chain(f, chain);
    assert_int_equal(count_lines(f, unit, "refused: a "), 1);
    cfi_transport_close(&transport);
    assert_int_equal(cfi_control_ask(supervisor, "stop", NULL, NULL, 0, PATIENCE_MS, &answer, &size, NULL), CF_OK);
    cfi_free(answer);
    assert_int_equal(waitpid(pid, &wait_status, 0), pid);
    assert_true(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0);
    check_chain(f, chain, KILL_STEPS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(threads_over_inproc_give_the_chain_of_train, setup, teardown),
        cmocka_unit_test_setup_teardown(convolutions_cut_by_channel_give_the_chain_of_train, setup_pictures, teardown),
        cmocka_unit_test_setup_teardown(mnist_by_threads_gives_the_chain_of_train, setup_nielsen, teardown),
        cmocka_unit_test_setup_teardown(killed_processes_over_unix_sockets_give_the_chain_of_train, setup, teardown),
        cmocka_unit_test_setup_teardown(frames_of_strangers_are_dropped_and_counted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
