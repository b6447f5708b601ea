#include "node/control_server.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "node/control.h"

typedef struct connection {
    uv_pipe_t pipe;
    uv_timer_t patience;
    uv_write_t write;
    cfi_control_server *server;
    uint64_t number;
    bool is_later;          /* the request is whole, and its answer is to come */
    bool is_answered;
    int open_handles;
    char *bytes;            /* what has come so far */
    size_t size, capacity;
    cfi_control_line line;
    size_t line_size;       /* 0: not read yet */
    char head[32];
    char *answer;
} connection;

struct cfi_control_server {
    uv_pipe_t pipe;
    cfi_control_handler handler;
    void *user;
    bool is_closing;
    bool is_full;           /* someone waits for a place */
    int open_handles;       /* the listening pipe, and each connection in use */
    uint64_t last_number;
    connection *connections[CFI_CONTROL_CONNECTIONS_MAX];
};

static void release_server(cfi_control_server *server)
{
    if (--server->open_handles == 0 && server->is_closing) {
        cfi_free(server);
    }
}

static void someone_connects(uv_stream_t *listener, int status);

static void connection_handle_closed(uv_handle_t *handle)
{
    connection *one = handle->data;
    if (--one->open_handles > 0) {
        return;
    }
    cfi_control_server *server = one->server;
    for (int i = 0; i < CFI_CONTROL_CONNECTIONS_MAX; i++) {
        if (server->connections[i] == one) {
            server->connections[i] = NULL;
        }
    }
    cfi_free(one->bytes);
    cfi_free(one->answer);
    cfi_free(one);
    if (server->is_full && !server->is_closing) {
        server->is_full = false;
        someone_connects((uv_stream_t *)&server->pipe, 0);
    }
    release_server(server);
}

static void close_connection(connection *one)
{
    if (!uv_is_closing((uv_handle_t *)&one->pipe)) {
        uv_close((uv_handle_t *)&one->pipe, connection_handle_closed);
        uv_close((uv_handle_t *)&one->patience, connection_handle_closed);
    }
}

static void patience_ends(uv_timer_t *timer)
{
    close_connection(timer->data);
}

static void answer_written(uv_write_t *write, int status)
{
    (void)status;
    close_connection(write->data);
}

static void answer(connection *one, bool is_ok, size_t size)
{
    const int length = snprintf(one->head, sizeof one->head, "%s %zu\n", is_ok ? "ok" : "error", size);
    const uv_buf_t parts[2] = {uv_buf_init(one->head, (unsigned)length), uv_buf_init(one->answer, (unsigned)size)};
    one->is_later = false;
    one->is_answered = true;
    one->write.data = one;
    uv_read_stop((uv_stream_t *)&one->pipe);
    if (uv_write(&one->write, (uv_stream_t *)&one->pipe, parts, size > 0 ? 2 : 1, answer_written) != 0) {
        close_connection(one);
    }
}

static void answer_error(connection *one, const cf_error *error)
{
    cfi_free(one->answer);
    one->answer = cfi_strdup(error->text);
    answer(one, false, one->answer != NULL ? strlen(one->answer) : 0);
}

static void handle_request(connection *one)
{
    cf_error error = {0};
    size_t size = 0;
    const cfi_control_request request = {.connection = one->number, .line = &one->line,
                                         .body = one->bytes + one->line_size, .is_later = &one->is_later};
    const cf_status status = one->server->handler(one->server->user, &request, &one->answer, &size, &error);
    if (one->is_answered) {
        return; /* later was now */
    }
    if (status == CF_OK && one->is_later) {
        cfi_free(one->bytes); /* a waiting one holds no more than it must */
        one->bytes = NULL;
        one->size = one->capacity = 0;
    } else if (status == CF_OK && size <= CFI_CONTROL_BODY_MAX) {
        answer(one, true, size);
    } else {
        if (status == CF_OK) {
            cfi_fail(&error, CF_E_LIMIT, "the answer has %zu bytes, more than %zu", size, CFI_CONTROL_BODY_MAX);
        }
        answer_error(one, &error);
    }
}

/* Room for what is known to come, and one byte for the body's NUL. */
static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    connection *one = handle->data;
    (void)suggested;
    if (one->is_later) {
        static char surplus[1]; /* whatever comes now, the end above all, says that nobody waits any more */
        *buffer = uv_buf_init(surplus, sizeof surplus);
        return;
    }
    const size_t wanted = one->line_size > 0 ? one->line_size + one->line.body_size : CFI_CONTROL_LINE_MAX;
    if (wanted + 1 > one->capacity) {
        char *bytes = cfi_realloc(one->bytes, wanted + 1, 1);
        if (bytes == NULL) {
            *buffer = uv_buf_init(NULL, 0); /* read with UV_ENOBUFS, which closes */
            return;
        }
        one->bytes = bytes;
        one->capacity = wanted + 1;
    }
    *buffer = uv_buf_init(one->bytes + one->size, (unsigned)(one->capacity - 1 - one->size));
}

static void bytes_came(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    connection *one = stream->data;
    cf_error error = {0};
    (void)buffer;
    if (count < 0 || (count > 0 && one->is_later)) {
        close_connection(one);
        return;
    }
    if (count == 0) {
        return;
    }
    one->size += (size_t)count;
    if (one->line_size == 0 &&
        cfi_control_line_read(one->bytes, one->size, &one->line, &one->line_size, &error) != CF_OK) {
        answer_error(one, &error);
        return;
    }
    if (one->line_size > 0 && one->size >= one->line_size + one->line.body_size) {
        one->bytes[one->line_size + one->line.body_size] = '\0';
        handle_request(one);
    }
}

static int find_free(const cfi_control_server *server)
{
    for (int i = 0; i < CFI_CONTROL_CONNECTIONS_MAX; i++) {
        if (server->connections[i] == NULL) {
            return i;
        }
    }
    return -1;
}

static void someone_connects(uv_stream_t *listener, int status)
{
    cfi_control_server *server = listener->data;
    const int place = find_free(server);
    connection *one = status == 0 && place >= 0 ? cfi_calloc(1, sizeof *one) : NULL;
    if (one == NULL) {
        server->is_full = true; /* libuv keeps the one who waits, and takes no more, until uv_accept */
        return;
    }
    one->server = server;
    one->number = ++server->last_number;
    one->pipe.data = one->patience.data = one;
    one->open_handles = 2;
    uv_pipe_init(listener->loop, &one->pipe, 0);
    uv_timer_init(listener->loop, &one->patience);
    server->connections[place] = one;
    server->open_handles++;
    if (uv_accept(listener, (uv_stream_t *)&one->pipe) != 0 ||
        uv_timer_start(&one->patience, patience_ends, CFI_CONTROL_PATIENCE_MS, 0) != 0 ||
        uv_read_start((uv_stream_t *)&one->pipe, give_room, bytes_came) != 0) {
        close_connection(one);
    }
}

static void listener_closed(uv_handle_t *handle)
{
    release_server(handle->data);
}

cf_status cfi_control_server_open(uv_loop_t *loop, const char *path, cfi_control_handler handler, void *user,
                                  cfi_control_server **server_out, cf_error *error)
{
    struct sockaddr_un address;
    CFI_TRY(cfi_control_address(path, &address, error));
    cfi_control_server *server = cfi_calloc(1, sizeof *server);
    if (server == NULL) {
        return cfi_fail_memory(error, "the control socket");
    }
    server->handler = handler;
    server->user = user;
    server->open_handles = 1;
    int code = uv_pipe_init(loop, &server->pipe, 0);
    server->pipe.data = server;
    unlink(path);
    const mode_t mask = umask(0177);
    code = code == 0 ? uv_pipe_bind(&server->pipe, path) : code;
    umask(mask);
    code = code == 0 ? uv_listen((uv_stream_t *)&server->pipe, CFI_CONTROL_CONNECTIONS_MAX, someone_connects) : code;
    if (code != 0) {
        cfi_control_server_close(server);
        return cfi_fail(error, CF_E_IO, "%s: %s", path, uv_strerror(code));
    }
    *server_out = server;
    return CF_OK;
}

/* Closing ones are not there any more. */
static connection *find_waiting(const cfi_control_server *server, uint64_t number)
{
    for (int i = 0; i < CFI_CONTROL_CONNECTIONS_MAX; i++) {
        connection *one = server->connections[i];
        if (one != NULL && one->number == number && one->is_later && !uv_is_closing((uv_handle_t *)&one->pipe)) {
            return one;
        }
    }
    return NULL;
}

void cfi_control_server_answer(cfi_control_server *server, uint64_t number, char *bytes, size_t size)
{
    connection *one = find_waiting(server, number);
    if (one == NULL) {
        cfi_free(bytes);
        return;
    }
    one->answer = bytes;
    answer(one, true, size);
}

void cfi_control_server_answer_all(cfi_control_server *server)
{
    for (int i = 0; i < CFI_CONTROL_CONNECTIONS_MAX; i++) {
        const connection *one = server->connections[i];
        if (one != NULL && one->is_later) {
            cfi_control_server_answer(server, one->number, NULL, 0);
        }
    }
}

void cfi_control_server_close(cfi_control_server *server)
{
    if (server == NULL || server->is_closing) {
        return;
    }
    server->is_closing = true;
    for (int i = 0; i < CFI_CONTROL_CONNECTIONS_MAX; i++) {
        if (server->connections[i] != NULL) {
            close_connection(server->connections[i]);
        }
    }
    uv_close((uv_handle_t *)&server->pipe, listener_closed); /* also unlinks the socket */
}
