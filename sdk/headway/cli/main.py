"""The program ``headway``: finds the group of commands, runs it, and turns errors into sentences and exit codes.

Groups are loaded only when they are called; listing them costs nothing but this file.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from headway import __version__
from headway.cli.output import explain_missing_extra, print_error
from headway.contract.errors import HeadwayError
from headway.contract.problems import exit_code_of

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Group:
    """Where a group of commands lives, what it is for, and the extra it needs beyond a bare install."""

    module: str
    summary: str
    extra: str | None = None


GROUPS: dict[str, Group] = {
    "demo": Group("headway.cli.demo", "The whole loop on real text: publish, roll out, personalise, recall.", "demo"),
    "keys": Group("headway.cli.keys", "Create and care for an app's signing keys."),
    "bases": Group("headway.cli.bases", "Publish and list bases.", "sim"),
    "heads": Group("headway.cli.heads", "Publish, list, revoke and describe heads.", "sim"),
    "prove": Group("headway.cli.prove", "Run a head's golden batch through bases and show every figure.", "sim"),
    "proofs": Group("headway.cli.proofs", "Which head was proven on which base; prove it again."),
    "channels": Group("headway.cli.channels", "Offer releases on channels, recall them, stop personalising."),
    "rollout": Group("headway.cli.rollout", "Watch a rollout; advance, hold or halt it."),
    "search": Group("headway.cli.search", "Find releases by name, label, alias, digest, state or date."),
    "webhooks": Group("headway.cli.webhooks", "Tell other programs what happens to an app."),
    "poll": Group("headway.cli.poll", "Poll a registry once, as a device would."),
    "explain": Group("headway.cli.explain", "Why would this device get, or not get, a release?"),
    "simulate": Group("headway.cli.simulate", "Rehearse an update with a fleet of simulated devices.", "demo"),
    "report": Group("headway.cli.report", "Turn a simulation's result into a page.", "demo"),
    "coreml": Group("headway.cli.coreml", "Validate, inspect, run and train Core ML models on Linux.", "sim"),
    "train": Group("headway.cli.train", "Make a base and its heads from a teacher and text.", "trainer"),
    "server": Group("headway.cli.server", "Run and look after a registry.", "server"),
    "doctor": Group("headway.cli.doctor", "Check what this installation can do."),
    "env": Group("headway.cli.env", "Show the effective settings and where each comes from."),
}


class LazyGroup(TyperGroup):
    """Lists :data:`GROUPS` by their summaries and imports one only when it is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # Stand-ins with the summary alone: enough for help, completion and "did you mean".
        self.commands = {name: TyperCommand(name=name, help=group.summary) for name, group in GROUPS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command, imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in GROUPS:
            command = load_group(name)
        return name, command, rest


def load_group(name: str) -> Any:
    """Import the group ``name`` of :data:`GROUPS`; raises ``missing_extra``."""
    group = GROUPS[name]
    try:
        module = importlib.import_module(group.module)
    except ModuleNotFoundError as error:
        raise explain_missing_extra(error, group.extra) from error
    command = typer.main.get_command(module.app)
    command.name = name
    _capitalise(command)
    return command


def _capitalise(command: Any) -> None:
    """Write the placeholders of arguments in capitals, as in the documentation."""
    for parameter in command.params:
        if parameter.param_type_name == "argument" and not parameter.metavar:
            parameter.metavar = parameter.name.upper().replace("_", "-")
    for child in getattr(command, "commands", {}).values():
        _capitalise(child)


app = typer.Typer(
    cls=LazyGroup,
    name="headway",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Ship updatable Core ML classifier heads over the air: signed, proven, staged, reversible.",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"headway {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options that come before the group."""


def main() -> None:
    """Run the command line and exit with the code that 'Exit codes' in the documentation names."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run ``headway`` with ``arguments``; returns its exit code. Errors are printed, never raised."""
    try:
        result = typer.main.get_command(app).main(args=arguments, prog_name="headway", standalone_mode=False)
    except HeadwayError as error:
        print_error(error)
        return exit_code_of(error)
    except ModuleNotFoundError as error:
        missing = explain_missing_extra(error, None)
        print_error(missing)
        return exit_code_of(missing)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("Interrupted.\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has seen enough; point stdout elsewhere so that the exit flush stays silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # A folder that is not there, a full disk: the system's own words, and no page of code.
        from headway.cli.files import cannot_use

        print_error(cannot_use(error.filename, error))
        return EXIT_FAILED
    except Exception as error:
        if not _is_usage_error(error):
            raise
        return _show_usage_error(error)
    return result if isinstance(result, int) else 0


def _is_usage_error(error: Exception) -> bool:
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _show_usage_error(error: Any) -> int:
    """Usage errors of the command parser: it prints them itself, with the usage line and a suggestion."""
    error.show(file=sys.stderr)
    return int(error.exit_code)
