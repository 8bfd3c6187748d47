/* npy.c: one array in NumPy's format, versions 1 to 3, read and written. Not for archives of them
 * (npz.c), nor for object or structured arrays. */
#include "runtime/io.h"
#include <string.h>

enum { MAX_HEADER = 1 << 16 };

/* The header is a Python dictionary of three entries: 'descr', 'fortran_order', 'shape'. */
typedef struct {
    const char *p, *end;
    char descr[16];
    bool fortran;
    int rank;
    int64_t shape[LG_MAX_RANK];
    bool has_descr, has_order, has_shape;
} header;

static void spaces(header *h) {
    while (h->p < h->end && (*h->p == ' ' || *h->p == '\t' || *h->p == '\n' || *h->p == '\r'))
        h->p++;
}

static bool take(header *h, char c) {
    spaces(h);
    if (h->p == h->end || *h->p != c)
        return false;
    h->p++;
    return true;
}

static bool word(header *h, const char *w) {
    size_t n = strlen(w);
    spaces(h);
    if ((size_t)(h->end - h->p) < n || memcmp(h->p, w, n) != 0)
        return false;
    h->p += n;
    return true;
}

static bool string(header *h, char *out, size_t cap) {
    spaces(h);
    if (h->p == h->end || (*h->p != '\'' && *h->p != '"'))
        return false;
    char quote = *h->p++;
    size_t n = 0;
    for (; h->p < h->end && *h->p != quote; h->p++) {
        if (*h->p == '\\' || n + 1 >= cap)
            return false;
        out[n++] = *h->p;
    }
    out[n] = 0;
    return h->p < h->end && *h->p++ == quote;
}

static bool integer(header *h, int64_t *out) {
    spaces(h);
    const char *beg = h->p;
    int64_t v = 0;
    for (; h->p < h->end && *h->p >= '0' && *h->p <= '9'; h->p++) {
        int digit = *h->p - '0';
        if (v > (INT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return h->p > beg;
}

static const char *shape(header *h) {
    if (!take(h, '('))
        return "`shape` is not a tuple";
    while (!take(h, ')')) {
        if (h->rank == LG_MAX_RANK)
            return "has too many dims";
        if (!integer(h, &h->shape[h->rank++]))
            return "`shape` holds something that is no size";
        if (!take(h, ',') && (spaces(h), h->p == h->end || *h->p != ')'))
            return "`shape` is not closed";
    }
    return NULL;
}

static const char *entry(header *h) {
    char key[32];
    bool *seen;
    const char *wrong = NULL;
    if (!string(h, key, sizeof key) || !take(h, ':'))
        return "the header is not a dictionary";
    if (strcmp(key, "descr") == 0) {
        seen = &h->has_descr;
        if (!string(h, h->descr, sizeof h->descr))
            wrong = "`descr` is no plain element type";
    } else if (strcmp(key, "fortran_order") == 0) {
        seen = &h->has_order;
        h->fortran = word(h, "True");
        if (!h->fortran && !word(h, "False"))
            wrong = "`fortran_order` is neither True nor False";
    } else if (strcmp(key, "shape") == 0) {
        seen = &h->has_shape;
        h->rank = 0;
        wrong = shape(h);
    } else {
        return "the header has an unknown entry";
    }
    if (!wrong && *seen)
        wrong = "the header has an entry twice";
    *seen = true;
    return wrong;
}

static const char *parse_header(header *h) {
    if (!take(h, '{'))
        return "the header is not a dictionary";
    while (!take(h, '}')) {
        const char *wrong = entry(h);
        if (wrong)
            return wrong;
        if (!take(h, ',') && (spaces(h), h->p == h->end || *h->p != '}'))
            return "the header is not closed";
    }
    spaces(h);
    if (h->p != h->end)
        return "the header goes on after its dictionary";
    return h->has_descr && h->has_order && h->has_shape ? NULL : "the header lacks an entry";
}

/* "<f4": byte order, kind, size. `swap` when the file's order is not this machine's. */
static lg_wire element_type(const char *descr, bool *swap) {
    static const char order[] = "<>=|";
    if (!descr[0] || !strchr(order, descr[0]) || !descr[1])
        return (lg_wire){0};
    uint64_t size = 0;
    for (const char *s = descr + 2; *s; s++) {
        if (*s < '0' || *s > '9')
            return (lg_wire){0};
        size = size * 10 + (uint64_t)(*s - '0');
    }
    *swap = descr[0] == '>';
    return lg_wire_of(descr[1], size);
}

/* `src` is column-major of the shape of x; x is row-major. */
static void from_fortran(lg_tensor *x, const char *src, size_t size) {
    int64_t at[LG_MAX_RANK] = {0};
    char *out = x->data;
    for (size_t i = 0; i < x->n; i++) {
        size_t from = 0;
        for (int d = x->rank - 1; d >= 0; d--)
            from = from * (size_t)x->shape[d] + (size_t)at[d];
        memcpy(out + i * size, src + from * size, size);
        for (int d = x->rank - 1; d >= 0 && ++at[d] == x->shape[d]; d--)
            at[d] = 0;
    }
}

static lg_status fill(const lg_io *io, const char *file, const header *h, lg_wire w, bool swap,
                      const uint8_t *data, lg_tensor *x) {
    if (!h->fortran || h->rank < 2)
        return lg_wire_decode(io, file, w, swap, data, x->n, x->data);
    lg_tensor *flat = lg_tensor_try(x->dtype, x->rank, x->shape);
    if (!flat) {
        lg_io_report(io, "E0602", file, "no memory to reorder %zu elements", x->n);
        return LG_FAILED;
    }
    lg_status st = lg_wire_decode(io, file, w, swap, data, x->n, flat->data);
    if (st == LG_OK)
        from_fortran(x, flat->data, lg_dtype_size(x->dtype));
    lg_tensor_release(flat);
    return st;
}

static lg_status bad(const lg_io *io, lg_bytes b, const char *why) {
    lg_io_report(io, "E0603", b.file, "not a readable npy file: %s", why);
    return LG_FAILED;
}

/* Finds the header's text; the data begin where it ends. */
static const char *find_header(lg_bytes b, header *h) {
    if (b.n < 10 || memcmp(b.at, "\x93NUMPY", 6) != 0)
        return "it does not begin with the npy mark";
    int width = b.at[6] == 1 ? 2 : 4;
    if (b.at[6] < 1 || b.at[6] > 3 || b.n < 8u + (unsigned)width)
        return "its version is none of 1, 2, 3";
    uint64_t n = lg_le(b.at + 8, width);
    size_t beg = 8 + (size_t)width;
    if (n > b.n - beg)
        return "its header is longer than the file";
    if (n > MAX_HEADER)
        return "its header is too long";
    h->p = (const char *)b.at + beg;
    h->end = h->p + n;
    return NULL;
}

lg_status lg_npy_parse(const lg_io *io, lg_bytes b, lg_tensor **out) {
    header h = {0};
    const char *wrong = find_header(b, &h);
    const uint8_t *data = (const uint8_t *)h.end;
    if (!wrong)
        wrong = parse_header(&h);
    if (wrong)
        return bad(io, b, wrong);
    bool swap = false;
    lg_wire w = element_type(h.descr, &swap);
    if (!w.kind) {
        lg_io_report(io, "E0607", b.file, "elements of type `%s` are not supported", h.descr);
        return LG_FAILED;
    }
    size_t want, wide, left = (size_t)(b.at + b.n - data);
    if (!lg_shape_bytes(h.rank, h.shape, w.size, &want) ||
        !lg_shape_bytes(h.rank, h.shape, 8, &wide))
        return bad(io, b, "its shape is too large");
    if (want != left) {
        lg_io_report(io, "E0608", b.file, "the shape takes %zu bytes and %zu are there", want,
                     left);
        return LG_FAILED;
    }
    lg_tensor *x = lg_tensor_try(w.as, h.rank, h.shape);
    if (!x)
        return bad(io, b, "no memory for it");
    if (fill(io, b.file, &h, w, swap, data, x) != LG_OK) {
        lg_tensor_release(x);
        return LG_FAILED;
    }
    *out = x;
    return LG_OK;
}

lg_status lg_npy_load(const lg_io *io, const char *path, lg_tensor **out) {
    lg_bytes b;
    if (lg_bytes_load(io, path, &b) != LG_OK)
        return LG_FAILED;
    lg_status st = lg_npy_parse(io, b, out);
    lg_bytes_free(&b);
    return st;
}

static const char *descr_of(lg_dtype t) {
    switch (t) {
    case LG_F64:
        return "<f8";
    case LG_F32:
        return "<f4";
    case LG_F16:
        return "<f2";
    case LG_I64:
        return "<i8";
    case LG_I32:
        return "<i4";
    case LG_I8:
        return "|i1";
    case LG_U8:
        return "|u1";
    case LG_BOOL:
        return "|b1";
    case LG_BF16:
    case LG_F8E4M3:
    case LG_F8E5M2:
    case LG_N_DTYPES:
        break;
    }
    return NULL;
}

static void write_header(lg_out *out, const lg_tensor *x) {
    lg_buf dict = {0};
    lg_buf_printf(&dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr_of(x->dtype));
    for (int d = 0; d < x->rank; d++)
        lg_buf_printf(&dict, "%lld%s", (long long)x->shape[d],
                      x->rank == 1      ? ","
                      : d + 1 < x->rank ? ", "
                                        : "");
    lg_buf_printf(&dict, "), }");
    while ((10 + dict.n + 1) % 64)
        lg_buf_put(&dict, " ", 1);
    lg_buf_put(&dict, "\n", 1);
    uint8_t start[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)(dict.n & 255), (uint8_t)(dict.n >> 8)};
    lg_out_put(out, start, sizeof start);
    lg_out_put(out, dict.at, dict.n);
    lg_buf_free(&dict);
}

lg_status lg_npy_write(const lg_io *io, const char *path, const lg_tensor *x) {
    if (!descr_of(x->dtype)) {
        lg_tensor *wide = lg_tensor_try(LG_F32, x->rank, x->shape);
        if (!wide) {
            lg_io_report(io, "E0602", path, "no memory to widen %zu elements", x->n);
            return LG_FAILED;
        }
        lg_convert(LG_F32, wide->data, x->dtype, x->data, x->n);
        lg_status st = lg_npy_write(io, path, wide);
        lg_tensor_release(wide);
        return st;
    }
    lg_out out;
    if (lg_out_open(io, path, &out) != LG_OK)
        return LG_FAILED;
    write_header(&out, x);
    lg_out_put(&out, x->data, lg_tensor_bytes(x));
    return lg_out_close(&out, true);
}
