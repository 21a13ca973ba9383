/* LSTM-diagonal: the loss, and its gradient in weights and ends, by hand.
 *
 * weights [layers][8][B], ends [3][B], state [layers][2][B], xs [steps + 1][B]. LAYERS and B are
 * given when it is compiled. What the way back needs of each step is kept in `kept`
 * [steps][LAYERS][6][B] (v, hidden, cell, forget, enter, leave, change below) and `outputs`
 * [steps][B]. */
#include <math.h>
#include <string.h>

#define EACH for (int i = 0; i < B; i++)
enum { WF, WI, WO, WC, BF, BI, BO, BC };
enum { V, HIDDEN, CELL, FORGET, ENTER, LEAVE, CHANGE, OUT, KEPT };

static double forward(const double (*w)[8][B], const double (*ends)[B], double (*state)[2][B],
                      const double *xs, long steps, double (*kept)[LAYERS][KEPT][B],
                      double (*last)[B]) {
    double loss = 0;
    for (long s = 0; s < steps; s++) {
        double v[B], y[B], sum = 0;
        EACH v[i] = xs[s * B + i] * ends[0][i];
        for (int l = 0; l < LAYERS; l++) {
            double *h = state[l][0], *c = state[l][1], (*k)[B] = kept[s * (last != 0)][l];
            EACH {
                double f = 1 / (1 + exp(-(v[i] * w[l][WF][i] + w[l][BF][i])));
                double e = 1 / (1 + exp(-(h[i] * w[l][WI][i] + w[l][BI][i])));
                double o = 1 / (1 + exp(-(v[i] * w[l][WO][i] + w[l][BO][i])));
                double g = 2 / (1 + exp(-2 * (h[i] * w[l][WC][i] + w[l][BC][i]))) - 1;
                double next = c[i] * f + e * g, t = 2 / (1 + exp(-2 * next)) - 1;
                k[V][i] = v[i], k[HIDDEN][i] = h[i], k[CELL][i] = c[i], k[FORGET][i] = f;
                k[ENTER][i] = e, k[LEAVE][i] = o, k[CHANGE][i] = g, k[OUT][i] = t;
                c[i] = next, h[i] = v[i] = o * t;
            }
        }
        EACH y[i] = v[i] * ends[1][i] + ends[2][i];
        EACH sum += exp(y[i]);
        double shift = log(2 + sum);
        EACH loss += xs[(s + 1) * B + i] * (y[i] - shift);
        if (last) EACH last[s][i] = y[i] - shift;
    }
    return -loss / steps / B;
}

double value(const double *w, const double *ends, double *state, const double *xs, long steps) {
    double kept[1][LAYERS][KEPT][B];
    return forward((void *)w, (void *)ends, (void *)state, xs, steps, kept, 0);
}

double gradient(const double *weights, const double *ends_, double *state, const double *xs,
                long steps, double *kept_, double *last_, double *gw_, double *ge_) {
    const double (*w)[8][B] = (void *)weights, (*ends)[B] = (void *)ends_;
    double (*kept)[LAYERS][KEPT][B] = (void *)kept_, (*last)[B] = (void *)last_;
    double (*gw)[8][B] = (void *)gw_, (*ge)[B] = (void *)ge_, gs[LAYERS][2][B];
    double loss = forward(w, ends, (void *)state, xs, steps, kept, last), part = -1.0 / steps / B;
    memset(gw_, 0, sizeof(double) * LAYERS * 8 * B);
    memset(ge_, 0, sizeof(double) * 3 * B);
    memset(gs, 0, sizeof gs);
    for (long s = steps - 1; s >= 0; s--) {
        const double *target = xs + (s + 1) * B;
        double sum = 0, gv[B];
        EACH sum += target[i];
        EACH {
            double (*k)[B] = kept[s][LAYERS - 1];
            /* exp(y - shift) is the share of y in 2 + sum(exp(y)) */
            double gy = part * (target[i] - sum * exp(last[s][i]));
            ge[1][i] += gy * k[LEAVE][i] * k[OUT][i], ge[2][i] += gy, gv[i] = gy * ends[1][i];
        }
        for (int l = LAYERS - 1; l >= 0; l--) {
            double (*k)[B] = kept[s][l];
            EACH {
                double v = k[V][i], h = k[HIDDEN][i], c = k[CELL][i], f = k[FORGET][i];
                double e = k[ENTER][i], o = k[LEAVE][i], g = k[CHANGE][i], t = k[OUT][i];
                double gh = gv[i] + gs[l][0][i], gc = gs[l][1][i] + gh * o * (1 - t * t);
                double go = gh * t * o * (1 - o), gf = gc * c * f * (1 - f);
                double gi = gc * g * e * (1 - e), gg = gc * e * (1 - g * g);
                gw[l][WF][i] += gf * v, gw[l][BF][i] += gf, gw[l][WO][i] += go * v;
                gw[l][BO][i] += go, gw[l][WI][i] += gi * h, gw[l][BI][i] += gi;
                gw[l][WC][i] += gg * h, gw[l][BC][i] += gg;
                gs[l][1][i] = gc * f, gs[l][0][i] = gi * w[l][WI][i] + gg * w[l][WC][i];
                gv[i] = gf * w[l][WF][i] + go * w[l][WO][i];
            }
        }
        EACH ge[0][i] += gv[i] * xs[s * B + i];
    }
    return loss;
}
