"""A neural Turing machine learns to repeat what it was shown, from a memory it writes and reads."""

import numpy as np

import chainrule as cr


def copies(count, length, bits, seed):
    """Patterns, a mark, then silence in which the patterns are to be repeated."""
    patterns = np.random.default_rng(seed).integers(0, 2, (count, length, bits))
    x = np.zeros((count, 2 * length + 1, bits + 1), np.float32)
    y = np.zeros((count, 2 * length + 1, bits), np.float32)
    x[:, :length, :bits] = patterns
    x[:, length, bits] = 1
    y[:, length + 1 :] = patterns
    return x, y


def main(length=4, bits=3, epochs=20):
    model = cr.models.neural_turing_machine(bits, units=24, slots=8, width=6)
    model.compile(
        cr.optim.Adam(0.02, global_clipnorm=1.0), cr.nn.BinaryCrossentropy(from_logits=True)
    )
    model.fit(*copies(1000, length, bits, seed=0), batch_size=20, epochs=epochs, seed=0)

    x, y = copies(3, length, bits, seed=1)
    said = (model.predict(x) > 0).astype(int)
    for shown, wanted, given in zip(x, y.astype(int), said, strict=True):
        print("shown ", *("".join(map(str, row)) for row in shown[:length, :bits].astype(int)))
        print("repeats", *("".join(map(str, row)) for row in given[length + 1 :]))
        assert np.mean(given == wanted) > 0.8


if __name__ == "__main__":
    main()
