"""The page about Core ML names every rule and every switch, in the words of the code."""

from pathlib import Path

from headway.coreml.update.semantics import CHOICES, REASONS, Semantics
from headway.coreml.validator import RULES

PAGE = (Path(__file__).parents[2] / "docs" / "coreml.md").read_text(encoding="utf-8")


def test_every_rule_is_explained():
    for rule, meaning in RULES.items():
        assert f"| `{rule}` | {meaning} |" in PAGE


def test_every_switch_is_explained_and_defaults_come_first():
    for switch, reason in REASONS.items():
        assert f"| `{switch}` | **{str(CHOICES[switch][0]).lower()}**" in PAGE
        assert reason in PAGE
        assert getattr(Semantics(), switch) == CHOICES[switch][0]
