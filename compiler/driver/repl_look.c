/* repl_look.c: commands about an expression: its type, its graph, how it runs and how fast. */
#include "compiler/driver/repl.h"
#include "compiler/mid/passes.h"
#include "ops/machine.h"
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

bool lg_repl_type(lg_repl *R, const char *text) {
    const lg_ast *e = lg_repl_expression(R, text);
    const lg_value *v = e && !R->in.ds.errors ? lg_host_type_of(R->in.E, R->module, e) : NULL;
    if (v)
        printf("%s\n", lg_v_type_text(R->in.E, v));
    return v != NULL;
}

static bool picture(lg_repl *R, const char *text, lg_host_picture *p) {
    const lg_ast *e = lg_repl_expression(R, text);
    return e && !R->in.ds.errors && lg_host_picture_of(R->in.E, R->module, e, p);
}

static void put_type(lg_buf *b, const lg_type *t) {
    lg_buf_printf(b, "%s", lg_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++)
        lg_buf_printf(b, "%s%lld%s", i ? ", " : "[", (long long)t->shape[i],
                      i + 1 == t->rank ? "]" : "");
}

/* ---- :graph ---- */

static void put_dot(lg_buf *b, const lg_host_picture *p) {
    lg_buf_printf(b, "digraph {\n  node [shape=box, fontname=\"sans-serif\", fontsize=11];\n");
    for (size_t i = 0; i < p->g->node.n; i++) {
        const lg_node *x = p->g->node.at[i];
        bool in = x->op == &lg_op_input;
        lg_buf_printf(b, "  n%u [label=\"%s\\n", x->id, in ? p->name[x->attr.slot] : x->op->name);
        put_type(b, &x->type[0]);
        lg_buf_printf(b, "\"%s];\n", in ? ", style=filled, fillcolor=\"#e8eef7\"" : "");
        for (int k = 0; k < x->n_in; k++)
            lg_buf_printf(b, "  n%u -> n%u;\n", x->in[k]->id, x->id);
    }
    for (int k = 0; k < p->n_out; k++) {
        lg_buf_printf(b, "  out%d [label=\"%s\", shape=plaintext];\n", k,
                      *p->path[k] ? p->path[k] : "result");
        lg_buf_printf(b, "  n%u -> out%d;\n", p->g->output.at[k].node->id, k);
    }
    lg_buf_printf(b, "}\n");
}

static bool write_text(lg_repl *R, const char *path, const lg_buf *b) {
    FILE *f = fopen(path, "w");
    bool ok = f && fwrite(b->at, 1, b->n, f) == b->n;
    ok = f && !fclose(f) && ok;
    if (!ok)
        lg_diag_add(&R->in.ds, "E0610", (lg_span){0}, "%s cannot be written", path);
    return ok;
}

/* graphviz turns the text of a graph into a picture. */
static bool draw(lg_repl *R, const char *path, const lg_buf *b) {
    char *text = lg_arena_printf(R->in.arena, "%s.dot", path);
    char *out = lg_arena_printf(R->in.arena, "-o%s", path);
    char tool[] = "dot", format[] = "-Tsvg";
    char *argv[] = {tool, format, out, text, NULL};
    pid_t pid;
    int status = -1;
    if (!write_text(R, text, b))
        return false;
    bool ran = posix_spawnp(&pid, "dot", NULL, NULL, argv, environ) == 0;
    while (ran && waitpid(pid, &status, 0) < 0)
        ;
    if (ran && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        unlink(text);
        return true;
    }
    lg_diag *d = lg_diag_add(&R->in.ds, "E0713", (lg_span){0}, "graphviz's `dot` could not be run");
    lg_diag_help(d, "its input stands in %s", text);
    return false;
}

static bool ends_in(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n > m && !strcmp(s + n - m, end);
}

/* Where a file name stands behind the expression, or NULL. */
static const char *file_behind(const char *text) {
    const char *last = NULL;
    for (const char *p = text; (p = strstr(p, " > ")); p++)
        last = p;
    return last && (ends_in(last, ".dot") || ends_in(last, ".svg")) ? last : NULL;
}

bool lg_repl_graph(lg_repl *R, const char *text) {
    const char *to = file_behind(text);
    const char *e = to ? lg_arena_printf(R->in.arena, "%.*s", (int)(to - text), text) : text;
    lg_host_picture p;
    if (!picture(R, e, &p))
        return false;
    lg_pass_simplify(p.g);
    bool ok = true;
    if (to) {
        lg_buf b = {0};
        put_dot(&b, &p);
        ok = ends_in(to, ".svg") ? draw(R, to + 3, &b) : write_text(R, to + 3, &b);
        lg_buf_free(&b);
        if (ok)
            printf("%zu nodes in %s\n", p.g->node.n, to + 3);
    } else {
        for (int k = 0; k < p.n_in; k++)
            printf("input %d is %s\n", k, p.name[k]);
        lg_graph_print(p.g, stdout);
    }
    lg_graph_free(p.g);
    return ok;
}

/* ---- :plan ---- */

static void scaled(char *out, size_t room, double v, const char *unit) {
    static const char *const prefix[] = {"", "k", "M", "G", "T"};
    size_t i = 0;
    for (; v >= 1000 && i + 1 < LG_COUNT(prefix); i++)
        v /= 1000;
    snprintf(out, room, "%.3g %s%s", v, prefix[i], unit);
}

static lg_plan *plan_of(lg_repl *R, const char *text, lg_host_picture *p) {
    lg_plan_opts o = {.threads = R->o.threads,
                      .no_fuse = R->o.no_fuse,
                      .no_simplify = R->o.no_simplify,
                      .may_fail = true};
    if (!picture(R, text, p))
        return NULL;
    const lg_node *large = lg_plan_oversized(p->g);
    lg_plan *plan = large ? NULL : lg_plan_new(p->g, &o);
    if (!plan) {
        lg_diag_add(&R->in.ds, "E0437", (lg_span){0}, "these values do not fit into memory");
        lg_graph_free(p->g);
    }
    return plan;
}

bool lg_repl_plan(lg_repl *R, const char *text) {
    lg_host_picture p;
    lg_plan *plan = plan_of(R, text, &p);
    if (!plan)
        return false;
    lg_plan_stats st = lg_plan_get_stats(plan);
    char work[32], room[32], io[32], moved[32];
    scaled(work, sizeof work, (double)st.flops, "FLOP");
    scaled(room, sizeof room, (double)st.arena_bytes, "B");
    scaled(io, sizeof io, (double)st.io_bytes, "B");
    scaled(moved, sizeof moved, (double)st.bytes, "B");
    for (int k = 0; k < p.n_in; k++)
        printf("input %d is %s\n", k, p.name[k]);
    lg_plan_print(plan, stdout);
    printf("%d kernels for %d nodes, %s, %s moved, workspace %s, inputs and outputs %s\n",
           st.n_kernels, st.n_nodes, work, moved, room, io);
    lg_plan_free(plan);
    lg_graph_free(p.g);
    return true;
}

/* ---- :time ---- */

typedef struct {
    double median;
    int runs;
} timing;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Runs a plan again and again, at most `most` seconds long. False: *fault says why. */
static bool measure(lg_plan *plan, const lg_graph *g, const void *const *in, double most, timing *t,
                    lg_fault *fault) {
    enum { RUNS = 1001 };
    double *took = lg_alloc(sizeof *took * RUNS), begun = now();
    size_t n = g->output.n;
    bool room = true;
    lg_tensor **made = lg_alloc(sizeof *made * (n + 1));
    void **out = lg_alloc(sizeof *out * (n + 1));
    for (size_t k = 0; k < n; k++) {
        const lg_type *type = &g->output.at[k].node->type[0];
        made[k] = lg_tensor_try(type->dtype, type->rank, type->shape);
        room = room && made[k];
        out[k] = made[k] ? made[k]->data : NULL;
    }
    if (!room)
        *fault = (lg_fault){
            .set = true, .code = "E0437", .row = -1, .text = "these values do not fit into memory"};
    bool ok = room && lg_plan_run(plan, in, out, fault); /* the first one warms up */
    t->runs = 0;
    while (ok && t->runs < RUNS && (t->runs < 3 || now() - begun < most) &&
           !lg_host_asked_to_stop()) {
        double from = now();
        ok = lg_plan_run(plan, in, out, fault);
        took[t->runs++] = now() - from;
    }
    qsort(took, (size_t)t->runs, sizeof *took, by_value);
    t->median = t->runs ? took[t->runs / 2] : 0;
    for (size_t k = 0; k < n; k++)
        lg_tensor_release(made[k]);
    lg_free(made);
    lg_free(out);
    lg_free(took);
    return ok;
}

static void put_time(const timing *t, const lg_plan_stats *st) {
    const lg_machine *m = lg_machine_here();
    double flops = (double)st->flops, bytes = (double)st->bytes, ns = 1e9 * t->median;
    char took[32], work[32], moved[32], most_work[32], most_moved[32];
    snprintf(took, sizeof took, t->median < 1e-3 ? "%.3g us" : "%.3g ms",
             t->median < 1e-3 ? t->median * 1e6 : t->median * 1e3);
    scaled(work, sizeof work, flops / t->median, "FLOP/s");
    scaled(moved, sizeof moved, bytes / t->median, "B/s");
    printf("%s, the median of %d runs\n", took, t->runs);
    if (!m) {
        printf("%s, %s\n", work, moved);
        return;
    }
    scaled(most_work, sizeof most_work, 1e9 * m->flops, "FLOP/s");
    scaled(most_moved, sizeof most_moved, 1e9 * lg_machine_stream(m, bytes), "B/s");
    printf("%s of %s, %s of %s; the machine needs %.3g %% of that time\n", work, most_work, moved,
           most_moved, 100 * lg_machine_share(m, flops, bytes, ns));
}

bool lg_repl_time(lg_repl *R, const char *text) {
    lg_host_picture p;
    lg_plan *plan = plan_of(R, text, &p);
    if (!plan)
        return false;
    const void **in = lg_alloc(sizeof *in * (size_t)(p.n_in + 1));
    for (int k = 0; k < p.n_in; k++)
        in[k] = p.x[k]->data;
    timing t;
    lg_fault fault = {.row = -1};
    lg_plan_stats st = lg_plan_get_stats(plan);
    bool ok = measure(plan, p.g, in, 0.5, &t, &fault);
    if (ok && t.median > 0)
        put_time(&t, &st);
    else if (!ok)
        lg_diag_add(&R->in.ds, fault.code ? fault.code : "R0101", fault.at, "%s", fault.text);
    lg_free(in);
    lg_plan_free(plan);
    lg_graph_free(p.g);
    return ok;
}
