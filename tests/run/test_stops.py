"""Signals act while Python cannot: a second one at once, the first one as its handler says."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from diffenc.run import stops

ROOT = Path(__file__).resolve().parents[2]
# A compiler works like this: for long, and without a look at Python's signals.
BUSY = """
import hashlib, signal, sys
from diffenc.run import stops
def stop(number, frame):
    if sys.argv[2] == "ends":
        sys.exit(3)
stops.SECOND = 0.5
signal.signal(signal.SIGTERM, stop)
with stops.watched(lambda status, reason: print(status, reason, flush=True)):
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", int(sys.argv[1]))
    for _ in range(10**6):
        pass
"""


def start(iterations, handler):
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, str(iterations), handler],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "busy\n"
    return process


def test_a_second_signal_ends_a_process_that_compiles():
    process = start(2 * 10**9, "remembers")
    try:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # a launcher's, of the same wish
        time.sleep(1.5 * 0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGTERM
    assert output == "stopped a second signal 15: what was not yet saved is lost\n"
    assert errors.startswith("error: this process ends at once: a second signal 15")


def test_the_first_signal_acts_by_its_handler():
    process = start(10**5, "ends")
    try:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 3


def test_the_watch_leaves_nothing_behind():
    before = threading.active_count()
    with stops.watched():
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert signal.set_wakeup_fd(-1) == -1


def test_outside_the_main_thread_nothing_is_watched():
    entered = []

    def enter():
        with stops.watched():
            entered.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [True] and signal.set_wakeup_fd(-1) == -1


@pytest.fixture(autouse=True)
def _wakeup_is_free():
    yield
    signal.set_wakeup_fd(-1)
