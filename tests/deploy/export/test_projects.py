"""What an engineer does with an archive in an empty folder, with nothing of ours at hand."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ecgexp.deploy.export.exporter import Exported
from ecgexp.target import Target
from tests.deploy.conftest import load_target
from tests.deploy.export.conftest import Export, Unpack, check_library, need, run_tool

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def cmake() -> None:
    need("cmake", "ctest")


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("archive", ["tar.gz", "zip"])
def test_portable_c(compiler: str, archive: str, export: Export, unpack: Unpack) -> None:
    need(compiler)
    library = unpack(export(archive=archive))
    text = check_library(library, f"-DCMAKE_C_COMPILER={compiler}")
    assert "afib_model golden test: 4 of 4 windows equal" in text


@pytest.mark.parametrize("int8", [True, False])
def test_softmax_and_float_networks(int8: bool, export: Export, unpack: Unpack) -> None:
    assert "4 of 4" in check_library(unpack(export("softmax", int8=int8)))


@pytest.mark.parametrize("option", ["OFF", "ON"])
def test_host_object(option: str, export: Export, unpack: Unpack) -> None:
    library = unpack(export(codegen="object", prefix="ecgexp"))
    assert "4 of 4" in check_library(library, f"-DECGEXP_FROM_SOURCE={option}")


def test_network_with_two_answers(export: Export, unpack: Unpack) -> None:
    """ONNX Runtime's fused average pool rounds another way than the graph as written."""
    library = unpack(export("average_pool"))
    assert "#define GOLDEN_ANSWERS 2" in (library / "test" / "golden_data.h").read_text()
    assert "4 of 4" in check_library(library)


def test_golden_test_notices_a_changed_weight(export: Export, unpack: Unpack) -> None:
    library = unpack(export())
    source = library / "src" / "model.c"
    text = source.read_text()
    changed = re.sub(r"(w0\[\d+\] ECGEXP_WEIGHT = \{\n)(-?\d+), (-?\d+)", r"\1\3, \2", text)
    assert changed != text
    source.write_text(changed)
    run_tool("cmake", "-B", "build", cwd=library)
    run_tool("cmake", "--build", "build", cwd=library)
    with pytest.raises(AssertionError, match=r"[0-3] of 4 windows equal"):
        run_tool("ctest", "--test-dir", "build", "-V", cwd=library)


TWO_MODELS = """
#include "afib/model.h"
#include "beat/model.h"
#include <string.h>
#include "../afib_model/test/golden_data.h"
#define LARGER (AFIB_FLOAT_ARENA_BYTES > BEAT_FLOAT_ARENA_BYTES ? AFIB_FLOAT_ARENA_BYTES : \\
                BEAT_FLOAT_ARENA_BYTES)
AFIB_MODEL_ARENA(arena, LARGER);
static float x[BEAT_INPUT_ELEMENTS];
int main(void) {
  float y[BEAT_OUTPUT_ELEMENTS], first[AFIB_OUTPUT_ELEMENTS], again[AFIB_OUTPUT_ELEMENTS];
  int32_t status = afib_model_run_float(golden_inputs[0], first, arena);
  status += beat_model_run_float(x, y, arena);
  status += afib_model_run_float(golden_inputs[0], again, arena);
  return status != 0 || memcmp(first, again, sizeof first) != 0;
}
"""
TWO_LISTS = """
cmake_minimum_required(VERSION 3.20)
project(two C)
add_subdirectory(../afib_model afib)
add_subdirectory(../beat_model beat)
add_executable(app app.c ../afib_model/test/golden_data.c)
target_link_libraries(app PRIVATE afib_model beat_model)
"""


@pytest.mark.parametrize("codegen", ["c", "object"])
def test_two_models_in_one_program(
    codegen: str, export: Export, unpack: Unpack, tmp_path: Path
) -> None:
    for prefix, name in (("afib", "squeeze_excite"), ("beat", "residual")):
        unpack(export(name, codegen=codegen, prefix=prefix, output=f"out_{prefix}"), prefix)
        shutil.move(tmp_path / prefix / f"{prefix}_model", tmp_path / f"{prefix}_model")
    app = tmp_path / "app"
    app.mkdir()
    (app / "app.c").write_text(TWO_MODELS)
    (app / "CMakeLists.txt").write_text(TWO_LISTS)
    run_tool("cmake", "-B", "build", cwd=app)
    run_tool("cmake", "--build", "build", cwd=app)
    run_tool(app / "build" / "app")
    built = (app / "build") if codegen == "c" else tmp_path
    libraries = [path for path in built.rglob("lib*_model.a") if "out_" not in str(path)]
    assert len(libraries) == 2
    symbols = run_tool("nm", "-g", "--defined-only", *libraries)
    names = [line.split()[2] for line in symbols.splitlines() if len(line.split()) == 3]
    assert len(names) > 12
    assert all(name.startswith(("afib_", "beat_")) for name in names)


def test_no_variable_is_written_and_little_is_needed(export: Export) -> None:
    folder = export(codegen="object").folder
    text = run_tool("nm", folder / "lib/host/libafib_model.a")
    kinds = {line.split()[-2]: line for line in text.splitlines() if len(line.split()) >= 2}
    assert not set(kinds) & set("bBcCsSgG"), kinds
    wanted = {line.split()[-1] for line in text.splitlines() if " U " in line}
    assert {name for name in wanted if not name.startswith("afib_")} <= {
        "memcpy",
        "memset",
        "_GLOBAL_OFFSET_TABLE_",
    }


def test_weights_go_where_they_are_told(export: Export, unpack: Unpack) -> None:
    library = unpack(export())
    run_tool(
        "cmake",
        "-B",
        "build",
        "-DAFIB_WEIGHTS_SECTION=.fast",
        "-DAFIB_CODE_SECTION=.itcm",
        cwd=library,
    )
    run_tool("cmake", "--build", "build", "--target", "afib_model", cwd=library)
    headers = run_tool("objdump", "-h", library / "build" / "libafib_model.a")
    sizes = {
        line.split()[1]: int(line.split()[2], 16)
        for line in headers.splitlines()
        if re.match(r" +\d+ \.", line)
    }
    assert sizes[".fast"] > 100
    assert sizes[".itcm"] > 500
    assert sizes[".text"] == 0


ZEPHYR = """
cmake_minimum_required(VERSION 3.20)
project(app C)
set(CONFIG_AFIB_MODEL y)
function(zephyr_library_named name)
  add_library(${name} STATIC)
  set(ZEPHYR_CURRENT_LIBRARY ${name} PARENT_SCOPE)
endfunction()
function(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()
function(zephyr_library_include_directories)
  target_include_directories(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()
function(zephyr_library_compile_options)
  target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()
function(zephyr_library_import name path)
  add_library(${name} STATIC IMPORTED GLOBAL)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION ${path})
endfunction()
function(zephyr_include_directories)
  foreach(folder ${ARGN})
    get_filename_component(whole ${folder} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
    set_property(GLOBAL APPEND PROPERTY include_folders ${whole})
  endforeach()
endfunction()
add_subdirectory(../elsewhere/afib_model/zephyr module)
get_property(folders GLOBAL PROPERTY include_folders)
add_executable(app app.c)
target_include_directories(app PRIVATE ${folders})
target_link_libraries(app PRIVATE afib_model)
"""


@pytest.mark.parametrize("codegen", ["c", "object"])
def test_zephyr_module_with_stand_ins_for_its_functions(
    codegen: str, export: Export, unpack: Unpack, tmp_path: Path
) -> None:
    unpack(export(codegen=codegen))
    app = tmp_path / "app"
    app.mkdir()
    (app / "CMakeLists.txt").write_text(ZEPHYR)
    (app / "app.c").write_text(
        '#include "afib/model.h"\nint main(void) { return afib_model_run(0, 0, 0) + 1; }\n'
    )
    run_tool("cmake", "-B", "build", cwd=app)
    run_tool("cmake", "--build", "build", cwd=app)
    run_tool(app / "build" / "app")


@pytest.fixture
def board() -> Target:
    need("arm-none-eabi-gcc", "arm-none-eabi-ar", "qemu-system-arm")
    return load_target("corstone300_m55")


CROSS = "-DCMAKE_TOOLCHAIN_FILE=cmake/arm-none-eabi.cmake"


@pytest.mark.device
@pytest.mark.usefixtures("board")
@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("corstone300_m55", "squeeze_excite"),
        ("corstone300_m55", "softmax"),
        ("cortex_m55_large", "conv_strided"),
        ("cortex_m4", "squeeze_excite"),
        ("cortex_m7", "squeeze_excite"),
        ("cortex_m33", "squeeze_excite"),
    ],
)
def test_object_on_the_emulator(option: str, name: str, export: Export, unpack: Unpack) -> None:
    library = unpack(export(name, codegen="object", target=load_target(option)))
    assert "afib_model golden test: 4 of 4 windows equal" in check_library(library, CROSS)


@pytest.mark.device
@pytest.mark.usefixtures("board")
def test_object_for_a_core_without_emulator_is_built(export: Export, unpack: Unpack) -> None:
    library = unpack(export(codegen="object", target=load_target("cortex_m85")))
    run_tool("cmake", "-B", "build", CROSS, cwd=library)
    run_tool("cmake", "--build", "build", cwd=library)
    assert (library / "build" / "test" / "afib_golden.elf").is_file()
    assert "not run here" in (library / "README.md").read_text()


@pytest.mark.device
def test_weights_of_an_object_can_be_moved(board: Target, export: Export, unpack: Unpack) -> None:
    library = unpack(export(codegen="object", target=board))
    assert "4 of 4" in check_library(library, CROSS, "-DAFIB_FROM_SOURCE=ON")
    listing = run_tool("arm-none-eabi-nm", library / "build/test/afib_golden.elf")
    (weights,) = [line for line in listing.splitlines() if line.endswith(" w0")]
    assert weights.startswith("11"), "the emulator's SSRAM, where the target puts weights"


@pytest.mark.device
def test_object_for_a_board_brings_nothing_else(board: Target, export: Export) -> None:
    folder = export("softmax", codegen="object", target=board).folder / "lib/corstone300_m55"
    text = run_tool("arm-none-eabi-nm", folder / "libafib_model.a")
    symbols = [line.split() for line in text.splitlines() if len(line.split()) >= 2]
    wanted = {words[-1] for words in symbols if words[-2] == "U"}
    assert {name for name in wanted if not name.startswith("afib_")} <= {"expf", "memcpy", "memset"}
    defined = {words[-1] for words in symbols if words[-2] in "TRDBVWC"}
    assert defined
    assert all(name.startswith("afib_") for name in defined)
    assert "fp16" not in run_tool("arm-none-eabi-objdump", "-h", folder / "afib_kernels.o")


@pytest.mark.device
def test_object_and_portable_c_agree_on_their_interface(board: Target, export: Export) -> None:
    def interface(exported: Exported) -> list[str]:
        text = (exported.folder / "include/afib/model.h").read_text()
        return re.sub(r"ARENA_BYTES \d+", "ARENA_BYTES", text).splitlines()

    assert interface(export()) == interface(export(codegen="object", target=board, output="board"))


@pytest.mark.device
@pytest.mark.parametrize("cpu", ["cortex-m4", "cortex-m33", "cortex-m0plus"])
def test_portable_c_compiles_for_other_cores(
    cpu: str, board: Target, export: Callable[..., Exported], tmp_path: Path
) -> None:
    folder = export().folder
    flags = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-ffp-contract=off", "-c")
    core = (f"-mcpu={cpu}", "-mthumb")
    for source in (folder / "src").glob("*.c"):
        output = tmp_path / f"{source.stem}.o"
        run_tool("arm-none-eabi-gcc", *flags, *core, "-I", folder / "include", "-o", output, source)
