"""What an agent has is the same wherever it runs, and is what the documentation says."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest

from gateway.agents.agent import Call, Speech
from gateway.agents.reference import renewed
from gateway.agents.thread_call import ThreadCall, ThreadUtterance
from media.conversation.conversation import Conversation
from media.conversation.utterance import Utterance

DOCUMENT = Path(__file__).parents[4] / "docs" / "agents.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def public(of: type) -> set[str]:
    return {name for name in vars(of) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("promised", "fulfilled"),
    [(Call, Conversation), (Call, ThreadCall), (Speech, Utterance), (Speech, ThreadUtterance)],
)
def test_the_promise_is_kept_with_the_same_arguments(promised: type, fulfilled: type) -> None:
    assert not public(promised) - public(fulfilled)
    for name in public(promised):
        ours, theirs = getattr(promised, name), getattr(fulfilled, name)
        if inspect.isfunction(ours):
            parameters = [inspect.signature(one).parameters for one in (ours, theirs)]
            assert list(parameters[0].values()) == list(parameters[1].values()), name
        else:
            assert not inspect.isfunction(theirs), name


def test_an_agent_in_a_thread_has_no_more_than_the_promise() -> None:
    assert public(ThreadCall) == public(Call)


def test_the_reference_is_what_the_code_says() -> None:
    text = DOCUMENT.read_text()
    assert text == renewed(text), "run `make docs`"


@pytest.mark.parametrize("block", BLOCK.findall(DOCUMENT.read_text()), ids=lambda block: block.splitlines()[0])
def test_the_examples_are_python_and_use_what_there_is(block: str) -> None:
    ast.parse("async def run(call):\n" + textwrap.indent(block, "    "))
    assert not set(re.findall(r"\bcall\.(\w+)", block)) - public(Call)
    assert not set(re.findall(r"\banswer\.(\w+)", block)) - public(Speech)
