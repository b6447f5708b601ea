/* The answering side of the control socket, on a libuv loop (nodes). */
#ifndef CFI_NODE_CONTROL_SERVER_H
#define CFI_NODE_CONTROL_SERVER_H

#include <uv.h>

#include "node/control_line.h"

#define CFI_CONTROL_CONNECTIONS_MAX 16
#define CFI_CONTROL_PATIENCE_MS 10000 /* a connection that is not done by then is closed */

/* One request: of which connection, and what. */
typedef struct cfi_control_request {
    uint64_t connection;          /* a number that no other connection of this server has or had */
    const cfi_control_line *line;
    const char *body;             /* of line->body_size bytes and a NUL; at any address, so copy what needs alignment */
    bool *is_later;               /* set to true: cfi_control_server_answer follows */
} cfi_control_request;

/* Answers at once: *answer_out (cfi_free) of *size_out bytes, or a failure, whose text is the answer. */
typedef cf_status (*cfi_control_handler)(void *user, const cfi_control_request *request, char **answer_out,
                                         size_t *size_out, cf_error *error);

typedef struct cfi_control_server cfi_control_server;

/* Binds `path` (mode 0600, a stale socket there is replaced). CF_E_IO, CF_E_LIMIT, CF_E_MEMORY. */
cf_status cfi_control_server_open(uv_loop_t *loop, const char *path, cfi_control_handler handler, void *user,
                                  cfi_control_server **server_out, cf_error *error) __attribute__((warn_unused_result));
/* The answer to a request that was to be answered later: takes `bytes` (cfi_free), the client gone or not. */
void cfi_control_server_answer(cfi_control_server *server, uint64_t connection, char *bytes, size_t size);
/* Answers 0 bytes to all requests that wait for an answer. */
void cfi_control_server_answer_all(cfi_control_server *server);

/* Closes all connections and removes the socket. The loop must run once more until its handles are closed, which frees
 * the server. NULL is fine. */
void cfi_control_server_close(cfi_control_server *server);

#endif
