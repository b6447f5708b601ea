/* A lease that was taken twice, because its request was repeated; and one that another start has taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "shard/machine.h"
#include "store/request.h"

enum { UNITS = 4, STEPS = 8 };

typedef struct life {
    cfi_settings settings;
    cfi_graph graph;
    cfi_unit units[UNITS];
    cfi_container container;
    cfi_cluster cluster;
    cfi_machine *machine;
    cfi_actions actions;
    cfi_frame *sent;     /* the last request to the store */
    bool has_failed, is_replaced;
} life;

static void step(life *l, const cfi_machine_event *event)
{
    cfi_machine_step(l->machine, event, &l->actions);
    for (int i = 0; i < l->actions.count; i++) {
        const cfi_action *action = &l->actions.items[i];
        if (action->kind == CFI_ACTION_SEND && action->frame->header.kind == CFI_FRAME_STORE_REQUEST) {
            cfi_frame_unref(l->sent);
            l->sent = cfi_frame_ref(action->frame);
        }
        l->has_failed |= action->kind == CFI_ACTION_FAIL;
        l->is_replaced |= action->kind == CFI_ACTION_FAIL && action->is_replaced;
    }
    cfi_actions_clear(&l->actions);
}

static void answer(life *l, const cfi_frame *request, cfi_store_outcome outcome, const void *value, size_t size)
{
    cfi_store_request asked;
    cfi_frame *frame = NULL;
    assert_int_equal(cfi_store_request_read(request, &asked, NULL), CF_OK);
    const cfi_store_reply reply = {.kind = asked.kind, .outcome = outcome, .generation = 5, .key = asked.key,
                                   .value = value, .value_size = size};
    assert_int_equal(cfi_store_reply_frame(request, CFI_UNIT_INDEX_STORE, &reply, &frame, NULL), CF_OK);
    const cfi_machine_event event = {.kind = CFI_MACHINE_FRAME, .frame = frame};
    step(l, &event);
    cfi_frame_unref(frame);
}

static cfi_store_request_kind asked_for(const life *l)
{
    cfi_store_request asked;
    assert_non_null(l->sent);
    assert_int_equal(cfi_store_request_read(l->sent, &asked, NULL), CF_OK);
    return asked.kind;
}

static uint32_t incarnation(const life *l)
{
    cfi_machine_status status;
    cfi_machine_status_get(l->machine, &status);
    return status.incarnation;
}

/* A controller that has lease 1 and has just put its plan; *lease_out: the request for the lease. */
static void begin(life *l, cfi_frame **lease_out)
{
    static const cfi_unit_kind kinds[UNITS] = {CFI_UNIT_CONTROLLER, CFI_UNIT_STORE, CFI_UNIT_SOURCE, CFI_UNIT_LOSS};
    memset(l, 0, sizeof *l);
    for (int u = 0; u < UNITS; u++) {
        l->units[u] = (cfi_unit){.kind = kinds[u], .stage = -1};
        snprintf(l->units[u].name, sizeof l->units[u].name, "unit%d", u);
    }
    l->cluster = (cfi_cluster){
        .id = 1, .digest = 3, .units = l->units, .unit_count = UNITS, .containers = &l->container, .container_count = 1,
        .work = {.batch = 1, .step_count = STEPS, .persist_every = 1, .window = 4, .steps_per_epoch = STEPS}};
    const cfi_machine_options options = {.settings = &l->settings, .graph = &l->graph, .cluster = &l->cluster,
                                         .unit = CFI_UNIT_INDEX_CONTROLLER};
    assert_int_equal(cfi_machine_new(&options, &l->machine, NULL), CF_OK);
    const cfi_machine_event start = {.kind = CFI_MACHINE_START, .boot = 77};
    step(l, &start);
    assert_int_equal(asked_for(l), CFI_STORE_LEASE);
    *lease_out = cfi_frame_ref(l->sent);
    answer(l, *lease_out, CFI_STORE_DONE, "\1\0\0\0", 4);
    assert_int_equal(incarnation(l), 1);
    assert_int_equal(asked_for(l), CFI_STORE_GET);
    cfi_frame *head = cfi_frame_ref(l->sent);
    answer(l, head, CFI_STORE_ABSENT, NULL, 0);
    cfi_frame_unref(head);
    assert_int_equal(asked_for(l), CFI_STORE_PUT);
    assert_int_equal(l->sent->header.source_incarnation, 1);
}

static void end(life *l, cfi_frame *lease)
{
    cfi_frame_unref(lease);
    cfi_frame_unref(l->sent);
    cfi_actions_fini(&l->actions);
    cfi_machine_free(l->machine);
}

static void a_lease_taken_twice_is_the_second_one(void **state)
{
    (void)state;
    life l;
    cfi_frame *lease, *put;
    begin(&l, &lease);
    put = cfi_frame_ref(l.sent);
    answer(&l, lease, CFI_STORE_DONE, "\2\0\0\0", 4); /* the repeated request's */
    assert_int_equal(incarnation(&l), 2);
    answer(&l, put, CFI_STORE_STALE, NULL, 0); /* it was on its way under the first */
    assert_false(l.has_failed);
    assert_int_equal(asked_for(&l), CFI_STORE_PUT);
    assert_int_equal(l.sent->header.source_incarnation, 2);
    assert_true(l.sent->header.tag != put->header.tag);
    cfi_frame_unref(put);
    end(&l, lease);
}

static void an_earlier_answer_that_comes_late_changes_nothing(void **state)
{
    (void)state;
    life l;
    cfi_frame *lease;
    begin(&l, &lease);
    answer(&l, lease, CFI_STORE_DONE, "\1\0\0\0", 4);
    assert_int_equal(incarnation(&l), 1);
    lease->header.tag ^= UINT64_C(1) << 40; /* of another start: its lease is not this one's */
    answer(&l, lease, CFI_STORE_DONE, "\7\0\0\0", 4);
    assert_int_equal(incarnation(&l), 1);
    assert_false(l.has_failed);
    end(&l, lease);
}

static void who_is_refused_under_its_own_lease_ends(void **state)
{
    (void)state;
    life l;
    cfi_frame *lease;
    begin(&l, &lease);
    cfi_frame *put = cfi_frame_ref(l.sent);
    answer(&l, put, CFI_STORE_STALE, NULL, 0);
    assert_true(l.has_failed);
    assert_true(l.is_replaced);
    cfi_frame_unref(put);
    end(&l, lease);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_taken_twice_is_the_second_one),
        cmocka_unit_test(an_earlier_answer_that_comes_late_changes_nothing),
        cmocka_unit_test(who_is_refused_under_its_own_lease_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
