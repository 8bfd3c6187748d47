/* round.c: what a round of a host loop makes ends with it. A round has an arena of its own, and so
 * have the dims that it makes; at its end the values that leave it are copied out. Where something
 * older got a part in it (a name of the file, data, rows), or a value that leaves is more than
 * numbers, text and arrays, all of it stays. Constants themselves are counted by the sweep
 * (sweep.c). */
#include "compiler/host/inside.h"
#include <string.h>

#ifdef NDEBUG
enum { REUSED = 1 };
#else
enum { REUSED = 0 }; /* what is read after its round is found by those who check memory */
#endif

void lg_round_begin(lg_elab *E, lg_round *r) {
    lg_host *H = lg_host_of(E);
    *r = (lg_round){.outer = E->arena};
    if (!H->keep)
        return;
    r->own = H->spare_arena ? H->spare_arena : lg_arena_new();
    H->spare_arena = NULL;
    r->lasting = E->lasting;
    r->data = H->data.n;
    r->rows = H->rows.n;
    r->file = H->file;
    E->arena = r->own;
    lg_dims_enter(E->dims, &r->dims, r->own);
}

static bool leaves(const lg_value *v, const lg_dims_level *made) {
    bool ok = (!v->weight || leaves(v->weight, made)) && (!v->rounds || leaves(v->rounds, made));
    switch (v->kind) {
    case LG_V_NUM:
        return ok && !lg_dim_made_in(v->num.dim, made);
    case LG_V_TENSOR:
        for (int i = 0; i < v->t.rank; i++)
            ok = ok && !lg_dim_made_in(v->t.dim[i], made);
        return ok && !v->t.n_open && !lg_dim_made_in(v->t.bound, made);
    case LG_V_RECORD:
        for (int i = 0; i < v->rec.n; i++)
            ok = ok && leaves(v->rec.f[i].value, made);
        return ok && !v->rec.quant;
    case LG_V_LIST:
        for (int i = 0; i < v->list.n; i++)
            ok = ok && leaves(v->list.at[i], made);
        return ok;
    case LG_V_RANGE:
        return ok && leaves(v->range.lo, made) && leaves(v->range.hi, made);
    case LG_V_STR:
    case LG_V_DTYPE:
    case LG_V_NONE:
        return ok;
    default:
        return false;
    }
}

static lg_value *copied(lg_elab *E, const lg_value *v) {
    lg_value *r = lg_v_copy(E, v);
    if (v->weight)
        r->weight = copied(E, v->weight);
    if (v->rounds)
        r->rounds = copied(E, v->rounds);
    if (v->kind == LG_V_STR && v->str) {
        r->str = lg_arena_str(E->arena, v->str);
    } else if (v->kind == LG_V_TENSOR) {
        r->t.dim = lg_arena_dup(E->arena, v->t.rank ? (const void *)v->t.dim : (const void *)"",
                                sizeof *v->t.dim * (size_t)v->t.rank);
        r->t.open = NULL;
    } else if (v->kind == LG_V_RECORD) {
        r->rec.f = LG_NEW_N(E->arena, lg_field, v->rec.n + 1);
        for (int i = 0; i < v->rec.n; i++) {
            r->rec.f[i] = v->rec.f[i];
            r->rec.f[i].value = copied(E, v->rec.f[i].value);
        }
    } else if (v->kind == LG_V_LIST) {
        r->list.at = LG_NEW_N(E->arena, lg_value *, v->list.n + 1);
        for (int i = 0; i < v->list.n; i++)
            r->list.at[i] = copied(E, v->list.at[i]);
    } else if (v->kind == LG_V_RANGE) {
        r->range.lo = copied(E, v->range.lo);
        r->range.hi = copied(E, v->range.hi);
    }
    return r;
}

/* Rows that data of this round made go with it. False: they belong to data from outside. */
static bool own_rows(const lg_host *H, const lg_round *r) {
    for (size_t i = r->rows; i < H->rows.n; i++)
        if (!lg_arena_has(r->own, H->rows.at[i]))
            return false;
    return true;
}

void lg_round_end(lg_elab *E, lg_round *r, size_t n, lg_value **v) {
    lg_host *H = lg_host_of(E);
    if (!r->own)
        return;
    E->arena = r->outer;
    bool stays =
        E->lasting != r->lasting || H->data.n != r->data || H->file != r->file || !own_rows(H, r);
    for (size_t i = 0; i < n && !stays; i++)
        stays = !leaves(v[i], &r->dims);
    for (size_t i = 0; i < n && !stays; i++)
        v[i] = copied(E, v[i]);
    for (; !stays && H->rows.n > r->rows; H->rows.n--)
        lg_data_drop_rows(H->rows.at[H->rows.n - 1]);
    lg_dims_leave(E->dims, &r->dims, stays);
    if (stays) {
        lg_arena_adopt(r->outer, r->own);
    } else if (REUSED && !H->spare_arena) {
        lg_arena_reset(r->own);
        H->spare_arena = r->own;
    } else {
        lg_arena_free(r->own);
    }
}
