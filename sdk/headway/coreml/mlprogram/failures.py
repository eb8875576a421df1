"""The two ways a program fails to compile: it is damaged, or it asks for something not executed here.

Kept in one place so that every emitter says the same thing in the same words.
"""

from __future__ import annotations

from headway.contract.errors import IncompatibleError, RefusedError

__all__ = ["broken", "unsupported"]


def broken(what: str) -> RefusedError:
    """The error for a program that contradicts itself; *what* completes "The ML Program …"."""
    return RefusedError("program", f"The ML Program {what}.", hint="The package is damaged; export it again.")


def unsupported(op: str, output: str, why: str = "is not executed by this runtime") -> IncompatibleError:
    """The error for operation *op* whose first output is *output*: one sentence naming both."""
    return IncompatibleError(
        "unknown_op",
        f"The operation {op} that makes {output!r} {why}.",
        hint="Export the model without it, or report the operation so that it can be added.",
        op=op,
        output=output,
    )
