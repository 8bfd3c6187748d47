/* display.c: a value as the prompt shows it: its type, then what is in it, as much as fits. Not for
 * `print` and `table`, whose text is the program's own (format.c). Called by the driver. */
#include "compiler/front/print.h"
#include "compiler/host/inside.h"
#include "runtime/show.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WHOLE = 144, ONE_LINE = 12, BRIEF = 6, FIELDS = 200 };

/* ---- arrays ---- */

typedef struct {
    double lo, hi, mean, std;
    size_t unreal; /* elements that are not finite */
} summary;

static summary summary_of(const lg_tensor *x) {
    summary s = {INFINITY, -INFINITY, 0, 0, 0};
    double sum = 0, square = 0;
    for (size_t i = 0; i < x->n; i++) {
        double v = lg_get_f64(x->dtype, x->data, i);
        if (!isfinite(v)) {
            s.unreal++;
            continue;
        }
        s.lo = v < s.lo ? v : s.lo;
        s.hi = v > s.hi ? v : s.hi;
        sum += v;
    }
    size_t n = x->n - s.unreal;
    s.mean = n ? sum / (double)n : (double)NAN;
    for (size_t i = 0; i < x->n; i++) {
        double v = lg_get_f64(x->dtype, x->data, i);
        square += isfinite(v) ? (v - s.mean) * (v - s.mean) : 0;
    }
    s.std = n ? sqrt(square / (double)n) : (double)NAN;
    return s;
}

static void put_summary(lg_buf *b, const lg_tensor *x) {
    summary s = summary_of(x);
    if (s.unreal < x->n && x->dtype != LG_BOOL) {
        lg_buf_printf(b, "min ");
        lg_show_number(b, s.lo, true);
        lg_buf_printf(b, ", mean ");
        lg_show_number(b, s.mean, true);
        lg_buf_printf(b, ", max ");
        lg_show_number(b, s.hi, true);
    } else if (x->dtype == LG_BOOL) {
        lg_buf_printf(b, "%.0f of %zu true", s.mean * (double)x->n, x->n);
    }
    if (s.unreal)
        lg_buf_printf(b, "%s%zu of %zu not finite", s.unreal < x->n ? ", " : "", s.unreal, x->n);
}

static void put_array(lg_elab *E, lg_buf *b, lg_value *v, const lg_tensor *x, bool brief) {
    lg_format_type(E, b, v, x);
    lg_buf_printf(b, ": ");
    if (brief && x->n > BRIEF) {
        put_summary(b, x);
        return;
    }
    if (x->rank > 1 && !brief)
        b->at[b->n - 1] = '\n';
    lg_show_aligned(b, x, brief ? -1 : 0);
    if (x->n > WHOLE || (x->rank == 1 && x->n > ONE_LINE)) {
        lg_buf_printf(b, "\n");
        put_summary(b, x);
    }
}

/* ---- everything else ---- */

static const char *number_kind(const lg_value *v) {
    return v->num.is_bool ? "bool" : v->num.is_int ? "integer" : "number";
}

static void put_declared(lg_buf *b, const lg_ast *d) {
    if (d->kind == LG_A_DECL)
        lg_print_head(d, b);
    else
        lg_print_node(d, LG_P_LOWEST, b);
    const char *end = d->doc ? strchr(d->doc, '\n') : NULL;
    if (d->doc)
        lg_buf_printf(b, "   # %.*s", (int)(end ? end - d->doc : (long)strlen(d->doc)), d->doc);
}

static void put_cells(lg_buf *b, int rows, int columns, lg_buf *cell) {
    for (int r = 0; r < rows; r++) {
        lg_buf_printf(b, "\n  ");
        for (int c = 0; c < columns; c++) {
            size_t width = 0, n = cell[r * columns + c].n;
            for (int k = 0; k < rows; k++)
                width = cell[k * columns + c].n > width ? cell[k * columns + c].n : width;
            bool left = c < 2;
            lg_buf_printf(
                b, "%*s%s%*s%s", left ? 0 : (int)(width - n), "", n ? cell[r * columns + c].at : "",
                left && c + 1 < columns ? (int)(width - n) : 0, "", c + 1 < columns ? "  " : "");
        }
    }
}

static void put_parameters(lg_elab *E, lg_buf *b, lg_value *v) {
    enum { COLUMNS = 5 };
    static const char *const head[COLUMNS] = {"path", "type", "count", "mean", "std"};
    lg_leaf *leaf;
    int n = lg_v_leaves(E, lg_model_record(E, v), &leaf), rows = 1;
    lg_buf *cell = lg_alloc(sizeof *cell * COLUMNS * (size_t)(n + 1));
    size_t all = 0;
    for (int c = 0; c < COLUMNS; c++)
        lg_buf_printf(&cell[c], "%s", head[c]);
    for (int i = 0; i < n; i++) {
        lg_tensor *made, *x = lg_host_tensor(E, leaf[i].value, &made);
        if (!x)
            continue;
        lg_buf *row = &cell[rows++ * COLUMNS];
        summary s = summary_of(x);
        all += x->n;
        lg_buf_printf(&row[0], "%s", leaf[i].path);
        lg_format_type(E, &row[1], leaf[i].value, x);
        lg_buf_printf(&row[2], "%zu", x->n);
        lg_buf_printf(&row[3], "%.4g", s.mean);
        lg_buf_printf(&row[4], "%.4g", s.std);
        if (s.unreal)
            lg_buf_printf(&row[4], ", %zu not finite", s.unreal);
        lg_tensor_release(made);
    }
    lg_buf_printf(b, "%s: %zu parameters", lg_v_type_text(E, v), all);
    put_cells(b, rows, COLUMNS, cell);
    for (int i = 0; i < (n + 1) * COLUMNS; i++)
        lg_buf_free(&cell[i]);
    lg_free(cell);
}

static void put_data(lg_elab *E, lg_buf *b, lg_value *v) {
    lg_data *d = lg_data_of(E, v, v->at);
    if (!d)
        return;
    lg_buf_printf(b, "data");
    if (d->name)
        lg_buf_printf(b, " %s", d->name);
    if (d->n >= 0)
        lg_buf_printf(b, ": %lld rows", (long long)d->n);
    else
        lg_buf_printf(b, ": rows without end");
    if (d->batch)
        lg_buf_printf(b, " in batches of %lld", (long long)d->batch);
    for (int i = 0; i < d->src->n_cols; i++)
        lg_buf_printf(b, "\n  %s: %s", d->src->col[i].name,
                      d->src->col[i].type ? lg_v_type_text(E, d->src->col[i].type) : "?");
}

static void put_value(lg_elab *E, lg_buf *b, lg_value *v, bool brief);

static void put_record(lg_elab *E, lg_buf *b, lg_value *v) {
    size_t width = 0;
    lg_buf_printf(b, "record of %d", v->rec.n);
    for (int i = 0; i < v->rec.n; i++) {
        size_t n = strlen(v->rec.f[i].name);
        width = n > width && n < 40 ? n : width;
    }
    for (int i = 0; i < v->rec.n && i < FIELDS; i++) {
        lg_buf_printf(b, "\n  %-*s  ", (int)width, v->rec.f[i].name);
        put_value(E, b, v->rec.f[i].value, true);
    }
    if (v->rec.n > FIELDS)
        lg_buf_printf(b, "\n  ... and %d more", v->rec.n - FIELDS);
}

static void put_brief(lg_elab *E, lg_buf *b, lg_value *v) {
    lg_leaf *leaf;
    size_t all = 0;
    int n = lg_v_leaves(E, v, &leaf);
    for (int i = 0; i < n; i++) {
        lg_tensor *made, *x = lg_host_tensor(E, leaf[i].value, &made);
        all += x ? x->n : 0;
        lg_tensor_release(made);
    }
    if (v->kind == LG_V_MODEL)
        lg_buf_printf(b, "%s: %zu parameters", lg_v_type_text(E, v), all);
    else
        lg_buf_printf(b, "record of %d: %zu values", v->rec.n, all);
}

static void put_list(lg_elab *E, lg_buf *b, lg_value *v) {
    lg_buf_printf(b, "list of %d", v->list.n);
    for (int i = 0; i < v->list.n && i < FIELDS; i++) {
        lg_buf_printf(b, "\n  [%d]  ", i);
        put_value(E, b, v->list.at[i], true);
    }
    if (v->list.n > FIELDS)
        lg_buf_printf(b, "\n  ... and %d more", v->list.n - FIELDS);
}

static void put_value(lg_elab *E, lg_buf *b, lg_value *v, bool brief) {
    lg_tensor *made, *x = lg_host_tensor(E, v, &made);
    switch (v->kind) {
    case LG_V_NUM:
        lg_buf_printf(b, "%s: ", number_kind(v));
        lg_format_value(E, b, v, NULL, v->at);
        break;
    case LG_V_STR:
        lg_buf_printf(b, "str: \"");
        lg_print_escaped(v->str ? v->str : "", b);
        lg_buf_printf(b, "\"");
        break;
    case LG_V_TENSOR:
        if (x)
            put_array(E, b, v, x, brief);
        else
            lg_buf_printf(b, "%s", lg_v_type_text(E, v));
        break;
    case LG_V_MODEL:
        if (brief)
            put_brief(E, b, v);
        else
            put_parameters(E, b, v);
        break;
    case LG_V_RECORD:
        if (brief && v->rec.n)
            put_brief(E, b, v);
        else
            put_record(E, b, v);
        break;
    case LG_V_LIST:
        if (x)
            lg_format_value(E, b, v, NULL, v->at);
        else if (brief)
            lg_buf_printf(b, "list of %d", v->list.n);
        else
            put_list(E, b, v);
        break;
    case LG_V_FN:
        put_declared(b, v->fn.decl);
        break;
    case LG_V_DECL:
        put_declared(b, v->decl.decl);
        break;
    case LG_V_BUILTIN:
        lg_buf_printf(b, "%s%s", v->builtin->name,
                      v->builtin->sig && *v->builtin->sig == '(' ? v->builtin->sig : "");
        break;
    case LG_V_DATA:
        put_data(E, b, v);
        break;
    case LG_V_RANGE:
        lg_buf_printf(b, "range: ");
        lg_format_value(E, b, v, NULL, v->at);
        break;
    default:
        lg_buf_printf(b, "%s", lg_v_type_text(E, v));
    }
    lg_tensor_release(made);
}

/* ---- curves ---- */

/* Is this expression about the history of a run? */
static bool of_history(const lg_ast *e) {
    static const char HISTORY[] = "history";
    return e && (e->kind == LG_A_FIELD || e->kind == LG_A_NAME) &&
           (!strcmp(e->name, HISTORY) || (e->kind == LG_A_FIELD && of_history(e->kid[0])));
}

static void put_curve(lg_elab *E, lg_buf *b, lg_sym name, lg_value *v) {
    lg_tensor *made, *x = lg_host_tensor(E, v, &made);
    if (x && x->rank == 1 && x->n > 1) {
        lg_named curve = {.name = name, .x = x};
        lg_buf_printf(b, "\n");
        lg_plot_terminal(b, 1, &curve);
        b->n -= b->n && b->at[b->n - 1] == '\n';
        b->at[b->n] = 0;
    }
    lg_tensor_release(made);
}

void lg_host_display(lg_elab *E, lg_buf *b, lg_value *v, const lg_ast *e) {
    lg_sym name = e && e->kind == LG_A_FIELD ? e->name : lg_intern("loss");
    put_value(E, b, v, false);
    lg_value *h = v->kind == LG_V_RECORD ? lg_v_field(v, lg_intern("history")) : NULL;
    if (of_history(e) && v->kind == LG_V_RECORD)
        h = v;
    if (h && h->kind == LG_V_RECORD) {
        lg_value *loss = lg_v_field(h, lg_intern("loss"));
        if (loss)
            put_curve(E, b, lg_intern("loss"), loss);
    } else if (of_history(e)) {
        put_curve(E, b, name, v);
    }
}

void lg_host_display_brief(lg_elab *E, lg_buf *b, lg_value *v) {
    put_value(E, b, v, true);
    for (size_t i = 0; i < b->n; i++)
        if (b->at[i] == '\n') {
            b->at[b->n = i] = 0;
            break;
        }
}
