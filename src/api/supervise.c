#include <stdio.h>

#include "engine/compute.h"
#include "node/supervisor.h"

int cf_supervise(const char *folder)
{
    cfi_compute_ops compute;
    if (cfi_native_compute(&compute, NULL) != CF_OK) {
        return 1; /* CUTTLEFISH_KERNELS is wrong; `up` has checked it before */
    }
    const cfi_supervisor_options options = {.folder = folder, .compute = &compute};
    return cfi_supervisor_run(&options);
}
