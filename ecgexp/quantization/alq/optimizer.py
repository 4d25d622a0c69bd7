"""One optimizer for codes, and for the biases and norms beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ecgexp.quantization.alq import steps
from ecgexp.quantization.alq.groups import NAME, Groups, settle
from ecgexp.quantization.alq.schedule import Phase, Schedule
from ecgexp.quantization.alq.sketch import Code
from ecgexp.quantization.alq.steps import Moments

Loss = Callable[[], Tensor]


class _Layer(NamedTuple):
    module: nn.Module
    weight: nn.Parameter
    groups: Groups


class AlqOptimizer(torch.optim.Adam):
    """Adam for biases and norms; for codes what the phase of the schedule says.

    Everything that a resumed fit needs is in the network's buffers and in the state that torch
    keeps per parameter.

    Args:
        parameters: All parameters of the network.
        layers: Its layers with groups.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, layers: Iterable[nn.Module]) -> None:
        self._layers = [
            _Layer(layer, layer.weight, layer.get_submodule(NAME))  # type: ignore[arg-type]
            for layer in layers
        ]
        self._schedule: Schedule | None = None
        coded = [layer.weight for layer in self._layers]
        others = [p for p in parameters if not any(p is weight for weight in coded)]
        super().__init__([{"params": coded}, {"params": others}], lr=1.0)

    @property
    def groups(self) -> list[Groups]:
        """The codes of all layers."""
        return [layer.groups for layer in self._layers]

    def follow(self, schedule: Schedule) -> None:
        """Choose what every step does; nothing can be stepped before."""
        self._schedule = schedule

    @torch.no_grad()
    def step(self, closure: Loss | None = None) -> Tensor | None:  # type: ignore[override]
        """Take the step of a batch whose gradients are there."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients = [layer.weight.grad for layer in self._layers]
        for layer in self._layers:
            layer.weight.grad = None
        super().step()
        for layer, gradient in zip(self._layers, gradients, strict=True):
            layer.weight.grad = gradient
            if gradient is not None:
                self._take_in(layer, gradient)
        if self._schedule is None:
            raise RuntimeError("AlqOptimizer.follow() comes before the first step")
        done = int(self._state(self._layers[0])["step"]) - 1
        phase = self._schedule.phase(done)
        if phase == "prune":
            self._prune(done, self._schedule)
        else:
            for layer in self._layers:
                layer.groups.keep(self._moved(layer, phase))
                settle(layer.module)
        return loss

    def _state(self, layer: _Layer) -> dict[str, Any]:
        state: dict[str, Any] = self.state[layer.weight]
        if not state:
            zeros = Moments.zeros(layer.groups.layout.split(layer.weight))
            state.update(step=torch.tensor(0.0), **_named("weight", zeros))
        return state

    def _take_in(self, layer: _Layer, gradient: Tensor) -> None:
        state = self._state(layer)
        state["step"] += 1
        grouped = layer.groups.layout.split(gradient)
        _moments(state, "weight").update(grouped)
        if "coordinate_mean" in state:
            code = layer.groups.code
            _moments(state, "coordinate").update(torch.einsum("gin,gn->gi", code.bases, grouped))

    def _of_coordinates(self, layer: _Layer) -> Moments:
        """Moments of the coordinates, projected anew after the bases have changed."""
        state = self._state(layer)
        if "coordinate_mean" not in state:
            fresh = _moments(state, "weight").projected(layer.groups.code.bases)
            state.update(_named("coordinate", fresh))
        return _moments(state, "coordinate")

    def _moved(self, layer: _Layer, phase: Phase) -> Code:
        if phase == "coordinate":
            return self._coordinate_step(layer)
        return self._basis_step(layer, has_master=phase == "master")

    def _coordinate_step(self, layer: _Layer) -> Code:
        state, code = self._state(layer), layer.groups.code
        state.pop("master", None)
        moments = self._of_coordinates(layer)
        moved = steps.step_coordinates(code, *self._model(layer, moments))
        turned = torch.einsum("gin,gin->gi", moved.bases, code.bases) < 0
        moments.mean[turned] *= -1
        return moved

    def _basis_step(self, layer: _Layer, *, has_master: bool) -> Code:
        """Move the weights, or floating ones behind them, and describe what comes out anew."""
        state, code = self._state(layer), layer.groups.code
        for name in [name for name in state if name.startswith("coordinate_")]:
            del state[name]
        gradient, hessian = self._model(layer, _moments(state, "weight"))
        origin = state.pop("master", None)
        if origin is None or not has_master:
            origin = code.weights()
        target = origin - gradient / hessian
        if has_master:
            state["master"] = target
        return steps.refresh(steps.assign(code, target), target, hessian)

    def _model(self, layer: _Layer, moments: Moments) -> tuple[Tensor, Tensor]:
        """Return the pseudo gradient and the pseudo Hessian."""
        count = int(self._state(layer)["step"])
        return moments.gradient(self.param_groups[0]["lr"], count), moments.hessian(count)

    def _prune(self, done: int, schedule: Schedule) -> None:
        """Take away the coordinates whose loss costs least, over all layers."""
        scores = [
            steps.importance(layer.groups.code, *self._model(layer, self._of_coordinates(layer)))
            for layer in self._layers
        ]
        removed = schedule.removal(done, scores, self.groups)
        for layer, mask in zip(self._layers, removed, strict=True):
            layer.groups.keep(steps.prune(layer.groups.code, mask))
            settle(layer.module)


def _named(prefix: str, moments: Moments) -> dict[str, Tensor]:
    return {
        f"{prefix}_mean": moments.mean,
        f"{prefix}_square": moments.square,
        f"{prefix}_largest": moments.largest,
    }


def _moments(state: dict[str, Any], prefix: str) -> Moments:
    return Moments(*(state[f"{prefix}_{part}"] for part in ("mean", "square", "largest")))
