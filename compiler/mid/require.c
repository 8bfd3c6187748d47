/* require.c: `require cond, "text {x}"` in graph code: checked at once when static, otherwise a
 * test of the run, which shows the values that its text names. Called by block.c; contracts of host
 * code are in host/interp.c. */
#include "compiler/front/print.h"
#include "compiler/mid/elab.h"
#include "runtime/show.h"

/* A text and what it names: values of the graph are marked as lg_g_require_of wants it. */
typedef struct {
    lg_buf text, formulas; /* what has no value now is a formula in braces in the second */
    LG_VEC(lg_value *) value;
    bool known; /* all of it, now */
} told;

static bool show_known(lg_elab *E, lg_buf *b, const lg_show *how, const lg_value *v) {
    int64_t i;
    double d;
    if (v->kind == LG_V_STR && v->str)
        lg_show_text(b, v->str, how, false);
    else if (v->kind == LG_V_NUM && v->num.known && v->num.is_bool)
        lg_show_text(b, v->num.i ? "true" : "false", how, false);
    else if (lg_v_static_int(E, v, &i))
        lg_show_int(b, i, how);
    else if (lg_v_static_real(E, v, &d))
        lg_show_real(b, d, false, how);
    else
        return false;
    return true;
}

/* Another run of the same plan has another value here: known now or not, it is the run's. */
static bool is_of_run(lg_elab *E, const lg_value *v) {
    if (v->kind == LG_V_NUM)
        return v->num.varies && v->num.known && !LG_CHECKING(E);
    const lg_node *x = v->kind == LG_V_TENSOR ? v->t.node : NULL;
    return x && (x->op != &lg_op_const || x->attr.tensor->varies);
}

static void tell_piece(lg_elab *E, told *t, const lg_ast *e, lg_value *v) {
    lg_show how;
    lg_buf b = {0};
    if (!lg_show_parse(e->text && *e->text ? e->text : NULL, &how)) {
        lg_err(E, "E0241", e->span, "`%s` is not a format", e->text);
        return;
    }
    bool known = show_known(E, &b, &how, v);
    if (!known)
        lg_buf_printf(&b, "{%s}", lg_ast_text(E->arena, e->kid[0]));
    t->known = t->known && known;
    lg_buf_put(&t->formulas, b.at, b.n);
    if (is_of_run(E, v) || (!known && v->kind == LG_V_TENSOR && v->t.node)) {
        lg_buf_printf(&t->text, "\1:%s\2", e->text ? e->text : "");
        LG_PUSH(t->value, lg_to_tensor(E, v, LG_NO_DTYPE, e->span));
    } else
        lg_buf_put(&t->text, b.at, b.n);
    lg_buf_free(&b);
}

static void tell_text(told *t, const char *text) {
    lg_buf_printf(&t->text, "%s", text);
    lg_buf_printf(&t->formulas, "%s", text);
}

static void forget(told *t) {
    lg_buf_free(&t->text);
    lg_buf_free(&t->formulas);
    lg_free(t->value.at);
}

static told tell(lg_elab *E, const lg_ast *s) {
    told t = {.known = true};
    const lg_ast *e = s->kid[1];
    if (e && e->kind == LG_A_STR) {
        tell_text(&t, "");
        for (uint32_t k = 0; k < e->n; k++)
            if (e->kid[k]->kind == LG_A_INTERP)
                tell_piece(E, &t, e->kid[k], lg_expr(E, e->kid[k]->kid[0]));
            else
                tell_text(&t, e->kid[k]->text);
        return t;
    }
    lg_value *v = e ? lg_expr(E, e) : NULL;
    bool text = v && v->kind == LG_V_STR && v->str;
    tell_text(&t, text ? v->str : lg_txt(E, "required: %s", lg_ast_text(E->arena, s->kid[0])));
    return t;
}

/* What is known to be false is reported now. Values of host code are known now, too. Where a call
 * breaks a contract, what its body would do further on is no news. */
static void broken(lg_elab *E, lg_frame *f, const lg_ast *s, const told *t) {
    const char *text = t->formulas.at;
    if (!t->known && E->host && E->host_text) {
        lg_value *v = E->host_text(E, s->kid[1]);
        text = v->kind == LG_V_STR && v->str ? v->str : text;
    }
    int muted = E->diags->muted;
    if (E->contracts)
        E->diags->muted = 0;
    lg_err(E, "E0231", s->span, "%s", text);
    E->diags->muted = muted;
    bool ends = f->kind == LG_F_FN || f->kind == LG_F_RULE || f->kind == LG_F_MODEL;
    if (ends && !f->result)
        f->result = lg_v_error(E, s->span);
}

/* The axes of the condition that the open indices of a value are, as letters; none where one is not
 * there: such a value is shown whole. */
static void put_axes(lg_buf *b, const lg_value *cond, const lg_value *v) {
    char axes[LG_MAX_RANK];
    for (int i = 0; i < v->t.n_open; i++) {
        int k = 0;
        while (k < cond->t.n_open && cond->t.open[k] != v->t.open[i])
            k++;
        if (k == cond->t.n_open)
            return;
        axes[i] = (char)('a' + k);
    }
    lg_buf_put(b, axes, (size_t)v->t.n_open);
}

/* A test of the run. */
static void test(lg_elab *E, const lg_ast *s, const lg_value *cond, const told *t) {
    lg_buf b = {0};
    lg_node **in = lg_alloc(sizeof(lg_node *) * (t->value.n + 1));
    size_t k = 0;
    for (const char *p = t->text.at; *p; p++) {
        if (*p != '\1' || k == t->value.n) {
            lg_buf_put(&b, p, 1);
            continue;
        }
        lg_buf_put(&b, "\1", 1);
        put_axes(&b, cond, t->value.at[k]);
        in[k] = lg_import(E, t->value.at[k]->t.node);
        k++;
        while (*++p != ':')
            ;
        lg_buf_put(&b, p, 1);
    }
    const char *leaf = lg_rule_leaf(E);
    if (*leaf)
        lg_buf_printf(&b, " (parameter `%s`)", leaf);
    lg_node *c = lg_import(E, cond->t.node);
    lg_g_require_of(E->g, c, (int)k, in, b.at ? b.at : "", s->span);
    lg_free(in);
    lg_buf_free(&b);
}

void lg_require(lg_elab *E, lg_frame *f, const lg_ast *s) {
    lg_value *c = lg_expr(E, s->kid[0]);
    told t = tell(E, s);
    bool yes;
    bool is_bool =
        c->kind == LG_V_NUM ? c->num.is_bool : c->kind == LG_V_TENSOR && c->t.dtype == LG_BOOL;
    if (c->kind == LG_V_ERROR)
        ;
    else if (lg_v_static_bool(E, c, &yes)) {
        if (!yes)
            broken(E, f, s, &t);
    } else if (!is_bool && c->kind != LG_V_OPAQUE)
        lg_err(E, "E0206", s->kid[0]->span, "`require` wants a bool, got %s", lg_v_type_text(E, c));
    else if (LG_CHECKING(E))
        lg_late(E, s->span, "require %s", lg_ast_text(E->arena, s->kid[0]));
    else if (c->kind == LG_V_TENSOR)
        test(E, s, c, &t);
    forget(&t);
}

const char *lg_require_text(lg_elab *E, const lg_ast *s) {
    told t = tell(E, s);
    const char *text = lg_intern(t.formulas.at);
    forget(&t);
    return text;
}
