/* What a unit tells the controller: payload of REPORT (docs/format/frame.md), little endian. */
#include <string.h>

#include "shard/parts.h"

enum { REPORT_HEAD_SIZE = 48 + CFI_HEAD_SIZE, FLAG_RECORD = 1, FLAG_EVALUATED = 2, CHAINS_MAX = 4096 };

static void put64(unsigned char *bytes, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
}

static uint64_t get64(const unsigned char *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

static size_t chain_size(int node_count)
{
    return 8 + (size_t)node_count * 16;
}

size_t part_report_size(int chain_count, int node_count)
{
    return REPORT_HEAD_SIZE + (size_t)chain_count * chain_size(node_count);
}

void part_report_write(unsigned char *bytes, const part_report_text *report, const part_chain *chains, int node_count)
{
    const bool has_record = report->record.step >= 0;
    put64(bytes, (uint64_t)report->durable);
    put64(bytes + 8, report->generation);
    put64(bytes + 16, (uint64_t)report->end);
    put64(bytes + 24, (has_record ? FLAG_RECORD : 0u) | (report->is_evaluated ? FLAG_EVALUATED : 0u));
    put64(bytes + 32, (uint64_t)report->chain_count);
    put64(bytes + 40, (uint64_t)node_count);
    if (has_record) {
        cfi_head_encode(&report->record, bytes + 48);
    } else {
        memset(bytes + 48, 0, CFI_HEAD_SIZE);
    }
    bytes += REPORT_HEAD_SIZE;
    for (int i = 0; i < report->chain_count; i++, bytes += chain_size(node_count)) {
        put64(bytes, (uint64_t)chains[i].step);
        for (int n = 0; n < node_count; n++) {
            put64(bytes + 8 + n * 16, chains[i].nodes[n].low);
            put64(bytes + 16 + n * 16, chains[i].nodes[n].high);
        }
    }
}

cf_status part_report_read(const cfi_frame *frame, int node_count, part_report_text *report_out,
                           const unsigned char **chains_out, cf_error *error)
{
    const unsigned char *bytes = cfi_frame_payload(frame);
    if (frame->payload_size < REPORT_HEAD_SIZE) {
        return cfi_fail(error, CF_E_DATA, "a report of %u bytes is too short", frame->payload_size);
    }
    const uint64_t flags = get64(bytes + 24), chain_count = get64(bytes + 32);
    if (flags > (FLAG_RECORD | FLAG_EVALUATED) || chain_count > CHAINS_MAX ||
        get64(bytes + 40) != (uint64_t)node_count ||
        frame->payload_size != part_report_size((int)chain_count, node_count)) {
        return cfi_fail(error, CF_E_DATA, "a report of %u bytes does not hold what it says", frame->payload_size);
    }
    part_report_text report = {
        .durable = (int64_t)get64(bytes), .generation = get64(bytes + 8), .end = (int64_t)get64(bytes + 16),
        .is_evaluated = (flags & FLAG_EVALUATED) != 0, .chain_count = (int)chain_count, .record = {.step = -1}};
    if ((flags & FLAG_RECORD) != 0) {
        CFI_TRY(cfi_head_decode(bytes + 48, CFI_HEAD_SIZE, &report.record, error));
    }
    *report_out = report;
    *chains_out = bytes + REPORT_HEAD_SIZE;
    return CF_OK;
}
