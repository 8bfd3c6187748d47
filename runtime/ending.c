/* ending.c: see ending.h. */
#include "runtime/ending.h"
#include "runtime/base.h"
#include <signal.h>
#include <stdlib.h>

enum { MOST = 8 };

/* In the order in which they first came. */
static struct {
    void (*volatile fn)(void);
    volatile bool on;
} task[MOST];

void lg_ending(void) {
    for (int k = 0; k < MOST && task[k].fn; k++)
        if (task[k].on)
            task[k].fn();
}

static void on_end(int sig) {
    lg_ending();
    signal(sig, SIG_DFL);
    raise(sig);
}

/* Signals that would end the process do so after all that; those that others handle stay theirs. */
static void watch(bool begin) {
    static const int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT, SIGSEGV,
                               SIGBUS, SIGFPE, SIGILL,  SIGXCPU, SIGPIPE};
    static bool at_exit;
    if (begin && !at_exit)
        at_exit = atexit(lg_ending) == 0;
    for (size_t k = 0; k < LG_COUNT(ends); k++) {
        struct sigaction now, ours = {.sa_handler = begin ? on_end : SIG_DFL};
        sigemptyset(&ours.sa_mask);
        if (sigaction(ends[k], NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
            now.sa_handler == (begin ? SIG_DFL : on_end))
            sigaction(ends[k], &ours, NULL);
    }
}

void lg_at_end(void (*fn)(void)) {
    int k = 0;
    while (k < MOST && task[k].fn && task[k].fn != fn)
        k++;
    assert(k < MOST);
    task[k].fn = fn;
    task[k].on = true;
    watch(true);
}

void lg_not_at_end(void (*fn)(void)) {
    bool any = false;
    for (int k = 0; k < MOST; k++) {
        task[k].on = task[k].on && task[k].fn != fn;
        any = any || task[k].on;
    }
    if (!any)
        watch(false);
}
