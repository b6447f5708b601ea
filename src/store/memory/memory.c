/* The store that forgets: an array of entries sorted by key. For tests, and runs that need not survive. */
#include <string.h>

#include "base/alloc.h"
#include "store/plugins.h"

typedef struct entry {
    char *key;
    void *value;
    size_t size;
} entry;

typedef struct memory {
    entry *entries;
    size_t count, room;
    size_t bytes, bytes_max; /* of keys and values; 0: any number */
} memory;

static cf_status memory_open(void *self, const cfi_store_options *options, cf_error *error)
{
    if (options->size_max < 0) {
        return cfi_fail(error, CF_E_USAGE, "store memory: size_max is negative");
    }
    ((memory *)self)->bytes_max = (size_t)options->size_max;
    return CF_OK;
}

/* Index of the first entry whose key is not below `key`. */
static size_t lower_bound(const memory *store, const char *key)
{
    size_t low = 0, high = store->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(store->entries[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static entry *find(const memory *store, const char *key)
{
    const size_t at = lower_bound(store, key);
    return at < store->count && strcmp(store->entries[at].key, key) == 0 ? &store->entries[at] : NULL;
}

static bool holds(const entry *found, const void *value, size_t size)
{
    return found->size == size && (size == 0 || memcmp(found->value, value, size) == 0);
}

static cf_status reserve_entry(memory *store, cf_error *error)
{
    if (store->count < store->room) {
        return CF_OK;
    }
    const size_t room = store->room == 0 ? 16 : 2 * store->room;
    entry *entries = cfi_realloc(store->entries, room, sizeof *entries);
    if (entries == NULL) {
        return cfi_fail_memory(error, "the store's keys");
    }
    store->entries = entries;
    store->room = room;
    return CF_OK;
}

/* Inserts or replaces; nothing changes on failure. */
static cf_status set(memory *store, const char *key, const void *value, size_t size, cf_error *error)
{
    entry *old = find(store, key);
    const size_t bytes = store->bytes - (old != NULL ? old->size : 0) + size + (old != NULL ? 0 : strlen(key));
    if (store->bytes_max != 0 && bytes > store->bytes_max) {
        return cfi_fail(error, CF_E_LIMIT, "%s: the memory store is full (%zu bytes); raise its size", key,
                        store->bytes_max);
    }
    void *copy = cfi_calloc(size, 1);
    if (copy == NULL) {
        return cfi_fail_memory(error, "a value of the store");
    }
    if (size > 0) {
        memcpy(copy, value, size);
    }
    if (old != NULL) {
        cfi_free(old->value);
        old->value = copy;
        old->size = size;
        store->bytes = bytes;
        return CF_OK;
    }
    char *name = cfi_strdup(key);
    if (name == NULL || reserve_entry(store, error) != CF_OK) {
        cfi_free(name);
        cfi_free(copy);
        return cfi_fail_memory(error, "a key of the store");
    }
    const size_t at = lower_bound(store, key);
    memmove(store->entries + at + 1, store->entries + at, (store->count - at) * sizeof *store->entries);
    store->entries[at] = (entry){name, copy, size};
    store->count++;
    store->bytes = bytes;
    return CF_OK;
}

static cf_status memory_get(void *self, const char *key, const void **value_out, size_t *size_out, cf_error *error)
{
    CFI_TRY(cfi_store_check(key, 0, error));
    const entry *found = find(self, key);
    if (found == NULL) {
        return cfi_fail(error, CF_E_NOT_FOUND, "%s: not in the store", key);
    }
    *value_out = found->value;
    *size_out = found->size;
    return CF_OK;
}

static cf_status memory_put(void *self, const char *key, const void *value, size_t size, cf_error *error)
{
    CFI_TRY(cfi_store_check(key, size, error));
    const entry *found = find(self, key);
    if (found == NULL) {
        return set(self, key, value, size, error);
    }
    return holds(found, value, size) ? CF_OK
                                     : cfi_fail(error, CF_E_EXISTS, "%s: in the store with other bytes", key);
}

static cf_status memory_cas(void *self, const char *key, const void *expected, size_t expected_size,
                            const void *value, size_t size, cf_error *error)
{
    CFI_TRY(cfi_store_check(key, size, error));
    const entry *found = find(self, key);
    const bool matches = expected == NULL ? found == NULL : found != NULL && holds(found, expected, expected_size);
    return matches ? set(self, key, value, size, error)
                   : cfi_fail(error, CF_E_EXISTS, "%s: the store holds something else", key);
}

static cf_status memory_remove(void *self, const char *key, cf_error *error)
{
    CFI_TRY(cfi_store_check(key, 0, error));
    memory *store = self;
    entry *found = find(store, key);
    if (found != NULL) {
        store->bytes -= strlen(found->key) + found->size;
        cfi_free(found->key);
        cfi_free(found->value);
        store->count--;
        memmove(found, found + 1, (size_t)(store->entries + store->count - found) * sizeof *found);
    }
    return CF_OK;
}

static cf_status memory_list(void *self, const char *prefix,
                             bool (*each)(void *user, const char *key, size_t value_size), void *user,
                             cf_error *error)
{
    (void)error;
    const memory *store = self;
    const size_t length = strlen(prefix);
    for (size_t i = lower_bound(store, prefix); i < store->count; i++) {
        const entry *at = &store->entries[i];
        if (strncmp(at->key, prefix, length) != 0 || !each(user, at->key, at->size)) {
            break;
        }
    }
    return CF_OK;
}

static void memory_close(void *self)
{
    memory *store = self;
    for (size_t i = 0; i < store->count; i++) {
        cfi_free(store->entries[i].key);
        cfi_free(store->entries[i].value);
    }
    cfi_free(store->entries);
    *store = (memory){0};
}

const cfi_store_ops cfi_store_memory = {
    .abi = CFI_STORE_ABI, .size = sizeof(memory), .name = "memory", .open = memory_open, .get = memory_get,
    .put = memory_put, .cas = memory_cas, .remove = memory_remove, .list = memory_list, .close = memory_close,
};
