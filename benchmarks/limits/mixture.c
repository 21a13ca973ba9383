/* GMM: gradient and value by hand. D, K and LANES points at a time, whose entries lie [d][LANES].
 *
 * roots [K][D][D]: lower triangular, diagonals already exp(q). Gives back the sum over all points
 * of the log-sum-exp, and the slopes of that sum: ga[K], gm[K][D], gr[K][D][D] (in the roots). */
#include <math.h>
#include <string.h>

#define LANES 32
#define EACH for (int i = 0; i < LANES; i++)

static void load(const double *x, long left, double (*part)[LANES]) {
    for (int j = 0; j < D; j++) EACH part[j][i] = i < left ? x[(long)i * D + j] : 0;
}

double mixture(const double *constants, const double *means, const double *roots, const double *x,
               long n, int slopes, double *ga, double *gm, double *gr, double *kept_) {
    double (*kept)[D][LANES] = (void *)kept_, total = 0;
    if (slopes) {
        memset(ga, 0, sizeof(double) * K);
        memset(gm, 0, sizeof(double) * K * D);
        memset(gr, 0, sizeof(double) * K * D * D);
    }
    for (long at = 0; at < n; at += LANES) {
        static double xs[D][LANES], c[D][LANES], terms[K][LANES];
        double top[LANES], sum[LANES];
        load(x + at * D, n - at, xs);
        EACH top[i] = -1e300, sum[i] = 0;
        for (int k = 0; k < K; k++) {
            const double *q = roots + (long)k * D * D;
            double squares[LANES] = {0};
            for (int j = 0; j < D; j++) EACH c[j][i] = xs[j][i] - means[k * D + j];
            for (int r = 0; r < D; r++) {
                double t[LANES] = {0};
                for (int j = 0; j <= r; j++) EACH t[i] += q[r * D + j] * c[j][i];
                EACH squares[i] += t[i] * t[i];
                if (slopes) EACH kept[k][r][i] = t[i];
            }
            EACH terms[k][i] = constants[k] - 0.5 * squares[i];
            EACH top[i] = terms[k][i] > top[i] ? terms[k][i] : top[i];
        }
        for (int k = 0; k < K; k++) EACH sum[i] += terms[k][i] = exp(terms[k][i] - top[i]);
        EACH if (at + i < n) total += top[i] + log(sum[i]);
        if (!slopes) continue;
        for (int k = 0; k < K; k++) {
            const double *q = roots + (long)k * D * D;
            double weight[LANES], gc[D][LANES], share = 0, rows[LANES][D];
            EACH weight[i] = at + i < n ? terms[k][i] / sum[i] : 0;
            EACH share += weight[i];
            ga[k] += share;
            for (int j = 0; j < D; j++) EACH rows[i][j] = xs[j][i] - means[k * D + j];
            memset(gc, 0, sizeof gc);
            for (int r = 0; r < D; r++) {
                double g[LANES], *row = gr + ((long)k * D + r) * D;
                EACH g[i] = -weight[i] * kept[k][r][i];
                for (int j = 0; j <= r; j++) EACH gc[j][i] += g[i] * q[r * D + j];
                for (int i = 0; i < LANES; i += 4)
                    for (int j = 0; j <= r; j++)
                        row[j] += g[i] * rows[i][j] + g[i + 1] * rows[i + 1][j] +
                                  g[i + 2] * rows[i + 2][j] + g[i + 3] * rows[i + 3][j];
            }
            for (int j = 0; j < D; j++) {
                double back = 0;
                EACH back += gc[j][i];
                gm[k * D + j] -= back;
            }
        }
    }
    return total;
}
