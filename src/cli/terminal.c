#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"

#define WIDTH_WITHOUT_TERMINAL 100
#define WIDTH_LEAST 40

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

cli_terminal cli_terminal_of(FILE *stream)
{
    cli_terminal terminal = {.stream = stream, .tty = isatty(fileno(stream)) == 1, .width = WIDTH_WITHOUT_TERMINAL};
    const char *kind = getenv("TERM");
    const char *colours = getenv("COLORTERM");
    if (kind != NULL && strcmp(kind, "dumb") == 0) {
        terminal.tty = false; /* it cannot redraw a line */
    }
    terminal.colour = terminal.tty && !is_set("NO_COLOR");
    terminal.truecolour = terminal.colour && colours != NULL
                          && (strcmp(colours, "truecolor") == 0 || strcmp(colours, "24bit") == 0);
    terminal.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    struct winsize size = {0};
    if (terminal.tty && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        terminal.width = size.ws_col < WIDTH_LEAST ? WIDTH_LEAST : size.ws_col;
    } else if (terminal.tty) {
        terminal.width = 80;
    }
    return terminal;
}

const char *cli_style_code(const cli_terminal *terminal, cli_style style)
{
    static const char *const codes[] = {
        [CLI_PLAIN] = "\x1b[0m", [CLI_BOLD] = "\x1b[1m", [CLI_FAINT] = "\x1b[2m", [CLI_RED] = "\x1b[1;31m",
        [CLI_GREEN] = "\x1b[32m", [CLI_YELLOW] = "\x1b[33m", [CLI_CYAN] = "\x1b[36m",
    };
    return terminal->colour ? codes[style] : "";
}

int cli_text_width(const char *text)
{
    int width = 0;
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text & 0xC0u) != 0x80u) { /* not a continuation byte */
            width++;
        }
    }
    return width;
}
