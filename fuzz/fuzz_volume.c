/* Any bytes as a volume's file: opening it, writing to it and opening it again never gives a record whose checksums are
 * wrong, and always the record that was written.
 *
 * The first byte of an input says what is made right before: bit 0 the first page, bit 1 the checksums of each slot,
 * so that mutations get to what is behind them. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "node/volume.h"

enum { PAGE = 4096, SLOT_COUNT = 4, RECORD_SIZE = 100, DISK_SIZE = PAGE * (SLOT_COUNT + 1), HEADER_SIZE = 64 };

typedef struct memory_disk {
    unsigned char bytes[DISK_SIZE];
    int64_t size;
} memory_disk;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static cf_status disk_open(void *disk, const char *path, int *file_out, cf_error *error)
{
    (void)disk, (void)error;
    *file_out = strcmp(path, "volume") == 0 ? 0 : 1; /* 1: a file that is always empty */
    return CF_OK;
}

static cf_status disk_allocate(void *self, int file, int64_t size, cf_error *error)
{
    (void)error;
    require(file == 0 && size <= DISK_SIZE);
    ((memory_disk *)self)->size = size;
    return CF_OK;
}

static cf_status disk_read(void *self, int file, int64_t offset, void *bytes, size_t size, size_t *read_out,
                           cf_error *error)
{
    (void)error;
    const memory_disk *disk = self;
    const int64_t there = file == 0 && offset < disk->size ? disk->size - offset : 0;
    *read_out = there < (int64_t)size ? (size_t)there : size;
    memcpy(bytes, disk->bytes + offset, *read_out);
    return CF_OK;
}

static cf_status disk_write(void *self, int file, int64_t offset, const void *bytes, size_t size, cf_error *error)
{
    (void)error;
    memory_disk *disk = self;
    const int64_t end = offset + (int64_t)size;
    require(file == 0 && end <= DISK_SIZE);
    memcpy(disk->bytes + offset, bytes, size);
    disk->size = end > disk->size ? end : disk->size;
    return CF_OK;
}

static cf_status disk_sync(void *disk, int file, cf_error *error)
{
    (void)disk, (void)file, (void)error;
    return CF_OK;
}

static cf_status disk_remove(void *self, const char *path, cf_error *error)
{
    (void)error;
    if (strcmp(path, "volume") == 0) {
        memset(self, 0, sizeof(memory_disk));
    }
    return CF_OK;
}

static void disk_close(void *disk, int file)
{
    (void)disk, (void)file;
}

static cfi_volume *open_volume(memory_disk *disk)
{
    static const cfi_disk_ops ops = {disk_open, disk_allocate, disk_read, disk_write,
                                     disk_sync, disk_remove,   disk_close};
    const cfi_volume_options options = {{&ops, disk}, "volume", {1, 2}, "unit", RECORD_SIZE, SLOT_COUNT, true};
    cfi_volume *volume = NULL;
    require(cfi_volume_open(&options, &volume, NULL) == CF_OK);
    return volume;
}

static void put(unsigned char *at, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        at[i] = (unsigned char)(value >> 8 * i);
    }
}

static uint64_t get(const unsigned char *at)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) {
        value = value << 8 | at[i];
    }
    return value;
}

static void make_slot_right(unsigned char *slot)
{
    const uint64_t size = get(slot + 32);
    const cfi_hash hash = cfi_hash_bytes(slot + HEADER_SIZE, size <= PAGE - HEADER_SIZE ? (size_t)size : 0);
    put(slot + 40, hash.low);
    put(slot + 48, hash.high);
    put(slot + 56, cfi_hash_bytes(slot, 56).low);
}

/* Whether some slot holds the record, with both checksums. */
static bool is_in_file(const memory_disk *disk, const cfi_record *record)
{
    for (int i = 1; i <= SLOT_COUNT; i++) {
        const unsigned char *slot = disk->bytes + PAGE * i;
        const cfi_hash hash = cfi_hash_bytes(record->bytes, record->size);
        if (get(slot + 8) == (uint64_t)record->step && get(slot + 32) == record->size && get(slot + 40) == hash.low &&
            get(slot + 48) == hash.high && get(slot + 56) == cfi_hash_bytes(slot, 56).low) {
            return true;
        }
    }
    return false;
}

/* The records, checked; whether one is of `step` and all bytes `value`. */
static bool check_records(const memory_disk *disk, const cfi_volume *volume, int64_t step, unsigned char value)
{
    int count;
    bool is_found = false;
    const cfi_record *records = cfi_volume_records(volume, &count);
    require(count >= 0 && count <= SLOT_COUNT);
    for (int i = 0; i < count; i++) {
        require(records[i].step >= 0 && records[i].size <= RECORD_SIZE && is_in_file(disk, &records[i]));
        require(i == 0 || records[i - 1].step < records[i].step);
        const unsigned char *bytes = records[i].bytes;
        is_found = is_found || (records[i].step == step && records[i].size == RECORD_SIZE && bytes[0] == value);
    }
    return is_found;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size)
{
    static memory_disk disk;
    unsigned char page[PAGE], record[RECORD_SIZE];
    memset(&disk, 0, sizeof disk);
    cfi_volume_close(open_volume(&disk)); /* an empty file's first page */
    memcpy(page, disk.bytes, PAGE);
    if (input_size == 0) {
        return 0;
    }
    memset(&disk, 0, sizeof disk);
    const int fixes = input[0];
    const size_t size = input_size - 1 < DISK_SIZE ? input_size - 1 : DISK_SIZE;
    const size_t at = (fixes & 1) != 0 ? PAGE : 0; /* then the input is slots only */
    const size_t kept = size < DISK_SIZE - at ? size : DISK_SIZE - at;
    memcpy(disk.bytes + at, input + 1, kept);
    disk.size = (int64_t)(at + kept);
    if ((fixes & 1) != 0) {
        memcpy(disk.bytes, page, PAGE);
    }
    for (int i = 1; i <= SLOT_COUNT && (fixes & 2) != 0; i++) {
        make_slot_right(disk.bytes + PAGE * i);
    }
    cfi_volume *volume = open_volume(&disk);
    int count;
    const cfi_record *records = cfi_volume_records(volume, &count);
    (void)check_records(&disk, volume, 0, 0);
    const int64_t highest = count > 0 ? records[count - 1].step : 0;
    const int64_t step = highest < INT64_MAX ? highest + 1 : highest;
    memset(record, 7, sizeof record);
    const bool is_written = cfi_volume_write(volume, step, 1, record, sizeof record, NULL) == CF_OK;
    cfi_volume_close(volume);
    volume = open_volume(&disk);
    require(check_records(&disk, volume, step, 7) || !is_written);
    cfi_volume_close(volume);
    return 0;
}
