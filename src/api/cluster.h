/* The cluster's handle and what its files share: inside this room only. */
#ifndef CFI_API_CLUSTER_H
#define CFI_API_CLUSTER_H

#include <jansson.h>

#include "api/handles.h"
#include "orchestrator/orchestrator.h"
#include "shard/machine.h"
#include "store/store.h"

#define CFI_CLUSTER_POLL_NS 20000000L
#define CFI_CLUSTER_ASK_MS 10000    /* a whole state may come as the answer */
#define CFI_CLUSTER_HEAD_MS 1000
#define CFI_CLUSTER_GLANCE_MS 100   /* a node answers within a few; one that is paused does not */

struct cf_cluster {
    cf_network *network;
    char command[CFI_PATH_SIZE_MAX];
    char run_folder[CFI_PATH_SIZE_MAX]; /* "" until it is known */
    char folder[CFI_PATH_SIZE_MAX];     /* <run_folder>/cluster */
    cfi_orchestrator orchestrator;      /* ops NULL until the folder is known */
    cfi_cluster plan;                   /* as plan.json says; zeroed until read */
    cf_data *data;                      /* NULL until a question needs it */
    cfi_number_name *numbers;           /* (classes), likewise */
};

/* cluster.c */
void cfi_cluster_pause(int64_t nanoseconds);
/* Reads plan.json again. CF_E_NOT_FOUND: there is no cluster; the text says how to begin one. */
cf_status cfi_cluster_read_plan(cf_cluster *cluster, cf_error *error) __attribute__((warn_unused_result));
/* Reads plan.json again, and CF_E_NOT_FOUND when nothing runs. */
cf_status cfi_cluster_is_up(cf_cluster *cluster, cf_error *error) __attribute__((warn_unused_result));
cf_status cfi_cluster_write_plan(cf_cluster *cluster, cf_error *error) __attribute__((warn_unused_result));
/* Asks the container that hosts unit `unit`. */
cf_status cfi_cluster_ask(cf_cluster *cluster, int unit, const char *operation, const char *argument, const void *body,
                          size_t body_size, char **answer_out, size_t *size_out, cf_error *error)
    __attribute__((warn_unused_result));
/* A container's status, or NULL when it does not answer in time. From several threads at once too. Freed with
 * json_decref. */
json_t *cfi_cluster_glance(const cf_cluster *cluster, const char *container, int timeout_ms);
/* The record of HEAD. */
cf_status cfi_cluster_head(cf_cluster *cluster, cfi_head *head_out, cf_error *error)
    __attribute__((warn_unused_result));
/* Takes the plan that HEAD's record names, when it is another than plan.json. */
cf_status cfi_cluster_follow_plan(cf_cluster *cluster, bool *changed_out, cf_error *error)
    __attribute__((warn_unused_result));

/* cluster_plan.c */
/* The plan that would follow `before` (NULL: the first one), with endpoints. */
cf_status cfi_cluster_make_plan(cf_cluster *cluster, const cfi_dataset *dataset, const cf_up_options *options,
                                const cfi_cluster *before, cfi_cluster *plan_out, cf_error *error)
    __attribute__((warn_unused_result));
/* What decides the weights, as 64 bits. */
cf_status cfi_cluster_digest(const cf_network *network, const cfi_dataset *dataset, uint64_t *digest_out,
                             cf_error *error) __attribute__((warn_unused_result));

/* cluster_keys.c */
/* The file `keys` for a network whose messages go over tcp; else nothing happens. */
cf_status cfi_cluster_write_keys(const cf_cluster *cluster, cf_error *error) __attribute__((warn_unused_result));

/* cluster_wait.c */
/* An error when nothing runs, or a container of the plan never will again. */
cf_status cfi_cluster_check_runs(const cf_cluster *cluster, cf_error *error) __attribute__((warn_unused_result));

/* chaos.c */
/* The same steps, weights and chain, all of them known. */
bool cfi_chaos_is_identical(const cf_train_result *left, const cf_train_result *right);

/* cluster_result.c */
/* Reads the state of the end out of the store, and writes checkpoint and result. `end` has the figures. */
cf_status cfi_cluster_result(cf_cluster *cluster, const cfi_head *head, const cf_event *end, double seconds,
                             cf_train_result *result_out, cf_error *error) __attribute__((warn_unused_result));

/* folder.c: removes a folder with all that is in it; absent: CF_OK. Follows no links. */
cf_status cfi_folder_remove(const char *path, cf_error *error) __attribute__((warn_unused_result));

#endif
