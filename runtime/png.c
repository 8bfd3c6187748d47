/* png.c: one picture from and to PNG by libpng. Not for directories of pictures (images.c). */
#include "runtime/io.h"
#include <png.h>
#include <setjmp.h>
#include <string.h>

enum { MAX_SIDE = 1 << 16 };

/* libpng reports errors by a callback that may not return; everything that must be freed afterwards
 * lives here, outside of the frame that is left. */
typedef struct {
    const lg_io *io;
    const char *file;
    png_structp png;
    png_infop info;
    const uint8_t *p, *end; /* reading: what is left */
    lg_buf written;         /* writing */
    lg_tensor *x;
    png_bytep *rows;
    char why[128];
} codec;

static void on_error(png_structp png, png_const_charp text) {
    codec *c = png_get_error_ptr(png);
    snprintf(c->why, sizeof c->why, "%s", text);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static lg_status failed(const codec *c, const char *code) {
    lg_io_report(c->io, code, c->file, "not a readable PNG file: %s", c->why);
    return LG_FAILED;
}

static void point_rows(codec *c, size_t row_bytes) {
    size_t h = (size_t)c->x->shape[0];
    c->rows = lg_alloc(h * sizeof *c->rows + 1);
    for (size_t i = 0; i < h; i++)
        c->rows[i] = (png_bytep)c->x->data + i * row_bytes;
}

/* ---- reading ---- */

static void on_read(png_structp png, png_bytep out, size_t n) {
    codec *c = png_get_io_ptr(png);
    if (n > (size_t)(c->end - c->p))
        png_error(png, "it ends too early");
    memcpy(out, c->p, n);
    c->p += n;
}

/* Before any row is allocated: deflate packs at most 1032 to 1, so the file must be long enough. */
static void check_size(codec *c, size_t file_bytes) {
    size_t h = png_get_image_height(c->png, c->info), packed, unpacked;
    if (!lg_mul_ok(h, png_get_rowbytes(c->png, c->info), &packed) ||
        packed / 1032 > file_bytes + 64)
        png_error(c->png, "it is too short for its size");
    size_t w = png_get_image_width(c->png, c->info);
    if (!lg_mul_ok(w * 4, h, &unpacked) || unpacked > lg_io_limit(c->io))
        png_error(c->png, "it is too large");
}

static void choose_format(codec *c) {
    png_set_expand(c->png); /* palettes to RGB, few bits to 8, transparency to alpha */
    png_set_scale_16(c->png);
    png_set_interlace_handling(c->png);
    png_read_update_info(c->png, c->info);
}

static bool decode(codec *c, size_t file_bytes) {
    if (setjmp(png_jmpbuf(c->png)))
        return false;
    png_set_read_fn(c->png, c, on_read);
    png_set_user_limits(c->png, MAX_SIDE, MAX_SIDE);
    png_set_chunk_malloc_max(c->png, 8 << 20);
    png_read_info(c->png, c->info);
    check_size(c, file_bytes);
    choose_format(c);
    int64_t shape[3] = {png_get_image_height(c->png, c->info), png_get_image_width(c->png, c->info),
                        png_get_channels(c->png, c->info)};
    c->x = lg_tensor_try(LG_U8, 3, shape);
    if (!c->x)
        png_error(c->png, "no memory for it");
    size_t row_bytes = (size_t)shape[1] * (size_t)shape[2];
    if (png_get_rowbytes(c->png, c->info) != row_bytes)
        png_error(c->png, "its rows have an unexpected length");
    point_rows(c, row_bytes);
    png_read_image(c->png, c->rows);
    png_read_end(c->png, NULL);
    return true;
}

lg_status lg_png_parse(const lg_io *io, lg_bytes b, lg_tensor **out) {
    codec c = {.io = io, .file = b.file, .p = b.at, .end = b.at + b.n, .why = "no memory for it"};
    c.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &c, on_error, on_warning);
    c.info = c.png ? png_create_info_struct(c.png) : NULL;
    bool ok = c.info && decode(&c, b.n);
    png_destroy_read_struct(&c.png, &c.info, NULL);
    lg_free(c.rows);
    if (!ok) {
        lg_tensor_release(c.x);
        return failed(&c, "E0603");
    }
    *out = c.x;
    return LG_OK;
}

lg_status lg_png_load(const lg_io *io, const char *path, lg_tensor **out) {
    lg_bytes b;
    if (lg_bytes_load(io, path, &b) != LG_OK)
        return LG_FAILED;
    lg_status st = lg_png_parse(io, b, out);
    lg_bytes_free(&b);
    return st;
}

/* ---- writing ---- */

static void on_write(png_structp png, png_bytep p, size_t n) {
    codec *c = png_get_io_ptr(png);
    lg_buf_put(&c->written, (const char *)p, n);
}

static void on_flush(png_structp png) {
    (void)png;
}

static bool encode(codec *c, int channels) {
    static const int colour[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                 PNG_COLOR_TYPE_RGB_ALPHA};
    if (setjmp(png_jmpbuf(c->png)))
        return false;
    png_set_write_fn(c->png, c, on_write, on_flush);
    png_set_IHDR(c->png, c->info, (png_uint_32)c->x->shape[1], (png_uint_32)c->x->shape[0], 8,
                 colour[channels - 1], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(c->png, c->info);
    point_rows(c, (size_t)c->x->shape[1] * (size_t)channels);
    png_write_image(c->png, c->rows);
    png_write_end(c->png, NULL);
    return true;
}

static bool is_picture(const lg_tensor *x) {
    return x->dtype == LG_U8 && (x->rank == 2 || (x->rank == 3 && x->shape[2] <= 4)) && x->n > 0 &&
           x->shape[0] <= MAX_SIDE && x->shape[1] <= MAX_SIDE;
}

lg_status lg_png_write(const lg_io *io, const char *path, const lg_tensor *x) {
    if (!is_picture(x)) {
        lg_io_report(io, "E0608", path, "a picture is u8[H, W] or u8[H, W, C], C from 1 to 4");
        return LG_FAILED;
    }
    lg_tensor view = *x; /* its data are only read, but libpng wants them writable */
    codec c = {.io = io, .file = path, .x = &view, .why = "no memory for it"};
    c.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &c, on_error, on_warning);
    c.info = c.png ? png_create_info_struct(c.png) : NULL;
    bool ok = c.info && encode(&c, x->rank == 2 ? 1 : (int)x->shape[2]);
    png_destroy_write_struct(&c.png, &c.info);
    lg_free(c.rows);
    lg_status st = LG_FAILED;
    if (ok)
        st = lg_file_write(io, path, c.written.at, c.written.n);
    else
        lg_io_report(io, "E0610", path, "cannot be written: %s", c.why);
    lg_buf_free(&c.written);
    return st;
}
