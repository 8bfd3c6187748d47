/* again.c: which values are computed again where they are read, rather than stored: what a value is
 * made from, and what that costs beside its way to memory and back. Used by fuse.c. */
#include "compiler/mid/fuse.h"

enum {
    MOST_OPS = 48,
    FAR_BYTES = 1 << 23, /* of values that caches do not keep */
    BLOWN = 4,
    BLOWN_MIN = 4096,
    THIN = 32 /* elements of a value for one of few */
};

bool lg_cone_thin(const lg_cone *c, const lg_node *x) {
    return (int64_t)lg_type_count(&x->type[0]) * THIN <= c->n;
}

void lg_cone_add(lg_cone *c, lg_node *x) {
    int64_t n = (int64_t)lg_type_count(&x->type[0]);
    c->most = n > c->most ? n : c->most;
    for (int k = 0; k < c->n_leaf; k++)
        if (c->leaf[k] == x)
            return;
    if (c->n_leaf == (int)LG_COUNT(c->leaf)) {
        c->ok = false;
        return;
    }
    c->leaf[c->n_leaf++] = x;
    c->n_wide += !lg_cone_thin(c, x);
}

/* A costly value of the group in question. */
static bool is_cut(const lg_fusion *f, const lg_cone *c, const lg_node *x) {
    return c->of && f->of[x->id] == c->of && x->op->cls == LG_C_ELEM &&
           !(x->op->traits & LG_T_CHEAP);
}

static void grow(const lg_fusion *f, lg_cone *c, lg_node *x) {
    lg_map m = lg_map_identity(&x->type[0]);
    x = lg_map_source(x, &m);
    if (!c->ok || c->ops > MOST_OPS || c->thin > MOST_OPS) {
        c->ok = false;
        return;
    }
    if (x->op->cls == LG_C_IOTA)
        return;
    if ((x->op->cls != LG_C_ELEM && x->op->cls != LG_C_CAST) || f->stored[x->id] ||
        is_cut(f, c, x)) {
        lg_node *s = lg_storage_of(x);
        if ((s->op->cls == LG_C_VIEW || s->op->cls == LG_C_IOTA) && !f->stored[s->id])
            c->ok = false;
        lg_cone_add(c, x->op->cls == LG_C_RESHAPE ? lg_storage_of(x) : x);
        return;
    }
    c->ops += !lg_cone_thin(c, x);
    c->thin += lg_cone_thin(c, x);
    c->costly += !lg_cone_thin(c, x) && !(x->op->traits & LG_T_CHEAP);
    for (int k = 0; k < x->n_in; k++)
        grow(f, c, x->in[k]);
}

lg_cone lg_cone_of(const lg_fusion *f, lg_node *x) {
    lg_cone c = {.ok = true, .n = (int64_t)lg_type_count(&x->type[0])};
    if (x->op->cls != LG_C_ELEM && x->op->cls != LG_C_CAST)
        c.ok = false;
    else
        grow(f, &c, x);
    return c;
}

static bool is_blown(const lg_cone *c, const lg_node *x) {
    int64_t n = (int64_t)lg_type_count(&x->type[0]);
    return n >= BLOWN_MIN && n >= BLOWN * c->most;
}

bool lg_cone_before(const lg_fusion *f, const lg_cone *c, int64_t seq) {
    for (int k = 0; k < c->n_leaf; k++) {
        lg_group *h = f->of[c->leaf[k]->id];
        if (h && h->seq >= seq)
            return false;
    }
    return true;
}

bool lg_again(const lg_fusion *f, lg_node *u, int64_t seq, lg_cone *c) {
    if (f->no_fuse || f->stored[u->id])
        return false;
    *c = lg_cone_of(f, u);
    if (!c->ok || !lg_cone_before(f, c, seq))
        return false;
    /* one exp costs less than a value's way to memory and back */
    int64_t bytes = (int64_t)lg_type_count(&u->type[0]) * (int64_t)lg_dtype_size(u->type[0].dtype);
    bool far = bytes >= FAR_BYTES && c->costly <= 1 && c->ops <= 8;
    return is_blown(c, u) || (c->n_wide <= 3 && ((!c->costly && c->ops <= 4) || far));
}

bool lg_again_from(const lg_fusion *f, lg_node *u, int64_t seq, lg_cone *c) {
    *c = (lg_cone){.ok = true, .n = (int64_t)lg_type_count(&u->type[0]), .of = f->of[u->id]};
    if (f->no_fuse || f->stored[u->id] || !c->of || u->op->cls != LG_C_ELEM || is_cut(f, c, u))
        return false;
    grow(f, c, u);
    if (!c->ok || c->costly || c->ops > 4 || c->n_wide != 1 || !lg_cone_before(f, c, seq))
        return false;
    for (int k = 0; k < c->n_leaf; k++) {
        const lg_type *t = &c->leaf[k]->type[0];
        bool larger = (int64_t)lg_type_count(t) > c->n ||
                      lg_dtype_size(t->dtype) > lg_dtype_size(u->type[0].dtype);
        if (larger || (!is_cut(f, c, c->leaf[k]) && !lg_cone_thin(c, c->leaf[k])))
            return false;
    }
    return true;
}
