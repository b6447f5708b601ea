/* The layout is in docs/format/volume.md.
 *
 * Which slot a record goes to: (1) one without a whole record; else (2) one whose record is superseded, that is,
 * another slot holds the same step with a higher sequence; else (3) the one of the lowest step.
 *
 * Why nothing needed is lost. Needed are, for each step from HEAD on, the record with the highest sequence; the
 * caller keeps at most slot_count - 2 such steps. (1) and (2) hold nothing needed. In (3) all slots are whole and
 * of different steps: slot_count steps, at most slot_count - 2 of them not below HEAD, so the lowest is below
 * HEAD. The slot that holds the step being written is therefore never chosen for being of that step: the old
 * record stays until the new one is whole (and, with power_safe, synced), and only then is superseded. So a write
 * torn anywhere damages one record that nobody needs. A record found at opening counts as written: with power_safe
 * the file is synced before it is used.
 *
 * A file whose sync failed is marked in its first page and not written again. What the mark guards against is the
 * kernel's memory, which shows pages that may never reach the disk; mark and pages go together when the power fails.
 * At the next opening the whole records that can be read move to new files: first to NAME.new, synced; then NAME is
 * removed and made again; then NAME.new is removed. At every moment one file has them all. */
#include "node/volume.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/planted.h"

#define PAGE 4096u
#define FILE_MAGIC 0x314D554C4F565F43ull   /* "C_VOLUM1" */
#define RECORD_MAGIC 0x314452434552435Full /* "_CRECRD1" */
#define SLOT_COUNT_MAX 65536
#define FILE_SIZE_MAX ((uint64_t)1 << 46)
enum {
    VERSION = 1,
    HEADER_SIZE = 64,
    HEADER_HASH_AT = 56,
    MARK_AT = 4079, /* not 0: a sync of this file failed */
    PAGE_HASH_AT = 4080
};

/* What a first page says of its file. */
typedef enum file_kind {
    FILE_FOREIGN, /* missing, damaged, half made, or of another run, unit or size */
    FILE_GOOD,
    FILE_MARKED
} file_kind;

/* What a slot holds; sequence 0: no whole record. */
typedef struct slot {
    uint64_t sequence;
    int64_t step;
} slot;

struct cfi_volume {
    cfi_volume_options options;
    char path[CFI_PATH_SIZE_MAX], spare[CFI_PATH_SIZE_MAX];
    int file;
    bool is_open, broken;
    size_t slot_size;
    uint64_t sequence;      /* of the newest record */
    slot *slots;
    unsigned char *staging; /* one slot */
    cfi_record *records;
    int record_count;
};

static int64_t slot_offset(const cfi_volume *volume, int index)
{
    return (int64_t)PAGE + (int64_t)index * (int64_t)volume->slot_size;
}

/* The first page of a file that fits: everything it must agree in. */
static void make_page(const cfi_volume *volume, unsigned char page[PAGE])
{
    const cfi_volume_options *options = &volume->options;
    memset(page, 0, PAGE);
    cfi_bytes_put(page, FILE_MAGIC, 8);
    cfi_bytes_put(page + 8, VERSION, 4);
    cfi_bytes_put(page + 12, (uint64_t)options->slot_count, 4);
    cfi_bytes_put(page + 16, options->run[0], 8);
    cfi_bytes_put(page + 24, options->run[1], 8);
    cfi_bytes_put(page + 32, options->record_size, 8);
    cfi_bytes_put(page + 40, volume->slot_size, 8);
    memcpy(page + 48, options->unit, strlen(options->unit));
    const cfi_hash hash = cfi_hash_bytes(page, PAGE_HASH_AT);
    cfi_bytes_put(page + PAGE_HASH_AT, hash.low, 8);
    cfi_bytes_put(page + PAGE_HASH_AT + 8, hash.high, 8);
}

static cf_status open_file(cfi_volume *volume, const char *path, cf_error *error)
{
    const cfi_disk *disk = &volume->options.disk;
    CFI_TRY(disk->ops->open(disk->self, path, &volume->file, error));
    volume->is_open = true;
    return CF_OK;
}

static void close_file(cfi_volume *volume)
{
    if (volume->is_open) {
        volume->options.disk.ops->close(volume->options.disk.self, volume->file);
        volume->is_open = false;
    }
}

static cf_status remove_file(const cfi_volume *volume, const char *path, cf_error *error)
{
    return volume->options.disk.ops->remove(volume->options.disk.self, path, error);
}

static cf_status sync_file(const cfi_volume *volume, cf_error *error)
{
    const cfi_disk *disk = &volume->options.disk;
    return volume->options.power_safe ? disk->ops->sync(disk->self, volume->file, error) : CF_OK;
}

/* As sync_file; a file that was in use is marked, or removed when it can't be: nobody may write to it again. */
static cf_status sync_or_mark(cfi_volume *volume, cf_error *error)
{
    const cfi_disk *disk = &volume->options.disk;
    const cf_status status = sync_file(volume, error);
    if (status != CF_OK) {
        volume->broken = true;
        if (disk->ops->write(disk->self, volume->file, MARK_AT, "!", 1, NULL) != CF_OK &&
            remove_file(volume, volume->path, NULL) != CF_OK) {
            cfi_error_prefix(error, "and the file cannot be removed: remove it before the next start");
        }
    }
    return status;
}

/* Opens a file, which may make it, and says what it is. */
static cf_status look_at(cfi_volume *volume, const char *path, file_kind *kind_out, cf_error *error)
{
    const cfi_disk *disk = &volume->options.disk;
    unsigned char wanted[PAGE], found[PAGE] = {0};
    size_t size;
    close_file(volume);
    CFI_TRY(open_file(volume, path, error));
    CFI_TRY(disk->ops->read(disk->self, volume->file, 0, found, PAGE, &size, error));
    const bool is_marked = found[MARK_AT] != 0;
    found[MARK_AT] = 0;
    make_page(volume, wanted);
    *kind_out = size != PAGE || memcmp(wanted, found, PAGE) != 0 ? FILE_FOREIGN : is_marked ? FILE_MARKED : FILE_GOOD;
    return CF_OK;
}

/* ---- Records ---- */

/* Into slot `index`. The sequence is used up even when this fails. */
static cf_status write_record(cfi_volume *volume, int index, const cfi_record *record, cf_error *error)
{
    const cfi_disk *disk = &volume->options.disk;
    unsigned char *header = volume->staging;
    memset(header, 0, HEADER_SIZE);
    if (record->size > 0) {
        memcpy(header + HEADER_SIZE, record->bytes, record->size);
    }
    const cfi_hash hash = cfi_hash_bytes(header + HEADER_SIZE, record->size);
    cfi_bytes_put(header, RECORD_MAGIC, 8);
    cfi_bytes_put(header + 8, (uint64_t)record->step, 8);
    cfi_bytes_put(header + 16, ++volume->sequence, 8);
    cfi_bytes_put(header + 24, record->incarnation, 4);
    cfi_bytes_put(header + 32, record->size, 8);
    cfi_bytes_put(header + 40, hash.low, 8);
    cfi_bytes_put(header + 48, hash.high, 8);
    cfi_bytes_put(header + HEADER_HASH_AT, cfi_hash_bytes(header, HEADER_HASH_AT).low, 8);
    volume->slots[index] = (slot){0}; /* torn until all of it is there */
    return disk->ops->write(disk->self, volume->file, slot_offset(volume, index), header, HEADER_SIZE + record->size,
                            error);
}

/* Whether the staging buffer, `size` bytes of it read, holds a whole record. */
static bool is_whole(const cfi_volume *volume, size_t size)
{
    const unsigned char *header = volume->staging;
    if (size < HEADER_SIZE || cfi_bytes_get(header, 8) != RECORD_MAGIC ||
        cfi_bytes_get(header + HEADER_HASH_AT, 8) != cfi_hash_bytes(header, HEADER_HASH_AT).low) {
        return false;
    }
    const uint64_t payload_size = cfi_bytes_get(header + 32, 8), sequence = cfi_bytes_get(header + 16, 8);
    if (payload_size > volume->options.record_size || payload_size > size - HEADER_SIZE || sequence == 0 ||
        sequence == UINT64_MAX || cfi_bytes_get(header + 8, 8) > INT64_MAX) {
        return false;
    }
    const cfi_hash hash = cfi_hash_bytes(header + HEADER_SIZE, (size_t)payload_size);
    return CFI_PLANTED(21) || /* 21: a record's checksum is not checked */
           (cfi_bytes_get(header + 40, 8) == hash.low && cfi_bytes_get(header + 48, 8) == hash.high);
}

/* Whether another slot holds the same step, written later (or, in a file nobody wrote, as late and further on). */
static bool is_superseded(const cfi_volume *volume, int index)
{
    const slot *own = &volume->slots[index];
    for (int i = 0; i < volume->options.slot_count; i++) {
        const slot *other = &volume->slots[i];
        if (i != index && other->sequence != 0 && other->step == own->step &&
            (other->sequence > own->sequence || (other->sequence == own->sequence && i > index))) {
            return true;
        }
    }
    return false;
}

static cf_status read_slot(cfi_volume *volume, int index, bool *whole_out, cf_error *error)
{
    const cfi_disk *disk = &volume->options.disk;
    size_t size;
    CFI_TRY(disk->ops->read(disk->self, volume->file, slot_offset(volume, index), volume->staging, volume->slot_size,
                            &size, error));
    *whole_out = is_whole(volume, size);
    return CF_OK;
}

/* The record in the staging buffer, inserted by its step. */
static cf_status keep_record(cfi_volume *volume, cf_error *error)
{
    const unsigned char *header = volume->staging;
    const size_t size = (size_t)cfi_bytes_get(header + 32, 8);
    void *copy = cfi_calloc(size, 1);
    if (copy == NULL) {
        return cfi_fail_memory(error, "a record");
    }
    memcpy(copy, header + HEADER_SIZE, size);
    const int64_t step = (int64_t)cfi_bytes_get(header + 8, 8);
    int at = volume->record_count++;
    for (; at > 0 && volume->records[at - 1].step > step; at--) {
        volume->records[at] = volume->records[at - 1];
    }
    volume->records[at] = (cfi_record){step, (uint32_t)cfi_bytes_get(header + 24, 4), copy, size};
    return CF_OK;
}

static cf_status read_records(cfi_volume *volume, cf_error *error)
{
    bool whole;
    for (int i = 0; i < volume->options.slot_count; i++) {
        CFI_TRY(read_slot(volume, i, &whole, error));
        if (whole) {
            volume->slots[i] = (slot){cfi_bytes_get(volume->staging + 16, 8),
                                      (int64_t)cfi_bytes_get(volume->staging + 8, 8)};
            volume->sequence = volume->slots[i].sequence > volume->sequence ? volume->slots[i].sequence
                                                                             : volume->sequence;
        }
    }
    for (int i = 0; i < volume->options.slot_count; i++) {
        if (volume->slots[i].sequence == 0 || is_superseded(volume, i)) {
            continue;
        }
        CFI_TRY(read_slot(volume, i, &whole, error));
        if (!whole) {
            return cfi_fail(error, CF_E_IO, "slot %d reads differently the second time", i);
        }
        CFI_TRY(keep_record(volume, error));
    }
    return CF_OK;
}

/* ---- Files ---- */

static cf_status fill_file(cfi_volume *volume, cf_error *error)
{
    const cfi_disk *disk = &volume->options.disk;
    const int64_t size = slot_offset(volume, volume->options.slot_count);
    unsigned char page[PAGE];
    const cf_status status = disk->ops->allocate(disk->self, volume->file, size, error);
    if (status != CF_OK) {
        cfi_error_prefix(error, "%lld bytes needed", (long long)size);
        return status;
    }
    memset(volume->slots, 0, (size_t)volume->options.slot_count * sizeof *volume->slots);
    for (int i = 0; i < volume->record_count; i++) {
        CFI_TRY(write_record(volume, i, &volume->records[i], error));
        volume->slots[i] = (slot){volume->sequence, volume->records[i].step};
    }
    CFI_TRY(sync_file(volume, error));
    make_page(volume, page);
    CFI_TRY(disk->ops->write(disk->self, volume->file, 0, page, PAGE, error));
    return sync_file(volume, error);
}

/* A new file with the records read so far; the first page last, so that one half made is foreign. One that fails is
 * removed: that gives back its room, and a page that was written but not synced must not be found. */
static cf_status make_file(cfi_volume *volume, const char *path, cf_error *error)
{
    close_file(volume);
    CFI_TRY(remove_file(volume, path, error));
    CFI_TRY(open_file(volume, path, error));
    const cf_status status = fill_file(volume, error);
    if (status != CF_OK && remove_file(volume, path, NULL) != CF_OK) {
        cfi_error_prefix(error, "and %s cannot be removed: remove it before the next start", path);
    }
    return status;
}

/* After the file proper was found to be foreign: its records are in the spare one if moving them was interrupted. */
static cf_status begin_or_move_back(cfi_volume *volume, cf_error *error)
{
    file_kind kind;
    CFI_TRY(look_at(volume, volume->spare, &kind, error));
    if (kind == FILE_GOOD) { /* its records were synced before its page was written */
        CFI_TRY(read_records(volume, error));
    }
    return make_file(volume, volume->path, error);
}

static cf_status open_or_begin(cfi_volume *volume, cf_error *error)
{
    file_kind kind;
    CFI_TRY(look_at(volume, volume->path, &kind, error));
    if (kind == FILE_FOREIGN) {
        CFI_TRY(begin_or_move_back(volume, error));
    } else {
        CFI_TRY(read_records(volume, error));
        if (kind == FILE_GOOD) {
            CFI_TRY(sync_or_mark(volume, error));
        } else {
            CFI_TRY(make_file(volume, volume->spare, error));
            CFI_TRY(make_file(volume, volume->path, error));
        }
    }
    (void)remove_file(volume, volume->spare, NULL); /* one that stays is of this unit's past, and right */
    return CF_OK;
}

static cf_status check_options(const cfi_volume_options *options, cf_error *error)
{
    const uint64_t size_max = FILE_SIZE_MAX / SLOT_COUNT_MAX;
    if (options->slot_count < 2 || options->slot_count > SLOT_COUNT_MAX || options->record_size > size_max ||
        strnlen(options->unit, CFI_NAME_SIZE_MAX) == CFI_NAME_SIZE_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "a volume has 2 to %d slots of at most %llu bytes, and a short name",
                        SLOT_COUNT_MAX, (unsigned long long)size_max);
    }
    return CF_OK;
}

cf_status cfi_volume_open(const cfi_volume_options *options, cfi_volume **volume_out, cf_error *error)
{
    CFI_TRY(check_options(options, error));
    cfi_volume *volume = cfi_calloc(1, sizeof *volume);
    if (volume == NULL) {
        return cfi_fail_memory(error, "a volume");
    }
    volume->options = *options;
    volume->slot_size = (HEADER_SIZE + options->record_size + PAGE - 1) / PAGE * PAGE;
    volume->slots = cfi_calloc((size_t)options->slot_count, sizeof *volume->slots);
    volume->records = cfi_calloc((size_t)options->slot_count, sizeof *volume->records);
    volume->staging = cfi_calloc(volume->slot_size, 1);
    cf_status status;
    if (volume->slots == NULL || volume->records == NULL || volume->staging == NULL) {
        status = cfi_fail_memory(error, "a volume");
    } else if (!cfi_copy_path(volume->path, options->path) ||
               snprintf(volume->spare, sizeof volume->spare, "%s.new", options->path) >= (int)sizeof volume->spare) {
        status = cfi_fail(error, CF_E_LIMIT, "the name of the volume's file is too long");
    } else {
        status = open_or_begin(volume, error);
    }
    if (status != CF_OK) {
        cfi_error_prefix(error, "volume %s", options->path);
        cfi_volume_close(volume);
        return status;
    }
    *volume_out = volume;
    return CF_OK;
}

void cfi_volume_forget(cfi_volume *volume)
{
    for (int i = 0; i < volume->record_count; i++) {
        cfi_free((void *)(uintptr_t)volume->records[i].bytes);
    }
    volume->record_count = 0;
}

void cfi_volume_close(cfi_volume *volume)
{
    if (volume == NULL) {
        return;
    }
    cfi_volume_forget(volume);
    close_file(volume);
    cfi_free(volume->slots);
    cfi_free(volume->records);
    cfi_free(volume->staging);
    cfi_free(volume);
}

const cfi_record *cfi_volume_records(const cfi_volume *volume, int *count_out)
{
    *count_out = volume->record_count;
    return volume->records;
}

/* See the top of this file. */
static int choose_slot(const cfi_volume *volume)
{
    int lowest = 0, superseded = -1;
    for (int i = 0; i < volume->options.slot_count; i++) {
        if (volume->slots[i].sequence == 0) {
            return i;
        }
        if (superseded < 0 && is_superseded(volume, i)) {
            superseded = i;
        }
        lowest = volume->slots[i].step < volume->slots[lowest].step ? i : lowest;
    }
    return superseded >= 0 ? superseded : lowest;
}

cf_status cfi_volume_write(cfi_volume *volume, int64_t step, uint32_t incarnation, const void *bytes, size_t size,
                           cf_error *error)
{
    if (volume->broken) {
        return cfi_fail(error, CF_E_IO, "volume %s: a sync failed before; start again", volume->path);
    }
    if (step < 0 || size > volume->options.record_size || volume->sequence >= UINT64_MAX - 1) {
        return cfi_fail(error, CF_E_USAGE, "volume %s: no record of step %lld and %zu bytes fits", volume->path,
                        (long long)step, size);
    }
    const int index = choose_slot(volume);
    cf_status status = write_record(volume, index, &(cfi_record){step, incarnation, bytes, size}, error);
    if (status == CF_OK) {
        status = sync_or_mark(volume, error);
    }
    if (status != CF_OK) {
        cfi_error_prefix(error, "volume %s", volume->path);
        return status;
    }
    volume->slots[index] = (slot){volume->sequence, step};
    return CF_OK;
}
