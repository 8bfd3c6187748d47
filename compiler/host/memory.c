/* memory.c: the memory of a train: what it will take at its peak, known before its first step, and
 * whether that is allowed. Not for where the values of a step lie (mid/schedule.c) nor for what is
 * computed again to save room (mid/remat.c). */
#include "compiler/host/train.h"
#include "runtime/profile.h"
#include <stdio.h>

size_t lg_host_held(const lg_host *H) {
    return H->made_bytes + lg_source_bytes(H);
}

/* Rows of data that stand in memory anyway are read where they are when they are neighbours. */
static bool is_view(const lg_step_plan *p, const lg_data *d) {
    return d->all && !d->shuffle && !d->ahead && !p->stream;
}

static size_t batch_bytes(const lg_train *T, const lg_step_plan *p) {
    const lg_build *b = p->b;
    size_t n = 0;
    for (size_t s = 0; b->g && s < b->slot.n; s++) {
        const lg_slot *x = &b->slot.at[s];
        const lg_data *d = x->kind != LG_S_FIELD ? NULL
                           : p->eval             ? b->eval_data
                                                 : T->feed.at[x->feed].data;
        if (!d || is_view(p, d))
            continue;
        const lg_type *t = &b->g->input.at[s]->type[0];
        double share = p->stream && t->rank && t->shape[0] > p->part
                           ? (double)p->part / (double)t->shape[0]
                           : 1; /* of an eval only a part of its rows is there at once */
        n += (size_t)(lg_type_room(t) * share) * (d->ahead ? 2 : 1);
    }
    return n;
}

static size_t result_bytes(const lg_step_plan *p) {
    const lg_part_sum *sum;
    size_t n = 0;
    for (size_t i = 0; p->extra && i < p->b->result.n; i++)
        n += p->extra[i] ? lg_tensor_bytes(p->extra[i]) : 0;
    int k = p->sum ? lg_parts_sums(p->parts, &sum) : 0;
    while (k-- > 0)
        n += lg_tensor_bytes(p->sum[k]);
    return n;
}

lg_train_memory lg_train_memory_of(const lg_train *T, const lg_step_plan *with) {
    lg_train_memory m = {.work = T->H->room.bytes,
                         .data = lg_host_held(T->H) - T->held_before,
                         .graphs = lg_arena_used(T->E->arena) - T->arena_before};
    for (size_t i = 0; i < T->var.n; i++) {
        m.kept += T->var.at[i].x ? lg_tensor_bytes(T->var.at[i].x) : 0;
        m.next += T->var.at[i].next ? lg_tensor_bytes(T->var.at[i].next) : 0;
    }
    for (size_t i = 0; i < T->feed.n; i++) /* counted as held once they were made */
        m.data += T->feed.at[i].data->all ? 0 : lg_data_kept_bytes(T->feed.at[i].data);
    for (const lg_step_plan *p = with ? with : T->plans; p; p = p == with ? T->plans : p->next) {
        size_t n = batch_bytes(T, p);
        m.batch = n > m.batch ? n : m.batch;
        m.results += result_bytes(p);
        m.graphs += p->b->g ? lg_arena_used(p->b->g->arena) : 0;
        m.graphs += p->use ? lg_plan_get_stats(lg_plan_used(p->use)).plan_bytes : 0;
    }
    return m;
}

size_t lg_train_memory_all(const lg_train_memory *m) {
    return m->kept + m->next + m->work + m->batch + m->data + m->results + m->graphs;
}

/* What is needed, and what there is: the limit that was given, or the machine's memory. */
void lg_train_no_room(lg_train *T, const lg_node *big, size_t needed) {
    char need[LG_SIZE_TEXT], there[LG_SIZE_TEXT];
    double most = T->H->o.memory > 0 ? (double)T->H->o.memory : lg_memory_there();
    lg_size_text(there, most);
    lg_size_text(need, big ? lg_type_room(&big->type[0]) : (double)needed);
    lg_diag *d = lg_err(T->E, "E0437", big && big->span.file ? big->span : T->at,
                        "a step does not fit into memory: %s %s, and %s are there",
                        big ? "this value alone needs" : "its workspace needs", need, there);
    lg_diag_help(d, "a smaller batch, `micro = 4` or `remat` takes less");
}

size_t lg_train_work_limit(const lg_train *T, const lg_step_plan *p) {
    if (T->H->o.memory <= 0)
        return 0;
    enum { PLANNED = 6 }; /* a graph grows while it is planned, and its plan takes as much */
    lg_train_memory m = lg_train_memory_of(T, p);
    m.work = 0;
    m.graphs += (PLANNED - 1) * lg_arena_used(p->b->g->arena);
    size_t others = lg_train_memory_all(&m), most = (size_t)T->H->o.memory;
    return others < most ? most - others : 1;
}

bool lg_train_fits(lg_train *T, const lg_step_plan *p) {
    lg_train_memory m = lg_train_memory_of(T, p);
    size_t need = lg_train_memory_all(&m);
    if (T->H->o.memory <= 0 || need <= (size_t)T->H->o.memory)
        return true;
    char a[LG_SIZE_TEXT], b[LG_SIZE_TEXT];
    lg_diag *x = lg_err(T->E, "E0438", T->at, "a step takes at least %s, more than the limit of %s",
                        lg_size_text(a, (double)need), lg_size_text(b, (double)T->H->o.memory));
    lg_diag_note(x, "%s of workspace, %s kept from step to step", lg_size_text(a, (double)m.work),
                 lg_size_text(b, (double)(m.kept + m.next)));
    lg_diag_note(x, "the rest is data, batches, results and the program");
    lg_diag_help(x, "a smaller batch or `micro = 4` takes less");
    return false;
}

/* ---- measured ---- */

void lg_train_measure(const lg_train *T) {
    double measured = lg_profile_memory();
    lg_train_memory m = lg_train_memory_of(T, NULL);
    char a[LG_SIZE_TEXT], b[LG_SIZE_TEXT];
    m.work -= T->room_before;
    if (lg_profile_on() && !T->H->trial && measured > 0)
        fprintf(stderr, "memory of %s: %s predicted, %s measured\n",
                T->decl->name ? T->decl->name : "train",
                lg_size_text(a, (double)lg_train_memory_all(&m)), lg_size_text(b, measured));
}
