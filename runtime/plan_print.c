/* plan_print.c: a plan as text: kernels, what is fused in them, where values stand. For people. */
#include "runtime/exec.h"
#include <inttypes.h>

static void print_place(const lg_place *p, FILE *out) {
    switch (p->base) {
    case LG_AT_ARENA:
        fprintf(out, "@%zu", p->off);
        return;
    case LG_AT_IN:
        fprintf(out, "in%d", p->slot);
        return;
    case LG_AT_OUT:
        fprintf(out, "out%d", p->slot);
        return;
    case LG_AT_CONST:
        fputs("const", out);
        return;
    case LG_AT_NONE:
        fputc('-', out);
        return;
    }
}

static void print_access(const lg_access *a, FILE *out) {
    print_place(&a->at, out);
    fprintf(out, "[%" PRId64, a->base);
    const lg_walk *w[] = {&a->o, &a->i};
    for (int k = 0; k < 2; k++)
        for (int d = 0; d < w[k]->rank; d++)
            fprintf(out, " %c%" PRId64 "*%" PRId64, k ? '+' : '.', w[k]->n[d], w[k]->stride[d]);
    fputc(']', out);
}

static void print_instr(const lg_instr *x, int depth, FILE *out) {
    static const char *const word[] = {"load", "store",  "",       "cast",  "iota",
                                       "",     "gather", "reduce", "spread"};
    bool named = x->kind == LG_I_ELEM || x->kind == LG_I_RAND || x->kind == LG_I_REDUCE;
    fprintf(out, "%*s", depth * 2 + 4, "");
    if (x->kind != LG_I_STORE)
        fprintf(out, "r%d = ", x->out);
    fprintf(out, "%s%s%s", word[x->kind], word[x->kind][0] && named ? " " : "",
            named ? x->node->op->name : "");
    for (int k = 0; k < x->n_in; k++)
        fprintf(out, " r%d", x->in[k]);
    if (x->acc) {
        fputs(x->direct && x->kind != LG_I_LOAD ? " -> " : " ", out);
        print_access(x->acc, out);
    }
    fprintf(out, " %s%s%s", lg_dtype_name(x->to), x->row ? " row" : "",
            x->uniform  ? " once"
            : x->direct ? " direct"
                        : "");
    if (x->pass)
        fprintf(out, " pass %d", x->pass);
    fputc('\n', out);
}

static void print_loop(const lg_loop *l, int depth, FILE *out) {
    fprintf(out, "loop %" PRId64 " x %" PRId64 " tile %" PRId64 " x %" PRId64 "%s%s", l->n_o,
            l->n_i, l->ob, l->ib, l->fast_o ? " columns" : " rows", l->whole ? " whole" : "");
    if (l->split)
        fprintf(out, " split %" PRId64, l->split);
    fputc('\n', out);
    for (int j = 0; j < l->n_instr; j++)
        print_instr(&l->instr[j], depth, out);
}

static void print_places(const lg_step *s, FILE *out) {
    for (int k = 0; k < s->n_in; k++) {
        fputc(' ', out);
        print_place(&s->in[k], out);
    }
    fputs(" ->", out);
    for (int k = 0; k < s->n_out; k++) {
        fputc(' ', out);
        print_place(&s->out[k], out);
    }
}

static void print_coded(const lg_coded *c, FILE *out) {
    for (int k = 0; c && k < 2; k++)
        if (c[k].code != LG_NO_DTYPE)
            fprintf(out, " %s%s%s%s%s", k ? "right " : "left ",
                    c[k].bits == 4 ? "i4"
                    : c[k].bits    ? "i2"
                                   : lg_dtype_name(c[k].code),
                    c[k].by_table ? " table" : "", c[k].zero ? " moved" : "",
                    c[k].scale ? " scaled" : "");
}

static void print_plan(const lg_plan *p, int depth, FILE *out);

static void print_step(const lg_step *s, int nth, int depth, FILE *out) {
    fprintf(out, "%*s%d%s ", depth * 2, "", nth, s->serial ? "" : "*");
    if (s->together)
        fprintf(out, "together %d: ", s->together);
    if (s->stretch)
        fprintf(out, "stretch %d, rows %" PRId64 " by %" PRId64 ", block %" PRId64 ": ", s->stretch,
                s->rows, s->unit, s->block);
    else if (s->within)
        fputs("| ", out);
    switch (s->kind) {
    case LG_S_LOOP:
        print_loop(s->loop, depth, out);
        return;
    case LG_S_DOT:
        fprintf(out, "dot %" PRId64 " x [%" PRId64 " %" PRId64 " %" PRId64 "]", s->product->batch,
                s->product->m, s->product->n, s->product->k);
        print_coded(s->coded, out);
        if (s->panels.base != LG_AT_NONE)
            fputs(" packed", out);
        break;
    case LG_S_RUN:
        fputs(s->node->op->name, out);
        break;
    case LG_S_COPY:
        fprintf(out, "copy %zu", s->bytes);
        break;
    case LG_S_SCAN:
        fprintf(out, "scan %" PRId64, s->node->attr.scan->trip);
        if (s->rows)
            fprintf(out, " rows %" PRId64 " by %" PRId64, s->rows, s->unit);
        break;
    case LG_S_COND:
        fputs("cond", out);
        break;
    }
    print_places(s, out);
    fputc('\n', out);
    for (int b = 0; b < 2; b++)
        if (s->sub[b])
            print_plan(s->sub[b], depth + 1, out);
}

static void print_plan(const lg_plan *p, int depth, FILE *out) {
    fprintf(out, "%*splan: %d steps, workspace %zu bytes, about %.3g us\n", depth * 2, "",
            p->n_step, p->workspace, p->cost / 1000);
    for (int k = 0; k < p->n_step; k++)
        print_step(&p->step[k], k, depth, out);
}

void lg_plan_print(const lg_plan *p, FILE *out) {
    fprintf(out, "threads %d; kernels %d, nodes %d, flops %" PRId64 ", bytes %" PRId64 "\n",
            p->threads, p->stats.n_kernels, p->stats.n_nodes, p->stats.flops, p->stats.bytes);
    print_plan(p, 0, out);
}
