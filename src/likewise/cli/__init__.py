"""The command line: one file a verb; here they are put together, and errors become exit codes.

A verb's file parses, calls and prints. Nothing heavy is imported before a verb runs.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from contextvars import copy_context
from typing import Annotated, Any, TextIO

import typer

from likewise import __version__
from likewise.cli.check import check
from likewise.cli.convert import convert
from likewise.cli.data import data_app
from likewise.cli.demo import demo
from likewise.cli.evaluate import evaluate
from likewise.cli.inspect import inspect
from likewise.cli.label import label
from likewise.cli.learn import learn
from likewise.cli.merge import merge
from likewise.cli.methods import methods
from likewise.cli.printing import printable, say
from likewise.cli.refine import refine
from likewise.cli.suggest import suggest
from likewise.cli.train import train
from likewise.cli.verify import verify
from likewise.cli.weights import weights_app
from likewise.errors import LikewiseError

EXIT_CODES = {
    0: "done",
    1: "a defect of Likewise, or golden files that do not agree",
    2: "usage: an option or name that does not exist or does not fit",
    3: "weights are missing",
    4: "bad input: a file cannot be used",
    5: "done, but some images failed",
    130: "interrupted",
}
DEFECT, USAGE, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="likewise",
    help="Label a few images; Likewise labels the rest the same way.",
    epilog="\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items()),  # \b: do not wrap
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: it reads the same in a pipe, and [default: x] is not taken for markup
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.command("label")(label)
app.command("merge")(merge)
app.command("learn")(learn)
app.command("refine")(refine)
app.command("suggest")(suggest)
app.command("inspect")(inspect)
app.command("check")(check)
app.command("convert")(convert)
app.add_typer(weights_app, name="weights")
app.command("methods")(methods)
app.command("evaluate")(evaluate)
app.add_typer(data_app, name="data")
app.command("verify")(verify)
app.command("train")(train)
app.command("demo")(demo)

# what typer raises for a command line that it cannot parse; where this class lives differs between its versions
_ParseError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"likewise {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")] = False,
) -> None:
    """Label a few images; Likewise labels the rest the same way."""
    del version


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of a command line, by default this process's; errors are printed on stderr in three parts."""
    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it says of damaged files is in our error
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _print_warning
            given = None if arguments is None else list(arguments)
            code = copy_context().run(app, args=given, prog_name="likewise", standalone_mode=False)  # a limit that a verb sets ends with it
        sys.stdout.flush()
    except _ParseError as error:
        return _parse_error(error)
    except LikewiseError as error:
        return _report(error, error.what, error.where, error.remedy, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):  # the latter is what typer makes of the former: the reader has had enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 (kept open until the process ends)
        return 0
    except Exception as error:
        remedy = "Please report it; LIKEWISE_DEBUG=1 shows the traceback"
        return _report(error, f"a defect of Likewise: {type(error).__name__}: {error}", _place(error), remedy, DEFECT)
    return code if isinstance(code, int) else 0


def _print_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None) -> None:
    """A warning as a sentence, without the place in the code that Python adds."""
    del category, filename, lineno, line
    print(f"warning: {printable(str(message))}", file=file or sys.stderr)


def _parse_error(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
        print(error.format_message(), file=sys.stderr)
        return USAGE
    command = error.ctx.command_path if getattr(error, "ctx", None) else "likewise"
    near = sorted(getattr(error, "possibilities", None) or ())
    remedy = f"did you mean {' or '.join(near)}?" if near else f"Type `{command} --help`"
    message = error.message if near else error.format_message()
    return _report(error, message.rstrip("."), command, remedy, USAGE)


def _report(error: BaseException, what: str, where: str, remedy: str, code: int) -> int:
    """Print what, where and remedy on stderr; return the exit code, or raise where a traceback was asked for."""
    if os.environ.get("LIKEWISE_DEBUG"):
        raise error
    say(f"error: {what}", aside=True)
    for name, text in (("where", where), ("remedy", remedy)):
        if text:
            say(f"  {name}: {text}", aside=True)
    return code


def _place(error: BaseException) -> str:
    """The line of code where an unexpected error arose."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}" if trace is not None else ""
