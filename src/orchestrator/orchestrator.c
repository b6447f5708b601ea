/* Finds an orchestrator by its name in the file. */
#include "orchestrator/orchestrator.h"

#include <string.h>

#include "base/alloc.h"
#include "orchestrator/plugins.h"

static const cfi_orchestrator_ops *const known[] = {&cfi_orchestrator_local};

static const cfi_orchestrator_ops *find(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i]->name, name) == 0) {
            return known[i];
        }
    }
    return NULL;
}

cf_status cfi_orchestrator_open(const char *name, const cfi_orchestrator_options *options,
                                cfi_orchestrator *orchestrator_out, cf_error *error)
{
    const cfi_orchestrator_ops *ops = find(name);
    if (ops == NULL) {
        return cfi_fail(error, CF_E_UNSUPPORTED, "deploy: '%s' is not available yet in this version (use: local)",
                        name);
    }
    void *self = cfi_calloc(1, ops->size);
    if (self == NULL) {
        return cfi_fail_memory(error, "the orchestrator");
    }
    const cf_status status = ops->open(self, options, error);
    if (status != CF_OK) {
        ops->close(self);
        cfi_free(self);
        return status;
    }
    *orchestrator_out = (cfi_orchestrator){ops, self};
    return CF_OK;
}

void cfi_orchestrator_close(cfi_orchestrator *orchestrator)
{
    if (orchestrator->ops != NULL) {
        orchestrator->ops->close(orchestrator->self);
        cfi_free(orchestrator->self);
        *orchestrator = (cfi_orchestrator){NULL, NULL};
    }
}
