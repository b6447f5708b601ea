/* The local orchestrator's parts: one supervisor process for each cluster's folder, its nodes as its children. */
#ifndef CFI_ORCHESTRATOR_LOCAL_H
#define CFI_ORCHESTRATOR_LOCAL_H

#include "orchestrator/orchestrator.h"

#define CFI_LOCAL_ASK_MS 10000 /* a node answers within milliseconds; one that is paused does not */

typedef struct cfi_local {
    char folder[CFI_PATH_SIZE_MAX], command[CFI_PATH_SIZE_MAX];
} cfi_local;

/* A process that is surely the one meant: the number alone may be another's by now. */
typedef struct cfi_local_process {
    int64_t pid;
    uint64_t start;  /* clock ticks after boot, of /proc/PID/stat */
    int64_t parent;
} cfi_local_process;

/* process.c */
bool cfi_local_process_read(int64_t pid, cfi_local_process *process_out); /* false: gone, or a zombie */
bool cfi_local_process_lives(const cfi_local_process *process);
/* The supervisor named by the folder's file, when it lives. */
bool cfi_local_supervisor(const cfi_local *local, cfi_local_process *process_out);
/* Starts `command supervise FOLDER`, on its own, and writes the folder's file. */
cf_status cfi_local_start(const cfi_local *local, cfi_local_process *process_out, cf_error *error)
    __attribute__((warn_unused_result));

/* ports.c */
/* tcp endpoints on loopback, from port `first` on. CF_E_CONFIG: there are not so many. */
cf_status cfi_local_ports_give(cfi_cluster *cluster, const cfi_cluster *before, int64_t first, cf_error *error)
    __attribute__((warn_unused_result));
/* CF_E_IO when another program holds a port of this cluster, none of which runs yet; the text names the port. */
cf_status cfi_local_ports_check(const cfi_cluster *cluster, cf_error *error) __attribute__((warn_unused_result));

/* report.c */
cf_status cfi_local_report_parse(const char *text, size_t size, cfi_container_report **reports_out, int *count_out,
                                 cf_error *error) __attribute__((warn_unused_result));

#endif
