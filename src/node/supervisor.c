/* The supervisor of real nodes. */
#include "node/supervisor.h"

#include "base/alloc.h"
#include "base/file.h"
#include "node/node.h"
#include "node/supervise.h"

enum { PLAN_SIZE_MAX = 64 << 20 };

static int run_node(void *user, const char *container, uint64_t boot)
{
    const cfi_supervisor_options *options = user;
    const cfi_node_options node = {.folder = ".", .container = container, .compute = options->compute, .boot = boot};
    return cfi_node_run(&node);
}

static cf_status read_containers(void *user, bool (*add)(void *to, const char *name), void *to, cf_error *error)
{
    char *text = NULL;
    size_t size = 0;
    cfi_cluster cluster;
    (void)user;
    CFI_TRY(cfi_file_read("plan.json", PLAN_SIZE_MAX, &text, &size, error));
    cf_status status = cfi_cluster_parse(text, size, &cluster, error);
    cfi_free(text);
    CFI_TRY(status);
    for (int c = 0; c < cluster.container_count && status == CF_OK; c++) {
        status = add(to, cluster.containers[c].name) ? CF_OK : cfi_fail_memory(error, "the containers");
    }
    cfi_cluster_fini(&cluster);
    return status;
}

int cfi_supervisor_run(const cfi_supervisor_options *options)
{
    cfi_supervisor_options copy = *options; /* both sides of a fork have their own */
    bool is_child = false;
    const cfi_supervise_options inner = {.folder = options->folder, .container = options->container,
                                         .child = run_node, .user = &copy, .containers = read_containers};
    return cfi_supervise(&inner, &is_child);
}
