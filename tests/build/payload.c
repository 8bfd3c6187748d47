/* payload.c: what executables carry, written and read back, and then with every byte changed while
 * all checksums are made to fit again: each file is read as a program or reported, and nothing else
 * happens. */
#define _XOPEN_SOURCE 700
#include "compiler/program/payload.h"
#include "compiler/front/parse.h"
#include "compiler/host/host.h"
#include "tests/io/check.h"

enum { HASH_SEED = 29 /* of payload.c */ };

static const char first[] = "import \"b.lg\"\nimport std.losses as L\n"
                            "arg n: i64 in 1..9 = 3  ## how many\nprint \"{b.twice(n)}\"\n";
static const char second[] = "fn twice(x) = 2*x\n";

static lg_payload example(lg_arena *a, lg_diags *ds) {
    lg_payload p = {.version = "1", .float_name = "f64"};
    const char *names[] = {"dir/a.lg", "dir/b.lg"}, *texts[] = {first, second};
    LG_PUSH(p.with, "n=4");
    for (int i = 0; i < 2; i++) {
        uint32_t file = lg_source_add(names[i], texts[i], strlen(texts[i]));
        lg_payload_file f = {.name = names[i], .text = texts[i], .n_text = strlen(texts[i])};
        f.tree = lg_parse(a, file, ds);
        LG_PUSH(p.files, f);
    }
    LG_PUSH(p.files.at[0].imports, 1);
    LG_PUSH(p.files.at[0].imports, LG_NO_FILE);
    return p;
}

static void le64(char *at, uint64_t v) {
    for (int i = 0; i < 8; i++)
        at[i] = (char)(unsigned char)(v >> (8 * i));
}

/* The payload as a file, with checksums that fit. */
static const char *as_file(lg_buf *b) {
    size_t body = b->n - LG_PAYLOAD_TAIL;
    le64(b->at + b->n - 8, lg_hash(b->at, body, HASH_SEED));
    const char *path = in_scratch("exe");
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(b->at, 1, b->n, f) != b->n || fclose(f) != 0)
        abort();
    return path;
}

/* Reads and registers; true when it is a program. Otherwise something was reported. */
static bool is_program(lg_buf *b, void (*look)(const lg_payload *p, const lg_module *m)) {
    lg_arena *a = lg_arena_new();
    lg_io *io = fresh();
    lg_payload p = {0};
    lg_module *m = NULL;
    if (lg_payload_read(io, a, as_file(b), "exe", &p)) {
        lg_elab *E = lg_elab_new(a, io->ds);
        lg_host_attach(E, NULL);
        m = lg_payload_load(io, E, &p, "exe");
    }
    bool ok = m != NULL && io->ds->errors == 0;
    if (!ok)
        check(io->ds->errors > 0, "a refused payload is reported");
    if (ok && look)
        look(&p, m);
    lg_payload_fini(&p);
    lg_arena_free(a);
    return ok;
}

static void as_written(const lg_payload *p, const lg_module *m) {
    check(!strcmp(p->version, "1") && !strcmp(p->float_name, "f64"), "version and float");
    check(p->with.n == 1 && !strcmp(p->with.at[0], "n=4"), "settings");
    check(p->files.n == 2 && p->files.at[0].n_text == strlen(first), "files and texts");
    check(!strcmp(m->name, "dir/a.lg") && m->tree->n == 4, "the first file is the program");
    check(lg_find_local(m->frame, lg_intern("b"), false) != NULL, "imports by file are bound");
    check(lg_find_local(m->frame, lg_intern("L"), false) != NULL,
          "imports of the library are bound");
}

int main(void) {
    if (!open_scratch())
        return 1;
    lg_arena *a = lg_arena_new();
    lg_diags ds;
    lg_diags_init(&ds);
    lg_payload p = example(a, &ds);
    lg_buf whole = {0}, hurt = {0};
    lg_payload_write(&p, &whole);
    check(lg_payload_present((const uint8_t *)whole.at, whole.n), "the tail is known");
    check(is_program(&whole, as_written), "what was written is read");
    int programs = 0, tried = 0;
    for (size_t at = 0; at + LG_PAYLOAD_TAIL < whole.n; at++)
        for (int bit = 0; bit < 8; bit += 3, tried++) {
            hurt.n = 0;
            lg_buf_put(&hurt, whole.at, whole.n);
            hurt.at[at] = (char)(hurt.at[at] ^ 1 << bit);
            programs += is_program(&hurt, NULL);
        }
    check(programs > 0 && programs < tried, "some changes are seen, some are in texts");
    for (size_t cut = 1; cut < whole.n - LG_PAYLOAD_TAIL; cut++) {
        hurt.n = 0; /* shorter, with a tail that says so */
        lg_buf_put(&hurt, whole.at, whole.n - LG_PAYLOAD_TAIL - cut);
        lg_buf_put(&hurt, whole.at + whole.n - LG_PAYLOAD_TAIL, LG_PAYLOAD_TAIL);
        le64(hurt.at + hurt.n - 16, hurt.n - LG_PAYLOAD_TAIL);
        check(!is_program(&hurt, NULL), "cut short by %zu", cut);
    }
    lg_buf_free(&whole);
    lg_buf_free(&hurt);
    lg_payload_fini(&p);
    lg_diags_fini(&ds);
    lg_arena_free(a);
    return close_scratch();
}
