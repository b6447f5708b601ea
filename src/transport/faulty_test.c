#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "contract/transport_contract.h"

static cfi_fault_options faults; /* of the transports that open_faulty makes */

static void make_endpoint(char *endpoint)
{
    static int number;
    snprintf(endpoint, CFI_ENDPOINT_SIZE_MAX, "inproc://faulty-%d", number++);
}

static cf_status open_faulty(const char *endpoint, int64_t queue_max, cfi_transport *transport_out, cf_error *error)
{
    const cfi_transport_options options = {.endpoint = endpoint, .queue_max = queue_max};
    cfi_transport next;
    CFI_TRY(cfi_transport_open("inproc", &options, &next, error));
    const cf_status status = cfi_transport_faulty(&faults, next, transport_out, error);
    if (status != CF_OK) {
        cfi_transport_close(&next);
    }
    return status;
}

enum { SENT = 2000 };

/* Sends SENT frames to itself and writes down which tags come, in order. Their number. */
static int run_faults(const cfi_fault_options *options, uint64_t *tags, cfi_transport_counts *counts_out)
{
    char endpoint[CFI_ENDPOINT_SIZE_MAX];
    cfi_transport transport;
    faults = *options;
    make_endpoint(endpoint);
    contract_open(endpoint, 0, &transport);
    contract_connect(&transport, 1, endpoint);
    int count = 0;
    for (uint64_t tag = 0; tag < SENT; tag++) {
        cfi_frame *frame = contract_frame(tag, 20);
        assert_int_equal(contract_send(&transport, 1, frame), CF_OK);
        cfi_frame_unref(frame);
        cfi_frame *got;
        while ((got = contract_take(&transport)) != NULL) {
            contract_check_frame(got, 20);
            tags[count++] = got->header.tag;
            cfi_frame_unref(got);
        }
    }
    for (int i = 0; i < 100; i++) { /* calls go by, so that what is held comes */
        cfi_frame *got = contract_take(&transport);
        if (got != NULL) {
            tags[count++] = got->header.tag;
            cfi_frame_unref(got);
        }
    }
    transport.ops->counts(transport.self, counts_out);
    cfi_transport_close(&transport);
    return count;
}

static int count_backwards(const uint64_t *tags, int count)
{
    int backwards = 0;
    for (int i = 1; i < count; i++) {
        backwards += tags[i] < tags[i - 1];
    }
    return backwards;
}

static uint64_t tags[2 * SENT], again[2 * SENT];

static void faults_come_as_often_as_asked(void **state)
{
    (void)state;
    cfi_transport_counts counts;
    int count = run_faults(&(cfi_fault_options){.seed = 1}, tags, &counts);
    assert_true(count == SENT && counts.dropped == 0 && count_backwards(tags, count) == 0);
    count = run_faults(&(cfi_fault_options){.seed = 1, .drop = 0.25}, tags, &counts);
    assert_in_range(count, SENT * 70 / 100, SENT * 80 / 100);
    assert_int_equal(counts.dropped, SENT - count);
    count = run_faults(&(cfi_fault_options){.seed = 1, .corrupt = 0.25}, tags, &counts);
    assert_in_range(count, SENT * 70 / 100, SENT * 80 / 100);
    assert_int_equal(counts.dropped, SENT - count);
    count = run_faults(&(cfi_fault_options){.seed = 1, .duplicate = 0.25}, tags, &counts);
    assert_in_range(count, SENT * 120 / 100, SENT * 130 / 100);
    count = run_faults(&(cfi_fault_options){.seed = 1, .reorder = 0.25}, tags, &counts);
    assert_int_equal(count, SENT);
    assert_in_range(count_backwards(tags, count), SENT * 10 / 100, SENT * 30 / 100);
    count = run_faults(&(cfi_fault_options){.seed = 1, .delay = 0.25, .delay_calls = 40}, tags, &counts);
    assert_int_equal(count, SENT);
    assert_in_range(count_backwards(tags, count), SENT * 10 / 100, SENT * 30 / 100);
    count = run_faults(&(cfi_fault_options){.seed = 1, .drop = 1}, tags, &counts);
    assert_int_equal(count, 0);
}

static void the_same_seed_gives_the_same_faults(void **state)
{
    (void)state;
    cfi_fault_options options = {5, 0.1, 0.1, 0.1, 0.1, 0.1, 12};
    cfi_transport_counts counts;
    const int count = run_faults(&options, tags, &counts);
    assert_int_equal(run_faults(&options, again, &counts), count);
    assert_memory_equal(tags, again, (size_t)count * sizeof *tags);
    options.seed = 6;
    const int other = run_faults(&options, again, &counts);
    assert_true(other != count || memcmp(tags, again, (size_t)count * sizeof *tags) != 0);
}

static void nothing_passes_a_cut_in_either_direction(void **state)
{
    (void)state;
    struct contract_pair pair;
    faults = (cfi_fault_options){0};
    contract_pair_init(&pair, 0);
    cfi_frame *frame = contract_frame(1, 10); /* from unit 1 */
    cfi_transport_faulty_cut(&pair.first, 2, true);
    assert_int_equal(contract_send(&pair.first, 2, frame), CF_OK);
    assert_null(contract_take(&pair.second));
    cfi_transport_faulty_cut(&pair.first, 2, false);
    cfi_transport_faulty_cut(&pair.second, 1, true);
    assert_int_equal(contract_send(&pair.first, 2, frame), CF_OK);
    assert_null(contract_take(&pair.second));
    cfi_transport_faulty_cut(&pair.second, 1, false);
    contract_reach(&pair.first, 2, &pair.second, 2);
    cfi_frame_unref(frame);
    contract_pair_fini(&pair);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    const cfi_transport none = {NULL, NULL};
    cfi_transport transport;
    assert_int_equal(cfi_transport_faulty(&(cfi_fault_options){.drop = 1.5}, none, &transport, NULL), CF_E_USAGE);
    assert_int_equal(cfi_transport_faulty(&(cfi_fault_options){.delay = -1}, none, &transport, NULL), CF_E_USAGE);
    assert_int_equal(cfi_transport_faulty(&(cfi_fault_options){.delay_calls = -1}, none, &transport, NULL), CF_E_USAGE);
}

static void a_record_has_a_line_for_each_frame(void **state)
{
    (void)state;
    char path[] = "/tmp/cuttlefish-record-XXXXXX";
    close(mkstemp(path));
    cfi_transport next, transport;
    faults = (cfi_fault_options){0};
    contract_open("inproc://recorded", 1, &next);
    assert_int_equal(cfi_transport_record("/nowhere/at/all", next, &transport, NULL), CF_E_IO);
    assert_int_equal(cfi_transport_record(path, next, &transport, NULL), CF_OK);
    contract_connect(&transport, 3, "inproc://recorded");
    cfi_frame *frame = contract_frame(5, 24);
    assert_int_equal(contract_send(&transport, 3, frame), CF_OK);
    assert_int_equal(contract_send(&transport, 3, frame), CF_E_LIMIT);
    cfi_frame_unref(contract_take(&transport));
    cfi_frame_unref(frame);
    cfi_transport_close(&transport);
    char *text;
    size_t size;
    assert_int_equal(cfi_file_read(path, 10000, &text, &size, NULL), CF_OK);
    assert_string_equal(text, "send peer=3 kind=forward tensor=0 step=15 micro=0 block=0+0 size=152\n"
                        "send peer=3 kind=forward tensor=0 step=15 micro=0 block=0+0 size=152 dropped\n"
                        "receive peer=1 kind=forward tensor=0 step=15 micro=0 block=0+0 size=152\n");
    cfi_free(text);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_come_as_often_as_asked),
        cmocka_unit_test(the_same_seed_gives_the_same_faults),
        cmocka_unit_test(nothing_passes_a_cut_in_either_direction),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(a_record_has_a_line_for_each_frame),
    };
    static const struct {
        const char *name;
        cfi_fault_options faults;
    } cases[] = {
        {"faultless", {.seed = 1}},
        {"drop", {.seed = 1, .drop = 0.3}},
        {"duplicate", {.seed = 1, .duplicate = 0.3}},
        {"reorder", {.seed = 1, .reorder = 0.3}},
        {"delay", {.seed = 1, .delay = 0.3, .delay_calls = 5}},
        {"corrupt", {.seed = 1, .corrupt = 0.3}},
    };
    const struct contract faulty = {make_endpoint, open_faulty, true, true, 100000};
    contract = &faulty;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        faults = cases[i].faults;
        failed += contract_run(cases[i].name, &faulty);
    }
    return failed;
}
