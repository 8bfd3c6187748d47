/* idx.c: the array format of the MNIST files, gzipped or not. Not written, only read. */
#include "runtime/io.h"
#include <string.h>
#include <zlib.h>

static lg_wire element_type(uint8_t code) {
    switch (code) {
    case 0x08:
        return lg_wire_of('u', 1);
    case 0x09:
        return lg_wire_of('i', 1);
    case 0x0b:
        return lg_wire_of('i', 2);
    case 0x0c:
        return lg_wire_of('i', 4);
    case 0x0d:
        return lg_wire_of('f', 4);
    case 0x0e:
        return lg_wire_of('f', 8);
    default:
        return (lg_wire){0};
    }
}

static lg_status bad(const lg_io *io, lg_bytes b, const char *why) {
    lg_io_report(io, "E0603", b.file, "not a readable idx file: %s", why);
    return LG_FAILED;
}

/* Bytes 0 0 type rank, then a big-endian u32 for every dim, then the elements, big-endian. */
static lg_status parse_plain(const lg_io *io, lg_bytes b, lg_tensor **out) {
    if (b.n < 4 || b.at[0] || b.at[1])
        return bad(io, b, "it does not begin with two zero bytes, a type and a rank");
    lg_wire w = element_type(b.at[2]);
    int rank = b.at[3];
    if (!w.kind)
        return bad(io, b, "its element type is unknown");
    if (rank > LG_MAX_RANK)
        return bad(io, b, "it has too many dims");
    size_t head = 4 + 4 * (size_t)rank, want, wide;
    if (b.n < head)
        return bad(io, b, "it ends within its header");
    int64_t shape[LG_MAX_RANK];
    for (int d = 0; d < rank; d++)
        shape[d] = (int64_t)lg_be(b.at + 4 + 4 * d, 4);
    if (!lg_shape_bytes(rank, shape, w.size, &want) || !lg_shape_bytes(rank, shape, 8, &wide))
        return bad(io, b, "its shape is too large");
    if (want != b.n - head) {
        lg_io_report(io, "E0608", b.file, "the shape takes %zu bytes and %zu are there", want,
                     b.n - head);
        return LG_FAILED;
    }
    lg_tensor *x = lg_tensor_try(w.as, rank, shape);
    if (!x)
        return bad(io, b, "no memory for it");
    lg_status st = lg_wire_decode(io, b.file, w, true, b.at + head, x->n, x->data);
    if (st == LG_OK)
        *out = x;
    else
        lg_tensor_release(x);
    return st;
}

lg_status lg_idx_parse(const lg_io *io, lg_bytes b, lg_tensor **out) {
    if (b.n < 2 || b.at[0] != 0x1f || b.at[1] != 0x8b)
        return parse_plain(io, b, out);
    size_t hint = b.n < SIZE_MAX / 4 ? b.n * 4 : b.n;
    lg_bytes plain;
    if (lg_inflate(io, b.file, b.at, b.n, MAX_WBITS + 16, hint, lg_io_limit(io), &plain) != LG_OK)
        return LG_FAILED;
    lg_status st = parse_plain(io, plain, out);
    lg_bytes_free(&plain);
    return st;
}

lg_status lg_idx_load(const lg_io *io, const char *path, lg_tensor **out) {
    lg_bytes b;
    if (lg_bytes_load(io, path, &b) != LG_OK)
        return LG_FAILED;
    lg_status st = lg_idx_parse(io, b, out);
    lg_bytes_free(&b);
    return st;
}
