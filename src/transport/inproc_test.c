#include <pthread.h>
#include <stdio.h>

#include "contract/transport_contract.h"

static void make_endpoint(char *endpoint)
{
    static int number;
    snprintf(endpoint, CFI_ENDPOINT_SIZE_MAX, "inproc://contract-%d", number++);
}

static cf_status open_inproc(const char *endpoint, int64_t queue_max, cfi_transport *transport_out, cf_error *error)
{
    const cfi_transport_options options = {.endpoint = endpoint, .queue_max = queue_max};
    return cfi_transport_open("inproc", &options, transport_out, error);
}

static void a_name_is_held_by_one_and_free_after_it(void **state)
{
    (void)state;
    cfi_transport first, second = {NULL, NULL};
    cf_error error;
    assert_int_equal(open_inproc("inproc://one", 0, &first, &error), CF_OK);
    assert_int_equal(open_inproc("inproc://one", 0, &second, &error), CF_E_IO);
    assert_string_equal(error.text, "inproc: inproc://one: in use, close its holder first");
    assert_null(second.ops);
    cfi_transport_close(&first);
    assert_int_equal(open_inproc("inproc://one", 0, &second, &error), CF_OK);
    cfi_transport_close(&second);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    cfi_transport transport;
    cf_error error;
    char endpoint[CFI_ENDPOINT_SIZE_MAX + 1];
    memset(endpoint, 'x', sizeof endpoint);
    endpoint[CFI_ENDPOINT_SIZE_MAX] = '\0';
    assert_int_equal(open_inproc("inproc://", 0, &transport, &error), CF_E_USAGE);
    assert_int_equal(open_inproc("tcp://127.0.0.1:1", 0, &transport, &error), CF_E_USAGE);
    assert_int_equal(open_inproc(endpoint, 0, &transport, &error), CF_E_LIMIT);
    assert_int_equal(open_inproc("inproc://x", -1, &transport, &error), CF_E_LIMIT);
    const cfi_transport_options options = {.endpoint = "inproc://x"};
    assert_int_equal(cfi_transport_open("pigeon", &options, &transport, &error), CF_E_UNSUPPORTED);
    assert_null(cfi_transport_find("pigeon"));
    assert_string_equal(cfi_transport_find("zeromq")->name, "zeromq");
}

static void frames_are_passed_without_a_copy(void **state)
{
    (void)state;
    cfi_transport transport;
    contract_open("inproc://self", 0, &transport);
    contract_connect(&transport, 1, "inproc://self");
    cfi_frame *frame = contract_frame(1, 100);
    assert_int_equal(contract_send(&transport, 1, frame), CF_OK);
    cfi_frame *got = contract_take(&transport);
    assert_ptr_equal(got, frame);
    cfi_frame_unref(got);
    cfi_frame_unref(frame);
    cfi_transport_close(&transport);
}

enum { THREADS = 4, EACH = 5000 };

/* Sends to the main thread, coming and going at an endpoint of its own. */
static void *send_many(void *number)
{
    char endpoint[CFI_ENDPOINT_SIZE_MAX];
    snprintf(endpoint, sizeof endpoint, "inproc://sender-%d", *(int *)number);
    cfi_frame *frame = contract_frame(1, 10);
    for (int sent = 0; sent < EACH;) {
        cfi_transport transport;
        if (open_inproc(endpoint, 0, &transport, NULL) != CF_OK) {
            break;
        }
        const cf_status connected = transport.ops->connect(transport.self, 1, "inproc://sink", NULL);
        for (int i = 0; connected == CF_OK && i < 100;) {
            i += contract_send(&transport, 1, frame) == CF_OK;
        }
        sent += 100;
        cfi_transport_close(&transport);
    }
    cfi_frame_unref(frame);
    return NULL;
}

static void threads_come_and_go_and_nothing_is_lost(void **state)
{
    (void)state;
    cfi_transport sink;
    pthread_t threads[THREADS];
    int numbers[THREADS];
    contract_open("inproc://sink", 50, &sink);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &numbers[i]), 0);
    }
    for (int got = 0; got < THREADS * EACH;) {
        contract_wait(&sink, -1);
        cfi_frame *frame;
        while ((frame = contract_take(&sink)) != NULL) {
            cfi_frame_unref(frame);
            got++;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    cfi_transport_close(&sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_held_by_one_and_free_after_it),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(frames_are_passed_without_a_copy),
        cmocka_unit_test(threads_come_and_go_and_nothing_is_lost),
    };
    const struct contract inproc = {make_endpoint, open_inproc, false, false, (size_t)64 << 20};
    const int failed = contract_run("inproc", &inproc);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
