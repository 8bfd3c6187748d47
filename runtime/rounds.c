/* rounds.c: where carries, slices and yields of a scan stand in each round. A carry has one buffer
 * or two that take turns; or it stands in the rows of a yield, when that keeps what it was before
 * or after each round. Not for who runs the rounds (exec.c). */
#include "runtime/exec.h"
#include <string.h>

static const lg_scan_attr *attr(const lg_rounds *r) {
    return r->s->node->attr.scan;
}

static size_t carry_bytes(const lg_rounds *r, int k) {
    const lg_type *t = &r->s->node->type[k];
    return lg_type_count(t) * lg_dtype_size(t->dtype);
}

/* The row that belongs to a round. */
static int64_t row_of(const lg_rounds *r, int64_t round) {
    return attr(r)->rev ? attr(r)->trip - 1 - round : round;
}

static char *yield_at(const lg_rounds *r, int k, int64_t round) {
    return lg_place_at(r->f, &r->s->out[k]) +
           (size_t)row_of(r, round) * r->s->stride[r->s->n_in + k];
}

static char *start_at(const lg_rounds *r, int k) {
    return lg_place_at(r->f, &r->s->in[k]);
}

lg_rounds lg_rounds_of(const lg_step *s, const lg_frame *f, const void ***pointer) {
    const lg_scan_attr *a = s->node->attr.scan;
    lg_rounds r = {.s = s, .f = f, .in = *pointer};
    r.out = (void **)(uintptr_t)(r.in + s->n_in + 1);
    r.even = (char **)(uintptr_t)(r.in + s->n_in + 1 + s->n_out);
    r.odd = r.even + a->n_carry;
    *pointer = r.in + s->n_in + 1 + s->n_out + 2 * a->n_carry;
    for (int k = 0; k < a->n_carry; k++) {
        char *other = lg_place_at(f, &s->swap[k]);
        r.even[k] = lg_place_at(f, &s->out[k]);
        r.odd[k] = other ? other : r.even[k];
    }
    for (int k = a->n_carry + a->n_xs; k < s->n_in; k++)
        r.in[k + 1] = lg_place_at(f, &s->in[k]);
    return r;
}

void lg_copy_part(void *to, const void *from, size_t bytes, int64_t beg, int64_t end, int64_t of) {
    size_t b = bytes / (size_t)of * (size_t)beg, n = bytes / (size_t)of * (size_t)(end - beg);
    if (to != from && n)
        memmove((char *)to + b, (const char *)from + b, n);
}

void lg_rounds_first(const lg_rounds *r, int64_t beg, int64_t end, int64_t of) {
    for (int k = 0; k < attr(r)->n_carry; k++) {
        bool some = attr(r)->trip > 0;
        char *to = some && r->s->was[k] ? yield_at(r, r->s->was[k], 0) : r->even[k];
        if (!some || !r->s->now[k])
            lg_copy_part(to, start_at(r, k), carry_bytes(r, k), beg, end, of);
    }
}

static void set_carry(lg_rounds *r, int k, int64_t round) {
    int was = r->s->was[k], now = r->s->now[k];
    char *in = round & 1 ? r->odd[k] : r->even[k], *out = round & 1 ? r->even[k] : r->odd[k];
    if (was) {
        in = yield_at(r, was, round);
        out = round + 1 < attr(r)->trip ? yield_at(r, was, round + 1) : r->even[k];
    } else if (now) {
        in = round ? yield_at(r, now, round - 1) : start_at(r, k);
        out = yield_at(r, now, round);
    }
    r->in[k] = in;
    r->out[k] = out;
}

void lg_rounds_set(lg_rounds *r, int64_t round) {
    int nc = attr(r)->n_carry, nx = attr(r)->n_xs;
    r->index = row_of(r, round);
    for (int k = 0; k < nc; k++)
        set_carry(r, k, round);
    for (int k = nc; k < nc + nx; k++)
        r->in[k] = start_at(r, k) + (size_t)r->index * r->s->stride[k];
    r->in[nc + nx] = &r->index;
    for (int k = nc; k < r->s->n_out; k++)
        r->out[k] = yield_at(r, k, round);
}

void lg_rounds_last(const lg_rounds *r, int64_t round, int64_t beg, int64_t end, int64_t of) {
    for (int k = 0; k < attr(r)->n_carry; k++) {
        const char *from = r->even[k];
        if (r->s->now[k] && round)
            from = yield_at(r, r->s->now[k], round - 1);
        else if (!r->s->was[k] && round & 1)
            from = r->odd[k];
        lg_copy_part(r->even[k], from, carry_bytes(r, k), beg, end, of);
    }
}

bool lg_rounds_stop(const lg_rounds *r, int64_t round) {
    int k = attr(r)->stop;
    if (k < 0)
        return false;
    const char *b = round & 1 ? r->odd[k] : r->even[k];
    for (size_t i = 0, n = lg_type_count(&r->s->node->type[k]); i < n; i++)
        if (b[i])
            return false;
    return true;
}

void lg_rounds_rest(const lg_rounds *r, int64_t round) {
    const lg_scan_attr *a = attr(r);
    int64_t beg = a->rev ? 0 : round, end = a->rev ? a->trip - round : a->trip;
    for (int k = a->n_carry; k < r->s->n_out; k++) {
        size_t row = r->s->stride[r->s->n_in + k];
        if (end > beg && row)
            memset(lg_place_at(r->f, &r->s->out[k]) + (size_t)beg * row, 0,
                   (size_t)(end - beg) * row);
    }
}
