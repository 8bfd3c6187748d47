/* embed.c: parses the library and the derivative rules of the ops at build time, and writes them
 * as the tables of compiler/mid/embedded.h: embed OUT.c FILE.lg ... */
#include "compiler/front/parse.h"
#include "ops/ops.h"
#include "runtime/io.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lg_arena *arena;
static lg_diags diags;

static void write_bytes(FILE *out, const char *kind, size_t number, const void *p, size_t n) {
    const unsigned char *b = p;
    fprintf(out, "static const unsigned char %s_%zu[] = {", kind, number);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s%u,", i % 24 ? "" : "\n", b[i]);
    fprintf(out, "0};\n"); /* never empty, and text ends in a 0 */
}

static void write_tree(FILE *out, const char *kind, size_t number, const lg_ast *t, size_t *n) {
    lg_buf b = {0};
    lg_ast_write(t, &b);
    write_bytes(out, kind, number, b.at, b.n);
    *n = b.n;
    lg_buf_free(&b);
}

/* "losses" of ".../losses.lg" */
static const char *module_name(const char *path) {
    const char *slash = strrchr(path, '/');
    char *name = lg_arena_str(arena, slash ? slash + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot)
        *dot = 0;
    return name;
}

typedef struct {
    const char *name;
    lg_buf names;
    size_t n_tree, n_text;
} module;

static void write_module(FILE *out, const char *path, size_t number, module *m) {
    lg_io io = {.ds = &diags};
    lg_bytes b;
    if (lg_bytes_load(&io, path, &b) != LG_OK)
        return;
    m->name = module_name(path);
    uint32_t file = lg_source_add(path, (const char *)b.at, b.n);
    const lg_ast *t = lg_parse(arena, file, &diags);
    for (uint32_t i = 0; i < t->n; i++)
        if (t->kid[i]->kind == LG_A_DECL && t->kid[i]->name)
            lg_buf_printf(&m->names, "%s%s", m->names.n ? " " : "", t->kid[i]->name);
    write_tree(out, "tree", number, t, &m->n_tree);
    write_bytes(out, "text", number, b.at, b.n);
    m->n_text = b.n;
    lg_bytes_free(&b);
}

static void write_modules(FILE *out, int n, char **path) {
    module *m = lg_alloc(sizeof *m * (size_t)(n + 1));
    for (int i = 0; i < n; i++)
        write_module(out, path[i], (size_t)i, &m[i]);
    fprintf(out, "const lg_embedded lg_stdlib[] = {\n");
    for (int i = 0; i < n; i++)
        fprintf(out, "{\"%s\", \"%s\", tree_%d, %zu, (const char *)text_%d, %zu},\n",
                m[i].name ? m[i].name : "", m[i].names.at ? m[i].names.at : "", i, m[i].n_tree, i,
                m[i].n_text);
    fprintf(out, "{0}};\n");
    for (int i = 0; i < n; i++)
        lg_buf_free(&m[i].names);
    lg_free(m);
}

static void write_rule(FILE *out, const lg_op *op, size_t k, size_t number, lg_buf *table) {
    char name[128];
    snprintf(name, sizeof name, "derivative %zu of %s", k, op->name);
    uint32_t file = lg_source_add(name, op->vjp[k], strlen(op->vjp[k]));
    const lg_ast *t = lg_parse_expr(arena, file, &diags);
    if (!t)
        return;
    size_t n;
    write_tree(out, "rule", number, t, &n);
    lg_buf_printf(table, "{\"%s\", %zu, rule_%zu, %zu},\n", op->name, k, number, n);
}

static void write_rules(FILE *out) {
    lg_buf table = {0};
    size_t number = 0;
    for (size_t i = 0; i < lg_op_count(); i++) {
        const lg_op *op = lg_op_at(i);
        for (size_t k = 0; k < LG_COUNT(op->vjp); k++)
            if (op->vjp[k])
                write_rule(out, op, k, number++, &table);
    }
    fprintf(out, "const lg_embedded_rule lg_op_rules[] = {\n%s{0}};\n", table.at ? table.at : "");
    lg_buf_free(&table);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "use: lg_embed OUT.c FILE.lg ...\n");
        return 2;
    }
    arena = lg_arena_new();
    lg_diags_init(&diags);
    FILE *out = fopen(argv[1], "w");
    if (!out) {
        perror(argv[1]);
        return 2;
    }
    fprintf(out, "#include \"compiler/mid/embedded.h\"\n");
    write_modules(out, argc - 2, argv + 2);
    write_rules(out);
    bool failed = fclose(out) != 0 || diags.errors;
    lg_diags_print(&diags, stderr, false);
    if (failed)
        remove(argv[1]);
    lg_diags_fini(&diags);
    lg_arena_free(arena);
    return failed;
}
