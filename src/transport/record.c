/* Writes down what passes. Each line is appended at once, so that it outlives a kill -9. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "transport/transport.h"

struct record {
    cfi_transport next;
    char path[CFI_PATH_SIZE_MAX];
};

/* A line that cannot be written is lost: recording never gets in the way of what it records. */
static void write_line(const struct record *record, const char *direction, uint32_t peer, const cfi_frame *frame,
                       const char *note)
{
    char line[256];
    const cfi_frame_header *header = &frame->header;
    const int length = snprintf(line, sizeof line,
                                "%s peer=%" PRIu32 " kind=%s tensor=%" PRIu32 " step=%" PRIu64 " micro=%" PRIu32
                                " block=%" PRIu32 "+%" PRIu32 " size=%zu%s\n",
                                direction, peer, cfi_frame_kind_name(header->kind), header->tensor, header->step,
                                header->micro, header->block_lo, header->block_n, cfi_frame_size(frame), note);
    const cf_status status = cfi_file_append(record->path, line, (size_t)length, NULL);
    (void)status;
}

static cf_status record_send(void *self, uint32_t peer, cfi_frame *frame, cf_error *error)
{
    struct record *record = self;
    const cf_status status = record->next.ops->send(record->next.self, peer, frame, error);
    write_line(record, "send", peer, frame, status == CF_OK ? "" : " dropped");
    return status;
}

static cf_status record_receive(void *self, cfi_frame **frame_out, cf_error *error)
{
    struct record *record = self;
    cfi_frame *frame;
    CFI_TRY(record->next.ops->receive(record->next.self, &frame, error));
    if (frame != NULL) {
        write_line(record, "receive", frame->header.source_unit, frame, "");
    }
    *frame_out = frame;
    return CF_OK;
}

static cf_status record_open(void *self, const cfi_transport_options *options, cf_error *error)
{
    (void)self;
    (void)options;
    return cfi_fail(error, CF_E_USAGE, "record: wraps an open transport (cfi_transport_record)");
}

static cf_status record_connect(void *self, uint32_t peer, const char *endpoint, cf_error *error)
{
    struct record *record = self;
    return record->next.ops->connect(record->next.self, peer, endpoint, error);
}

static void record_disconnect(void *self, uint32_t peer)
{
    struct record *record = self;
    record->next.ops->disconnect(record->next.self, peer);
}

static int record_descriptors(void *self, int *fds)
{
    struct record *record = self;
    return record->next.ops->descriptors(record->next.self, fds);
}

static void record_counts(void *self, cfi_transport_counts *counts_out)
{
    struct record *record = self;
    record->next.ops->counts(record->next.self, counts_out);
}

static void record_close(void *self)
{
    struct record *record = self;
    cfi_transport_close(&record->next);
}

static const cfi_transport_ops record_ops = {
    .abi = CFI_TRANSPORT_ABI,
    .size = sizeof(struct record),
    .name = "record",
    .open = record_open,
    .connect = record_connect,
    .disconnect = record_disconnect,
    .send = record_send,
    .receive = record_receive,
    .descriptors = record_descriptors,
    .counts = record_counts,
    .close = record_close,
};

cf_status cfi_transport_record(const char *path, cfi_transport next, cfi_transport *transport_out, cf_error *error)
{
    struct record *record = cfi_calloc(1, sizeof *record);
    if (record == NULL) {
        return cfi_fail_memory(error, "a record");
    }
    cf_status status = cfi_copy_path(record->path, path)
                           ? cfi_file_append(path, "", 0, error) /* tells now if it can't be written */
                           : cfi_fail(error, CF_E_LIMIT, "record: the file's name is too long");
    if (status != CF_OK) {
        cfi_free(record);
        return status;
    }
    record->next = next;
    *transport_out = (cfi_transport){&record_ops, record};
    return CF_OK;
}
