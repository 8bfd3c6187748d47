/* emit_op.c: single ops as inline C functions, from the expressions of their descriptors: elements,
 * conversions, joins of rows and of columns. Not for loops (emit_loop.c). */
#include "compiler/back/emitting.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *lg_c_type(lg_dtype t) {
    switch (t) {
    case LG_F64:
        return "double";
    case LG_F32:
        return "float";
    case LG_BF16:
        return "uint16_t";
    case LG_I64:
        return "int64_t";
    case LG_I32:
        return "int32_t";
    case LG_I8:
        return "int8_t";
    case LG_U8:
    case LG_BOOL:
        return "uint8_t";
    case LG_F16:
    case LG_F8E4M3:
    case LG_F8E5M2:
    case LG_N_DTYPES:
        break;
    }
    return NULL;
}

/* ---- what the file has ---- */

enum { FORM_ELEM = 1, FORM_JOIN, FORM_ROW, FORM_COLUMN };

/* True: it was there. Otherwise it is noted now. */
static bool known(lg_unit *u, const lg_op *op, int form, lg_dtype a, lg_dtype b) {
    uintptr_t key = (uintptr_t)form << 16 | (uintptr_t)a << 8 | (uintptr_t)b;
    for (size_t k = 0; k + 1 < u->known.n; k += 2)
        if (u->known.at[k] == op && (uintptr_t)u->known.at[k + 1] == key)
            return true;
    LG_PUSH(u->known, op);
    LG_PUSH(u->known, (const void *)key);
    return false;
}

/* V and B as the expressions use them, for an element type. */
static void set_names(lg_unit *u, lg_dtype t) {
    bool wide = t == LG_F64;
    lg_buf_printf(&u->ops,
                  "#undef V\n#define V(name) lg_##name##_%s\n"
                  "#undef B\n#define B(name) __builtin_##name%s\n",
                  wide ? "f64" : "f32", wide ? "" : "##f");
}

/* ---- elements ---- */

/* Name number k of "(a: N[...S], b: N[...S]) -> ..." */
static bool input_name(const char *sig, int k, char out[16]) {
    int depth = 0;
    const char *s = sig + (*sig == '(');
    for (; *s && k > 0; s++) {
        depth += (*s == '[') - (*s == ']');
        k -= *s == ',' && depth == 0;
    }
    s += strspn(s, " ");
    size_t n = strcspn(s, ":,)");
    if (n == 0 || n > 15 || s[n] != ':')
        return false;
    memcpy(out, s, n);
    out[n] = 0;
    return true;
}

/* The type in which an op computes on elements of type t. */
static const char *inner_type(lg_dtype t) {
    return t == LG_F64 ? "double" : lg_dtype_is_float(t) ? "float" : "int64_t";
}

static void write_elem(lg_unit *u, const lg_op *op, lg_dtype from, lg_dtype to, int n_in,
                       const char *name, const char *text) {
    bool small = from == LG_BF16, flag = to == LG_BOOL;
    char in[16];
    set_names(u, from);
    lg_buf_printf(&u->ops, "LG_MATH %s %s(", lg_c_type(to), name);
    for (int k = 0; k < n_in; k++)
        lg_buf_printf(&u->ops, "%s%s in%d", k ? ", " : "",
                      op->flag_in >> k & 1 ? "uint8_t" : lg_c_type(from), k);
    lg_buf_printf(&u->ops, ") {\n    typedef %s real;\n", inner_type(from));
    for (int k = 0; k < n_in; k++) {
        bool cond = op->flag_in >> k & 1;
        input_name(op->sig, k, in);
        lg_buf_printf(&u->ops, "    %s %s = %s(in%d);\n", cond ? "uint8_t" : inner_type(from), in,
                      small && !cond ? "lg_from_bf16" : "", k);
    }
    lg_buf_printf(&u->ops, "    return %s(%s);\n}\n", small && !flag ? "lg_to_bf16" : "", text);
}

/* As `where` and `guard` do, an op with conditions may move elements without looking at them. */
bool lg_c_elem(lg_unit *u, const lg_op *op, lg_dtype from, lg_dtype to, int n_in, char name[64]) {
    const char *text = lg_dtype_is_float(from) ? op->cexpr : op->cexpr_int;
    char in[16];
    if (!text || !lg_c_type(from) || !lg_c_type(to) || n_in > 8)
        return false;
    for (int k = 0; k < n_in; k++)
        if (!input_name(op->sig, k, in))
            return false;
    snprintf(name, 64, "e_%s_%s", op->name, lg_dtype_name(from));
    if (!known(u, op, FORM_ELEM, from, to))
        write_elem(u, op, from, to, n_in, name, text);
    return true;
}

/* ---- conversions ---- */

/* Expression over x: how runtime/dtype.c gets from one type to the other. */
static void conversion(lg_buf *out, lg_dtype to, lg_dtype from) {
    bool whole = !lg_dtype_is_float(from);
    const char *x = from == LG_BOOL ? "(x != 0)" : from == LG_BF16 ? "lg_from_bf16(x)" : "x";
    if (to == LG_BOOL) {
        lg_buf_printf(out, "%s != 0", x);
    } else if (to == LG_I64) {
        lg_buf_printf(out, whole ? "(int64_t)%s" : "lg_to_i64(%s)", x);
    } else if (lg_dtype_is_int(to)) {
        const char *lo = to == LG_I32 ? "-2147483647 - 1" : to == LG_I8 ? "-128" : "0";
        const char *hi = to == LG_I32 ? "2147483647" : to == LG_I8 ? "127" : "255";
        lg_buf_printf(
            out, whole ? "LG_CLAMPED((int64_t)%s, %s, %s)" : "LG_CLAMPED(lg_to_i64(%s), %s, %s)", x,
            lo, hi);
    } else {
        lg_buf_printf(out, to == LG_BF16 ? "lg_to_bf16(%s)" : "%s", x);
    }
}

bool lg_c_cast(lg_unit *u, lg_dtype to, lg_dtype from, char name[64]) {
    const char *t = lg_c_type(to), *f = lg_c_type(from);
    bool twice = to == LG_BF16 && from != LG_F32 && from != LG_BF16; /* rounds in its own way */
    if (!t || !f || twice)
        return false;
    snprintf(name, 64, "c_%s_%s", lg_dtype_name(from), lg_dtype_name(to));
    if (known(u, &lg_op_cast, FORM_ELEM, from, to))
        return true;
    lg_buf_printf(&u->ops, "LG_MATH %s %s(%s x) {\n    return (%s)(", t, name, f, t);
    if (to == from)
        lg_buf_printf(&u->ops, "x");
    else
        conversion(&u->ops, to, from);
    lg_buf_printf(&u->ops, ");\n}\n");
    return true;
}

/* ---- reductions ---- */

static const char *join_text(const lg_op *op, lg_dtype t) {
    return lg_dtype_is_float(t) ? op->cexpr : op->cexpr_int;
}

/* The join of two results, as a function of a and b. Integers wrap (see the compiler's options). */
static void write_join(lg_unit *u, const lg_op *op, lg_dtype t) {
    if (known(u, op, FORM_JOIN, t, t))
        return;
    lg_buf_printf(&u->ops,
                  "LG_MATH %s j_%s_%s(%s in0, %s in1) {\n    %s a = in0, b = in1;\n"
                  "    return (%s)(%s);\n}\n",
                  lg_c_type(t), op->name, lg_dtype_name(t), lg_c_type(t), lg_c_type(t),
                  inner_type(t), lg_c_type(t), join_text(op, t));
}

static bool is_reducible(const lg_op *op, lg_dtype t) {
    bool wide = t == LG_F32 || t == LG_F64;
    return join_text(op, t) && lg_c_type(t) && (wide || !lg_dtype_is_float(t));
}

static void put_float(lg_buf *out, lg_dtype t, double v) {
    const char *f = t == LG_F32 ? "f" : "";
    if (isinf(v))
        lg_buf_printf(out, "%s__builtin_inf%s()", v < 0 ? "-" : "", f);
    else
        lg_buf_printf(out, "%a%s", v, f);
}

/* Floats by the lanes and trees of vrow.h; integers in any order. */
bool lg_c_row(lg_unit *u, const lg_op *op, lg_dtype t, char name[64]) {
    if (!is_reducible(op, t))
        return false;
    write_join(u, op, t);
    snprintf(name, 64, "r_%s_%s", op->name, lg_dtype_name(t));
    if (known(u, op, FORM_ROW, t, t))
        return true;
    const char *type = lg_c_type(t);
    if (type && lg_dtype_is_float(t)) {
        lg_buf_printf(&u->ops, "LG_ROW(%s, %s, ", name, type);
        put_float(&u->ops, t, op->identity);
        lg_buf_printf(&u->ops, ", 0, %s)\n", op->cexpr);
        return true;
    }
    lg_buf_printf(&u->ops,
                  "LG_MATH %s %s(const %s *x, unsigned long n) {\n    %s a = x[0];\n"
                  "    for (unsigned long i = 1; i < n; i++)\n        a = j_%s_%s(a, x[i]);\n"
                  "    return a;\n}\n",
                  lg_c_type(t), name, lg_c_type(t), lg_c_type(t), op->name, lg_dtype_name(t));
    return true;
}

bool lg_c_column(lg_unit *u, const lg_op *op, lg_dtype t, char name[64]) {
    if (!is_reducible(op, t))
        return false;
    write_join(u, op, t);
    snprintf(name, 64, "f_%s_%s", op->name, lg_dtype_name(t));
    if (!known(u, op, FORM_COLUMN, t, t))
        lg_buf_printf(&u->ops, "LG_COLUMN(%s, %s, j_%s_%s)\n", name, lg_c_type(t), op->name,
                      lg_dtype_name(t));
    return true;
}
