"""Write a bundle's network as a folder and an archive that a firmware project can take in."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ecgexp.deploy.export.archive import KINDS, ArchiveKind, sha256, write_archive
from ecgexp.errors import BuildError, ConfigError
from ecgexp.target import Target
from ecgexp.types import Bundle

log = logging.getLogger(__name__)

Codegen = Literal["object", "c"]
CODEGENS: tuple[str, ...] = get_args(Codegen)
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What an export left behind.

    Attributes:
        folder: The library.
        archive: The same, packed.
        archive_sha256: Hash of the archive.
        compiled_for: Name of the target, or `c` for portable source.
        n_golden: Windows of its golden test.
        figures: Sizes in bytes and multiply-accumulates, by name.
    """

    folder: Path
    archive: Path
    archive_sha256: str
    compiled_for: str
    n_golden: int
    figures: dict[str, int]


class Exporter:
    """Turn a bundle into a library for other people's firmware.

    Args:
        prefix: Begins every global C symbol; in capitals, every macro.
        codegen: `object` for a static library of the target, `c` for portable source.
        archive: `tar.gz` or `zip`.
        n_golden: Golden windows to pack with the test.
        allow_float_ops: How many operators of an int8 network may run in float32, apart from a
            final softmax.

    Raises:
        ConfigError: A value cannot be used.
    """

    def __init__(
        self,
        *,
        prefix: str,
        codegen: Codegen,
        archive: ArchiveKind,
        n_golden: int,
        allow_float_ops: int,
    ) -> None:
        if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
            raise ConfigError(
                f"export.prefix={prefix!r}: write the beginning of a C identifier: a letter, then "
                "letters, digits or underscores, 32 at most, for example afib"
            )
        if codegen not in CODEGENS:
            raise ConfigError(f"export.codegen={codegen!r}: use one of {', '.join(CODEGENS)}")
        if archive not in KINDS:
            raise ConfigError(f"export.archive={archive!r}: use one of {', '.join(KINDS)}")
        if n_golden < 1:
            raise ConfigError(f"export.n_golden={n_golden}: write 1 or more")
        if allow_float_ops < 0:
            raise ConfigError(f"export.allow_float_ops={allow_float_ops}: write 0 or more")
        self.prefix = prefix
        self.codegen = codegen
        self.archive: ArchiveKind = archive
        self.n_golden = n_golden
        self.allow_float_ops = allow_float_ops

    def compiled_for(self, target: Target) -> str:
        """Return what the library is for: a target's name, or `c`."""
        return "c" if self.codegen == "c" else target.name

    def archive_of(self, folder: Path) -> Path:
        """Return where the archive of a library folder lies."""
        return folder.with_name(f"{folder.name}.{self.archive}")

    def require_free(self, folder: Path) -> None:
        """Check that an export may appear at a place, before any work is done for it.

        Args:
            folder: Where the library is to appear.

        Raises:
            ConfigError: Folder or archive are there already, or cannot be written.
        """
        for path in (folder, self.archive_of(folder)):
            if path.exists() or path.is_symlink():
                raise ConfigError(
                    f"output={folder}: {path} is there already; remove it or choose another output"
                )
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            writable = os.access(folder.parent, os.W_OK | os.X_OK)
        except OSError as error:
            raise _not_writable(folder, str(error)) from error
        if not writable:
            raise _not_writable(folder, f"no permission to write into {folder.parent}")

    def export(
        self, bundle: Bundle, target: Target, folder: Path, profile: Path | None = None
    ) -> Exported:
        """Write the library folder and its archive; both appear only when complete.

        Args:
            bundle: The network and its golden windows.
            target: What `codegen=object` compiles for.
            folder: Where the library is to appear.
            profile: `profile.csv` of a deploy of the network to the target, for `metadata.json`.

        Raises:
            BuildError: The network cannot be compiled.
            ConfigError: The folder is there already or cannot be written, or a window can have
                several classes.
        """
        from ecgexp.deploy.preflight import require_one_class

        require_one_class(bundle.spec)
        if importlib.util.find_spec("tvm") is None:
            raise BuildError("`ecgexp export` needs apache-tvm: pip install 'ecgexp[deploy]'")
        # TVM takes seconds to import: only an export that happens pays for it.
        from ecgexp.deploy.export.library import write_files

        started = time.perf_counter()
        self.require_free(folder)
        top = f"{self.prefix}_model"
        try:
            aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        except OSError as error:
            raise _not_writable(folder, str(error)) from error
        try:
            figures, n_golden = write_files(
                bundle,
                target,
                prefix=self.prefix,
                is_source=self.codegen == "c",
                n_golden=self.n_golden,
                allow_float_ops=self.allow_float_ops,
                profile=None if self.codegen == "c" else profile,
                root=aside / top,
                work=aside,
            )
            packed = aside / "packed"
            write_archive(aside / top, top, self.archive, packed)
            archive = self._publish(aside / top, packed, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        log.info("exported %s to %s in %.1f s", bundle.name, folder, time.perf_counter() - started)
        return Exported(
            folder=folder,
            archive=archive,
            archive_sha256=sha256(archive),
            compiled_for=self.compiled_for(target),
            n_golden=n_golden,
            figures=figures,
        )

    def _publish(self, library: Path, packed: Path, folder: Path) -> Path:
        """Rename both into place, or neither."""
        self.require_free(folder)
        archive = self.archive_of(folder)
        try:
            packed.rename(archive)
            library.rename(folder)
        except OSError as error:
            archive.unlink(missing_ok=True)
            raise _not_writable(folder, str(error)) from error
        return archive


def _not_writable(folder: Path, reason: str) -> ConfigError:
    return ConfigError(f"output={folder} cannot be written: {reason}; choose another output")
