/* dtype.h: element types and their conversions. */
#ifndef LG_DTYPE_H
#define LG_DTYPE_H
#include "runtime/base.h"

typedef enum {
    LG_F64, LG_F32, LG_BF16, LG_F16, LG_I64, LG_I32, LG_I8, LG_U8, LG_BOOL,
    LG_F8E4M3, LG_F8E5M2, LG_N_DTYPES, LG_NO_DTYPE = LG_N_DTYPES
} lg_dtype;

size_t lg_dtype_size(lg_dtype t);
const char *lg_dtype_name(lg_dtype t);      /* "f32" */
lg_dtype lg_dtype_from_name(const char *s); /* LG_NO_DTYPE when unknown */
bool lg_dtype_is_float(lg_dtype t);
bool lg_dtype_is_int(lg_dtype t); /* i64 i32 i8 u8, not bool */

/* One element at p[i] as a double / int64, and back (round half to even; integers saturate). */
double lg_get_f64(lg_dtype t, const void *p, size_t i);
int64_t lg_get_i64(lg_dtype t, const void *p, size_t i);
void lg_set_f64(lg_dtype t, void *p, size_t i, double v);
void lg_set_i64(lg_dtype t, void *p, size_t i, int64_t v);
/* n elements, dense to dense. Float to narrower float rounds half to even; float to integer
 * truncates and saturates, NaN gives 0; anything to bool is != 0. */
void lg_convert(lg_dtype to, void *out, lg_dtype from, const void *in, size_t n);
uint16_t lg_f32_to_bf16(float x);
float lg_bf16_to_f32(uint16_t x);
uint16_t lg_f32_to_f16(float x);
float lg_f16_to_f32(uint16_t x);
uint8_t lg_f32_to_e4m3(float x); /* OCP fn variant: saturates to 448, NaN 0x7f */
float lg_e4m3_to_f32(uint8_t x);
uint8_t lg_f32_to_e5m2(float x);
float lg_e5m2_to_f32(uint8_t x);
#endif
