/* io.h: files in and out: bounded loading, readers, writers, checkpoints, the training log and the
 * progress bar. Called by the host. Not for the language's data sources (rows, batches, shuffles),
 * which are built on what is read here.
 *
 * Every reader has two forms: lg_X_load(io, path, ...) reads a file, lg_X_parse(io, bytes, ...)
 * what is already in memory. What they share:
 *  - Success is LG_OK and a result that the caller owns. LG_FAILED means exactly one E06xx
 *    diagnostic in io->ds, with the file's name, the line, row or byte, the reason, and help where
 *    there is some; the result is then left untouched.
 *  - Nothing is believed: every length is checked against the bytes left before memory is asked
 *    for, every product is checked, and no content of a file makes another file be opened.
 *  - Data come out dense, row-major, in this machine's byte order. Integers without a dtype of ours
 *    are widened without loss: i16 and u16 to i32, u32 and u64 to i64 (u64 above 2^63-1 is an
 *    error). A bool that is neither 0 nor 1 becomes 1.
 *  - Every writer writes a temporary file beside the target, syncs it and renames it, so a reader
 *    sees the old file or the whole new one.
 * One thread at a time may use an lg_io. */
#ifndef LG_IO_H
#define LG_IO_H
#include "runtime/diag.h"
#include "runtime/tensor.h"

#define LG_IO_MAX_BYTES ((size_t)1 << 36)

/* Where a reader reports, and how much it may take. */
typedef struct {
    lg_diags *ds;
    lg_span at;       /* the place in the program that asks for the file, or nowhere */
    size_t max_bytes; /* largest file, and largest content of one; 0: LG_IO_MAX_BYTES */
} lg_io;

size_t lg_io_limit(const lg_io *io);
/* Adds a diagnostic "file: text"; control characters in either are shown as `?`. */
lg_diag *lg_io_report(const lg_io *io, const char *code, const char *file, const char *fmt, ...)
    LG_PRINTF(4, 5);
/* The path to open for `path`: itself when it is absolute or exists, else the one beside the file
 * `beside` (may be NULL) when that exists, else itself. On the heap. */
char *lg_io_find(const char *path, const char *beside);

/* ---- bytes ---- */
typedef struct {
    const uint8_t *at; /* 64-byte aligned, and followed by a 0 that n does not count */
    size_t n;
    const char *file; /* the name for messages; borrowed */
} lg_bytes;
lg_status lg_bytes_load(const lg_io *io, const char *path, lg_bytes *out); /* regular files only */
void lg_bytes_free(lg_bytes *b);
uint64_t lg_le(const uint8_t *p, int n); /* n bytes, least significant first */
uint64_t lg_be(const uint8_t *p, int n);
/* Bytes of a shape; false on overflow or a negative dim. */
bool lg_shape_bytes(int rank, const int64_t *shape, size_t size, size_t *bytes);
/* zlib data: window_bits as inflateInit2 takes them; concatenated gzip members are joined. More
 * than `limit` bytes is an error; `hint` is the expected size. The result is freed by the caller. */
lg_status lg_inflate(const lg_io *io, const char *file, const uint8_t *src, size_t n,
                     int window_bits, size_t hint, size_t limit, lg_bytes *out);
/* Shortest decimal text that reads back as the same double (single: the same float). */
const char *lg_number_text(char out[40], double v, bool single);
size_t lg_number_put(char out[40], double v, bool single); /* the same; gives its length */

/* An element type as files have it. */
typedef struct {
    char kind; /* f float, i signed, u unsigned, b bool; 0: unknown */
    unsigned char size;
    lg_dtype as; /* what it becomes */
} lg_wire;
lg_wire lg_wire_of(char kind, uint64_t size); /* kind 0 when there is no such type */
/* n elements of `src` to `out`; `swap`: the file has the other byte order. */
lg_status lg_wire_decode(const lg_io *io, const char *file, lg_wire w, bool swap,
                         const uint8_t *src, size_t n, void *out);

/* ---- named tensors, as npz, safetensors and checkpoints hold them ---- */
typedef struct {
    lg_sym name;
    lg_tensor *x;
} lg_named;
typedef struct {
    char *key, *value;
} lg_meta;
typedef struct {
    LG_VEC(lg_named) list; /* in the order of the file; safetensors and checkpoints: by name */
    LG_VEC(lg_meta) meta;
} lg_bundle;
void lg_bundle_fini(lg_bundle *b);
void lg_bundle_add(lg_bundle *b, lg_sym name, lg_tensor *x); /* takes over the reference */
void lg_bundle_put_meta(lg_bundle *b, const char *key, const char *value);
lg_tensor *lg_bundle_find(const lg_bundle *b, lg_sym name);           /* borrowed, or NULL */
const char *lg_bundle_meta(const lg_bundle *b, const char *key);      /* borrowed, or NULL */

/* ---- atomic output: every writer is built on it ---- */
typedef struct {
    const lg_io *io;
    const char *name; /* as the caller spelled it */
    char *path;       /* with links resolved */
    char *temp;       /* NULL: the target is no regular file and is written to directly */
    FILE *f;
    int error; /* errno of the first failure */
} lg_out;
lg_status lg_out_open(const lg_io *io, const char *path, lg_out *out);
void lg_out_put(lg_out *out, const void *p, size_t n); /* a failure is kept for lg_out_close */
/* Syncs and renames; on any failure the old file is unchanged. `keep` false: gives up silently. */
lg_status lg_out_close(lg_out *out, bool keep);
lg_status lg_file_write(const lg_io *io, const char *path, const void *p, size_t n);

/* ---- csv ---- */
typedef enum { LG_COL_I64, LG_COL_F64, LG_COL_TEXT } lg_col_type;
typedef struct {
    lg_sym name;
    lg_col_type type;
    union {
        int64_t *i64;
        double *f64;
        char **text; /* NUL-terminated UTF-8 */
    };
    size_t odd_row, odd_line; /* TEXT: the first cell that is no number */
} lg_column;
typedef struct {
    lg_arena *arena; /* owns everything below */
    char *file;
    size_t n_rows, n_cols;
    lg_column *cols;
} lg_table;
typedef struct {
    char delimiter;        /* 0: comma */
    bool no_header;        /* columns are then called c0, c1, ... */
    const char *missing;   /* what an empty cell stands for; NULL: an empty cell is an error */
    const char *const *na; /* texts that count as an empty cell, unless quoted */
    int n_na;
    bool allow_nonfinite;  /* nan and inf are numbers */
} lg_csv_opts;
/* RFC 4180 with LF, CRLF or CR, an optional byte order mark, UTF-8 without NUL. Types are inferred
 * over all rows. A row of another length, a bad quote, an empty cell, a name used twice, nan or inf
 * in a column of numbers are errors. opts may be NULL. */
lg_status lg_csv_load(const lg_io *io, const char *path, const lg_csv_opts *opts, lg_table **out);
lg_status lg_csv_parse(const lg_io *io, lg_bytes b, const lg_csv_opts *opts, lg_table **out);
void lg_table_free(lg_table *t);
int64_t lg_table_find(const lg_table *t, const char *name); /* column, or -1 */
/* Columns [beg, end) as f64[rows, end - beg]; a text column is an error naming its first text. */
lg_status lg_table_block(const lg_io *io, const lg_table *t, size_t beg, size_t end,
                         lg_tensor **out);
/* Vectors of equal length as columns under a header. */
lg_status lg_csv_write(const lg_io *io, const char *path, const lg_named *cols, size_t n);

/* ---- arrays ---- */
lg_status lg_npy_load(const lg_io *io, const char *path, lg_tensor **out);
lg_status lg_npy_parse(const lg_io *io, lg_bytes b, lg_tensor **out); /* versions 1, 2, 3 */
/* Version 1; bf16 and 8-bit floats, which npy lacks, are written as f32. */
lg_status lg_npy_write(const lg_io *io, const char *path, const lg_tensor *x);
lg_status lg_npz_load(const lg_io *io, const char *path, lg_bundle *out);
lg_status lg_npz_parse(const lg_io *io, lg_bytes b, lg_bundle *out);
lg_status lg_idx_load(const lg_io *io, const char *path, lg_tensor **out);
lg_status lg_idx_parse(const lg_io *io, lg_bytes b, lg_tensor **out); /* gzipped or not */

/* ---- safetensors ---- */
lg_status lg_safetensors_load(const lg_io *io, const char *path, lg_bundle *out);
lg_status lg_safetensors_parse(const lg_io *io, lg_bytes b, lg_bundle *out);
/* Largest elements first, then by name, so that every tensor is aligned to its element. */
lg_status lg_safetensors_write(const lg_io *io, const char *path, const lg_bundle *b);

/* ---- pictures and sound ---- */
lg_status lg_png_load(const lg_io *io, const char *path, lg_tensor **out);
/* u8[H, W, C], C 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA; palettes are looked up, 16 bits scaled. */
lg_status lg_png_parse(const lg_io *io, lg_bytes b, lg_tensor **out);
lg_status lg_png_write(const lg_io *io, const char *path, const lg_tensor *x); /* also u8[H, W] */

typedef struct {
    lg_tensor *x; /* f32[frames, channels]; integer samples scaled to [-1, 1) */
    int64_t rate; /* frames a second */
} lg_wav;
lg_status lg_wav_load(const lg_io *io, const char *path, lg_wav *out);
lg_status lg_wav_parse(const lg_io *io, lg_bytes b, lg_wav *out);
/* f32[frames] or f32[frames, channels]; as f32, or as 16-bit PCM (rounded, clamped). */
lg_status lg_wav_write(const lg_io *io, const char *path, const lg_tensor *x, int64_t rate,
                       bool as_float);

typedef struct {
    lg_tensor *x; /* u8[N, H, W, C] */
    lg_tensor *y; /* i32[N]: number of the class folder; NULL for a flat directory */
    LG_VEC(char *) classes; /* names of the folders, sorted by bytes */
    LG_VEC(char *) files;   /* relative to the directory, in the order of x */
} lg_images;
/* The .png files of a directory, or of its folders when it has any; sorted, all of one size. */
lg_status lg_images_load(const lg_io *io, const char *dir, lg_images *out);
void lg_images_fini(lg_images *x);

/* ---- text ---- */
bool lg_utf8_ok(const char *text, size_t n, size_t *bad); /* *bad: offset of the first bad byte */
lg_status lg_text_load(const lg_io *io, const char *path, lg_bytes *out); /* UTF-8, no byte mark */

/* Ids are i32 from 0. Bytes: 256 of them. Characters: the distinct code points in order. Words:
 * 0 is <unk>, the rest by falling frequency, then by bytes; a word is a run of letters, digits,
 * `_`, `'` and anything outside ASCII; any other printing character is a word of its own. */
typedef struct lg_vocab lg_vocab;
lg_vocab *lg_vocab_bytes(void);
lg_vocab *lg_vocab_chars(const char *text, size_t n);
lg_vocab *lg_vocab_words(const char *text, size_t n, size_t most); /* most 0: no limit */
void lg_vocab_free(lg_vocab *v);
size_t lg_vocab_size(const lg_vocab *v);
const char *lg_vocab_token(const lg_vocab *v, size_t id, size_t *n); /* borrowed */
/* i32[tokens]. A character outside the vocabulary is an error naming its byte in `file`. */
lg_status lg_vocab_encode(const lg_io *io, const lg_vocab *v, const char *file, const char *text,
                          size_t n, lg_tensor **out);
/* Words are joined by spaces, but for none before closing punctuation. */
lg_status lg_vocab_decode(const lg_io *io, const lg_vocab *v, const int32_t *ids, size_t n,
                          lg_buf *out);

/* ---- checkpoints: DIR/step-00000123.safetensors, every tensor with its checksum ---- */
typedef struct {
    int64_t step;
    const char *meta; /* JSON text of the caller: phase, epoch, seed, program, position ... */
    int64_t run;      /* counts the runs that saved into the directory; later ones are newer */
    size_t keep;      /* newest saves to leave in the directory; 0: all */
} lg_checkpoint_opts;
lg_status lg_checkpoint_save(const lg_io *io, const char *dir, const lg_bundle *b,
                             const lg_checkpoint_opts *opts);
typedef struct {
    lg_bundle tensors;
    int64_t step; /* -1 for a safetensors file from elsewhere */
    char *meta;   /* the JSON text, or NULL */
    char *file;   /* what was read */
} lg_checkpoint;
/* Of a directory the newest save that is whole: damaged ones are passed over with a warning that
 * names the tensor. Of a file that one, and damage is an error. */
lg_status lg_checkpoint_load(const lg_io *io, const char *path, lg_checkpoint *out);
void lg_checkpoint_fini(lg_checkpoint *c);
int64_t lg_checkpoint_last_run(const char *dir); /* the highest `run` of its saves, or 0 */
/* Makes the directory and locks it against other writers; leftovers of broken saves are removed.
 * Held until lg_checkpoint_unlock or the end of the process. */
lg_status lg_checkpoint_lock(const lg_io *io, const char *dir, int *lock);
void lg_checkpoint_unlock(int lock);

/* ---- training log: a JSON object a line, keys in the order they are given ---- */
typedef struct lg_log lg_log;
lg_status lg_log_open(const lg_io *io, const char *path, bool append, lg_log **out);
void lg_log_close(lg_log *l); /* NULL is fine, here and below */
void lg_log_text(lg_log *l, const char *key, const char *text);
void lg_log_int(lg_log *l, const char *key, int64_t v);
void lg_log_real(lg_log *l, const char *key, double v, bool single); /* not finite: null */
void lg_log_bool(lg_log *l, const char *key, bool v);
void lg_log_texts(lg_log *l, const char *key, size_t n, const char *const *text); /* an array */
void lg_log_reals(lg_log *l, const char *key, size_t n, const double *v);
void lg_log_json(lg_log *l, const char *key, const char *json); /* as it is */
/* s as a JSON string; bytes that are no UTF-8 become the replacement character. */
void lg_json_string(lg_buf *b, const char *s);
/* Writes the line, after those that are held. The first failure to write is reported once; later
 * lines are dropped without a word. */
lg_status lg_log_line(const lg_io *io, lg_log *l);
/* For lines that may follow each other fast: written at once when the last ones were written a tenth
 * of a second ago, or held until then, until lg_log_flush or until the process ends in any way but
 * SIGKILL. */
lg_status lg_log_line_soon(const lg_io *io, lg_log *l);
lg_status lg_log_flush(const lg_io *io, lg_log *l); /* before something that takes long */

/* ---- progress: one bar at a time, on stderr ---- */
typedef struct {
    FILE *out;  /* NULL: stderr */
    bool quiet; /* nothing at all */
    int width;  /* columns; 0: the terminal's, and plain lines when there is none */
    /* Adds what is shown behind the numbers; asked for when something is drawn. May be NULL. */
    void (*text)(const void *ctx, lg_buf *to);
    const void *ctx;
} lg_progress_opts;
void lg_progress_begin(const char *label, int64_t total, const lg_progress_opts *opts);
void lg_progress_step(int64_t done); /* so many of the total are done */
void lg_progress_hide(void); /* before something else is printed; the next step redraws */
void lg_progress_end(void);  /* leaves the last state standing */
#endif
