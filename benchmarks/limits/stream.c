/* W11: three arrays read and one written: with nothing done, and with the work. */
#include <math.h>

void stream(const double *a, const double *b, const double *c, double *out, long n) {
#pragma omp parallel for simd if (n > 20000)
    for (long i = 0; i < n; i++) out[i] = a[i] + b[i] + c[i];
}

void work(const double *a, const double *b, const double *c, double *out, long n) {
#pragma omp parallel for simd if (n > 20000)
    for (long i = 0; i < n; i++) out[i] = a[i] * b[i] + sin(c[i]) * exp(-a[i] * a[i]);
}
