/* panels.c: the curves of runs as pictures: of each column a panel that has all runs in it. How
 * curves are drawn is in host/plot.c. */
#include "compiler/driver/panels.h"
#include "compiler/host/plot.h"
#include <string.h>

typedef struct {
    LG_VEC(lg_curve) curve;
    LG_VEC(char *) label;
} panel;

void lg_run_label(const lg_panels *p, size_t log, size_t run, lg_buf *out) {
    const lg_runlog *l = p->logs[log];
    if (p->n > 1) {
        const char *slash = strrchr(l->path, '/'), *name = slash && slash[1] ? slash + 1 : l->path;
        lg_buf_printf(out, "%.*s%s", (int)strcspn(name, "."), name, l->runs.n > 1 ? " " : "");
    }
    if (p->n == 1 || l->runs.n > 1)
        lg_buf_printf(out, "%s", l->runs.at[run].train);
    if (l->runs.n > 1)
        lg_buf_printf(out, " #%zu", run + 1);
    if (!out->at)
        lg_buf_put(out, "", 0);
}

static panel panel_of(const lg_panels *p, const char *name) {
    panel x = {0};
    for (size_t l = 0; l < p->n; l++)
        for (size_t r = 0; r < p->logs[l]->runs.n; r++) {
            const lg_column_of *c = lg_run_column(&p->logs[l]->runs.at[r], name);
            lg_buf label = {0};
            if (!c)
                continue;
            lg_run_label(p, l, r, &label);
            LG_PUSH(x.label, label.at);
            LG_PUSH(x.curve, ((lg_curve){label.at, c->y.n, c->x.at, c->y.at}));
        }
    return x;
}

static void panel_fini(panel *x) {
    for (size_t i = 0; i < x->label.n; i++)
        lg_free(x->label.at[i]);
    lg_free(x->label.at);
    lg_free(x->curve.at);
}

size_t lg_panels_count(const lg_panels *p) {
    const char **names;
    size_t n = lg_runlog_columns(p->logs, p->n, p->columns, &names);
    lg_free(names);
    return n;
}

static void each(const lg_panels *p, lg_buf *out,
                 void (*draw)(lg_buf *out, const panel *x, const char *name, size_t i)) {
    const char **names;
    size_t n = lg_runlog_columns(p->logs, p->n, p->columns, &names);
    for (size_t i = 0; i < n; i++) {
        panel x = panel_of(p, names[i]);
        draw(out, &x, names[i], i);
        panel_fini(&x);
    }
    lg_free(names);
}

static void below(lg_buf *out, const panel *x, const char *name, size_t i) {
    lg_draw_panel(out, x->curve.n, x->curve.at, name, (int)i * LG_PLOT_HEIGHT);
}

void lg_panels_svg(const lg_panels *p, lg_buf *out) {
    lg_draw_open(out, (int)lg_panels_count(p) * LG_PLOT_HEIGHT);
    each(p, out, below);
    lg_buf_printf(out, "</svg>\n");
}

static void figure(lg_buf *out, const panel *x, const char *name, size_t i) {
    (void)i;
    lg_buf_printf(out, "<figure><svg class=\"p\" role=\"img\" viewBox=\"0 0 %d %d\">\n",
                  LG_PLOT_WIDTH, LG_PLOT_HEIGHT);
    lg_draw_panel(out, x->curve.n, x->curve.at, name, 0);
    lg_buf_printf(out, "</svg></figure>\n");
}

void lg_panels_html(const lg_panels *p, lg_buf *out) {
    each(p, out, figure);
}

static void text(lg_buf *out, const panel *x, const char *name, size_t i) {
    lg_buf_printf(out, "%s%12s%s\n", i ? "\n" : "", "", name);
    lg_draw_terminal(out, x->curve.n, x->curve.at);
}

static void coloured(lg_buf *out, const panel *x, const char *name, size_t i) {
    lg_buf_printf(out, "%s%12s%s\n", i ? "\n" : "", "", name);
    lg_draw_coloured(out, x->curve.n, x->curve.at);
}

void lg_panels_terminal(const lg_panels *p, bool colour, lg_buf *out) {
    each(p, out, colour ? coloured : text);
}
