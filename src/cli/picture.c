#include <math.h>
#include <string.h>

#include "cli/cli.h"

#define GAP 2           /* columns between two pictures */
#define GREY_FIRST 232  /* the 24 grey levels of the 256 colours */
#define GREY_COUNT 24
#define RAMP " .:-=+*#%@"

typedef struct pixel {
    int red, green, blue;
} pixel;

static int level(float value)
{
    return value <= 0.0f || isnan(value) ? 0 : value >= 255.0f ? 255 : (int)(value + 0.5f);
}

/* Below the last row everything is dark, so that an odd height has a whole last line. */
static pixel pixel_at(const int64_t shape[3], const float *pixels, int64_t row, int64_t column)
{
    if (row >= shape[1]) {
        return (pixel){0, 0, 0};
    }
    const int64_t at = row * shape[2] + column, plane = shape[1] * shape[2];
    const int first = level(pixels[at]);
    if (shape[0] < 3) {
        return (pixel){first, first, first};
    }
    return (pixel){first, level(pixels[at + plane]), level(pixels[at + 2 * plane])};
}

static int grey_of(pixel colour)
{
    return (299 * colour.red + 587 * colour.green + 114 * colour.blue) / 1000;
}

/* One character: two pixels, the upper one as the colour of the half block, the lower one as its background. */
static void put_block(const cli_terminal *terminal, pixel upper, pixel lower)
{
    if (terminal->truecolour) {
        fprintf(terminal->stream, "\x1b[38;2;%d;%d;%dm\x1b[48;2;%d;%d;%dm\u2580", upper.red, upper.green, upper.blue,
                lower.red, lower.green, lower.blue);
    } else {
        fprintf(terminal->stream, "\x1b[38;5;%dm\x1b[48;5;%dm\u2580", GREY_FIRST + grey_of(upper) * GREY_COUNT / 256,
                GREY_FIRST + grey_of(lower) * GREY_COUNT / 256);
    }
}

static void put_ramp(const cli_terminal *terminal, pixel upper, pixel lower)
{
    const int grey = (grey_of(upper) + grey_of(lower)) / 2;
    fputc(RAMP[grey * (int)(sizeof RAMP - 1) / 256], terminal->stream);
}

static void print_line(const cli_terminal *terminal, const int64_t shape[3], const float *const *pixels, int count,
                       int64_t row)
{
    const bool blocks = terminal->colour && terminal->utf8;
    for (int i = 0; i < count; i++) {
        for (int64_t column = 0; column < shape[2]; column++) {
            const pixel upper = pixel_at(shape, pixels[i], row, column);
            const pixel lower = pixel_at(shape, pixels[i], row + 1, column);
            if (blocks) {
                put_block(terminal, upper, lower);
            } else {
                put_ramp(terminal, upper, lower);
            }
        }
        fputs(blocks ? "\x1b[0m" : "", terminal->stream);
        fprintf(terminal->stream, "%*s", i + 1 < count ? GAP : 0, "");
    }
    fputc('\n', terminal->stream);
}

void cli_pictures_print(const cli_terminal *terminal, const int64_t shape[3], const float *const *pixels,
                        const char *const *labels, int count)
{
    const int width = (int)shape[2];
    int across = (terminal->width + GAP) / (width + GAP);
    across = across < 1 ? 1 : across;
    for (int first = 0; first < count; first += across) {
        const int here = count - first < across ? count - first : across;
        for (int64_t row = 0; row < shape[1]; row += 2) {
            print_line(terminal, shape, pixels + first, here, row);
        }
        for (int i = 0; i < here; i++) {
            const int pad = width - cli_text_width(labels[first + i]);
            fprintf(terminal->stream, "%s%*s", labels[first + i], i + 1 < here ? (pad > 0 ? pad : 0) + GAP : 0, "");
        }
        fputs("\n\n", terminal->stream);
    }
}
