/* reuse.c: plans that serve more than one run. A plan is named by the key of its graph, in which
 * run-time parameters are inputs: a run with another learning rate finds the plan, and its compiled
 * code, of the run before. Plans that nobody uses are kept while there is room, the latest first.
 */
#include "compiler/host/inside.h"
#include "runtime/profile.h"
#include <stdio.h>
#include <string.h>

enum { MOST_KEPT = 256 };
#define MOST_KEPT_BYTES ((size_t)256 << 20)

struct lg_kept_plan {
    lg_graph_key key;
    lg_graph *g;
    lg_plan *plan;
    bool check_nan, kept; /* kept: in the list; else freed after its only use */
    int users;
    size_t bytes, most; /* most: the limit it was made for */
    lg_kept_plan *next; /* in the order of their latest use */
};

struct lg_plan_use {
    lg_host *H;
    lg_kept_plan *of;
    size_t first; /* the inputs that the caller gives; then the numbers that vary */
    int n;
    lg_tensor **value;
    const void **in;
};

/* ---- what is kept ---- */

static size_t bytes_of(const lg_graph *g, const lg_plan *p) {
    enum { A_NODE = 400 };
    size_t n = lg_plan_get_stats(p).arena_bytes + g->node.n * A_NODE;
    for (size_t k = 0; k < g->keep.n; k++)
        n += lg_tensor_bytes(g->keep.at[k]);
    return n;
}

static void forget(lg_host *H, lg_kept_plan **at) {
    lg_kept_plan *x = *at;
    *at = x->next;
    H->plans_bytes -= x->bytes;
    H->plans_n--;
    lg_plan_free(x->plan);
    lg_graph_free(x->g);
    lg_free(x);
}

/* The oldest that nobody uses go while there are too many. */
static void make_room(lg_host *H) {
    while (H->plans_n > MOST_KEPT || H->plans_bytes > MOST_KEPT_BYTES) {
        lg_kept_plan **oldest = NULL;
        for (lg_kept_plan **at = &H->plans; *at; at = &(*at)->next)
            if (!(*at)->users)
                oldest = at;
        if (!oldest)
            return;
        forget(H, oldest);
    }
}

void lg_plans_forget(lg_host *H) {
    if (lg_profile_on() && H->plans_used)
        fprintf(stderr, "plans of steps and evaluations: %lld made, %lld wanted\n",
                (long long)H->plans_made, (long long)H->plans_used);
    H->plans_used = H->plans_made = 0;
    for (lg_kept_plan **at = &H->plans; *at;)
        if ((*at)->users)
            at = &(*at)->next;
        else
            forget(H, at);
    if (!H->plans)
        lg_room_free(&H->room);
}

/* Of a plan that is larger than allowed another is made, but not twice. */
static lg_kept_plan *find(lg_host *H, const lg_graph_key *key, const lg_plan_opts *o) {
    for (lg_kept_plan **at = &H->plans; *at; at = &(*at)->next) {
        lg_kept_plan *x = *at;
        if (memcmp(&x->key, key, sizeof *key) != 0 || x->check_nan != o->check_nan ||
            (o->most && lg_plan_get_stats(x->plan).room_bytes > o->most && x->most != o->most))
            continue;
        *at = x->next;
        x->next = H->plans;
        return H->plans = x;
    }
    return NULL;
}

static lg_kept_plan *make(lg_graph *g, const lg_graph_key *key, const lg_plan_opts *o) {
    lg_plan *plan = lg_plan_new(g, o);
    if (!plan)
        return NULL;
    lg_kept_plan *x = lg_alloc(sizeof *x);
    *x = (lg_kept_plan){.key = *key, .g = g, .plan = plan, .most = o->most, .check_nan = o->check_nan};
    return x;
}

static void keep(lg_host *H, lg_kept_plan *x) {
    x->kept = true;
    x->bytes = bytes_of(x->g, x->plan);
    H->plans_bytes += x->bytes;
    H->plans_n++;
    x->next = H->plans;
    H->plans = x;
    make_room(H);
}

/* Was an expression of that key evaluated lately? From now on it was. */
static bool seen(lg_host *H, const lg_graph_key *key) {
    for (size_t k = 0; k < LG_COUNT(H->plans_seen); k++)
        if (!memcmp(&H->plans_seen[k], key, sizeof *key))
            return true;
    H->plans_seen[H->plans_seen_n++ % LG_COUNT(H->plans_seen)] = *key;
    return false;
}

/* ---- use ---- */

static void drop_values(lg_plan_use *u) {
    for (int k = 0; k < u->n; k++)
        lg_tensor_release(u->value[k]);
    lg_free(u->value);
    lg_free(u->in);
    lg_free(u);
}

lg_plan_use *lg_plan_use_new(lg_host *H, lg_graph *g, const lg_plan_opts *o, bool arrays,
                             bool *made) {
    lg_plan_use *u = lg_alloc(sizeof *u);
    *u = (lg_plan_use){.H = H, .first = g->input.n};
    u->n = lg_graph_open(g, arrays, &u->value);
    u->in = lg_alloc(sizeof *u->in * (u->first + (size_t)u->n + 1));
    for (int k = 0; k < u->n; k++)
        u->in[u->first + (size_t)k] = u->value[k]->data;
    lg_graph_key key = lg_graph_key_of(g);
    u->of = find(H, &key, o);
    *made = !u->of;
    if (!u->of)
        u->of = make(g, &key, o);
    if (!u->of) {
        drop_values(u);
        return NULL;
    }
    u->of->users++;
    if (*made && (!arrays || seen(H, &key)))
        keep(H, u->of);
    return u;
}

lg_plan *lg_plan_used(const lg_plan_use *u) {
    return u->of->plan;
}

bool lg_plan_use_run(lg_plan_use *u, const void *const *in, void *const *out, lg_fault *fault) {
    memcpy(u->in, in, sizeof *in * u->first);
    return lg_plan_run(u->of->plan, u->in, out, fault);
}

bool lg_plan_use_free(lg_plan_use *u, const lg_graph *g) {
    if (!u)
        return false;
    lg_host *H = u->H;
    lg_kept_plan *x = u->of;
    bool taken = x->kept && x->g == g;
    x->users--;
    if (!x->kept) {
        lg_plan_free(x->plan);
        lg_free(x);
    } else if (!x->users) {
        make_room(H);
    }
    drop_values(u);
    return taken;
}

/* ---- expressions of host code ---- */

static bool run_once(lg_plan_use *u, const lg_graph *g, lg_tensor **out, lg_fault *fault) {
    size_t n = g->output.n;
    void **to = lg_alloc(sizeof *to * (n + 1));
    bool fits = true;
    double bytes = 0;
    for (size_t k = 0; k < n; k++) {
        const lg_type *t = &g->output.at[k].node->type[0];
        out[k] = lg_tensor_try(t->dtype, t->rank, t->shape);
        fits = fits && out[k];
        bytes += lg_type_room(t);
        to[k] = out[k] ? out[k]->data : NULL;
    }
    static const void *const none[1];
    bool ok = fits ? lg_plan_use_run(u, none, to, fault) : lg_plan_too_large(fault, NULL, bytes);
    for (size_t k = 0; k < n && !ok; k++)
        lg_tensor_release(out[k]);
    lg_free(to);
    return ok;
}

bool lg_plan_eval(lg_host *H, lg_graph *g, lg_tensor **out, lg_fault *fault, bool *taken) {
    const lg_node *big = lg_plan_oversized(g);
    size_t needed = 0;
    bool made;
    *taken = false;
    if (big)
        return lg_plan_too_large(fault, big, 0);
    lg_plan_opts o = {
        .may_fail = true, .needed = &needed, .stop = H->session ? &lg_host_signal : NULL};
    lg_plan_use *u = lg_plan_use_new(H, g, &o, true, &made);
    if (!u)
        return lg_plan_too_large(fault, NULL, (double)needed);
    bool ok = run_once(u, g, out, fault);
    *taken = lg_plan_use_free(u, g);
    return ok;
}
