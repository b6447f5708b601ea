/* The server: fencing first, then one operation of the back end. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/planted.h"
#include "store/request.h"

#define LEASE_PREFIX "lease/"
enum {
    LEASE_SIZE = 4,
    LEASE_TRIES = 8,
    REMOVE_BATCH = 64
};
/* What a reply has room for besides its value. */
#define LIST_MAX (CFI_FRAME_PAYLOAD_MAX - 2 * CFI_STORE_KEY_SIZE_MAX)

/* ---- Leases ---- */

static uint32_t load_lease(const unsigned char bytes[LEASE_SIZE])
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void store_lease(unsigned char bytes[LEASE_SIZE], uint32_t incarnation)
{
    for (int i = 0; i < LEASE_SIZE; i++) {
        bytes[i] = (unsigned char)(incarnation >> (8 * i));
    }
}

static void lease_key(const cfi_frame *request, char key[CFI_STORE_KEY_SIZE_MAX])
{
    (void)snprintf(key, CFI_STORE_KEY_SIZE_MAX, LEASE_PREFIX "%" PRIu32 ".%" PRIu32, request->header.plan,
                   request->header.source_unit);
}

static cfi_store_lease *cached_lease(cfi_store_server *server, const cfi_frame *request)
{
    return &server->leases[(request->header.plan * 31u + request->header.source_unit) % CFI_STORE_LEASE_CACHE];
}

/* Reads the lease of the asking unit from the back end; 0 when there is none. */
static cf_status read_lease(cfi_store_server *server, const cfi_frame *request, uint32_t *incarnation_out,
                            cf_error *error)
{
    char key[CFI_STORE_KEY_SIZE_MAX];
    lease_key(request, key);
    const void *bytes;
    size_t size;
    const cf_status status = server->store.ops->get(server->store.self, key, &bytes, &size, error);
    if (status == CF_E_NOT_FOUND) {
        *incarnation_out = 0;
        return CF_OK;
    }
    if (status == CF_OK && size != LEASE_SIZE) {
        return cfi_fail(error, CF_E_DATA, "%s: a lease of %zu bytes", key, size);
    }
    if (status == CF_OK) {
        *incarnation_out = load_lease(bytes);
    }
    return status;
}

/* The same from the cache when it is there. */
static cf_status known_lease(cfi_store_server *server, const cfi_frame *request, uint32_t *incarnation_out,
                             cf_error *error)
{
    cfi_store_lease *cached = cached_lease(server, request);
    if (cached->incarnation == 0 || cached->plan != request->header.plan ||
        cached->unit != request->header.source_unit) {
        uint32_t incarnation;
        CFI_TRY(read_lease(server, request, &incarnation, error));
        *cached = (cfi_store_lease){request->header.plan, request->header.source_unit, incarnation};
    }
    *incarnation_out = cached->incarnation;
    return CF_OK;
}

static cf_status take_lease(cfi_store_server *server, const cfi_frame *request, uint64_t floor,
                            unsigned char lease[LEASE_SIZE], cf_error *error)
{
    char key[CFI_STORE_KEY_SIZE_MAX];
    lease_key(request, key);
    for (int i = 0; i < LEASE_TRIES; i++) {
        uint32_t last;
        CFI_TRY(read_lease(server, request, &last, error));
        const uint64_t above = floor > last ? floor : last;
        if (above >= UINT32_MAX) {
            return cfi_fail(error, CF_E_LIMIT, "%s: no incarnation above %" PRIu64, key, above);
        }
        unsigned char old[LEASE_SIZE];
        store_lease(old, last);
        store_lease(lease, (uint32_t)above + 1);
        /* Forgotten before it is written: a write that fails may still have happened. */
        *cached_lease(server, request) = (cfi_store_lease){0};
        const cf_status status = server->store.ops->cas(server->store.self, key, last != 0 ? old : NULL,
                                                        last != 0 ? LEASE_SIZE : 0, lease, LEASE_SIZE, error);
        if (status != CF_E_EXISTS) {
            return status;
        }
    }
    return cfi_fail(error, CF_E_IO, "%s: changed by somebody else all the time", key);
}

/* ---- Removing and listing ---- */

typedef struct old_keys {
    uint64_t limit;
    int count;
    char keys[REMOVE_BATCH][CFI_STORE_KEY_SIZE_MAX];
} old_keys;

/* Whether the last path element of `key` is a decimal number below `limit`. */
static bool is_below(const char *key, uint64_t limit)
{
    const char *slash = strrchr(key, '/');
    const char *digit = slash != NULL ? slash + 1 : key;
    if (*digit == '\0') {
        return false;
    }
    uint64_t number = 0;
    for (; *digit != '\0'; digit++) {
        const unsigned value = (unsigned)(*digit - '0');
        if (value > 9 || number > (UINT64_MAX - value) / 10) {
            return false;
        }
        number = number * 10 + value;
    }
    return number < limit;
}

static bool collect_old(void *user, const char *key, size_t value_size)
{
    (void)value_size;
    old_keys *old = user;
    if (is_below(key, old->limit)) {
        (void)snprintf(old->keys[old->count++], CFI_STORE_KEY_SIZE_MAX, "%s", key);
    }
    return old->count < REMOVE_BATCH;
}

static cf_status remove_below(const cfi_store *store, const char *prefix, uint64_t limit, cf_error *error)
{
    old_keys old;
    do {
        old.limit = limit;
        old.count = 0;
        CFI_TRY(store->ops->list(store->self, prefix, collect_old, &old, error));
        for (int i = 0; i < old.count; i++) {
            CFI_TRY(store->ops->remove(store->self, old.keys[i], error));
        }
    } while (old.count == REMOVE_BATCH);
    return CF_OK;
}

typedef struct listing {
    char *text; /* NULL: counting */
    size_t size;
} listing;

static bool add_key(void *user, const char *key, size_t value_size)
{
    (void)value_size;
    listing *list = user;
    const size_t length = strlen(key);
    if (list->text != NULL) {
        memcpy(list->text + list->size, key, length);
        list->text[list->size + length] = '\n';
    }
    list->size += length + 1;
    return true;
}

static cf_status list_keys(const cfi_store *store, const char *prefix, listing *list, cf_error *error)
{
    CFI_TRY(store->ops->list(store->self, prefix, add_key, list, error));
    if (list->size > LIST_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "%s: too many keys to list at once; give a longer prefix", prefix);
    }
    list->text = cfi_calloc(list->size, 1);
    if (list->text == NULL) {
        return cfi_fail_memory(error, "a list of keys");
    }
    list->size = 0;
    return store->ops->list(store->self, prefix, add_key, list, error);
}

/* ---- Answering ---- */

/* What an answer needs besides the reply itself. */
typedef struct answer {
    cfi_store_reply reply;
    unsigned char lease[LEASE_SIZE];
    listing list;
} answer;

static bool changes(cfi_store_request_kind kind)
{
    return kind == CFI_STORE_PUT || kind == CFI_STORE_CAS || kind == CFI_STORE_REMOVE_BELOW;
}

/* After a cas that met something else: what is there, or nothing. */
static cf_status read_conflict(const cfi_store *store, const cfi_store_request *request, answer *made, cf_error *error)
{
    cfi_store_reply *reply = &made->reply;
    reply->outcome = CFI_STORE_CONFLICT;
    const cf_status status = store->ops->get(store->self, request->key, &reply->value, &reply->value_size, error);
    return status == CF_E_NOT_FOUND ? CF_OK : status;
}

static cf_status perform(cfi_store_server *server, const cfi_frame *frame, const cfi_store_request *request,
                         answer *made, cf_error *error)
{
    const cfi_store *store = &server->store;
    cfi_store_reply *reply = &made->reply;
    cf_status status = CF_OK;
    switch (request->kind) {
    case CFI_STORE_GET:
        status = store->ops->get(store->self, request->key, &reply->value, &reply->value_size, error);
        reply->outcome = status == CF_E_NOT_FOUND ? CFI_STORE_ABSENT : CFI_STORE_DONE;
        return status == CF_E_NOT_FOUND ? CF_OK : status;
    case CFI_STORE_PUT:
        status = store->ops->put(store->self, request->key, request->value, request->value_size, error);
        reply->outcome = status == CF_E_EXISTS ? CFI_STORE_DIVERGED : CFI_STORE_DONE;
        return status == CF_E_EXISTS ? CF_OK : status;
    case CFI_STORE_CAS:
        if (request->number != 0 && request->number != server->generation) {
            return read_conflict(store, request, made, error);
        }
        status = store->ops->cas(store->self, request->key, request->expected, request->expected_size, request->value,
                                 request->value_size, error);
        return status == CF_E_EXISTS ? read_conflict(store, request, made, error) : status;
    case CFI_STORE_LEASE:
        reply->value = made->lease;
        reply->value_size = LEASE_SIZE;
        return take_lease(server, frame, request->number, made->lease, error);
    case CFI_STORE_REMOVE_BELOW:
        return remove_below(store, request->key, request->number, error);
    case CFI_STORE_LIST:
        CFI_TRY(list_keys(store, request->key, &made->list, error));
        reply->value = made->list.text;
        reply->value_size = made->list.size;
        return CF_OK;
    case CFI_STORE_KIND_COUNT:
        break;
    }
    return cfi_fail(error, CF_E_DATA, "store request: unknown kind");
}

/* Refuses what an earlier incarnation wants to change, and any change to a lease but by taking it. */
static cf_status fenced(cfi_store_server *server, const cfi_frame *frame, const cfi_store_request *request,
                        answer *made, cf_error *error)
{
    if (changes(request->kind)) {
        uint32_t lease;
        CFI_TRY(known_lease(server, frame, &lease, error));
        if (frame->header.source_incarnation < lease && !CFI_PLANTED(20)) { /* 20: no fence */
            made->reply.outcome = CFI_STORE_STALE;
            return CF_OK;
        }
        if (strncmp(request->key, LEASE_PREFIX, sizeof LEASE_PREFIX - 1) == 0) {
            return cfi_fail(error, CF_E_USAGE, "%s: a lease is changed by taking it only", request->key);
        }
    }
    return perform(server, frame, request, made, error);
}

cf_status cfi_store_server_answer(cfi_store_server *server, const cfi_frame *frame, cfi_frame **reply_out,
                                  cf_error *error)
{
    cfi_store_request request;
    CFI_TRY(cfi_store_request_read(frame, &request, error));
    server->requests++;
    answer made = {.reply = {.kind = request.kind, .outcome = CFI_STORE_DONE, .generation = server->generation,
                             .key = request.key}};
    cf_error failure = {0};
    const cf_status status = fenced(server, frame, &request, &made, &failure);
    if (status != CF_OK) {
        made.reply.outcome = status == CF_E_LIMIT ? CFI_STORE_FULL : CFI_STORE_FAILED;
        made.reply.value = failure.text;
        made.reply.value_size = strlen(failure.text);
    }
    server->stale += made.reply.outcome == CFI_STORE_STALE;
    server->diverged += made.reply.outcome == CFI_STORE_DIVERGED;
    server->failed += made.reply.outcome == CFI_STORE_FULL || made.reply.outcome == CFI_STORE_FAILED;
    const cf_status sent = cfi_store_reply_frame(frame, server->unit, &made.reply, reply_out, error);
    cfi_free(made.list.text);
    return sent;
}
