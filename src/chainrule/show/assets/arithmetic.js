// What the arithmetic that is printed from a program needs beyond JavaScript's own.
// Numbers are doubles; float32 is rounded with Math.fround; whole numbers are doubles too, so they
// are exact up to 2^53 and refused beyond.

/** A whole number, unless it is too large to be exact. */
function whole(x) {
  if (Math.abs(x) > Number.MAX_SAFE_INTEGER) {
    throw new RangeError("a whole number here is beyond 2^53, more than a browser's numbers hold");
  }
  return x + 0; // never -0
}

/** An unsigned whole number, unless it would have to wrap around. */
function natural(x) {
  if (x < 0) {
    throw new RangeError("an unsigned whole number here is below 0");
  }
  return whole(x);
}

/** The nearest whole number, ties to even, as IEEE 754 rounds. */
function rint(x) {
  const below = Math.floor(x);
  const over = x - below;
  if (over !== 0.5) {
    return over < 0.5 ? below : copysign(Math.ceil(x), x);
  }
  return copysign(below % 2 === 0 ? below : below + 1, x);
}

/** |x| with the sign of another number, of -0 too. */
function copysign(x, sign) {
  const negative = sign < 0 || Object.is(sign, -0);
  return negative ? -Math.abs(x) : Math.abs(x);
}

/** x to the power y as in C: 1 to any power is 1, and so is (-1) to an infinite one. */
function power(x, y) {
  if (x === 1 || (x === -1 && Math.abs(y) === Infinity)) {
    return 1;
  }
  return Math.pow(x, y);
}

/** a + b, and what rounding lost of it. */
function twoSum(a, b) {
  const sum = a + b;
  const part = sum - a;
  return [sum, a - (sum - part) + (b - part)];
}

/** a * b, and what rounding lost of it (Dekker 1971). */
function twoProduct(a, b) {
  const product = a * b;
  const c = 134217729 * a;
  const aHigh = c - (c - a);
  const d = 134217729 * b;
  const bHigh = d - (d - b);
  const aLow = a - aHigh;
  const bLow = b - bHigh;
  return [product, aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow)];
}

/** x * y + z, rounded once (Boldo and Melquiond 2008: the last but one sum is rounded to odd). */
function fma(x, y, z) {
  const plain = x * y + z;
  const size = Math.abs(x * y);
  if (!(size > 1e-250 && size < 1e290) || Math.abs(x) > 1e290 || Math.abs(y) > 1e290) {
    return plain; // nothing to gain, or no room for the parts
  }
  if (z === 0 || !(Math.abs(z) < 1e290)) {
    return plain;
  }
  const [high, low] = twoProduct(x, y);
  const [lowSum, lowest] = twoSum(low, z);
  const [sum, rest] = twoSum(high, lowSum);
  let [odd, lost] = twoSum(rest, lowest);
  if (lost !== 0 && (bitsOf(odd) & 1n) === 0n) {
    const up = lost > 0 === odd > 0;
    odd = fromBits(bitsOf(odd) + (up ? 1n : -1n));
  }
  return sum + odd;
}

const scratchBits = new BigInt64Array(1);
const scratchNumber = new Float64Array(scratchBits.buffer);

/** The 64 bits of a number, as a signed whole number. */
function bitsOf(x) {
  scratchNumber[0] = x;
  return scratchBits[0];
}

/** The number that has these 64 bits. */
function fromBits(bits) {
  scratchBits[0] = BigInt.asIntN(64, bits);
  return scratchNumber[0];
}

/** A 64-bit whole number, cut off; 0 for what none holds. */
function toBig(x) {
  return Number.isFinite(x) ? BigInt.asIntN(64, BigInt(Math.trunc(x))) : 0n;
}
