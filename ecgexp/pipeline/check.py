"""Find out before training what would only fail in it or after it."""

from __future__ import annotations

from ecgexp.config.build import build
from ecgexp.errors import ConfigError
from ecgexp.pipeline.parts import build_network
from ecgexp.pipeline.room import Room
from ecgexp.training.room import LayerQuantizer, Pruner


def check_stages(room: Room) -> None:
    """Check that data, network, objective, what makes it smaller, and deploy fit each other.

    Raises:
        ConfigError: Names the key to change.
    """
    n_golden, n_val = room.config["deploy"]["n_golden"], len(room.data.split("val"))
    if n_golden > n_val:
        raise ConfigError(
            f"deploy.n_golden={n_golden}: golden windows come from the validation split, which "
            f"has {n_val}; use at most {n_val}, or validate on more"
        )
    _try_batch(room)
    _try_smaller(room)
    build(room.config["deploy"], path="deploy").check_network(room.data.spec)


def _try_smaller(room: Room) -> None:
    """Build the methods that make the network smaller, and ask them about an untrained one."""
    import torch

    quantizer = build(room.config["quantization"], path="quantization")
    pruning = build(room.config["pruning"], path="pruning")
    with torch.random.fork_rng(devices=[]):
        if isinstance(pruning, Pruner):
            pruning.check(build_network(room.config, room.data.spec), room.data.spec.window_shape)
        elif isinstance(quantizer, LayerQuantizer):
            quantizer.check(build_network(room.config, room.data.spec))


def _try_batch(room: Room) -> None:
    """Compute the loss of two empty windows in an untrained network."""
    import torch

    spec, shape = room.data.spec, room.data.training_shape
    objective = room.objective()
    # The network that is trained draws the numbers that it would draw without this one.
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = build_network(room.config, spec).train()
        y = torch.zeros((2, spec.n_classes) if spec.several else 2, dtype=torch.int64)
        try:
            objective(network(torch.zeros(2, *shape)), y)
        except (RuntimeError, ValueError, IndexError) as error:
            reason = str(error).partition("\n")[0]
            if shape != spec.window_shape:
                raise ConfigError(
                    f"dataset.sampling.crop_s: excerpts have the shape {shape}, windows "
                    f"{spec.window_shape}, and this architecture takes no other length ({reason}); "
                    "use dataset.sampling.crop_s=null or an architecture for any length, such as "
                    "efficientnetv2_1d"
                ) from error
            raise ConfigError(
                f"architecture, objective: a training batch of windows {shape} has no loss "
                f"({reason}); networks with logits per step need objective=sequence"
            ) from error
