#include "node/volume.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"

enum {
    PAGE = 4096,
    RECORD_SIZE = 100,
    SLOT_COUNT = 5,
    FILE_SIZE = PAGE * (SLOT_COUNT + 1),
    FILE_COUNT = 8,
    PENDING_MAX = 64,
    SECTOR = 48,
    MARK_AT = 4079
};

/* ---- A disk that fails on request ---- */

typedef struct pending {
    int64_t offset;
    size_t size;
    unsigned char bytes[PAGE];
} pending;

/* `seen` is what reads give, `durable` what a power failure cannot take. */
typedef struct virtual_file {
    char path[16];
    bool is_there, sync_failed;
    unsigned char seen[FILE_SIZE], durable[FILE_SIZE];
    int64_t seen_size, durable_size;
    pending writes[PENDING_MAX]; /* not synced */
    int write_count;
} virtual_file;

typedef struct virtual_disk {
    virtual_file files[FILE_COUNT];
    int file_count;
    int64_t budget;     /* bytes that may still be written; the write in which it ends is torn */
    int calls, fails_at, dies_at; /* the call of that number fails; that and all later ones do; 0: none */
    int fail_count;               /* how many fail from fails_at on; 0: one */
    int syncs, sync_fails_at;
    bool is_full;
} virtual_disk;

static virtual_disk disk;

static void new_disk(void)
{
    memset(&disk, 0, sizeof disk);
    disk.budget = INT64_MAX;
}

static cf_status spend_call(cf_error *error)
{
    disk.calls++;
    const int last = disk.fails_at + (disk.fail_count > 0 ? disk.fail_count - 1 : 0);
    const bool fails = disk.fails_at != 0 && disk.calls >= disk.fails_at && disk.calls <= last;
    const bool is_dead = disk.dies_at != 0 && disk.calls >= disk.dies_at;
    return fails || is_dead ? cfi_fail(error, CF_E_IO, "disk") : CF_OK;
}

static virtual_file *find_file(const char *path)
{
    for (int i = 0; i < disk.file_count; i++) {
        if (disk.files[i].is_there && strcmp(disk.files[i].path, path) == 0) {
            return &disk.files[i];
        }
    }
    return NULL;
}

static cf_status disk_open(void *self, const char *path, int *file_out, cf_error *error)
{
    (void)self;
    CFI_TRY(spend_call(error));
    virtual_file *file = find_file(path);
    if (file == NULL) {
        int at = 0;
        while (at < disk.file_count && disk.files[at].is_there) {
            at++;
        }
        assert_true(at < FILE_COUNT);
        file = &disk.files[at];
        memset(file, 0, sizeof *file);
        file->is_there = true;
        (void)snprintf(file->path, sizeof file->path, "%s", path);
        disk.file_count = at == disk.file_count ? at + 1 : disk.file_count;
    }
    *file_out = (int)(file - disk.files);
    return CF_OK;
}

static cf_status disk_allocate(void *self, int number, int64_t size, cf_error *error)
{
    (void)self;
    CFI_TRY(spend_call(error));
    virtual_file *file = &disk.files[number];
    assert_true(size <= FILE_SIZE);
    if (disk.is_full) {
        return cfi_fail(error, CF_E_LIMIT, "full");
    }
    file->seen_size = file->durable_size = size;
    return CF_OK;
}

static cf_status disk_read(void *self, int number, int64_t offset, void *bytes, size_t size, size_t *read_out,
                           cf_error *error)
{
    (void)self;
    CFI_TRY(spend_call(error));
    const virtual_file *file = &disk.files[number];
    const int64_t there = offset < file->seen_size ? file->seen_size - offset : 0;
    *read_out = there < (int64_t)size ? (size_t)there : size;
    memcpy(bytes, file->seen + offset, *read_out);
    return CF_OK;
}

static cf_status disk_write(void *self, int number, int64_t offset, const void *bytes, size_t size, cf_error *error)
{
    (void)self;
    const cf_status status = spend_call(error);
    virtual_file *file = &disk.files[number];
    const size_t allowed = status != CF_OK ? size / 2 : (int64_t)size < disk.budget ? size : (size_t)disk.budget;
    assert_true(!file->sync_failed || (offset == MARK_AT && size == 1));
    assert_true(offset + (int64_t)size <= FILE_SIZE && file->write_count < PENDING_MAX);
    memcpy(file->seen + offset, bytes, allowed);
    file->seen_size = offset + (int64_t)allowed > file->seen_size ? offset + (int64_t)allowed : file->seen_size;
    pending *write = &file->writes[file->write_count++];
    write->offset = offset;
    write->size = allowed;
    memcpy(write->bytes, bytes, allowed);
    disk.budget -= (int64_t)allowed;
    return allowed == size && status == CF_OK ? CF_OK : cfi_fail(error, CF_E_IO, "torn");
}

static void make_durable(virtual_file *file, int64_t offset, const unsigned char *bytes, size_t size)
{
    memcpy(file->durable + offset, bytes, size);
    const int64_t end = offset + (int64_t)size;
    file->durable_size = end > file->durable_size ? end : file->durable_size;
}

/* After one that failed the kernel takes the pages for clean: they are seen, and never become durable. */
static cf_status disk_sync(void *self, int number, cf_error *error)
{
    (void)self;
    virtual_file *file = &disk.files[number];
    const cf_status status = spend_call(error);
    assert_false(file->sync_failed);
    if (status != CF_OK || ++disk.syncs == disk.sync_fails_at) {
        file->sync_failed = disk.dies_at == 0;
        file->write_count = file->sync_failed ? 0 : file->write_count;
        return cfi_fail(error, CF_E_IO, "sync");
    }
    for (int i = 0; i < file->write_count; i++) {
        make_durable(file, file->writes[i].offset, file->writes[i].bytes, file->writes[i].size);
    }
    file->write_count = 0;
    return CF_OK;
}

static cf_status disk_remove(void *self, const char *path, cf_error *error)
{
    (void)self;
    CFI_TRY(spend_call(error));
    virtual_file *file = find_file(path);
    if (file != NULL) {
        file->is_there = false;
    }
    return CF_OK;
}

static void disk_close(void *self, int file)
{
    (void)self, (void)file;
}

static uint64_t draws;

static uint64_t draw(uint64_t below)
{
    draws = draws * 6364136223846793005u + 1442695040888963407u;
    return (draws >> 33) % below;
}

/* Of what was not synced each sector is lost or not; some are torn at any byte. */
static void lose_power(void)
{
    for (int i = 0; i < disk.file_count; i++) {
        virtual_file *file = &disk.files[i];
        for (int w = 0; w < file->write_count; w++) {
            const pending *write = &file->writes[w];
            for (size_t at = 0; at < write->size; at += SECTOR) {
                const size_t left = write->size - at < SECTOR ? write->size - at : SECTOR;
                const size_t kept = draw(4) == 0 ? (size_t)draw(left + 1) : draw(2) == 0 ? 0 : left;
                make_durable(file, write->offset + (int64_t)at, write->bytes + at, kept);
            }
        }
        file->write_count = 0;
        file->sync_failed = false; /* the kernel's memory is gone: what is seen is on the disk */
        memcpy(file->seen, file->durable, sizeof file->seen);
        file->seen_size = file->durable_size;
    }
}

/* ---- A unit's life ---- */

static cfi_volume_options options_of(void)
{
    static const cfi_disk_ops ops = {disk_open, disk_allocate, disk_read,  disk_write,
                                     disk_sync, disk_remove,   disk_close};
    return (cfi_volume_options){{&ops, NULL}, "v", {1, 2}, "unit", RECORD_SIZE, SLOT_COUNT, true};
}

static cf_status open_volume(cfi_volume **volume_out)
{
    const cfi_volume_options options = options_of();
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
    bool is_there = false;
    const cfi_record *records = cfi_volume_records(volume, &count);
    for (int i = 0; i < count; i++) {
        const unsigned char *bytes = records[i].bytes;
        assert_true(i == 0 || records[i - 1].step < records[i].step);
        assert_int_equal(records[i].size, RECORD_SIZE);
        for (size_t b = 0; b < records[i].size; b++) {
            assert_int_equal(bytes[b], (unsigned char)(records[i].step + records[i].incarnation));
        }
        is_there = is_there || records[i].step == step;
    }
    return is_there;
}

static int record_count(const cfi_volume *volume)
{
    int count;
    (void)cfi_volume_records(volume, &count);
    return count;
}

/* What outlives a unit's processes: HEAD is two behind what was acknowledged, so three steps live (slot_count - 2). */
typedef struct unit_history {
    int64_t head, acknowledged; /* -1: none */
    uint32_t life;
} unit_history;

static void check_needed(const cfi_volume *volume, const unit_history *unit)
{
    for (int64_t step = unit->head < 0 ? 0 : unit->head; step <= unit->acknowledged; step++) {
        assert_true(holds_step(volume, step));
    }
}

/* Begins again at HEAD, as after any start, and goes on until a write fails or `count` more are acknowledged. */
static void live(unit_history *unit, int count)
{
    cfi_volume *volume;
    unit->life++;
    if (open_volume(&volume) != CF_OK) {
        return;
    }
    check_needed(volume, unit);
    for (int64_t step = unit->head + 1; count > 0 && write_step(volume, step, unit->life) == CF_OK; step++) {
        count -= step > unit->acknowledged;
        unit->acknowledged = step > unit->acknowledged ? step : unit->acknowledged;
        unit->head = step - 2 > unit->head ? step - 2 : unit->head;
    }
    cfi_volume_close(volume);
}

static void stop_failing(void)
{
    disk.calls = disk.fails_at = disk.fail_count = disk.dies_at = disk.syncs = disk.sync_fails_at = 0;
    disk.budget = INT64_MAX;
    disk.is_full = false;
}

/* Nothing fails: it opens, and goes on. */
static void check_alive(unit_history *unit)
{
    stop_failing();
    const int64_t before = unit->acknowledged;
    live(unit, 7);
    assert_int_equal(unit->acknowledged, before + 7);
    live(unit, 1);
    assert_int_equal(unit->acknowledged, before + 8);
}

/* ---- Records ---- */

static void the_last_records_are_there_after_reopening(void **state)
{
    (void)state;
    new_disk();
    cfi_volume *volume;
    assert_int_equal(open_volume(&volume), CF_OK);
    assert_int_equal(record_count(volume), 0);
    for (int64_t step = 10; step < 30; step += 2) {
        assert_int_equal(write_step(volume, step, 1), CF_OK);
    }
    assert_int_equal(write_step(volume, 28, 2), CF_OK);
    cfi_volume_close(volume);
    assert_int_equal(open_volume(&volume), CF_OK);
    assert_int_equal(record_count(volume), SLOT_COUNT - 1); /* one slot had the old record of step 28 */
    assert_true(holds_step(volume, 22) && holds_step(volume, 28));
    assert_int_equal(cfi_volume_records(volume, &(int){0})[3].incarnation, 2);
    cfi_volume_forget(volume);
    assert_int_equal(record_count(volume), 0);
    cfi_volume_close(volume);
}

static void the_lowest_step_gives_way(void **state)
{
    (void)state;
    new_disk();
    cfi_volume *volume;
    const int64_t steps[] = {12, 10, 14, 11, 13, 15, 16};
    assert_int_equal(open_volume(&volume), CF_OK);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_int_equal(write_step(volume, steps[i], 1), CF_OK);
    }
    cfi_volume_close(volume);
    assert_int_equal(open_volume(&volume), CF_OK);
    for (int64_t step = 12; step <= 16; step++) {
        assert_true(holds_step(volume, step));
    }
    cfi_volume_close(volume);
}

static void records_of_any_size_up_to_the_maximum(void **state)
{
    (void)state;
    unsigned char bytes[RECORD_SIZE + 1];
    memset(bytes, 5, sizeof bytes);
    for (size_t size = 0; size <= RECORD_SIZE; size++) {
        new_disk();
        cfi_volume *volume;
        int count;
        assert_int_equal(open_volume(&volume), CF_OK);
        assert_int_equal(cfi_volume_write(volume, INT64_MAX, UINT32_MAX, bytes, size, NULL), CF_OK);
        assert_int_equal(cfi_volume_write(volume, 1, 1, bytes, RECORD_SIZE + 1, NULL), CF_E_USAGE);
        assert_int_equal(cfi_volume_write(volume, -1, 1, bytes, size, NULL), CF_E_USAGE);
        cfi_volume_close(volume);
        assert_int_equal(open_volume(&volume), CF_OK);
        const cfi_record *record = cfi_volume_records(volume, &count);
        assert_int_equal(count, 1);
        assert_true(record->step == INT64_MAX && record->incarnation == UINT32_MAX && record->size == size);
        assert_memory_equal(record->bytes, bytes, size);
        cfi_volume_close(volume);
    }
}

/* ---- Crashes ---- */

/* Torn at every byte, in every one of several lives. */
static void torn_writes_cost_nothing_needed(void **state)
{
    (void)state;
    for (int64_t cut = 0; cut < 164 * 5; cut++) {
        new_disk();
        unit_history unit = {-1, -1, 0};
        for (int life = 0; life < 12; life++) {
            stop_failing();
            disk.budget = life == 0 ? PAGE + 164 * 8 + cut : cut;
            live(&unit, 1000);
        }
        check_alive(&unit);
    }
}

static void a_power_failure_at_any_call_costs_nothing_needed(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        draws = seed;
        new_disk();
        unit_history unit = {-1, -1, 0};
        for (int life = 0; life < 8; life++) {
            stop_failing();
            disk.dies_at = 1 + (int)draw(50);
            live(&unit, 1000);
            lose_power();
        }
        check_alive(&unit);
    }
}

static void any_failing_call_costs_nothing_needed(void **state)
{
    (void)state;
    for (int call = 1; call < 60; call++) {
        for (int rest = 0; rest < 4; rest++) {
            new_disk();
            unit_history unit = {-1, -1, 0};
            draws = (uint64_t)call;
            if (rest >= 2) { /* not the first life */
                live(&unit, 9);
                stop_failing();
            }
            disk.fails_at = call;
            live(&unit, 9);
            if (rest % 2 == 1) {
                lose_power();
            }
            check_alive(&unit);
        }
    }
}

/* The m-th sync fails; in the next life, which has to move the records to new files, the n-th call fails, or the
 * process dies there, or the power fails there. */
static void records_move_to_a_new_file_after_a_failed_sync(void **state)
{
    (void)state;
    for (int sync = 1; sync < 12; sync++) {
        for (int call = 1; call < 60; call++) {
            for (int what = 0; what < 3; what++) {
                draws = (uint64_t)(sync * 1000 + call);
                new_disk();
                unit_history unit = {-1, -1, 0};
                live(&unit, 6);
                stop_failing();
                disk.sync_fails_at = sync;
                live(&unit, 20);
                stop_failing();
                disk.fails_at = what == 0 ? call : 0;
                disk.dies_at = what == 0 ? 0 : call;
                live(&unit, 20);
                if (what == 2) {
                    lose_power();
                }
                check_alive(&unit);
                assert_null(find_file("v.new"));
            }
        }
    }
}

static void a_failed_sync_ends_the_file(void **state)
{
    (void)state;
    new_disk();
    cfi_volume *volume;
    cf_error error;
    assert_int_equal(open_volume(&volume), CF_OK);
    assert_int_equal(write_step(volume, 1, 1), CF_OK);
    const virtual_file *before = find_file("v");
    disk.sync_fails_at = disk.syncs + 1;
    assert_int_equal(write_step(volume, 2, 1), CF_E_IO);
    assert_int_equal(cfi_volume_write(volume, 2, 1, "x", 1, &error), CF_E_IO);
    assert_non_null(strstr(error.text, "start again"));
    cfi_volume_close(volume);
    assert_int_equal(open_volume(&volume), CF_OK);
    assert_true(holds_step(volume, 1) && holds_step(volume, 2));
    assert_false(before->is_there && before->sync_failed);
    cfi_volume_close(volume);
}

static void a_file_that_cannot_be_marked_is_removed(void **state)
{
    (void)state;
    for (int failures = 2; failures <= 3; failures++) { /* sync, mark, remove */
        new_disk();
        cfi_volume *volume;
        cf_error error;
        assert_int_equal(open_volume(&volume), CF_OK);
        assert_int_equal(write_step(volume, 1, 1), CF_OK);
        disk.fails_at = disk.calls + 2;
        disk.fail_count = failures;
        assert_int_equal(cfi_volume_write(volume, 2, 1, "x", 1, &error), CF_E_IO);
        assert_int_equal(find_file("v") == NULL, failures == 2);
        assert_int_equal(strstr(error.text, "remove it before the next start") != NULL, failures == 3);
        cfi_volume_close(volume);
    }
}

/* ---- Files that are not as they should be ---- */

static void fill_disk(void)
{
    new_disk();
    unit_history unit = {-1, -1, 0};
    live(&unit, 9);
}

static int count_after_opening(const cfi_volume_options *options)
{
    cfi_volume *volume;
    assert_int_equal(cfi_volume_open(options, &volume, NULL), CF_OK);
    const int count = record_count(volume);
    (void)holds_step(volume, 0);
    assert_int_equal(write_step(volume, 100, 1), CF_OK);
    cfi_volume_close(volume);
    assert_int_equal(cfi_volume_open(options, &volume, NULL), CF_OK);
    assert_true(holds_step(volume, 100));
    cfi_volume_close(volume);
    return count;
}

static void a_damaged_page_begins_the_file_anew(void **state)
{
    (void)state;
    const cfi_volume_options options = options_of();
    for (int at = 0; at < PAGE; at++) {
        fill_disk();
        find_file("v")->seen[at] ^= (unsigned char)(1 << at % 8);
        assert_int_equal(count_after_opening(&options), at == MARK_AT ? SLOT_COUNT : 0);
    }
}

static void a_damaged_record_is_left_out_alone(void **state)
{
    (void)state;
    const cfi_volume_options options = options_of();
    for (int slot = 1; slot <= SLOT_COUNT; slot++) {
        for (int at = 0; at < 64 + RECORD_SIZE; at++) {
            fill_disk();
            find_file("v")->seen[slot * PAGE + at] ^= (unsigned char)(1 << at % 8);
            assert_int_equal(count_after_opening(&options), SLOT_COUNT - 1);
        }
    }
}

static void a_file_cut_anywhere_has_its_whole_records(void **state)
{
    (void)state;
    const cfi_volume_options options = options_of();
    for (int size = 0; size < FILE_SIZE; size += size % PAGE < 200 ? 1 : 61) {
        fill_disk();
        find_file("v")->seen_size = size;
        const int whole = size < PAGE ? 0 : (size - PAGE) / PAGE + (size % PAGE >= 64 + RECORD_SIZE);
        assert_int_equal(count_after_opening(&options), whole);
    }
}

static void a_file_of_something_else_is_begun_anew(void **state)
{
    (void)state;
    for (int what = 0; what < 7; what++) {
        cfi_volume_options options = options_of();
        fill_disk();
        options.run[0] += what == 1;
        options.run[1] += what == 2;
        options.unit = what == 3 ? "unit2" : what == 4 ? "uni" : "unit";
        options.record_size += what == 5 ? 1 : 0;
        options.slot_count -= what == 6;
        assert_int_equal(count_after_opening(&options), what == 0 ? SLOT_COUNT : 0);
    }
}

static void a_full_disk_shows_at_open(void **state)
{
    (void)state;
    new_disk();
    disk.is_full = true;
    cfi_volume *volume;
    cf_error error;
    const cfi_volume_options options = options_of();
    assert_int_equal(cfi_volume_open(&options, &volume, &error), CF_E_LIMIT);
    assert_string_equal(error.text, "volume v: 24576 bytes needed: full");
    assert_null(find_file("v"));
}

static void impossible_options_are_refused(void **state)
{
    (void)state;
    char name[200];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    for (int what = 0; what < 4; what++) {
        cfi_volume_options options = options_of();
        cfi_volume *volume = NULL;
        new_disk();
        options.slot_count = what == 0 ? 1 : what == 1 ? INT32_MAX : SLOT_COUNT;
        options.record_size = what == 2 ? SIZE_MAX : RECORD_SIZE;
        options.unit = what == 3 ? name : "unit";
        assert_int_equal(cfi_volume_open(&options, &volume, NULL), CF_E_LIMIT);
        assert_true(volume == NULL && disk.calls == 0);
    }
}

static void a_failing_allocation_while_opening_is_said(void **state)
{
    (void)state;
    cf_status status = CF_E_MEMORY;
    fill_disk();
    for (uint64_t n = 0; status != CF_OK; n++) {
        cfi_volume *volume = NULL;
        cfi_alloc_fail_after(n);
        status = open_volume(&volume);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_true(status == CF_OK || (status == CF_E_MEMORY && volume == NULL));
        assert_true(status != CF_OK || (record_count(volume) == SLOT_COUNT && n >= 4 + SLOT_COUNT));
        cfi_volume_close(volume);
    }
}

/* ---- The kernel's disk ---- */

static cfi_volume_options real_options(const char *path, bool power_safe)
{
    return (cfi_volume_options){cfi_disk_posix(), path, {1, 2}, "unit", RECORD_SIZE, SLOT_COUNT, power_safe};
}

/* The child says each step once it is written. */
static void write_until_killed(const cfi_volume_options *options, int64_t step, int pipe_end)
{
    cfi_volume *volume;
    if (cfi_volume_open(options, &volume, NULL) != CF_OK) {
        _exit(1);
    }
    while (write_step(volume, step, 1) == CF_OK && write(pipe_end, &step, sizeof step) == sizeof step) {
        step++;
    }
    _exit(1);
}

/* The last step that a child acknowledged before it was killed. */
static int64_t one_killed_life(const cfi_volume_options *options, int64_t step, int wanted)
{
    int ends[2], code;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        write_until_killed(options, step, ends[1]);
    }
    (void)close(ends[1]);
    int64_t said, last = step - 1;
    while (read(ends[0], &said, sizeof said) == (ssize_t)sizeof said) {
        assert_int_equal(said, last + 1);
        last = said;
        if (last == step + wanted) {
            assert_int_equal(kill(child, SIGKILL), 0);
        }
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFSIGNALED(code));
    return last;
}

static void what_was_acknowledged_survives_kill(void **state)
{
    (void)state;
    char folder[] = "/tmp/cuttlefish-volume-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/unit.volume", folder);
    int64_t last = -1;
    for (int life = 0; life < 20; life++) {
        const cfi_volume_options options = real_options(path, life % 2 == 1);
        last = one_killed_life(&options, last + 1, 5 + life);
        cfi_volume *volume;
        assert_int_equal(cfi_volume_open(&options, &volume, NULL), CF_OK);
        for (int64_t step = last - (SLOT_COUNT - 3); step <= last; step++) {
            assert_true(holds_step(volume, step));
        }
        cfi_volume_close(volume);
    }
    assert_true(last >= 20 * 5);
    struct stat information;
    assert_int_equal(stat(path, &information), 0);
    assert_int_equal(information.st_size, FILE_SIZE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing else is left */
}

static void a_marked_file_moves_on_the_kernels_disk_too(void **state)
{
    (void)state;
    char folder[] = "/tmp/cuttlefish-volume-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/unit.volume", folder);
    const cfi_volume_options options = real_options(path, true);
    cfi_volume *volume;
    assert_int_equal(cfi_volume_open(&options, &volume, NULL), CF_OK);
    assert_int_equal(write_step(volume, 3, 1), CF_OK);
    assert_int_equal(write_step(volume, 4, 1), CF_OK);
    cfi_volume_close(volume);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, MARK_AT, SEEK_SET), 0);
    assert_int_not_equal(fputc('!', file), EOF);
    assert_int_equal(fclose(file), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cfi_volume_open(&options, &volume, NULL), CF_OK);
        assert_true(holds_step(volume, 3) && holds_step(volume, 4));
        cfi_volume_close(volume);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void a_folder_that_is_missing_is_said(void **state)
{
    (void)state;
    const cfi_volume_options options = real_options("/nowhere/unit.volume", true);
    cfi_volume *volume;
    cf_error error;
    assert_int_equal(cfi_volume_open(&options, &volume, &error), CF_E_IO);
    assert_string_equal(error.text, "volume /nowhere/unit.volume: cannot be opened: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_records_are_there_after_reopening),
        cmocka_unit_test(the_lowest_step_gives_way),
        cmocka_unit_test(records_of_any_size_up_to_the_maximum),
        cmocka_unit_test(torn_writes_cost_nothing_needed),
        cmocka_unit_test(a_power_failure_at_any_call_costs_nothing_needed),
        cmocka_unit_test(any_failing_call_costs_nothing_needed),
        cmocka_unit_test(records_move_to_a_new_file_after_a_failed_sync),
        cmocka_unit_test(a_failed_sync_ends_the_file),
        cmocka_unit_test(a_file_that_cannot_be_marked_is_removed),
        cmocka_unit_test(a_damaged_page_begins_the_file_anew),
        cmocka_unit_test(a_damaged_record_is_left_out_alone),
        cmocka_unit_test(a_file_cut_anywhere_has_its_whole_records),
        cmocka_unit_test(a_file_of_something_else_is_begun_anew),
        cmocka_unit_test(a_full_disk_shows_at_open),
        cmocka_unit_test(impossible_options_are_refused),
        cmocka_unit_test(a_failing_allocation_while_opening_is_said),
        cmocka_unit_test(what_was_acknowledged_survives_kill),
        cmocka_unit_test(a_marked_file_moves_on_the_kernels_disk_too),
        cmocka_unit_test(a_folder_that_is_missing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
