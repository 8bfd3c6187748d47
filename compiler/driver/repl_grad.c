/* repl_grad.c: `:grad E wrt X`: the derivative as formulas in the names that are in view. The
 * derivative is the one the language takes; its graph is simplified and written back. What stands
 * between X and E may have been computed in earlier statements: they are part of the function. */
#include "compiler/driver/formula.h"
#include "compiler/driver/repl.h"
#include "compiler/front/parse.h"
#include "compiler/mid/passes.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool taken(void *ctx, lg_sym name) {
    lg_repl *R = ctx;
    return lg_lookup_user(R->in.E, R->module->frame, name) || lg_builtin_find(name);
}

static bool wrong_use(lg_repl *R, const char *message) {
    lg_diag *d = lg_diag_add(&R->in.ds, "E0713", (lg_span){0}, "%s", message);
    lg_diag_help(d, ":grad E wrt X, as in `:grad mean((x @ w - y)^2) wrt w`");
    return false;
}

/* A name, or a parameter of a model by its path: `net.l1.w`, `net.blk[0].w`. */
static bool is_path(const char *s) {
    bool ok = isalpha((unsigned char)*s) || *s == '_';
    for (; *s && ok; s++)
        ok = isalnum((unsigned char)*s) || (*s && strchr("_.[]", *s));
    return ok;
}

/* `grad(fn (X) { let ...; return E }, at=X)`, an expression of which is then taken apart. */
static const lg_ast *derivative(lg_repl *R, const char *e, const char *x) {
    lg_buf b = {0};
    lg_buf_printf(&b, "grad(fn (%s) {\n", x);
    lg_repl_between(R, x, e, &b);
    lg_buf_printf(&b, "return %s\n}, at=%s)", e, x);
    const lg_ast *t = lg_repl_expression(R, b.at);
    lg_buf_free(&b);
    return t;
}

/* d_w, d_net_l1_w */
static const char *result_name(const char *x, const char *path) {
    lg_buf b = {0};
    lg_buf_printf(&b, "d_%s%s%s", x, *path ? "_" : "", path);
    for (size_t i = 0; i < b.n; i++)
        if (!isalnum((unsigned char)b.at[i]))
            b.at[i] = '_';
    const char *s = lg_intern(b.at);
    lg_buf_free(&b);
    return s;
}

/* Only the outputs whose path is `within` or below it. */
static bool narrow(lg_repl *R, lg_host_picture *p, const char *x, const char *within) {
    size_t n = strlen(within);
    int kept = 0;
    for (int k = 0; k < p->n_out; k++) {
        const char *path = p->path[k];
        if (n && (strncmp(path, within, n) || (path[n] && !strchr(".[", path[n]))))
            continue;
        p->path[kept] = path;
        p->g->output.at[kept++] = p->g->output.at[k];
    }
    p->n_out = kept;
    p->g->output.n = (size_t)kept;
    if (!kept)
        lg_diag_add(&R->in.ds, "E0713", (lg_span){0}, "`%s` has no parameter `%s`", x, within);
    return kept;
}

static bool put_formulas(lg_repl *R, const lg_host_picture *p, const char *x) {
    lg_elab *E = R->in.E;
    const char **result = LG_NEW_N(E->arena, const char *, p->n_out + 1);
    for (int k = 0; k < p->n_out; k++)
        result[k] = result_name(x, p->path[k]);
    const lg_node *why;
    lg_formula_of of = {E, p->g, p->n_in, p->name, p->dim, taken, R};
    lg_ast *block = lg_formula(&of, p->n_out, result, &why);
    if (!block) {
        lg_diag *d =
            lg_diag_add(&R->in.ds, "E0715", why->span,
                        "this derivative has a part without a formula: `%s`", why->op->name);
        lg_diag_help(d, "`grad(fn (%s) = ..., at=%s)` computes it", x, x);
        return false;
    }
    lg_buf b = {0};
    lg_print_tree(block, &b);
    printf("%s", b.n ? b.at : "");
    lg_buf_free(&b);
    return true;
}

bool lg_repl_grad(lg_repl *R, const char *text) {
    const char *wrt = NULL;
    for (const char *p = text; (p = strstr(p, " wrt ")); p++)
        wrt = p;
    if (!wrt)
        return wrong_use(R, "`:grad` wants what is differentiated and by what");
    const char *e = lg_arena_printf(R->in.arena, "%.*s", (int)(wrt - text), text);
    const char *whole = wrt + 5 + strspn(wrt + 5, " ");
    if (!is_path(whole))
        return wrong_use(R, "what stands behind `wrt` is a name, or a parameter by its path");
    size_t n = strcspn(whole, ".[");
    const char *x = lg_arena_printf(R->in.arena, "%.*s", (int)n, whole);
    const lg_ast *call = derivative(R, e, x);
    lg_host_picture p;
    if (!call || R->in.ds.errors || !lg_host_picture_of(R->in.E, R->module, call, &p))
        return false;
    bool ok = narrow(R, &p, x, whole + n + (whole[n] == '.'));
    lg_pass_simplify(p.g);
    ok = ok && put_formulas(R, &p, x);
    lg_graph_free(p.g);
    return ok;
}
