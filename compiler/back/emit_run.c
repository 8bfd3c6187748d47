/* emit_run.c: steps in a row as one C function: what one thread does between two meetings with the
 * others, without going from step to step. Not for what a step does (emit_loop.c, emit_product.c).
 */
#include "compiler/back/emitting.h"
#include <inttypes.h>

static void place(lg_unit *u, const char *before, const lg_place *p, const char *after) {
    lg_buf_printf(&u->runs, "%s", before);
    lg_c_place(u->e, &u->runs, p);
    lg_buf_printf(&u->runs, "%s", after);
}

static void one(lg_unit *u, const lg_step *s, int number, int nth) {
    if (s->kind == LG_S_LOOP) {
        lg_buf_printf(&u->runs,
                      "    if ((bad = lgk_%d(e, 0, %" PRId64 ")))\n"
                      "        return (int64_t)%d << %d | bad;\n",
                      number, lg_loop_units(s->loop), nth, LG_RUN_SHIFT);
        return;
    }
    if (s->kind == LG_S_DOT)
        lg_buf_printf(&u->runs, "    lgd_%d(0, ", number);
    else
        lg_buf_printf(&u->runs, "    __builtin_memmove(");
    if (s->kind == LG_S_COPY)
        place(u, "", &s->out[0], ", ");
    place(u, "", &s->in[0], ", ");
    if (s->kind == LG_S_DOT) {
        place(u, "", &s->in[1], ", ");
        place(u, "", &s->out[0], ", 0, 0, 1);\n");
    } else {
        lg_buf_printf(&u->runs, "%zu);\n", s->bytes);
    }
}

static void run(lg_unit *u, const lg_plan *p, const int *number, int beg, int end) {
    lg_buf_printf(&u->runs,
                  "int64_t lgs_%zu(const lg_code_env *e, int64_t beg, int64_t end) {\n"
                  "    int64_t bad;\n",
                  u->e->run.n);
    for (int k = beg; k < end; k++) {
        one(u, &p->step[k], number[k], k - beg);
        if (p->step[k].kind == LG_S_LOOP)
            u->run_loop.at[number[k]] = true;
        if (p->step[k].kind == LG_S_DOT)
            u->run_product.at[number[k]] = true;
    }
    lg_buf_printf(&u->runs, "    return 0;\n}\n\n");
    LG_PUSH(u->e->run, ((lg_emitted_run){&p->step[beg], end - beg}));
}

/* A loop that is cut in blocks is finished by the interpreter. */
static bool fits(const lg_step *s, int number, bool alone) {
    if (!alone && (!s->serial || s->within))
        return false;
    return s->kind == LG_S_COPY || (number >= 0 && !(s->loop && s->loop->split));
}

void lg_c_runs(lg_unit *u, const lg_plan *p, const int *number) {
    for (int k = 0; k < p->n_step;) {
        int end = k;
        while (end < p->n_step && fits(&p->step[end], number[end], u->how.alone))
            end++;
        if (end - k > 1)
            run(u, p, number, k, end);
        k = end > k ? end : k + 1;
    }
}
