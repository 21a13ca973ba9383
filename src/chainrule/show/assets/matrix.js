// Factorisations of small matrices, row by row in flat arrays, for printed programs.

/** A function of one matrix, of each in a stack: arrays of so many entries for every result, or
    numbers where that is 0 or 1. */
function cr_stacked(a, shape, sizes, of) {
  const [rows, columns] = shape.slice(-2);
  const count = shape.slice(0, -2).reduce((x, y) => x * y, 1);
  const found = sizes.map((size) => new a.constructor(count * Math.max(1, size)));
  for (let k = 0; k < count; k++) {
    const own = Float64Array.from(a.subarray(k * rows * columns, (k + 1) * rows * columns));
    of(own, rows, columns).forEach((result, which) => {
      if (typeof result === "number") found[which][k] = result;
      else found[which].set(result, k * sizes[which]);
    });
  }
  return shape.length > 2 ? found : found.map((x, which) => (sizes[which] === 0 ? x[0] : x));
}

/** The triangles of a matrix whose rows are exchanged, and how: null where a pivot is 0. */
function cr_triangles(a, n) {
  const order = Array.from({ length: n }, (_, i) => i);
  let sign = 1;
  let regular = true;
  for (let k = 0; k < n; k++) {
    let best = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(a[i * n + k]) > Math.abs(a[best * n + k])) best = i;
    if (best !== k) {
      for (let j = 0; j < n; j++) [a[k * n + j], a[best * n + j]] = [a[best * n + j], a[k * n + j]];
      [order[k], order[best]] = [order[best], order[k]];
      sign = -sign;
    }
    if (a[k * n + k] === 0) {
      regular = false;
      continue;
    }
    for (let i = k + 1; i < n; i++) {
      const factor = a[i * n + k] /= a[k * n + k];
      for (let j = k + 1; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return { order, sign, regular };
}

function cr_determinant(a, n) {
  let product = cr_triangles(a, n).sign;
  for (let k = 0; k < n; k++) product *= a[k * n + k];
  return product;
}

function cr_det(a, shape) {
  return cr_stacked(a, shape, [shape.length > 2 ? 1 : 0], (own, n) => [cr_determinant(own, n)]);
}

function cr_slogdet(a, shape) {
  const size = shape.length > 2 ? 1 : 0;
  return cr_stacked(a, shape, [size, size], (own, n) => {
    let { sign } = cr_triangles(own, n);
    let sum = 0;
    for (let k = 0; k < n; k++) {
      sign *= Math.sign(own[k * n + k]);
      sum += Math.log(Math.abs(own[k * n + k]));
    }
    return [sign, sum];
  });
}

/** The solution for every column of a right side; the matrix is overwritten. */
function cr_solved(a, n, right, columns) {
  const { order, regular } = cr_triangles(a, n);
  if (!regular) throw new RangeError("a matrix is singular and has no inverse");
  const found = new Float64Array(n * columns);
  for (let c = 0; c < columns; c++) {
    for (let i = 0; i < n; i++) {
      let sum = right[order[i] * columns + c];
      for (let j = 0; j < i; j++) sum -= a[i * n + j] * found[j * columns + c];
      found[i * columns + c] = sum;
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = found[i * columns + c];
      for (let j = i + 1; j < n; j++) sum -= a[i * n + j] * found[j * columns + c];
      found[i * columns + c] = sum / a[i * n + i];
    }
  }
  return found;
}

function cr_inv(a, shape) {
  const n = shape.at(-1);
  const one = Float64Array.from({ length: n * n }, (_, k) => (k % (n + 1) === 0 ? 1 : 0));
  return cr_stacked(a, shape, [n * n], (own) => [cr_solved(own, n, one, n)]);
}

/** Each matrix of a stack with each right side of another; a stack of one goes with all. */
function cr_solve(a, shape, b, sides) {
  const [n, columns] = sides.slice(-2);
  const stack = [shape, sides].map((s) => s.slice(0, -2));
  const axes = Math.max(...stack.map((s) => s.length));
  const whole = Array.from({ length: axes }, (_, k) => Math.max(...stack.map((s) => s[k - axes + s.length] ?? 1)));
  const count = whole.reduce((x, y) => x * y, 1);
  const found = new b.constructor(count * n * columns);
  for (let k = 0; k < count; k++) {
    const [i, j] = stack.map((own) => cr_entry(k, whole, own));
    const matrix = Float64Array.from(a.subarray(i * n * n, (i + 1) * n * n));
    const right = b.subarray(j * n * columns, (j + 1) * n * columns);
    found.set(cr_solved(matrix, n, right, columns), k * n * columns);
  }
  return [found];
}

/** The entry of an array that goes with one of the shape that it is broadcast to. */
function cr_entry(entry, whole, own) {
  let [rest, place, step] = [entry, 0, 1];
  for (let k = 1; k <= own.length; k++) {
    const n = whole.at(-k);
    if (own.at(-k) !== 1) place += (rest % n) * step;
    step *= own.at(-k);
    rest = Math.floor(rest / n);
  }
  return place;
}

/** The determinants of what is left without a row and a column, with their signs. */
function cr_cofactor(a, shape) {
  const n = shape.at(-1);
  return cr_stacked(a, shape, [n * n], (own) => {
    const found = new Float64Array(n * n);
    for (let r = 0; r < n; r++) {
      for (let c = 0; c < n; c++) {
        const rest = own.filter((_, k) => Math.floor(k / n) !== r && k % n !== c);
        found[r * n + c] = cr_determinant(rest, n - 1) * ((r + c) % 2 === 0 ? 1 : -1);
      }
    }
    return [found];
  });
}

function cr_cholesky(a, shape) {
  const n = shape.at(-1);
  return cr_stacked(a, shape, [n * n], (own) => {
    const found = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = own[i * n + j];
        for (let k = 0; k < j; k++) sum -= found[i * n + k] * found[j * n + k];
        if (i === j && !(sum > 0)) throw new RangeError("a matrix is not positive definite");
        found[i * n + j] = i === j ? Math.sqrt(sum) : sum / found[j * n + j];
      }
    }
    return [found];
  });
}

/** By Householder's reflections, with the signs that LAPACK gives. */
function cr_qr(a, shape) {
  const [m, n] = shape.slice(-2);
  return cr_stacked(a, shape, [m * n, n * n], (r) => {
    const reflections = [];
    for (let k = 0; k < n; k++) {
      let norm = 0;
      for (let i = k; i < m; i++) norm = Math.hypot(norm, r[i * n + k]);
      const v = new Float64Array(m);
      let below = 0;
      for (let i = k + 1; i < m; i++) below = Math.max(below, Math.abs(r[i * n + k]));
      if (below > 0) {
        const head = r[k * n + k] > 0 || Object.is(r[k * n + k], 0) ? -norm : norm;
        for (let i = k; i < m; i++) v[i] = r[i * n + k];
        v[k] -= head;
      }
      cr_reflect(r, v, m, n, k);
      reflections.push(v);
    }
    const q = new Float64Array(m * n);
    for (let k = 0; k < n; k++) q[k * n + k] = 1;
    for (let k = n - 1; k >= 0; k--) cr_reflect(q, reflections[k], m, n, 0);
    const upper = new Float64Array(n * n);
    for (let i = 0; i < n; i++) for (let j = i; j < n; j++) upper[i * n + j] = r[i * n + j];
    return [q, upper];
  });
}

/** Columns of a matrix, from one on, reflected at the plane that a vector stands on. */
function cr_reflect(a, v, m, n, from) {
  const size = v.reduce((s, x) => s + x * x, 0);
  if (size === 0) return;
  for (let j = from; j < n; j++) {
    let along = 0;
    for (let i = 0; i < m; i++) along += v[i] * a[i * n + j];
    for (let i = 0; i < m; i++) a[i * n + j] -= 2 * v[i] * along / size;
  }
}

/** From singular values (Hestenes 1958: columns are turned until all are at right angles). */
function cr_pinv(a, shape, cut) {
  const [m, n] = shape.slice(-2);
  return cr_stacked(a, shape, [m * n], (own) => {
    const flat = m < n;
    const [rows, columns] = flat ? [n, m] : [m, n];
    const u = flat ? cr_turned(own, m, n) : own;
    const v = new Float64Array(columns * columns);
    for (let k = 0; k < columns; k++) v[k * columns + k] = 1;
    for (let sweep = 0, most = 1; sweep < 60 && most > 1e-16; sweep++) {
      most = 0;
      for (let p = 0; p < columns; p++) {
        for (let q = p + 1; q < columns; q++) most = Math.max(most, cr_turn(u, v, rows, columns, p, q));
      }
    }
    const squares = Array.from({ length: columns }, (_, k) => {
      let sum = 0;
      for (let i = 0; i < rows; i++) sum += u[i * columns + k] ** 2;
      return sum;
    });
    const least = cut * Math.sqrt(Math.max(...squares));
    const found = new Float64Array(m * n);
    for (let i = 0; i < columns; i++) {
      for (let j = 0; j < rows; j++) {
        let sum = 0;
        for (let k = 0; k < columns; k++) {
          if (Math.sqrt(squares[k]) > least) sum += v[i * columns + k] * u[j * columns + k] / squares[k];
        }
        found[i * rows + j] = sum;
      }
    }
    return [flat ? cr_turned(found, columns, rows) : found];
  });
}

function cr_turned(a, m, n) {
  return Float64Array.from(a, (_, k) => a[(k % m) * n + Math.floor(k / m)]);
}

/** Turns two columns so that they stand at right angles; how far they were from it. */
function cr_turn(u, v, rows, columns, p, q) {
  let [pp, qq, pq] = [0, 0, 0];
  for (let i = 0; i < rows; i++) {
    const [x, y] = [u[i * columns + p], u[i * columns + q]];
    pp += x * x;
    qq += y * y;
    pq += x * y;
  }
  if (pq === 0) return 0;
  const zeta = (qq - pp) / (2 * pq);
  const t = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.hypot(1, zeta));
  const c = 1 / Math.hypot(1, t);
  for (const [matrix, count] of [[u, rows], [v, columns]]) {
    for (let i = 0; i < count; i++) {
      const [x, y] = [matrix[i * columns + p], matrix[i * columns + q]];
      matrix[i * columns + p] = c * x - c * t * y;
      matrix[i * columns + q] = c * t * x + c * y;
    }
  }
  return Math.abs(pq) / Math.sqrt(pp * qq);
}
