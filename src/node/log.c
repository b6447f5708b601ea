/* A node's log: one line each on stderr. Lines that come again and again are counted instead (a store that is full says
 * so to every write), and a file that has grown large becomes NAME.log.1, so that neither a bad day nor a long life
 * fills a disk. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/host.h"
#include "node/supervise.h"

enum { FLUSH_TICKS = 10000 / CFI_TICK_MS };

static void write_line(const cfi_node_host *host, const char *text, uint64_t repeats)
{
    char line[CFI_HOST_LINE_SIZE + CFI_CONTAINER_NAME_SIZE + 48];
    struct stat about;
    int length = snprintf(line, sizeof line, "%s: %s", host->options.container, text);
    if (repeats > 0) {
        length += snprintf(line + length, sizeof line - (size_t)length, " (repeated %llu times)",
                           (unsigned long long)repeats);
    }
    line[length++] = '\n';
    if (host->options.handles_signals && fstat(STDERR_FILENO, &about) == 0 && S_ISREG(about.st_mode) &&
        about.st_size > CFI_CHILD_LOG_SIZE_MAX) {
        (void)cfi_child_open_log(host->options.container); /* else into the old one: better than nowhere */
    }
    if (write(STDERR_FILENO, line, (size_t)length) < 0) {
        return; /* there is nobody to tell */
    }
}

static void flush(const cfi_node_host *host, cfi_host_line *line)
{
    if (line->repeats > 0) {
        write_line(host, line->text, line->repeats);
    }
    line->repeats = 0;
}

void cfi_host_log(cfi_node_host *host, const char *format, ...)
{
    char text[CFI_HOST_LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *byte = text; *byte != '\0'; byte++) {
        *byte = *byte == '\n' || *byte == '\r' ? ' ' : *byte;
    }
    for (int i = 0; i < CFI_HOST_LINES_KEPT; i++) {
        if (strcmp(host->lines[i].text, text) == 0) {
            host->lines[i].repeats++;
            return;
        }
    }
    cfi_host_line *oldest = &host->lines[host->next_line];
    host->next_line = (host->next_line + 1) % CFI_HOST_LINES_KEPT;
    flush(host, oldest);
    memcpy(oldest->text, text, sizeof text);
    write_line(host, text, 0);
}

void cfi_host_log_flush(cfi_node_host *host)
{
    for (int i = 0; i < CFI_HOST_LINES_KEPT; i++) {
        flush(host, &host->lines[i]);
    }
}

void cfi_host_log_tick(cfi_node_host *host)
{
    if (++host->log_ticks >= FLUSH_TICKS) {
        host->log_ticks = 0;
        cfi_host_log_flush(host);
    }
}
