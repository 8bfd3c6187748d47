/* text.c: writes files as C string arrays: text OUT.c NAME=FILE ... */
#include <stdio.h>
#include <string.h>

static int write_text(FILE *out, const char *name, size_t n, const char *path) {
    FILE *in = fopen(path, "rb");
    if (!in) {
        perror(path);
        return 1;
    }
    fprintf(out, "const char lg_text_%.*s[] = {", (int)n, name);
    int c;
    for (size_t i = 0; (c = fgetc(in)) != EOF; i++)
        fprintf(out, "%s%d,", i % 24 ? "" : "\n", c);
    fprintf(out, "0};\n");
    fclose(in);
    return 0;
}

int main(int argc, char **argv) {
    FILE *out = argc > 2 ? fopen(argv[1], "w") : NULL;
    if (!out) {
        fprintf(stderr, "text OUT.c NAME=FILE ...\n");
        return 2;
    }
    fprintf(out, "#include \"compiler/back/emitting.h\"\n");
    int status = 0;
    for (int i = 2; i < argc; i++) {
        const char *eq = strchr(argv[i], '=');
        if (eq)
            status |= write_text(out, argv[i], (size_t)(eq - argv[i]), eq + 1);
    }
    return fclose(out) ? 1 : status;
}
