/* W4: the update of SGD with momentum, in place. */
void momentum(float *p, float *v, const float *g, long n) {
#pragma omp parallel for simd if (n > 20000)
    for (long i = 0; i < n; i++) {
        float next = 0.9f * v[i] + g[i];
        v[i] = next;
        p[i] -= 0.01f * next;
    }
}
