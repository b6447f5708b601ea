#include "node/hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"

static bool is_near(double left, double right)
{
    return left > right - 1e-12 && left < right + 1e-12;
}

static void faults_are_read(void **state)
{
    (void)state;
    cfi_fault_options options;
    assert_int_equal(cfi_hook_parse_faults("drop=0.05,duplicate=0.25,reorder=1,delay=1e-2,corrupt=0,delay_calls=9", "a",
                                           &options, NULL), CF_OK);
    assert_true(is_near(options.drop, 0.05) && is_near(options.duplicate, 0.25) && is_near(options.reorder, 1) &&
                is_near(options.delay, 0.01) && is_near(options.corrupt, 0));
    assert_int_equal(options.delay_calls, 9);
    assert_int_equal(cfi_hook_parse_faults("delay=1", "a", &options, NULL), CF_OK);
    assert_true(options.delay_calls > 0 && is_near(options.drop, 0)); /* a delay is one without further words */
}

static void seeds_differ_by_container_and_by_seed(void **state)
{
    (void)state;
    cfi_fault_options a, again, b, other;
    assert_int_equal(cfi_hook_parse_faults("seed=7", "hidden.0", &a, NULL), CF_OK);
    assert_int_equal(cfi_hook_parse_faults("seed=7", "hidden.0", &again, NULL), CF_OK);
    assert_int_equal(cfi_hook_parse_faults("seed=7", "hidden.1", &b, NULL), CF_OK);
    assert_int_equal(cfi_hook_parse_faults("seed=8", "hidden.0", &other, NULL), CF_OK);
    assert_true(a.seed == again.seed && a.seed != b.seed && a.seed != other.seed);
}

static void malformed_faults_are_named(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"drop", "'drop' is not NAME=NUMBER"},       {"drop=", "'drop=' is not NAME=NUMBER"},
        {"drop=0.1,", "'' is not NAME=NUMBER"},      {"", "'' is not NAME=NUMBER"},
        {"drop=x", "'drop=x' is not NAME=NUMBER"},   {"drop=nan", "'drop=nan' is not NAME=NUMBER"},
        {"drop=1.5", "'drop=1.5' is not a prob"},    {"delay=-0.1", "'delay=-0.1' is not a prob"},
        {"loss=0.1", "'loss=0.1' names no fault"},   {"seed=1.5", "'seed=1.5' has no whole number"},
        {"seed=-1", "'seed=-1' has no whole"},       {"seed=1e30", "'seed=1e30' has no whole number in range"},
        {"delay_calls=1e9", "has no whole number"},  {"=1", "'=1' names no fault"},
        {"drop=0.00000000000000000000000000000000000000000000000000000000001", "is too long"}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cfi_fault_options options = {.seed = 4711};
        cf_error error = {0};
        assert_int_equal(cfi_hook_parse_faults(texts[i][0], "a", &options, &error), CF_E_USAGE);
        assert_non_null(strstr(error.text, "CUTTLEFISH_FAULTS: "));
        assert_non_null(strstr(error.text, texts[i][1]));
        assert_int_equal(options.seed, 4711);
    }
}

static void open_inproc(cfi_transport *transport)
{
    const cfi_transport_options options = {.endpoint = "inproc://hook"};
    assert_int_equal(cfi_transport_open("inproc", &options, transport, NULL), CF_OK);
}

static void without_variables_nothing_is_wrapped(void **state)
{
    (void)state;
    cfi_transport transport;
    unsetenv("CUTTLEFISH_FAULTS");
    setenv("CUTTLEFISH_RECORD", "", 1);
    open_inproc(&transport);
    const void *self = transport.self;
    assert_int_equal(cfi_hook_transport("a", &transport, NULL), CF_OK);
    assert_ptr_equal(transport.self, self);
    cfi_transport_close(&transport);
}

static void faults_and_record_wrap(void **state)
{
    (void)state;
    char folder[] = "/tmp/cf-hook-XXXXXX", path[64], *text = NULL;
    size_t size = 0;
    cfi_transport transport;
    cfi_frame *frame = NULL;
    cfi_transport_counts counts;
    const cfi_frame_header header = {.kind = CFI_FRAME_DONE, .step = 42};
    assert_non_null(mkdtemp(folder));
    setenv("CUTTLEFISH_FAULTS", "drop=1", 1);
    setenv("CUTTLEFISH_RECORD", folder, 1);
    open_inproc(&transport);
    assert_int_equal(cfi_hook_transport("hidden.0", &transport, NULL), CF_OK);
    assert_int_equal(transport.ops->connect(transport.self, 3, "inproc://hook", NULL), CF_OK);
    assert_int_equal(cfi_frame_new(&header, 0, &frame, NULL), CF_OK);
    cfi_frame_seal(frame);
    assert_int_equal(transport.ops->send(transport.self, 3, frame, NULL), CF_OK);
    cfi_frame_unref(frame);
    assert_int_equal(transport.ops->receive(transport.self, &frame, NULL), CF_OK);
    assert_null(frame);
    transport.ops->counts(transport.self, &counts);
    assert_int_equal(counts.dropped, 1);
    cfi_transport_close(&transport);
    snprintf(path, sizeof path, "%s/hidden.0.txt", folder);
    assert_int_equal(cfi_file_read(path, 4096, &text, &size, NULL), CF_OK);
    assert_non_null(strstr(text, "send peer=3 "));
    assert_non_null(strstr(text, " step=42 "));
    cfi_free(text);
    unlink(path);
    rmdir(folder);
    unsetenv("CUTTLEFISH_FAULTS");
    unsetenv("CUTTLEFISH_RECORD");
}

static void short_memory_leaves_the_transport_closable(void **state)
{
    (void)state;
    cfi_transport transport;
    cf_status status = CF_E_MEMORY;
    setenv("CUTTLEFISH_FAULTS", "drop=0.5", 1);
    setenv("CUTTLEFISH_RECORD", "/tmp", 1);
    for (uint64_t passes = 0; status != CF_OK; passes++) {
        open_inproc(&transport);
        cfi_alloc_fail_after(passes);
        status = cfi_hook_transport("cf-hook-short", &transport, NULL);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_true(status == CF_OK ? passes == 2 : status == CF_E_MEMORY);
        cfi_transport_close(&transport);
    }
    unlink("/tmp/cf-hook-short.txt");
    unsetenv("CUTTLEFISH_FAULTS");
    unsetenv("CUTTLEFISH_RECORD");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_read),
        cmocka_unit_test(seeds_differ_by_container_and_by_seed),
        cmocka_unit_test(malformed_faults_are_named),
        cmocka_unit_test(without_variables_nothing_is_wrapped),
        cmocka_unit_test(faults_and_record_wrap),
        cmocka_unit_test(short_memory_leaves_the_transport_closable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
