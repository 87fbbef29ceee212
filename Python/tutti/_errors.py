"""Errors of the library as exceptions."""

from __future__ import annotations

from typing import Any, Optional

from ._enums import Code
from ._library import Error, library


class TuttiError(Exception):
    """A call that failed, with who noticed, who is at fault, why, and what to do. Its text says all of that.

    - code: the kind of error.
    - rank: the rank that noticed; None outside a communicator.
    - peer: the rank at fault, or waited for; None when no single one is.
    - step: the step of the algorithm that could not go on; None when not known.
    - operation: such as "all-reduce sum float32 x 1024 (ring)"; empty outside a call.
    - operation_number: of the call on its communicator, from 1; 0 outside a call.
    - transport: "tcp", "shm" or "rdma" where one failed, else empty.
    - system_error: the errno of the system call that failed; 0 when none did.
    - message: what happened, in one sentence.
    - advice: what can be done.
    - cause: the error that led to this one; None when there is none.
    """

    code: Code
    rank: Optional[int]
    peer: Optional[int]
    step: Optional[int]
    operation: str
    operation_number: int
    transport: str
    system_error: int
    message: str
    advice: str
    cause: Optional[TuttiError]

    def __init__(self, text: str, fields: dict[str, Any]):
        # Both are arguments, so that the exception can be pickled: processes hand theirs to one another.
        super().__init__(text, fields)
        self.__dict__.update(fields)
        self.__cause__ = fields["cause"]

    def __str__(self) -> str:
        return str(self.args[0])


def _error(report: Error) -> TuttiError:
    """Copies a report, whose texts are the library's only until the next error."""

    def known(number: int) -> Optional[int]:
        return None if number < 0 else int(number)

    fields = {
        "code": Code(report.code),
        "rank": known(report.rank),
        "peer": known(report.peer),
        "step": known(report.step),
        "operation_number": int(report.operation_number),
        "system_error": int(report.system_error),
        "cause": _error(report.cause.contents) if report.cause else None,
    }
    for name in ("operation", "transport", "message", "advice"):
        fields[name] = getattr(report, name).decode("utf-8", "replace")
    return TuttiError(report.text.decode("utf-8", "replace"), fields)


def last_error() -> TuttiError:
    """Returns the last error of a call on this thread."""
    return _error(library.tutti_error_last().contents)


def check(code: int) -> None:
    """Raises the last error of this thread, unless the call whose code this is succeeded."""
    if code != 0:
        raise last_error()
