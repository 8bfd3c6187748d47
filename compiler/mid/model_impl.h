/* model_impl.h: the static part of a model, shared by model.c (construction), model_use.c (calls
 * and members) and model_load.c (other values for the leaves). Others see model.h. */
#ifndef LG_MODEL_IMPL_H
#define LG_MODEL_IMPL_H
#include "compiler/mid/model.h"

/* What makes two leaves the same one: made once per `param` line that runs. */
typedef struct lg_leaf_id {
    uint64_t in; /* the number of the model under construction that has it, and its own there */
    int number;
} lg_leaf_id;

typedef struct {
    const char *path;
    bool is_state;
    int alias;
    lg_span at;
    lg_value *type; /* as member functions see it */
    lg_leaf_id *id;
} lg_leaf_info;

typedef enum { LG_M_PARAM, LG_M_STATE, LG_M_LET, LG_M_PART, LG_M_PARTS } lg_member_kind;

typedef struct {
    lg_member_kind kind;
    lg_sym name;
    lg_span at;
    int first;       /* number of its first leaf */
    lg_value *shape; /* PARAM, STATE, LET: the structure; its tensors are leaves first, first + 1, ... */
    int n;           /* PART: 1; PARTS: how many */
    lg_model **part; /* their leaves follow one another from `first` */
} lg_member;

struct lg_model {
    uint64_t number; /* no other has it */
    const lg_ast *decl;
    lg_frame *frame; /* arguments, dims and lets of the construction */
    const lg_ast *call;
    LG_VEC(lg_member) member; /* arena memory once it is made */
    LG_VEC(lg_leaf_info) leaf;
};

const lg_member *lg_member_find(const lg_model *m, lg_sym name);
/* The sub-model number k of a member, at the values of `model`. */
lg_value *lg_submodel(lg_elab *E, const lg_value *model, const lg_member *b, int k);
/* PARAM, STATE, LET: the value, as member functions see it. */
lg_value *lg_member_value(lg_elab *E, const lg_value *model, const lg_member *b);
/* The frame of a call: members at the values of `model`; `input`: for quantizers, or NULL. */
lg_frame *lg_model_instance(lg_elab *E, const lg_value *model, lg_value *input);
const char *lg_joined_path(lg_elab *E, const char *a, const char *b);
#endif
