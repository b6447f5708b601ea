#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "contract/transport_contract.h"

static char folder[] = "/tmp/cuttlefish-zeromq-XXXXXX";
static cfi_transport_keys keys, no_keys;

static void make_ipc(char *endpoint)
{
    static int number;
    snprintf(endpoint, CFI_ENDPOINT_SIZE_MAX, "ipc://%s/%d", folder, number++);
}

/* A port that was free a moment ago. */
static void make_tcp(char *endpoint)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    assert_int_equal(bind(descriptor, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
    close(descriptor);
    snprintf(endpoint, CFI_ENDPOINT_SIZE_MAX, "tcp://127.0.0.1:%d", ntohs(address.sin_port));
}

static cf_status open_with(const char *endpoint, int64_t queue_max, const cfi_transport_keys *with,
                           cfi_transport *transport_out, cf_error *error)
{
    const cfi_transport_options options = {.endpoint = endpoint, .queue_max = queue_max, .keys = *with};
    return cfi_transport_open("zeromq", &options, transport_out, error);
}

static cf_status open_plain(const char *endpoint, int64_t queue_max, cfi_transport *transport_out, cf_error *error)
{
    return open_with(endpoint, queue_max, &no_keys, transport_out, error);
}

static cf_status open_keys(const char *endpoint, int64_t queue_max, cfi_transport *transport_out, cf_error *error)
{
    return open_with(endpoint, queue_max, &keys, transport_out, error);
}

static void endpoints_are_checked(void **state)
{
    (void)state;
    cfi_transport transport;
    cf_error error;
    char path[200] = "ipc:///tmp/";
    memset(path + 11, 'x', 150);
    assert_int_equal(open_plain(path, 0, &transport, &error), CF_E_LIMIT);
    assert_non_null(strstr(error.text, "use a folder with a shorter path"));
    assert_int_equal(open_plain("tcp://0.0.0.0:4711", 0, &transport, &error), CF_E_USAGE);
    assert_non_null(strstr(error.text, "needs keys"));
    assert_int_equal(open_plain("tcp://127.evil.com:4711", 0, &transport, &error), CF_E_USAGE);
    assert_int_equal(open_plain("tcp://127.0.0.1", 0, &transport, &error), CF_E_USAGE);
    assert_int_equal(open_plain("ipc://", 0, &transport, &error), CF_E_USAGE);
    assert_int_equal(open_plain("inproc://x", 0, &transport, &error), CF_E_USAGE);
    assert_int_equal(open_plain("ipc:///nowhere/at/all", 0, &transport, &error), CF_E_IO);
    char endpoint[CFI_ENDPOINT_SIZE_MAX];
    make_ipc(endpoint);
    assert_int_equal(open_plain(endpoint, 0, &transport, &error), CF_OK);
    assert_int_equal(transport.ops->connect(transport.self, 1, "tcp://10.0.0.1:4711", &error), CF_E_USAGE);
    assert_int_equal(transport.ops->connect(transport.self, 1, path, &error), CF_E_LIMIT);
    cfi_transport_close(&transport);
}

static void a_living_holder_keeps_its_endpoint(void **state)
{
    (void)state;
    void (*const makers[])(char *) = {make_ipc, make_tcp};
    for (int i = 0; i < 2; i++) {
        char endpoint[CFI_ENDPOINT_SIZE_MAX];
        cfi_transport first, second;
        cf_error error;
        makers[i](endpoint);
        assert_int_equal(open_plain(endpoint, 0, &first, &error), CF_OK);
        assert_int_equal(open_plain(endpoint, 0, &second, &error), CF_E_IO);
        assert_non_null(strstr(error.text, "Address already in use"));
        assert_non_null(strstr(error.text, endpoint));
        contract_connect(&first, 1, endpoint);
        contract_reach(&first, 1, &first, 1);
        cfi_transport_close(&first);
    }
}

/* A child that holds the endpoint and tells of each frame by a byte; it never comes back. */
static pid_t start_child(const char *endpoint, int go, int told)
{
    const pid_t child = fork();
    if (child != 0) {
        return child;
    }
    char byte;
    cfi_transport transport;
    if (read(go, &byte, 1) != 1 || open_plain(endpoint, 0, &transport, NULL) != CF_OK) {
        _exit(1);
    }
    for (;;) {
        contract_wait(&transport, 1000);
        cfi_frame *frame;
        while ((frame = contract_take(&transport)) != NULL) {
            cfi_frame_unref(frame);
            if (write(told, "f", 1) != 1) {
                _exit(1);
            }
        }
    }
}

static void send_until_told(cfi_transport *transport, int told)
{
    struct pollfd polled = {.fd = told, .events = POLLIN};
    cfi_frame *frame = contract_frame(1, 100);
    do {
        const cf_status status = contract_send(transport, 5, frame);
        assert_true(status == CF_OK || status == CF_E_LIMIT);
    } while (poll(&polled, 1, 5) == 0);
    cfi_frame_unref(frame);
}

/* Both children exist before there are threads; the second waits for its turn. */
static void a_peer_killed_and_started_again_is_reached_again(void **state)
{
    (void)state;
    char here[CFI_ENDPOINT_SIZE_MAX], there[CFI_ENDPOINT_SIZE_MAX];
    void (*const makers[])(char *) = {make_ipc, make_tcp};
    for (int i = 0; i < 2; i++) {
        int go[2][2], told[2][2];
        pid_t children[2];
        makers[i](here);
        makers[i](there);
        for (int c = 0; c < 2; c++) {
            assert_int_equal(pipe(go[c]), 0);
            assert_int_equal(pipe(told[c]), 0);
            children[c] = start_child(there, go[c][0], told[c][1]);
        }
        cfi_transport transport;
        assert_int_equal(open_plain(here, 0, &transport, NULL), CF_OK);
        contract_connect(&transport, 5, there);
        for (int c = 0; c < 2; c++) {
            assert_int_equal(write(go[c][1], "g", 1), 1);
            send_until_told(&transport, told[c][0]);
            int status;
            assert_int_equal(kill(children[c], SIGKILL), 0);
            assert_int_equal(waitpid(children[c], &status, 0), children[c]);
            assert_true(WIFSIGNALED(status));
        }
        cfi_transport_close(&transport);
        for (int c = 0; c < 4; c++) {
            close(go[c / 2][c % 2]);
            close(told[c / 2][c % 2]);
        }
    }
}

/* Sends until the receiver has refused a connection; nothing may arrive. */
static void check_refused(const cfi_transport_keys *wrong, cfi_transport *receiver, const char *endpoint)
{
    char here[CFI_ENDPOINT_SIZE_MAX];
    cfi_transport stranger;
    cfi_transport_counts before, counts;
    make_tcp(here);
    receiver->ops->counts(receiver->self, &before);
    assert_int_equal(open_with(here, 0, wrong, &stranger, NULL), CF_OK);
    cfi_frame *frame = contract_frame(1, 100);
    int round = 0;
    do {
        if (round++ % 20 == 0) { /* libzmq tries once, and if it hangs up first nobody is refused */
            contract_connect(&stranger, 1, endpoint);
        }
        const cf_status status = contract_send(&stranger, 1, frame);
        assert_true(status == CF_OK || status == CF_E_LIMIT);
        contract_wait(receiver, 5);
        assert_null(contract_take(receiver));
        receiver->ops->counts(receiver->self, &counts);
    } while (counts.refused == before.refused);
    cfi_frame_unref(frame);
    cfi_transport_close(&stranger);
}

static void strangers_are_refused_and_counted_and_friends_go_on(void **state)
{
    (void)state;
    char here[CFI_ENDPOINT_SIZE_MAX], there[CFI_ENDPOINT_SIZE_MAX];
    cfi_transport receiver, friend;
    make_tcp(here);
    make_tcp(there);
    assert_int_equal(open_keys(here, 0, &receiver, NULL), CF_OK);
    assert_int_equal(open_keys(there, 0, &friend, NULL), CF_OK);
    contract_connect(&friend, 1, here);
    contract_reach(&friend, 1, &receiver, 1);
    cfi_transport_keys other;
    assert_int_equal(cfi_transport_keys_make(&other, NULL), CF_OK);
    check_refused(&other, &receiver, here);   /* another run */
    check_refused(&no_keys, &receiver, here); /* none at all */
    contract_reach(&friend, 1, &receiver, 2);
    cfi_transport_close(&friend);
    cfi_transport_close(&receiver);
}

/* Knows the run's public key (it is in every hello) but not the secret one: only the ZAP handler can tell. */
static void the_public_key_alone_does_not_open_the_door(void **state)
{
    (void)state;
    char here[CFI_ENDPOINT_SIZE_MAX], public_key[CFI_CURVE_KEY_SIZE], secret_key[CFI_CURVE_KEY_SIZE];
    cfi_transport receiver;
    cfi_transport_counts counts;
    make_tcp(here);
    assert_int_equal(open_keys(here, 0, &receiver, NULL), CF_OK);
    void *context = zmq_ctx_new(), *push = zmq_socket(context, ZMQ_PUSH);
    const int linger = 0;
    assert_int_equal(zmq_curve_keypair(public_key, secret_key), 0);
    assert_int_equal(zmq_setsockopt(push, ZMQ_CURVE_SERVERKEY, keys.public_key, CFI_CURVE_KEY_SIZE), 0);
    assert_int_equal(zmq_setsockopt(push, ZMQ_CURVE_PUBLICKEY, public_key, CFI_CURVE_KEY_SIZE), 0);
    assert_int_equal(zmq_setsockopt(push, ZMQ_CURVE_SECRETKEY, secret_key, CFI_CURVE_KEY_SIZE), 0);
    assert_int_equal(zmq_setsockopt(push, ZMQ_LINGER, &linger, sizeof linger), 0);
    assert_int_equal(zmq_connect(push, here), 0);
    cfi_frame *frame = contract_frame(1, 10);
    assert_true(zmq_send(push, frame->bytes, cfi_frame_size(frame), ZMQ_DONTWAIT) > 0);
    do {
        contract_wait(&receiver, 5);
        assert_null(contract_take(&receiver));
        receiver.ops->counts(receiver.self, &counts);
    } while (counts.refused == 0);
    cfi_frame_unref(frame);
    zmq_close(push);
    zmq_ctx_term(context);
    cfi_transport_close(&receiver);
}

static void what_arrives_damaged_is_counted_and_passed_over(void **state)
{
    (void)state;
    char here[CFI_ENDPOINT_SIZE_MAX];
    cfi_transport receiver;
    cfi_transport_counts counts;
    make_ipc(here);
    assert_int_equal(open_plain(here, 0, &receiver, NULL), CF_OK);
    void *context = zmq_ctx_new(), *push = zmq_socket(context, ZMQ_PUSH);
    const int linger = 0;
    assert_int_equal(zmq_setsockopt(push, ZMQ_LINGER, &linger, sizeof linger), 0);
    assert_int_equal(zmq_connect(push, here), 0);
    static const size_t sizes[] = {10, 5000, 50000};
    for (int i = 0; i < 3; i++) {
        cfi_frame *frame = contract_frame(1, sizes[i]);
        frame->bytes[cfi_frame_size(frame) - 1] ^= 1;
        assert_true(zmq_send(push, frame->bytes, cfi_frame_size(frame), 0) > 0);
        cfi_frame_unref(frame);
    }
    assert_int_equal(zmq_send(push, "", 0, 0), 0);
    cfi_frame *good = contract_frame(2, 10), *got;
    assert_true(zmq_send(push, good->bytes, cfi_frame_size(good), 0) > 0);
    do {
        contract_wait(&receiver, 5);
    } while ((got = contract_take(&receiver)) == NULL);
    assert_int_equal(got->header.tag, 2);
    receiver.ops->counts(receiver.self, &counts);
    assert_int_equal(counts.dropped, 4);
    assert_int_equal(counts.received, 1);
    cfi_frame_unref(got);
    cfi_frame_unref(good);
    zmq_close(push);
    zmq_ctx_term(context);
    cfi_transport_close(&receiver);
}

static void keys_are_new_each_time_and_bad_ones_refused(void **state)
{
    (void)state;
    cfi_transport_keys other, bad = {.present = true, .public_key = "short", .secret_key = "short"};
    char here[CFI_ENDPOINT_SIZE_MAX];
    cfi_transport transport;
    assert_int_equal(cfi_transport_keys_make(&other, NULL), CF_OK);
    assert_true(other.present && strlen(other.public_key) == 40 && strlen(other.secret_key) == 40);
    assert_string_not_equal(other.secret_key, keys.secret_key);
    make_ipc(here);
    assert_int_equal(open_with(here, 0, &bad, &transport, NULL), CF_E_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_killed_and_started_again_is_reached_again),
        cmocka_unit_test(endpoints_are_checked),
        cmocka_unit_test(a_living_holder_keeps_its_endpoint),
        cmocka_unit_test(strangers_are_refused_and_counted_and_friends_go_on),
        cmocka_unit_test(the_public_key_alone_does_not_open_the_door),
        cmocka_unit_test(what_arrives_damaged_is_counted_and_passed_over),
        cmocka_unit_test(keys_are_new_each_time_and_bad_ones_refused),
    };
    if (mkdtemp(folder) == NULL || cfi_transport_keys_make(&keys, NULL) != CF_OK) {
        return 1;
    }
    const size_t large = (size_t)64 << 20;
    const struct contract ipc = {make_ipc, open_plain, false, false, large};
    const struct contract tcp = {make_tcp, open_plain, false, false, large};
    const struct contract ipc_keys = {make_ipc, open_keys, false, false, 100000};
    const struct contract tcp_keys = {make_tcp, open_keys, false, false, large};
    contract = &ipc;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += contract_run("zeromq ipc", &ipc);
    failed += contract_run("zeromq tcp", &tcp);
    failed += contract_run("zeromq ipc with keys", &ipc_keys);
    failed += contract_run("zeromq tcp with keys", &tcp_keys);
    char command[sizeof folder + 16];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return failed + (system(command) != 0);
}
