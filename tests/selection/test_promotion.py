"""`promote`: what it refuses, and a promoted model loaded by its alias."""

from __future__ import annotations

import json
import pickletools
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest

from ecgexp.__main__ import main
from ecgexp.config.compose import compose
from ecgexp.errors import ConfigError, PromotionError, TrackingError
from ecgexp.pipeline import open_store
from ecgexp.quantization.bundle import bundle_from_onnx
from ecgexp.selection.promotion import promote, require_promotable
from ecgexp.tracking.run import Run
from tests.deploy import nets
from tests.deploy.zoo import ZOO

STAGES = ("prepare", "fit", "quantize", "test", "deploy")


def started(home: Path, **tags: str) -> Run:
    job = compose("select", [f"paths.home={home}"])
    done = {f"ecgexp.stage.{stage}": "done" for stage in STAGES}
    return open_store(job.config).start(name="net", params={}, tags={**done, **tags})


Change = Callable[[Run], None]
GOOD = {"deploy/t/golden_equal": 1.0, "deploy/t/flash_bytes": 1e4}


def broken_limit(run: Run) -> None:
    run.set_tags({"ecgexp.deployable.t": "flash_bytes 9 exceeds deploy.limits.flash_bytes=8"})


def other_outputs(run: Run) -> None:
    run.log_metrics({"deploy/t/golden_equal": 0.75})


def failed_stage(run: Run) -> None:
    run.set_tags({"ecgexp.stage.quantize": "failed", "ecgexp.error": "too large a drop"})


def a_sweep(run: Run) -> None:
    run.set_tags({"ecgexp.kind": "sweep"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (broken_limit, "broke its limits on t: flash_bytes 9 exceeds deploy.limits.flash_bytes=8"),
        (other_outputs, "its golden outputs differ on t: only 0.7500 of them equal ONNX Runtime's"),
        (failed_stage, "its stage quantize FAILED: too large a drop"),
        (a_sweep, "it holds a sweep; promote one of its runs"),
    ],
)
def test_refuses_with_one_reason(home: Path, change: Change, message: str) -> None:
    run = started(home, **{"ecgexp.deployable.t": "true"})
    with run.active():
        run.log_metrics(GOOD)
    require_promotable(run, "t")
    change(run)
    with pytest.raises(PromotionError, match=f"^run {run.run_id} may not be promoted: ") as caught:
        require_promotable(run, "t")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_refuses_what_never_ran_there_or_is_unfinished(home: Path) -> None:
    run = started(home)
    with pytest.raises(PromotionError, match="it is RUNNING; finish it with `ecgexp run resume="):
        require_promotable(run, "t")
    with run.active():
        pass
    with pytest.raises(PromotionError, match="never ran on t; measure it with `ecgexp deploy"):
        require_promotable(run, "t")
    run.log_metrics(GOOD)
    with pytest.raises(PromotionError, match="no verdict about its limits on t was kept"):
        require_promotable(run, "t")


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["alias=v3"], ConfigError, "alias='v3': write a letter"),
        (["alias=latest"], ConfigError, "alias='latest': write a letter"),
        (["name=a/b"], ConfigError, "name='a/b': write letters"),
        (["onnx=net.onnx"], ConfigError, "onnx=net.onnx: `ecgexp promote` takes a run"),
        (["run_id=null"], ConfigError, "which run?"),
        (["run_id=abc"], TrackingError, "is not a run id"),
    ],
)
def test_bad_words(home: Path, words: list[str], error: type[Exception], message: str) -> None:
    job = compose("promote", [f"run_id={'0' * 32}", f"paths.home={home}", *words])
    with pytest.raises(error) as caught:
        promote(job)
    assert message in str(caught.value)


@pytest.fixture
def mlflow_of(home: Path) -> Iterator[None]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{home / 'mlflow.db'}")
    yield
    mlflow.set_tracking_uri(before)


def deployed(home: Path, folder: Path) -> str:
    """A run whose network was really compiled, run and compared; only training is missing."""
    path, quantized = folder / "net.onnx", folder / "net_int8.onnx"
    ZOO["residual"](path)
    nets.quantize(path, quantized)
    bundle = bundle_from_onnx(quantized, None, folder / "bundle", seed=1, n_golden=4)
    run = started(home)
    with run.active():
        run.log_artefact(bundle.folder, "bundle")
    words = ["--quiet", f"run_id={run.run_id}", "target=host", f"paths.home={home}"]
    assert main(["deploy", *words, "format=json"]) == 0
    return run.run_id


@pytest.mark.usefixtures("mlflow_of")
def test_a_promoted_model_is_loaded_by_its_alias_and_gives_the_golden_outputs(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = deployed(home, tmp_path)
    capsys.readouterr()
    words = ["promote", "--quiet", run_id, "name=afib", "target=host", f"paths.home={home}"]
    assert main([*words, "--alias", "deployable", "format=json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["uri"], told["version"]) == ("models:/afib@deployable", 1)

    folder = Path(mlflow.artifacts.download_artifacts(told["uri"], dst_path=str(tmp_path / "m")))
    golden = np.load(folder / "golden.npz")
    model = mlflow.pyfunc.load_model(told["uri"])
    (output,) = model.metadata.get_output_schema().input_names()
    outputs = np.concatenate([model.predict(x[None])[output] for x in golden["x"]])
    np.testing.assert_array_equal(outputs, golden["y"])
    assert mlflow.onnx.load_model(told["uri"]).graph.output[0].name == output
    assert not any(is_pickle(path) for path in folder.rglob("*") if path.is_file())
    assert (folder / "library" / "include").is_dir()
    requirements = (folder / "requirements.txt").read_text()
    assert "onnxruntime==" in requirements
    assert "torch" not in requirements

    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias("afib", "deployable")
    assert version.run_id == run_id
    assert version.tags["deploy/host/golden_equal"] == "1"
    assert json.loads(version.tags["ecgexp.labels"])

    assert main([*words, "--alias", "second"]) == 0
    assert "afib version 1, alias second" in capsys.readouterr().out
    assert len(client.search_model_versions("name = 'afib'")) == 1


def is_pickle(path: Path) -> bool:
    try:
        for operation, _, _ in pickletools.genops(path.read_bytes()):
            if operation.name == "STOP":
                return True
    except (ValueError, UnicodeDecodeError):
        return False
    return False
