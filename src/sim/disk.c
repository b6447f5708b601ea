/* A disk as a process sees it through the kernel, and what of it survives.
 *
 * What was written is seen by every later process at once (`seen`), and is on the platter (`durable`) after a sync
 * that did not fail. A process's death loses nothing that it has written; a power loss loses any part of what was not
 * synced.
 * After a failed sync the kernel takes the pages for clean: a later sync does not write them, though they are seen. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "sim/world.h"

enum { SECTOR = 512 };

sim_disk *sim_disk_new(sim_world *world)
{
    sim_disk *disk = cfi_calloc(1, sizeof *disk);
    if (disk != NULL) {
        disk->world = world;
        disk->latency = world->weather.disk_latency;
    }
    return disk;
}

static void forget_writes(sim_file *file)
{
    for (int i = 0; i < file->write_count; i++) {
        cfi_free(file->writes[i].bytes);
    }
    file->write_count = 0;
}

static void file_free(sim_file *file)
{
    if (file != NULL) {
        forget_writes(file);
        cfi_free(file->writes);
        cfi_free(file->seen);
        cfi_free(file->durable);
        cfi_free(file);
    }
}

void sim_disk_free(sim_disk *disk)
{
    if (disk != NULL) {
        sim_disk_wipe(disk);
        cfi_free(disk->files);
        cfi_free(disk);
    }
}

void sim_disk_wipe(sim_disk *disk)
{
    for (int i = 0; i < disk->file_count; i++) {
        file_free(disk->files[i]);
        disk->files[i] = NULL;
    }
}

/* ---- What survives ---- */

static bool grow(unsigned char **bytes, int64_t *size, int64_t wanted)
{
    if (wanted <= *size) {
        return true;
    }
    unsigned char *grown = cfi_realloc(*bytes, (size_t)wanted, 1);
    if (grown == NULL) {
        return false;
    }
    memset(grown + *size, 0, (size_t)(wanted - *size));
    *bytes = grown;
    *size = wanted;
    return true;
}

static void apply(sim_world *world, unsigned char **bytes, int64_t *size, const sim_write *write, size_t from,
                  size_t to)
{
    if (to > from && !grow(bytes, size, write->offset + (int64_t)to)) {
        world->is_short = true;
    } else if (to > from) {
        memcpy(*bytes + write->offset + from, write->bytes + from, to - from);
    }
}

/* Each sector of each write reaches the platter or not, and one may be torn at any byte. */
static void lose_unsynced(sim_disk *disk, sim_file *file)
{
    sim_world *world = disk->world;
    for (int i = 0; i < file->write_count; i++) {
        const sim_write *write = &file->writes[i];
        for (size_t from = 0; from < write->size; from += SECTOR) {
            const size_t end = from + SECTOR < write->size ? from + SECTOR : write->size;
            const bool is_torn = sim_draw_chance(&world->draws, 0.1);
            const size_t to = is_torn ? (size_t)sim_draw_range(&world->draws, (int64_t)from, (int64_t)end) : end;
            if (sim_draw_chance(&world->draws, 0.5)) {
                apply(world, &file->durable, &file->durable_size, write, from, to);
            }
        }
    }
    forget_writes(file);
    cfi_free(file->seen);
    file->seen = cfi_calloc(1, (size_t)file->durable_size);
    file->size = file->durable_size;
    if (file->seen == NULL) {
        world->is_short = true;
        file->size = 0;
    } else if (file->durable_size > 0) {
        memcpy(file->seen, file->durable, (size_t)file->durable_size);
    }
}

void sim_disk_power_loss(sim_disk *disk)
{
    for (int i = 0; i < disk->file_count; i++) {
        if (disk->files[i] != NULL) {
            lose_unsynced(disk, disk->files[i]);
        }
    }
}

void sim_disk_rot(sim_disk *disk)
{
    sim_draws *draws = &disk->world->draws;
    if (disk->file_count == 0) {
        return;
    }
    sim_file *file = disk->files[sim_draw_range(draws, 0, disk->file_count - 1)];
    if (file == NULL || file->size == 0) {
        return;
    }
    const int64_t at = sim_draw_range(draws, 0, file->size - 1);
    const unsigned char bit = (unsigned char)(1u << (sim_draw(draws) % 8));
    file->seen[at] ^= bit;
    if (at < file->durable_size) {
        file->durable[at] ^= bit;
    }
}

/* ---- The calls ---- */

/* What the present call shall do; before it the process may die, and then nothing happens. */
static cfi_sim_point_kind begin_call(sim_disk *disk, bool *is_dead)
{
    disk->world->result->disk_points++;
    *is_dead = !sim_point_before(disk->world);
    return *is_dead ? CFI_SIM_POINT_NONE : sim_point_of_disk(disk->world);
}

static cf_status fail_call(cfi_sim_point_kind kind, bool is_dead, const char *what, cf_error *error)
{
    if (is_dead) {
        return cfi_fail(error, CF_E_IO, "%s: the process is dead", what);
    }
    if (kind == CFI_SIM_POINT_FULL) {
        return cfi_fail(error, CF_E_LIMIT, "%s: no room on the disk (a planned fault)", what);
    }
    return cfi_fail(error, CF_E_IO, "%s: input/output error (a planned fault)", what);
}

static bool fails(cfi_sim_point_kind kind)
{
    return kind == CFI_SIM_POINT_FAIL || kind == CFI_SIM_POINT_SHORT || kind == CFI_SIM_POINT_FULL;
}

static int find_file(const sim_disk *disk, const char *path)
{
    for (int i = 0; i < disk->file_count; i++) {
        if (disk->files[i] != NULL && strcmp(disk->files[i]->name, path) == 0) {
            return i;
        }
    }
    return -1;
}

static cf_status disk_open(void *self, const char *path, int *file_out, cf_error *error)
{
    sim_disk *disk = self;
    bool is_dead;
    const cfi_sim_point_kind kind = begin_call(disk, &is_dead);
    int found = find_file(disk, path);
    if (is_dead || fails(kind) || (found < 0 && disk->is_full)) {
        return fail_call(disk->is_full ? CFI_SIM_POINT_FULL : kind, is_dead, path, error);
    }
    if (found < 0) {
        if (disk->file_count == disk->file_capacity) {
            sim_file **files = cfi_realloc(disk->files, (size_t)disk->file_capacity * 2 + 8, sizeof(sim_file *));
            if (files == NULL) {
                return cfi_fail_memory(error, "a simulated disk");
            }
            disk->files = files;
            disk->file_capacity = disk->file_capacity * 2 + 8;
        }
        sim_file *file = cfi_calloc(1, sizeof *file);
        if (file == NULL) {
            return cfi_fail_memory(error, "a simulated file");
        }
        snprintf(file->name, sizeof file->name, "%s", path);
        found = disk->file_count++;
        disk->files[found] = file;
    }
    *file_out = found;
    sim_point_after(disk->world);
    return CF_OK;
}

static cf_status disk_allocate(void *self, int number, int64_t size, cf_error *error)
{
    sim_disk *disk = self;
    sim_file *file = disk->files[number];
    bool is_dead;
    const cfi_sim_point_kind kind = begin_call(disk, &is_dead);
    if (is_dead || fails(kind) || file == NULL || (size > file->size && disk->is_full)) {
        return fail_call(disk->is_full ? CFI_SIM_POINT_FULL : kind, is_dead, "allocate", error);
    }
    if (!grow(&file->seen, &file->size, size) || !grow(&file->durable, &file->durable_size, size)) {
        return cfi_fail_memory(error, "a simulated file");
    }
    sim_point_after(disk->world);
    return CF_OK;
}

static cf_status disk_read(void *self, int number, int64_t offset, void *bytes, size_t size, size_t *read_out,
                           cf_error *error)
{
    sim_disk *disk = self;
    const sim_file *file = disk->files[number];
    bool is_dead;
    const cfi_sim_point_kind kind = begin_call(disk, &is_dead);
    if (is_dead || kind == CFI_SIM_POINT_FAIL || file == NULL) {
        return fail_call(kind, is_dead, "read", error);
    }
    const int64_t there = offset < file->size ? file->size - offset : 0;
    *read_out = there < (int64_t)size ? (size_t)there : size;
    if (*read_out > 0) {
        memcpy(bytes, file->seen + offset, *read_out);
    }
    sim_point_after(disk->world);
    return CF_OK;
}

static cf_status keep_write(sim_disk *disk, sim_file *file, int64_t offset, const void *bytes, size_t size)
{
    if (!disk->world->weather.is_power_safe) { /* nobody syncs, and the power stays on */
        const sim_write write = {offset, size, (unsigned char *)(uintptr_t)bytes};
        apply(disk->world, &file->seen, &file->size, &write, 0, size);
        return CF_OK;
    }
    if (file->write_count == file->write_capacity) {
        sim_write *writes = cfi_realloc(file->writes, (size_t)file->write_capacity * 2 + 8, sizeof *writes);
        if (writes == NULL) {
            return CF_E_MEMORY;
        }
        file->writes = writes;
        file->write_capacity = file->write_capacity * 2 + 8;
    }
    unsigned char *copy = cfi_calloc(1, size);
    if (copy == NULL) {
        return CF_E_MEMORY;
    }
    memcpy(copy, bytes, size);
    sim_write *write = &file->writes[file->write_count++];
    *write = (sim_write){offset, size, copy};
    apply(disk->world, &file->seen, &file->size, write, 0, size);
    return CF_OK;
}

static cf_status disk_write(void *self, int number, int64_t offset, const void *bytes, size_t size, cf_error *error)
{
    sim_disk *disk = self;
    sim_world *world = disk->world;
    sim_file *file = disk->files[number];
    bool is_dead;
    cfi_sim_point_kind kind = begin_call(disk, &is_dead);
    size_t written = size;
    if (is_dead) { /* killed within the call: any part of it may have been done */
        written = sim_draw_chance(&world->draws, world->weather.torn)
                      ? (size_t)sim_draw_range(&world->draws, 0, (int64_t)size) : 0;
        if (written > 0) {
            sim_count(world, CFI_SIM_TORN_WRITE);
        }
    } else if (disk->fail_writes > 0) {
        disk->fail_writes--;
        kind = CFI_SIM_POINT_SHORT;
        sim_count(world, CFI_SIM_WRITE_ERROR);
    }
    if (kind == CFI_SIM_POINT_SHORT) {
        written = size / 2;
    } else if (fails(kind)) {
        written = 0;
    }
    if (file == NULL || (written > 0 && keep_write(disk, file, offset, bytes, written) != CF_OK)) {
        return cfi_fail_memory(error, "a simulated write");
    }
    if (is_dead || fails(kind)) {
        return fail_call(kind, is_dead, "write", error);
    }
    sim_point_after(world);
    return CF_OK;
}

static cf_status disk_sync(void *self, int number, cf_error *error)
{
    sim_disk *disk = self;
    sim_file *file = disk->files[number];
    bool is_dead;
    cfi_sim_point_kind kind = begin_call(disk, &is_dead);
    if (is_dead || file == NULL) {
        return fail_call(kind, is_dead, "sync", error);
    }
    if (disk->fail_syncs > 0) {
        disk->fail_syncs--;
        kind = CFI_SIM_POINT_FAIL;
        sim_count(disk->world, CFI_SIM_SYNC_ERROR);
        sim_volume_was_hurt(disk->world);
    }
    for (int i = 0; i < file->write_count && !fails(kind); i++) {
        apply(disk->world, &file->durable, &file->durable_size, &file->writes[i], 0, file->writes[i].size);
    }
    forget_writes(file);
    if (fails(kind)) {
        return fail_call(kind, false, "sync", error);
    }
    sim_point_after(disk->world);
    return CF_OK;
}

static cf_status disk_remove(void *self, const char *path, cf_error *error)
{
    sim_disk *disk = self;
    bool is_dead;
    const cfi_sim_point_kind kind = begin_call(disk, &is_dead);
    const int found = find_file(disk, path);
    if (is_dead || fails(kind)) {
        return fail_call(kind, is_dead, path, error);
    }
    if (found >= 0) {
        file_free(disk->files[found]);
        disk->files[found] = NULL;
    }
    sim_point_after(disk->world);
    return CF_OK;
}

static void disk_close(void *self, int file)
{
    (void)self;
    (void)file;
}

cfi_disk sim_disk_use(sim_disk *disk)
{
    static const cfi_disk_ops ops = {
        .open = disk_open, .allocate = disk_allocate, .read = disk_read, .write = disk_write, .sync = disk_sync,
        .remove = disk_remove, .close = disk_close,
    };
    return (cfi_disk){&ops, disk};
}
