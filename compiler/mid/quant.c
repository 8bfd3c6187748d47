/* quant.c: quantizers: what they learn (observe), encode and decode, and what a call does. Their
 * states stand with those of models. Not for which paths are quantized: trains say that. */
#include "compiler/mid/model.h"
#include <string.h>

typedef struct {
    const lg_ast *decl;
    lg_frame *frame; /* hyperparameters and lets */
} quant;

static bool is_decl(const lg_ast *s, const char *w) {
    return s->kind == LG_A_DECL && s->text && !strcmp(s->text, w);
}

static const lg_ast *function_of(const quant *q, const char *name) {
    const lg_ast *block = q->decl->kid[LG_D_BLOCK];
    for (uint32_t i = 0; block && i < block->n; i++)
        if (is_decl(block->kid[i], "fn") && block->kid[i]->name &&
            !strcmp(block->kid[i]->name, name))
            return block->kid[i];
    return NULL;
}

/* ---- making ---- */

static lg_frame *hyper_frame(lg_elab *E, const lg_ast *decl, lg_frame *env, lg_span at) {
    lg_frame *f = lg_frame_new(E, LG_F_MODEL, env);
    f->decl = decl;
    f->call_at = at;
    f->self = NULL;
    f->float_dtype = E->frame ? E->frame->float_dtype : E->float_dtype;
    return f;
}

static lg_value *construct(lg_elab *E, const lg_ast *decl, lg_frame *f, lg_span at) {
    const lg_ast *block = decl->kid[LG_D_BLOCK];
    for (uint32_t i = 0; block && i < block->n; i++) {
        const lg_ast *s = block->kid[i];
        if (s->kind == LG_A_LET || s->kind == LG_A_REQUIRE || is_decl(s, "dim"))
            lg_statement(E, f, s);
        else if (!is_decl(s, "state") && !is_decl(s, "fn") && s->kind != LG_A_ERROR)
            lg_err(E, "E0454", s->span, "this does not stand in a quantizer");
    }
    quant *q = LG_NEW(E->arena, quant);
    *q = (quant){decl, f};
    lg_value *v = lg_v_new(E, LG_V_QUANT, at);
    v->quant.decl = decl;
    v->quant.env = f;
    v->quant.ident = q;
    return v;
}

lg_value *lg_quant_make(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                        lg_span at) {
    for (int i = 0; i < n; i++)
        if (arg[i].value->kind == LG_V_ERROR)
            return lg_v_error(E, at);
    if (lg_tried_unsound(E, decl))
        return lg_v_error(E, at);
    lg_frame *f = hyper_frame(E, decl, env, at);
    if (!lg_bind_params(E, f, decl->kid[LG_D_PARAMS], n, arg, at, decl->name))
        return lg_v_error(E, at);
    quant q = {decl, f};
    bool whole =
        function_of(&q, "call") || (function_of(&q, "encode") && function_of(&q, "decode"));
    return whole ? construct(E, decl, f, at) : lg_v_error(E, at); /* lg_quant_check says why */
}

/* ---- the frame of a use ---- */

static lg_value *member_fn(lg_elab *E, lg_frame *f, const lg_ast *decl) {
    lg_value *v = lg_v_new(E, LG_V_FN, decl->span);
    v->fn.decl = decl;
    v->fn.env = f;
    return v;
}

/* `path`: the quantized place, under which the states stand; NULL: first values, nothing is kept.
 */
static lg_frame *instance(lg_elab *E, const quant *q, const char *path) {
    const lg_ast *block = q->decl->kid[LG_D_BLOCK];
    lg_frame *f = lg_frame_new(E, LG_F_MODEL, q->frame);
    f->self = f;
    f->decl = q->decl;
    uint32_t most = block && block->n ? block->n : 1;
    lg_instance *inst = LG_NEW(E->arena, lg_instance);
    inst->state = LG_NEW_N(E->arena, lg_instance_state, most);
    lg_value **init = LG_NEW_N(E->arena, lg_value *, most);
    for (uint32_t i = 0; block && i < block->n; i++) {
        const lg_ast *s = block->kid[i];
        if (is_decl(s, "state") && s->name && !lg_guarded_out(E, q->frame, s)) {
            init[inst->n] = lg_initial(E, q->frame, s);
            const char *where = path ? lg_txt(E, "%s.quantizer.%s", path, s->name) : NULL;
            inst->state[inst->n] = (lg_instance_state){s->name, where, init[inst->n]};
            inst->n++;
        } else if (is_decl(s, "fn") && s->name) {
            lg_bind(E, f, s->name, member_fn(E, f, s), s->span);
        }
    }
    inst->sees_next = true;
    lg_instance_bind(E, f, inst, init);
    return f;
}

static lg_value *call_member(lg_elab *E, const quant *q, lg_frame *f, const char *name, int n,
                             lg_value *const *value, lg_span at) {
    const lg_ast *fn = function_of(q, name);
    if (!fn) {
        lg_diag *d = lg_err(E, "E0454", at, "quantizer `%s` has no `fn %s`", q->decl->name, name);
        lg_diag_help(d, "it needs `encode` and `decode`, or a `call` of its own");
        return lg_v_error(E, at);
    }
    lg_arg arg[2];
    for (int i = 0; i < n; i++) {
        if (value[i]->kind == LG_V_ERROR)
            return lg_v_error(E, at);
        arg[i] = (lg_arg){NULL, value[i], NULL, value[i]->at};
    }
    return lg_value_seen_from(E, E->frame, lg_call_decl(E, fn, f, f, n, arg, at));
}

/* The value of y with the derivative of x: x + stop_grad(y - x) would round, so the difference of
 * constants is added to what is exactly y. */
static lg_value *straight_through(lg_elab *E, lg_value *x, lg_value *y, lg_span at) {
    if (x->kind == LG_V_ERROR || y->kind == LG_V_ERROR || x->kind == LG_V_OPAQUE)
        return y;
    bool fits = y->kind == LG_V_TENSOR && x->kind == LG_V_TENSOR && y->t.rank == x->t.rank &&
                y->t.dtype == x->t.dtype;
    for (int d = 0; fits && d < x->t.rank; d++)
        fits = lg_dims_match(x->t.dim[d], y->t.dim[d]);
    if (!fits) {
        lg_err(E, "E0455", at, "decode gives %s for %s: it must give back the same dims",
               lg_v_type_text(E, y), lg_v_type_text(E, x));
        return lg_v_error(E, at);
    }
    lg_value *zero = lg_binary(E, "-", x, lg_stop_grad(E, x), at);
    lg_value *r = lg_v_copy(E, lg_binary(E, "+", lg_stop_grad(E, y), zero, at));
    if (r->kind == LG_V_TENSOR)
        r->t.dim = x->t.dim;
    return r;
}

static bool mentions(const lg_ast *t, lg_sym name) {
    if (!t)
        return false;
    if ((t->kind == LG_A_NAME || t->kind == LG_A_INDEXPAT) && t->name == name)
        return true;
    for (uint32_t i = 0; i < t->n; i++)
        if (mentions(t->kid[i], name))
            return true;
    return false;
}

/* observe(w, input): learns what later functions of this use see. The derivative does not see it.
 */
static void observe(lg_elab *E, const quant *q, lg_frame *f, lg_value *x, lg_value *input,
                    lg_span at) {
    const lg_ast *fn = function_of(q, "observe");
    if (!fn)
        return;
    const lg_ast *params = fn->kid[LG_D_PARAMS];
    uint32_t n = params ? params->n : 0;
    if (n > 1 && !input) {
        const lg_ast *body = fn->kid[LG_D_BLOCK] ? fn->kid[LG_D_BLOCK] : fn->kid[LG_D_VALUE];
        if (mentions(body, params->kid[1]->name)) {
            lg_diag *d =
                lg_err(E, "E0456", at, "quantizer `%s` looks at `%s`, and there is none here",
                       q->decl->name, params->kid[1]->name);
            lg_diag_note(d, "it is the first argument of the part whose call uses the parameter");
            return;
        }
        input = x; /* not looked at */
    }
    lg_value *two[2] = {lg_stop_grad(E, x), input ? lg_stop_grad(E, input) : NULL};
    call_member(E, q, f, "observe", n > 1 ? 2 : (int)n, two, at);
}

static lg_value *use(lg_elab *E, const quant *q, lg_frame *f, lg_value *x, lg_span at) {
    if (function_of(q, "call"))
        return call_member(E, q, f, "call", 1, &x, at);
    lg_value *codes = call_member(E, q, f, "encode", 1, &x, at);
    lg_value *y = call_member(E, q, f, "decode", 1, &codes, at);
    return straight_through(E, x, y, at);
}

lg_value *lg_quant_use(lg_elab *E, lg_value *v, const char *path, lg_value *x, lg_value *input,
                       lg_span at) {
    const quant *q = v->quant.ident;
    lg_frame *f = instance(E, q, path);
    if (E->step && E->step->training)
        observe(E, q, f, x, input, at);
    return use(E, q, f, x, at);
}

/* q(x): in a call of its own a quantizer learns from x itself, for this call. */
lg_value *lg_quant_call(lg_elab *E, lg_value *v, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"w"};
    const quant *q = v->quant.ident;
    lg_value *x;
    if (!lg_args(E, q->decl->name, n, arg, at, 1, names, 1, &x))
        return lg_v_error(E, at);
    lg_frame *f = instance(E, q, NULL);
    x = lg_arrayed(E, x, at);
    observe(E, q, f, x, NULL, at);
    return use(E, q, f, x, at);
}

/* ---- codes in place of arrays ---- */

typedef struct {
    lg_builtin head;
    lg_value *quant;
} bound;

static lg_value *of_bound(const lg_builtin *b) {
    return ((const bound *)(const void *)b)->quant;
}

bool lg_is_codes(const lg_value *v) {
    return v && v->kind == LG_V_RECORD && v->rec.quant;
}

/* The codes of an array, from what it says itself. */
static lg_value *encode_one(lg_elab *E, lg_value *quantizer, lg_value *x, lg_span at) {
    const quant *q = quantizer->quant.ident;
    lg_frame *f = instance(E, q, NULL);
    x = lg_arrayed(E, x, at);
    observe(E, q, f, x, NULL, at);
    lg_value *r = call_member(E, q, f, "encode", 1, &x, at);
    if (r->kind != LG_V_RECORD)
        return r;
    r = lg_v_copy(E, r);
    r->rec.quant = quantizer;
    return r;
}

/* q.encode(x): codes of an array, or of each leaf of a record under its path. */
static lg_value *encode(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"w"};
    lg_value *x;
    if (!lg_args(E, "encode", n, arg, at, 1, names, 1, &x))
        return lg_v_error(E, at);
    if (x->kind == LG_V_MODEL)
        x = lg_model_record(E, x);
    if (x->kind != LG_V_RECORD)
        return encode_one(E, of_bound(b), x, at);
    lg_leaf *leaf;
    int k = lg_v_leaves(E, x, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, k ? k : 1);
    for (int i = 0; i < k; i++)
        out[i] = encode_one(E, of_bound(b), leaf[i].value, at);
    return lg_v_rebuild(E, x, out);
}

/* A record whose fields are records is one of codes by path. */
static bool is_by_path(const lg_value *v) {
    if (v->kind == LG_V_LIST && v->list.n)
        return v->list.at[0]->kind == LG_V_RECORD;
    return v->kind == LG_V_RECORD && !v->rec.quant && v->rec.n &&
           (v->rec.f[0].value->kind == LG_V_RECORD || v->rec.f[0].value->kind == LG_V_LIST);
}

static lg_value *decode_all(lg_elab *E, lg_value *quantizer, lg_value *v, lg_span at) {
    const quant *q = quantizer->quant.ident;
    if (!is_by_path(v))
        return call_member(E, q, instance(E, q, NULL), "decode", 1, &v, at);
    lg_value *r = lg_v_copy(E, v);
    if (v->kind == LG_V_LIST) {
        r->list.at = LG_NEW_N(E->arena, lg_value *, v->list.n);
        for (int i = 0; i < v->list.n; i++)
            r->list.at[i] = decode_all(E, quantizer, v->list.at[i], at);
        return r;
    }
    r->rec.f = lg_arena_dup(E->arena, v->rec.f, sizeof *v->rec.f * (size_t)v->rec.n);
    for (int i = 0; i < v->rec.n; i++)
        r->rec.f[i].value = decode_all(E, quantizer, v->rec.f[i].value, at);
    return r;
}

/* q.decode(codes): the array, or those of a record of codes by path. */
static lg_value *decode(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"q"};
    lg_value *v;
    if (!lg_args(E, "decode", n, arg, at, 1, names, 1, &v))
        return lg_v_error(E, at);
    return v->kind == LG_V_ERROR ? v : decode_all(E, of_bound(b), v, at);
}

lg_value *lg_quant_decoded(lg_elab *E, lg_value *codes, lg_span at) {
    return decode_all(E, codes->rec.quant, codes, at);
}

int lg_quant_args(lg_elab *E, const lg_value *v, lg_sym **name, lg_value ***value) {
    const quant *q = v->quant.ident;
    const lg_ast *params = q->decl->kid[LG_D_PARAMS];
    int n = 0, most = params ? (int)params->n : 0;
    *name = LG_NEW_N(E->arena, lg_sym, most + 1);
    *value = LG_NEW_N(E->arena, lg_value *, most + 1);
    for (int i = 0; i < most; i++) {
        lg_binding *b = lg_find_local(q->frame, params->kid[i]->name, false);
        if (!b || b->state != LG_B_VALUE)
            continue;
        (*name)[n] = params->kid[i]->name;
        (*value)[n++] = b->value;
    }
    return n;
}

static lg_value *bound_to(lg_elab *E, lg_value *quantizer, const lg_builtin *head) {
    bound *b = LG_NEW(E->arena, bound);
    *b = (bound){*head, quantizer};
    lg_value *v = lg_v_new(E, LG_V_BUILTIN, quantizer->at);
    v->builtin = &b->head;
    return v;
}

static const lg_builtin encoder = {.name = "encode",
                                   .sig = "(w) -> codes",
                                   .call = encode,
                                   .doc = "Codes of w, after a look at w itself; of a record, leaf "
                                          "by leaf."},
                        decoder = {.name = "decode",
                                   .sig = "(q) -> float",
                                   .call = decode,
                                   .doc =
                                       "The values of codes; of a record of codes, path by path."};

lg_value *lg_quant_member(lg_elab *E, lg_value *v, lg_sym name, lg_span at) {
    const quant *q = v->quant.ident;
    const lg_ast *fn = function_of(q, name);
    if (fn && !strcmp(name, "encode"))
        return bound_to(E, v, &encoder);
    if (fn && !strcmp(name, "decode"))
        return bound_to(E, v, &decoder);
    if (fn)
        return member_fn(E, instance(E, q, NULL), fn);
    lg_binding *b = lg_find_local(q->frame, name, false);
    if (b)
        return lg_force(E, q->frame, b, at);
    lg_err(E, "E0453", at, "quantizer `%s` has no `%s`", q->decl->name, name);
    return lg_v_error(E, at);
}

/* What is decoded must be of the type that was encoded: tried on what `encode` says it takes. */
static void check_round_trip(lg_elab *E, const quant *q, lg_frame *env) {
    const lg_ast *encode = function_of(q, "encode"), *decode = function_of(q, "decode");
    const lg_ast *params = encode ? encode->kid[LG_D_PARAMS] : NULL;
    const lg_ast *type = params && params->n ? params->kid[0]->kid[0] : NULL;
    if (!decode || function_of(q, "call") || !type || type->kind != LG_A_TYPE)
        return;
    lg_frame *was = E->frame, *f = lg_frame_new(E, LG_F_FN, env);
    f->caller = NULL;
    E->frame = f;
    lg_value *x = lg_type_placeholder(E, f, type, params->kid[0]->span);
    if (x->kind == LG_V_TENSOR)
        use(E, q, instance(E, q, NULL), x, decode->name_span);
    E->frame = was;
}

void lg_quant_check(lg_elab *E, const lg_ast *decl, lg_frame *env) {
    lg_frame *f = hyper_frame(E, decl, env, decl->span);
    lg_bind_unknown(E, f, decl->kid[LG_D_PARAMS]);
    lg_frame *was = E->frame;
    E->frame = f;
    lg_check_defaults(E, f, decl->kid[LG_D_PARAMS]);
    E->frame = was;
    lg_value *v = construct(E, decl, f, decl->span);
    const quant *q = v->quant.ident;
    const lg_ast *block = decl->kid[LG_D_BLOCK];
    if (!function_of(q, "call") && (!function_of(q, "encode") || !function_of(q, "decode")))
        lg_err(E, "E0454", decl->name_span.file ? decl->name_span : decl->span,
               "quantizer `%s` needs `fn encode` and `fn decode`, or `fn call`", decl->name);
    size_t trouble = lg_diags_trouble(E->diags);
    for (uint32_t i = 0; block && i < block->n; i++)
        if (is_decl(block->kid[i], "fn")) {
            lg_frame *inst = instance(E, q, NULL);
            lg_fn_check(E, block->kid[i], inst, inst);
        }
    if (lg_diags_trouble(E->diags) == trouble)
        check_round_trip(E, q, env);
    lg_tried_note(E, decl, lg_diags_trouble(E->diags) == trouble);
}
