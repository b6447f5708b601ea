/* Inbox, outbox, joins, the payload of reports, HEAD's record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/philox.h"
#include "shard/parts.h"

static cfi_frame *make_frame(uint32_t unit, int64_t step, uint32_t micro, unsigned char content)
{
    const cfi_frame_header header = {.kind = CFI_FRAME_FORWARD, .source_unit = unit, .step = (uint64_t)step,
                                     .micro = micro};
    cfi_frame *frame;
    assert_int_equal(cfi_frame_new(&header, 1, &frame, NULL), CF_OK);
    *cfi_frame_payload(frame) = content;
    cfi_frame_seal(frame);
    return frame;
}

static part_taken give(part_inbox *inbox, uint32_t unit, int64_t step, uint32_t micro, unsigned char content)
{
    cfi_frame *frame = make_frame(unit, step, micro, content);
    const int edge = part_inbox_edge(inbox, &frame->header);
    assert_int_equal(edge, 0);
    const part_taken taken = part_inbox_add(inbox, edge, frame);
    cfi_frame_unref(frame);
    return taken;
}

static void inbox_init(part_inbox *inbox)
{
    memset(inbox, 0, sizeof *inbox);
    assert_int_equal(part_inbox_init(inbox, 8, NULL), CF_OK);
    part_inbox_add_edge(inbox, CFI_FRAME_FORWARD, 4, 3);
}

static void a_set_is_whole_when_every_unit_has_sent(void **state)
{
    (void)state;
    part_inbox inbox;
    inbox_init(&inbox);
    assert_int_equal(give(&inbox, 6, 1, 0, 'c'), PART_TAKEN);
    assert_int_equal(give(&inbox, 4, 1, 0, 'a'), PART_TAKEN);
    assert_int_equal(give(&inbox, 5, 1, 1, 'x'), PART_TAKEN); /* another micro-batch */
    assert_int_equal(give(&inbox, 5, 9, 0, 'x'), PART_TAKEN); /* another step in the same place of the ring */
    assert_null(part_inbox_whole(&inbox, 0, 1, 0));
    assert_int_equal(give(&inbox, 5, 1, 0, 'b'), PART_TAKEN);
    cfi_frame *const *frames = part_inbox_whole(&inbox, 0, 1, 0);
    assert_non_null(frames);
    for (int i = 0; i < 3; i++) { /* in the order of the units */
        assert_int_equal(*cfi_frame_payload(frames[i]), 'a' + i);
    }
    assert_int_equal(inbox.frames, 5);
    part_inbox_fini(&inbox);
}

static void a_duplicate_is_known_and_a_divergent_one_is_found(void **state)
{
    (void)state;
    part_inbox inbox;
    inbox_init(&inbox);
    assert_int_equal(give(&inbox, 4, 2, 0, 'a'), PART_TAKEN);
    assert_int_equal(give(&inbox, 4, 2, 0, 'a'), PART_DUPLICATE);
    assert_int_equal(give(&inbox, 4, 2, 0, 'b'), PART_DIVERGED);
    part_inbox_use(&inbox, 0, 2, 0); /* also after it was used */
    assert_int_equal(inbox.frames, 0);
    assert_int_equal(give(&inbox, 4, 2, 0, 'a'), PART_DUPLICATE);
    assert_int_equal(give(&inbox, 4, 2, 0, 'b'), PART_DIVERGED);
    part_inbox_forget(&inbox, 3);
    assert_null(part_inbox_find(&inbox, 0, 2, 0));
    part_inbox_fini(&inbox);
}

static void values_of_strangers_have_no_edge(void **state)
{
    (void)state;
    part_inbox inbox;
    inbox_init(&inbox);
    const cfi_frame_header stranger = {.kind = CFI_FRAME_FORWARD, .source_unit = 7};
    const cfi_frame_header other_kind = {.kind = CFI_FRAME_BACKWARD, .source_unit = 4};
    assert_int_equal(part_inbox_edge(&inbox, &stranger), -1);
    assert_int_equal(part_inbox_edge(&inbox, &other_kind), -1);
    part_inbox_fini(&inbox);
}

static void the_outbox_keeps_what_head_has_not_passed(void **state)
{
    (void)state;
    part_outbox outbox = {NULL, 0, 0, 0, 0};
    for (int64_t step = 0; step < 200; step++) {
        cfi_frame *frame = make_frame(1, step, 0, 'x');
        assert_true(part_outbox_add(&outbox, frame, CFI_UNIT_ALL));
        cfi_frame_unref(frame);
        part_outbox_forget(&outbox, step - 10);
        assert_int_equal(outbox.end - outbox.begin, step < 10 ? step + 1 : 11);
        assert_int_equal(outbox.items[outbox.begin].frame->header.step, step < 10 ? 0 : step - 10);
    }
    assert_true(outbox.capacity < 100);
    part_outbox_fini(&outbox);
    assert_int_equal(outbox.bytes, 0);
}

/* Any tiling of a layer by shards, joined from their nodes, is the tree over the whole. */
static void joined_nodes_are_the_root_of_the_whole(void **state)
{
    (void)state;
    float sums[100];
    cfi_hash leaves[100], copy[100];
    for (uint32_t i = 0; i < 100; i++) {
        sums[i] = (float)cfi_draw(5, CFI_PURPOSE_TEST, 0, i, 0, 0).word[0] * 1e-7f;
        leaves[i] = cfi_hash_bytes(&i, sizeof i);
    }
    for (uint32_t trial = 0; trial < 2000; trial++) {
        const int64_t count = 1 + cfi_draw(5, CFI_PURPOSE_TEST, 1, trial, 0, 0).word[0] % 100;
        part_joiner hashes = {.depth = 0}, floats = {.depth = 0};
        uint32_t draws = 0;
        for (int64_t begin = 0; begin < count;) {
            const int64_t size = 1 + cfi_draw(5, CFI_PURPOSE_TEST, 2, trial, draws++, 0).word[0] % 20;
            const int64_t end = begin + size < count ? begin + size : count;
            cfi_tree_node nodes[CFI_TREE_NODES_MAX];
            const int node_count = cfi_tree_split(begin, end, count, nodes);
            for (int n = 0; n < node_count; n++) {
                const size_t own = (size_t)(nodes[n].end - nodes[n].begin);
                memcpy(copy, leaves + nodes[n].begin, own * sizeof *copy);
                part_joiner_add_hash(&hashes, nodes[n], part_join_leaves(copy, (int64_t)own), count);
                part_joiner_add_sum(&floats, nodes[n], cfi_tree_sum(sums + nodes[n].begin, (int64_t)own), count);
            }
            begin = end;
        }
        memcpy(copy, leaves, sizeof copy);
        const cfi_hash root = part_join_leaves(copy, count);
        const float sum = cfi_tree_sum(sums, count);
        assert_int_equal(hashes.depth, 1);
        assert_memory_equal(&hashes.hashes[0], &root, sizeof root);
        assert_memory_equal(&floats.sums[0], &sum, sizeof sum);
    }
}

static cfi_frame *report_frame(const part_report_text *report, const part_chain *chains, int nodes)
{
    const cfi_frame_header header = {.kind = CFI_FRAME_REPORT};
    cfi_frame *frame;
    assert_int_equal(cfi_frame_new(&header, part_report_size(report->chain_count, nodes), &frame, NULL), CF_OK);
    part_report_write(cfi_frame_payload(frame), report, chains, nodes);
    return frame;
}

static void a_report_comes_back_as_it_was(void **state)
{
    (void)state;
    cfi_hash nodes[2] = {{1, 2}, {3, 4}};
    const part_chain chain = {.step = 70, .nodes = nodes};
    const part_report_text report = {
        .durable = -1, .generation = 9, .end = 33, .is_evaluated = true, .chain_count = 1,
        .record = {.step = 5, .plan = 2, .epoch = 3, .limit = INT64_MAX, .end = 40, .chain = {7, 8}}};
    cfi_frame *frame = report_frame(&report, &chain, 2);
    part_report_text read;
    const unsigned char *chains;
    assert_int_equal(part_report_read(frame, 2, &read, &chains, NULL), CF_OK);
    assert_int_equal(read.durable, -1);
    assert_int_equal(read.generation, 9);
    assert_int_equal(read.end, 33);
    assert_true(read.is_evaluated);
    assert_int_equal(read.record.step, 5);
    assert_int_equal(read.record.chain.high, 8);
    assert_int_equal(chains[0], 70);
    assert_int_equal(part_report_read(frame, 1, &read, &chains, NULL), CF_E_DATA); /* of another shard */
    frame->payload_size -= 1;
    assert_int_equal(part_report_read(frame, 2, &read, &chains, NULL), CF_E_DATA);
    frame->payload_size = 3;
    assert_int_equal(part_report_read(frame, 2, &read, &chains, NULL), CF_E_DATA);
    cfi_frame_unref(frame);
}

static void a_damaged_record_of_head_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[CFI_HEAD_SIZE];
    const cfi_head head = {.step = 12, .chain = {1, 2}, .plan = 1, .epoch = 4, .limit = INT64_MAX, .end = 20};
    cfi_head read;
    cfi_head_encode(&head, bytes);
    assert_int_equal(cfi_head_decode(bytes, sizeof bytes, &read, NULL), CF_OK);
    assert_int_equal(read.step, 12);
    assert_int_equal(read.limit, INT64_MAX);
    assert_int_equal(cfi_head_decode(bytes, sizeof bytes - 1, &read, NULL), CF_E_DATA);
    bytes[8] = 21; /* a step behind the end */
    assert_int_equal(cfi_head_decode(bytes, sizeof bytes, &read, NULL), CF_E_DATA);
    bytes[8] = 12;
    bytes[0] = 9; /* another version */
    assert_int_equal(cfi_head_decode(bytes, sizeof bytes, &read, NULL), CF_E_DATA);
}

static void an_inbox_survives_short_memory(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 8; n++) {
        part_inbox inbox;
        cfi_frame *frame = make_frame(4, 1, 0, 'x');
        inbox_init(&inbox);
        cfi_alloc_fail_after(n);
        const part_taken taken = part_inbox_add(&inbox, 0, frame);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_int_equal(taken, n < 3 ? PART_NO_MEMORY : PART_TAKEN);
        cfi_frame_unref(frame);
        part_inbox_fini(&inbox);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_is_whole_when_every_unit_has_sent),
        cmocka_unit_test(a_duplicate_is_known_and_a_divergent_one_is_found),
        cmocka_unit_test(values_of_strangers_have_no_edge),
        cmocka_unit_test(the_outbox_keeps_what_head_has_not_passed),
        cmocka_unit_test(joined_nodes_are_the_root_of_the_whole),
        cmocka_unit_test(a_report_comes_back_as_it_was),
        cmocka_unit_test(a_damaged_record_of_head_is_refused),
        cmocka_unit_test(an_inbox_survives_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
