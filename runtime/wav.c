/* wav.c: sampled sound in RIFF WAVE files: PCM of 8, 16, 24, 32 bits and floats of 32, 64 bits.
 * Not for compressed sound. */
#include "runtime/io.h"
#include <math.h>
#include <string.h>

enum { PCM = 1, IEEE_FLOAT = 3, EXTENSIBLE = 0xfffe };

typedef struct {
    int format, channels, bits, frame; /* frame: bytes of all channels at one time */
    int64_t rate;
} format;

static lg_status bad(const lg_io *io, lg_bytes b, const char *why) {
    lg_io_report(io, "E0603", b.file, "not a readable WAV file: %s", why);
    return LG_FAILED;
}

static const char *read_format(const uint8_t *p, size_t n, format *f) {
    if (n < 16)
        return "its format is cut short";
    *f = (format){(int)lg_le(p, 2), (int)lg_le(p + 2, 2), (int)lg_le(p + 14, 2),
                  (int)lg_le(p + 12, 2), (int64_t)lg_le(p + 4, 4)};
    if (f->format == EXTENSIBLE && n >= 26)
        f->format = (int)lg_le(p + 24, 2);
    bool whole = f->bits == 8 || f->bits == 16 || f->bits == 24 || f->bits == 32;
    bool real = f->bits == 32 || f->bits == 64;
    if (!(f->format == PCM && whole) && !(f->format == IEEE_FLOAT && real))
        return "its samples are neither PCM of 8, 16, 24, 32 bits nor floats of 32, 64 bits";
    if (f->channels == 0 || f->rate == 0 || f->frame != f->channels * f->bits / 8)
        return "its format contradicts itself";
    return NULL;
}

static float sample(const uint8_t *p, const format *f) {
    if (f->format == IEEE_FLOAT && f->bits == 32) {
        float v;
        memcpy(&v, p, 4);
        return v;
    }
    if (f->format == IEEE_FLOAT) {
        double v;
        memcpy(&v, p, 8);
        return (float)v;
    }
    if (f->bits == 8)
        return ((float)p[0] - 128) / 128;
    /* to the top of an int32, so that the sign lies in its sign bit */
    uint32_t v = (uint32_t)lg_le(p, f->bits / 8) << (32 - f->bits);
    return (float)((double)(int32_t)v / 2147483648.0);
}

static lg_status read_samples(const lg_io *io, lg_bytes b, const format *f, const uint8_t *p,
                              size_t n, lg_wav *out) {
    if (n % (size_t)f->frame)
        return bad(io, b, "its data end within a frame");
    int64_t shape[2] = {(int64_t)(n / (size_t)f->frame), f->channels};
    size_t bytes;
    if (!lg_shape_bytes(2, shape, 4, &bytes) || bytes > lg_io_limit(io))
        return bad(io, b, "it is too large");
    lg_tensor *x = lg_tensor_try(LG_F32, 2, shape);
    if (!x)
        return bad(io, b, "no memory for it");
    float *to = x->data;
    for (size_t i = 0; i < x->n; i++)
        to[i] = sample(p + i * (size_t)(f->bits / 8), f);
    *out = (lg_wav){x, f->rate};
    return LG_OK;
}

lg_status lg_wav_parse(const lg_io *io, lg_bytes b, lg_wav *out) {
    if (b.n < 12 || memcmp(b.at, "RIFF", 4) != 0 || memcmp(b.at + 8, "WAVE", 4) != 0)
        return bad(io, b, "it does not begin with RIFF and WAVE");
    format f = {0};
    for (size_t at = 12; b.n - at >= 8;) {
        const uint8_t *p = b.at + at + 8;
        size_t n = lg_le(b.at + at + 4, 4), left = b.n - at - 8;
        if (n > left)
            return bad(io, b, "a chunk is longer than the file");
        if (memcmp(p - 8, "data", 4) == 0)
            return f.frame ? read_samples(io, b, &f, p, n, out)
                           : bad(io, b, "its data come before their format");
        const char *wrong = memcmp(p - 8, "fmt ", 4) == 0 ? read_format(p, n, &f) : NULL;
        if (wrong)
            return bad(io, b, wrong);
        n += n % 2 && n < left; /* chunks begin at even places */
        at += 8 + n;
    }
    return bad(io, b, "it has no data");
}

lg_status lg_wav_load(const lg_io *io, const char *path, lg_wav *out) {
    lg_bytes b;
    if (lg_bytes_load(io, path, &b) != LG_OK)
        return LG_FAILED;
    lg_status st = lg_wav_parse(io, b, out);
    lg_bytes_free(&b);
    return st;
}

/* ---- writing ---- */

static void put_le(lg_buf *b, uint64_t v, int n) {
    for (int i = 0; i < n; i++)
        lg_buf_put(b, (char[]){(char)(uint8_t)(v >> (8 * i))}, 1);
}

static void put_pcm16(lg_out *out, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float v = isnan(x[i]) ? 0 : roundf(x[i] * 32768);
        int16_t s = (int16_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
        lg_out_put(out, &s, 2);
    }
}

lg_status lg_wav_write(const lg_io *io, const char *path, const lg_tensor *x, int64_t rate,
                       bool as_float) {
    int64_t channels = x->rank == 2 ? x->shape[1] : 1;
    if (x->dtype != LG_F32 || x->rank < 1 || x->rank > 2 || channels < 1 || channels > 1024 ||
        rate < 1 || rate > INT32_MAX || x->n > (UINT32_MAX - 64) / 4) {
        lg_io_report(io, "E0608", path,
                     "sound is f32[frames] or f32[frames, channels] at a "
                     "positive rate, and at most 4 GiB");
        return LG_FAILED;
    }
    lg_out out;
    if (lg_out_open(io, path, &out) != LG_OK)
        return LG_FAILED;
    uint64_t width = as_float ? 4 : 2, data = x->n * width, frame = (uint64_t)channels * width;
    lg_buf b = {0};
    lg_buf_put(&b, "RIFF", 4);
    put_le(&b, 36 + data, 4);
    lg_buf_put(&b, "WAVEfmt ", 8);
    put_le(&b, 16, 4);
    put_le(&b, as_float ? IEEE_FLOAT : PCM, 2);
    put_le(&b, (uint64_t)channels, 2);
    put_le(&b, (uint64_t)rate, 4);
    put_le(&b, (uint64_t)rate * frame, 4);
    put_le(&b, frame, 2);
    put_le(&b, width * 8, 2);
    lg_buf_put(&b, "data", 4);
    put_le(&b, data, 4);
    lg_out_put(&out, b.at, b.n);
    lg_buf_free(&b);
    if (as_float)
        lg_out_put(&out, x->data, x->n * 4);
    else
        put_pcm16(&out, x->data, x->n);
    return lg_out_close(&out, true);
}
