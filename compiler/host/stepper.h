/* stepper.h: a train that somebody else drives: batches come from the caller, one step at a time, and
 * what a model says about a batch goes back. Called by libraries that `lg build --lib` makes. */
#ifndef LG_STEPPER_H
#define LG_STEPPER_H
#include "compiler/host/host.h"

typedef struct lg_stepper lg_stepper;
typedef struct {
    const char *name;
    lg_type type; /* of one item */
} lg_step_field;

/* The only train of m, at its defaults and the settings of o. NULL after reporting in E->diags. */
lg_stepper *lg_stepper_new(lg_elab *E, lg_module *m, const lg_host_opts *o);
void lg_stepper_free(lg_stepper *S); /* NULL is fine */
const char *lg_stepper_part(const lg_stepper *S); /* its first part, or NULL */
int lg_stepper_fields(const lg_stepper *S, const lg_step_field **out);
/* One step on n items: field[k] holds n items of field k, dense. *loss may be NULL. */
bool lg_stepper_step(lg_stepper *S, int64_t n, const void *const *field, double *loss);
/* The value that the statement `print EXPRESSION`, a block of its own, would show for n items; its
 * type, and its elements, which stay until the next call. field[k] may be NULL where it is not
 * read. */
bool lg_stepper_value(lg_stepper *S, const lg_ast *print, int64_t n, const void *const *field,
                      lg_type *type, const void **data);
bool lg_stepper_save(lg_stepper *S, const char *dir);
bool lg_stepper_load(lg_stepper *S, const char *dir);
#endif
