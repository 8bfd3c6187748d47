/* ahead.c: `prefetch`: the rows of the next batch are gathered on a thread of their own while the
 * step runs. Only for rows that are kept in memory; rows that a program computes as they come are
 * made when they are needed. Changes no value and no order. */
#include "compiler/host/train.h"
#include "runtime/pool.h"
#include <pthread.h>
#include <string.h>

struct lg_ahead {
    pthread_t thread;
    bool running;
    int64_t at, epoch, rows; /* what is being made */
    int64_t *row;
    int n_cols;
    lg_tensor *const *from;
    lg_tensor **out;
};

static void *gather(void *ctx) {
    lg_ahead *a = ctx;
    for (int i = 0; i < a->n_cols; i++)
        a->out[i] = lg_take_rows(a->from[i], a->row, a->rows);
    return NULL;
}

/* Waits for the thread; its rows stay in a->out. */
static bool settle(lg_ahead *a) {
    if (!a || !a->running)
        return false;
    pthread_join(a->thread, NULL);
    a->running = false;
    lg_free(a->row);
    a->row = NULL;
    return true;
}

static void release(lg_ahead *a) {
    for (int i = 0; i < a->n_cols; i++)
        lg_tensor_release(a->out[i]);
    memset(a->out, 0, sizeof *a->out * (size_t)a->n_cols);
}

void lg_ahead_start(lg_feed *s, int64_t rows) {
    lg_data *d = s->data;
    if (!d->ahead || !d->all || !s->order || rows <= 0 || s->at + rows > d->n)
        return;
    if (!s->ahead) {
        s->ahead = lg_alloc(sizeof *s->ahead);
        s->ahead->n_cols = d->src->n_cols;
        s->ahead->out = lg_alloc(sizeof(lg_tensor *) * (size_t)(d->src->n_cols + 1));
    }
    lg_ahead *a = s->ahead;
    a->from = d->all;
    a->at = s->at;
    a->epoch = s->epoch;
    a->rows = rows;
    a->row = lg_alloc(sizeof *a->row * (size_t)rows);
    memcpy(a->row, s->order + s->at, sizeof *a->row * (size_t)rows);
    a->running = lg_thread_start(&a->thread, gather, a);
    if (!a->running) { /* no thread to be had: the rows are made when they are needed */
        lg_free(a->row);
        a->row = NULL;
    }
}

bool lg_ahead_take(lg_feed *s, int64_t rows, lg_tensor **out) {
    lg_ahead *a = s->ahead;
    if (!settle(a))
        return false;
    if (a->at != s->at || a->epoch != s->epoch || a->rows != rows) {
        release(a);
        return false;
    }
    for (int i = 0; i < a->n_cols; i++)
        lg_tensor_release(out[i]);
    memcpy(out, a->out, sizeof *out * (size_t)a->n_cols);
    memset(a->out, 0, sizeof *out * (size_t)a->n_cols);
    return true;
}

void lg_ahead_stop(lg_feed *s) {
    if (settle(s->ahead))
        release(s->ahead);
    if (s->ahead)
        lg_free(s->ahead->out);
    lg_free(s->ahead);
    s->ahead = NULL;
}
