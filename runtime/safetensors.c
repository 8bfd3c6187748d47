/* safetensors.c: named tensors in one file: a length, a JSON header, the data. Written so that the
 * format's other readers take it. Not for what the tensors mean (checkpoint.c). */
#include "runtime/io.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 8 };
#define MAX_HEADER ((uint64_t)100 << 20)
#define META "__metadata__"

static const struct {
    const char *name;
    lg_wire wire;
} types[] = {
    {"F64", {'f', 8, LG_F64}},        {"F32", {'f', 4, LG_F32}},        {"BF16", {'f', 2, LG_BF16}},
    {"F16", {'f', 2, LG_F16}},        {"I64", {'i', 8, LG_I64}},        {"I32", {'i', 4, LG_I32}},
    {"I8", {'i', 1, LG_I8}},          {"U8", {'u', 1, LG_U8}},          {"BOOL", {'b', 1, LG_BOOL}},
    {"F8_E4M3", {'f', 1, LG_F8E4M3}}, {"F8_E5M2", {'f', 1, LG_F8E5M2}}, {"I16", {'i', 2, LG_I32}},
    {"U16", {'u', 2, LG_I32}},        {"U32", {'u', 4, LG_I64}},        {"U64", {'u', 8, LG_I64}},
};

static lg_wire wire_of(const char *name) {
    for (size_t i = 0; i < LG_COUNT(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].wire;
    return (lg_wire){0};
}

static const char *name_of(lg_dtype t) {
    for (size_t i = 0; i < LG_COUNT(types); i++)
        if (types[i].wire.as == t)
            return types[i].name;
    return NULL;
}

/* ---- reading ---- */

typedef struct {
    lg_sym name;
    lg_wire wire;
    int rank;
    int64_t shape[LG_MAX_RANK];
    uint64_t beg, end;
} entry;

typedef struct {
    const lg_io *io;
    lg_bytes b;
    const uint8_t *data;
    uint64_t n_data;
    LG_VEC(entry) entries;
} reader;

static lg_status bad(const reader *r, const char *why) {
    lg_io_report(r->io, "E0603", r->b.file, "not a readable safetensors file: %s", why);
    return LG_FAILED;
}

static lg_status entry_failed(const reader *r, const char *name, const char *why) {
    lg_io_report(r->io, "E0608", r->b.file, "tensor `%s` %s", name, why);
    return LG_FAILED;
}

/* A parser that recurses is given no deep text. */
static bool too_deep(const char *s, size_t n) {
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        if (quoted && s[i] == '\\')
            i++;
        else if (s[i] == '"')
            quoted = !quoted;
        else if (!quoted && (s[i] == '{' || s[i] == '['))
            depth++;
        else if (!quoted && (s[i] == '}' || s[i] == ']'))
            depth--;
        if (depth > MAX_DEPTH)
            return true;
    }
    return false;
}

static bool natural(const json_t *v, uint64_t *out) {
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static lg_status read_entry(const reader *r, const char *name, json_t *v, entry *e) {
    const char *type = json_string_value(json_object_get(v, "dtype"));
    json_t *shape = json_object_get(v, "shape"), *offsets = json_object_get(v, "data_offsets");
    *e = (entry){.name = lg_intern(name)};
    if (!type || !json_is_array(shape) || json_array_size(offsets) != 2)
        return entry_failed(r, name, "lacks a dtype, a shape or two data_offsets");
    e->wire = wire_of(type);
    if (!e->wire.kind) {
        lg_io_report(r->io, "E0607", r->b.file,
                     "tensor `%s` has elements of type `%s`, "
                     "which is not supported",
                     name, type);
        return LG_FAILED;
    }
    if (json_array_size(shape) > LG_MAX_RANK)
        return entry_failed(r, name, "has too many dims");
    e->rank = (int)json_array_size(shape);
    uint64_t dim;
    for (int d = 0; d < e->rank; d++) {
        if (!natural(json_array_get(shape, (size_t)d), &dim))
            return entry_failed(r, name, "has a dim that is no size");
        e->shape[d] = (int64_t)dim;
    }
    if (!natural(json_array_get(offsets, 0), &e->beg) ||
        !natural(json_array_get(offsets, 1), &e->end) || e->beg > e->end || e->end > r->n_data)
        return entry_failed(r, name, "has data_offsets outside the file");
    size_t bytes, wide;
    if (!lg_shape_bytes(e->rank, e->shape, e->wire.size, &bytes) ||
        !lg_shape_bytes(e->rank, e->shape, 8, &wide) || bytes != e->end - e->beg)
        return entry_failed(r, name, "has a shape that does not fit its data_offsets");
    return LG_OK;
}

static lg_status read_meta(const reader *r, json_t *v, lg_bundle *out) {
    const char *key;
    json_t *text;
    if (!json_is_object(v))
        return bad(r, "its " META " is no object");
    json_object_foreach(v, key, text) {
        if (!json_is_string(text))
            return bad(r, "its " META " holds something other than text");
        lg_bundle_put_meta(out, key, json_string_value(text));
    }
    return LG_OK;
}

static int by_place(const void *a, const void *b) {
    const entry *x = a, *y = b;
    return x->beg != y->beg ? (x->beg < y->beg ? -1 : 1) : (x->end > y->end) - (x->end < y->end);
}

/* The tensors cover the data from first to last byte, without gap or overlap. */
static lg_status check_cover(const reader *r) {
    uint64_t at = 0;
    for (size_t i = 0; i < r->entries.n; i++) {
        const entry *e = &r->entries.at[i];
        if (e->beg != at)
            return entry_failed(r, e->name,
                                e->beg < at ? "overlaps the one before" : "follows a gap");
        at = e->end;
    }
    return at == r->n_data ? LG_OK : bad(r, "bytes are left after the last tensor");
}

static int by_name(const void *a, const void *b) {
    const lg_named *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static lg_status read_data(const reader *r, lg_bundle *out) {
    for (size_t i = 0; i < r->entries.n; i++) {
        const entry *e = &r->entries.at[i];
        lg_tensor *x = lg_tensor_try(e->wire.as, e->rank, e->shape);
        if (!x) {
            lg_io_report(r->io, "E0602", r->b.file, "no memory for tensor `%s`", e->name);
            return LG_FAILED;
        }
        lg_bundle_add(out, e->name, x);
        if (lg_wire_decode(r->io, r->b.file, e->wire, false, r->data + e->beg, x->n, x->data) !=
            LG_OK)
            return LG_FAILED;
    }
    if (out->list.n)
        qsort(out->list.at, out->list.n, sizeof *out->list.at, by_name);
    return LG_OK;
}

static lg_status read_header(reader *r, json_t *root, lg_bundle *out) {
    const char *name;
    json_t *v;
    json_object_foreach(root, name, v) {
        entry e;
        lg_status st = strcmp(name, META) == 0 ? read_meta(r, v, out) : read_entry(r, name, v, &e);
        if (st != LG_OK)
            return st;
        if (strcmp(name, META) != 0)
            LG_PUSH(r->entries, e);
    }
    if (r->entries.n)
        qsort(r->entries.at, r->entries.n, sizeof *r->entries.at, by_place);
    return check_cover(r);
}

lg_status lg_safetensors_parse(const lg_io *io, lg_bytes b, lg_bundle *out) {
    reader r = {.io = io, .b = b};
    uint64_t n = b.n >= 8 ? lg_le(b.at, 8) : 0;
    if (b.n < 8)
        return bad(&r, "it is shorter than 8 bytes");
    if (n > b.n - 8 || n > MAX_HEADER)
        return bad(&r, "its header is longer than the file, or than 100 MiB");
    const char *text = (const char *)b.at + 8;
    if (n == 0 || text[0] != '{' || too_deep(text, (size_t)n))
        return bad(&r, "its header is no JSON object of tensors");
    r.data = b.at + 8 + n;
    r.n_data = b.n - 8 - n;
    json_error_t e;
    json_t *root = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &e);
    if (!root) {
        lg_io_report(io, "E0603", b.file, "byte %d of the safetensors header: %s", e.position + 8,
                     e.text);
        return LG_FAILED;
    }
    lg_bundle got = {0};
    lg_status st = read_header(&r, root, &got);
    if (st == LG_OK)
        st = read_data(&r, &got);
    json_decref(root);
    lg_free(r.entries.at);
    if (st == LG_OK)
        *out = got;
    else
        lg_bundle_fini(&got);
    return st;
}

lg_status lg_safetensors_load(const lg_io *io, const char *path, lg_bundle *out) {
    lg_bytes b;
    if (lg_bytes_load(io, path, &b) != LG_OK)
        return LG_FAILED;
    lg_status st = lg_safetensors_parse(io, b, out);
    lg_bytes_free(&b);
    return st;
}

/* ---- writing ---- */

static int by_layout(const void *a, const void *b) {
    const lg_named *x = a, *y = b;
    size_t m = lg_dtype_size(x->x->dtype), n = lg_dtype_size(y->x->dtype);
    return m != n ? (m > n ? -1 : 1) : strcmp(x->name, y->name);
}

/* Adds one tensor to the header; false when a name is no UTF-8, is taken or is reserved. */
static bool describe(json_t *root, const lg_named *t, uint64_t *at) {
    if (strcmp(t->name, META) == 0 || json_object_get(root, t->name))
        return false;
    json_t *shape = json_array();
    for (int d = 0; d < t->x->rank; d++)
        json_array_append_new(shape, json_integer(t->x->shape[d]));
    uint64_t end = *at + lg_tensor_bytes(t->x);
    json_t *v = json_pack("{s:s, s:o, s:[I, I]}", "dtype", name_of(t->x->dtype), "shape", shape,
                          "data_offsets", (json_int_t)*at, (json_int_t)end);
    *at = end;
    return json_object_set_new(root, t->name, v) == 0;
}

static char *header_text(const lg_io *io, const char *path, const lg_bundle *b,
                         const lg_named *order) {
    json_t *root = json_object(), *meta = json_object();
    uint64_t at = 0;
    const char *wrong = NULL;
    for (size_t i = 0; i < b->list.n && !wrong; i++)
        wrong = describe(root, &order[i], &at) ? NULL : order[i].name;
    for (size_t i = 0; i < b->meta.n && !wrong; i++)
        if (json_object_set_new(meta, b->meta.at[i].key, json_string(b->meta.at[i].value)) != 0)
            wrong = b->meta.at[i].key;
    if (b->meta.n)
        json_object_set(root, META, meta);
    char *text = wrong ? NULL : json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(meta);
    json_decref(root);
    if (!text)
        lg_io_report(io, "E0609", path, "`%s` cannot be a name here: it is taken, or no UTF-8",
                     wrong ? wrong : META);
    return text;
}

lg_status lg_safetensors_write(const lg_io *io, const char *path, const lg_bundle *b) {
    lg_named *order = lg_alloc((b->list.n + 1) * sizeof *order);
    if (b->list.n) {
        memcpy(order, b->list.at, b->list.n * sizeof *order);
        qsort(order, b->list.n, sizeof *order, by_layout);
    }
    char *text = header_text(io, path, b, order);
    lg_out out;
    if (!text || lg_out_open(io, path, &out) != LG_OK) {
        free(text);
        lg_free(order);
        return LG_FAILED;
    }
    size_t n = strlen(text), padded = (n + 7) / 8 * 8;
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(padded >> (8 * i));
    lg_out_put(&out, length, 8);
    lg_out_put(&out, text, n);
    lg_out_put(&out, "        ", padded - n);
    for (size_t i = 0; i < b->list.n; i++)
        lg_out_put(&out, order[i].x->data, lg_tensor_bytes(order[i].x));
    free(text);
    lg_free(order);
    return lg_out_close(&out, true);
}
