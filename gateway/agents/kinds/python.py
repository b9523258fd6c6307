"""A user's own class as an agent: named by `module:Class`, and checked at start, before any call."""

from __future__ import annotations

import copy
import importlib
import inspect
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field

from gateway.agents.agent import Agent
from gateway.agents.errors import AgentSetupError
from gateway.agents.isolation import Isolation
from gateway.agents.kinds.settings import Maker, SpeakingSettings
from gateway.loglines.values import described
from gateway.settings.context import AnyPath
from gateway.settings.document import PathStep, typed
from gateway.settings.validation import fault
from gateway.settings.values import PositiveSeconds


def _entry(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", value):
        raise fault("not module:Class", "write the place of the class, such as mycompany.agents:Receptionist")
    return str(value) if isinstance(value, str) else value


class PythonSettings(SpeakingSettings):
    """A user's own class with one coroutine, `run(call)`."""

    kind: Literal["python"] = "python"
    class_path: Annotated[str, BeforeValidator(_entry)] = Field(alias="class")
    """`module:Class`, imported when the gateway starts."""
    directory: AnyPath | None = None
    """The directory of the module and of what it imports; without it, the module must be on Python's path."""
    options: Annotated[dict[str, Any], BeforeValidator(typed)] = Field(default={}, validate_default=False)
    """Keyword arguments of the class, any YAML; each call gets its own copy."""
    prepare_timeout_s: PositiveSeconds = Field(default=5.0, alias="prepare_timeout")
    """How long `prepare`, if the class has one, may take before the call is answered."""
    isolation: Isolation = Isolation.THREAD
    """`thread`: each call has its own thread; `none`: on the gateway's loop, for agents that never block."""

    @property
    def where(self) -> Isolation:
        """Where it runs."""
        return self.isolation

    def maker(self, name: str) -> Maker:
        """Return what makes the agent of one call; making it may block or raise, as the user's class does.

        Raises:
            AgentSetupError: says what is wrong with the class, and the fix.
        """
        user_class = load_class(name, self)
        # A copy for each call: if an agent changes a list in its options, later calls must not see the change.
        prepares = hasattr(user_class, "prepare")
        return Maker(lambda: user_class(**copy.deepcopy(self.options)), self.prepare_timeout_s if prepares else None)

    def named_files(self) -> Iterator[tuple[tuple[PathStep, ...], Path]]:
        """The file of the module, if `directory` is set."""
        if self.directory is not None:
            module = self.directory.joinpath(*self.class_path.partition(":")[0].split("."))
            yield ("directory",), module / "__init__.py" if module.is_dir() else module.with_suffix(".py")


def load_class(agent: str, settings: PythonSettings) -> Callable[..., Agent]:
    """Import the class and check that it can be made with the options and run.

    Raises:
        AgentSetupError: says what is wrong, and the fix; an error of the module itself is its cause.
    """
    module_name, _, class_name = settings.class_path.partition(":")
    module = _import(agent, module_name, settings)
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        classes = sorted(name for name, value in vars(module).items() if inspect.isclass(value))
        there = f"; it has {', '.join(classes)}" if classes else ""
        raise AgentSetupError(agent, "class", f"module {module_name!r} has no class {class_name!r}{there}")
    run = getattr(found, "run", None)
    if not inspect.iscoroutinefunction(run):
        raise AgentSetupError(agent, "class", f"{settings.class_path} lacks 'async def run(self, call)': add it")
    _check_signature(agent, settings, found)
    _check_prepare(agent, settings, found)
    return cast("Callable[..., Agent]", found)


def _import(agent: str, module_name: str, settings: PythonSettings) -> ModuleType:
    if settings.directory is not None:
        if not settings.directory.is_dir():
            raise AgentSetupError(agent, "directory", f"{settings.directory} is not a directory")
        path = str(settings.directory)
        if path in sys.path:
            sys.path.remove(path)
        sys.path.insert(0, path)  # first: directories of other agents may have a module of this name
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a module that calls sys.exit() would end the gateway with success
        if (library := _missing_library(error, module_name)) is not None:
            raise AgentSetupError(agent, "class", _install(module_name, library, settings.directory)) from error
        where = settings.directory or "the installed packages (set 'directory' to the directory of your module)"
        message = f"cannot import {module_name!r} from {where}: {described(error)}"
        if isinstance(error, ModuleNotFoundError) and error.name == module_name and settings.directory is not None:
            there = ", ".join(sorted(file.stem for file in settings.directory.glob("*.py"))[:10])
            message = f"there is no module {module_name!r} in {where}; it has {there or 'no modules'}"
        raise AgentSetupError(agent, "class", message) from error
    if settings.directory is not None:
        _check_origin(agent, module_name, module, settings.directory)
    return module


def _missing_library(error: BaseException, module_name: str) -> str | None:
    """The library that the module imports and that is not installed; None if the error has another cause."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return None
    library = error.name.partition(".")[0]
    return None if library in {module_name.partition(".")[0], *sys.modules} else library


def _install(module_name: str, library: str, directory: Path | None) -> str:
    target = "" if directory is None else f" --target {shlex.quote(str(directory))}"
    sudo = "" if os.access(directory or sys.prefix, os.W_OK) else "sudo "
    command = f"{sudo}{shlex.quote(sys.executable)} -m pip install{target} {library}"
    return (
        f"{module_name!r} imports {library!r}, which is not installed: {command} "
        "(or the name of the package that contains it)"
    )


def _check_origin(agent: str, module_name: str, module: ModuleType, directory: Path) -> None:
    """Refuse a module that has the right name but comes from another place.

    A process has only one module per name. Loading the module of each directory under a unique name would help only
    for the module itself: its imports from the directory would still share their names, and nobody would notice.
    """
    file: str | None = getattr(module, "__file__", None)
    is_package = hasattr(module, "__path__")
    if file is None and is_package:
        return  # a namespace package: it may be in several places, and has no class
    parents = Path(file or "/").parents
    depth = module_name.count(".") + is_package
    if depth < len(parents) and parents[depth].resolve() == directory.resolve():
        return
    where = file or "Python itself"
    message = f"module {module_name!r} came from {where}, not from {directory}: give your module another name"
    raise AgentSetupError(agent, "directory", message)


def _check_signature(agent: str, settings: PythonSettings, found: type) -> None:
    try:
        inspect.signature(found.run).bind(None, None)  # type: ignore[attr-defined]
    except TypeError as error:
        raise AgentSetupError(agent, "class", f"{settings.class_path}.run must take one argument, the call") from error
    try:
        inspect.signature(found).bind(**settings.options)
    except TypeError as error:
        names = ", ".join(settings.options) or "no options"  # their values may be secret
        message = f"{settings.class_path} cannot be made with {names}: {error}"
        raise AgentSetupError(agent, "options", message) from error
    except ValueError:
        return  # a class of an extension module may have no signature


def _check_prepare(agent: str, settings: PythonSettings, found: type) -> None:
    prepare = getattr(found, "prepare", None)
    if prepare is None:
        return
    if settings.isolation is Isolation.NONE and not inspect.iscoroutinefunction(prepare):
        message = f"{settings.class_path}.prepare would block all calls: make it 'async def', or set isolation: thread"
        raise AgentSetupError(agent, "class", message)
    try:
        inspect.signature(prepare).bind(None)
    except TypeError as error:
        message = f"{settings.class_path}.prepare must be a method without arguments"
        raise AgentSetupError(agent, "class", message) from error
