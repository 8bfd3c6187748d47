/* format.c: values as text: numbers and arrays (runtime/show.c), records by field; strings with
 * their {expr:format} pieces. Not for where text goes. */
#include "compiler/host/inside.h"
#include "runtime/show.h"

static const char FORMS[] =
    "a format is [<][+][0][width][,][.digits][type] with type one of d f e g % x s";

static void put_value(lg_elab *E, lg_buf *b, lg_value *v, const lg_show *f, int depth) {
    switch (v->kind) {
    case LG_V_NUM:
        if (!v->num.known)
            lg_buf_printf(b, "?");
        else if (v->num.is_bool)
            lg_show_text(b, v->num.i ? "true" : "false", f, false);
        else if (v->num.is_int)
            lg_show_int(b, v->num.i, f);
        else
            lg_show_real(b, v->num.d, false, f);
        break;
    case LG_V_STR:
        lg_show_text(b, v->str ? v->str : "?", f, false);
        break;
    case LG_V_TENSOR: {
        lg_tensor *made, *x = lg_host_tensor(E, v, &made);
        if (x)
            lg_show_array(b, x, f, -1);
        else
            lg_buf_printf(b, "%s", lg_v_type_text(E, v));
        break;
    }
    case LG_V_MODEL:
        if (depth == 0) {
            put_value(E, b, lg_model_record(E, v), f, depth + 1);
            break;
        }
        lg_buf_printf(b, "%s", lg_v_type_text(E, v));
        break;
    case LG_V_RECORD:
        lg_buf_put(b, "{", 1);
        for (int i = 0; i < v->rec.n; i++) {
            lg_buf_printf(b, "%s%s: ", i ? ", " : "", v->rec.f[i].name);
            put_value(E, b, v->rec.f[i].value, f, depth + 1);
        }
        lg_buf_put(b, "}", 1);
        break;
    case LG_V_LIST:
        lg_buf_put(b, "[", 1);
        for (int i = 0; i < v->list.n; i++) {
            if (i)
                lg_buf_printf(b, ", ");
            put_value(E, b, v->list.at[i], f, depth + 1);
        }
        lg_buf_put(b, "]", 1);
        break;
    case LG_V_RANGE:
        put_value(E, b, v->range.lo, f, depth + 1);
        lg_buf_printf(b, "..");
        put_value(E, b, v->range.hi, f, depth + 1);
        break;
    default:
        lg_buf_printf(b, "%s", lg_v_type_text(E, v));
    }
}

void lg_format_value(lg_elab *E, lg_buf *b, lg_value *v, const char *text, lg_span at) {
    lg_show f;
    if (!lg_show_parse(text, &f)) {
        lg_diag *d = lg_err(E, "E0241", at, "`%s` is not a format", text);
        lg_diag_help(d, "%s", FORMS);
        return;
    }
    put_value(E, b, v, &f, 0);
}

static void put_type(lg_elab *E, lg_buf *b, const lg_value *v, const lg_tensor *x) {
    lg_buf_printf(b, "%s[", lg_dtype_name(x->dtype));
    for (int i = 0; i < x->rank; i++) {
        const char *name = lg_dim_text(E->arena, v->t.dim[i]);
        int64_t n;
        if (lg_dim_is_num(v->t.dim[i], &n))
            lg_buf_printf(b, "%s%lld", i ? ", " : "", (long long)x->shape[i]);
        else
            lg_buf_printf(b, "%s%s = %lld", i ? ", " : "", name, (long long)x->shape[i]);
    }
    lg_buf_printf(b, "]");
}

/* An array by itself: its type with the names of its dims, then its rows. */
void lg_format_array(lg_elab *E, lg_buf *b, lg_value *v) {
    lg_tensor *made, *x = lg_host_tensor(E, v, &made);
    lg_show f;
    lg_show_parse(NULL, &f);
    if (!x || v->kind != LG_V_TENSOR || x->rank < 2) {
        put_value(E, b, v, &f, 0);
        return;
    }
    put_type(E, b, v, x);
    lg_buf_printf(b, "\n");
    lg_show_array(b, x, &f, 0);
}

void lg_format_type(lg_elab *E, lg_buf *b, const lg_value *v, const lg_tensor *x) {
    if (x->rank)
        put_type(E, b, v, x);
    else
        lg_buf_printf(b, "%s", lg_dtype_name(x->dtype));
}

char *lg_format_text(lg_elab *E, const lg_ast *str, lg_value_of_fn value, void *ctx) {
    lg_buf b = {0};
    lg_buf_put(&b, "", 0);
    for (uint32_t i = 0; i < str->n; i++) {
        const lg_ast *k = str->kid[i];
        if (k->kind == LG_A_TEXT) {
            lg_buf_printf(&b, "%s", k->text);
            continue;
        }
        lg_value *v = value(ctx, E, k->kid[0]);
        if (v->kind != LG_V_ERROR)
            lg_format_value(E, &b, v, k->text && *k->text ? k->text : NULL, k->span);
    }
    return b.at ? b.at : lg_alloc(1);
}
