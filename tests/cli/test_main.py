import json
import subprocess
import sys
import warnings

import pytest
import typer

from likewise import __version__
from likewise.cli import EXIT_CODES, app, main
from likewise.errors import ImageError, InputError, LikewiseError, OutputError, PartialFailureError, TaskFileError, UsageError, WeightsError

VERBS = ["label", "learn", "inspect", "weights", "methods", "verify", "demo"]


def test_help_lists_the_verbs_and_the_exit_codes(run):
    code, out, _ = run("--help")
    assert code == 0
    for verb in VERBS:
        assert verb in out
    for number, meaning in EXIT_CODES.items():
        assert f"{number}  {meaning}" in out


@pytest.mark.parametrize("verb", [*VERBS, "weights list", "weights pull", "weights default"])
def test_each_verb_has_help(run, verb):
    code, out, _ = run(*verb.split(), "--help")
    assert code == 0
    assert f"Usage: likewise {verb}" in out


def test_the_version_is_printed(run):
    assert run("--version") == (0, f"likewise {__version__}\n", "")


def test_nothing_to_do_shows_the_help_and_is_a_usage_error(run):
    code, out, err = run()
    assert (code, out) == (2, "")
    assert "Commands:" in err


def test_an_unknown_verb_comes_with_the_closest_one(run):
    code, out, err = run("labl")
    assert (code, out) == (2, "")
    assert "'label'" in err


def test_an_unknown_option_comes_with_the_closest_one(run):
    code, _, err = run("learn", "x", "--methud", "ridge")
    assert code == 2
    assert "did you mean --method" in err


def test_a_missing_argument_names_the_help_to_read(run):
    code, _, err = run("inspect")
    assert code == 2
    assert "likewise inspect --help" in err


def heavy(statement):
    """Which heavy packages a fresh interpreter has loaded after a statement, and whether rich or pydantic came too."""
    script = f"import sys, json\nsys.argv = ['likewise']\n{statement}\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(done.stderr.splitlines()[-1])


HEAVY = ["torch", "cv2", "openvino", "transformers", "numpy", "PIL", "scipy", "safetensors", "huggingface_hub", "pydantic", "jinja2"]


@pytest.mark.parametrize("arguments", [["--help"], ["label", "--help"], ["learn", "--help"], ["--version"], ["methods"], ["weights", "list"]], ids=" ".join)
def test_quick_commands_load_nothing_heavy(arguments):
    found = heavy(f"from likewise.cli import main\nmain({arguments!r})")
    assert set(found) & {"torch", "cv2", "openvino", "transformers"} == set()


def test_help_loads_none_of_the_large_packages_at_all():
    assert heavy("from likewise.cli import main\nmain(['--help'])") == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LikewiseError("w"), 1),
        (UsageError("w"), 2),
        (OutputError("w"), 2),
        (WeightsError("w"), 3),
        (InputError("w"), 4),
        (ImageError("w"), 4),
        (TaskFileError("w"), 4),
        (PartialFailureError("w"), 5),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_every_kind_of_error_has_its_exit_code(breaking, error, code):
    breaking.error = error
    assert main(["break"]) == code


class Breaking:
    error: BaseException | None = None
    warning: str | None = None

    def command(self) -> None:
        if self.warning:
            warnings.warn(self.warning, UserWarning, stacklevel=1)
        if self.error is not None:
            raise self.error


@pytest.fixture
def breaking():
    """A verb `break` that raises what the test tells it to."""
    broken = Breaking()
    app.command("break")(broken.command)
    yield broken
    app.registered_commands.pop()


def test_an_error_says_what_where_and_what_to_do_and_no_traceback(breaking, run):
    breaking.error = InputError("the mask is 640x480", where="examples/3.png", remedy="Rotate it")
    assert run("break") == (4, "", "error: the mask is 640x480\n  where: examples/3.png\n  remedy: Rotate it\n")


def test_an_unexpected_error_is_called_a_defect_with_its_place(breaking, run):
    breaking.error = RuntimeError("a surprise")
    code, _, err = run("break")
    assert code == 1
    assert "a defect of Likewise: RuntimeError: a surprise" in err
    assert "test_main.py, line" in err
    assert "LIKEWISE_DEBUG" in err


def test_the_traceback_is_there_where_it_was_asked_for(breaking, monkeypatch):
    monkeypatch.setenv("LIKEWISE_DEBUG", "1")
    breaking.error = InputError("w")
    with pytest.raises(InputError):
        main(["break"])


def test_a_verbs_own_exit_code_is_kept(breaking):
    breaking.error = typer.Exit(5)
    assert main(["break"]) == 5


def test_a_warning_is_a_sentence(breaking, run):
    breaking.warning = "no example shows 'stain'"
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run("break") == (0, "", "warning: no example shows 'stain'\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
def test_a_reader_that_has_had_enough_is_no_error():
    import os

    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from likewise.cli import main; sys.exit(main(['--help']))"], stdout=pipe, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_module_can_be_run_where_the_script_is_not_on_the_path():
    found = subprocess.run([sys.executable, "-m", "likewise", "labl"], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "label" in found.stderr
