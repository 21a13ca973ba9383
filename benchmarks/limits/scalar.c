/* W1: exp(xz) + xz/log(x) + sin(log x)/(xz), and both partial derivatives. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>

static void both(double x, double z, double *out) {
    double xz = x * z, l = log(x), e = exp(xz), s = sin(l), c = cos(l), q = 1 / xz, r = 1 / l;
    double inner = e + r - s * q * q;
    out[0] = e + xz * r + s * q;
    out[1] = z * inner + (c * q - xz * r * r) / x;
    out[2] = x * inner;
}

static PyObject *call(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    double out[3];
    both(PyFloat_AsDouble(args[0]), PyFloat_AsDouble(args[1]), out);
    PyObject *result = PyTuple_New(3);
    for (int k = 0; k < 3; k++) PyTuple_SET_ITEM(result, k, PyFloat_FromDouble(out[k]));
    return result;
}

static PyMethodDef methods[] = {{"call", (PyCFunction)(void *)call, METH_FASTCALL, NULL}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "scalar", NULL, -1, methods};
PyMODINIT_FUNC PyInit_scalar(void) { return PyModule_Create(&module); }
