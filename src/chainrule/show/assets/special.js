// Special functions that printed programs call and that no scalar definition of ours is there for.

/** exp(x²)·erfc(x), by a continued fraction where both are extreme (Lentz 1976). */
function cr_erfcx(x) {
  if (x < 0) return 2 * cr_exp_square(x) - cr_erfcx(-x);
  if (x < 2.5) return cr_exp_square(x) * cr_erfc(x);
  let found = x;
  for (let k = 160; k > 0; k--) found = x + k / 2 / found;
  return 1 / (Math.sqrt(Math.PI) * found);
}

/** exp(x²), with what rounding loses of x². */
function cr_exp_square(x) {
  const [high, low] = twoProduct(x, x);
  const whole = Math.exp(high);
  return Number.isFinite(whole) && Number.isFinite(low) ? whole + whole * low : Math.exp(x * x);
}

function cr_erfcinv(p) {
  if (!(p >= 0 && p <= 2)) return NaN;
  if (p > 1) return -cr_erfcinv(2 - p);
  if (p === 0) return Infinity;
  if (p > 0.5) return cr_erfinv(1 - p);
  let y = cr_inverse_error(1 - p, p);
  for (let k = 0; k < 4; k++) {
    const e = (cr_erfc(y) - p) / (-2 / Math.sqrt(Math.PI) * Math.exp(-y * y));
    y -= e / (1 + y * e); // Halley's step
  }
  return y;
}

function cr_erfinv(x) {
  if (!(Math.abs(x) <= 1)) return NaN;
  if (Math.abs(x) > 0.5) return Math.sign(x) * cr_erfcinv(1 - Math.abs(x));
  if (x === 0) return x;
  let y = cr_inverse_error(x, 1 - x);
  for (let k = 0; k < 3; k++) {
    const e = (cr_erf(y) - x) / (2 / Math.sqrt(Math.PI) * Math.exp(-y * y));
    y -= e / (1 + y * e);
  }
  return y;
}

/** Where erf is x, to three digits (Winitzki 2008); `rest` is 1 − x. */
function cr_inverse_error(x, rest) {
  const l = Math.log(rest * (1 + x));
  const half = 2 / (Math.PI * 0.147) + l / 2;
  return Math.sign(x) * Math.sqrt(Math.sqrt(half * half - l / 0.147) - half);
}

function cr_ndtri(p) {
  return -Math.SQRT2 * cr_erfcinv(2 * p);
}

function cr_log_ndtr(x) {
  const y = x * Math.SQRT1_2;
  if (x > 0) return Math.log1p(-cr_erfc(y) / 2);
  if (x > -1) return Math.log(cr_erfc(-y) / 2);
  return Math.log(cr_erfcx(-y) / 2) - x * x / 2;
}

function cr_rgamma(x) {
  return x <= 0 && Number.isInteger(x) ? 0 : 1 / cr_gamma(x);
}

function cr_beta(x, y) {
  const [a, b] = x < y ? [x, y] : [y, x];
  if (a > 0 && b >= 10) return Math.exp(cr_betaln(a, b));
  return cr_gamma(a) * cr_gamma(b) * cr_rgamma(a + b);
}

/** log|B(x, y)|, without the difference of large logarithms (Didonato and Morris 1992). */
function cr_betaln(x, y) {
  const [a, b] = x < y ? [x, y] : [y, x];
  if (!(a > 0) || b < 10) return cr_gammaln(a) + cr_gammaln(b) - cr_gammaln(a + b);
  const rests = cr_stirling(b) - cr_stirling(a + b);
  const near = Math.log1p(a / b);
  if (a < 10) return cr_gammaln(a) + a - a * Math.log(a + b) - (b - 0.5) * near + rests;
  return (a - 0.5) * Math.log(a / (a + b)) - b * near - Math.log(b) / 2
    + Math.log(2 * Math.PI) / 2 + cr_stirling(a) + rests;
}

/** What Stirling's formula leaves of log Γ, for x ≥ 10. */
function cr_stirling(x) {
  const z = 1 / (x * x);
  const terms = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400];
  return terms.reduceRight((sum, term) => sum * z + term, 0) / x;
}

/** The derivative of digamma of an order: Hurwitz's zeta by Euler and Maclaurin. */
function cr_polygamma(x, order) {
  const s = order + 1;
  let factorial = 1;
  for (let k = 2; k <= order; k++) factorial *= k;
  const sign = order % 2 === 0 ? -1 : 1;
  if (x <= 0 && Number.isInteger(x)) return sign * Infinity;
  let sum = 0;
  while (x < 14 + 2 * order) {
    sum += x ** -s;
    x += 1;
  }
  let part = x ** -s;
  let tail = part * x / order + part / 2;
  // Bernoulli's numbers over the factorials of 2, 4, 6 …
  const numbers = [1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
    1 / 74724249600, -3617 / 10670622842880000];
  let rising = s;
  part /= x;
  numbers.forEach((number, k) => {
    tail += number * rising * part;
    rising *= (s + 2 * k + 1) * (s + 2 * k + 2);
    part /= x * x;
  });
  return sign * factorial * (sum + tail);
}
