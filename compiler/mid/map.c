/* map.c: affine maps composed through the nodes that only move elements. Not for deciding what is
 * fused. Used by fuse.c and kernel.c. */
#include "compiler/mid/fuse.h"
#include <string.h>

lg_map lg_map_identity(const lg_type *t) {
    lg_map m = {.from = t->rank, .to = t->rank};
    for (int d = 0; d < t->rank; d++)
        m.c[d][d] = 1;
    return m;
}

static lg_map through_view(const lg_affine *v, const lg_map *m) {
    lg_map r = {.from = m->from, .to = v->rank_in};
    for (int a = 0; a < v->rank_in; a++) {
        r.off[a] = v->off[a];
        for (int o = 0; o < v->rank_out; o++) {
            int64_t c = v->coef[a * v->rank_out + o];
            if (c == 0)
                continue;
            r.off[a] += c * m->off[o];
            for (int s = 0; s < m->from; s++)
                r.c[a][s] += c * m->c[o][s];
        }
    }
    return r;
}

void lg_map_flat(const lg_map *m, const lg_type *t, int64_t *off, int64_t *stride) {
    int64_t unit = 1;
    *off = 0;
    for (int s = 0; s < m->from; s++)
        stride[s] = 0;
    for (int a = t->rank - 1; a >= 0; a--) {
        *off += m->off[a] * unit;
        for (int s = 0; s < m->from; s++)
            stride[s] += m->c[a][s] * unit;
        unit *= t->shape[a];
    }
}

/* Only dims of size 1 come and go. */
static bool same_dims(const lg_type *a, const lg_type *b) {
    int i = 0, j = 0;
    for (;;) {
        while (i < a->rank && a->shape[i] == 1)
            i++;
        while (j < b->rank && b->shape[j] == 1)
            j++;
        if (i == a->rank || j == b->rank)
            return i == a->rank && j == b->rank;
        if (a->shape[i++] != b->shape[j++])
            return false;
    }
}

static bool through_reshape(const lg_node *x, lg_map *m) {
    const lg_type *out = &x->type[0], *in = &x->in[0]->type[0];
    if (!same_dims(out, in))
        return false;
    lg_map r = {.from = m->from, .to = in->rank};
    int j = 0;
    for (int a = 0; a < in->rank; a++) {
        if (in->shape[a] == 1)
            continue;
        while (out->shape[j] == 1)
            j++;
        r.off[a] = m->off[j];
        memcpy(r.c[a], m->c[j], sizeof r.c[a]);
        j++;
    }
    *m = r;
    return true;
}

bool lg_map_step(const lg_node *x, lg_map *m) {
    switch ((int)x->op->cls) {
    case LG_C_MARK:
        return true;
    case LG_C_VIEW:
        *m = through_view(x->attr.affine, m);
        return true;
    case LG_C_RESHAPE:
        return through_reshape(x, m);
    default:
        return false;
    }
}

lg_node *lg_map_source(lg_node *x, lg_map *m) {
    while (lg_map_step(x, m))
        x = x->in[0];
    return x;
}

lg_node *lg_strides_of(lg_node *x, lg_strides *s) {
    lg_map m = lg_map_identity(&x->type[0]);
    lg_node *u = lg_map_source(x, &m);
    int64_t stride[2 * LG_MAX_RANK], unit = 1;
    lg_map_flat(&m, &u->type[0], &s->off, stride);
    bool ok = lg_storage_of(u)->op->cls != LG_C_IOTA;
    for (int d = 0; d < x->type[0].rank; d++) {
        s->stride[d] = stride[d];
        ok = ok && stride[d] >= 0;
    }
    if (ok)
        return u;
    s->off = 0;
    for (int d = x->type[0].rank - 1; d >= 0; unit *= x->type[0].shape[d--])
        s->stride[d] = unit;
    return x;
}

lg_node *lg_storage_of(lg_node *x) {
    while (x->op->cls == LG_C_MARK || x->op->cls == LG_C_RESHAPE)
        x = x->in[0];
    return x;
}
