#define _DEFAULT_SOURCE /* flock */
/* The store in an LMDB environment. LMDB never overwrites a page that the last commit can reach and writes its
 * meta page last, so a process killed at any moment leaves the state of one commit or the next.
 *
 * Without power_safe nothing is synced (MDB_NOSYNC): pages go to the kernel by write(), in order, and the kernel
 * outlives the process. MDB_WRITEMAP is not used: a stray pointer of this process could then damage the file.
 * With power_safe every commit ends with LMDB's own fsync. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "store/plugins.h"

#define SIZE_DEFAULT ((size_t)64 << 30)
/* Even a removal takes fresh pages: so many bytes beyond the store's size are kept for removals and for small values
 * that replace others (HEAD, leases), so that a full store can be emptied. */
#define RESERVE ((size_t)4 << 20)
#define SMALL_VALUE 4096u
/* Longer than any key of the store. */
#define SCRATCH_KEY_SIZE (CFI_STORE_KEY_SIZE_MAX + 8)

typedef struct lmdb {
    MDB_env *env;
    MDB_dbi database;
    MDB_txn *reader; /* keeps what get() gave out valid until the next call */
    size_t size_max, page_size;
    int lock;        /* descriptor of the lock file, plus 1; 0: none */
    char folder[CFI_PATH_SIZE_MAX];
} lmdb;

static cf_status fail(const lmdb *store, int code, const char *doing, cf_error *error)
{
    if (code == MDB_MAP_FULL) {
        return cfi_fail(error, CF_E_LIMIT, "%s: the store is full (%zu bytes); raise store.lmdb.size", store->folder,
                        store->size_max);
    }
    if (code == ENOSPC) {
        return cfi_fail(error, CF_E_LIMIT, "%s: no space left on the disk of the store", store->folder);
    }
    if (code == ENOMEM) {
        return cfi_fail_memory(error, "the store");
    }
    return cfi_fail(error, CF_E_IO, "%s: %s: %s", store->folder, doing, mdb_strerror(code));
}

/* One process owns the folder; the lock goes with the process, however it ends. */
static cf_status take_lock(lmdb *store, cf_error *error)
{
    char path[CFI_PATH_SIZE_MAX];
    CFI_TRY(cfi_path_join(path, sizeof path, store->folder, "owner.lock", error));
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s: cannot be opened", path);
    }
    store->lock = file + 1;
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return cfi_fail(error, CF_E_IO, "%s: another process has this store open; end it, or give another folder",
                            store->folder);
        }
        return cfi_fail_errno(error, CF_E_IO, errno, "%s: cannot be locked", path);
    }
    return CF_OK;
}

static cf_status open_database(lmdb *store, cf_error *error)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != 0) {
        return fail(store, code, "begin", error);
    }
    code = mdb_dbi_open(txn, NULL, 0, &store->database);
    if (code != 0) {
        mdb_txn_abort(txn);
        return fail(store, code, "open", error);
    }
    code = mdb_txn_commit(txn);
    return code == 0 ? CF_OK : fail(store, code, "commit", error);
}

/* Bytes of the file up to the last page that was ever used. */
static int measure(const lmdb *store, size_t *size_out)
{
    MDB_envinfo information;
    const int code = mdb_env_info(store->env, &information);
    if (code == 0) {
        *size_out = (information.me_last_pgno + 1) * store->page_size;
    }
    return code;
}

/* The map is larger than the store may become, and than it is, by the reserve. */
static int open_environment(lmdb *store, bool power_safe)
{
    MDB_stat information;
    size_t size;
    int dead;
    int code = mdb_env_set_mapsize(store->env, store->size_max + RESERVE);
    if (code == 0) {
        code = mdb_env_open(store->env, store->folder, MDB_NOTLS | (power_safe ? 0u : MDB_NOSYNC), 0666);
    }
    if (code == 0) {
        code = mdb_reader_check(store->env, &dead);
    }
    if (code == 0) {
        code = mdb_env_stat(store->env, &information);
    }
    if (code == 0) {
        store->page_size = information.ms_psize;
        code = measure(store, &size);
    }
    return code == 0 && size > store->size_max ? mdb_env_set_mapsize(store->env, size + RESERVE) : code;
}

static cf_status lmdb_open(void *self, const cfi_store_options *options, cf_error *error)
{
    lmdb *store = self;
    if (options->folder == NULL || options->size_max < 0) {
        return cfi_fail(error, CF_E_USAGE, "store lmdb: needs a folder, and a size that is not negative");
    }
    if (!cfi_copy_path(store->folder, options->folder)) {
        return cfi_fail(error, CF_E_LIMIT, "store lmdb: the folder's name is too long");
    }
    CFI_TRY(cfi_folder_make(store->folder, error));
    CFI_TRY(take_lock(store, error));
    store->size_max = options->size_max > 0 ? (size_t)options->size_max : SIZE_DEFAULT;
    int code = mdb_env_create(&store->env);
    if (code != 0) {
        store->env = NULL;
        return fail(store, code, "create", error);
    }
    code = open_environment(store, options->power_safe);
    return code == 0 ? open_database(store, error) : fail(store, code, "open", error);
}

static void end_read(lmdb *store)
{
    if (store->reader != NULL) {
        mdb_txn_abort(store->reader);
        store->reader = NULL;
    }
}

static MDB_val text_value(const char *text)
{
    return (MDB_val){strlen(text), (void *)(uintptr_t)text};
}

static cf_status lmdb_get(void *self, const char *key, const void **value_out, size_t *size_out, cf_error *error)
{
    lmdb *store = self;
    end_read(store);
    CFI_TRY(cfi_store_check(key, 0, error));
    int code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reader);
    if (code != 0) {
        store->reader = NULL;
        return fail(store, code, "begin", error);
    }
    MDB_val name = text_value(key), value;
    code = mdb_get(store->reader, store->database, &name, &value);
    if (code != 0) {
        end_read(store);
        return code == MDB_NOTFOUND ? cfi_fail(error, CF_E_NOT_FOUND, "%s: not in the store", key)
                                    : fail(store, code, key, error);
    }
    *value_out = value.mv_data;
    *size_out = value.mv_size;
    return CF_OK;
}

typedef struct change {
    const char *key;
    const MDB_val *expected; /* NULL: absent */
    const MDB_val *value;    /* NULL: remove whatever is there */
    int room;                /* of check_room */
} change;

/* The code of LMDB; MDB_KEYEXIST when something else than expected is there. */
static int change_in(MDB_txn *txn, MDB_dbi database, const change *wanted)
{
    MDB_val name = text_value(wanted->key), old;
    if (wanted->value == NULL) {
        const int code = mdb_del(txn, database, &name, NULL);
        return code == MDB_NOTFOUND ? 0 : code;
    }
    const int code = mdb_get(txn, database, &name, &old);
    if (code != 0 && code != MDB_NOTFOUND) {
        return code;
    }
    const bool absent = code == MDB_NOTFOUND;
    const MDB_val *expected = wanted->expected;
    if (absent != (expected == NULL)) {
        return MDB_KEYEXIST;
    }
    if (!absent && (old.mv_size != expected->mv_size ||
                    (old.mv_size > 0 && memcmp(old.mv_data, expected->mv_data, old.mv_size) != 0))) {
        return MDB_KEYEXIST;
    }
    if (wanted->room != 0) {
        return wanted->room; /* not earlier: a full store still says what it holds already */
    }
    MDB_val value = *wanted->value;
    return mdb_put(txn, database, &name, &value, 0);
}

/* LMDB's own list of free pages is database 0: by transaction, each record an array led by its length. */
static int count_free(MDB_txn *txn, size_t *pages_out)
{
    MDB_cursor *cursor;
    MDB_val transaction, pages;
    int code = mdb_cursor_open(txn, 0, &cursor);
    if (code != 0) {
        return code;
    }
    *pages_out = 0;
    while ((code = mdb_cursor_get(cursor, &transaction, &pages, MDB_NEXT)) == 0) {
        *pages_out += *(const size_t *)pages.mv_data;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

/* MDB_MAP_FULL when a new value of this size would take more than the store's size. Pages that were freed are counted
 * only when the file has grown to its limit. */
static int check_room(lmdb *store, size_t size)
{
    enum { TREE_PAGES = 4 };
    size_t used, free_pages;
    const size_t needed = size + TREE_PAGES * store->page_size;
    int code = measure(store, &used);
    if (code != 0 || used + needed <= store->size_max) {
        return code;
    }
    MDB_txn *txn;
    code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (code != 0) {
        return code;
    }
    code = count_free(txn, &free_pages);
    mdb_txn_abort(txn);
    if (code != 0) {
        return code;
    }
    return used + needed <= store->size_max + free_pages * store->page_size ? 0 : MDB_MAP_FULL;
}

/* A commit that changes nothing: what the commit before it has freed may be used from now on. */
static int let_pages_go(lmdb *store)
{
    char scratch[SCRATCH_KEY_SIZE] = {0};
    MDB_val name = {sizeof scratch, scratch}, value = {0, scratch};
    MDB_txn *txn;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != 0) {
        return code;
    }
    code = mdb_put(txn, store->database, &name, &value, 0);
    if (code == 0) {
        code = mdb_del(txn, store->database, &name, NULL);
    }
    if (code != 0) {
        mdb_txn_abort(txn);
        return code;
    }
    return mdb_txn_commit(txn);
}

static int commit_once(lmdb *store, const change *wanted)
{
    MDB_txn *txn;
    const int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != 0) {
        return code;
    }
    const int changed = change_in(txn, store->database, wanted);
    if (changed != 0) {
        mdb_txn_abort(txn);
        return changed;
    }
    return mdb_txn_commit(txn);
}

static int commit_change(lmdb *store, const change *wanted)
{
    int code = commit_once(store, wanted);
    if (code == MDB_MAP_FULL) {
        code = let_pages_go(store);
        code = code == 0 ? commit_once(store, wanted) : code;
    }
    return code;
}

static cf_status lmdb_cas(void *self, const char *key, const void *expected, size_t expected_size, const void *value,
                          size_t size, cf_error *error)
{
    lmdb *store = self;
    end_read(store);
    CFI_TRY(cfi_store_check(key, size, error));
    const MDB_val old = {expected_size, (void *)(uintptr_t)expected}, new = {size, (void *)(uintptr_t)value};
    const bool is_small = expected != NULL && size <= SMALL_VALUE;
    const int room = is_small ? 0 : check_room(store, size);
    const int code = commit_change(store, &(change){key, expected != NULL ? &old : NULL, &new, room});
    return code == 0              ? CF_OK
           : code == MDB_KEYEXIST ? cfi_fail(error, CF_E_EXISTS, "%s: the store holds something else", key)
                                  : fail(store, code, key, error);
}

static cf_status lmdb_put(void *self, const char *key, const void *value, size_t size, cf_error *error)
{
    const cf_status status = lmdb_cas(self, key, NULL, 0, value, size, error);
    if (status != CF_E_EXISTS) {
        return status;
    }
    const void *old;
    size_t old_size;
    CFI_TRY(lmdb_get(self, key, &old, &old_size, error));
    return old_size == size && (size == 0 || memcmp(old, value, size) == 0)
               ? CF_OK
               : cfi_fail(error, CF_E_EXISTS, "%s: in the store with other bytes", key);
}

static cf_status lmdb_remove(void *self, const char *key, cf_error *error)
{
    lmdb *store = self;
    end_read(store);
    CFI_TRY(cfi_store_check(key, 0, error));
    const int code = commit_change(store, &(change){key, NULL, NULL, 0});
    return code == 0 ? CF_OK : fail(store, code, key, error);
}

static int walk(lmdb *store, const char *prefix, bool (*each)(void *user, const char *key, size_t value_size),
                void *user)
{
    const size_t length = strlen(prefix);
    MDB_cursor *cursor;
    int code = mdb_cursor_open(store->reader, store->database, &cursor);
    if (code != 0) {
        return code;
    }
    MDB_val name = text_value(prefix), value;
    code = mdb_cursor_get(cursor, &name, &value, length > 0 ? MDB_SET_RANGE : MDB_FIRST);
    while (code == 0 && name.mv_size >= length && memcmp(name.mv_data, prefix, length) == 0) {
        char key[CFI_STORE_KEY_SIZE_MAX] = {0};
        if (name.mv_size >= sizeof key) {
            code = MDB_CORRUPTED;
            break;
        }
        memcpy(key, name.mv_data, name.mv_size);
        if (!each(user, key, value.mv_size)) {
            break;
        }
        code = mdb_cursor_get(cursor, &name, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

static cf_status lmdb_list(void *self, const char *prefix, bool (*each)(void *user, const char *key, size_t value_size),
                           void *user, cf_error *error)
{
    lmdb *store = self;
    end_read(store);
    if (strnlen(prefix, CFI_STORE_KEY_SIZE_MAX) == CFI_STORE_KEY_SIZE_MAX) {
        return CF_OK; /* longer than any key */
    }
    int code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reader);
    if (code != 0) {
        store->reader = NULL;
        return fail(store, code, "begin", error);
    }
    code = walk(store, prefix, each, user);
    end_read(store);
    return code == 0 ? CF_OK : fail(store, code, "list", error);
}

static void lmdb_close(void *self)
{
    lmdb *store = self;
    end_read(store);
    if (store->env != NULL) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
    if (store->lock != 0) {
        (void)close(store->lock - 1);
        store->lock = 0;
    }
}

const cfi_store_ops cfi_store_lmdb = {
    .abi = CFI_STORE_ABI, .size = sizeof(lmdb), .name = "lmdb", .open = lmdb_open, .get = lmdb_get, .put = lmdb_put,
    .cas = lmdb_cas, .remove = lmdb_remove, .list = lmdb_list, .close = lmdb_close,
};
