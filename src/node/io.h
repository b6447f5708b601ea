/* The one thread that writes states to volumes, so that the loop never waits for a disk. */
#ifndef CFI_NODE_IO_H
#define CFI_NODE_IO_H

#include "node/volume.h"

typedef struct cfi_io cfi_io;

/* A record to be written, then what became of it. */
typedef struct cfi_io_job {
    cfi_volume *volume;      /* borrowed until it is done */
    int unit;                /* of the plan; given back   */
    int64_t step;
    uint32_t incarnation;
    unsigned char *bytes;    /* owned (cfi_free)          */
    size_t size;
    cf_status status;        /* done: what the write said */
    char text[256];          /* done: why it failed       */
} cfi_io_job;

/* At most `capacity` jobs at a time. `wake` is called on the thread after each job. */
cf_status cfi_io_new(int capacity, void (*wake)(void *user), void *user, cfi_io **io_out, cf_error *error)
    __attribute__((warn_unused_result));
/* Takes the job's bytes on CF_OK. CF_E_LIMIT: as many as fit are there. */
cf_status cfi_io_add(cfi_io *io, const cfi_io_job *job, cf_error *error) __attribute__((warn_unused_result));
bool cfi_io_take_done(cfi_io *io, cfi_io_job *job_out); /* the oldest that is done; its bytes are freed already */
void cfi_io_wait(cfi_io *io);                           /* until nothing is left to be written */
void cfi_io_free(cfi_io *io);                           /* writes what is left first; NULL is fine */

#endif
