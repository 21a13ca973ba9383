"""A network learns handwritten digits: per-sample SGD in plain NumPy and `cr.grad`.

Needs scikit-learn for the images: pip install scikit-learn.
"""

import numpy as np
from sklearn.datasets import load_digits

import chainrule as cr


def scores(network, images):
    (W, b), (V, c) = network
    return 1 / (1 + np.exp(-(images @ W + b))) @ V + c


def loss(network, image, digit):
    s = scores(network, image)
    return np.log(np.sum(np.exp(s))) - s[digit]


def main(epochs=3, rate=0.1):
    rng = np.random.default_rng(0)
    pixels, digits = load_digits(return_X_y=True)
    order = rng.permutation(len(pixels))
    pixels, digits = pixels[order] / 16, digits[order]
    held_out = len(pixels) // 5

    network = [(rng.normal(0, a**-0.5, (a, b)), np.zeros(b)) for a, b in ((64, 30), (30, 10))]
    for epoch in range(epochs):
        for i in rng.permutation(np.arange(held_out, len(pixels))):
            slopes = cr.grad(loss)(network, pixels[i], digits[i])
            network = [
                (W - rate * dW, b - rate * db)
                for (W, b), (dW, db) in zip(network, slopes, strict=True)
            ]
        right = np.argmax(scores(network, pixels[:held_out]), axis=1) == digits[:held_out]
        print(f"epoch {epoch + 1}: {right.mean():.1%} of the held-out digits")
    assert right.mean() > 0.9


if __name__ == "__main__":
    main()
