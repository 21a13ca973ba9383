/* W3: textbook SGD, one example at a time: sigmoid layer, softmax cross-entropy, update.
 *
 * Weights lie [input][output], as in x @ W. INPUTS, HIDDEN (a multiple of 16) and OUTPUTS (at most
 * 16) are given when it is compiled. `epoch` makes two sweeps over the first layer's weights for
 * each example; `swept` applies the update of one example in the sweep of the next one. */
#include <math.h>
#include <string.h>

typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));
#define VECTORS (HIDDEN / 16)

/* From the sums of the hidden layer to rate * their slopes; updates all but the first weights. */
static void rest(float *h, long label, float *b1, float *w2, float *b2, float rate, float *e) {
    float z[16] = {0}, u[OUTPUTS][HIDDEN], top = -1e30f, sum = 0;
    for (int j = 0; j < HIDDEN; j++) h[j] = 1 / (1 + expf(-(h[j] + b1[j])));
    for (int k = 0; k < OUTPUTS; k++)
        for (int j = 0; j < HIDDEN; j++) u[k][j] = w2[j * OUTPUTS + k];
    for (int k = 0; k < OUTPUTS; k++) {
        float a = 0;
        for (int j = 0; j < HIDDEN; j++) a += u[k][j] * h[j];
        z[k] = a + b2[k];
        top = z[k] > top ? z[k] : top;
    }
    for (int k = OUTPUTS; k < 16; k++) z[k] = -1e30f;
    for (int k = 0; k < 16; k++) z[k] = expf(z[k] - top);
    for (int k = 0; k < 16; k++) sum += z[k];
    for (int k = 0; k < 16; k++) z[k] /= sum;
    z[label] -= 1;
    memset(e, 0, sizeof(float) * HIDDEN);
    for (int k = 0; k < OUTPUTS; k++)
        for (int j = 0; j < HIDDEN; j++) {
            e[j] += u[k][j] * z[k];
            u[k][j] -= rate * z[k] * h[j];
        }
    for (int k = 0; k < OUTPUTS; k++)
        for (int j = 0; j < HIDDEN; j++) w2[j * OUTPUTS + k] = u[k][j];
    for (int k = 0; k < OUTPUTS; k++) b2[k] -= rate * z[k];
    for (int j = 0; j < HIDDEN; j++) {
        e[j] *= rate * h[j] * (1 - h[j]);
        b1[j] -= e[j];
    }
}

void epoch(const float *xs, const long *labels, const long *order, long count, float *w1, float *b1,
           float *w2, float *b2, float rate) {
    for (long s = 0; s < count; s++) {
        const float *x = xs + order[s] * INPUTS;
        lanes sums[2][VECTORS], e[VECTORS];
        memset(sums, 0, sizeof sums);
        for (int i = 0; i < INPUTS; i += 2)
            for (int half = 0; half < 2; half++)
#pragma GCC unroll 8
                for (int j = 0; j < VECTORS; j++)
                    sums[half][j] += x[i + half] * ((lanes *)(w1 + (i + half) * HIDDEN))[j];
        for (int j = 0; j < VECTORS; j++) sums[0][j] += sums[1][j];
        rest((float *)sums, labels[order[s]], b1, w2, b2, rate, (float *)e);
        for (int i = 0; i < INPUTS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) ((lanes *)(w1 + i * HIDDEN))[j] -= x[i] * e[j];
    }
}

void swept(const float *xs, const long *labels, const long *order, long count, float *w1, float *b1,
           float *w2, float *b2, float rate) {
    static float nothing[INPUTS];
    const float *last = nothing;
    lanes e[VECTORS];
    memset(e, 0, sizeof e);
    for (long s = 0; s <= count; s++) {
        const float *x = s < count ? xs + order[s] * INPUTS : nothing;
        lanes sums[VECTORS];
        memset(sums, 0, sizeof sums);
        for (int i = 0; i < INPUTS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) {
                lanes *at = (lanes *)(w1 + i * HIDDEN) + j, w = *at - last[i] * e[j];
                *at = w;
                sums[j] += x[i] * w;
            }
        if (s < count) rest((float *)sums, labels[order[s]], b1, w2, b2, rate, (float *)e);
        last = x;
    }
}
