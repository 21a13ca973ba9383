"""Programs printed as JavaScript compute the truth: operations, random programs.

They are held to the bounds that each operation states of compiled code, by the references of
`tests/accuracy`; what states none, to NumPy.
"""

import json
import shutil
import subprocess
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mpmath import mp
from scipy import special
from truth import check
from truth.number import PRECISION, exact, excess
from truth.program import carried

import chainrule as cr
from chainrule.ir.bound import Carried
from chainrule.ops.family import PRIMITIVES
from chainrule.optimise.inline import inline
from chainrule.show.javascript.names import identifier
from chainrule.show.javascript.scalar import Unprintable
from chainrule.show.javascript.text import javascript, runtime
from chainrule.tracing.stage import evaluate, trace_program
from chainrule.tracing.trace import apply

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node isn't installed")

_READ = """
const kinds = {f8: Float64Array, f4: Float32Array, i8: Float64Array, u8: Float64Array,
  i4: Int32Array, u4: Uint32Array, i2: Int16Array, u2: Uint16Array, i1: Int8Array,
  u1: Uint8Array, b1: Uint8Array};
const number = (x) => (x === "-0" ? -0 : Number(x));
const given = ({kind, shape, numbers}) => shape.length
  ? kinds[kind].from(numbers.map(number))
  : kind === "b1" ? numbers[0] !== "0" : number(numbers[0]);
const shown = (x) => (Object.is(x, -0) ? "-0" : String(Number(x)));
const taken = (x) => (typeof x === "object" ? Array.from(x, shown) : [shown(x)]);
"""


def sent(value):
    """An array as node reads it: its type, and every number as exact decimals."""
    array = np.asarray(value)
    texts = [repr(x.item()) for x in array.ravel()]
    texts = [{"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(t, t) for t in texts]
    texts = [{"True": "1", "False": "0", "-0.0": "-0"}.get(t, t) for t in texts]
    return {"kind": array.dtype.str[1:], "shape": array.shape, "numbers": texts}


def run_in_node(jobs):
    """[(text of a function f, its arguments)] → per job a list of flat arrays, in one process."""
    parts = ['"use strict";', runtime(), _READ, "const answers = [];"]
    for text, args in jobs:
        data = json.dumps([sent(a) for a in args])
        parts.append(
            f"(() => {{\n{text}\nanswers.push(f(...{data}.map(given)).map(taken));\n}})();"
        )
    parts.append("console.log(JSON.stringify(answers));")
    done = subprocess.run(
        [NODE, "--input-type=commonjs", "-"],
        input="\n".join(parts),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [
        [np.array([float(x.replace("Infinity", "inf")) for x in out]) for out in answer]
        for answer in json.loads(done.stdout)
    ]


def job_of(program, leaves):
    """The text of a program, and all that it's called with."""
    return javascript(program), [*leaves, *(value for _, value in program.captured)]


# A few units in the last place of the largest entry: two correct functions of mathematics may
# differ by one, and sums are added in another order.
ROUNDING = 4 * np.finfo(float).eps


def assert_same(found, truth, rounding=ROUNDING, name=""):
    for ours, theirs in zip(found, map(np.asarray, truth), strict=True):
        scale = np.finfo(theirs.dtype).eps / np.finfo(float).eps if theirs.dtype.kind == "f" else 0
        finite = np.abs(theirs[np.isfinite(theirs)].astype(float))
        np.testing.assert_allclose(
            ours,
            theirs.ravel().astype(float),
            rtol=rounding * scale,
            atol=rounding * scale * finite.max(initial=0.0),
            err_msg=name,
        )


def assert_within_units(found, truth, units, name=""):
    """Equal to so many units in the last place; infinities and NaN where they should be."""
    whole = ~np.isfinite(truth)
    np.testing.assert_array_equal(found[whole], truth[whole], err_msg=name)
    off = np.abs(found[~whole] - truth[~whole]) / np.spacing(np.abs(truth[~whole]))
    assert off.max(initial=0.0) <= units, name


def case_job(op, case):
    """An operation on drawn operands, as (program, leaves)."""
    args = case.sample(np.random.default_rng(0))
    varying = [k for k, a in enumerate(args) if isinstance(a, np.ndarray)]

    def f(*leaves):
        full = list(args)
        for k, leaf in zip(varying, leaves, strict=True):
            full[k] = leaf
        return apply(op, *full, **case.params)

    leaves = [args[k] for k in varying]
    return inline(trace_program(f, *leaves, values=False)), leaves


# Neither loops nor routines of ours compute these: complex numbers, FFT, factorisations of which
# only the signs are a matter of taste, Bessel functions, drawing. The page then shows values and
# says so.
WITHOUT = set("argpartition eigh fourier imag irfft iv jv modulus random_subset rfft svd".split())


# What no lowering computes, and calls, have no reference: they are compared with NumPy's own.
UNSTATED = set(
    "beta betaln call call_with_reverse erfcinv erfcx erfinv log_ndtr ndtri polygamma "
    "rgamma".split()
)


@pytest.fixture(scope="module")
def every_case():
    """What JavaScript finds for each case of each operation: [(operation, case, results)]."""
    jobs, cases, wanted = [], [], []
    for op in PRIMITIVES.values():
        for case in op.cases:
            program, leaves = case_job(op, case)
            try:
                jobs.append(job_of(program, leaves))
            except Unprintable:
                continue
            cases.append((op, case))
            with np.errstate(all="ignore"):
                wanted.append([np.asarray(part) for part in evaluate(program, *leaves)])
    results = [
        tuple(a.astype(b.dtype).reshape(b.shape) for a, b in zip(found, truth, strict=True))
        for found, truth in zip(run_in_node(jobs), wanted, strict=True)
    ]
    return [(*case, found) for case, found in zip(cases, results, strict=True)]


def beside_its_bound(op, case, found):
    """The largest error beside what the operation states of compiled code: at most 1."""
    args = case.sample(np.random.default_rng(0))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return check.worst((op, args, dict(case.params)), found)


@needs_node
def test_operations_are_within_the_bounds_that_they_state(every_case):
    with_form = {op.name for op, _, _ in every_case}
    assert {op.name for op in PRIMITIVES.values() if op.cases} - with_form == WITHOUT
    assert with_form - check.REFERENCES.keys() - check.MOVED.keys() == UNSTATED
    for op, case, found in every_case:
        if op.name not in UNSTATED:
            ratio = beside_its_bound(op, case, found)
            assert ratio <= 1, f"{op.name} {case.note}: {ratio:.3f} times what is allowed"
            continue
        program, leaves = case_job(op, case)
        with np.errstate(all="ignore"):
            truth = evaluate(program, *leaves)
        assert_same([part.ravel() for part in found], truth, name=f"{op.name} {case.note}")


@needs_node
def test_an_operation_that_is_slightly_off_is_found(every_case):
    """By a part in 2⁴⁴, a few hundred units in the last place."""
    missed = set()
    for op, case, found in every_case:
        floats = [k for k, part in enumerate(found) if part.dtype == np.float64 and part.any()]
        if op.name in UNSTATED or not floats or not np.isfinite(found[floats[0]]).all():
            continue
        off = list(found)
        off[floats[0]] = found[floats[0]] * (1 + 2.0**-44)
        if beside_its_bound(op, case, tuple(off)) <= 1:
            missed.add((op.name, case.note))
    # What a singular matrix leaves of a determinant is nothing but rounding.
    assert missed == {("det", "singular")}


NASTY = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5, 1e-320, 1e300, -1e300, np.inf, -np.inf, np.nan]

ELEMENTARY = {
    name: getattr(np, name)
    for name in """exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh arcsin arccos
    arctan arcsinh arccosh arctanh sqrt cbrt floor ceil trunc rint sign absolute square
    reciprocal negative isnan isinf isfinite signbit""".split()
}


@needs_node
def test_elementary_functions_at_the_edges_and_in_between():
    with np.errstate(all="ignore"):
        drawn = np.random.default_rng(1).uniform(-1, 1, 400) * 10 ** np.linspace(-8, 2.5, 400)
        x = np.array([*NASTY, *drawn])
        jobs = [job_of(trace_program(f, x, values=False), [x]) for f in ELEMENTARY.values()]
        for name, (found,) in zip(ELEMENTARY, run_in_node(jobs), strict=True):
            truth = np.asarray(ELEMENTARY[name](x), float)
            assert_within_units(found, truth, 2, name)


BINARY = [np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.greater,
          np.less_equal, np.equal, np.copysign, np.fmax]  # fmt: skip


@needs_node
def test_arithmetic_has_the_same_bits():
    x, y = (np.ravel(a) for a in np.meshgrid(NASTY, NASTY))
    with np.errstate(all="ignore"):
        jobs = [job_of(trace_program(f, x, y, values=False), [x, y]) for f in BINARY]
        for f, (found,) in zip(BINARY, run_in_node(jobs), strict=True):
            truth = np.asarray(f(x, y), float)
            np.testing.assert_array_equal(found, truth, err_msg=f.__name__)
            known = ~np.isnan(truth)
            same = np.signbit(found[known]) == np.signbit(truth[known])
            # The larger of 0 and -0 is either, in NumPy too.
            assert same.all() or f in (np.maximum, np.minimum, np.fmax), f.__name__


@needs_node
def test_powers_are_those_of_c():
    x, y = (np.ravel(a) for a in np.meshgrid(NASTY, [*NASTY, 2.0, 3.0, -3.0, 0.25]))
    with np.errstate(all="ignore"):
        ((found,),) = run_in_node([job_of(trace_program(np.power, x, y, values=False), [x, y])])
        assert_within_units(found, np.power(x, y), 2)


@needs_node
@pytest.mark.parametrize("dtype", ["f4", "i4", "u1", "i8", "?"])
def test_other_types(dtype):
    x = np.array([1, 3, 0, 2, 7], dtype)
    y = np.array([2, 1, 1, 3, 5], dtype)

    def f(x, y):
        return x + y, x * y, np.maximum(x, y), x > y, np.sum(x), np.cumsum(y), x[::-1]

    program = trace_program(f, x, y, values=False)
    (found,) = run_in_node([job_of(program, [x, y])])
    assert_same(found, evaluate(program, x, y))


@needs_node
def test_fused_multiply_and_add_is_rounded_once():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 500))
    z = -x * y * (1 + rng.integers(-3, 4, 500) * 2.0**-52) + rng.normal(size=500) * 1e-18
    numbers = json.dumps([x.tolist(), y.tolist(), z.tolist()])
    text = (
        f"const [x, y, z] = {numbers};\n"
        "function f() { return [Float64Array.from(x, (a, i) => fma(a, y[i], z[i]))]; }"
    )
    ((found,),) = run_in_node([(text, [])])
    rows = zip(x, y, z, strict=True)
    exact = [float(Fraction(a) * Fraction(b) + Fraction(c)) for a, b, c in rows]
    np.testing.assert_array_equal(found, exact)


@needs_node
@pytest.mark.parametrize(
    ("f", "points"),
    [
        (special.erfinv, [-0.999, -0.3, 0.0, 0.7, 1 - 1e-12, 1.0, -1.0, 1.5]),
        (special.erfcinv, [1e-300, 1e-20, 0.2, 1.0, 1.7, 2.0, 0.0, 3.0]),
        (special.erfcx, [-5.0, -1.0, 0.0, 2.4, 2.6, 30.0, 1e200]),
        (special.ndtri, [1e-300, 1e-5, 0.5, 0.9, 1.0, 0.0]),
        (special.log_ndtr, [-1e6, -40.0, -1.5, -0.5, 0.0, 3.0]),
        (special.rgamma, [-3.0, -2.5, 0.0, 0.5, 20.0, 169.0]),
        (lambda x: special.beta(x, 2.5), [0.1, 3.0, 12.0, 80.0]),
        (lambda x: special.betaln(x, x[::-1]), [0.1, 3.0, 12.0, 80.0]),
        (lambda x: special.polygamma(1, x), [-1.5, 0.01, 0.7, 30.0]),
        (lambda x: special.polygamma(4, x), [0.01, 0.7, 14.0, 30.0]),
    ],
)
def test_special_functions_over_their_range(f, points):
    x = np.array(points)
    program = trace_program(f, x, values=False)
    with np.errstate(all="ignore"):
        (truth,) = evaluate(program, x)
    ((found,),) = run_in_node([job_of(program, [x])])
    np.testing.assert_allclose(found, truth, rtol=2e-14)


def shaken(*shape):
    return np.random.default_rng(3).normal(size=shape)


@needs_node
@pytest.mark.parametrize(
    ("f", "a"),
    [
        (np.linalg.det, shaken(6, 6)),
        (np.linalg.inv, shaken(2, 6, 6)),
        (np.linalg.slogdet, shaken(3, 5, 5)),
        (np.linalg.qr, shaken(7, 4)),
        (np.linalg.pinv, shaken(4, 7)),
        (np.linalg.pinv, np.outer([1.0, 2.0, 3.0], [2.0, -1.0])),
        (lambda a: np.linalg.cholesky(a @ a.T), shaken(6, 6)),
        (lambda a: np.linalg.solve(a, a[0]), shaken(3, 6, 6)),
        (lambda a: np.linalg.solve(a[:1], a[..., :2]), shaken(3, 6, 6)),
        (cr.grad(np.linalg.det), np.outer([1.0, 2.0, 3.0], [2.0, -1.0, 0.5])),
        (cr.grad(lambda a: np.sum(np.linalg.qr(a)[0] * a)), shaken(6, 3)),
        (cr.grad(lambda a: np.sum(np.linalg.inv(a) * a)), shaken(5, 5)),
    ],
)
def test_factorisations_and_what_follows_from_them(f, a):
    program = inline(trace_program(f, a, values=False))
    truth = evaluate(program, a)
    (found,) = run_in_node([job_of(program, [a])])
    for ours, theirs in zip(found, truth, strict=True):
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, np.ravel(theirs), rtol=0, atol=1e-12 * max(scale, 1))


@needs_node
@pytest.mark.parametrize(
    ("f", "a", "reason"),
    [
        (np.linalg.inv, np.ones((2, 2)), "singular"),
        (np.linalg.cholesky, -np.eye(2), "positive definite"),
    ],
)
def test_a_matrix_without_a_factorisation_is_refused(f, a, reason):
    text, args = job_of(trace_program(f, np.eye(2), values=False), [a])
    with pytest.raises(AssertionError, match=reason):
        run_in_node([(text, args)])


@needs_node
def test_control_flow():
    def loops(x, n):
        total = cr.scan(lambda c, t: (np.sin(c) * t, c + t), x, np.array([1.0, 2.0, 3.0]))
        grown = cr.while_loop(lambda v: v < 20.0, lambda v: v * 1.5, x)
        chosen = cr.cond(x > 1.0, lambda v: v * v, lambda v: -v, x)
        counted = cr.fori_loop(0, n, lambda k, v: v + k * x, x)
        return total[0] + grown + chosen + counted + np.sum(total[1])

    jobs, truths = [], []
    for x in (0.7, 1.3):
        for f in (loops, cr.grad(loops)):
            program = inline(trace_program(f, x, 4, values=False))
            jobs.append(job_of(program, [x, 4]))
            truths.append(evaluate(program, x, 4))
    for found, truth in zip(run_in_node(jobs), truths, strict=True):
        assert_same(found, truth, 8 * np.finfo(float).eps)


UNARY = [np.sin, np.tanh, np.exp, np.negative, np.square, np.abs, lambda v: np.maximum(v, 0.1)]
PAIRS = [np.add, np.subtract, np.multiply, lambda a, b: a / (2 + b * b), np.maximum, np.hypot]


@st.composite
def programs(draw):
    """A random program of a number or a vector, as a function and a point."""
    size = draw(st.sampled_from([None, 1, 3]))
    steps = draw(
        st.lists(
            st.tuples(
                st.integers(0, len(UNARY) + len(PAIRS)), st.integers(0, 99), st.integers(0, 99)
            ),
            min_size=1,
            max_size=12,
        )
    )
    numbers = st.floats(-2, 2, width=32)
    x = (
        draw(numbers)
        if size is None
        else np.array(draw(st.lists(numbers, min_size=size, max_size=size)))
    )

    def f(x):
        known = [x, x * 0.5 + 0.25]
        for which, i, j in steps:
            a, b = known[i % len(known)], known[j % len(known)]
            if which < len(UNARY):
                known.append(np.tanh(UNARY[which](a)))
            elif which < len(UNARY) + len(PAIRS):
                known.append(np.tanh(PAIRS[which - len(UNARY)](a, b)))
            else:
                known.append(a * np.sum(b))
        return np.sum(known[-1]) + np.sum(known[len(known) // 2])

    return f, x


def of_programs(drawn, edit=lambda text: text):
    """The largest error of each random program and of its gradient, beside what is allowed.

    That is what the bounds of the operations inside add up to, carried through to the end.
    """
    jobs, given = [], []
    for f, x in drawn:
        for g in (f, cr.grad(f)):
            program = trace_program(g, x, values=False)
            text, args = job_of(program, [x])
            jobs.append((edit(text), args))
            given.append((program, x))
    ratios = []
    for (program, x), found in zip(given, run_in_node(jobs), strict=True):
        (truth,) = carried(lambda run, p=program, x=x: run.program(p, [exact(x)]))
        with mp.workprec(PRECISION):
            ratios.append(excess(np.reshape(found, truth.value.shape), truth, Carried()).max())
    return ratios


@needs_node
# Never shrunk: each example starts a process.
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(st.lists(programs(), min_size=8, max_size=8))
def test_random_programs_and_their_gradients(drawn):
    assert max(of_programs(drawn)) <= 1


def spoilt(name, factor):
    """An edit of a program's text: one of the browser's functions is off by this factor."""
    wrong = f"{{ get: (m, k) => k === {name!r} ? (x) => m[k](x) * ({factor!r}) : m[k] }}"
    return lambda text: f"const Math = new Proxy(globalThis.Math, {wrong});\n{text}"


@needs_node
@pytest.mark.parametrize("name", ["sin", "tanh", "exp"])
def test_a_function_that_is_slightly_off_is_found_in_programs(name):
    """By a part in 2⁴⁶, 64 units in the last place, in a result as small as 10⁻⁴ too."""
    f = {"sin": np.sin, "tanh": np.tanh, "exp": lambda v: np.exp(v) - 1}[name]

    def program(x):
        return f(f(x * 1.5) * x)

    drawn = [(program, x) for x in (0.02, 1.3, np.float64(-0.7))]
    assert max(of_programs(drawn)) <= 1
    for one in drawn:
        assert max(of_programs([one], spoilt(name, 1 + 2.0**-46))) > 1


# ---- the text ------------------------------------------------------------------------------------


def test_the_text_is_readable():
    def y(x, z):
        return np.exp(x * z) / np.log(x)

    assert javascript(trace_program(y, 2.0, 3.0)) == (
        "function f(x, z) {\n"
        "  const c = x * z;\n"
        "  const d = Math.exp(c);\n"
        "  const e = Math.log(x);\n"
        "  const f = d / e;\n"
        "  return [f];\n"
        "}\n"
    )


def test_matrices_are_flat_arrays():
    program = trace_program(lambda w, x: np.tanh(w @ x), np.ones((2, 3)), np.ones(3))
    assert javascript(program) == (
        "function f(w, x) {\n"
        "  const c = new Float64Array(2);\n"
        "  for (let i = 0; i < 2; i++) {\n"
        "    let total = 0;\n"
        "    for (let j = 0; j < 3; j++) {\n"
        "      total += w[3 * i + j] * x[j];\n"
        "    }\n"
        "    c[i] = total;\n"
        "  }\n"
        "  const d = new Float64Array(2);\n"
        "  for (let i = 0; i < 2; i++) {\n"
        "    d[i] = Math.tanh(c[i]);\n"
        "  }\n"
        "  return [d];\n"
        "}\n"
    )


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("x", "x"),
        ("function", "_function"),
        ("</script><b>", "script_b"),
        ("params['w']", "params_w"),
        ("2x", "_2x"),
        ("α", "v"),
        ("a\u2028b", "a_b"),
        ("Math", "_Math"),
        ("cr_erf", "_cr_erf"),
    ],
)
def test_names_become_names_of_javascript(name, plain):
    assert identifier(name) == plain


def test_what_has_no_form_says_so():
    with pytest.raises(Unprintable, match="svd has no JavaScript form"):
        javascript(trace_program(lambda a: np.linalg.svd(a)[1], np.eye(2)))
    with pytest.raises(Unprintable, match="complex128"):
        javascript(trace_program(lambda a: a * 2j, 1.0))


def test_whole_numbers_beyond_what_a_browser_holds_are_refused():
    with pytest.raises(Unprintable, match="beyond"):
        javascript(trace_program(lambda a: a + np.int64(2**60 + 1), np.arange(3)))
