"""Programs in processes of their own that have the library already: an import of torch takes seconds, a fork does not.

One process, started with the first program, imports the library and does nothing else; each program is a fork of it,
and ends as a process of Python does. What is decided before a library is imported (how strings are hashed, which
streams there are, what an import brings) is no matter for these: that needs ``subprocess``.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

COMMAND_LINE = "import runpy; runpy.run_module('psinn_fast', run_name='__main__', alter_sys=True)"

CALL = """
import pathlib, pickle, sys
sys.path[:] = {path!r}
given, result = map(pathlib.Path, sys.argv[1:])
function, arguments = pickle.loads(given.read_bytes())
try:
    value = function(*arguments)
except Exception as error:
    value = error
result.write_bytes(pickle.dumps(value))
"""


def run_program(
    code: str,
    *arguments: str,
    cwd: Path | str = ".",
    timeout: float = 120,
    meanwhile: Callable[[int], None] = lambda process: None,
    out: str | None = None,
    err: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """What ``python -c code arguments`` does, in the environment of this moment; ``meanwhile`` gets its process id.

    ``out`` and ``err`` are files instead of what is captured; "" is a stream that is closed.
    """
    with tempfile.TemporaryDirectory() as folder:
        captured = {1: Path(folder, "out"), 2: Path(folder, "err")}
        job = {
            "code": code,
            "arguments": arguments,
            "cwd": str(Path(cwd).absolute()),
            "environment": dict(os.environ),
            "streams": [str(captured[k]) if file is None else file for k, file in ((1, out), (2, err))],
        }
        server = _server()
        server.stdin.write(json.dumps(job) + "\n")
        server.stdin.flush()
        process = int(_line(server, timeout))
        try:
            meanwhile(process)
            status = int(_line(server, timeout))
        except BaseException:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            _line(server, timeout)
            raise
        texts = [path.read_text() if path.exists() else "" for path in captured.values()]
    return subprocess.CompletedProcess([code, *arguments], status, *texts)


def called_elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns or raises in a process to which it and its arguments come as a pickle."""
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder, "given"), Path(folder, "result")
        given.write_bytes(pickle.dumps((function, arguments)))
        done = run_program(CALL.format(path=sys.path), str(given), str(result))
        assert done.returncode == 0, done.stderr
        value = pickle.loads(result.read_bytes())
    if isinstance(value, Exception):
        raise value
    return value


def _line(server: Any, timeout: float) -> str:
    with selectors.DefaultSelector() as selector:
        selector.register(server.stdout, selectors.EVENT_READ)
        if not selector.select(timeout):
            raise subprocess.TimeoutExpired("a program", timeout)
    line: str = server.stdout.readline()
    assert line, "the process that programs are forked from has ended"
    return line


@functools.cache
def _server() -> Any:
    pipe = subprocess.PIPE
    server = subprocess.Popen([sys.executable, __file__], stdin=pipe, stdout=pipe, text=True, start_new_session=True)
    atexit.register(server.communicate)  # it ends where its input does
    return server


def _serve() -> dict[str, Any] | None:
    """The process that forks gets None at the end, each fork of it its program."""
    gc.disable()
    import psinn_fast.cli.commands  # noqa: F401

    gc.freeze()  # a fork that looks for garbage there, as it ends, copies all of it: most of a second
    gc.enable()
    for line in sys.stdin:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks where there are threads, by Python 3.12
            process = os.fork()
        if process == 0:
            job: dict[str, Any] = json.loads(line)
            return job
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
    return None


def _become(job: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["cwd"])
    sys.argv = ["-c", *job["arguments"]]
    sys.path[0] = ""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = os.fdopen(0, closefd=False)
    for number, file in enumerate(job["streams"], 1):
        os.close(number)
        if file:
            opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    sys.stdout, sys.stderr = (
        os.fdopen(number, "w", closefd=False, errors=errors) if file else None  # type: ignore[assignment]
        for number, file, errors in zip((1, 2), job["streams"], ("strict", "backslashreplace"), strict=True)
    )


if __name__ == "__main__" and (job := _serve()) is not None:
    _become(job)
    exec(compile(job["code"], "<string>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
