"""Writes the reference in `docs/agents.md` from the code: `python -m gateway.agents.reference docs/agents.md`."""

from __future__ import annotations

import ast
import enum
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.agents.agent import Agent, Call, CanBeDiscarded, PreparesItself, Speech
from gateway.agents.errors import AgentUnavailableError
from gateway.agents.kinds import AgentSettings, AnyAgent, BargeInOptions, NetworkSettings, SpeakingSettings, ToolOptions
from gateway.agents.kinds.backup import BackupOptions
from gateway.agents.outcome import Done, GoTo, TransferTo
from media.conversation.events import CallEndedError, CallInfo, Event
from media.conversation.history import History
from media.conversation.utterance import Spoken
from media.leg import PlayoutFullError

BEGIN = "<!-- reference: begin; written by `make docs` -->"
END = "<!-- reference: end -->"

_WIDTH = 118
_ERRORS = (CallEndedError, PlayoutFullError, AgentUnavailableError)


def renewed(text: str) -> str:
    """The document with a new reference from the code; text outside the two marks is not changed."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def reference() -> str:
    """The whole reference, as Markdown."""
    sections = [
        (
            "An agent",
            [*_methods(Agent, "agent"), *_methods(PreparesItself, "agent"), *_methods(CanBeDiscarded, "agent")],
        ),
        ("Outcomes", [_data(one) for one in (Done, GoTo, TransferTo)]),
        ("The call", [*_properties(Call, "call"), *_methods(Call, "call")]),
        ("An utterance", [_doc(Speech), *_properties(Speech, "utterance"), *_methods(Speech, "utterance")]),
        ("Events", [_data(one, f' · `event.kind == "{one.kind}"`') for one in get_args(Event)]),
        ("Facts and results", [_data(CallInfo), *_methods(History, "call.info.history"), _data(Spoken)]),
        ("Options in gateway.yaml", list(_options())),
        (
            "Errors",
            [f"**`{one.__name__}`**: {_doc(one)}" for one in _ERRORS],
        ),
    ]
    return "\n".join(f"### {title}\n\n" + "\n\n".join(parts) + "\n" for title, parts in sections)


def _public(of: type) -> Iterator[tuple[str, Any]]:
    return ((name, member) for name, member in vars(of).items() if not name.startswith("_"))


def _properties(of: type, owner: str) -> Iterator[str]:
    for name, member in _public(of):
        if isinstance(member, property):
            kind = inspect.signature(_getter(member)).return_annotation
            yield _filled(f"**`{owner}.{name}`** (`{kind}`): {_doc(member)}")


def _getter(member: property) -> Callable[[Any], Any]:
    if member.fget is None:
        raise TypeError("a property that cannot be read")
    return member.fget


def _methods(of: type, owner: str) -> Iterator[str]:
    for name, member in _public(of):
        if inspect.isfunction(member):
            waits = "await " if inspect.iscoroutinefunction(member) else ""
            signature = re.sub(r"\(self(, )?", "(", str(inspect.signature(member)).replace("'", ""))
            yield f"**`{waits}{owner}.{name}{signature}`**\n\n{_doc(member)}"


def _data(of: type, more: str = "") -> str:
    first, *others = _doc(of).split("\n\n")
    fields = "\n".join(_fields(of))
    return "\n\n".join([_filled(f"**`{of.__name__}`**{more}: {first}"), *others, *([fields] if fields else [])])


def _options() -> Iterator[str]:
    kinds = get_args(get_args(AnyAgent)[0])
    yield _section("**Every kind**", "", AgentSettings)
    yield _section("**Every kind but `echo`**", "", SpeakingSettings)
    yield _section("**`barge_in`**", _doc(BargeInOptions), BargeInOptions)
    yield _section("**Kinds over the network**", _doc(NetworkSettings), NetworkSettings)
    for kind in kinds:
        yield _section(f"**`kind: {kind.model_fields['kind'].default}`**", _doc(kind), kind)
    yield _section("**`backup`**", _doc(BackupOptions), BackupOptions)
    yield _section("**`tools`**", _doc(ToolOptions), ToolOptions)


def _section(title: str, about: str, of: type[BaseModel]) -> str:
    options = [
        _item(f"`{field.alias or name}`{_default(name, field)}{words}")
        for name, _, words in _annotated(of)
        if name != "kind" and (field := of.model_fields[name])
    ]
    return "\n\n".join([_filled(f"{title}: {about}" if about else title), *(["\n".join(options)] if options else [])])


def _default(name: str, field: FieldInfo) -> str:
    """The default value of an option, as it would be written in `gateway.yaml`."""
    value = field.default
    match value:
        case _ if field.is_required():
            return " (required)"
        case _ if value is None or value == {} or isinstance(value, BaseModel):
            return ""
        case enum.Enum():
            return f" ({value.value})"
        case str() | dict():
            return f" ({_plain(value)})"
        case _:
            if name.endswith("_ms"):
                return f" ({value}ms)" if value % 1000 else f" ({value // 1000}s)"
            return f" ({value:g}s)" if name.endswith("_s") else f" ({value:g})"


def _plain(value: str | dict[str, str]) -> str:
    return value if isinstance(value, str) else ", ".join(f"{name}: {one}" for name, one in value.items())


def _fields(of: type) -> Iterator[str]:
    """Each field of a dataclass, with the text below it in the source."""
    for name, annotation, words in _annotated(of):
        yield _item(f"`{name}` (`{annotation}`){words}")


def _annotated(of: type) -> Iterator[tuple[str, str, str]]:
    """Each annotated name of a class, its annotation, and the text below it in the source."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(of))).body
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{of.__name__} is not a class")
    for statement, below in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and not ast.unparse(statement.annotation).startswith("ClassVar"):
            words = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
            about = f": {' '.join(str(words).split())}" if words else ""
            yield ast.unparse(statement.target), ast.unparse(statement.annotation), about


def _doc(of: object) -> str:
    text, _, raises = inspect.cleandoc(of.__doc__ or "").partition("\n\nRaises:\n")
    faults = re.split(r"\n(?=\S)", textwrap.dedent(raises)) if raises else []
    paragraphs = [_filled(paragraph) for paragraph in text.split("\n\n")]
    items = [_item(re.sub(r"^(\w+)", r"Raises `\1`", fault)) for fault in faults]
    return "\n\n".join([*paragraphs, *(["\n".join(items)] if items else [])])


def _filled(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False)


def _item(text: str) -> str:
    filled = textwrap.fill(" ".join(text.split()), _WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return "- " + filled.replace("\n", "\n  ")


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(renewed(document.read_text()))
