"""Which samples a decision hangs on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def saliency(network: nn.Module, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return |gradient x input| of the predicted class's logit (Shrikumar et al. 2016).

    Args:
        network: Maps windows (batch, ...) to logits (batch, class); its mode is restored.
        x: Windows (window, ...).

    Returns:
        Of the windows' shape, each scaled so that its largest value is 1.
    """
    was_training = network.training
    network.eval()
    with torch.enable_grad():
        windows = torch.from_numpy(np.array(x)).requires_grad_(True)
        logits = network(windows)
        logits.max(dim=1).values.sum().backward()
    network.train(was_training)
    network.zero_grad()
    if windows.grad is None:
        raise RuntimeError("the logits do not depend on the windows")
    product: NDArray[np.float32] = (windows.grad * windows).abs().detach().numpy()
    peak = product.reshape(len(x), -1).max(axis=1).reshape(-1, *[1] * (x.ndim - 1))
    scaled: NDArray[np.float32] = product / np.maximum(peak, 1e-12)
    return scaled
