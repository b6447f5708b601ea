#include "node/volume.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DISK_SIZE (4096 * 8)
#define RECORD_SIZE 100
#define SLOT_COUNT 5

/* One file; the write in which `budget` ends is torn there, and everything after it fails. */
typedef struct virtual_disk {
    unsigned char bytes[DISK_SIZE];
    size_t size;
    int64_t budget;
    bool sync_fails, full, removed;
} virtual_disk;

static cf_status disk_open(void *self, const char *path, int *file_out, cf_error *error)
{
    (void)self, (void)path, (void)error;
    *file_out = 3;
    return CF_OK;
}

static cf_status disk_allocate(void *self, int file, int64_t size, cf_error *error)
{
    (void)file;
    virtual_disk *disk = self;
    if (disk->full) {
        return cfi_fail(error, CF_E_LIMIT, "full");
    }
    disk->size = (size_t)size;
    return CF_OK;
}

static cf_status disk_read(void *self, int file, int64_t offset, void *bytes, size_t size, size_t *read_out,
                           cf_error *error)
{
    (void)file, (void)error;
    const virtual_disk *disk = self;
    const size_t there = (size_t)offset < disk->size ? disk->size - (size_t)offset : 0;
    *read_out = size < there ? size : there;
    memcpy(bytes, disk->bytes + offset, *read_out);
    return CF_OK;
}

static cf_status disk_write(void *self, int file, int64_t offset, const void *bytes, size_t size, cf_error *error)
{
    (void)file;
    virtual_disk *disk = self;
    const size_t part = (int64_t)size < disk->budget ? size : (size_t)disk->budget;
    memcpy(disk->bytes + offset, bytes, part);
    disk->budget -= (int64_t)part;
    return part == size ? CF_OK : cfi_fail(error, CF_E_IO, "torn");
}

static cf_status disk_sync(void *self, int file, cf_error *error)
{
    (void)file;
    return ((virtual_disk *)self)->sync_fails ? cfi_fail(error, CF_E_IO, "sync") : CF_OK;
}

static cf_status disk_remove(void *self, const char *path, cf_error *error)
{
    (void)path, (void)error;
    virtual_disk *disk = self;
    memset(disk->bytes, 0, sizeof disk->bytes);
    disk->size = 0;
    disk->removed = true;
    return CF_OK;
}

static void disk_close(void *self, int file)
{
    (void)self, (void)file;
}

static const cfi_disk_ops ops = {disk_open, disk_allocate, disk_read, disk_write, disk_sync, disk_remove, disk_close};

static cf_status open_volume(virtual_disk *disk, cfi_volume **volume_out)
{
    const cfi_volume_options options = {{&ops, disk}, "v", {1, 2}, "unit", RECORD_SIZE, SLOT_COUNT, true};
    return cfi_volume_open(&options, volume_out, NULL);
}

static cf_status write_step(cfi_volume *volume, int64_t step, uint32_t incarnation)
{
    unsigned char bytes[RECORD_SIZE];
    memset(bytes, (int)(step + incarnation), sizeof bytes);
    return cfi_volume_write(volume, step, incarnation, bytes, sizeof bytes, NULL);
}

static bool holds_step(const cfi_volume *volume, int64_t step)
{
    int count;
    const cfi_record *records = cfi_volume_records(volume, &count);
    for (int i = 0; i < count; i++) {
        const unsigned char *bytes = records[i].bytes;
        assert_true(i == 0 || records[i - 1].step < records[i].step);
        assert_int_equal(bytes[0], (unsigned char)(records[i].step + records[i].incarnation));
        if (records[i].step == step) {
            return true;
        }
    }
    return false;
}

/* Three steps live (slot_count - 2), HEAD two behind what is written; torn at every byte, in every one of several
 * lives, each of which begins again at HEAD: HEAD's record is always there, and so is every acknowledged step. */
static void torn_writes_cost_nothing_needed(void **state)
{
    (void)state;
    for (int64_t cut = 0; cut < 164 * 5; cut++) {
        static virtual_disk disk;
        disk = (virtual_disk){.budget = INT64_MAX};
        int64_t head = -1, written = -1;
        for (uint32_t life = 1; life < 12; life++) {
            cfi_volume *volume;
            disk.budget = INT64_MAX;
            assert_int_equal(open_volume(&disk, &volume), CF_OK);
            for (int64_t step = head < 0 ? 0 : head; step <= written; step++) {
                assert_true(holds_step(volume, step));
            }
            disk.budget = life == 1 ? 164 * 8 + cut : cut;
            for (int64_t step = head + 1; write_step(volume, step, life) == CF_OK; step++) {
                written = step > written ? step : written;
                head = step - 2 > head ? step - 2 : head;
            }
            cfi_volume_close(volume);
        }
    }
}

static void a_failed_sync_ends_the_file(void **state)
{
    (void)state;
    static virtual_disk disk = {.budget = INT64_MAX};
    cfi_volume *volume;
    assert_int_equal(open_volume(&disk, &volume), CF_OK);
    assert_int_equal(write_step(volume, 1, 1), CF_OK);
    disk.removed = false;
    disk.sync_fails = true;
    assert_int_equal(write_step(volume, 2, 1), CF_E_IO);
    assert_true(disk.removed);
    disk.sync_fails = false;
    assert_int_equal(write_step(volume, 2, 1), CF_E_IO);
    cfi_volume_close(volume);
}

static void a_full_disk_shows_at_open(void **state)
{
    (void)state;
    static virtual_disk disk = {.budget = INT64_MAX, .full = true};
    cfi_volume *volume;
    assert_int_equal(open_volume(&disk, &volume), CF_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torn_writes_cost_nothing_needed),
        cmocka_unit_test(a_failed_sync_ends_the_file),
        cmocka_unit_test(a_full_disk_shows_at_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
