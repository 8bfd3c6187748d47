/* call_foreign.c: calls of functions from shared libraries, as nodes of the op `foreign`. Not for
 * what happens at the call in a run (runtime/ffi.c). Called by call.c. */
#include "compiler/mid/calling.h"
#include "compiler/mid/traced.h"
#include "runtime/io.h"
#include <string.h>
#include <unistd.h>

/* ---- foreign functions ---- */

/* A library that stands in the working directory or beside the program; else the name, for the
 * system to find. */
static const char *library(lg_elab *E, const lg_ast *from) {
    const char *name = from->kind == LG_A_STR && from->n == 1 ? from->kid[0]->text : "";
    char *found = lg_io_find(name, lg_source_name(from->span.file));
    bool here = access(found, F_OK) == 0;
    const char *path = !here                ? name
                       : strchr(found, '/') ? lg_txt(E, "%s", found)
                                            : lg_txt(E, "./%s", found);
    lg_free(found);
    return path;
}

/* In order: arrays and numbers as they are, text as bytes; attr.text = library, newline, symbol;
 * p[0]: which inputs are text, p[1]: is the result a number. */
lg_value *lg_call_foreign(lg_elab *E, lg_frame *f, const lg_ast *decl, lg_span at) {
    const lg_ast *params = decl->kid[LG_D_PARAMS], *type = decl->kid[LG_D_TYPE];
    if (!type || type->kind != LG_A_TYPE) {
        lg_err(E, "E0444", decl->span, "a foreign function states the type of its result");
        return lg_v_error(E, at);
    }
    lg_value *r = lg_type_result(E, f, type, at);
    uint32_t n = params ? params->n : 0;
    lg_value **given = LG_NEW_N(E->arena, lg_value *, n + 1);
    for (uint32_t i = 0; i < n; i++)
        given[i] = lg_find_local(f, params->kid[i]->name, false)->value;
    if (E->traced && r->kind == LG_V_TENSOR)
        lg_traced_foreign(E, r, decl->name, (int)n, given, at);
    if (LG_CHECKING(E) || r->kind != LG_V_TENSOR)
        return r;
    if (!E->allow_foreign) {
        lg_diag *d = lg_err(E, "E0445", at, "`%s` is foreign code", decl->name);
        lg_diag_help(d, "run with --allow-foreign to let it");
        return lg_v_error(E, at);
    }
    lg_node **in = LG_NEW_N(E->arena, lg_node *, n + 1);
    lg_index **open;
    int n_open = lg_open_union(E, (int)n, given, &open);
    const char *path = library(E, decl->kid[LG_D_FROM]);
    lg_attr attr = {.text = lg_txt(E, "%s\n%s", path, decl->name)};
    for (uint32_t i = 0; i < n; i++) {
        lg_value *v = given[i];
        if (v->kind == LG_V_ERROR)
            return v;
        if (v->kind == LG_V_STR) {
            int64_t len = (int64_t)strlen(v->str) + 1;
            lg_tensor *x = lg_tensor_new(LG_U8, 1, &len);
            memcpy(x->data, v->str, (size_t)len);
            in[i] = lg_g_const(E->g, x, at);
            lg_tensor_release(x);
            attr.p[0] |= (int64_t)1 << i;
            continue;
        }
        lg_dtype t = params->kid[i]->kid[0] ? lg_type_dtype(E, f, params->kid[i]->kid[0]) : LG_F64;
        v = lg_to_tensor(E, v, t, at);
        if (v->kind != LG_V_TENSOR) {
            lg_err(E, "E0444", at, "`%s` cannot be passed to a foreign function",
                   params->kid[i]->name);
            return lg_v_error(E, at);
        }
        in[i] = lg_g_cast(E->g, lg_node_as(E, v, n_open, open, v->t.rank, v->t.dim, at), t, at);
    }
    r = lg_v_open(E, r->t.dtype, n_open, open, r->t.rank, r->t.dim, NULL, at);
    lg_type out = {.dtype = r->t.dtype, .rank = n_open + r->t.rank};
    for (int i = 0; i < out.rank; i++)
        out.shape[i] = lg_dim_size(E, i < n_open ? open[i]->dim : r->t.dim[i - n_open], at);
    attr.nb = n_open;
    attr.p[1] = !type->n && !(type->flags & LG_AF_SQUARE);
    const lg_op *op = lg_op_find("foreign");
    r->t.node = lg_g_item(E->g, lg_g_kernel(E->g, op, (int)n, in, 1, &out, &attr, at), 0);
    return r;
}
