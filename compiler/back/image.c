/* image.c: see image.h. An ELF file is a list of segments to copy, then a list of places to fill
 * in.
 */
#include "compiler/back/image.h"
#include "runtime/base.h"
#include <elf.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
enum {
    MACHINE = EM_X86_64,
    RELATIVE = R_X86_64_RELATIVE,
    TO_DATA = R_X86_64_GLOB_DAT,
    TO_CODE = R_X86_64_JUMP_SLOT,
    ABSOLUTE = R_X86_64_64
};
#elif defined(__aarch64__)
enum {
    MACHINE = EM_AARCH64,
    RELATIVE = R_AARCH64_RELATIVE,
    TO_DATA = R_AARCH64_GLOB_DAT,
    TO_CODE = R_AARCH64_JUMP_SLOT,
    ABSOLUTE = R_AARCH64_ABS64
};
#else
enum { MACHINE = EM_NONE, RELATIVE = 1, TO_DATA = 2, TO_CODE = 3, ABSOLUTE = 4 };
#endif

struct lg_image {
    uint8_t *base;
    size_t size;
    const Elf64_Sym *sym;
    size_t n_sym, n_text;
    const char *text;
};

/* ---- what an object may call ---- */

typedef void (*any_fn)(void);
/* clang-format off */
static const struct {
    const char *name;
    any_fn fn;
} known[] = {
#define F(name) {#name, (any_fn)(name)},
    F(memcpy) F(memmove) F(memset) F(memcmp)
    F(acos) F(asin) F(atan) F(atan2) F(ceil) F(copysign) F(cos) F(cosh) F(erf) F(erfc) F(exp)
    F(expm1) F(fabs) F(floor) F(fma) F(fmod) F(ldexp) F(lgamma_r) F(log) F(log1p) F(logb) F(pow)
    F(rint) F(sin) F(sinh) F(sqrt) F(tan) F(tanh) F(trunc)
    F(ceilf) F(copysignf) F(fabsf) F(floorf) F(fmaf) F(fmodf) F(ldexpf) F(logbf) F(rintf) F(sqrtf)
    F(truncf)
#undef F
};
/* clang-format on */

static bool address_of(const lg_image *x, const Elf64_Sym *s, uint64_t *out) {
    if (s->st_shndx != SHN_UNDEF) {
        *out = (uint64_t)(uintptr_t)(x->base + s->st_value);
        return s->st_value < x->size;
    }
    for (size_t k = 0; k < LG_COUNT(known) && s->st_name < x->n_text; k++)
        if (!strcmp(x->text + s->st_name, known[k].name)) {
            uintptr_t at;
            memcpy(&at, &known[k].fn, sizeof at); /* no cast leads from code to data */
            *out = at;
            return true;
        }
    return ELF64_ST_BIND(s->st_info) == STB_WEAK && (*out = 0, true);
}

/* ---- segments ---- */

static size_t page(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

static bool is_object(const uint8_t *bytes, size_t n, Elf64_Ehdr *h) {
    if (n < sizeof *h)
        return false;
    memcpy(h, bytes, sizeof *h);
    return !memcmp(h->e_ident, ELFMAG, SELFMAG) && h->e_ident[EI_CLASS] == ELFCLASS64 &&
           h->e_type == ET_DYN && h->e_machine == MACHINE && MACHINE != EM_NONE &&
           h->e_phentsize == sizeof(Elf64_Phdr) && h->e_phoff <= n &&
           h->e_phnum <= (n - h->e_phoff) / sizeof(Elf64_Phdr);
}

static Elf64_Phdr part_of(const uint8_t *bytes, const Elf64_Ehdr *h, int k) {
    Elf64_Phdr p;
    memcpy(&p, bytes + h->e_phoff + (size_t)k * sizeof p, sizeof p);
    return p;
}

static bool copy_segments(lg_image *x, const uint8_t *bytes, size_t n, const Elf64_Ehdr *h) {
    enum { MOST = 1 << 28 };
    for (int k = 0; k < h->e_phnum; k++) {
        Elf64_Phdr p = part_of(bytes, h, k);
        if (p.p_type != PT_LOAD)
            continue;
        if (p.p_vaddr > MOST || p.p_memsz > MOST || p.p_filesz > p.p_memsz || p.p_offset > n ||
            p.p_filesz > n - p.p_offset)
            return false;
        size_t end = (size_t)(p.p_vaddr + p.p_memsz);
        x->size = end > x->size ? end : x->size;
    }
    x->size = (x->size + page() - 1) / page() * page();
    if (!x->size)
        return false;
    void *base = mmap(NULL, x->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        x->size = 0;
        return false;
    }
    x->base = base;
    for (int k = 0; k < h->e_phnum; k++) {
        Elf64_Phdr p = part_of(bytes, h, k);
        if (p.p_type == PT_LOAD && p.p_filesz)
            memcpy(x->base + p.p_vaddr, bytes + p.p_offset, p.p_filesz);
    }
    return true;
}

/* Code may be executed and no longer written; the rest is as it was. */
static bool protect(const lg_image *x, const uint8_t *bytes, const Elf64_Ehdr *h) {
    bool ok = true;
    for (int k = 0; k < h->e_phnum; k++) {
        Elf64_Phdr p = part_of(bytes, h, k);
        if (p.p_type != PT_LOAD || !(p.p_flags & PF_X))
            continue;
        size_t beg = (size_t)p.p_vaddr / page() * page();
        size_t end = ((size_t)(p.p_vaddr + p.p_memsz) + page() - 1) / page() * page();
        ok = ok && mprotect(x->base + beg, end - beg, PROT_READ | PROT_EXEC) == 0;
        __builtin___clear_cache((char *)x->base + beg, (char *)x->base + end);
    }
    return ok;
}

/* ---- places to fill in ---- */

typedef struct {
    uint64_t hash, sym, text, n_text, rela, n_rela, calls, n_calls;
} table;

static bool read_table(const lg_image *x, uint64_t at, uint64_t n, table *t) {
    if (at > x->size || n > x->size - at)
        return false;
    for (uint64_t k = 0; k + sizeof(Elf64_Dyn) <= n; k += sizeof(Elf64_Dyn)) {
        Elf64_Dyn d;
        memcpy(&d, x->base + at + k, sizeof d);
        uint64_t v = d.d_un.d_val;
        switch (d.d_tag) {
        case DT_HASH:
            t->hash = v;
            break;
        case DT_SYMTAB:
            t->sym = v;
            break;
        case DT_STRTAB:
            t->text = v;
            break;
        case DT_STRSZ:
            t->n_text = v;
            break;
        case DT_RELA:
            t->rela = v;
            break;
        case DT_RELASZ:
            t->n_rela = v;
            break;
        case DT_JMPREL:
            t->calls = v;
            break;
        case DT_PLTRELSZ:
            t->n_calls = v;
            break;
        default:
            break;
        }
    }
    return true;
}

static bool find_tables(lg_image *x, const table *t) {
    uint32_t head[2]; /* buckets, symbols */
    if (!t->hash || t->hash > x->size - sizeof head || t->text >= x->size ||
        t->n_text > x->size - t->text)
        return false;
    memcpy(head, x->base + t->hash, sizeof head);
    x->n_sym = head[1];
    if (t->sym % sizeof(uint64_t) || t->sym >= x->size ||
        x->n_sym > (x->size - t->sym) / sizeof(Elf64_Sym))
        return false;
    x->sym = (const Elf64_Sym *)(const void *)(x->base + t->sym);
    x->text = (const char *)(x->base + t->text);
    x->n_text = t->n_text;
    return t->n_text > 0 && !x->text[t->n_text - 1];
}

static bool fill_in(lg_image *x, uint64_t at, uint64_t n) {
    if (at > x->size || n > x->size - at)
        return false;
    for (uint64_t k = 0; k + sizeof(Elf64_Rela) <= n; k += sizeof(Elf64_Rela)) {
        Elf64_Rela r;
        memcpy(&r, x->base + at + k, sizeof r);
        uint64_t type = ELF64_R_TYPE(r.r_info), sym = ELF64_R_SYM(r.r_info), v = 0;
        if (type == RELATIVE)
            v = (uint64_t)(uintptr_t)x->base;
        else if ((type != TO_DATA && type != TO_CODE && type != ABSOLUTE) || sym >= x->n_sym ||
                 !address_of(x, &x->sym[sym], &v))
            return false;
        v += (uint64_t)r.r_addend;
        if (r.r_offset > x->size - sizeof v)
            return false;
        memcpy(x->base + r.r_offset, &v, sizeof v);
    }
    return true;
}

static bool relocate(lg_image *x, const uint8_t *bytes, const Elf64_Ehdr *h) {
    table t = {0};
    bool found = false;
    for (int k = 0; k < h->e_phnum; k++) {
        Elf64_Phdr p = part_of(bytes, h, k);
        if (p.p_type == PT_DYNAMIC)
            found = read_table(x, p.p_vaddr, p.p_memsz, &t);
    }
    return found && find_tables(x, &t) && fill_in(x, t.rela, t.n_rela) &&
           fill_in(x, t.calls, t.n_calls);
}

/* ---- from outside ---- */

lg_image *lg_image_load(const uint8_t *bytes, size_t n, const char **why) {
    Elf64_Ehdr h;
    lg_image *x = lg_alloc(sizeof *x);
    *x = (lg_image){0};
    *why = !is_object(bytes, n, &h)          ? "it is no code of this machine"
           : !copy_segments(x, bytes, n, &h) ? "there is no memory for it"
           : !relocate(x, bytes, &h)         ? "it calls what is not there"
           : !protect(x, bytes, &h)          ? "this system refuses code that is made at run time"
                                             : NULL;
    if (!*why)
        return x;
    lg_image_free(x);
    return NULL;
}

void *lg_image_find(const lg_image *x, const char *name) {
    for (size_t k = 0; k < x->n_sym; k++) {
        const Elf64_Sym *s = &x->sym[k];
        if (s->st_shndx != SHN_UNDEF && s->st_name < x->n_text && s->st_value < x->size &&
            !strcmp(x->text + s->st_name, name))
            return x->base + s->st_value;
    }
    return NULL;
}

void lg_image_free(lg_image *x) {
    if (!x)
        return;
    if (x->base)
        munmap(x->base, x->size);
    lg_free(x);
}
