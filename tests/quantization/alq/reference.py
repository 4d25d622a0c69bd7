"""ALQ weight by weight in plain numpy: slow, and obvious."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sketch(w: Array, most_bits: int) -> tuple[Array, Array]:
    """Return bases (basis, weight) and positive, ascending coordinates of one group."""
    bases: list[Array] = []
    alpha = np.zeros(0)
    rest = w.copy()
    for _ in range(min(most_bits, len(w))):
        if not w.any() or rest @ rest < 1e-6 * (w @ w):
            break
        bases.append(np.array([-1.0 if r < 0 else 1.0 for r in rest]))
        alpha = np.linalg.lstsq(np.array(bases).T, w, rcond=None)[0]
        rest = w - alpha @ np.array(bases)
    for i, a in enumerate(alpha):
        if a < 0:
            alpha[i], bases[i] = -a, -bases[i]
    order = np.argsort(alpha, kind="stable")
    return np.array(bases).reshape(-1, len(w))[order], alpha[order]


def nearest(w: Array, alpha: Array) -> Array:
    """Return for each weight the value +-a1 +-a2 ... nearest to it."""
    sums = [np.dot(signs, alpha) for signs in itertools.product((-1, 1), repeat=len(alpha))]
    return np.array([min(sums, key=lambda s, x=x: abs(s - x)) for x in w])


def best_coordinates(bases: Array, target: Array, hessian: Array) -> Array:
    """Minimise the weighted squared distance of bases' sum to a target."""
    root = np.sqrt(hessian)
    return np.asarray(np.linalg.lstsq((bases * root).T, target * root, rcond=None)[0])


def loss_rise(alpha: float, gradient: float, hessian: float) -> float:
    """Return what the quadratic model says of moving a coordinate to zero."""
    move = 0.0 - alpha
    return gradient * move + 0.5 * hessian * move * move


def amsgrad(gradients: list[Array], rate: float) -> tuple[Array, Array]:
    """Return the pseudo gradient and the pseudo Hessian after some batches."""
    mean: Any = 0.0
    square: Any = 0.0
    largest: Any = 0.0
    for gradient in gradients:
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        largest = np.maximum(largest, square)
    count = len(gradients)
    p = rate * mean / (1 - 0.9**count)
    return p, (np.sqrt(largest) + 1e-8) / np.sqrt(1 - 0.999**count)
