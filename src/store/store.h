/* The contract of a store's back end: a map from keys to values that survives its process, with one atomic operation.
 *
 * Promise (tests/contract/store_contract.h tries it). Keys are text of 1 to CFI_STORE_KEY_SIZE_MAX-1 bytes without NUL,
 * values are bytes up to CFI_STORE_VALUE_MAX. An operation that returned CF_OK survives kill -9 of the process (memory:
 * does not). Values other than HEAD and leases are immutable: put() of the same bytes again is CF_OK, of other bytes
 * CF_E_EXISTS and changes nothing. list() gives keys in byte order. A full store still removes, and replaces small
 * values by others of the same size: HEAD moves, and what is below it can go.
 *
 * Threads. One at a time. Calls may block on the disk. Pointers given out are valid until the next call.
 * Errors. CF_E_IO, CF_E_LIMIT (full, or larger than the maximum; the text names the cure), CF_E_MEMORY; what was there
 * is still there. */
#ifndef CFI_STORE_STORE_H
#define CFI_STORE_STORE_H

#include "base/status.h"

#define CFI_STORE_ABI 1
#define CFI_STORE_KEY_SIZE_MAX 192
#define CFI_STORE_VALUE_MAX ((size_t)256 << 20)

typedef struct cfi_store_options {
    const char *folder;     /* of its files; made when missing; memory ignores it */
    int64_t size_max;       /* bytes it may hold; 0 = as large as the plug-in can (lmdb: 64 GiB of address space) */
    bool power_safe;        /* false: survives kill -9; true: also a power failure (fsync at each operation) */
} cfi_store_options;

typedef struct cfi_store_ops {
    uint32_t abi;           /* CFI_STORE_ABI */
    size_t size;            /* bytes of self; the framework allocates them, zeroed */
    const char *name;       /* key in the file: "lmdb" */
    cf_status (*open)(void *self, const cfi_store_options *options, cf_error *error);
    /* CF_E_NOT_FOUND: no such key. */
    cf_status (*get)(void *self, const char *key, const void **value_out, size_t *size_out, cf_error *error);
    /* Absent or equal: CF_OK. CF_E_EXISTS: there with other bytes. */
    cf_status (*put)(void *self, const char *key, const void *value, size_t size, cf_error *error);
    /* Replaces the value if it is `expected` now (expected NULL: if the key is absent). CF_E_EXISTS: it is something
     * else; nothing changed. */
    cf_status (*cas)(void *self, const char *key, const void *expected, size_t expected_size, const void *value,
                     size_t size, cf_error *error);
    cf_status (*remove)(void *self, const char *key, cf_error *error); /* absent: CF_OK */
    /* Calls back for each key that begins with `prefix`, in order, until the callback returns false. The callback must
     * not call the store. */
    cf_status (*list)(void *self, const char *prefix, bool (*each)(void *user, const char *key, size_t value_size),
                      void *user, cf_error *error);
    void (*close)(void *self); /* idempotent; also frees; safe on a half-opened self */
} cfi_store_ops;

typedef struct cfi_store {
    const cfi_store_ops *ops;
    void *self;
} cfi_store;

cf_status cfi_store_open(const char *name, const cfi_store_options *options, cfi_store *store_out, cf_error *error)
    __attribute__((warn_unused_result));
void cfi_store_close(cfi_store *store); /* zeroed or closed: nothing happens */

#endif
