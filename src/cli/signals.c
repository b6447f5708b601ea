#include <signal.h>
#include <stddef.h>

#include "cli/cli.h"

static volatile sig_atomic_t caught; /* a signal handler has no other way to speak */

static void on_signal(int number)
{
    caught = number;
}

void cli_signals_catch(void)
{
    /* SA_RESETHAND: the second signal does what it always did, at once. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int cli_signal_caught(void)
{
    return (int)caught;
}
