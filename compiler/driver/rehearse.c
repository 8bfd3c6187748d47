/* rehearse.c: for `lg build`: which plans a program makes at its defaults, and their kernels
 * compiled. Whatever fails here leaves a program that runs all the same. */
#include "compiler/driver/building.h"
#include <signal.h>
#include <string.h>
#include <sys/time.h>

/* Host code decides which plans there are, so it runs; not for longer than this, microseconds of
 * the processor: what else the machine does must not change what is built. */
enum { LONGEST = 1500000, AGAIN = 50000 };

static void too_long(int sig) {
    lg_host_ask_to_stop(sig);
}

static void add(void *ctx, const lg_plan *p, int64_t runs, bool sized) {
    lg_aot_add(ctx, p, runs, sized);
}

/* The first error's text, for a note: the program itself was checked and is fine. */
static void note(const lg_diags *ds) {
    for (size_t i = 0; i < ds->list.n; i++)
        if (ds->list.at[i]->code[0] != 'W') {
            fprintf(stderr, "not all is compiled: %s\n", ds->list.at[i]->message);
            return;
        }
}

static void rehearse(lg_session *s, lg_module *m, const lg_host_opts *h, lg_aot *a, bool told) {
    lg_diags mine, *was = s->E->diags;
    lg_host_opts o = *h;
    o.planned = add;
    o.planned_ctx = a;
    o.jit = LG_JIT_OFF;
    lg_diags_init(&mine);
    s->E->diags = &mine;
    lg_host_rehearse(s->E, m, &o);
    s->E->diags = was;
    if (told)
        note(&mine);
    lg_diags_fini(&mine);
}

lg_aot *lg_rehearsed(lg_session *s, lg_module *m, const lg_host_opts *h) {
    lg_aot *a = lg_aot_new();
    struct sigaction late = {.sa_handler = too_long}, was;
    struct itimerval when = {.it_value = {LONGEST / 1000000, LONGEST % 1000000},
                             .it_interval = {0, AGAIN}},
                     never = {.it_value = {0, 0}};
    sigemptyset(&late.sa_mask);
    sigaction(SIGPROF, &late, &was);
    setitimer(ITIMER_PROF, &when, NULL);
    rehearse(s, m, h, a, true);
    if (h->n_with) {
        lg_host_opts plain = *h;
        plain.n_with = 0;
        rehearse(s, m, &plain, a, false);
    }
    setitimer(ITIMER_PROF, &never, NULL);
    sigaction(SIGPROF, &was, NULL);
    return a;
}

void lg_compiled(lg_aot *a, lg_payload *p) {
    const char *why;
    const lg_carried *made;
    if (!lg_aot_plans(a))
        return;
    bool compiler = lg_aot_compile(a, &why);
    if (why)
        fprintf(stderr, "not compiled: %s; the program runs on prebuilt kernels\n", why);
    size_t n = compiler ? lg_aot_made(a, &made) : 0;
    for (size_t k = 0; k < n; k++)
        LG_PUSH(p->carried, made[k]);
    if (n)
        fprintf(stderr, "compiled: %d kernels of %d plans for %s\n", lg_aot_kernels(a),
                lg_aot_plans(a), lg_aot_units(a));
}
