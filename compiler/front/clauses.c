/* clauses.c: which clauses a declaration of each word may have. All share one form in the grammar;
 * what means nothing for a word is reported here, so that nothing written is passed over. Called by
 * build.c; what a clause says is looked at when it is elaborated. */
#include "compiler/front/front.h"
#include "runtime/dtype.h"
#include <string.h>

enum {
    PARAMS = 1,
    INDEX = 2,
    TYPE = 4,
    ALLOWED = 8,
    SHAPE = 16,
    VALUE = 32,
    BLOCK = 64,
    FROM = 128,
    RULES = 256,
    GUARD = 512,
    FUNCTION = PARAMS | INDEX | TYPE | ALLOWED | VALUE | BLOCK | FROM | RULES
};

static const struct {
    const char *word;
    int clauses;
} WORDS[] = {
    {"arg", TYPE | ALLOWED | VALUE},
    {"data", PARAMS | VALUE | FROM | BLOCK},
    {"dim", VALUE},
    {"entry", PARAMS | BLOCK},
    {"eval", BLOCK},
    {"field", TYPE | ALLOWED | VALUE},
    {"fn", FUNCTION},
    {"loss", FUNCTION},
    {"metric", VALUE},
    {"model", PARAMS | BLOCK},
    {"optimizer", PARAMS | SHAPE | BLOCK},
    {"param", INDEX | TYPE | VALUE | GUARD},
    {"part", INDEX | VALUE | FROM | GUARD},
    {"phase", BLOCK},
    {"quantizer", PARAMS | BLOCK},
    {"schedule", FUNCTION},
    {"state", INDEX | TYPE | VALUE | GUARD},
    {"train", PARAMS | BLOCK},
};

static int clauses_of(lg_sym word) {
    for (size_t i = 0; i < LG_COUNT(WORDS); i++)
        if (!strcmp(WORDS[i].word, word))
            return WORDS[i].clauses;
    return -1;
}

/* An `arg` may be a float in a range; elsewhere `in` gives labels their number of classes. */
static void check_bound(lg_parser *p, const lg_ast *decl) {
    const lg_ast *type = decl->kid[LG_D_TYPE], *in = decl->kid[LG_D_IN];
    if (!in || !strcmp(decl->text, "arg") || !type || type->kind != LG_A_TYPE)
        return;
    lg_dtype t = lg_dtype_from_name(type->name);
    if (!strcmp(type->name, "float") || (t != LG_NO_DTYPE && !lg_dtype_is_int(t)))
        lg_diag_add(p->ds, "E0114", in->span, "`in` bounds integers, not %s", type->name);
}

void lg_check_clauses(lg_parser *p, const lg_ast *decl) {
    static const struct {
        int clause, kid;
        const char *text;
    } rows[] = {
        {PARAMS, LG_D_PARAMS, "parameters"}, {INDEX, LG_D_INDEX, "subscripts"},
        {TYPE, LG_D_TYPE, "type"},           {ALLOWED, LG_D_IN, "`in`"},
        {SHAPE, LG_D_FOR, "`for`"},          {VALUE, LG_D_VALUE, "`=`"},
        {BLOCK, LG_D_BLOCK, "block"},        {FROM, LG_D_FROM, "`from`"},
        {RULES, LG_D_WITH, "`with`"},        {GUARD, LG_D_GUARD, "`when`"},
    };
    int may = clauses_of(decl->text);
    bool line = !strcmp(decl->text, "loss") ? !decl->kid[LG_D_PARAMS]
                                            : !strcmp(decl->text, "optimizer") && !decl->name;
    if (line) /* of a train */
        may = VALUE;
    for (size_t i = 0; i < LG_COUNT(rows); i++) {
        const lg_ast *kid = decl->kid[rows[i].kid];
        if (!kid || may & rows[i].clause)
            continue;
        lg_diag *d =
            lg_diag_add(p->ds, "E0114", kid->span, "`%s` takes no %s", decl->text, rows[i].text);
        if (!strcmp(decl->text, "optimizer") && rows[i].clause == VALUE)
            lg_diag_help(d,
                         "in a train: `optimizer = ...`, or for some parameters their selector: "
                         "optimizer `%s` = ...",
                         decl->name);
        return;
    }
    check_bound(p, decl);
}
