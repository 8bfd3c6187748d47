/* codes.c: parameters that are held as codes, in files: which quantizer made those of a path, as
 * JSON in the file's metadata, and the record of codes again. Not for encoding (mid/quant.c). Used
 * by effect.c and save.c. */
#include "compiler/host/codes.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define KEY "quantizers"

/* {"path": {"quantizer": "int4", "args": {"group_size": 32}}, ...} */
static json_t *read_notes(const lg_bundle *b) {
    const char *text = lg_bundle_meta(b, KEY);
    json_t *o = text ? json_loads(text, 0, NULL) : NULL;
    return json_is_object(o) ? o : (json_decref(o), NULL);
}

static json_t *json_of(lg_elab *E, const lg_value *v) {
    int64_t n;
    double x;
    bool b;
    if (v->kind == LG_V_STR && v->str)
        return json_string(v->str);
    if (lg_v_static_bool(E, v, &b))
        return json_boolean(b);
    if (lg_v_static_int(E, v, &n))
        return json_integer(n);
    return lg_v_static_real(E, v, &x) ? json_real(x) : NULL;
}

bool lg_codes_note(lg_elab *E, const char *path, const lg_value *codes, lg_bundle *b, lg_span at) {
    const lg_value *q = codes->rec.quant;
    lg_sym *name;
    lg_value **value;
    json_t *all = read_notes(b), *args = json_object();
    int n = lg_quant_args(E, q, &name, &value);
    for (int i = 0; i < n; i++) {
        json_t *v = json_of(E, value[i]);
        if (!v) {
            lg_diag *d =
                lg_err(E, "E0208", at, "`%s` cannot be written: `%s` of its quantizer `%s` is %s",
                       path, name[i], q->quant.decl->name, lg_v_type_text(E, value[i]));
            lg_diag_help(d, "numbers, text and true or false can");
            json_decref(args);
            json_decref(all);
            return false;
        }
        json_object_set_new(args, name[i], v);
    }
    all = all ? all : json_object();
    json_object_set_new(all, path,
                        json_pack("{s:s, s:o}", "quantizer", q->quant.decl->name, "args", args));
    char *text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    lg_bundle_put_meta(b, KEY, text);
    free(text);
    json_decref(all);
    return true;
}

static lg_value *value_of(lg_elab *E, const json_t *v, lg_span at) {
    if (json_is_string(v))
        return lg_v_str(E, json_string_value(v), at);
    if (json_is_boolean(v))
        return lg_v_bool(E, json_is_true(v), at);
    if (json_is_integer(v))
        return lg_v_int(E, json_integer_value(v), at);
    return lg_v_real(E, json_number_value(v), at);
}

/* The quantizer of a note, found by its name where the file is read. */
static lg_value *quantizer_of(lg_elab *E, const char *path, const json_t *note, lg_span at) {
    const char *name = json_string_value(json_object_get(note, "quantizer")), *key;
    lg_value *decl = name ? lg_lookup(E, E->frame, lg_intern(name), at) : NULL;
    json_t *args = json_object_get(note, "args"), *v;
    if (!decl || decl->kind != LG_V_DECL || strcmp(decl->decl.decl->text, "quantizer") != 0) {
        lg_diag *d = lg_err(E, "E0301", at,
                            "nothing here is called `%s`, the quantizer whose codes "
                            "stand for `%s`",
                            name ? name : "?", path);
        lg_diag_help(d, "declare the quantizer as in the program that wrote the file");
        return NULL;
    }
    lg_arg *arg = LG_NEW_N(E->arena, lg_arg, json_object_size(args) + 1);
    int n = 0;
    json_object_foreach(args, key, v) arg[n++] =
        (lg_arg){lg_intern(key), value_of(E, v, at), NULL, at};
    lg_value *q = lg_call_value(E, decl, n, arg, at);
    return q->kind == LG_V_QUANT ? q : NULL;
}

struct lg_notes {
    lg_elab *E;
    json_t *all;
    lg_span at;
};

lg_notes *lg_notes_new(lg_elab *E, const lg_bundle *b, lg_span at) {
    lg_notes *n = lg_alloc(sizeof *n);
    *n = (lg_notes){E, read_notes(b), at};
    return n;
}

void lg_notes_free(lg_notes *n) {
    json_decref(n->all);
    lg_free(n);
}

bool lg_notes_add(lg_notes *n, lg_value *r, const char *name, const char *path, lg_value *array) {
    const char *dot = strrchr(path, '.') ? strrchr(name, '.') : NULL;
    const char *place = lg_txt(n->E, "%.*s", dot ? (int)(dot - name) : 0, name);
    json_t *note = n->all && dot ? json_object_get(n->all, place) : NULL;
    if (!note) {
        lg_v_set_field(n->E, r, lg_intern(path), array);
        return true;
    }
    lg_sym key = lg_intern(lg_txt(n->E, "%.*s", (int)(strrchr(path, '.') - path), path));
    lg_value *codes = lg_v_field(r, key);
    if (!codes) {
        codes = lg_v_record(n->E, 0, n->at);
        codes->rec.quant = quantizer_of(n->E, place, note, n->at);
        if (!codes->rec.quant)
            return false;
        lg_v_set_field(n->E, r, key, codes);
    }
    lg_v_set_field(n->E, codes, lg_intern(dot + 1), array);
    return true;
}
