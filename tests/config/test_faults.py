"""Wrong words and files are answered with the path, the value and the remedy."""

from pathlib import Path

import pytest

from ecgexp.config.build import build
from ecgexp.config.compose import Job, compose, compose_sweep
from ecgexp.config.fingerprint import fit_fingerprint, sweep_fingerprint
from ecgexp.config.validate import validate
from ecgexp.errors import ConfigError


def fault(*overrides: str, folders: tuple[Path, ...] = ()) -> str:
    with pytest.raises(ConfigError) as caught:
        validate(compose("config", overrides, folders))
    return str(caught.value)


def experiment(folder: Path, text: str) -> tuple[Path, ...]:
    (folder / "experiment").mkdir()
    (folder / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{text}")
    return (folder,)


def test_misspelt_key_on_the_command_line() -> None:
    message = fault("optimizer.optimizer.lrr=0.1")
    assert "unknown key 'optimizer.optimizer.lrr'" in message
    assert "did you mean 'optimizer.optimizer.lr'?" in message


def test_misspelt_group_on_the_command_line() -> None:
    message = fault("architectur=cnn_small")
    assert "'architectur'" in message
    assert "did you mean 'architecture'?" in message


def test_key_of_another_option() -> None:
    message = fault("quantization=none", "quantization.n_calibration=32")
    assert "unknown key 'quantization.n_calibration' on the command line" in message
    assert "the chosen option of quantization has no such key" in message


def test_a_group_without_an_option() -> None:
    message = fault("experiment=null")
    assert message.startswith("experiment=null: Config group override must be a string")
    assert message.endswith("leave the group out instead")


def test_unknown_option_lists_the_options() -> None:
    message = fault("architecture=cnn_smal")
    assert "architecture/cnn_smal" in message
    assert "cnn_small" in message


def test_added_key_is_still_unknown() -> None:
    assert "unknown key 'optimizer.optimizer.lrr'" in fault("+optimizer.optimizer.lrr=0.1")


def test_typo_in_an_experiment_file(tmp_path: Path) -> None:
    folders = experiment(tmp_path, "optimizer:\n  optimizer:\n    lrr: 0.1\n")
    message = fault("experiment=mine", folders=folders)
    assert "unknown key 'optimizer.optimizer.lrr': did you mean 'lr'?" in message


def test_misspelt_group_in_an_experiment_file(tmp_path: Path) -> None:
    message = fault("experiment=mine", folders=experiment(tmp_path, "trainr:\n  max_epochs: 1\n"))
    assert "unknown key 'trainr': did you mean 'trainer'?" in message


def test_misspelt_callback(tmp_path: Path) -> None:
    folders = experiment(tmp_path, "callbacks:\n  early_stoping:\n    patience_epochs: 3\n")
    message = fault("experiment=mine", folders=folders)
    assert "callbacks.early_stoping: a callback needs a `_target_`" in message


def test_several_faults_are_reported_at_once(tmp_path: Path) -> None:
    text = "trainr: {max_epochs: 1}\nformat: xml\nseed: -1\ntrainer: {progress: loud}\n"
    message = fault("experiment=mine", folders=experiment(tmp_path, text))
    assert len(message.splitlines()) == 4
    for part in ("'trainr'", "format='xml'", "seed=-1", "trainer.progress='loud'"):
        assert part in message


def test_wrong_type() -> None:
    message = fault("trainer.max_epochs=many")
    assert "trainer.max_epochs='many': expected int" in message


def test_wrong_type_of_a_torch_argument() -> None:
    assert "optimizer.optimizer.lr='fast'" in fault("optimizer.optimizer.lr=fast")


def test_target_outside_the_allow_list() -> None:
    message = fault("optimizer.optimizer._target_=os.system")
    assert "optimizer.optimizer._target_: 'os.system' is not allowed" in message


def test_target_that_does_not_exist() -> None:
    message = fault("architecture._target_=ecgexp.architecture.cnn_small.Nothing")
    assert "cannot find 'ecgexp.architecture.cnn_small.Nothing'" in message


def test_private_target() -> None:
    assert "is not allowed" in fault("architecture._target_=ecgexp.architecture._hidden.Net")


def test_sweep_without_multirun() -> None:
    assert "seed=1,2" in fault("seed=1,2")


def test_unreadable_override() -> None:
    assert "seed={" in fault("seed={")


def test_sweep_is_composed_before_the_first_job() -> None:
    jobs = compose_sweep("config", ["architecture=cnn_small,efficientnetv2_1d", "seed=range(1,3)"])
    assert [(job.choices["architecture"], job.config["seed"]) for job in jobs] == [
        ("cnn_small", 1),
        ("cnn_small", 2),
        ("efficientnetv2_1d", 1),
        ("efficientnetv2_1d", 2),
    ]
    assert len({job.fingerprint for job in jobs}) == 4


def test_sweep_with_one_wrong_value_starts_nothing() -> None:
    with pytest.raises(ConfigError, match="nothing"):
        compose_sweep("config", ["architecture=cnn_small,nothing"])


def test_build_reports_a_missing_argument() -> None:
    node = {"_target_": "ecgexp.training.losses.Focal"}
    with pytest.raises(ConfigError, match=r"objective: ecgexp\.training\.losses\.Focal does not"):
        build(node, path="objective")


def test_build_without_target() -> None:
    with pytest.raises(ConfigError, match="x: `_target_` is missing"):
        build({"a": 1}, path="x")


def test_fingerprint_ignores_names_folders_and_order() -> None:
    def of(*overrides: str) -> Job:
        return compose("config", overrides)

    first = of("seed=3", "dataset=synthetic").fingerprint
    assert of("dataset=synthetic", "seed=3", "name=x", "paths.home=/tmp/y").fingerprint == first
    assert of("seed=3", "tracking.experiment=other", "format=json").fingerprint == first
    assert of("seed=4").fingerprint != first
    assert of("seed=3", "optimizer.optimizer.lr=0.5").fingerprint != first
    assert of("seed=3", "paths.data=/tmp/z").fingerprint == first


def test_the_fit_fingerprint_ignores_what_comes_after_training() -> None:
    def of(*words: str) -> str:
        return fit_fingerprint(compose("config", words).config)

    first = of("quantization=ptq_int8", "target=corstone300_m55", "deploy=tvm")
    assert of("quantization=none") == first
    assert of("target=host", "deploy=none", "force=true", "name=x", "paths.home=/tmp/y") == first
    assert of("pruning=l1_50") == first
    assert of("seed=4") != first
    assert of("augmentation=recording") != first
    assert of("trainer.max_epochs=3") != first


def test_the_sweep_fingerprint_is_that_of_the_set_of_jobs() -> None:
    assert sweep_fingerprint(["a", "b"]) == sweep_fingerprint(["b", "a", "b"])
    assert sweep_fingerprint(["a", "b"]) != sweep_fingerprint(["a", "c"])
