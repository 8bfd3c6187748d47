/* plan_dot.c: a plan as a picture in the language of Graphviz: its steps, what each reads of which,
 * and how long each takes by the warmth of its colour: measured where the plan was profiled, else
 * as estimated. Not for graphs before they are planned. */
#include "runtime/diag.h"
#include "runtime/exec.h"
#include "runtime/profile.h"
#include <inttypes.h>
#include <string.h>

/* Who wrote a place last. */
typedef struct {
    lg_place at;
    int step;
} written;

typedef struct {
    FILE *out;
    const lg_plan *p;
    LG_VEC(written) place;
    LG_VEC(int) edge; /* pairs that were drawn to the step under way */
    double most;
} picture;

static double time_of(const lg_step *s) {
    return s->runs ? s->ns / (double)s->runs : s->cost;
}

/* White to red. */
static void put_colour(const picture *x, const lg_step *s) {
    int cool = (int)(255 * (1 - (x->most > 0 ? time_of(s) / x->most : 0)));
    fprintf(x->out, ", fillcolor=\"#ff%02x%02x\"", cool, cool);
}

static void put_step(const picture *x, int k) {
    const lg_step *s = &x->p->step[k];
    char name[96];
    lg_profile_name(s, name, sizeof name);
    fprintf(x->out, "  s%d [label=\"%s\\n%.3g us%s", k, name, time_of(s) / 1e3,
            s->runs ? "" : " expected");
    if (s->node && s->node->span.file) {
        uint32_t line, col;
        const char *file = lg_source_name(s->node->span.file), *slash = strrchr(file, '/');
        lg_source_where(s->node->span.file, s->node->span.beg, &line, &col);
        fprintf(x->out, "\\n%s:%" PRIu32, slash ? slash + 1 : file, line);
    }
    fputc('"', x->out);
    put_colour(x, s);
    fputs("];\n", x->out);
}

static bool same_place(const lg_place *a, const lg_place *b) {
    return a->base == b->base && a->off == b->off && (a->base == LG_AT_ARENA || a->slot == b->slot);
}

static void reads(picture *x, const lg_place *at, int k) {
    for (size_t i = x->place.n; i-- > 0;) {
        if (!same_place(&x->place.at[i].at, at))
            continue;
        int from = x->place.at[i].step;
        for (size_t e = 0; e < x->edge.n; e++)
            if (x->edge.at[e] == from)
                return;
        LG_PUSH(x->edge, from);
        if (from != k)
            fprintf(x->out, "  s%d -> s%d;\n", from, k);
        return;
    }
}

static void writes(picture *x, const lg_place *at, int k) {
    if (at->base == LG_AT_ARENA || at->base == LG_AT_OUT)
        LG_PUSH(x->place, ((written){*at, k}));
}

static bool stores(const lg_instr *x) {
    return x->kind == LG_I_STORE || (x->direct && x->kind != LG_I_LOAD);
}

static void put_edges(picture *x, int k) {
    const lg_step *s = &x->p->step[k];
    x->edge.n = 0;
    for (int i = 0; i < s->n_in; i++)
        reads(x, &s->in[i], k);
    for (int j = 0; s->loop && j < s->loop->n_instr; j++)
        if (s->loop->instr[j].acc && !stores(&s->loop->instr[j]))
            reads(x, &s->loop->instr[j].acc->at, k);
    for (int i = 0; i < s->n_out; i++)
        writes(x, &s->out[i], k);
    for (int j = 0; s->loop && j < s->loop->n_instr; j++)
        if (s->loop->instr[j].acc && stores(&s->loop->instr[j]))
            writes(x, &s->loop->instr[j].acc->at, k);
}

void lg_plan_dot(const lg_plan *p, FILE *out) {
    picture x = {.out = out, .p = p};
    for (int k = 0; k < p->n_step; k++)
        x.most = time_of(&p->step[k]) > x.most ? time_of(&p->step[k]) : x.most;
    fprintf(out, "digraph plan {\n"
                 "  node [shape=box, style=\"filled,rounded\", fontname=\"sans-serif\"];\n");
    for (int k = 0; k < p->n_step; k++)
        put_step(&x, k);
    for (int k = 0; k < p->n_step; k++)
        put_edges(&x, k);
    fprintf(out, "}\n");
    lg_free(x.place.at);
    lg_free(x.edge.at);
}
