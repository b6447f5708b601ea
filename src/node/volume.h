/* A unit's own volume: the last few states of it, in one preallocated file (docs/format/volume.md).
 *
 * A ring of slots, each one record: header, payload, checksum. The state of step s goes to the slot after the last; a
 * record torn by a crash damages only its own slot, which held a step below HEAD. Opening reads all slots and keeps
 * those whose checksums are right. The file is written through `cfi_disk`, so that the simulator can stand in for the
 * kernel.
 *
 * An fsync that fails is never tried again on the same file: the kernel may have marked the pages clean (Rebello et
 * al., USENIX ATC 2020). The unit ends, and on the next start writes to a new file. One thread at a time. */
#ifndef CFI_NODE_VOLUME_H
#define CFI_NODE_VOLUME_H

#include "shard/machine.h"

/* What a volume needs of a disk; offsets and sizes in bytes. All may block. */
typedef struct cfi_disk_ops {
    cf_status (*open)(void *disk, const char *path, int *file_out, cf_error *error);     /* made when missing */
    cf_status (*allocate)(void *disk, int file, int64_t size, cf_error *error);          /* room, or CF_E_LIMIT */
    cf_status (*read)(void *disk, int file, int64_t offset, void *bytes, size_t size, size_t *read_out,
                      cf_error *error);
    cf_status (*write)(void *disk, int file, int64_t offset, const void *bytes, size_t size, cf_error *error);
    cf_status (*sync)(void *disk, int file, cf_error *error);
    cf_status (*remove)(void *disk, const char *path, cf_error *error);                  /* absent: CF_OK */
    void (*close)(void *disk, int file);
} cfi_disk_ops;

typedef struct cfi_disk {
    const cfi_disk_ops *ops;
    void *self;
} cfi_disk;

cfi_disk cfi_disk_posix(void); /* the real one */

typedef struct cfi_volume cfi_volume;

typedef struct cfi_volume_options {
    cfi_disk disk;
    const char *path;          /* of the file */
    uint64_t run[2];           /* a file of another run, or of another unit or size, is begun anew */
    const char *unit;          /* its name */
    size_t record_size;
    int slot_count;
    bool power_safe;           /* durability: power */
} cfi_volume_options;

/* CF_E_IO, CF_E_LIMIT (no room; the text names file and bytes needed), CF_E_MEMORY. */
cf_status cfi_volume_open(const cfi_volume_options *options, cfi_volume **volume_out, cf_error *error)
    __attribute__((warn_unused_result));
void cfi_volume_close(cfi_volume *volume); /* NULL is fine */

/* Whole records found at opening, ascending by step; valid until cfi_volume_forget or close. */
const cfi_record *cfi_volume_records(const cfi_volume *volume, int *count_out);
void cfi_volume_forget(cfi_volume *volume); /* frees what was read at opening */

/* Writes a record and, when power_safe, syncs. `incarnation` is kept in it. After a failed sync every call fails. */
cf_status cfi_volume_write(cfi_volume *volume, int64_t step, uint32_t incarnation, const void *bytes, size_t size,
                           cf_error *error) __attribute__((warn_unused_result));

#endif
