/* graph_print.c: graphs as text, one line a node:
 *     %12 = add(%3, %7) f32[64, 128]  # digits.lg:17:10
 * Not for parsing back. Called by the dump commands and by whoever debugs a pass. */
#include "runtime/diag.h"
#include "runtime/graph.h"

static void print_type(const lg_type *t, FILE *out) {
    fputs(lg_dtype_name(t->dtype), out);
    if (t->rank == 0)
        return;
    for (int d = 0; d < t->rank; d++)
        fprintf(out, "%s%lld", d ? ", " : "[", (long long)t->shape[d]);
    fputc(']', out);
}

static void print_types(const lg_node *n, FILE *out) {
    if (n->n_out != 1)
        fputc('{', out);
    for (int k = 0; k < n->n_out; k++) {
        if (k)
            fputs(", ", out);
        print_type(&n->type[k], out);
    }
    if (n->n_out != 1)
        fputc('}', out);
}

/* One subscript, in the names i j k ... of the result's axes: "2*i+j+1". */
static void print_subscript(const lg_affine *m, int a, FILE *out) {
    bool any = false;
    for (int o = 0; o < m->rank_out; o++) {
        long long c = m->coef[a * m->rank_out + o];
        if (c == 0)
            continue;
        if (c == -1)
            fputc('-', out);
        else if (any && c > 0)
            fputc('+', out);
        if (c != 1 && c != -1)
            fprintf(out, "%lld*", c);
        fputc('i' + o, out);
        any = true;
    }
    if (m->off[a] || !any)
        fprintf(out, any ? "%+lld" : "%lld", (long long)m->off[a]);
}

static void print_affine(const lg_affine *m, FILE *out) {
    fputc('[', out);
    for (int a = 0; a < m->rank_in; a++) {
        if (a)
            fputs(", ", out);
        print_subscript(m, a, out);
    }
    fputc(']', out);
}

static void print_const(const lg_tensor *t, FILE *out) {
    if (t->n == 1 && t->rank == 0)
        fprintf(out, "%.9g", lg_get_f64(t->dtype, t->data, 0));
    else
        fprintf(out, "%zu values", t->n);
}

static void print_axes(uint32_t mask, FILE *out) {
    fputs("; axes", out);
    for (int d = 0; d < LG_MAX_RANK; d++)
        if (mask >> d & 1)
            fprintf(out, " %d", d);
}

static void print_scan(const lg_scan_attr *s, FILE *out) {
    fprintf(out, "; %d carries, %d xs, %d constants, %d yields, %lld rounds%s", s->n_carry, s->n_xs,
            s->n_const, s->n_yield, (long long)s->trip, s->rev ? ", backwards" : "");
    if (s->stop >= 0)
        fprintf(out, ", while carry %d", s->stop);
}

/* What stands in the brackets after the inputs. */
/* The marks of values that a contract shows are no characters to print. */
static void print_text(const char *text, FILE *out) {
    fprintf(out, "; \"");
    for (; *text; text++)
        fputc(*text == '\1' ? '{' : *text == '\2' ? '}' : *text, out);
    fprintf(out, "\"");
}

static void print_attr(const lg_node *n, FILE *out) {
    switch (n->op->cls) {
    case LG_C_INPUT:
        fprintf(out, "%d", n->attr.slot);
        break;
    case LG_C_CONST:
        print_const(n->attr.tensor, out);
        break;
    case LG_C_IOTA:
        fprintf(out, "axis %d", n->attr.axis);
        break;
    case LG_C_VIEW:
        print_affine(n->attr.affine, out);
        break;
    case LG_C_UNVIEW:
        fputs(" -> ", out);
        print_affine(n->attr.affine, out);
        break;
    case LG_C_REDUCE:
        print_axes(n->attr.axes_mask, out);
        break;
    case LG_C_CUM:
        fprintf(out, "; axis %d%s", n->attr.axis, n->attr.rev ? ", backwards" : "");
        break;
    case LG_C_GATHER:
    case LG_C_SCATTER:
        fprintf(out, "; %d batch, %d subscripts", n->attr.nb, n->attr.ni);
        break;
    case LG_C_CONCAT:
    case LG_C_ITEM:
        fprintf(out, "; %d", n->attr.axis);
        break;
    case LG_C_SCAN:
        print_scan(n->attr.scan, out);
        break;
    case LG_C_REQUIRE:
        if (n->attr.text)
            print_text(n->attr.text, out);
        break;
    case LG_C_ELEM:
    case LG_C_CAST:
    case LG_C_RESHAPE:
    case LG_C_DOT:
    case LG_C_RAND:
    case LG_C_KERNEL:
    case LG_C_COND:
    case LG_C_MARK:
        break;
    }
}

static void print_span(lg_span s, FILE *out) {
    if (s.file == 0)
        return;
    uint32_t line, col;
    lg_source_where(s.file, s.beg, &line, &col);
    fprintf(out, "  # %s:%u:%u", lg_source_name(s.file), (unsigned)line, (unsigned)col);
}

static void print_graph(const lg_graph *g, int depth, FILE *out);

static void print_body(const char *title, const lg_graph *g, int depth, FILE *out) {
    fprintf(out, "%*s%s:\n", 4 * depth - 2, "", title);
    print_graph(g, depth, out);
}

static void print_node(const lg_node *n, int depth, FILE *out) {
    fprintf(out, "%*s%%%u = %s(", 4 * depth, "", (unsigned)n->id, n->op->name);
    for (int i = 0; i < n->n_in; i++)
        fprintf(out, "%s%%%u", i ? ", " : "", (unsigned)n->in[i]->id);
    print_attr(n, out);
    fputs(") ", out);
    print_types(n, out);
    print_span(n->span, out);
    fputc('\n', out);
    if (n->op->cls == LG_C_SCAN)
        print_body("body", n->attr.scan->body, depth + 1, out);
    if (n->op->cls == LG_C_COND) {
        print_body("then", n->attr.cond->then_, depth + 1, out);
        print_body("else", n->attr.cond->else_, depth + 1, out);
    }
}

static void print_graph(const lg_graph *g, int depth, FILE *out) {
    for (size_t i = 0; i < g->node.n; i++)
        print_node(g->node.at[i], depth, out);
    for (size_t k = 0; k < g->output.n; k++) {
        const lg_output *o = &g->output.at[k];
        fprintf(out, "%*sreturn %s%s%%%u", 4 * depth, "", o->name ? o->name : "",
                o->name ? " = " : "", (unsigned)o->node->id);
        if (o->donates >= 0)
            fprintf(out, " in place of input %d", o->donates);
        fputc('\n', out);
    }
}

void lg_graph_print(const lg_graph *g, FILE *out) {
    print_graph(g, 0, out);
}
