#include "transport/transport.h"

#include <string.h>

#include "base/alloc.h"
#include "transport/plugins.h"

#define QUEUE_DEFAULT 1000
#define QUEUE_MAX 1000000

static const cfi_transport_ops *const plugins[] = {&cfi_transport_inproc, &cfi_transport_zeromq};

const cfi_transport_ops *cfi_transport_find(const char *name)
{
    for (size_t i = 0; i < sizeof plugins / sizeof *plugins; i++) {
        if (strcmp(plugins[i]->name, name) == 0 && plugins[i]->abi == CFI_TRANSPORT_ABI) {
            return plugins[i];
        }
    }
    return NULL;
}

static cf_status check_options(const cfi_transport_options *options, cf_error *error)
{
    if (options->endpoint == NULL || strnlen(options->endpoint, CFI_ENDPOINT_SIZE_MAX) == CFI_ENDPOINT_SIZE_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "transport: an endpoint has 1 to %d bytes", CFI_ENDPOINT_SIZE_MAX - 1);
    }
    if (options->queue_max < 0 || options->queue_max > QUEUE_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "transport: a queue of %lld frames, choose 1 to %d",
                        (long long)options->queue_max, QUEUE_MAX);
    }
    return CF_OK;
}

cf_status cfi_transport_open(const char *name, const cfi_transport_options *options, cfi_transport *transport_out,
                             cf_error *error)
{
    const cfi_transport_ops *ops = cfi_transport_find(name);
    if (ops == NULL) {
        return cfi_fail(error, CF_E_UNSUPPORTED, "transport '%s': not in this build, which has inproc and zeromq",
                        name);
    }
    CFI_TRY(check_options(options, error));
    cfi_transport_options settled = *options;
    settled.queue_max = options->queue_max == 0 ? QUEUE_DEFAULT : options->queue_max;
    cfi_transport transport = {ops, cfi_calloc(1, ops->size)};
    if (transport.self == NULL) {
        return cfi_fail_memory(error, "a transport");
    }
    const cf_status status = ops->open(transport.self, &settled, error);
    if (status != CF_OK) {
        cfi_transport_close(&transport);
        return status;
    }
    *transport_out = transport;
    return CF_OK;
}

void cfi_transport_close(cfi_transport *transport)
{
    if (transport->ops != NULL) {
        transport->ops->close(transport->self);
        cfi_free(transport->self);
    }
    *transport = (cfi_transport){NULL, NULL};
}
