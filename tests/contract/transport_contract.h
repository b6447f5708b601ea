/* What every transport must do, whatever carries its frames. A plug-in's test gives a `struct contract` and runs
 * contract_run. Nothing is assumed beyond src/transport/transport.h: frames may be lost, so they are sent again until
 * they arrive; nothing waits for a time, ctest ends what hangs. */
#ifndef CF_TESTS_TRANSPORT_CONTRACT_H
#define CF_TESTS_TRANSPORT_CONTRACT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above */
#include <cmocka.h>
#include <poll.h>
#include <string.h>

#include "base/alloc.h"
#include "transport/transport.h"

struct contract {
    /* A new endpoint that nobody uses; `endpoint` has CFI_ENDPOINT_SIZE_MAX bytes. */
    void (*make_endpoint)(char *endpoint);
    /* Opens at this endpoint; queue_max 0: the default. */
    cf_status (*open)(const char *endpoint, int64_t queue_max, cfi_transport *transport_out, cf_error *error);
    bool is_unordered;     /* frames may overtake each other                  */
    bool is_lossy;         /* frames are lost without a queue being full      */
    size_t size_max;       /* the largest payload to try                      */
};

static const struct contract *contract; /* the one that is being tested */

struct contract_pair {
    char first_endpoint[CFI_ENDPOINT_SIZE_MAX], second_endpoint[CFI_ENDPOINT_SIZE_MAX];
    cfi_transport first, second; /* first knows second as peer 2, second knows first as peer 1 */
};

static void contract_open(const char *endpoint, int64_t queue_max, cfi_transport *transport)
{
    cf_error error = {.text = ""};
    if (contract->open(endpoint, queue_max, transport, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
}

static void contract_connect(cfi_transport *transport, uint32_t peer, const char *endpoint)
{
    cf_error error = {.text = ""};
    if (transport->ops->connect(transport->self, peer, endpoint, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
}

static cf_status contract_send(cfi_transport *transport, uint32_t peer, cfi_frame *frame)
{
    return transport->ops->send(transport->self, peer, frame, NULL);
}

static void contract_pair_init(struct contract_pair *pair, int64_t queue_max)
{
    contract->make_endpoint(pair->first_endpoint);
    contract->make_endpoint(pair->second_endpoint);
    contract_open(pair->first_endpoint, queue_max, &pair->first);
    contract_open(pair->second_endpoint, queue_max, &pair->second);
    contract_connect(&pair->first, 2, pair->second_endpoint);
    contract_connect(&pair->second, 1, pair->first_endpoint);
}

static void contract_pair_fini(struct contract_pair *pair)
{
    cfi_transport_close(&pair->first);
    cfi_transport_close(&pair->second);
}

static unsigned char contract_byte(uint64_t tag, size_t index)
{
    return (unsigned char)(tag * 31 + index * 7 + (index >> 8));
}

static cfi_frame *contract_frame(uint64_t tag, size_t size)
{
    const cfi_frame_header header = {.kind = CFI_FRAME_FORWARD, .tag = tag, .step = tag * 3, .source_unit = 1};
    cfi_frame *frame;
    assert_int_equal(cfi_frame_new(&header, size, &frame, NULL), CF_OK);
    for (size_t i = 0; i < size; i++) {
        cfi_frame_payload(frame)[i] = contract_byte(tag, i);
    }
    cfi_frame_seal(frame);
    return frame;
}

static void contract_check_frame(const cfi_frame *frame, size_t size)
{
    assert_int_equal(frame->header.kind, CFI_FRAME_FORWARD);
    assert_int_equal(frame->header.step, frame->header.tag * 3);
    assert_int_equal(frame->payload_size, size);
    size_t wrong = 0;
    for (size_t i = 0; i < size; i++) {
        wrong += cfi_frame_payload(frame)[i] != contract_byte(frame->header.tag, i);
    }
    assert_int_equal(wrong, 0);
}

static cfi_frame *contract_take(cfi_transport *transport)
{
    cfi_frame *frame = NULL;
    cf_error error = {.text = ""};
    if (transport->ops->receive(transport->self, &frame, &error) != CF_OK) {
        fail_msg("%s", error.text);
    }
    return frame;
}

/* Sleeps until something may be there. False: it took too long, and whoever waits had better send again. */
static bool contract_wait(cfi_transport *transport, int milliseconds)
{
    int fds[CFI_TRANSPORT_DESCRIPTORS_MAX];
    struct pollfd polled[CFI_TRANSPORT_DESCRIPTORS_MAX];
    const int count = transport->ops->descriptors(transport->self, fds);
    assert_in_range(count, 1, CFI_TRANSPORT_DESCRIPTORS_MAX);
    for (int i = 0; i < count; i++) {
        polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    return poll(polled, (nfds_t)count, milliseconds) > 0;
}

/* The next frame with this tag; others (sent again, come late) are let go. NULL: nothing more is there. */
static cfi_frame *contract_take_tag(cfi_transport *transport, uint64_t tag)
{
    cfi_frame *frame;
    while ((frame = contract_take(transport)) != NULL && frame->header.tag != tag) {
        cfi_frame_unref(frame);
    }
    return frame;
}

/* Sends until it arrives; the caller gets what arrived. */
static cfi_frame *contract_deliver(cfi_transport *from, uint32_t peer, cfi_transport *to, uint64_t tag, size_t size)
{
    cfi_frame *sent = contract_frame(tag, size);
    cfi_frame *got = NULL;
    for (int round = 0; got == NULL; round++) {
        /* Again after every tenth wait: a large frame takes its time, and each copy would make the rest wait. */
        if (round % 10 == 0) {
            const cf_status status = contract_send(from, peer, sent);
            assert_true(status == CF_OK || status == CF_E_LIMIT);
        }
        if (from != to) {
            cfi_frame_unref(contract_take(from)); /* a broker's client or a handshake may need the sender to move */
        }
        contract_wait(to, 5);
        got = contract_take_tag(to, tag);
    }
    contract_check_frame(got, size);
    cfi_frame_unref(sent);
    return got;
}

static void contract_reach(cfi_transport *from, uint32_t peer, cfi_transport *to, uint64_t tag)
{
    cfi_frame_unref(contract_deliver(from, peer, to, tag, 100));
}

static void frames_of_all_sizes_arrive_unchanged(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 1000, 3967, 3968, 5000, 8192, 100000, (size_t)64 << 20};
    struct contract_pair pair;
    contract_pair_init(&pair, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && sizes[i] <= contract->size_max; i++) {
        cfi_frame_unref(contract_deliver(&pair.first, 2, &pair.second, i + 1, sizes[i]));
        cfi_frame_unref(contract_deliver(&pair.second, 1, &pair.first, i + 1, sizes[i]));
    }
    contract_pair_fini(&pair);
}

static void many_frames_all_arrive_and_in_order(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static bool has_come[COUNT];
    memset(has_come, 0, sizeof has_come);
    struct contract_pair pair;
    contract_pair_init(&pair, 0);
    contract_reach(&pair.first, 2, &pair.second, COUNT + 1);
    int missing = COUNT;
    uint64_t last = 0;
    for (int round = 0; missing > 0; round++) {
        for (uint64_t tag = 0; tag < COUNT && round % 20 == 0; tag++) {
            if (!has_come[tag]) {
                cfi_frame *frame = contract_frame(tag, 64 + (size_t)tag);
                const cf_status status = contract_send(&pair.first, 2, frame);
                assert_true(status == CF_OK || status == CF_E_LIMIT);
                cfi_frame_unref(frame);
            }
        }
        cfi_frame_unref(contract_take(&pair.first));
        contract_wait(&pair.second, 5);
        cfi_frame *frame;
        while ((frame = contract_take(&pair.second)) != NULL) {
            const uint64_t tag = frame->header.tag;
            if (tag < COUNT && !has_come[tag]) {
                contract_check_frame(frame, 64 + (size_t)tag);
                assert_true(round >= 20 || contract->is_unordered || tag >= last);
                last = tag;
                has_come[tag] = true;
                missing--;
            }
            cfi_frame_unref(frame);
        }
    }
    contract_pair_fini(&pair);
}

static void a_peer_that_is_not_there_is_no_error_and_is_reached_when_it_comes(void **state)
{
    (void)state;
    char here[CFI_ENDPOINT_SIZE_MAX], there[CFI_ENDPOINT_SIZE_MAX];
    contract->make_endpoint(here);
    contract->make_endpoint(there);
    cfi_transport first, second;
    contract_open(here, 0, &first);
    contract_connect(&first, 7, there);
    for (uint64_t tag = 1; tag <= 20; tag++) {
        cfi_frame *frame = contract_frame(tag, 10);
        assert_int_equal(contract_send(&first, 7, frame), CF_OK);
        cfi_frame_unref(frame);
    }
    contract_open(there, 0, &second);
    contract_reach(&first, 7, &second, 100);
    cfi_transport_close(&first);
    cfi_transport_close(&second);
}

static void a_peer_that_comes_back_is_reached_again(void **state)
{
    (void)state;
    struct contract_pair pair;
    contract_pair_init(&pair, 0);
    for (uint64_t life = 1; life <= 3; life++) {
        contract_reach(&pair.first, 2, &pair.second, life * 2);
        cfi_transport_close(&pair.second);
        cfi_frame *frame = contract_frame(life * 2 + 1, 10);
        assert_int_equal(contract_send(&pair.first, 2, frame), CF_OK);
        cfi_frame_unref(frame);
        contract_open(pair.second_endpoint, 0, &pair.second);
        contract_connect(&pair.second, 1, pair.first_endpoint);
    }
    contract_reach(&pair.first, 2, &pair.second, 100);
    contract_reach(&pair.second, 1, &pair.first, 101);
    contract_pair_fini(&pair);
}

static void a_full_queue_is_told_and_breaks_nothing(void **state)
{
    (void)state;
    struct contract_pair pair;
    contract_pair_init(&pair, 4);
    cfi_frame *frame = contract_frame(1, 65536);
    cf_status status = CF_OK;
    for (int i = 0; i < 4096 && status == CF_OK; i++) {
        status = contract_send(&pair.first, 2, frame);
    }
    assert_int_equal(status, CF_E_LIMIT);
    cfi_transport_counts counts;
    pair.first.ops->counts(pair.first.self, &counts);
    assert_true(counts.dropped >= 1);
    cfi_frame_unref(frame);
    contract_reach(&pair.second, 1, &pair.first, 2);
    contract_reach(&pair.first, 2, &pair.second, 3);
    contract_pair_fini(&pair);
}

static void peers_are_known_replaced_and_forgotten(void **state)
{
    (void)state;
    char third_endpoint[CFI_ENDPOINT_SIZE_MAX];
    struct contract_pair pair;
    cfi_transport third;
    contract_pair_init(&pair, 0);
    contract->make_endpoint(third_endpoint);
    contract_open(third_endpoint, 0, &third);
    cfi_frame *frame = contract_frame(1, 0);
    cf_error error;
    assert_int_equal(pair.first.ops->send(pair.first.self, 3, frame, &error), CF_E_NOT_FOUND);
    assert_int_equal(contract_send(&pair.first, UINT32_MAX, frame), CF_E_NOT_FOUND);
    assert_int_equal(pair.first.ops->connect(pair.first.self, 65536, third_endpoint, &error), CF_E_LIMIT);
    assert_int_not_equal(pair.first.ops->connect(pair.first.self, 2, "nonsense", &error), CF_OK);
    contract_reach(&pair.first, 2, &pair.second, 2); /* a failed replacement leaves what was */
    contract_connect(&pair.first, 2, third_endpoint);
    contract_reach(&pair.first, 2, &third, 3);
    contract_connect(&pair.first, 65535, pair.second_endpoint);
    contract_reach(&pair.first, 65535, &pair.second, 4);
    pair.first.ops->disconnect(pair.first.self, 2);
    assert_int_equal(contract_send(&pair.first, 2, frame), CF_E_NOT_FOUND);
    pair.first.ops->disconnect(pair.first.self, 2);
    pair.first.ops->disconnect(pair.first.self, UINT32_MAX);
    cfi_frame_unref(frame);
    cfi_transport_close(&third);
    contract_pair_fini(&pair);
}

/* With no second chance: a wake-up that is missed hangs here. */
static void the_descriptors_wake_whoever_waits(void **state)
{
    (void)state;
    struct contract_pair pair;
    contract_pair_init(&pair, 0);
    contract_reach(&pair.first, 2, &pair.second, 1000);
    assert_null(contract_take_tag(&pair.second, 0)); /* until NULL: the descriptors may be edge-triggered */
    for (uint64_t tag = 1; tag <= 100; tag++) {
        cfi_frame *frame = contract_frame(tag, 10);
        cfi_frame *got = NULL;
        assert_int_equal(contract_send(&pair.first, 2, frame), CF_OK);
        while (got == NULL) {
            if (!contract_wait(&pair.second, contract->is_lossy ? 10 : -1)) {
                assert_int_equal(contract_send(&pair.first, 2, frame), CF_OK);
            }
            got = contract_take_tag(&pair.second, tag);
        }
        cfi_frame_unref(got);
        assert_true(contract->is_lossy || contract_take(&pair.second) == NULL);
        cfi_frame_unref(frame);
    }
    contract_pair_fini(&pair);
}

static void receive_gives_null_when_nothing_is_there(void **state)
{
    (void)state;
    struct contract_pair pair;
    contract_pair_init(&pair, 0);
    assert_null(contract_take(&pair.second));
    assert_null(contract_take(&pair.second));
    contract_pair_fini(&pair);
}

static void frames_and_bytes_are_counted(void **state)
{
    (void)state;
    struct contract_pair pair;
    contract_pair_init(&pair, 0);
    uint64_t got = 0, bytes = 0;
    cfi_frame *frame = contract_frame(1, 72);
    while (got < 10) {
        assert_int_equal(contract_send(&pair.first, 2, frame), CF_OK);
        contract_wait(&pair.second, 5);
        cfi_frame_unref(contract_take(&pair.first));
        cfi_frame *taken;
        while ((taken = contract_take(&pair.second)) != NULL) {
            got++;
            bytes += cfi_frame_size(taken);
            cfi_frame_unref(taken);
        }
    }
    cfi_transport_counts first, second;
    pair.first.ops->counts(pair.first.self, &first);
    pair.second.ops->counts(pair.second.self, &second);
    assert_int_equal(second.received, got);
    assert_int_equal(second.bytes_received, bytes);
    assert_int_equal(second.bytes_received, got * 200);
    assert_true(first.sent >= got && first.bytes_sent == first.sent * 200);
    assert_true(first.refused == 0 && second.refused == 0);
    cfi_frame_unref(frame);
    contract_pair_fini(&pair);
}

static void closing_twice_is_fine(void **state)
{
    (void)state;
    struct contract_pair pair;
    contract_pair_init(&pair, 0);
    pair.first.ops->close(pair.first.self);
    cfi_transport_close(&pair.first);
    cfi_transport_close(&pair.first);
    contract_pair_fini(&pair);
}

static void two_senders_reach_one_receiver(void **state)
{
    (void)state;
    char third_endpoint[CFI_ENDPOINT_SIZE_MAX];
    struct contract_pair pair;
    cfi_transport third;
    contract_pair_init(&pair, 0);
    contract->make_endpoint(third_endpoint);
    contract_open(third_endpoint, 0, &third);
    contract_connect(&third, 9, pair.second_endpoint);
    for (uint64_t tag = 1; tag <= 40; tag += 2) {
        contract_reach(&pair.first, 2, &pair.second, tag);
        contract_reach(&third, 9, &pair.second, tag + 1);
    }
    cfi_transport_close(&third);
    contract_pair_fini(&pair);
}

static void a_frame_may_go_to_many_and_is_let_go_by_all(void **state)
{
    (void)state;
    struct contract_pair pair;
    contract_pair_init(&pair, 0);
    contract_connect(&pair.first, 3, pair.second_endpoint);
    contract_connect(&pair.first, 4, pair.first_endpoint); /* to oneself, too */
    cfi_frame *frame = contract_frame(1, 5000);
    for (uint32_t i = 0; i < 30; i++) {
        assert_int_equal(contract_send(&pair.first, 2 + i % 3, frame), CF_OK);
    }
    cfi_frame *kept = contract_deliver(&pair.first, 2, &pair.second, 2, 5000);
    contract_pair_fini(&pair);
    assert_int_equal(atomic_load(&frame->references), 1);
    contract_check_frame(kept, 5000);
    cfi_frame_unref(kept);
    cfi_frame_unref(frame);
}

static void a_received_frame_outlives_its_sender_and_its_transport(void **state)
{
    (void)state;
    struct contract_pair pair;
    contract_pair_init(&pair, 0);
    cfi_frame *small = contract_deliver(&pair.first, 2, &pair.second, 1, 40);
    cfi_frame *large = contract_deliver(&pair.first, 2, &pair.second, 2, 50000);
    cfi_transport_close(&pair.first);
    contract_check_frame(small, 40);
    contract_check_frame(large, 50000);
    cfi_transport_close(&pair.second);
    contract_check_frame(small, 40);
    contract_check_frame(large, 50000);
    cfi_frame_unref(small);
    cfi_frame_unref(large);
}

/* Only our own allocations fail, a send at a time: it is told or lost, and the next ones go through. */
static void short_memory_is_survived(void **state)
{
    (void)state;
    char endpoint[CFI_ENDPOINT_SIZE_MAX];
    cf_status status = CF_E_MEMORY;
    for (uint64_t n = 0; status != CF_OK; n++) {
        contract->make_endpoint(endpoint);
        cfi_transport transport = {NULL, NULL};
        cf_error error = {.code = CF_OK};
        cfi_alloc_fail_after(n);
        status = contract->open(endpoint, 0, &transport, &error);
        if (status == CF_OK) {
            status = transport.ops->connect(transport.self, 40, endpoint, &error);
        }
        cfi_alloc_fail_after(UINT64_MAX);
        assert_true(status == CF_OK || status == CF_E_MEMORY);
        if (transport.ops != NULL) {
            contract_connect(&transport, 2, endpoint);
            contract_reach(&transport, 2, &transport, 1);
        }
        cfi_transport_close(&transport);
    }
}

static int contract_run(const char *name, const struct contract *tested)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_all_sizes_arrive_unchanged),
        cmocka_unit_test(many_frames_all_arrive_and_in_order),
        cmocka_unit_test(a_peer_that_is_not_there_is_no_error_and_is_reached_when_it_comes),
        cmocka_unit_test(a_peer_that_comes_back_is_reached_again),
        cmocka_unit_test(a_full_queue_is_told_and_breaks_nothing),
        cmocka_unit_test(peers_are_known_replaced_and_forgotten),
        cmocka_unit_test(the_descriptors_wake_whoever_waits),
        cmocka_unit_test(receive_gives_null_when_nothing_is_there),
        cmocka_unit_test(frames_and_bytes_are_counted),
        cmocka_unit_test(closing_twice_is_fine),
        cmocka_unit_test(two_senders_reach_one_receiver),
        cmocka_unit_test(a_frame_may_go_to_many_and_is_let_go_by_all),
        cmocka_unit_test(a_received_frame_outlives_its_sender_and_its_transport),
        cmocka_unit_test(short_memory_is_survived),
    };
    contract = tested;
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

#endif
