/* attention_tile.h: the inner loops of attention.c for one element type and one vector unit.
 * Included by attention.c once for each, with these defined:
 *   TILE(name)   the function's name here       REAL, VEC, LANES   element, vector, elements of it
 *   FMA(a, b, c) a*b + c on vectors             SPLAT(s)           s in every lane
 *   EXP(x, f, m) e^(x*f - m) for f and m that were multiplied by UNIT
 *   LOG                                         of vmath.h for REAL
 *   MR, NV       a tile is MR rows of NV vectors
 *   TARGET       the attribute that allows the vector unit
 * A strip has the scores of BLOCK queries, side by side, for one key after the other:
 * s[key][query]. Every element is summed in the order of its inner dim, in blocks that no tile
 * changes. */

typedef REAL TILE(vec_u)
    __attribute__((vector_size(sizeof(VEC)), aligned(sizeof(REAL)), may_alias));

enum { TILE(NR) = NV * LANES };

#include "ops/turn_tile.h"

/* ---- products of tiles ---- */

#include "ops/block_tile.h"

/* mr rows and n columns of which b has whole tiles; b_p: from one tile of b to the next. */
static TARGET void TILE(strip)(const REAL *a, int64_t a_m, int64_t a_k, const REAL *b, int64_t b_k,
                               int64_t b_p, int64_t k, REAL *out, int64_t out_m, bool more, int mr,
                               int64_t n) {
    for (int64_t j = 0; j < n; j += TILE(NR), b += b_p) {
        int64_t w = n - j < TILE(NR) ? n - j : TILE(NR);
        if (w == TILE(NR)) {
            TILE(rows)(a, a_m, a_k, b, b_k, k, out + j, out_m, more, mr, NV, 0);
            continue;
        }
        REAL part[MR * TILE(NR)];
        TILE(rows)(a, a_m, a_k, b, b_k, k, part, TILE(NR), false, mr, NV, 0);
        for (int r = 0; r < mr; r++)
            for (int64_t c = 0; c < w; c++) {
                REAL *to = &out[r * out_m + j + c];
                *to = more ? part[r * TILE(NR) + c] + *to : part[r * TILE(NR) + c];
            }
    }
}

/* ---- operands in order ---- */

/* x[n][k], at most BLOCK rows, as panels of NR rows, k-major; zeros where there are no rows. */
static TARGET void TILE(panels)(const REAL *x, int64_t x_n, int64_t x_k, int64_t n, int64_t k,
                                REAL *to) {
    for (int64_t j = 0; j < BLOCK; j += TILE(NR), to += k * TILE(NR)) {
        int64_t w = n - j < TILE(NR) ? n - j : TILE(NR), q = 0, i = 0;
        const REAL *from = x + j * x_n;
        if (w < TILE(NR))
            memset(to, 0, (size_t)(k * TILE(NR)) * sizeof *to);
        for (; x_k == 1 && q + LANES <= w; q += LANES) {
            for (i = 0; i + LANES <= k; i += LANES) {
                VEC v[LANES];
#pragma GCC unroll 16
                for (int l = 0; l < LANES; l++)
                    v[l] = (VEC) * (const TILE(vec_u) *)(from + (q + l) * x_n + i);
                TILE(turn)(v);
#pragma GCC unroll 16
                for (int l = 0; l < LANES; l++)
                    *(TILE(vec_u) *)(to + (i + l) * TILE(NR) + q) = (TILE(vec_u))v[l];
            }
            for (; i < k; i++)
                for (int l = 0; l < LANES; l++)
                    to[i * TILE(NR) + q + l] = from[(q + l) * x_n + i];
        }
        for (; q < w; q++)
            for (i = 0; i < k; i++)
                to[i * TILE(NR) + q] = from[q * x_n + i * x_k];
    }
}

/* n rows of x as tiles read them: as they lie where rows are whole tiles, else copied to `room`. */
static TARGET const REAL *TILE(lines)(const REAL *x, int64_t x_n, int64_t x_k, int64_t n, int64_t k,
                                      REAL *room, int64_t *step) {
    if (x_k == 1 && k % TILE(NR) == 0) {
        *step = x_n;
        return x;
    }
    *step = (k + TILE(NR) - 1) / TILE(NR) * TILE(NR);
    for (int64_t i = 0; i < n; i++) {
        REAL *to = room + i * *step;
        for (int64_t c = 0; c < k; c++)
            to[c] = x[i * x_n + c * x_k];
        for (int64_t c = k; c < *step; c++)
            to[c] = 0;
    }
    return room;
}

/* ---- scores ---- */

/* The products s with key j as scores: scaled, biased, -inf where the mask is false. */
static TARGET void TILE(score_key)(const geometry *g, const block *b, int64_t j, REAL *s) {
    const REAL scale = (REAL)g->scale, *bias = b->bias;
    for (int q = 0; q < BLOCK; q++)
        s[q] *= scale;
    for (int64_t q = 0; bias && q < b->n; q++)
        s[q] += bias[q * g->bias.i + j * g->bias.j];
    for (int64_t q = 0; b->mask && q < b->n; q++)
        s[q] = b->mask[q * g->mask.i + j * g->mask.j] ? s[q] : -(REAL)INFINITY;
}

/* -inf for the queries that do not see key j. */
static TARGET void TILE(bound_key)(const block *b, int64_t j, REAL *s) {
    const int32_t key = (int32_t)j;
    for (int q = 0; q < BLOCK; q++)
        s[q] = (key >= b->first[q]) & (key < b->last[q]) ? s[q] : -(REAL)INFINITY;
}

/* s = rows of x for the keys that the block sees, times its queries in panels. */
static TARGET void TILE(by_keys)(head *h, const block *b, const REAL *x, const place *at,
                                 const REAL *panels, int64_t k, REAL *s) {
    for (int64_t j = b->lo; j < b->hi; j += MR) {
        int mr = b->hi - j < MR ? (int)(b->hi - j) : MR;
        ask(&h->next);
        for (int64_t q = 0; q < BLOCK; q += TILE(NR))
            TILE(rows)
        (x + j * at->i, at->i, at->j, panels + q * k, TILE(NR), k, s + j * BLOCK + q, BLOCK, false,
         mr, NV, 0);
    }
}

/* Products of the block's queries with the keys that it sees, as scores when they are multiplied by
 * what this gives. */
static TARGET REAL TILE(scores)(const geometry *g, head *h, const block *b, const REAL *q,
                                const REAL *k) {
    REAL *s = h->strip, factor = (REAL)g->scale;
    TILE(panels)(q, g->q.i, g->q.j, b->n, g->K, h->q_panels);
    TILE(by_keys)(h, b, k, &g->k, h->q_panels, g->K, s);
    if (b->bias || b->mask || factor <= 0) {
        for (int64_t j = b->lo; j < b->hi; j++)
            TILE(score_key)(g, b, j, s + j * BLOCK);
        factor = 1;
    }
    for (int64_t j = b->lo; j < b->hi; j++)
        if (j < b->all_lo || j >= b->all_hi)
            TILE(bound_key)(b, j, s + j * BLOCK);
    return factor;
}

/* ---- forward ---- */

/* Products to exponentials over the greatest score of each query, and their sums. */
static TARGET void TILE(soften)(const block *b, REAL *s, REAL factor, REAL *most, REAL *sum) {
    enum { RUN = 64 };
    REAL over[BLOCK];
    for (int q = 0; q < BLOCK; q++) {
        most[q] = -(REAL)INFINITY;
        sum[q] = 0;
    }
    for (int64_t j = b->lo; j < b->hi; j++)
        for (int q = 0; q < BLOCK; q++)
            most[q] = s[j * BLOCK + q] > most[q] ? s[j * BLOCK + q] : most[q];
    for (int q = 0; q < BLOCK; q++) {
        most[q] *= factor;
        most[q] = most[q] - most[q] == 0 ? most[q] : 0; /* finite? */
        over[q] = most[q] * (REAL)UNIT;
    }
    factor *= (REAL)UNIT;
    for (int64_t j0 = b->lo; j0 < b->hi; j0 += RUN) {
        REAL part[BLOCK] = {0};
        for (int64_t j = j0; j < j0 + RUN && j < b->hi; j++)
            for (int q = 0; q < BLOCK; q++) {
                REAL e = EXP(s[j * BLOCK + q], factor, over[q]);
                s[j * BLOCK + q] = e;
                part[q] += e;
            }
        for (int q = 0; q < BLOCK; q++)
            sum[q] += part[q];
    }
}

static TARGET void TILE(forward_block)(const forward *f, head *h, const block *b) {
    const geometry *g = &f->g;
    REAL most[BLOCK], sum[BLOCK], *s = h->strip, *part = h->part;
    REAL factor = TILE(scores)(g, h, b, (const REAL *)f->q + at_row(&g->q, h, b->i),
                               (const REAL *)f->k + at_head(&g->k, h));
    TILE(soften)(b, s, factor, most, sum);
    REAL *y = (REAL *)f->y + at_row(&g->y, h, b->i), *top = (REAL *)f->top + h->stat + b->i;
    const int64_t y_row = g->y.i;
    for (int q = 0; q < BLOCK; q++) {
        most[q] = sum[q] == 0 ? (REAL)INFINITY : most[q] + LOG(sum[q]);
        sum[q] = sum[q] == 0 ? 1 : 1 / sum[q];
    }
    for (int64_t r = 0; r < b->n; r += MR) {
        int mr = b->n - r < MR ? (int)(b->n - r) : MR;
        int64_t lo = first_key(g, b->i + r), hi = last_key(g, b->i + r + mr - 1);
        TILE(strip)
        (s + lo * BLOCK + r, 1, BLOCK, (const REAL *)h->v_lines + lo * h->v_step, h->v_step,
         TILE(NR), hi > lo ? hi - lo : 0, part, g->v_wide, false, mr, g->V);
        for (int m = 0; m < mr; m++) {
            top[r + m] = most[r + m];
            for (int64_t c = 0; c < g->V; c++)
                y[(r + m) * y_row + c] = part[m * g->v_wide + c] * sum[r + m];
        }
    }
}

static TARGET void TILE(forward_head)(const forward *f, head *h) {
    const geometry *g = &f->g;
    const REAL *v = (const REAL *)f->v + at_head(&g->v, h);
    if (h->r == 0)
        h->v_lines = TILE(lines)(v, g->v.i, g->v.j, g->U, g->V, h->v_room, &h->v_step);
    for (int64_t i = h->beg; i < h->end; i += BLOCK) {
        block b = block_of(g, h, i, h->end - i < BLOCK ? h->end - i : BLOCK, f->mask, f->bias);
        TILE(forward_block)(f, h, &b);
    }
}

/* ---- backward ---- */

/* Products s to probabilities by what the forward pass kept, and products z of dy and v to
 * gradients of products. */
static TARGET void TILE(soften_again)(const geometry *g, const block *b, REAL factor,
                                      const REAL *top, const REAL *mean, REAL *s, REAL *z) {
    REAL over[BLOCK], less[BLOCK];
    for (int q = 0; q < BLOCK; q++) {
        over[q] = top[q] * (REAL)UNIT;
        less[q] = z ? -mean[q] * (REAL)g->scale : 0;
    }
    factor *= (REAL)UNIT;
    for (int64_t j = b->lo * BLOCK; j < b->hi * BLOCK; j += BLOCK) {
        for (int q = 0; q < BLOCK; q++)
            s[j + q] = EXP(s[j + q], factor, over[q]);
#pragma GCC unroll 16
        for (int q = 0; z && q < BLOCK; q += LANES) {
            VEC dp = FMA((VEC) * (TILE(vec_u) *)(z + j + q), SPLAT((REAL)g->scale),
                         (VEC) * (TILE(vec_u) *)(less + q));
            *(TILE(vec_u) *)(z + j + q) = (TILE(vec_u))((VEC) * (TILE(vec_u) *)(s + j + q) * dp);
        }
    }
}

/* n elements of x, LANES at most; zeros beyond. */
static inline __attribute__((always_inline)) TARGET VEC TILE(some)(const REAL *x, int64_t step,
                                                                   int64_t n) {
    if (step == 1)
        return n >= LANES ? (VEC) * (const TILE(vec_u) *)x : TILE(load_some)(x, n > 0 ? n : 0);
    REAL lane[LANES] = {0};
    for (int64_t l = 0; l < n && l < LANES; l++)
        lane[l] = x[l * step];
    return (VEC) * (const TILE(vec_u) *)lane;
}

/* Of each query the sum over features of dy*y: the mean of products of dy and v. Every GROUP-th
 * feature is added up, then these sums are, in order. */
static TARGET void TILE(means)(const geometry *g, const block *b, const REAL *dy, const REAL *y,
                               REAL *mean) {
    enum { GROUP = 16 };
    for (int q = 0; q < BLOCK; q += LANES) {
        VEC sum = SPLAT(0);
        for (int w = 0; w < GROUP; w += LANES) {
            VEC t[LANES];
            for (int l = 0; l < LANES; l++) {
                int64_t i = q + l;
                t[l] = SPLAT(0);
                for (int64_t c = w; c < g->V && i < b->n; c += GROUP)
                    t[l] = FMA(TILE(some)(dy + i * g->dy.i + c * g->dy.j, g->dy.j, g->V - c),
                               TILE(some)(y + i * g->y.i + c * g->y.j, g->y.j, g->V - c), t[l]);
            }
            TILE(turn)(t);
#pragma GCC unroll 16
            for (int l = 0; l < LANES; l++)
                sum += t[l];
        }
        *(TILE(vec_u) *)(mean + q) = (TILE(vec_u))sum;
    }
}

/* Strips of probabilities and of gradients of products. */
static TARGET void TILE(strips)(const backward *w, head *h, const block *b) {
    const geometry *g = &w->g;
    REAL top[BLOCK], mean[BLOCK], *z = h->other;
    REAL factor = TILE(scores)(g, h, b, (const REAL *)w->q + at_row(&g->q, h, b->i),
                               (const REAL *)w->k + at_head(&g->k, h));
    for (int q = 0; q < BLOCK; q++)
        top[q] = q < b->n ? ((const REAL *)w->top)[h->stat + b->i + q] : (REAL)INFINITY;
    if (!wants_scores(g)) {
        TILE(soften_again)(g, b, factor, top, NULL, h->strip, NULL);
        return;
    }
    const REAL *dy = (const REAL *)w->dy + at_row(&g->dy, h, b->i);
    TILE(means)(g, b, dy, (const REAL *)w->y + at_row(&g->y, h, b->i), mean);
    TILE(panels)(dy, g->dy.i, g->dy.j, b->n, g->V, h->dy_panels);
    TILE(by_keys)
    (h, b, (const REAL *)w->v + at_head(&g->v, h), &g->v, h->dy_panels, g->V, z);
    TILE(soften_again)(g, b, factor, top, mean, h->strip, z);
}

/* dq of a block. */
static TARGET void TILE(add_dq)(const backward *w, const head *h, const block *b) {
    const geometry *g = &w->g;
    const REAL *z = h->other, *k = h->k_lines;
    REAL *dq = (REAL *)w->dq + at_row(&g->dq, h, b->i);
    const int64_t row = g->dq.i;
    for (int64_t r = 0; r < b->n; r += MR) {
        int mr = b->n - r < MR ? (int)(b->n - r) : MR;
        int64_t lo = first_key(g, b->i + r), hi = last_key(g, b->i + r + mr - 1);
        TILE(strip)
        (z + lo * BLOCK + r, 1, BLOCK, k + lo * h->k_step, h->k_step, TILE(NR),
         hi > lo ? hi - lo : 0, dq + r * row, row, false, mr, g->K);
    }
}

/* Row `key` of to, n long, += the block's strip s times rows of x for its queries. */
static TARGET void TILE(add_keys)(const geometry *g, const block *b, const REAL *s, const REAL *x,
                                  int64_t x_step, int64_t n, REAL *to, int64_t row) {
    for (int64_t j = b->lo; j < b->hi; j += MR) {
        int mr = b->hi - j < MR ? (int)(b->hi - j) : MR;
        int64_t r0, r1;
        queries_of(g, b, j, j + mr - 1, &r0, &r1);
        if (r1 > r0)
            TILE(strip)
        (s + j * BLOCK + r0, BLOCK, 1, x + r0 * x_step, x_step, TILE(NR), r1 - r0, to + j * row,
         row, true, mr, n);
    }
}

static TARGET void TILE(clear)(REAL *x, int64_t row, int64_t n, int64_t k) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < k; c++)
            x[i * row + c] = 0;
}

static TARGET void TILE(backward_block)(const backward *w, head *h, const block *b) {
    const geometry *g = &w->g;
    int64_t step;
    TILE(strips)(w, h, b);
    if (g->flags & LG_ATT_WANTS_DQ)
        TILE(add_dq)(w, h, b);
    if (g->flags & LG_ATT_WANTS_DK) {
        const REAL *q = TILE(lines)((const REAL *)w->q + at_row(&g->q, h, b->i), g->q.i, g->q.j,
                                    b->n, g->K, h->q_room, &step);
        TILE(add_keys)(g, b, h->other, q, step, g->K, (REAL *)w->dk + at_head(&g->dk, h), g->dk.i);
    }
    if (g->flags & LG_ATT_WANTS_DV) {
        const REAL *dy = TILE(lines)((const REAL *)w->dy + at_row(&g->dy, h, b->i), g->dy.i,
                                     g->dy.j, b->n, g->V, h->dy_room, &step);
        TILE(add_keys)(g, b, h->strip, dy, step, g->V, (REAL *)w->dv + at_head(&g->dv, h), g->dv.i);
    }
}

static TARGET void TILE(backward_head)(const backward *w, head *h) {
    const geometry *g = &w->g;
    const REAL *k = (const REAL *)w->k + at_head(&g->k, h);
    if (h->r == 0) {
        h->k_lines = TILE(lines)(k, g->k.i, g->k.j, g->U, g->K, h->k_room, &h->k_step);
        if (g->flags & LG_ATT_WANTS_DK)
            TILE(clear)((REAL *)w->dk + at_head(&g->dk, h), g->dk.i, g->U, g->K);
        if (g->flags & LG_ATT_WANTS_DV)
            TILE(clear)((REAL *)w->dv + at_head(&g->dv, h), g->dv.i, g->U, g->V);
    }
    for (int64_t i = 0; i < g->T; i += BLOCK) {
        block b = block_of(g, h, i, g->T - i < BLOCK ? g->T - i : BLOCK, w->mask, w->bias);
        TILE(backward_block)(w, h, &b);
    }
}

#undef TILE
#undef REAL
#undef VEC
#undef LANES
#undef FMA
#undef SPLAT
#undef EXP
#undef UNIT
#undef LOG
#undef MR
#undef NV
#undef TARGET
