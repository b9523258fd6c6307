"""The command line: `offhook run | check | reload | route | status | version`.

Exit codes: 0 success, 1 the configuration has faults or the command failed, 2 the command line has faults. `run` also
returns 78, when the configuration has faults.
"""

from __future__ import annotations

import argparse
import errno
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.version import version
from gateway.logs import complain, drop_unwritten, open_missing_streams
from gateway.settings.load import PATH_VARIABLE, SYSTEM_FILE, settings_path
from gateway.settings.problem import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

OK, FAILED = 0, 1
_UNWRITABLE = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Usage errors raise SystemExit(2), as usual with argparse."""
    open_missing_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # like standard error: a terminal may lack umlauts
    args = _parse(arguments)
    try:
        if args.command == "version":
            sys.stdout.write(f"offhook {version()}\n")
            code = OK
        else:
            code = _command(args.command, settings_path(args.config), args)
        sys.stdout.flush()
    except ConfigurationError as error:
        complain(f"{error}\n")
        return FAILED
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        drop_unwritten(sys.stdout)
        if error.errno != errno.EPIPE:  # a reader such as `head` has closed the pipe
            complain(f"cannot write standard output: {error.strerror}\n")
        return FAILED
    return code


def _command(command: str, path: Path | None, args: argparse.Namespace) -> int:
    """Import only the module of the given command: `check` needs no SIP stack."""
    match command:
        case "run":
            from gateway.cli.run import run  # noqa: PLC0415 - as the docstring says

            return run(path, args)
        case "status":
            from gateway.cli.status import status  # noqa: PLC0415 - as the docstring says

            return status(path, args)
        case "reload":
            from gateway.cli.reload import reload  # noqa: PLC0415 - as the docstring says

            return reload(path, args)
        case "check":
            from gateway.cli.check import check  # noqa: PLC0415 - as the docstring says

            return check(path, args)
        case _:
            from gateway.cli.route import route  # noqa: PLC0415 - as the docstring says

            return route(path, args)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    outer = parser()
    args, rest = outer.parse_known_args(arguments)
    if getattr(args, "file", None) is not None:
        if args.config is not None:
            outer.error("argument FILE: not allowed with argument --config")
        args.config = args.file
    if rest:
        message = f"unrecognized arguments: {' '.join(rest)}"
        if args.config is None and Path(rest[0]).suffix in {".yaml", ".yml"}:
            message += f"; name the settings file with --config {rest[0]}"
        outer.error(message)
    return args


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    config = argparse.ArgumentParser(add_help=False)
    config.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"settings; else ${PATH_VARIABLE}, else {SYSTEM_FILE} if it exists, else the embedded default",
    )
    description = "A telephony gateway: agents answer calls from SIP trunks."
    outer = argparse.ArgumentParser(prog="offhook", description=description)
    outer.add_argument("--version", action="version", version=f"offhook {version()}")
    commands = outer.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", parents=[config], help="take calls until SIGTERM")
    check = commands.add_parser(
        "check", parents=[config], help="report faults in settings and dialplans that can be found without a network"
    )
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help="the same as --config FILE: a gateway.yaml")
    _route_arguments(commands.add_parser("route", parents=[config], help="show which route a call would take, and why"))
    status = commands.add_parser(
        "status", parents=[config], help="show trunks, calls and limits of the running gateway"
    )
    status.add_argument("--json", action="store_true", help="print JSON, for programs")
    commands.add_parser("reload", parents=[config], help="make the running gateway read its dialplans again")
    commands.add_parser("version", parents=[config], help="show the version")
    return outer


def _route_arguments(route: argparse.ArgumentParser) -> None:
    route.add_argument("--to", required=True, metavar="NUMBER", help="the called number, name or SIP URI")
    route.add_argument(
        "--from", default="", dest="from_", metavar="NUMBER", help="the caller's number, name or SIP URI"
    )
    route.add_argument("--trunk", metavar="NAME", help="the trunk that the call comes over")
    route.add_argument(
        "--header",
        action="append",
        default=[],
        type=header,
        dest="headers",
        metavar="'NAME: VALUE'",
        help="a header of the INVITE; may be given several times",
    )
    route.add_argument("--json", action="store_true", help="print JSON, for programs")


def header(text: str) -> tuple[str, str]:
    """Split `X-Tier: gold` into name and value.

    Raises:
        ArgumentTypeError: there is no colon, or no name before it, or a space in the name.
    """
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or any(letter.isspace() for letter in name.strip()):
        message = f"{text!r} is not a header; write 'X-Tier: gold'"
        raise argparse.ArgumentTypeError(message)
    return name.strip(), value.strip()
