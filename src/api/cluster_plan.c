/* Plans for a cluster: the plan room's, with what makes a run one: its number, its digest, its endpoints. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/cluster.h"
#include "base/file.h"
#include "base/hash.h"
#include "engine/digest.h"
#include "plan/place.h"

#define NUMERICS_VERSION 1 /* another one: the same file gives other bits, so that old nodes must not take part */

cf_status cfi_cluster_digest(const cf_network *network, const cfi_dataset *dataset, uint64_t *digest_out,
                             cf_error *error)
{
    char text[CFI_HASH_TEXT_SIZE + 16];
    CFI_TRY(cfi_config_digest(&network->settings, &network->graph, dataset, text, error));
    const size_t length = strlen(text);
    snprintf(text + length, sizeof text - length, " %d", NUMERICS_VERSION);
    *digest_out = cfi_hash_bytes(text, strlen(text)).low;
    return CF_OK;
}

static cf_status random_run(uint64_t run_out[2], cf_error *error)
{
    FILE *file = fopen("/dev/urandom", "rbe");
    const bool is_read = file != NULL && fread(run_out, sizeof run_out[0], 2, file) == 2;
    const int number = errno;
    if (file != NULL) {
        fclose(file);
    }
    return is_read ? CF_OK : cfi_fail_errno(error, CF_E_IO, number, "/dev/urandom");
}

static cf_status finish_plan(cf_cluster *cluster, const cfi_dataset *dataset, const cfi_cluster *before,
                             cfi_cluster *plan, cf_error *error)
{
    const cfi_running_settings *running = &cluster->network->settings.running;
    char scheme[32] = "ipc";
    if (running->scheme == CFI_SCHEME_TCP) {
        snprintf(scheme, sizeof scheme, "tcp:%lld", (long long)running->port);
    }
    if (before == NULL) {
        CFI_TRY(random_run(plan->run, error));
        CFI_TRY(cfi_cluster_digest(cluster->network, dataset, &plan->digest, error));
    }
    return cluster->orchestrator.ops->address(cluster->orchestrator.self, plan, before, scheme, error);
}

cf_status cfi_cluster_make_plan(cf_cluster *cluster, const cfi_dataset *dataset, const cf_up_options *options,
                                const cfi_cluster *before, cfi_cluster *plan_out, cf_error *error)
{
    cfi_cluster plan;
    const cfi_cluster_options wish = {
        .settings = &cluster->network->settings, .graph = &cluster->network->graph,
        .train_count = dataset->train.count, .test_count = dataset->test.count,
        .steps = before != NULL ? before->work.step_count : options->steps, .containers = options->containers,
        .before = before, .algorithm = CFI_PLACE_HEFT};
    CFI_TRY(cfi_cluster_plan(&wish, &plan, error));
    const cf_status status = finish_plan(cluster, dataset, before, &plan, error);
    if (status != CF_OK) {
        cfi_cluster_fini(&plan);
        return status;
    }
    *plan_out = plan;
    return CF_OK;
}
