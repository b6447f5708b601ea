/* What a store holds beyond the life of its process, watched: every record of HEAD is looked at as it is written, and
 * the whole may be full for a while, or be put back to an older copy of itself. */
#include <string.h>

#include "base/alloc.h"
#include "sim/world.h"

static cf_status outer_get(void *self, const char *key, const void **value_out, size_t *size_out, cf_error *error)
{
    sim_keeper *keeper = self;
    return keeper->inner.ops->get(keeper->inner.self, key, value_out, size_out, error);
}

static cf_status refuse(cf_error *error)
{
    return cfi_fail(error, CF_E_LIMIT, "the store is full (a planned fault)");
}

static cf_status outer_put(void *self, const char *key, const void *value, size_t size, cf_error *error)
{
    sim_keeper *keeper = self;
    return keeper->is_full ? refuse(error) : keeper->inner.ops->put(keeper->inner.self, key, value, size, error);
}

static cf_status outer_cas(void *self, const char *key, const void *expected, size_t expected_size, const void *value,
                           size_t size, cf_error *error)
{
    sim_keeper *keeper = self;
    if (keeper->is_full) {
        return refuse(error);
    }
    CFI_TRY(keeper->inner.ops->cas(keeper->inner.self, key, expected, expected_size, value, size, error));
    cfi_head head;
    if (strcmp(key, "head") == 0) {
        if (cfi_head_decode(value, size, &head, NULL) != CF_OK) {
            sim_violate(keeper->world, 2, "a record of HEAD that cannot be read was written");
        } else {
            sim_check_head(keeper->world, &head);
            keeper->head = head;
            keeper->has_head = true;
            keeper->highest = head.step > keeper->highest ? head.step : keeper->highest;
        }
    }
    return CF_OK;
}

static cf_status outer_remove(void *self, const char *key, cf_error *error)
{
    sim_keeper *keeper = self;
    return keeper->inner.ops->remove(keeper->inner.self, key, error);
}

static cf_status outer_list(void *self, const char *prefix,
                            bool (*each)(void *user, const char *key, size_t value_size), void *user, cf_error *error)
{
    sim_keeper *keeper = self;
    return keeper->inner.ops->list(keeper->inner.self, prefix, each, user, error);
}

static const cfi_store_ops outer_ops = {
    .abi = CFI_STORE_ABI, .name = "watched", .get = outer_get, .put = outer_put, .cas = outer_cas,
    .remove = outer_remove, .list = outer_list,
};

cf_status sim_keeper_init(sim_keeper *keeper, sim_world *world, cf_error *error)
{
    const cfi_store_options options = {.folder = ""};
    keeper->world = world;
    keeper->restored_at = -1;
    keeper->outer = (cfi_store){&outer_ops, keeper};
    return cfi_store_open("memory", &options, &keeper->inner, error);
}

void sim_keeper_fini(sim_keeper *keeper)
{
    cfi_store_close(&keeper->inner);
    cfi_store_close(&keeper->snapshot);
}

/* ---- Copies ---- */

typedef struct key_list {
    char (*keys)[CFI_STORE_KEY_SIZE_MAX];
    int count, capacity;
    bool is_short;
} key_list;

static bool note_key(void *user, const char *key, size_t value_size)
{
    key_list *list = user;
    (void)value_size;
    if (list->count == list->capacity) {
        void *keys = cfi_realloc(list->keys, (size_t)list->capacity * 2 + 32, sizeof *list->keys);
        if (keys == NULL) {
            list->is_short = true;
            return false;
        }
        list->keys = keys;
        list->capacity = list->capacity * 2 + 32;
    }
    strncpy(list->keys[list->count], key, CFI_STORE_KEY_SIZE_MAX - 1);
    list->keys[list->count++][CFI_STORE_KEY_SIZE_MAX - 1] = '\0';
    return true;
}

static cf_status copy_store(cfi_store from, cfi_store to, cf_error *error)
{
    key_list list = {NULL, 0, 0, false};
    cf_status status = from.ops->list(from.self, "", note_key, &list, error);
    if (list.is_short) {
        status = cfi_fail_memory(error, "a copy of the store");
    }
    for (int i = 0; i < list.count && status == CF_OK; i++) {
        const void *value = NULL;
        size_t size = 0;
        status = from.ops->get(from.self, list.keys[i], &value, &size, error);
        if (status == CF_OK) {
            status = to.ops->cas(to.self, list.keys[i], NULL, 0, value, size, error);
        }
    }
    cfi_free(list.keys);
    return status;
}

cf_status sim_keeper_snapshot(sim_keeper *keeper, cf_error *error)
{
    const cfi_store_options options = {.folder = ""};
    cfi_store copy;
    CFI_TRY(cfi_store_open("memory", &options, &copy, error));
    const cf_status status = copy_store(keeper->inner, copy, error);
    if (status != CF_OK) {
        cfi_store_close(&copy);
        return status;
    }
    cfi_store_close(&keeper->snapshot);
    keeper->snapshot = copy;
    keeper->has_snapshot = true;
    return CF_OK;
}

bool sim_keeper_restore(sim_keeper *keeper)
{
    const void *value = NULL;
    size_t size = 0;
    if (!keeper->has_snapshot) {
        return false;
    }
    cfi_store_close(&keeper->inner);
    keeper->inner = keeper->snapshot;
    keeper->snapshot = (cfi_store){NULL, NULL};
    keeper->has_snapshot = false;
    keeper->has_head = keeper->inner.ops->get(keeper->inner.self, "head", &value, &size, NULL) == CF_OK &&
                       cfi_head_decode(value, size, &keeper->head, NULL) == CF_OK;
    keeper->restored_at = keeper->world->now;
    return true;
}
