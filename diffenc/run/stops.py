"""Stop signals, also where Python cannot act on them, and what the processes of a run are told.

Python runs a signal's handler between two of its own instructions: while a program compiles or
devices compute, that may be minutes away. A thread learns of the signal at once, by the number that
Python's own handler in C writes into a socket. It tells the other processes of the run, and ends
this one at a second signal. Another thread hears what the others tell: a stop is passed on to this
process as the same signal, and after the end of another process this one ends too. So it does
where devices wait for a process that does not come.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

import jax

from diffenc.run import parallel

SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Seconds until a further signal is a second wish: a launcher and a terminal may both send one.
SECOND = 1.0
GRACE = 5.0  # seconds for this process to end by itself once another has told of its end
LEAVING = 8.0  # seconds for the others to end, once this one has told them of its end
ending = threading.Event()  # this process is being ended here, and whatever else happens follows


@contextlib.contextmanager
def watched(last_words: Callable[[str, str], None] = lambda status, reason: None):
    """Act on second signals at once, and on what other processes of the run tell.

    Signals must have handlers of Python meanwhile, and this is the main thread; else nothing is
    watched.

    Args:
        last_words: last_words(status, reason) is called before this process is ended here, with
            the words that run.json has for it.
    """
    near, far = socket.socketpair()
    far.setblocking(False)
    try:
        before = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
    except ValueError:  # signals belong to the main thread
        near.close()
        far.close()
        yield
        return
    watch = _Watch(near, last_words)
    threads = [threading.Thread(target=watch.feel, daemon=True)]
    if jax.process_count() > 1:
        threads.append(threading.Thread(target=watch.hear, daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        watch.is_over.set()
        far.close()
        for thread in threads:
            thread.join()
        near.close()


class _Watch:
    """What both threads know: when a stop was asked for, and how often they asked themselves."""

    def __init__(self, near: socket.socket, last_words):
        self.is_over = threading.Event()
        self._near = near
        self._last_words = last_words
        self._first: float | None = None  # when
        self._own = 0  # signals that `hear` has sent, and `feel` not yet received

    def feel(self) -> None:
        """Receive the signals of this process until the socket is closed."""
        while numbers := self._near.recv(64):
            for number in numbers:
                if number in SIGNALS:
                    self._receive(number)

    def _receive(self, number: int) -> None:
        if self._own:
            self._own -= 1
        elif self._first is not None and time.monotonic() > self._first + SECOND:
            self._end(
                128 + number,
                "stopped",
                f"a second signal {number}: what was not yet saved is lost",
            )
        if self._first is None:
            self._first = time.monotonic()
            parallel.tell("stop", str(number))

    def hear(self) -> None:
        """Wait for what other processes tell, or for their silence, until this one is over."""
        place = 1
        while not self.is_over.is_set():
            if late := parallel.overdue():
                self._end(parallel.TRY_AGAIN, "failed", late, LEAVING)
            news = parallel.told(place, seconds=1.0)
            if news is None:
                continue
            place += 1
            if news.process == jax.process_index():
                continue
            if news.kind == "stop" and self._first is None:
                self._own += 1
                os.kill(os.getpid(), int(news.text))
            if news.kind == "end" and not self.is_over.wait(GRACE):
                status, _, reason = news.text.partition(" ")
                reason = f"{parallel.name_of(news.process)} has ended ({reason})"
                self._end(int(status) or 1, "failed", reason, LEAVING)

    def _end(self, status: int, word: str, reason: str, stay: float = 0.0) -> None:
        """End this process now, whatever it does.

        The first of a run stays for some seconds: with it ends the connection of the others, which
        would abort them before they have said why they end.
        """
        ending.set()
        print(f"error: this process ends at once: {reason}", file=sys.stderr, flush=True)
        with contextlib.suppress(Exception):
            self._last_words(word, reason)
        if parallel.is_main_process():
            time.sleep(stay)
        os._exit(status)
