/* embedded.h: what tools/embed.c writes at build time: the library and the ops' derivative rules,
 * as trees. */
#ifndef LG_EMBEDDED_H
#define LG_EMBEDDED_H
#include <stddef.h>

typedef struct lg_embedded {
    const char *name;  /* "losses"; NULL ends the table */
    const char *names; /* its top-level names, separated by single spaces */
    const unsigned char *tree;
    size_t n_tree;
    const char *text;  /* the source, for messages and help */
    size_t n_text;
} lg_embedded;
typedef struct lg_embedded_rule {
    const char *op; /* NULL ends the table */
    int k;          /* the input whose cotangent it gives */
    const unsigned char *tree;
    size_t n;
} lg_embedded_rule;
extern const lg_embedded lg_stdlib[];
extern const lg_embedded_rule lg_op_rules[];
#endif
