/* straight.c: mlp_tiny and mlp_digits as one would write them by hand in C, all sizes fixed, one
   thread: what a step costs when nothing but its arithmetic is there. straight NAME prints losses
   and seconds. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The numbers of streams.lg. */
static uint32_t word(uint32_t s, uint32_t i) {
    uint32_t x = i + s * 2654435769u;
    x = (x ^ x >> 16) * 2246822507u;
    x = (x ^ x >> 13) * 3266489909u;
    return x ^ x >> 16;
}
static float unit(uint32_t s, uint32_t i) {
    return (float)(word(s, i) >> 8) * 0x1p-24f;
}
static float sym(uint32_t s, float a, uint32_t i) {
    return (2 * unit(s, i) - 1) * a;
}

/* ---- mlp_tiny: 2-16(tanh)-1, batch 32, mean squared error, SGD ---- */

static struct { float x[2][32], y[32], w1[16][2], b1[16], w2[16], b2, h[16][32], d[32]; } T;

static void tiny_start(void) {
    for (uint32_t i = 0; i < 32; i++) {
        T.x[0][i] = sym(1, 1, 2 * i), T.x[1][i] = sym(1, 1, 2 * i + 1);
        T.y[i] = T.x[0][i] * T.x[1][i] > 0;
    }
    for (uint32_t i = 0; i < 16; i++) {
        T.w1[i][0] = sym(100, sqrtf(0.5f), 2 * i), T.w1[i][1] = sym(100, sqrtf(0.5f), 2 * i + 1);
        T.w2[i] = sym(102, 0.25f, i);
    }
}

static float tiny_step(void) {
    const float lr = 0.05f;
    float loss = 0, db2 = 0;
    for (int n = 0; n < 32; n++)
        T.d[n] = T.b2;
    for (int i = 0; i < 16; i++)
        for (int n = 0; n < 32; n++) {
            T.h[i][n] = tanhf(T.w1[i][0] * T.x[0][n] + T.w1[i][1] * T.x[1][n] + T.b1[i]);
            T.d[n] += T.w2[i] * T.h[i][n];
        }
    for (int n = 0; n < 32; n++) {
        float r = T.d[n] - T.y[n];
        loss += r * r;
        T.d[n] = r / 16;
        db2 += T.d[n];
    }
    for (int i = 0; i < 16; i++) {
        float dw = 0, db = 0, d0 = 0, d1 = 0;
        for (int n = 0; n < 32; n++) {
            float g = T.d[n] * T.w2[i] * (1 - T.h[i][n] * T.h[i][n]);
            dw += T.d[n] * T.h[i][n], db += g, d0 += g * T.x[0][n], d1 += g * T.x[1][n];
        }
        T.w2[i] -= lr * dw, T.b1[i] -= lr * db, T.w1[i][0] -= lr * d0, T.w1[i][1] -= lr * d1;
    }
    T.b2 -= lr * db2;
    return loss / 32;
}

/* ---- mlp_digits: 64-128(relu)-10, batch 64, cross-entropy, AdamW ---- */

enum { ROWS = 1792, IN = 64, HID = 128, OUT = 16, CLASSES = 10, B = 64 };
enum { N1 = IN * HID, N2 = HID * OUT, ALL = N1 + HID + N2 + OUT };
/* Weights are [in, out], the last ones padded to 16 classes. */
static struct {
    float x[ROWS][IN], p[ALL], g[ALL], m[ALL], v[ALL], h[B][HID], z[B][OUT], dh[B][HID],
        w2t[OUT][HID];
    int y[ROWS], t;
} D;

static void digits_start(void) {
    for (uint32_t i = 0; i < ROWS; i++) {
        D.y[i] = (int)(word(2, i) % CLASSES);
        for (uint32_t j = 0; j < IN; j++)
            D.x[i][j] = 0.5f * unit(1, i * IN + j) + 0.5f * unit(3, (uint32_t)D.y[i] * IN + j);
    }
    for (uint32_t o = 0; o < HID; o++)
        for (uint32_t i = 0; i < IN; i++)
            D.p[i * HID + o] = sym(100, 0.125f, o * IN + i);
    for (uint32_t o = 0; o < CLASSES; o++)
        for (uint32_t i = 0; i < HID; i++)
            D.p[N1 + HID + i * OUT + o] = sym(102, 1 / sqrtf(HID), o * HID + i);
}

/* c[m][n] += sum_k a[m][k] b[k][n] with a read by its strides: tiles of 8 x 32 stay in registers.
 */
static inline __attribute__((always_inline)) void product(int m, int n, int kk, const float *a,
                                                          int am, int ak, const float *restrict b,
                                                          int bk, float *restrict c, int cm) {
    for (int i = 0; i < m; i += 8)
        for (int j = 0; j < n; j += n < 32 ? n : 32) {
            float t[8][32] = {0};
            for (int k = 0; k < kk; k++)
                for (int r = 0; r < 8; r++)
                    for (int q = 0; q < (n < 32 ? n : 32); q++)
                        t[r][q] += a[(i + r) * am + k * ak] * b[k * bk + j + q];
            for (int r = 0; r < 8; r++)
                for (int q = 0; q < (n < 32 ? n : 32); q++)
                    c[(i + r) * cm + j + q] += t[r][q];
        }
}

static float digits_step(void) {
    const float *w1 = D.p, *b1 = w1 + N1, *w2 = b1 + HID, *b2 = w2 + N2;
    float *g1 = D.g, *gb1 = g1 + N1, *g2 = gb1 + HID, *gb2 = g2 + N2, loss = 0;
    int from = D.t * B % ROWS;
    memset(D.g, 0, sizeof D.g);
    for (int n = 0; n < B; n++)
        memcpy(D.h[n], b1, sizeof D.h[n]), memcpy(D.z[n], b2, sizeof D.z[n]);
    product(B, HID, IN, D.x[from], IN, 1, w1, HID, D.h[0], HID);
    for (int n = 0; n < B; n++)
        for (int j = 0; j < HID; j++)
            D.h[n][j] = D.h[n][j] > 0 ? D.h[n][j] : 0;
    product(B, OUT, HID, D.h[0], HID, 1, w2, OUT, D.z[0], OUT);
    for (int n = 0; n < B; n++) {
        float *z = D.z[n], most = -INFINITY, sum = 0;
        for (int k = 0; k < CLASSES; k++)
            most = z[k] > most ? z[k] : most;
        float right = z[D.y[from + n]] - most;
        for (int k = 0; k < OUT; k++)
            z[k] = k < CLASSES ? expf(z[k] - most) : 0, sum += z[k];
        loss += logf(sum) - right;
        for (int k = 0; k < OUT; k++)
            z[k] /= sum * B;
        z[D.y[from + n]] -= 1.0f / B;
        for (int k = 0; k < OUT; k++)
            gb2[k] += z[k];
    }
    for (int j = 0; j < HID; j++)
        for (int k = 0; k < OUT; k++)
            D.w2t[k][j] = w2[j * OUT + k];
    memset(D.dh, 0, sizeof D.dh);
    product(B, HID, CLASSES, D.z[0], OUT, 1, D.w2t[0], HID, D.dh[0], HID);
    for (int n = 0; n < B; n++)
        for (int j = 0; j < HID; j++) {
            D.dh[n][j] = D.h[n][j] > 0 ? D.dh[n][j] : 0;
            gb1[j] += D.dh[n][j];
        }
    product(HID, OUT, B, D.h[0], 1, HID, D.z[0], OUT, g2, OUT);
    product(IN, HID, B, D.x[from], 1, IN, D.dh[0], HID, g1, HID);
    D.t++;
    float rate = 1e-3f / (1 - powf(0.9f, (float)D.t)),
          root = 1 / sqrtf(1 - powf(0.999f, (float)D.t));
    for (int i = 0; i < ALL; i++) {
        D.m[i] += 0.1f * (D.g[i] - D.m[i]);
        D.v[i] += 0.001f * (D.g[i] * D.g[i] - D.v[i]);
        D.p[i] = D.p[i] * (1 - 1e-5f) - rate * D.m[i] / (sqrtf(D.v[i]) * root + 1e-8f);
    }
    return loss / B;
}

int main(int argc, char **argv) {
    if (argc != 2 || (strcmp(argv[1], "mlp_tiny") && strcmp(argv[1], "mlp_digits")))
        return fprintf(stderr, "usage: straight mlp_tiny|mlp_digits\n"), 2;
    int tiny = !strcmp(argv[1], "mlp_tiny"), steps = tiny ? 200000 : 5000;
    float (*step)(void) = tiny ? tiny_step : digits_step;
    tiny ? tiny_start() : digits_start();
    printf("losses");
    for (int s = 1; s <= 20; s++) {
        float loss = step();
        if (s == 1 || s == 2 || s == 5 || s == 10 || s == 20)
            printf(" %.7g", (double)loss);
    }
    double best = INFINITY;
    for (int r = 0; r < 5; r++) {
        double t = now();
        for (int s = 0; s < steps; s++)
            step();
        t = (now() - t) / steps;
        best = t < best ? t : best;
    }
    printf("\nseconds %g\n", best);
}
