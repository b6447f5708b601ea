/* A run folder: everything that one training leaves behind.
 *
 *   runs/<name>/run.json         name of the network; its presence says that the folder holds a run
 *               network.yaml     the resolved file
 *               metrics.jsonl    one JSON object per line, in step order
 *               checkpoints/     store/checkpoint.h
 *               result.json      of the last `train` that ended here
 *               lock             held (flock) while a training runs
 * Further runs of the same network are runs/<name>-2, -3, ...; none is ever overwritten. docs/format/checkpoint.md.
 * One owner, one thread; blocking. */
#ifndef CFI_ENGINE_RUN_H
#define CFI_ENGINE_RUN_H

#include "base/limits.h"
#include "engine/line.h"

#define CFI_RUN_METRICS_SIZE 16384

typedef struct cfi_run {
    char folder[CFI_PATH_SIZE_MAX];
    bool continued;      /* the folder held a run before: there may be a checkpoint */
    int lock;            /* file descriptor */
    size_t metrics_length;
    char metrics[CFI_RUN_METRICS_SIZE]; /* lines not yet written */
} cfi_run;

/* Finds or makes the folder and locks it.
 *
 * folder   NULL: the series runs/<name>, runs/<name>-2, ...
 * resume   go on with the run in `folder`, or the newest of the series; where there is none, begin one
 * Errors: CF_E_EXISTS (`folder` holds a run and resume is false; or another training holds the lock), CF_E_IO,
 * CF_E_LIMIT. After CF_OK close with cfi_run_close. */
cf_status cfi_run_open(cfi_run *run, const char *name, const char *folder, bool resume, cf_error *error)
    __attribute__((warn_unused_result));
void cfi_run_close(cfi_run *run); /* releases the lock; what was not flushed is lost */

/* Writes run.json and network.yaml. `yaml` may be NULL (a network without a file). */
cf_status cfi_run_describe(const cfi_run *run, const char *name, const char *yaml, cf_error *error)
    __attribute__((warn_unused_result));

/* Keeps a line for the next flush; flushes itself when the buffer is full. Allocates nothing. */
cf_status cfi_run_add_metrics(cfi_run *run, const cfi_line *line, cf_error *error) __attribute__((warn_unused_result));
cf_status cfi_run_flush_metrics(cfi_run *run, cf_error *error) __attribute__((warn_unused_result));

/* Removes metrics lines later than `step`, and a torn last one. */
cf_status cfi_run_cut_metrics(const cfi_run *run, int64_t step, cf_error *error) __attribute__((warn_unused_result));

cf_status cfi_run_write_result(const cfi_run *run, const cfi_line *line, cf_error *error)
    __attribute__((warn_unused_result));

/* The newest run of `name`'s series. path_out has CFI_PATH_SIZE_MAX bytes. CF_E_NOT_FOUND when there is none. */
cf_status cfi_run_newest(const char *name, char *path_out, cf_error *error) __attribute__((warn_unused_result));

#endif
