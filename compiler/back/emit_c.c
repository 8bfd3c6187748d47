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

static void end_part(lg_unit *u) {
    lg_buf all = {0};
    const char *const head[] = {lg_text_vmath, lg_text_vrow, lg_text_prelude};
    for (size_t k = 0; k < LG_COUNT(head); k++)
        lg_buf_put(&all, head[k], strlen(head[k]));
    if (u->ops.n)
        lg_buf_put(&all, u->ops.at, u->ops.n);
    if (u->body.n)
        lg_buf_put(&all, u->body.at, u->body.n);
    LG_PUSH(u->e->part, all);
    lg_buf_free(&u->ops);
    lg_buf_free(&u->body);
    lg_free(u->known.at);
    *u = (lg_unit){.e = u->e};
}

static void steps(lg_unit *u, const lg_plan *p, bool alone) {
    for (int k = 0; k < p->n_step; k++) {
        const lg_step *s = &p->step[k];
        for (int b = 0; b < 2; b++)
            if (s->sub[b])
                steps(u, s->sub[b], alone);
        if (lg_c_has_product(s, alone))
            LG_PUSH(u->e->product, (lg_step *)(uintptr_t)s);
        if (s->kind != LG_S_LOOP)
            continue;
        int number = (int)u->e->loop.n;
        if (!lg_c_loop(u, p, s->loop, number)) {
            u->e->left_out++;
            continue;
        }
        LG_PUSH(u->e->loop, s->loop);
        if (u->e->loop.n % LG_KERNELS_A_FILE == 0)
            end_part(u);
    }
}

void lg_emit_c(const lg_plan *p, lg_emitted *e) {
    *e = (lg_emitted){0};
    lg_unit u = {.e = e};
    steps(&u, p, p->threads == 1);
    if (u.body.n)
        end_part(&u);
    lg_buf products = {0};
    for (size_t k = 0; k < e->product.n; k++)
        lg_c_product(&products, e->product.at[k], (int)k);
    if (products.n)
        LG_PUSH(e->part, products);
    lg_buf_free(&u.ops);
    lg_buf_free(&u.body);
    lg_free(u.known.at);
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
    *e = (lg_emitted){0};
}
