/* emit_c.c: a plan as C files: which loops are in which file, what they are called, where values
 * stand. Single loops are in emit_loop.c. */
#include "compiler/back/emitting.h"
#include <string.h>

int lg_c_konst(lg_emitted *e, const void *p) {
    for (size_t k = 0; k < e->konst.n; k++)
        if (e->konst.at[k] == p)
            return (int)k;
    LG_PUSH(e->konst, p);
    return (int)e->konst.n - 1;
}

int lg_c_fn(lg_emitted *e, lg_elem_fn fn) {
    for (size_t k = 0; k < e->fn.n; k++)
        if (e->fn.at[k] == fn)
            return (int)k;
    LG_PUSH(e->fn, fn);
    return (int)e->fn.n - 1;
}

void lg_c_place(lg_emitted *e, lg_buf *out, const lg_place *p) {
    switch (p->base) {
    case LG_AT_ARENA:
        lg_buf_printf(out, "(e->arena + %zu)", p->off);
        return;
    case LG_AT_IN:
        lg_buf_printf(out, "((const char *)e->in[%d] + %zu)", p->slot, p->off);
        return;
    case LG_AT_OUT:
        lg_buf_printf(out, "((char *)e->out[%d] + %zu)", p->slot, p->off);
        return;
    case LG_AT_CONST:
        lg_buf_printf(out, "((const char *)e->konst[%d] + %zu)", lg_c_konst(e, p->ptr), p->off);
        return;
    case LG_AT_NONE:
        lg_buf_printf(out, "((char *)0)");
        return;
    }
}

void lg_c_head(lg_buf *all) {
    const char *const head[] = {lg_text_vmath, lg_text_vrow, lg_text_prelude};
    for (size_t k = 0; k < LG_COUNT(head); k++)
        lg_buf_put(all, head[k], strlen(head[k]));
}

static void put_all(lg_buf *to, const lg_buf *from) {
    if (from->n)
        lg_buf_put(to, from->at, from->n);
}

/* What stands before each function: those of a run that is in the same file are not seen outside.
 */
static void put_linkage(lg_buf *all, const lg_unit *u, bool within) {
    for (size_t k = 0; k < u->e->loop.n; k++)
        lg_buf_printf(all, "#define LGK_%zu%s\n", k, within && u->run_loop.at[k] ? " static" : "");
    for (size_t k = 0; k < u->e->product.n; k++)
        lg_buf_printf(all, "#define LGD_%zu%s\n", k,
                      within && u->run_product.at[k] ? " static" : "");
}

static void end_part(lg_unit *u) {
    lg_buf all = {0};
    lg_c_head(&all);
    put_linkage(&all, u, false);
    put_all(&all, &u->ops);
    put_all(&all, &u->body);
    LG_PUSH(u->e->part, all);
    lg_buf_free(&u->ops);
    lg_buf_free(&u->body);
    u->known.n = 0;
    u->in_file = 0;
    lg_c_forget_shared(u);
}

/* The last file: loops that are left, products, runs of steps. */
static void last_part(lg_unit *u) {
    lg_emitted *e = u->e;
    bool alone = e->part.n == 0;
    lg_buf all = {0}, products = {0};
    for (size_t k = 0; k < e->product.n; k++)
        lg_c_product(&products, e->product.at[k], u->how.isa, (int)k);
    if (u->body.n || products.n || u->runs.n) {
        lg_c_head(&all);
        put_linkage(&all, u, alone);
        for (size_t k = 0; k < e->loop.n && !alone; k++)
            lg_buf_printf(&all,
                          "int64_t lgk_%zu(const lg_code_env *e, int64_t beg, int64_t end);\n", k);
        put_all(&all, &u->ops);
        put_all(&all, &products);
        put_all(&all, &u->body);
        put_all(&all, &u->runs);
        LG_PUSH(e->part, all);
    }
    for (size_t k = 0; k < e->loop.n; k++)
        LG_PUSH(e->within, alone && u->run_loop.at[k]);
    for (size_t k = 0; k < e->product.n; k++)
        LG_PUSH(e->product_within, alone && u->run_product.at[k]);
    lg_buf_free(&products);
}

/* The number of a step's function; -1: it has none. */
static int number_of(lg_unit *u, const lg_plan *p, lg_step *s) {
    if (lg_c_has_product(s, u->how)) {
        LG_PUSH(u->e->product, s);
        LG_PUSH(u->run_product, false);
        return (int)u->e->product.n - 1;
    }
    if (s->kind != LG_S_LOOP)
        return -1;
    if (!lg_c_loop(u, p, s->loop, (int)u->e->loop.n)) {
        u->e->left_out++;
        return -1;
    }
    LG_PUSH(u->e->loop, s->loop);
    LG_PUSH(u->run_loop, false);
    u->in_file++;
    return (int)u->e->loop.n - 1;
}

static void steps(lg_unit *u, const lg_plan *p) {
    int *number = lg_alloc(((size_t)p->n_step + 1) * sizeof *number);
    for (int k = 0; k < p->n_step; k++) {
        for (int b = 0; b < 2; b++)
            if (p->step[k].sub[b])
                steps(u, p->step[k].sub[b]);
        if (p->step[k].kind == LG_S_LOOP && u->in_file == LG_KERNELS_A_FILE)
            end_part(u);
        number[k] = number_of(u, p, &p->step[k]);
    }
    if (u->how.runs)
        lg_c_runs(u, p, number);
    lg_free(number);
}

void lg_emit_c(const lg_plan *p, lg_emit_how how, lg_emitted *e) {
    *e = (lg_emitted){0};
    lg_unit u = {.e = e, .how = how};
    steps(&u, p);
    last_part(&u);
    lg_buf_free(&u.ops);
    lg_buf_free(&u.body);
    lg_buf_free(&u.runs);
    lg_c_forget_shared(&u);
    lg_free(u.shared.at);
    lg_free(u.known.at);
    lg_free(u.run_loop.at);
    lg_free(u.run_product.at);
}

void lg_emitted_free(lg_emitted *e) {
    for (size_t k = 0; k < e->part.n; k++)
        lg_buf_free(&e->part.at[k]);
    lg_free(e->part.at);
    lg_free(e->loop.at);
    lg_free(e->konst.at);
    lg_free(e->fn.at);
    lg_free(e->draw.at);
    lg_free(e->product.at);
    lg_free(e->run.at);
    lg_free(e->within.at);
    lg_free(e->product_within.at);
    for (size_t k = 0; k < e->open.n; k++)
        lg_free(e->open.at[k].num);
    lg_free(e->open.at);
    *e = (lg_emitted){0};
}
