/* W2: value and gradient of the chained Rosenbrock function in one sweep over memory. */
double rosenbrock(const double *x, double *g, long n) {
    double d = x[1] - x[0] * x[0], e = 1 - x[0], s = 100 * d * d + e * e;
    g[0] = -400 * x[0] * d - 2 * e;
#pragma omp parallel for simd reduction(+ : s) if (n > 20000)
    for (long i = 1; i < n - 1; i++) {
        double p = x[i] - x[i - 1] * x[i - 1], q = x[i + 1] - x[i] * x[i], r = 1 - x[i];
        s += 100 * q * q + r * r;
        g[i] = 200 * p - 400 * x[i] * q - 2 * r;
    }
    g[n - 1] = 200 * (x[n - 1] - x[n - 2] * x[n - 2]);
    return s;
}
