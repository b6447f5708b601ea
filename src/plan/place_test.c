#include "plan/place.h"

#include "plan/cluster_check.h"
#include "plan/cost.h"
#include "plan/cut.h"
#include "plan/plan_fixture.h"
#include "plan/schedule.h"

/* Planning must fail with `code` and a text that holds `part`. */
static void assert_refused(const network *n, int containers, cf_status code, const char *part)
{
    const cfi_cluster_options options = network_options(n, containers);
    cfi_cluster cluster;
    cf_error error = {0};
    assert_int_equal(cfi_cluster_plan(&options, &cluster, &error), code);
    if (strstr(error.text, part) == NULL) {
        fail_msg("'%s' is not in: %s", part, error.text);
    }
}

/* The containers' names, joined by spaces. */
static void assert_containers(const cfi_cluster *cluster, const char *expected)
{
    char names[4096] = "";
    for (int i = 0; i < cluster->container_count; i++) {
        const size_t length = strlen(names);
        snprintf(names + length, sizeof names - length, "%s%s", i > 0 ? " " : "", cluster->containers[i].name);
    }
    assert_string_equal(names, expected);
    assert_int_equal(cfi_cluster_check(cluster, NULL), CF_OK);
}

/* Plans for `containers` with up to three --set and compares the containers' names. */
static void assert_plan(const char *const *sets, int containers, const char *expected)
{
    network n;
    cfi_cluster cluster;
    mnist_init(&n, sets);
    plan_for(&n, containers, &cluster);
    assert_containers(&cluster, expected);
    cfi_cluster_fini(&cluster);
    network_fini(&n);
}

static void assert_sets_refused(const char *const *sets, int containers, cf_status code, const char *part)
{
    network n;
    mnist_init(&n, sets);
    assert_refused(&n, containers, code, part);
    network_fini(&n);
}

#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- The cut ---- */

static void the_file_says_how_many_neurons_a_container_holds(void **state)
{
    (void)state;
    assert_plan(NULL, 0, "controller store source loss hidden output");
    assert_plan(SETS("placement.neurons_per_container={hidden: 12}"), 0,
                "controller store source loss hidden.0-11 hidden.12-23 hidden.24-29 output");
    assert_plan(SETS("placement.neurons_per_container={hidden: 1000, output: 5}"), 0,
                "controller store source loss hidden output.0-4 output.5-9");
}

static void one_neuron_for_each_container_makes_forty_two(void **state)
{
    (void)state;
    static const char *const one[] = {"placement.neurons_per_container=1", NULL};
    for (int i = 0; i < 2; i++) {
        network n;
        cfi_cluster cluster;
        mnist_init(&n, i == 0 ? one : NULL);
        plan_for(&n, i == 0 ? 0 : 42, &cluster);
        assert_int_equal(cluster.container_count, 44);
        assert_int_equal(cluster.unit_count, 44);
        assert_string_equal(cluster.containers[43].name, "output.9");
        assert_int_equal(cfi_cluster_check(&cluster, NULL), CF_OK);
        cfi_cluster_fini(&cluster);
        network_fini(&n);
    }
}

static void any_number_of_containers_is_met_exactly(void **state)
{
    (void)state;
    network n;
    mnist_init(&n, NULL);
    for (int count = 1; count <= 42; count++) {
        cfi_cluster cluster;
        plan_for(&n, count, &cluster);
        assert_int_equal(cluster.container_count, count + 2);
        assert_int_equal(cfi_cluster_check(&cluster, NULL), CF_OK);
        cfi_cluster_fini(&cluster);
    }
    assert_refused(&n, 43, CF_E_USAGE, "at most 42");
    assert_refused(&n, -1, CF_E_USAGE, "-1 is no number");
    network_fini(&n);
    assert_plan(NULL, 1, "controller store source+3");
    assert_plan(NULL, 2, "controller store source+1 loss+1");
    assert_plan(NULL, 5, "controller store source loss hidden.0-14 hidden.15-29 output");
}

static void a_cut_beside_the_grain_names_the_cure(void **state)
{
    (void)state;
    assert_sets_refused(SETS("network.layers[0].dense.units=128", "placement.neurons_per_container={hidden: 48}"), 0,
                        CF_E_CONFIG,
                        "48 neurons of layer 'hidden' are no multiple of its grain 32: use 32 or 64, or write "
                        "grain: 16");
    assert_sets_refused(SETS("network.layers[0].dense.units=128", "placement.neurons_per_container={hidden: 5}"), 0,
                        CF_E_CONFIG, "use 32, or write grain: 1 into");
    assert_plan(SETS("network.layers[0].dense.units=100", "placement.neurons_per_container={hidden: 64}"), 0,
                "controller store source loss hidden.0-63 hidden.64-99 output");
}

static void convolutions_are_cut_by_channel(void **state)
{
    (void)state;
    network n;
    cfi_cluster cluster;
    network_init(&n,
                 "data: {dataset: mnist}\nnetwork: {layers: [{conv2d: {name: c, filters: 6, kernel: 5}}, {max_pool: "
                 "{size: 2}}, flatten, {dense: {name: d, units: 10}}]}\n"
                 "placement: {neurons_per_container: {c: 4}}\n",
                 NULL, (cfi_shape){1, 28, 28});
    plan_for(&n, 0, &cluster);
    assert_containers(&cluster, "controller store source loss c.0-3 c.4-5 d");
    cfi_cluster_fini(&cluster);
    network_fini(&n);
}

/* ---- Work ---- */

static void work_follows_from_settings_and_data(void **state)
{
    (void)state;
    network n;
    cfi_cluster cluster;
    mnist_init(&n, SETS("data.validation=10000", "training.epochs=3", "persist_every=4"));
    plan_for(&n, 0, &cluster);
    const cfi_work *work = &cluster.work;
    assert_true(work->train_count == 50000 && work->validation_count == 10000 && work->test_count == 10000);
    assert_true(work->batch == 128 && work->steps_per_epoch == 391 && work->step_count == 3 * 391);
    assert_true(work->persist_every == 4 && work->window == 8);
    assert_string_equal(cluster.name, "mnist");
    assert_true(cluster.id == 1 && cluster.run[0] == 0 && cluster.digest == 0);
    cfi_cluster_fini(&cluster);
    network_fini(&n);
}

static void persist_every_is_a_power_of_two_with_a_window_of_two(void **state)
{
    (void)state;
    static const int counts[] = {1, 5, 42};
    network n;
    mnist_init(&n, NULL);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        cfi_cluster cluster;
        plan_for(&n, counts[i], &cluster);
        const int64_t every = cluster.work.persist_every;
        assert_true(every >= 1 && every <= 64 && (every & (every - 1)) == 0);
        assert_int_equal(cluster.work.window, every == 1 ? 4 : 2 * every);
        cfi_cluster_fini(&cluster);
    }
    network_fini(&n);
}

static void a_later_plan_knows_the_shards_of_the_one_before(void **state)
{
    (void)state;
    network n, other;
    cfi_cluster first, second, third;
    cf_error error;
    char *text = NULL;
    mnist_init(&n, NULL);
    mnist_init(&other, SETS("network.layers[0].dense.units=31"));
    plan_for(&n, 5, &first);
    first.run[1] = 7;
    first.digest = 9;
    cfi_cluster_options options = network_options(&n, 42);
    options.before = &first;
    assert_int_equal(cfi_cluster_plan(&options, &second, NULL), CF_OK);
    assert_true(second.id == 2 && second.run[1] == 7 && second.digest == 9 && second.earlier_count == 3);
    assert_true(second.earlier[1].stage == 0 && second.earlier[1].begin == 15 && second.earlier[1].end == 30);
    assert_int_equal(cfi_cluster_check(&second, NULL), CF_OK);
    assert_int_equal(cfi_cluster_print(&second, &text, NULL), CF_OK);
    assert_int_equal(cfi_cluster_parse(text, strlen(text), &third, NULL), CF_OK);
    assert_int_equal(third.earlier_count, 3);
    options = network_options(&other, 0);
    options.before = &first;
    assert_int_equal(cfi_cluster_plan(&options, &second, &error), CF_E_USAGE);
    assert_non_null(strstr(error.text, "plan 1 is of another network"));
    options.before = &third;
    options.settings = &n.settings;
    options.graph = &n.graph;
    cfi_cluster_fini(&second);
    assert_int_equal(cfi_cluster_plan(&options, &second, NULL), CF_OK);
    assert_true(second.id == 3 && second.earlier_count == 40);
    cfi_free(text);
    cfi_cluster_fini(&first);
    cfi_cluster_fini(&second);
    cfi_cluster_fini(&third);
    network_fini(&n);
    network_fini(&other);
}

/* ---- Hints ---- */

static void together_joins_all_shards_of_its_members(void **state)
{
    (void)state;
    assert_plan(SETS("placement.hints=[{together: [output, loss]}]"), 0, "controller store source loss+1 hidden");
    assert_plan(SETS("placement.hints=[{together: [source, hidden]}, {together: [loss, source]}]",
                     "placement.neurons_per_container={hidden: 10}"),
                0, "controller store source+4 output");
    assert_plan(SETS("placement.hints=[{together: [hidden.0, output.9]}]", "placement.neurons_per_container=5"), 0,
                "controller store source loss hidden.0-4+1 hidden.5-9 hidden.10-14 hidden.15-19 hidden.20-24 "
                "hidden.25-29 output.0-4");
}

static void apart_and_slots_refuse_what_shares_a_container(void **state)
{
    (void)state;
    static const char *const apart[] = {"placement.hints=[{apart: [hidden, output, source]}]", NULL};
    assert_plan(apart, 0, "controller store source loss hidden output");
    assert_sets_refused(apart, 1, CF_E_CONFIG, "hint 1: 'hidden' and 'output' are to be apart");
    assert_sets_refused(SETS("placement.hints=[{apart: [hidden.3, hidden.4]}]"), 0, CF_E_CONFIG,
                        "'hidden.3' and 'hidden.4' are to be apart");
    assert_sets_refused(SETS("placement.slots=1"), 3, CF_E_CONFIG, "placement.slots: the container");
    assert_plan(SETS("placement.slots=1"), 4, "controller store source loss hidden output");
}

static void containers_need_the_sum_of_what_they_hold(void **state)
{
    (void)state;
    network n;
    cfi_cluster cluster;
    mnist_init(&n, SETS("neuron_types={dense: {cpu: 0.5, memory: 64MiB}, loss: {memory: 16MiB}}",
                        "placement.hints=[{together: [hidden, loss]}]"));
    plan_for(&n, 0, &cluster);
    const int shared = cfi_cluster_find_container(&cluster, "loss+1");
    assert_true(shared > 0);
    assert_true(cluster.containers[shared].memory == 80 << 20 && cluster.containers[shared].cpu == 0.75);
    assert_true(cluster.containers[0].memory == 32 << 20 && cluster.containers[0].cpu == 0.25);
    cfi_cluster_fini(&cluster);
    network_fini(&n);
}

/* ---- Hosts ---- */

static const char *host_of(const cfi_cluster *cluster, const char *unit)
{
    return cluster->containers[cluster->units[cfi_cluster_find_unit(cluster, unit)].container].host;
}

static void hints_choose_hosts(void **state)
{
    (void)state;
    network n;
    cfi_cluster cluster;
    mnist_init(&n, SETS("placement.hosts=[{name: one, zone: a, labels: [disk=ssd]}, {name: two, zone: b}, {name: "
                        "three, zone: b, labels: [gpu, disk=ssd]}]",
                        "placement.hints=[{layer: hidden, zone: b}, {neuron: hidden.3, label: disk=ssd}, {layer: "
                        "output, host: one}]"));
    plan_for(&n, 0, &cluster);
    assert_string_equal(host_of(&cluster, "hidden"), "three");
    assert_string_equal(host_of(&cluster, "output"), "one");
    assert_string_equal(cluster.containers[cfi_cluster_find_container(&cluster, "hidden")].zone, "b");
    cfi_cluster_fini(&cluster);
    network_fini(&n);
}

static void without_hosts_wishes_go_with_the_container(void **state)
{
    (void)state;
    network n;
    cfi_cluster cluster;
    mnist_init(&n, SETS("placement.hints=[{layer: hidden, zone: eu-1, host: big}]"));
    plan_for(&n, 0, &cluster);
    const cfi_container *hidden = &cluster.containers[cfi_cluster_find_container(&cluster, "hidden")];
    assert_string_equal(hidden->host, "big");
    assert_string_equal(hidden->zone, "eu-1");
    assert_string_equal(host_of(&cluster, "output"), "");
    cfi_cluster_fini(&cluster);
    network_fini(&n);
    assert_sets_refused(SETS("placement.hints=[{layer: hidden, zone: a}, {neuron: hidden.0, zone: b}]"), 0, CF_E_CONFIG,
                        "hint 2: 'hidden.0' wants zone 'b', but its container 'hidden' is wanted in zone 'a'");
}

static void an_impossible_wish_names_what_stands_in_the_way(void **state)
{
    (void)state;
#define HOSTS "placement.hosts=[{name: x, zone: a, memory: 32MiB}, {name: y, zone: c, cpu: 0.3, memory: 1GiB}]"
    assert_sets_refused(SETS(HOSTS, "placement.hints=[{layer: output, zone: a}, {layer: hidden, zone: b}]"), 0,
                        CF_E_CONFIG, "hint 2: layer 'hidden' wants zone 'b', no host of zone 'b'");
    assert_sets_refused(SETS(HOSTS, "placement.hints=[{layer: hidden, zone: a}, {neuron: hidden.1, host: y}]"), 0,
                        CF_E_CONFIG, "hint 2: neuron 'hidden.1' wants host 'y', but other hints keep the container");
    assert_sets_refused(SETS(HOSTS, "neuron_types.dense.memory=64MiB", "placement.hints=[{layer: hidden, zone: a}]"), 0,
                        CF_E_CONFIG, "memory of container 'hidden' 64 MiB > host 'x' 32 MiB");
    assert_sets_refused(SETS(HOSTS, "neuron_types.dense.cpu=0.5", "placement.hints=[{layer: hidden, zone: c}]"), 0,
                        CF_E_CONFIG, "cpu of container 'hidden' 0.5 cores > host 'y' 0.3");
    assert_sets_refused(SETS("placement.hosts=[{name: x, memory: 64MiB}, {name: y, memory: 64MiB}]"), 0, CF_E_CONFIG,
                        "no host has room left for container");
}

static void memory_spreads_containers_over_hosts(void **state)
{
    (void)state;
    network n;
    cfi_cluster cluster;
    mnist_init(&n, SETS("placement.hosts=[{name: x, memory: 64MiB}, {name: y, memory: 64MiB}, {name: z, memory: "
                        "64MiB}]"));
    for (int algorithm = CFI_PLACE_HEFT; algorithm <= CFI_PLACE_EXHAUSTIVE; algorithm++) {
        cfi_cluster_options options = network_options(&n, 0);
        int used[3] = {0};
        options.algorithm = algorithm;
        assert_int_equal(cfi_cluster_plan(&options, &cluster, NULL), CF_OK);
        for (int i = 0; i < cluster.container_count; i++) {
            used[cluster.containers[i].host[0] - 'x']++;
        }
        assert_true(used[0] == 2 && used[1] == 2 && used[2] == 2);
        cfi_cluster_fini(&cluster);
    }
    network_fini(&n);
}

/* ---- Against all assignments ---- */

typedef struct trial {
    bool allowed[10 * 3];
    cfi_host hosts[3];
    int chosen[10];
} trial;

static uint32_t draw(uint32_t *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

static void make_trial(uint32_t seed, const cfi_cluster *cluster, int host_count, trial *t)
{
    memset(t, 0, sizeof *t);
    for (int i = 0; i < host_count; i++) {
        t->hosts[i].cpu = 1 + (double)(draw(&seed) % 4);
        t->hosts[i].memory = draw(&seed) % 3 == 0 ? 0 : (int64_t)(96 + draw(&seed) % 200) << 20;
    }
    for (int i = 0; i < cluster->container_count; i++) {
        for (int j = 0; j < host_count; j++) {
            t->allowed[i * host_count + j] = draw(&seed) % 4 != 0;
        }
        t->allowed[i * host_count + (int)(draw(&seed) % (uint32_t)host_count)] = true;
    }
}

static void assert_allowed(const cfi_schedule *s, const int *chosen)
{
    double memory[3] = {0}, cpu[3] = {0};
    for (int i = 0; i < s->cluster->container_count; i++) {
        assert_true(chosen[i] >= 0 && chosen[i] < s->host_count);
        assert_true(s->allowed[i * s->host_count + chosen[i]]);
        memory[chosen[i]] += (double)s->cluster->containers[i].memory;
        cpu[chosen[i]] += s->cluster->containers[i].cpu;
    }
    for (int i = 0; i < s->host_count; i++) {
        assert_true(s->hosts[i].memory == 0 || memory[i] <= (double)s->hosts[i].memory);
        assert_true(cpu[i] <= s->hosts[i].cpu + 1e-6);
    }
}

static void heft_and_greedy_keep_constraints_and_stay_near_the_best(void **state)
{
    (void)state;
    enum { TRIALS = 60, CONTAINERS = 6 };
    network n;
    cfi_cluster cluster;
    int solved = 0, optimal = 0;
    mnist_init(&n, NULL);
    plan_for(&n, CONTAINERS, &cluster);
    for (uint32_t seed = 0; seed < TRIALS; seed++) {
        trial t;
        double best, seconds;
        make_trial(seed, &cluster, 3, &t);
        const cfi_schedule s = {&n.settings, &n.graph, &cluster, t.allowed, t.hosts, 3};
        if (cfi_schedule_solve(&s, CFI_PLACE_EXHAUSTIVE, t.chosen, NULL) != CF_OK) {
            assert_int_equal(cfi_schedule_solve(&s, CFI_PLACE_HEFT, t.chosen, NULL), CF_E_CONFIG);
            continue;
        }
        assert_allowed(&s, t.chosen);
        assert_int_equal(cfi_schedule_seconds(&s, t.chosen, &best, NULL), CF_OK);
        for (int algorithm = CFI_PLACE_HEFT; algorithm <= CFI_PLACE_GREEDY; algorithm++) {
            if (cfi_schedule_solve(&s, algorithm, t.chosen, NULL) != CF_OK) {
                continue; /* room is a knapsack: not finding it is no violation */
            }
            assert_allowed(&s, t.chosen);
            assert_int_equal(cfi_schedule_seconds(&s, t.chosen, &seconds, NULL), CF_OK);
            assert_true(seconds >= best * (1 - 1e-9));
            assert_true(seconds <= 2.5 * best);
            solved += algorithm == CFI_PLACE_HEFT ? 1 : 0;
            optimal += algorithm == CFI_PLACE_HEFT && seconds <= best * (1 + 1e-9) ? 1 : 0;
        }
    }
    print_message("heft: %d solved, %d of them optimal\n", solved, optimal);
    assert_true(solved > TRIALS / 3);
    cfi_cluster_fini(&cluster);
    network_fini(&n);
}

static void with_room_on_one_host_everything_lands_there(void **state)
{
    (void)state;
    network n;
    mnist_init(&n, SETS("placement.hosts=[{name: x, cpu: 64}, {name: y, cpu: 64}]"));
    for (int algorithm = CFI_PLACE_HEFT; algorithm <= CFI_PLACE_EXHAUSTIVE; algorithm++) {
        cfi_cluster cluster;
        cfi_cluster_options options = network_options(&n, 4);
        options.algorithm = algorithm;
        assert_int_equal(cfi_cluster_plan(&options, &cluster, NULL), CF_OK);
        for (int i = 0; i < cluster.container_count; i++) {
            assert_string_equal(cluster.containers[i].host, "x");
        }
        cfi_cluster_fini(&cluster);
    }
    network_fini(&n);
}

static void too_many_assignments_are_not_tried(void **state)
{
    (void)state;
    network n;
    cfi_cluster cluster;
    mnist_init(&n, SETS("placement.hosts=[{name: x}, {name: y}]"));
    cfi_cluster_options options = network_options(&n, 42);
    options.algorithm = CFI_PLACE_EXHAUSTIVE;
    assert_int_equal(cfi_cluster_plan(&options, &cluster, NULL), CF_E_LIMIT);
    network_fini(&n);
}

/* ---- Costs ---- */

static void costs_count_what_the_network_is(void **state)
{
    (void)state;
    network n;
    cfi_cluster cluster;
    cfi_cost one, many;
    mnist_init(&n, NULL);
    const cfi_cost_options options = {.settings = &n.settings, .graph = &n.graph};
    plan_for(&n, 1, &cluster);
    assert_int_equal(cfi_cost_estimate(&options, &cluster, &one, NULL), CF_OK);
    cfi_cluster_fini(&cluster);
    plan_for(&n, 42, &cluster);
    assert_int_equal(cfi_cost_estimate(&options, &cluster, &many, NULL), CF_OK);
    assert_true(one.total.neurons == 40 && many.total.neurons == 40);
    assert_int_equal(one.total.parameters, n.graph.parameter_count);
    assert_int_equal(many.total.parameters, n.graph.parameter_count);
    assert_int_equal(one.total.state, many.total.state);
    /* 31 from the source, 300 forward and 300 backward between the layers, 10 each to and from the loss, and DONE. */
    assert_int_equal(many.total.messages_out, 31 + 300 + 300 + 10 + 10 + 1);
    assert_int_equal(many.total.messages_in, many.total.messages_out);
    assert_true(many.step_seconds > one.step_seconds && one.step_seconds > 0);
    assert_non_null(strstr(many.path, "samples"));
    assert_non_null(strstr(many.path, "loss gradient"));
    assert_int_equal(many.limit_count, 0);
    cfi_cost_fini(&one);
    cfi_cost_fini(&many);
    cfi_cluster_fini(&cluster);
    network_fini(&n);
}

static void limits_are_foreseen(void **state)
{
    (void)state;
    network n;
    cfi_cluster cluster;
    cfi_cost cost;
    mnist_init(&n, SETS("messaging={zeromq: {scheme: tcp, port: 65500}}", "network.layers[0].dense.units=1000",
                        "network.layers[0].dense.grain=1"));
    const cfi_cost_options options = {.settings = &n.settings, .graph = &n.graph};
    plan_for(&n, 1000, &cluster);
    assert_int_equal(cfi_cost_estimate(&options, &cluster, &cost, NULL), CF_OK);
    assert_int_equal(cost.limit_count, 2);
    assert_non_null(strstr(cost.limits[0], "ports 65500 to 66501"));
    assert_non_null(strstr(cost.limits[1], "ulimit"));
    cfi_cost_fini(&cost);
    cfi_cluster_fini(&cluster);
    network_fini(&n);
}

static void any_failing_allocation_is_reported(void **state)
{
    (void)state;
    network n;
    cfi_cluster before, cluster;
    uint64_t failures = 0;
    mnist_init(&n, SETS("placement.hosts=[{name: x}, {name: y}]", "placement.hints=[{together: [output, loss]}]"));
    plan_for(&n, 3, &before);
    cfi_cluster_options options = network_options(&n, 10);
    options.before = &before;
    for (cf_status status = CF_E_MEMORY; status != CF_OK; failures++) {
        cfi_alloc_fail_after(failures);
        status = cfi_cluster_plan(&options, &cluster, NULL);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_true(status == CF_OK || status == CF_E_MEMORY);
    }
    assert_true(failures > 10);
    cfi_cluster_fini(&before);
    cfi_cluster_fini(&cluster);
    network_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_says_how_many_neurons_a_container_holds),
        cmocka_unit_test(one_neuron_for_each_container_makes_forty_two),
        cmocka_unit_test(any_number_of_containers_is_met_exactly),
        cmocka_unit_test(a_cut_beside_the_grain_names_the_cure),
        cmocka_unit_test(convolutions_are_cut_by_channel),
        cmocka_unit_test(work_follows_from_settings_and_data),
        cmocka_unit_test(persist_every_is_a_power_of_two_with_a_window_of_two),
        cmocka_unit_test(a_later_plan_knows_the_shards_of_the_one_before),
        cmocka_unit_test(together_joins_all_shards_of_its_members),
        cmocka_unit_test(apart_and_slots_refuse_what_shares_a_container),
        cmocka_unit_test(containers_need_the_sum_of_what_they_hold),
        cmocka_unit_test(hints_choose_hosts),
        cmocka_unit_test(without_hosts_wishes_go_with_the_container),
        cmocka_unit_test(an_impossible_wish_names_what_stands_in_the_way),
        cmocka_unit_test(memory_spreads_containers_over_hosts),
        cmocka_unit_test(heft_and_greedy_keep_constraints_and_stay_near_the_best),
        cmocka_unit_test(with_room_on_one_host_everything_lands_there),
        cmocka_unit_test(too_many_assignments_are_not_tried),
        cmocka_unit_test(costs_count_what_the_network_is),
        cmocka_unit_test(limits_are_foreseen),
        cmocka_unit_test(any_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
