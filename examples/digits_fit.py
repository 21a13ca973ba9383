"""A network learns handwritten digits with `fit`: three parts, early stopping, a saved model.

Needs scikit-learn for the images: pip install scikit-learn.
"""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import chainrule as cr


def main(epochs=30):
    pixels, digits = load_digits(return_X_y=True)
    images = (pixels / 16).astype(np.float32)
    parts = cr.train.split(images, digits, validation=0.15, test=0.15, stratify=digits, seed=0)

    model = cr.nn.Sequential([cr.nn.Dense(30, activation="sigmoid"), cr.nn.Dense(10)])
    model.compile(
        optimizer=cr.optim.SGD(0.2),
        loss=cr.nn.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(
        *parts.train,
        batch_size=1,
        epochs=epochs,
        validation_data=parts.validation,
        callbacks=[cr.train.EarlyStopping(patience=3)],
        seed=0,
    )
    print(f"{len(history.epoch)} epochs; {history.stopped or 'all of them'}")
    right = model.evaluate(*parts.test)["accuracy"]
    print(f"{right:.1%} of the test part")

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "digits.safetensors"
        model.save(file)
        again = cr.nn.load(file)
    assert np.array_equal(again.predict(parts.test[0]), model.predict(parts.test[0]))
    assert right > 0.9


if __name__ == "__main__":
    main()
