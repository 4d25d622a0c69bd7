"""`ecgexp export`: a network as a library for somebody else's firmware project."""

from __future__ import annotations

from ecgexp.cli.options import parser, read
from ecgexp.config.compose import compose


def main(argv: list[str]) -> int:
    """Write the library folder and its archive."""
    made = parser(
        "export",
        "Write a C library, its golden test and project files: `run_id=RUN` or `onnx=net.onnx\n"
        "[golden=vectors.npz]`; output=FOLDER, export.codegen=object|c, export.prefix=afib,\n"
        "export.archive=tar.gz|zip.",
    )
    arguments = read(made, argv)
    job = compose("export", arguments.overrides, arguments.conf)
    from ecgexp.cli.tables import show_export
    from ecgexp.export import export

    show_export(export(job), job.config)
    return 0
