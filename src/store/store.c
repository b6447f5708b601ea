#include "store/store.h"

#include <string.h>

#include "base/alloc.h"
#include "store/plugins.h"

static const cfi_store_ops *const plugins[] = {&cfi_store_memory, &cfi_store_lmdb};

cf_status cfi_store_check(const char *key, size_t value_size, cf_error *error)
{
    const size_t length = strnlen(key, CFI_STORE_KEY_SIZE_MAX);
    if (length == 0 || length == CFI_STORE_KEY_SIZE_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "a store's key has 1 to %d bytes", CFI_STORE_KEY_SIZE_MAX - 1);
    }
    if (value_size > CFI_STORE_VALUE_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "%s: a value of %zu bytes; a store's values have at most %zu", key,
                        value_size, CFI_STORE_VALUE_MAX);
    }
    return CF_OK;
}

cf_status cfi_store_open(const char *name, const cfi_store_options *options, cfi_store *store_out, cf_error *error)
{
    for (size_t i = 0; i < sizeof plugins / sizeof *plugins; i++) {
        const cfi_store_ops *ops = plugins[i];
        if (strcmp(ops->name, name) != 0) {
            continue;
        }
        void *self = cfi_calloc(1, ops->size);
        if (self == NULL) {
            return cfi_fail_memory(error, "a store");
        }
        const cf_status status = ops->open(self, options, error);
        if (status != CF_OK) {
            ops->close(self);
            cfi_free(self);
            return status;
        }
        *store_out = (cfi_store){ops, self};
        return CF_OK;
    }
    return cfi_fail(error, CF_E_NOT_FOUND, "there is no store '%s'; there are memory and lmdb", name);
}

void cfi_store_close(cfi_store *store)
{
    if (store->ops != NULL) {
        store->ops->close(store->self);
        cfi_free(store->self);
        *store = (cfi_store){0};
    }
}
