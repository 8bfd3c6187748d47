/* trace.c: see trace.h. The file is a JSON object in the trace event format: one complete event
 * ("X") a kernel and thread, times in microseconds from the first one. */
#include "runtime/trace.h"
#include "runtime/diag.h"
#include "runtime/exec.h"
#include "runtime/io.h"
#include "runtime/profile.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    char name[96];
    lg_span at;
    double beg, end, flops;
} event;

enum { THREADS = 64, EACH = 4096 }; /* events of a thread */

static struct {
    FILE *f;
    _Atomic bool on;
    LG_VEC(event) of[THREADS]; /* each thread writes its own */
} trace;

bool lg_trace_on(void) {
    return atomic_load_explicit(&trace.on, memory_order_relaxed);
}

void lg_trace_add(int id, const lg_step *s, double beg, double end) {
    if (id < 0 || id >= THREADS || trace.of[id].n >= EACH) {
        atomic_store_explicit(&trace.on, false, memory_order_relaxed);
        return;
    }
    event x = {.beg = beg, .end = end, .flops = lg_profile_flops(s)};
    lg_profile_name(s, x.name, sizeof x.name);
    if (s->node)
        x.at = s->node->span;
    LG_PUSH(trace.of[id], x);
}

/* ---- the file ---- */

static void put_event(lg_buf *b, int id, const event *x, double first) {
    uint32_t line, col;
    lg_buf_printf(
        b,
        ",\n{\"ph\": \"X\", \"pid\": 1, \"tid\": %d, \"ts\": %.3f, \"dur\": %.3f, \"name\": ", id,
        (x->beg - first) / 1e3, (x->end - x->beg) / 1e3);
    lg_json_string(b, x->name);
    lg_buf_printf(b, ", \"args\": {\"flops\": %.0f", x->flops);
    if (x->at.file) {
        char place[300];
        lg_source_where(x->at.file, x->at.beg, &line, &col);
        snprintf(place, sizeof place, "%s:%" PRIu32, lg_source_name(x->at.file), line);
        lg_buf_printf(b, ", \"source\": ");
        lg_json_string(b, place);
    }
    lg_buf_printf(b, "}}");
}

static void write_file(void) {
    lg_buf b = {0};
    double first = 0;
    atomic_store(&trace.on, false);
    for (int t = 0; t < THREADS; t++)
        if (trace.of[t].n && (!first || trace.of[t].at[0].beg < first))
            first = trace.of[t].at[0].beg;
    lg_buf_printf(&b,
                  "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n{\"ph\": \"M\", \"pid\": 1, "
                  "\"name\": \"process_name\", \"args\": {\"name\": \"steps\"}}");
    for (int t = 0; t < THREADS; t++)
        for (size_t k = 0; k < trace.of[t].n; k++)
            put_event(&b, t, &trace.of[t].at[k], first);
    lg_buf_printf(&b, "\n]}\n");
    bool ok = fwrite(b.at, 1, b.n, trace.f) == b.n;
    ok = fclose(trace.f) == 0 && ok;
    if (!ok)
        fprintf(stderr, "the trace could not be written\n");
    lg_buf_free(&b);
    for (int t = 0; t < THREADS; t++)
        lg_free(trace.of[t].at);
}

bool lg_trace_start(const char *path) {
    if (trace.f)
        return true;
    trace.f = fopen(path, "wbe");
    if (!trace.f)
        return false;
    atexit(write_file);
    atomic_store(&trace.on, true);
    return true;
}
