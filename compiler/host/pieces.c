/* pieces.c: a step or an evaluation that runs part by part, in the memory of one part: passes over
 * the parts of the batch that add up sums, then once what is made of the sums. Which steps may be
 * cut is found out in mid/parts.c. */
#include "compiler/host/train.h"
#include "compiler/mid/parts.h"
#include <string.h>

static int first_slot(const lg_build *b) {
    for (size_t s = 0; s < b->slot.n; s++)
        if (b->slot.at[s].kind == LG_S_FIRST)
            return (int)s;
    return -1;
}

/* The same step for another number of items, so that axes that count items show. */
static lg_build *probe(lg_train *T, lg_step_plan *p, lg_data *d, int64_t *rows) {
    memcpy(rows, p->rows, sizeof p->rows);
    rows[p->lead]++;
    lg_build *b = lg_build_new(T, p->eval, d, rows, p->effects, true);
    if (lg_build_run(b))
        return b;
    lg_build_free(b);
    return NULL;
}

static void refuse(lg_train *T, const char *why, lg_span at) {
    lg_diag *x =
        lg_err(T->E, "E0446", at.file ? at : T->at, "the batch cannot be cut in parts: %s", why);
    lg_diag_label(x, T->set.micro_at, "`micro` asks for parts");
    lg_diag_help(x, "leave `micro` out; a smaller batch or `remat` takes less memory too");
}

static const char *coupled(const lg_step_plan *p, lg_span *at) {
    const char *why = NULL;
    for (size_t i = 0; !p->eval && !why && i < p->b->result.n; i++)
        if (p->b->result.at[i].kind == LG_R_LOSS)
            why = lg_parts_coupled(p->parts, p->b->result.at[i].node, at);
    return why;
}

static lg_piece *piece(lg_train *T, lg_step_plan *p, int pass, int64_t rows) {
    const lg_part_sum *sum;
    lg_piece *x = LG_NEW(T->E->arena, lg_piece);
    x->which = LG_NEW_N(T->E->arena, int, lg_parts_sums(p->parts, &sum) + 1);
    x->pass = pass;
    x->rows = rows;
    x->g = lg_parts_pass(p->parts, pass, rows, x->which, &x->n);
    x->use = lg_step_planned(T, p, x->g);
    x->next = p->pieces;
    p->pieces = x;
    return x->use ? x : NULL;
}

bool lg_pieces_make(lg_train *T, lg_step_plan *p, lg_data *d, int64_t part, bool maybe) {
    int64_t rows[LG_COUNT(p->rows)];
    p->lead = p->eval ? 0 : lg_train_lead(T);
    p->part = part;
    lg_build *other = probe(T, p, d, rows);
    if (!other)
        return false;
    lg_node **want = LG_NEW_N(T->E->arena, lg_node *, p->b->result.n + 1);
    for (size_t i = 0; i < p->b->result.n; i++)
        want[i] = p->b->result.at[i].node;
    p->parts = lg_parts_new(p->b->g, other->g, p->rows[p->lead], rows[p->lead], first_slot(p->b),
                            (int)p->b->result.n, want);
    lg_build_free(other);
    lg_span at;
    const char *why = lg_parts_refused(p->parts, &at);
    why = why ? why : coupled(p, &at);
    if (why && !maybe)
        refuse(T, why, at);
    if (why)
        return false;
    const lg_part_sum *sum;
    int n = lg_parts_sums(p->parts, &sum);
    p->sum = LG_NEW_N(T->E->arena, lg_tensor *, n + 1);
    for (int k = 0; k < n; k++)
        p->sum[k] = lg_tensor_new(sum[k].type.dtype, sum[k].type.rank, sum[k].type.shape);
    p->rest = lg_parts_rest(p->parts);
    p->stream = p->eval ? d : NULL;
    int64_t last = p->rows[p->lead] % part;
    for (int pass = lg_parts_passes(p->parts); pass-- > 0;)
        if ((last && !piece(T, p, pass, last)) || !piece(T, p, pass, part))
            return false;
    return true;
}

void lg_pieces_free(lg_step_plan *p) {
    for (lg_piece *x = p->pieces; x; x = x->next) {
        if (!lg_plan_use_free(x->use, x->g))
            lg_graph_free(x->g);
    }
    const lg_part_sum *sum;
    int n = p->sum ? lg_parts_sums(p->parts, &sum) : 0;
    for (int k = 0; k < n; k++)
        lg_tensor_release(p->sum[k]);
    if (p->rest && !p->rest_taken)
        lg_graph_free(p->rest);
    lg_parts_free(p->parts);
    p->pieces = NULL;
    p->rest = NULL;
    p->parts = NULL;
}

/* ---- running ---- */

static void fill(lg_tensor *x, double v) {
    for (size_t i = 0; i < x->n; i++)
        lg_set_f64(x->dtype, x->data, i, v);
}

static const lg_piece *piece_for(const lg_step_plan *p, int pass, int64_t rows) {
    const lg_piece *x = p->pieces;
    while (x && (x->pass != pass || x->rows != rows))
        x = x->next;
    return x;
}

static bool fetch(lg_train *T, const lg_step_plan *p, int64_t beg, int64_t end, lg_tensor **out) {
    int64_t *pos = lg_alloc(sizeof *pos * (size_t)(end - beg + 1));
    for (int64_t i = beg; i < end; i++)
        pos[i - beg] = i;
    bool ok = lg_data_rows(T->E, p->stream, pos, end - beg, out);
    lg_free(pos);
    return ok;
}

static bool run_piece(lg_train *T, lg_step_plan *p, const lg_piece *x, int64_t beg,
                      lg_tensor *const *const *fields, lg_fault *fault) {
    const lg_build *b = p->b;
    int n_cols = p->stream ? p->stream->src->n_cols : 0;
    lg_tensor **row = lg_alloc(sizeof *row * (size_t)(n_cols + 1));
    if (p->stream && !fetch(T, p, beg, beg + x->rows, row)) {
        lg_free(row);
        return false;
    }
    T->first_item = beg;
    for (size_t s = 0; s < b->slot.n; s++) {
        const lg_slot *f = &b->slot.at[s];
        if (f->kind != LG_S_FIELD)
            continue;
        const lg_tensor *t = p->stream ? row[f->index] : fields[f->feed][f->index];
        size_t one = t->shape[0] ? lg_tensor_bytes(t) / (size_t)t->shape[0] : 0;
        bool cut = !p->stream && f->feed == p->lead;
        p->in[s] = (const char *)t->data + (cut ? (size_t)beg * one : 0);
    }
    void **out = lg_alloc(sizeof *out * (size_t)(x->n + 1));
    for (int k = 0; k < x->n; k++)
        out[k] = p->sum[x->which[k]]->data;
    bool ok = lg_plan_use_run(x->use, p->in, out, fault);
    if (!ok && fault->row >= 0)
        fault->row += beg;
    lg_free(out);
    for (int k = 0; k < n_cols; k++)
        lg_tensor_release(row[k]);
    lg_free(row);
    return ok;
}

bool lg_pieces_run(lg_train *T, lg_step_plan *p, lg_tensor *const *const *fields, lg_fault *fault) {
    const lg_part_sum *sum;
    int n = lg_parts_sums(p->parts, &sum);
    for (int k = 0; k < n; k++) {
        fill(p->sum[k], sum[k].identity);
        p->in[p->b->slot.n + (size_t)k] = p->sum[k]->data;
    }
    int64_t rows = p->rows[p->lead];
    for (int pass = 0; pass < lg_parts_passes(p->parts); pass++)
        for (int64_t beg = 0; beg < rows; beg += p->part) {
            int64_t m = rows - beg < p->part ? rows - beg : p->part;
            if (!run_piece(T, p, piece_for(p, pass, m), beg, fields, fault))
                return false;
        }
    T->first_item = 0;
    return true;
}
