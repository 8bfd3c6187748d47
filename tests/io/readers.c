/* readers.c: every reader on a good file of each kind it knows, then on files cut short, with bytes
 * flipped, and with lying lengths: each must give one error or a valid result. */
#define _XOPEN_SOURCE 700
#include "tests/io/check.h"
#include <math.h>
#include <zlib.h>

/* ---- building files ---- */

static void put(lg_buf *b, const void *p, size_t n) {
    lg_buf_put(b, p, n);
}

static void le(lg_buf *b, uint64_t v, int n) {
    for (int i = 0; i < n; i++)
        put(b, &(uint8_t){i < 8 ? (uint8_t)(v >> (8 * i)) : 0}, 1);
}

static void be(lg_buf *b, uint64_t v, int n) {
    for (int i = n - 1; i >= 0; i--)
        put(b, &(uint8_t){(uint8_t)(v >> (8 * i))}, 1);
}

static lg_bytes bytes(const lg_buf *b) {
    return (lg_bytes){(const uint8_t *)b->at, b->n, "file"};
}

/* ---- abuse: a parser must survive any bytes ---- */

typedef enum { CSV, NPY, NPZ, IDX, SAFETENSORS, PNG, WAV, TEXT, N_READERS } which;
static const char *const names[] = {"csv", "npy", "npz", "idx", "safetensors", "png", "wav", "text"};

static void touch(const lg_tensor *x) {
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < lg_tensor_bytes(x); i++)
        sum = (uint8_t)(sum + ((const uint8_t *)x->data)[i]);
}

static lg_status parse_arrays(which w, lg_bytes b, lg_io *io) {
    lg_tensor *x = NULL;
    lg_bundle many = {0};
    lg_wav sound = {0};
    lg_status st = LG_FAILED;
    if (w == NPY)
        st = lg_npy_parse(io, b, &x);
    else if (w == IDX)
        st = lg_idx_parse(io, b, &x);
    else if (w == PNG)
        st = lg_png_parse(io, b, &x);
    else if (w == NPZ)
        st = lg_npz_parse(io, b, &many);
    else if (w == SAFETENSORS)
        st = lg_safetensors_parse(io, b, &many);
    else if (w == WAV && (st = lg_wav_parse(io, b, &sound)) == LG_OK)
        x = sound.x;
    if (x)
        touch(x);
    lg_tensor_release(x);
    for (size_t i = 0; i < many.list.n; i++)
        touch(many.list.at[i].x);
    lg_bundle_fini(&many);
    return st;
}

static lg_status parse(which w, lg_bytes b, lg_io *io) {
    lg_table *t = NULL;
    if (w != CSV && w != TEXT)
        return parse_arrays(w, b, io);
    if (w == TEXT) {
        size_t bad = 0;
        bool ok = lg_utf8_ok((const char *)b.at, b.n, &bad);
        lg_vocab_free(lg_vocab_chars((const char *)b.at, b.n));
        lg_vocab_free(lg_vocab_words((const char *)b.at, b.n, 3));
        check(ok || bad < b.n, "text: place of a bad byte");
        return LG_OK;
    }
    lg_status st = lg_csv_parse(io, b, NULL, &t);
    lg_table_free(t);
    return st;
}

static int n_tried;

/* Parses a copy that has not one byte more than it should, so that a sanitizer sees each misstep. */
static void try_bytes(which w, const char *p, size_t n, const char *how, size_t where) {
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        return;
    memcpy(copy, p, n);
    lg_io *io = fresh();
    lg_status st = parse(w, (lg_bytes){copy, n, "file"}, io);
    bool fine = st == LG_OK ? check_ds.errors == 0 : check_ds.errors == 1;
    if (!fine)
        check(false, "%s %s at %zu: status %d with %zu errors", names[w], how, where, (int)st,
              check_ds.errors);
    n_tried++;
    free(copy);
}

static void abuse(which w, const lg_buf *good, size_t head) {
    static const uint8_t masks[] = {0x01, 0x10, 0x80, 0xff};
    static const uint64_t lies[] = {0x7fffffff, 0x80000000, 0xffffffff, (uint64_t)1 << 63,
                                    UINT64_MAX, 0};
    int failed_before = n_failed;
    head = head < good->n ? head : good->n;
    for (size_t n = 0; n < good->n; n += n < head ? 1 : 7)
        try_bytes(w, good->at, n, "cut", n);
    lg_buf b = {0};
    put(&b, good->at, good->n);
    for (size_t i = 0; i < head; i++)
        for (size_t m = 0; m < LG_COUNT(masks); m++) {
            b.at[i] = (char)((uint8_t)b.at[i] ^ masks[m]);
            try_bytes(w, b.at, b.n, "flip", i);
            b.at[i] = good->at[i];
        }
    for (size_t i = 0; i < head; i++)
        for (size_t k = 0; k < 2 * LG_COUNT(lies); k++) {
            lg_buf lie = {0};
            (k % 2 ? be : le)(&lie, lies[k / 2], k < 6 ? 4 : 8);
            size_t n = good->n - i < lie.n ? good->n - i : lie.n;
            memcpy(b.at + i, lie.at, n);
            try_bytes(w, b.at, b.n, "lie", i);
            memcpy(b.at + i, good->at + i, n);
            lg_buf_free(&lie);
        }
    check(n_failed == failed_before, "%s survives abuse", names[w]);
    lg_buf_free(&b);
}

/* One error with this code and text. */
static void refuse(which w, const char *name, const lg_buf *b, const char *code, const char *part) {
    lg_io *io = fresh();
    lg_status st = parse(w, bytes(b), io);
    check(st == LG_FAILED, "%s %s: must be refused", names[w], name);
    check_error(name, code, part);
}

static bool is_shape(const lg_tensor *x, lg_dtype t, int rank, const int64_t *shape) {
    return x && x->dtype == t && x->rank == rank &&
           memcmp(x->shape, shape, (size_t)rank * sizeof *shape) == 0;
}
#define SHAPE(...) (int)LG_COUNT(((int64_t[]){__VA_ARGS__})), (int64_t[]){__VA_ARGS__}

/* ---- csv ---- */

static lg_table *table_of(const char *text, const lg_csv_opts *o) {
    lg_table *t = NULL;
    lg_csv_parse(fresh(), (lg_bytes){(const uint8_t *)text, strlen(text), "t.csv"}, o, &t);
    return t;
}

static void csv_refused(const char *text, const lg_csv_opts *o, const char *code,
                        const char *part) {
    lg_table *t = table_of(text, o);
    check(!t, "csv: `%s` must be refused", text);
    check_error(text, code, part);
    lg_table_free(t);
}

static void csv_good(void) {
    lg_table *t = table_of("\xef\xbb\xbf"
                           "id, x ,\"na\"\"me\",y\r\n"
                           "1,0.5,\"a,b\",-1e3\r\n"
                           "\r\n"
                           " -2 ,1,\"line\nbreak \"\"q\"\"\",.25\n"
                           "9007199254740993,2.2250738585072014e-308,\"\",7",
                           NULL);
    if (!check(t && t->n_rows == 3 && t->n_cols == 4, "csv: size"))
        return;
    check(!strcmp(t->cols[0].name, "id") && !strcmp(t->cols[1].name, "x") &&
              !strcmp(t->cols[2].name, "na\"me"),
          "csv: names");
    check(t->cols[0].type == LG_COL_I64 && t->cols[0].i64[1] == -2 &&
              t->cols[0].i64[2] == 9007199254740993,
          "csv: i64");
    check(t->cols[1].type == LG_COL_F64 && t->cols[1].f64[0] == 0.5 && t->cols[1].f64[1] == 1 &&
              t->cols[1].f64[2] == 2.2250738585072014e-308,
          "csv: f64");
    check(t->cols[2].type == LG_COL_TEXT && !strcmp(t->cols[2].text[0], "a,b") &&
              !strcmp(t->cols[2].text[1], "line\nbreak \"q\"") && !*t->cols[2].text[2],
          "csv: text");
    check(t->cols[3].f64[0] == -1000 && t->cols[3].f64[1] == 0.25, "csv: exponents");
    check(lg_table_find(t, "x") == 1 && lg_table_find(t, "z") == -1, "csv: find");
    lg_tensor *x = NULL;
    check(lg_table_block(fresh(), t, 0, 2, &x) == LG_OK && is_shape(x, LG_F64, SHAPE(3, 2)) &&
              ((double *)x->data)[2] == -2 && ((double *)x->data)[3] == 1,
          "csv: block");
    lg_tensor_release(x);
    check(lg_table_block(fresh(), t, 1, 3, &x) == LG_FAILED, "csv: block of text");
    check_error("block", "E0605", "line 2: `na\"me` holds `a,b`");
    lg_table_free(t);
}

static void csv_numbers(void) {
    static const char *const texts[] = {"0.1",    "1e22",    "123456789012345678901",
                                        "1e-22",  "5e-324",  "1.7976931348623157e308",
                                        "+3.25",  "100.",    "9223372036854775808",
                                        "-0.0",   "1e-400",  "0.000000000000000000000001234",
                                        "7.2e-5", "3.14159", "123456.789e-3"};
    for (size_t i = 0; i < LG_COUNT(texts); i++) {
        char text[128];
        snprintf(text, sizeof text, "v\n0.5\n%s\n", texts[i]);
        lg_table *t = table_of(text, NULL);
        double want = strtod(texts[i], NULL);
        check(t && t->cols[0].type == LG_COL_F64 && !memcmp(&t->cols[0].f64[1], &want, 8),
              "csv: number %s", texts[i]);
        lg_table_free(t);
    }
    static const char *const not_numbers[] = {"0x10", "1e", "1.2.3", "-", ".", "1 2", "e5", "1e+"};
    for (size_t i = 0; i < LG_COUNT(not_numbers); i++) {
        char text[64];
        snprintf(text, sizeof text, "v\n%s\n", not_numbers[i]);
        lg_table *t = table_of(text, NULL);
        check(t && t->cols[0].type == LG_COL_TEXT, "csv: `%s` is text", not_numbers[i]);
        lg_table_free(t);
    }
}

static void csv_options(void) {
    lg_table *t = table_of("1;2\n3;4\n", &(lg_csv_opts){.delimiter = ';', .no_header = true});
    check(t && t->n_rows == 2 && !strcmp(t->cols[1].name, "c1") && t->cols[1].i64[1] == 4,
          "csv: no header, semicolons");
    lg_table_free(t);
    t = table_of("a,b\n1,\n,2\n", &(lg_csv_opts){.missing = "-1"});
    check(t && t->cols[0].i64[1] == -1 && t->cols[1].i64[0] == -1, "csv: missing value given");
    lg_table_free(t);
    static const char *const na[] = {"NA", "?", "-999"};
    t = table_of("a,b\n1,-999\n NA ,x\n-999,?\n3,\"NA\"\n",
                 &(lg_csv_opts){.missing = "0", .na = na, .n_na = 3});
    check(t && t->cols[0].type == LG_COL_I64 && t->cols[0].i64[1] == 0 && !t->cols[0].i64[2] &&
              t->cols[0].i64[3] == 3 && t->cols[1].type == LG_COL_TEXT &&
              !strcmp(t->cols[1].text[0], "0") && !strcmp(t->cols[1].text[3], "NA"),
          "csv: texts that mean missing");
    lg_table_free(t);
    csv_refused("a,b\n1,2\n3,NA\n", &(lg_csv_opts){.na = na, .n_na = 3}, "E0605",
                "line 3: row 1 has no value for `b`");
    t = table_of("a\nnan\n-inf\n1\n", &(lg_csv_opts){.allow_nonfinite = true});
    check(t && isnan(t->cols[0].f64[0]) && t->cols[0].f64[1] < 0, "csv: nan allowed");
    lg_table_free(t);
    t = table_of("1,2\n3,4\n", NULL);
    check(t && check_ds.warnings == 1, "csv: a header of numbers warns");
    lg_table_free(t);
    t = table_of("a,b\n", NULL);
    check(t && t->n_rows == 0 && t->cols[0].type == LG_COL_F64, "csv: no rows");
    lg_table_free(t);
}

static void csv_bad(void) {
    csv_refused("", NULL, "E0603", "no rows");
    csv_refused("\n\n", NULL, "E0603", "no rows");
    csv_refused("a,b\n1,2\n3\n", NULL, "E0606", "line 3: 1 fields where there are 2");
    csv_refused("a,b\n1,2,3\n", NULL, "E0606", "line 2: 3 fields where there are 2");
    csv_refused("a,b\n1,\n", NULL, "E0605", "line 2: row 0 has no value for `b`");
    csv_refused("a\n1\n\n2\n", NULL, "E0605", "line 3");
    csv_refused("a,a\n1,2\n", NULL, "E0609", "`a`");
    csv_refused("a\n\"x\n", NULL, "E0606", "never closed");
    csv_refused("a,b\n1,2,\"x\n", NULL, "E0606", "never closed");
    csv_refused("a\n\"x\"y\n", NULL, "E0606", "closing quote");
    csv_refused("a\n1\nnan\n", NULL, "E0605", "line 3: `a` is not finite");
    csv_refused("a\n1\n1e999\n", NULL, "E0605", "line 3");
    csv_refused("a\n\xff\n", NULL, "E0603", "byte 2 is not UTF-8");
    lg_table *t = NULL;
    lg_csv_parse(fresh(), (lg_bytes){(const uint8_t *)"a\0b", 3, "z"}, NULL, &t);
    check_error("zero byte", "E0603", "byte 1 is 0");
}

static void csv_abuse(void) {
    lg_buf b = {0};
    lg_buf_printf(&b, "a,b,\"c\"\r\n1,2.5,\"x \"\"y\"\"\"\r\n-3,1e5,\"\"\n");
    abuse(CSV, &b, b.n);
    lg_buf_free(&b);
}

/* ---- npy and npz ---- */

static void npy(lg_buf *b, int version, const char *dict, const void *data, size_t n) {
    put(b, "\x93NUMPY", 6);
    le(b, (uint64_t)version, 2);
    le(b, strlen(dict), version == 1 ? 2 : 4);
    put(b, dict, strlen(dict));
    put(b, data, n);
}

static lg_tensor *npy_of(const char *dict, int version, const void *data, size_t n) {
    lg_buf b = {0};
    npy(&b, version, dict, data, n);
    lg_tensor *x = NULL;
    lg_npy_parse(fresh(), bytes(&b), &x);
    lg_buf_free(&b);
    return x;
}

static void npy_good(void) {
    static const struct {
        const char *descr;
        lg_dtype as;
        uint8_t raw[8];
        int size;
        double want;
    } t[] = {
        {"<f8", LG_F64, {0, 0, 0, 0, 0, 0, 0xf8, 0x3f}, 8, 1.5},
        {">f8", LG_F64, {0x3f, 0xf8}, 8, 1.5},
        {"<f4", LG_F32, {0, 0, 0xc0, 0x3f}, 4, 1.5},
        {">f4", LG_F32, {0x3f, 0xc0}, 4, 1.5},
        {"<f2", LG_F16, {0, 0x3e}, 2, 1.5},
        {"<i8", LG_I64, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 8, -2},
        {">i4", LG_I32, {0xff, 0xff, 0xff, 0xfe}, 4, -2},
        {">i2", LG_I32, {0xff, 0xfe}, 2, -2},
        {"|i1", LG_I8, {0xfe}, 1, -2},
        {"|u1", LG_U8, {0xfe}, 1, 254},
        {"<u2", LG_I32, {0xfe, 0xff}, 2, 65534},
        {"<u4", LG_I64, {0xfe, 0xff, 0xff, 0xff}, 4, 4294967294.0},
        {">u8", LG_I64, {0, 0, 0, 1}, 8, 4294967296.0},
        {"|b1", LG_BOOL, {7}, 1, 1},
    };
    for (size_t i = 0; i < LG_COUNT(t); i++) {
        char dict[96];
        snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (1,), }\n",
                 t[i].descr);
        lg_tensor *x = npy_of(dict, 1 + (int)i % 3, t[i].raw, (size_t)t[i].size);
        check(is_shape(x, t[i].as, SHAPE(1)) && lg_get_f64(x->dtype, x->data, 0) == t[i].want,
              "npy: %s", t[i].descr);
        lg_tensor_release(x);
    }
    static const uint8_t six[] = {1, 4, 2, 5, 3, 6};
    lg_tensor *x =
        npy_of("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", 1, six, 6);
    check(is_shape(x, LG_U8, SHAPE(2, 3)) && !memcmp(x->data, "\1\2\3\4\5\6", 6), "npy: Fortran");
    lg_tensor_release(x);
    x = npy_of("{\"shape\":(),'descr':'<i4','fortran_order':False}", 2, "\5\0\0", 4);
    check(x && x->rank == 0 && *(int32_t *)x->data == 5, "npy: scalar");
    lg_tensor_release(x);
    x = npy_of("{'descr':'<f8','fortran_order':False,'shape':(3,0,2)}", 1, "", 0);
    check(is_shape(x, LG_F64, SHAPE(3, 0, 2)), "npy: zero size");
    lg_tensor_release(x);
}

static void npy_bad(void) {
    static const struct {
        const char *dict, *code, *part;
    } t[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "E0608", "12 bytes and 8"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "E0608", "4 bytes and 8"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 2), }", "E0603",
         "too large"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,), }", "E0603",
         "no size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", "E0603",
         "too large"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "E0603", "no size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1), }",
         "E0603", "too many dims"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "E0607", "<c8"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "E0607", "|O"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "E0603", "descr"},
        {"{'descr': '<f4', 'descr': '<f4', 'shape': (2,), }", "E0603", "twice"},
        {"{'descr': '<f4', 'shape': (2,), }", "E0603", "lacks"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }", "E0603", "neither"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 2, }", "E0603", "tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", "E0603", "unknown"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x", "E0603", "goes on"},
        {"{'descr': '<f4", "E0603", "descr"},
        {"[1]", "E0603", "dictionary"},
    };
    for (size_t i = 0; i < LG_COUNT(t); i++) {
        lg_tensor *x = npy_of(t[i].dict, 1, "01234567", 8);
        check(!x, "npy: `%s` must be refused", t[i].dict);
        check_error(t[i].dict, t[i].code, t[i].part);
        lg_tensor_release(x);
    }
    lg_tensor *x = npy_of("{'descr': '<u8', 'fortran_order': False, 'shape': (1,), }", 1,
                          "\1\1\1\1\1\1\1\xff", 8);
    check(!x, "npy: u64 above i64");
    check_error("u64", "E0607", "above the largest i64");
}

/* A zip archive of members that are stored, or deflated when `packed`. */
typedef struct {
    const char *name;
    lg_buf content;
    bool packed;
} member;

static void deflate_raw(const lg_buf *in, lg_buf *out) {
    z_stream z = {0};
    deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    uint8_t room[4096];
    z.next_in = (Bytef *)in->at;
    z.avail_in = (uInt)in->n;
    z.next_out = room;
    z.avail_out = sizeof room;
    deflate(&z, Z_FINISH);
    put(out, room, sizeof room - z.avail_out);
    deflateEnd(&z);
}

static void zip_fields(lg_buf *b, const member *m, size_t packed) {
    le(b, m->packed ? 8 : 0, 2);
    le(b, 0, 4);
    le(b, crc32(crc32(0, NULL, 0), (const Bytef *)m->content.at, (uInt)m->content.n), 4);
    le(b, packed, 4);
    le(b, m->content.n, 4);
    le(b, strlen(m->name), 2);
}

static void zip(lg_buf *b, const member *m, size_t n) {
    lg_buf dir = {0};
    for (size_t i = 0; i < n; i++) {
        size_t at = b->n;
        lg_buf body = {0};
        if (m[i].packed)
            deflate_raw(&m[i].content, &body);
        else
            put(&body, m[i].content.at, m[i].content.n);
        put(b, "PK\3\4\24\0\0\0", 8);
        zip_fields(b, &m[i], body.n);
        le(b, 0, 2);
        put(b, m[i].name, strlen(m[i].name));
        put(b, body.at, body.n);
        put(&dir, "PK\1\2\24\0\24\0\0\0", 10);
        zip_fields(&dir, &m[i], body.n);
        le(&dir, 0, 12);
        le(&dir, at, 4);
        put(&dir, m[i].name, strlen(m[i].name));
        lg_buf_free(&body);
    }
    size_t at = b->n;
    put(b, dir.at, dir.n);
    put(b, "PK\5\6\0\0\0\0", 8);
    le(b, n, 2);
    le(b, n, 2);
    le(b, dir.n, 4);
    le(b, at, 4);
    le(b, 0, 2);
    lg_buf_free(&dir);
}

#define ROW3 "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }"

static void npz_tests(void) {
    member m[2] = {{.name = "a.npy"}, {.name = "dir/b.npy", .packed = true}};
    npy(&m[0].content, 1, ROW3, "\1\0\0\0\2\0\0\0\3\0\0", 12);
    lg_buf zeros = {0};
    for (int i = 0; i < 4000; i++)
        le(&zeros, 7, 2);
    npy(&m[1].content, 1, "{'descr': '<i2', 'fortran_order': False, 'shape': (40, 100), }",
        zeros.at, zeros.n);
    lg_buf b = {0};
    zip(&b, m, 2);
    lg_bundle got = {0};
    check(lg_npz_parse(fresh(), bytes(&b), &got) == LG_OK && got.list.n == 2, "npz: members");
    lg_tensor *x = lg_bundle_find(&got, lg_intern("a"));
    check(is_shape(x, LG_I32, SHAPE(3)) && ((int32_t *)x->data)[2] == 3, "npz: stored");
    x = lg_bundle_find(&got, lg_intern("dir/b"));
    check(is_shape(x, LG_I32, SHAPE(40, 100)) && ((int32_t *)x->data)[3999] == 7, "npz: deflated");
    lg_bundle_fini(&got);
    abuse(NPZ, &b, b.n);
    b.at[35 + m[0].content.n - 1] ^= 1;
    refuse(NPZ, "checksum", &b, "E0604", "checksum");
    b.n = 0;
    m[1].name = "a.npy";
    zip(&b, m, 2);
    refuse(NPZ, "same name", &b, "E0609", "`a`");
    b.n = 0;
    m[0].name = "notes.txt";
    zip(&b, m, 1);
    refuse(NPZ, "other member", &b, "E0604", "no .npy");
    b.n = 0;
    zip(&b, m, 0);
    check(lg_npz_parse(fresh(), bytes(&b), &got) == LG_OK && got.list.n == 0, "npz: empty");
    lg_buf_free(&b);
    lg_buf_free(&zeros);
    lg_buf_free(&m[0].content);
    lg_buf_free(&m[1].content);
}

static void npy_tests(void) {
    npy_good();
    npy_bad();
    lg_buf b = {0};
    npy(&b, 1, ROW3, "\1\0\0\0\2\0\0\0\3\0\0", 12);
    abuse(NPY, &b, b.n);
    b.n = 0;
    npy(&b, 3, "{'descr': '>f2', 'fortran_order': True, 'shape': (2, 1), }\n", "abcd", 4);
    abuse(NPY, &b, b.n);
    lg_buf_free(&b);
    npz_tests();
}

/* ---- idx ---- */

static void gzip(const lg_buf *in, lg_buf *out) {
    z_stream z = {0};
    deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
    uint8_t room[65536];
    z.next_in = (Bytef *)in->at;
    z.avail_in = (uInt)in->n;
    z.next_out = room;
    z.avail_out = sizeof room;
    deflate(&z, Z_FINISH);
    put(out, room, sizeof room - z.avail_out);
    deflateEnd(&z);
}

static void idx_tests(void) {
    lg_buf b = {0}, gz = {0};
    put(&b, "\0\0\x0b\2", 4);
    be(&b, 2, 4);
    be(&b, 2, 4);
    for (int i = 0; i < 4; i++)
        be(&b, (uint64_t)(int64_t)(i - 2), 2);
    lg_tensor *x = NULL;
    check(lg_idx_parse(fresh(), bytes(&b), &x) == LG_OK && is_shape(x, LG_I32, SHAPE(2, 2)) &&
              ((int32_t *)x->data)[0] == -2 && ((int32_t *)x->data)[3] == 1,
          "idx: i16");
    lg_tensor_release(x);
    abuse(IDX, &b, b.n);
    gzip(&b, &gz);
    x = NULL;
    check(lg_idx_parse(fresh(), bytes(&gz), &x) == LG_OK && is_shape(x, LG_I32, SHAPE(2, 2)),
          "idx: gzipped");
    lg_tensor_release(x);
    abuse(IDX, &gz, gz.n);
    put(&gz, "xx", 2);
    refuse(IDX, "bytes behind gzip", &gz, "E0604", "valid");
    /* 64 MB of zeros in 64 kB: more than the limit is not unpacked */
    lg_buf zeros = {0}, bomb = {0};
    put(&zeros, "\0\0\x08\1\x03\xff\xff\xfc", 8);
    for (int i = 0; i < 1 << 20; i++)
        put(&zeros, "\0\0\0\0\0\0\0", 8);
    gzip(&zeros, &bomb);
    check_io.max_bytes = 1 << 20;
    refuse(IDX, "bomb", &bomb, "E0604", "more than it may");
    check_io.max_bytes = 0;
    b.n = 0;
    put(&b, "\0\0\x08\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
    refuse(IDX, "overflow", &b, "E0603", "too large");
    b.n = 0;
    put(&b, "\0\0\x08\1\0\0\0\2x", 9);
    refuse(IDX, "short", &b, "E0608", "2 bytes and 1");
    lg_buf_free(&b);
    lg_buf_free(&gz);
    lg_buf_free(&zeros);
    lg_buf_free(&bomb);
}

/* ---- safetensors ---- */

static void safetensors(lg_buf *b, const char *header, const void *data, size_t n) {
    le(b, strlen(header), 8);
    put(b, header, strlen(header));
    put(b, data, n);
}

static void safetensors_bad(void) {
    static const struct {
        const char *header, *code, *part;
    } t[] = {
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}", "E0608", "overlaps"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[6,8]}}", "E0608", "gap"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "E0608", "gap"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "E0603", "left"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}", "E0603", "duplicate"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", "E0608", "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}", "E0608", "outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", "E0608", "outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", "E0608", "outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", "E0608", "no size"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", "E0608", "no size"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4],\"data_offsets\":[0,8]}}",
         "E0608", "shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775807,2],\"data_offsets\":[0,8]}}",
         "E0608", "shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775808],\"data_offsets\":[0,8]}}",
         "E0603", "big integer"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,8],"
         "\"data_offsets\":[0,8]}}", "E0608", "too many dims"},
        {"{\"a\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[0,8]}}", "E0607", "C64"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,8]}}", "E0608", "lacks"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", "E0608", "lacks"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]}}", "E0608", "lacks"},
        {"{\"a\":[]}", "E0608", "lacks"},
        {"{\"__metadata__\":{\"k\":1}}", "E0603", "text"},
        {"{\"__metadata__\":[]}", "E0603", "no object"},
        {"{\"a\":[[[[[[[[[[[[[]]]]]]]]]]]]]}", "E0603", "no JSON object"},
        {"{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}", "E0603", "NUL"},
        {"[]", "E0603", "no JSON object"},
        {"{", "E0603", "header"},
        {"{}{}", "E0603", "header"},
        {"", "E0603", "no JSON object"},
    };
    for (size_t i = 0; i < LG_COUNT(t); i++) {
        lg_buf b = {0};
        safetensors(&b, t[i].header, "01234567", 8);
        refuse(SAFETENSORS, t[i].header, &b, t[i].code, t[i].part);
        lg_buf_free(&b);
    }
}

static void safetensors_good(void) {
    lg_buf b = {0};
    safetensors(&b,
                "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                "\"e\":{\"dtype\":\"BF16\",\"shape\":[0],\"data_offsets\":[8,8]},"
                "\"__metadata__\":{\"k\":\"v\"},"
                "\"b\":{\"dtype\":\"U16\",\"shape\":[],\"data_offsets\":[8,10]}}   ",
                "\0\0\x80\x3f\0\0\0\x40\xff\xff", 10);
    lg_bundle got = {0};
    check(lg_safetensors_parse(fresh(), bytes(&b), &got) == LG_OK && got.list.n == 3 &&
              !strcmp(got.list.at[0].name, "b") && !strcmp(got.list.at[2].name, "w"),
          "safetensors: names in order");
    lg_tensor *w = lg_bundle_find(&got, lg_intern("w")), *s = lg_bundle_find(&got, lg_intern("b"));
    check(is_shape(w, LG_F32, SHAPE(1, 2)) && ((float *)w->data)[1] == 2.0f, "safetensors: f32");
    check(s && s->rank == 0 && s->dtype == LG_I32 && *(int32_t *)s->data == 65535,
          "safetensors: u16");
    check(lg_bundle_meta(&got, "k") && !strcmp(lg_bundle_meta(&got, "k"), "v"),
          "safetensors: metadata");
    lg_bundle_fini(&got);
    abuse(SAFETENSORS, &b, b.n);
    lg_buf_free(&b);
}

static void safetensors_round_trip(void) {
    lg_bundle out = {0}, back = {0};
    for (int t = 0; t < LG_N_DTYPES; t++) {
        lg_tensor *x = lg_tensor_new((lg_dtype)t, SHAPE(3));
        for (size_t i = 0; i < 3; i++)
            lg_set_i64(x->dtype, x->data, i, (int64_t)i);
        lg_bundle_add(&out, lg_intern(lg_dtype_name((lg_dtype)t)), x);
    }
    lg_bundle_put_meta(&out, "note", "a \"b\" \xc3\xa4");
    char *path = in_scratch("all.safetensors");
    check(lg_safetensors_write(fresh(), path, &out) == LG_OK, "safetensors: written");
    check(lg_safetensors_load(fresh(), path, &back) == LG_OK && back.list.n == LG_N_DTYPES,
          "safetensors: read back");
    for (size_t i = 0; i < out.list.n; i++) {
        lg_tensor *x = out.list.at[i].x, *y = lg_bundle_find(&back, out.list.at[i].name);
        check(y && is_shape(y, x->dtype, SHAPE(3)) && !memcmp(x->data, y->data, lg_tensor_bytes(x)),
              "safetensors: %s comes back", out.list.at[i].name);
    }
    check(!strcmp(lg_bundle_meta(&back, "note"), "a \"b\" \xc3\xa4"), "safetensors: note");
    lg_bundle_add(&out, out.list.at[0].name, lg_tensor_retain(out.list.at[0].x));
    check(lg_safetensors_write(fresh(), path, &out) == LG_FAILED, "safetensors: same name");
    check_error("same name", "E0609", "f64");
    lg_bundle_fini(&out);
    lg_bundle_fini(&back);
}

/* ---- png ---- */

static void png_chunk(lg_buf *b, const char *type, const void *p, size_t n) {
    be(b, n, 4);
    size_t at = b->n;
    put(b, type, 4);
    put(b, p, n);
    be(b, crc32(crc32(0, NULL, 0), (const Bytef *)b->at + at, (uInt)(b->n - at)), 4);
}

/* `rows`: filter byte and samples of each row, as PNG packs them. */
static void png(lg_buf *b, uint32_t w, uint32_t h, int bits, int colour, const char *palette,
                size_t n_palette, const void *rows, size_t n_rows) {
    lg_buf head = {0};
    put(b, "\x89PNG\r\n\x1a\n", 8);
    be(&head, w, 4);
    be(&head, h, 4);
    be(&head, (uint64_t)bits, 1);
    be(&head, (uint64_t)colour, 1);
    put(&head, "\0\0\0", 3);
    png_chunk(b, "IHDR", head.at, head.n);
    if (n_palette)
        png_chunk(b, "PLTE", palette, n_palette);
    uint8_t room[512];
    uLongf n = sizeof room;
    compress(room, &n, rows, n_rows);
    png_chunk(b, "IDAT", room, n);
    png_chunk(b, "IEND", "", 0);
    lg_buf_free(&head);
}

static void png_is(const char *name, lg_buf *b, int64_t h, int64_t w, int64_t c, const char *want) {
    lg_tensor *x = NULL;
    check(lg_png_parse(fresh(), bytes(b), &x) == LG_OK && is_shape(x, LG_U8, SHAPE(h, w, c)) &&
              !memcmp(x->data, want, x->n),
          "png: %s", name);
    lg_tensor_release(x);
    abuse(PNG, b, b->n);
    b->n = 0;
}

static void png_tests(void) {
    lg_buf b = {0};
    png(&b, 2, 1, 8, 0, NULL, 0, "\0\x10\x20", 3);
    png_is("grey", &b, 1, 2, 1, "\x10\x20");
    png(&b, 2, 1, 1, 0, NULL, 0, "\0\x40", 2);
    png_is("one bit", &b, 1, 2, 1, "\0\xff");
    png(&b, 1, 2, 8, 2, NULL, 0, "\0\1\2\3\2\1\1\1", 8);
    png_is("RGB", &b, 2, 1, 3, "\1\2\3\2\3\4");
    png(&b, 1, 1, 8, 6, NULL, 0, "\0\1\2\3\4", 5);
    png_is("RGBA", &b, 1, 1, 4, "\1\2\3\4");
    png(&b, 1, 1, 16, 4, NULL, 0, "\0\x80\x80\xff\xff", 5);
    png_is("16 bits with alpha", &b, 1, 1, 2, "\x80\xff");
    png(&b, 2, 1, 8, 3, "\1\2\3\4\5\6", 6, "\0\1\0", 3);
    png_is("palette", &b, 1, 2, 3, "\4\5\6\1\2\3");
    png(&b, 60000, 60000, 8, 6, NULL, 0, "\0\1\2\3\4", 5);
    refuse(PNG, "too short", &b, "E0603", "too short");
    b.n = 0;
    png(&b, 0x7fffffff, 0x7fffffff, 16, 6, NULL, 0, "\0\1\2\3\4", 5);
    refuse(PNG, "huge", &b, "E0603", "");
    b.n = 0;
    png(&b, 0, 1, 8, 0, NULL, 0, "\0", 1);
    refuse(PNG, "no width", &b, "E0603", "");
    lg_buf_free(&b);
    lg_tensor *x = lg_tensor_new(LG_U8, SHAPE(5, 4, 3)), *y = NULL;
    for (size_t i = 0; i < x->n; i++)
        ((uint8_t *)x->data)[i] = (uint8_t)(i * 37);
    check(lg_png_write(fresh(), in_scratch("x.png"), x) == LG_OK &&
              lg_png_load(fresh(), in_scratch("x.png"), &y) == LG_OK &&
              is_shape(y, LG_U8, SHAPE(5, 4, 3)) && !memcmp(x->data, y->data, x->n),
          "png: written and read");
    lg_tensor_release(y);
    x->dtype = LG_I8;
    check(lg_png_write(fresh(), in_scratch("x.png"), x) == LG_FAILED, "png: not a picture");
    lg_tensor_release(x);
}

/* ---- wav ---- */

static void wav(lg_buf *b, int format, int channels, int bits, const void *data, size_t n) {
    put(b, "RIFF", 4);
    le(b, 36 + n, 4);
    put(b, "WAVEjunk\3\0\0\0abc\0fmt ", 20);
    le(b, 16, 4);
    le(b, (uint64_t)format, 2);
    le(b, (uint64_t)channels, 2);
    le(b, 8000, 4);
    le(b, (uint64_t)(8000 * channels * bits / 8), 4);
    le(b, (uint64_t)(channels * bits / 8), 2);
    le(b, (uint64_t)bits, 2);
    put(b, "data", 4);
    le(b, n, 4);
    put(b, data, n);
}

static void wav_is(const char *name, int format, int bits, const void *data, size_t n, float v0,
                   float v1) {
    lg_buf b = {0};
    wav(&b, format, 1, bits, data, n);
    lg_wav got = {0};
    check(lg_wav_parse(fresh(), bytes(&b), &got) == LG_OK && got.rate == 8000 &&
              is_shape(got.x, LG_F32, SHAPE(2, 1)) && ((float *)got.x->data)[0] == v0 &&
              ((float *)got.x->data)[1] == v1,
          "wav: %s", name);
    lg_tensor_release(got.x);
    abuse(WAV, &b, b.n);
    lg_buf_free(&b);
}

static void wav_tests(void) {
    wav_is("8 bits", 1, 8, "\0\xc0", 2, -1, 0.5f);
    wav_is("16 bits", 1, 16, "\0\x80\0\x40", 4, -1, 0.5f);
    wav_is("24 bits", 1, 24, "\0\0\x80\0\0\x40", 6, -1, 0.5f);
    wav_is("32 bits", 1, 32, "\0\0\0\x80\0\0\0\x40", 8, -1, 0.5f);
    wav_is("floats", 3, 32, "\0\0\x80\xbf\0\0\0\x3f", 8, -1, 0.5f);
    wav_is("doubles", 3, 64, "\0\0\0\0\0\0\xf0\xbf\0\0\0\0\0\0\xe0\x3f", 16, -1, 0.5f);
    lg_buf b = {0};
    wav(&b, 2, 1, 4, "ab", 2);
    refuse(WAV, "compressed", &b, "E0603", "neither");
    b.n = 0;
    wav(&b, 1, 2, 16, "abc", 3);
    refuse(WAV, "half a frame", &b, "E0603", "within a frame");
    lg_buf_free(&b);
    for (int as_float = 0; as_float < 2; as_float++) {
        lg_tensor *x = lg_tensor_new(LG_F32, SHAPE(2, 2));
        memcpy(x->data, (float[]){0.25f, -0.5f, 2.0f, -1.0f}, 16);
        lg_wav y = {0};
        check(lg_wav_write(fresh(), in_scratch("x.wav"), x, 44100, as_float) == LG_OK &&
                  lg_wav_load(fresh(), in_scratch("x.wav"), &y) == LG_OK && y.rate == 44100 &&
                  is_shape(y.x, LG_F32, SHAPE(2, 2)) && ((float *)y.x->data)[1] == -0.5f &&
                  ((float *)y.x->data)[2] == (as_float ? 2.0f : 32767.0f / 32768),
              "wav: written and read (%d)", as_float);
        lg_tensor_release(y.x);
        lg_tensor_release(x);
    }
}

/* ---- text ---- */

static void encode_and_back(const char *name, lg_vocab *v, const char *text, const int32_t *want,
                            size_t n, const char *back) {
    lg_tensor *x = NULL;
    lg_buf out = {0};
    bool ok = lg_vocab_encode(fresh(), v, "t", text, strlen(text), &x) == LG_OK && x->n == n &&
              !memcmp(x->data, want, n * 4) &&
              lg_vocab_decode(fresh(), v, x->data, x->n, &out) == LG_OK &&
              strcmp(out.at, back) == 0;
    check(ok, "text: %s (%s)", name, out.at ? out.at : "");
    lg_tensor_release(x);
    lg_buf_free(&out);
    lg_vocab_free(v);
}

static void text_tests(void) {
    encode_and_back("bytes", lg_vocab_bytes(), "A\xc3\xa4", (int32_t[]){65, 195, 164}, 3,
                    "A\xc3\xa4");
    encode_and_back("characters", lg_vocab_chars("b\xc3\xa4 ab", 6), "ab\xc3\xa4",
                    (int32_t[]){1, 2, 3}, 3, "ab\xc3\xa4");
    const char *t = "the cat, the dog: don't.";
    lg_vocab *v = lg_vocab_words(t, strlen(t), 0);
    size_t n;
    check(lg_vocab_size(v) == 8 && !memcmp(lg_vocab_token(v, 1, &n), "the", 4) && n == 3,
          "text: most frequent word first");
    encode_and_back("words", v, "the dog, the  cow.", (int32_t[]){1, 6, 2, 1, 0, 3}, 6,
                    "the dog, the <unk>.");
    v = lg_vocab_words(t, strlen(t), 2);
    check(lg_vocab_size(v) == 2, "text: limit of words");
    lg_vocab_free(v);
    v = lg_vocab_chars("abc", 3);
    lg_tensor *x = NULL;
    check(lg_vocab_encode(fresh(), v, "t.txt", "abd", 3, &x) == LG_FAILED, "text: unknown");
    check_error("unknown character", "E0612", "t.txt: byte 2");
    lg_buf out = {0};
    check(lg_vocab_decode(fresh(), v, (int32_t[]){3}, 1, &out) == LG_FAILED, "text: unknown id");
    lg_buf_free(&out);
    lg_vocab_free(v);
    static const char *const bad[] = {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80",
                                      "\xe2\x82", "\xff"};
    for (size_t i = 0; i < LG_COUNT(bad); i++)
        check(!lg_utf8_ok(bad[i], strlen(bad[i]), &n) && n == 0, "text: bad UTF-8 %zu", i);
    lg_bytes b = {0};
    lg_file_write(fresh(), in_scratch("t.txt"), "\xef\xbb\xbfhi", 5);
    check(lg_text_load(fresh(), in_scratch("t.txt"), &b) == LG_OK && b.n == 2 &&
              !strcmp((const char *)b.at, "hi"),
          "text: byte order mark");
    lg_bytes_free(&b);
    lg_buf sample = {0};
    lg_buf_printf(&sample, "h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80, it's");
    abuse(TEXT, &sample, sample.n);
    lg_buf_free(&sample);
}

/* ---- files and directories ---- */

static void make_picture(const char *path, uint8_t v, int64_t h) {
    lg_tensor *x = lg_tensor_new(LG_U8, SHAPE(h, 2));
    memset(x->data, v, x->n);
    lg_png_write(fresh(), path, x);
    lg_tensor_release(x);
}

static void make_dir(const char *name) {
    int lock;
    if (lg_checkpoint_lock(fresh(), in_scratch(name), &lock) == LG_OK)
        lg_checkpoint_unlock(lock);
}

static void image_tests(void) {
    make_dir("pics/cat");
    make_dir("pics/ant");
    make_picture(in_scratch("pics/cat/1.png"), 3, 2);
    make_picture(in_scratch("pics/cat/0.png"), 2, 2);
    make_picture(in_scratch("pics/ant/9.png"), 1, 2);
    lg_file_write(fresh(), in_scratch("pics/ant/notes.txt"), "x", 1);
    lg_images got = {0};
    check(lg_images_load(fresh(), in_scratch("pics"), &got) == LG_OK, "images: folders");
    check(is_shape(got.x, LG_U8, SHAPE(3, 2, 2, 1)) && ((uint8_t *)got.x->data)[4] == 2 &&
              got.classes.n == 2 && !strcmp(got.classes.at[0], "ant") &&
              !memcmp(got.y->data, (int32_t[]){0, 1, 1}, 12) &&
              !strcmp(got.files.at[2], "cat/1.png"),
          "images: sorted, with labels");
    lg_images_fini(&got);
    check(lg_images_load(fresh(), in_scratch("pics/cat"), &got) == LG_OK && !got.y &&
              is_shape(got.x, LG_U8, SHAPE(2, 2, 2, 1)),
          "images: flat");
    lg_images_fini(&got);
    make_picture(in_scratch("pics/cat/2.png"), 3, 3);
    check(lg_images_load(fresh(), in_scratch("pics"), &got) == LG_FAILED, "images: sizes");
    check_error("images", "E0613", "`cat/2.png` is 3 x 2 x 1");
    make_dir("empty");
    check(lg_images_load(fresh(), in_scratch("empty"), &got) == LG_FAILED, "images: none");
    check_error("images", "E0613", "no .png");
    check(lg_images_load(fresh(), in_scratch("nowhere"), &got) == LG_FAILED, "images: nowhere");
    check_error("images", "E0601", "nowhere");
}

static void file_tests(void) {
    lg_bytes b = {0};
    check(lg_bytes_load(fresh(), in_scratch("missing"), &b) == LG_FAILED, "files: missing");
    check_error("missing", "E0601", "cannot be opened");
    check(lg_bytes_load(fresh(), scratch, &b) == LG_FAILED, "files: a directory");
    check_error("directory", "E0601", "is a directory");
    check(lg_bytes_load(fresh(), "/dev/zero", &b) == LG_FAILED, "files: a device");
    lg_file_write(fresh(), in_scratch("ten"), "0123456789", 10);
    check_io.max_bytes = 9;
    check(lg_bytes_load(fresh(), in_scratch("ten"), &b) == LG_FAILED, "files: limit");
    check_error("limit", "E0602", "has 10 bytes; at most 9");
    check_io.max_bytes = 0;
    char *found = lg_io_find("ten", in_scratch("program.lg"));
    check(!strcmp(found, in_scratch("ten")), "files: beside the program");
    lg_free(found);
    lg_io_report(fresh(), "E0601", "a\x1b[31mb", "%s", "x\xffy\n");
    check_error("control characters", "E0601", "a?[31mb: x?y?");
}

int main(void) {
    if (!open_scratch())
        return 1;
    csv_good();
    csv_numbers();
    csv_options();
    csv_bad();
    csv_abuse();
    npy_tests();
    idx_tests();
    safetensors_good();
    safetensors_bad();
    safetensors_round_trip();
    png_tests();
    wav_tests();
    text_tests();
    image_tests();
    file_tests();
    check(n_tried > 10000, "enough malformed files were tried: %d", n_tried);
    return close_scratch();
}
