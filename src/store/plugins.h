/* The back ends in this build, and the checks they share. */
#ifndef CFI_STORE_PLUGINS_H
#define CFI_STORE_PLUGINS_H

#include "store/store.h"

extern const cfi_store_ops cfi_store_memory, cfi_store_lmdb;

/* CF_E_LIMIT for a key that is empty or too long, or a value that is too large. */
cf_status cfi_store_check(const char *key, size_t value_size, cf_error *error) __attribute__((warn_unused_result));

#endif
