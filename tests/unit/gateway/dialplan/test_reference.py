"""docs/dialplans.md names every step with its options and defaults, and every cause, as the code has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic_core import PydanticUndefined

from gateway.dialplan.control import Cause
from gateway.dialplan.load import load_text
from gateway.dialplan.run import MAX_JUMPS
from gateway.dialplan.steps import CHALLENGES, RETRY_AFTER_CODES, STEPS

DOCUMENT = (Path(__file__).parents[4] / "docs/dialplans.md").read_text()
SECTIONS = {
    found[1]: found[2] for found in re.finditer(r"^### `(\w+)`$(.*?)(?=^### |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
}
WRITTEN = {False: "`false`", None: "none", PydanticUndefined: "(required)", Cause.NORMAL: "`normal`"}


def rows(section: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line]
    return {row[0].strip("`"): row[1:] for row in cells if row[0].startswith("`")}


def test_every_step_has_its_section() -> None:
    assert set(SECTIONS) == set(STEPS)


@pytest.mark.parametrize("word", STEPS)
def test_every_option_is_described_with_its_default(word: str) -> None:
    step, section = STEPS[word], SECTIONS[word]
    described = rows(section)
    options = {field.alias or name: field for name, field in step.model_fields.items()}
    assert set(options) <= set(described)
    assert set(described) - set(options) <= {cause.value for cause in Cause}
    for name, field in options.items():
        default = described[name][0]
        if word == "reject" and name == "reason":
            assert default == "the code's own"
        else:
            assert default == WRITTEN.get(field.default, f"`{field.default}`"), name
    assert (f"- {word}: " in section) == (step.main is not None), "the short form"


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_is_described(cause: Cause) -> None:
    assert rows(SECTIONS["hangup"])[cause.value] == [str(cause.sip_code), str(cause.q850)]


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"More than {MAX_JUMPS} in one call" in SECTIONS["goto"]
    *first, last = sorted(RETRY_AFTER_CODES)
    assert f"only with {', '.join(map(str, first))} and {last}." in SECTIONS["reject"]
    assert f"except {' and '.join(map(str, sorted(CHALLENGES)))}." in SECTIONS["reject"]


def test_the_example_is_right() -> None:
    example = re.search(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert example is not None
    assert yaml.safe_load(example[1])["version"] == 1
    text = example[1].replace("sounds/sorry.wav", str(Path(__file__).parents[4] / "dialplans/sounds/sorry.wav"))
    assert load_text(text, Path("a.yaml"), agents={"receptionist"}, trunks={"carrier"}).plan.routes
