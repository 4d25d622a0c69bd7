"""`hydra/launcher` words: the plugins' own settings, and one clear error for what is wrong."""

from pathlib import Path

import pytest

from ecgexp.config import launcher
from ecgexp.config.launcher import compose_launcher, split_words
from ecgexp.errors import ConfigError

FOLDER = Path("/home/sweeps/x")


def test_words_for_the_launcher_are_told_from_the_jobs() -> None:
    words = ["seed=1,2", "hydra/launcher=joblib", "+hydra.launcher.a=1", "name=hydra"]
    jobs, chosen = split_words(words)
    assert jobs == ["seed=1,2", "name=hydra"]
    assert chosen == ["hydra/launcher=joblib", "+hydra.launcher.a=1"]


def test_without_words_jobs_run_here() -> None:
    choice = compose_launcher([], FOLDER)
    assert (choice.name, choice.settings) == ("basic", {})


def test_settings_are_those_of_the_plugins() -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="extra [joblib] is missing")
    choice = compose_launcher(["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], FOLDER)
    assert choice.settings["n_jobs"] == 2
    assert choice.settings["batch_size"] == "auto"


def test_submitit_keeps_its_files_with_the_sweep() -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="extra [slurm] is missing")
    words = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=cpu"]
    settings = compose_launcher(words, FOLDER).settings
    assert settings["partition"] == "cpu"
    assert settings["submitit_folder"] == "/home/sweeps/x/.submitit/%j"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["hydra/launcher=jobli"], "did you mean 'joblib'"),
        (["hydra/launcher=dask"], "there are basic, joblib, submitit_local"),
        (["hydra.launcher.n_jobs=2"], "the launcher 'basic' has no setting 'n_jobs': it has none"),
        (["hydra.verbose=true"], "hydra.verbose=true: of Hydra's own settings ecgexp takes"),
    ],
)
def test_bad_words(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose_launcher(words, FOLDER)


def test_an_unknown_setting_is_named_with_what_there_is() -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="extra [joblib] is missing")
    with pytest.raises(ConfigError, match=r"no setting 'n_job': did you mean 'n_jobs'\?"):
        compose_launcher(["hydra/launcher=joblib", "hydra.launcher.n_job=2"], FOLDER)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"joblib": ("joblib", ("hydra_plugins.no_such_plugin",))}
    monkeypatch.setattr(launcher, "EXTRAS", missing)
    with pytest.raises(ConfigError, match=r"pip install 'ecgexp\[joblib\]'"):
        compose_launcher(["hydra/launcher=joblib"], FOLDER)
