/* A node as a process: its working folder, its memory, its signals. */
#include "node/node.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/alloc.h"
#include "node/host.h"

enum { TRIM_THRESHOLD = 64 << 10 };

/* One arena: threads that allocate little need no heaps of their own, which is most of what 42 processes would cost. */
static void spare_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
#endif
}

void cfi_host_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static int report(const cfi_node_options *options, const char *text, int exit_code)
{
    cfi_node_host teller = {.options = {.container = options->container}};
    cfi_host_log(&teller, "%s", text);
    return exit_code;
}

int cfi_node_run(const cfi_node_options *options)
{
    cf_error error = {0};
    cfi_node_host *host = NULL;
    char text[256];
    spare_memory();
    signal(SIGPIPE, SIG_IGN);
    if (chdir(options->folder) != 0) {
        snprintf(text, sizeof text, "%.150s: %s", options->folder, strerror(errno));
        return report(options, text, CFI_NODE_FAILED);
    }
    const cfi_host_options inner = {.folder = ".", .container = options->container, .compute = options->compute,
                                    .boot = options->boot, .handles_signals = true};
    const cf_status status = cfi_host_new(&inner, &host, &error);
    if (status != CF_OK) {
        return report(options, error.text, status == CF_E_CANCELLED ? CFI_NODE_RETIRED : CFI_NODE_FAILED);
    }
    const int exit_code = cfi_host_run(host);
    cfi_host_free(host);
    return exit_code;
}
