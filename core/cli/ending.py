"""How a command ends when it is told to, by Ctrl-C or SIGTERM: it cleans up behind itself, and says where it stands."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Final, Self

from core.errors import InvalidInputError

INTERRUPTED: Final = 130
"""What Typer makes of Ctrl-C: 128 and the number of the signal."""


class EndedError(InvalidInputError):
    """What a command says that was told to end; the cure says where it stands and how to go on."""

    code = "ended"


class Ending:
    """Takes SIGTERM as Ctrl-C while a command runs, or it would leave its drafts: half a backup, say.

    A command that has its own way with a signal (the daemon) takes it from here.
    """

    def __init__(self) -> None:
        """Nothing was told yet."""
        self._signal = signal.SIGINT
        self._is_taken = False

    def __enter__(self) -> Self:
        """Listen, where nobody else does: signals are the main thread's."""
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._told)
            self._is_taken = True
        return self

    def __exit__(self, *_: object) -> None:
        """Let go."""
        if self._is_taken and signal.getsignal(signal.SIGTERM) == self._told:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    @property
    def code(self) -> int:
        """The exit code of a command that was told to end."""
        return 128 + self._signal

    def error(self, if_ended: str) -> EndedError:
        """What to say; `if_ended`: how to go on."""
        by = "Ctrl-C" if self._signal is signal.SIGINT else self._signal.name
        return EndedError(f"ended by {by}", cure=if_ended or None)

    def _told(self, _number: int, frame: FrameType | None) -> None:
        self._signal = signal.SIGTERM
        on_interrupt = signal.getsignal(signal.SIGINT)
        if callable(on_interrupt):
            # an event loop has its own way with Ctrl-C: it ends what runs on it first
            on_interrupt(signal.SIGINT, frame)
        else:
            # a shell's background job ignores Ctrl-C, and must not ignore this
            raise KeyboardInterrupt
