/* Training, as it is watched: on a terminal one line that is redrawn and one line kept for each epoch; elsewhere plain
 * lines, one for each epoch and one about every ten seconds in between. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"

#define SPARK_ROOM 64   /* losses kept: when full, neighbours are averaged and the distance doubles */
#define SPARK_WIDTH 16
#define BAR_WIDTH 24
#define PLAIN_LINE_SECONDS 10.0
#define LINE_SIZE 1024

struct cli_progress {
    cli_terminal terminal;
    bool quiet;
    bool line_is_open;       /* a redrawn line stands on the screen */
    double last_line_seconds;
    double losses[SPARK_ROOM];
    int loss_count;
    int64_t loss_every, loss_skipped;
};

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

cli_progress *cli_progress_new(bool quiet)
{
    cli_progress *progress = cli_calloc(1, sizeof *progress);
    progress->terminal = cli_terminal_of(stderr);
    progress->quiet = quiet;
    progress->last_line_seconds = now_seconds();
    progress->loss_every = 1;
    return progress;
}

static void keep_loss(cli_progress *progress, double loss)
{
    if (!isfinite(loss) || ++progress->loss_skipped < progress->loss_every) {
        return;
    }
    progress->loss_skipped = 0;
    if (progress->loss_count == SPARK_ROOM) {
        for (int i = 0; i < SPARK_ROOM / 2; i++) {
            progress->losses[i] = 0.5 * (progress->losses[2 * i] + progress->losses[2 * i + 1]);
        }
        progress->loss_count = SPARK_ROOM / 2;
        progress->loss_every *= 2;
    }
    progress->losses[progress->loss_count++] = loss;
}

/* The run's loss on a logarithmic scale, newest at the right. */
static void draw_spark(const cli_progress *progress, char *text, size_t size)
{
    static const char *const levels[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                         "\u2585", "\u2586", "\u2587", "\u2588"};
    text[0] = '\0';
    const int count = progress->loss_count;
    if (!progress->terminal.utf8 || count < 2) {
        return;
    }
    double least = INFINITY, most = -INFINITY;
    for (int i = 0; i < count; i++) {
        least = fmin(least, log(progress->losses[i] + 1e-9));
        most = fmax(most, log(progress->losses[i] + 1e-9));
    }
    const int width = count < SPARK_WIDTH ? count : SPARK_WIDTH;
    size_t length = 0;
    for (int i = 0; i < width; i++) {
        const double loss = progress->losses[width == 1 ? 0 : i * (count - 1) / (width - 1)];
        const double height = most > least ? (log(loss + 1e-9) - least) / (most - least) : 0.0;
        const int level = (int)(height * 7.0 + 0.5);
        length += (size_t)snprintf(text + length, size - length, "%s", levels[level < 0 ? 0 : level > 7 ? 7 : level]);
    }
}

static void draw_bar(const cli_terminal *terminal, double share, char *text, size_t size)
{
    static const char *const eighths[] = {"", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"};
    const int units = (int)(fmin(fmax(share, 0.0), 1.0) * BAR_WIDTH * 8.0);
    size_t length = 0;
    int cells = 0;
    for (; cells < units / 8; cells++) {
        length += (size_t)snprintf(text + length, size - length, "%s", terminal->utf8 ? "\u2588" : "#");
    }
    if (terminal->utf8 && units % 8 > 0) {
        length += (size_t)snprintf(text + length, size - length, "%s", eighths[units % 8]);
        cells++;
    }
    for (; cells < BAR_WIDTH; cells++) {
        length += (size_t)snprintf(text + length, size - length, "%s", terminal->utf8 ? "\u2591" : ".");
    }
}

/* Shortens UTF-8 text to `width` code points, so that a redrawn line never wraps. */
static void cut(char *text, int width)
{
    int seen = 0;
    for (char *at = text; *at != '\0'; at++) {
        if (((unsigned char)*at & 0xC0u) != 0x80u && ++seen > width) {
            *at = '\0';
            return;
        }
    }
}

static void close_line(cli_progress *progress)
{
    if (progress->line_is_open) {
        fputs("\r\x1b[K", stderr);
        progress->line_is_open = false;
    }
}

static void draw_step(cli_progress *progress, const cf_event *event)
{
    char bar[BAR_WIDTH * 4 + 1], spark[SPARK_WIDTH * 4 + 1], accuracy[CLI_NUMBER_SIZE], rate[CLI_NUMBER_SIZE];
    char left[CLI_NUMBER_SIZE], line[LINE_SIZE];
    const double share = event->step_count > 0 ? (double)event->step / (double)event->step_count : 1.0;
    draw_bar(&progress->terminal, share, bar, sizeof bar);
    draw_spark(progress, spark, sizeof spark);
    snprintf(line, sizeof line,
             "epoch %" PRId64 "/%" PRId64 " %s %3.0f%%  step %" PRId64 "/%" PRId64
             "  loss %.4f %s%s accuracy %s  %s/s  ETA %s",
             event->epoch, event->epoch_count, bar, share * 100.0, event->step, event->step_count, event->loss, spark,
             spark[0] != '\0' ? " " : "", cli_number_percent(accuracy, event->accuracy),
             cli_number_short(rate, event->samples_per_second), cli_number_seconds(left, event->seconds_left));
    cut(line, progress->terminal.width - 1);
    fprintf(stderr, "\r%s\x1b[K", line);
    fflush(stderr);
    progress->line_is_open = true;
}

static void print_step(cli_progress *progress, const cf_event *event)
{
    const double now = now_seconds();
    if (now - progress->last_line_seconds < PLAIN_LINE_SECONDS) {
        return;
    }
    progress->last_line_seconds = now;
    char accuracy[CLI_NUMBER_SIZE], rate[CLI_NUMBER_SIZE], left[CLI_NUMBER_SIZE];
    fprintf(stderr,
            "epoch %" PRId64 "/%" PRId64 "  step %" PRId64 "/%" PRId64
            "  loss %.4f  accuracy %s  %s samples/s  ETA %s\n",
            event->epoch, event->epoch_count, event->step, event->step_count, event->loss,
            cli_number_percent(accuracy, event->accuracy), cli_number_short(rate, event->samples_per_second),
            cli_number_seconds(left, event->seconds_left));
}

static void print_part(const cli_terminal *terminal, const char *name, double loss, double accuracy)
{
    char text[CLI_NUMBER_SIZE];
    if (isfinite(accuracy)) {
        fprintf(stderr, "  %s %s%s%s (%.4f)", name, cli_style_code(terminal, CLI_GREEN),
                cli_number_percent(text, accuracy), cli_style_code(terminal, CLI_PLAIN), loss);
    }
}

static void print_epoch(cli_progress *progress, const cf_event *event)
{
    const cli_terminal *terminal = &progress->terminal;
    char accuracy[CLI_NUMBER_SIZE], rate[CLI_NUMBER_SIZE];
    close_line(progress);
    const int width = snprintf(NULL, 0, "%" PRId64, event->epoch_count);
    fprintf(stderr, "%sepoch %*" PRId64 "/%" PRId64 "%s  loss %.4f  accuracy %s", cli_style_code(terminal, CLI_BOLD),
            width, event->epoch, event->epoch_count, cli_style_code(terminal, CLI_PLAIN), event->loss,
            cli_number_percent(accuracy, event->accuracy));
    print_part(terminal, "validation", event->validation_loss, event->validation_accuracy);
    print_part(terminal, "test", event->test_loss, event->test_accuracy);
    fprintf(stderr, "  %s samples/s\n", cli_number_short(rate, event->samples_per_second));
    progress->last_line_seconds = now_seconds();
}

void cli_progress_event(cli_progress *progress, const cf_event *event)
{
    if (progress->quiet) {
        return;
    }
    if (event->text != NULL && event->text[0] != '\0') {
        close_line(progress);
        fprintf(stderr, "%s\n", event->text);
    }
    if (event->kind == CF_EVENT_STEP) {
        keep_loss(progress, event->loss);
        if (progress->terminal.tty) {
            draw_step(progress, event);
        } else {
            print_step(progress, event);
        }
    } else if (event->kind == CF_EVENT_EVALUATION) {
        print_epoch(progress, event);
    }
}

void cli_progress_free(cli_progress *progress)
{
    if (progress != NULL) {
        close_line(progress);
        cli_free(progress);
    }
}
