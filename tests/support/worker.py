"""The ingest function in its own process, which can be killed at any step: `start` starts the process, `finish` waits
for its answer.

A step changes something outside the process: a call of an S3 store, a publication, or an operation on a file of a
folder. Nothing that outlives the process changes between two steps. A kill before each step, and after the last,
therefore covers every possible kill.
"""

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from errno import ENOSPC
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NamedTuple

from anomalake.functions import ingest as function
from anomalake.functions import settings
from anomalake.lake.ingest import Message
from anomalake.lake.store import RetryPolicy, Store, open_store

# Forked from a process that has imported all modules and has used none of them: a start needs about 20 ms.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["anomalake.functions.ingest", "obstore.store", "filelock", "boto3", "pandas"])

Fault = Literal["kill", "no space"]


class Plan(NamedTuple):
    """The fault of a worker: which fault at which step (from 1; 0: none), and its retry policy for S3."""

    step: int = 0
    fault: Fault = "kill"
    retry_policy: RetryPolicy | None = None


NOTHING = Plan()


class Answer(NamedTuple):
    """The IDs of the messages that the function returned to SQS, and the number of steps.

    A kill at the step after the last is a kill before the answer.
    """

    failed: tuple[str, ...]
    steps: int


class Worker(NamedTuple):
    """A running process."""

    process: Any
    answers: Connection


def start(batches: Sequence[Sequence[Message]], environment: dict[str, str], plan: Plan = NOTHING) -> Worker:
    """Start a process that gives the batches to the function, one after the other."""
    receiver, sender = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_work, args=(batches, environment, plan, sender), daemon=True)
    process.start()
    sender.close()
    return Worker(process, receiver)


def finish(worker: Worker, seconds: float = 120) -> Answer | None:
    """Return the answer of the function, or None if its process was killed."""
    try:
        answer: Answer | None = worker.answers.recv() if worker.answers.poll(seconds) else None
    except EOFError:
        answer = None
    worker.answers.close()
    if worker.process.exitcode is None:
        worker.process.join(5)
    if worker.process.exitcode is None:
        worker.process.kill()
        raise AssertionError(f"a worker was not done after {seconds} s")
    assert worker.process.exitcode <= 0, "a worker ended by an error (see standard error)"
    return answer


def deliver(batches: Sequence[Sequence[Message]], environment: dict[str, str], plan: Plan = NOTHING) -> Answer | None:
    """Start a worker and wait for its answer."""
    return finish(start(batches, environment, plan))


def of_sqs(batch: Sequence[Message]) -> dict[str, Any]:
    """Return the batch as the event that SQS sends to the function."""
    return {"Records": [{"eventSource": "aws:sqs", "messageId": message.id, "body": message.body} for message in batch]}


def _work(batches: Sequence[Sequence[Message]], environment: dict[str, str], plan: Plan, answers: Connection) -> None:
    os.environ.update(environment)
    os.getpid = lambda: 7  # type: ignore[assignment]  # as in containers, where the process that comes next has the id of the one that was killed
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())  # the function's log
    if plan.retry_policy is not None:
        function.BATCH_RETRY_POLICY = plan.retry_policy
    steps = _Steps(plan)
    lake, publish = environment["ANOMALAKE_LAKE"], function.publish_notification
    if lake.startswith("s3://"):
        settings.open_store = lambda name, **more: _Stepped(open_store(name, **more), steps)  # type: ignore[assignment,return-value]
    else:
        steps.watch(lake)

    def publish_in_steps(topic: str, notice: Any) -> None:
        steps.next()
        publish(topic, notice)

    function.publish_notification = publish_in_steps
    failed = [
        item["itemIdentifier"]
        for batch in batches
        for item in function.handler(of_sqs(batch), None)["batchItemFailures"]
    ]
    answer = Answer(tuple(failed), steps.taken)
    if plan.fault == "kill":
        steps.next()  # all work is done except for the answer
    answers.send(answer)


class _Steps:
    """Counts steps and causes the planned fault."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self.taken = plan, 0

    def _is_due(self) -> bool:
        self.taken += 1
        return self.taken == self._plan.step

    def next(self) -> None:
        """Count a step that comes next, and cause the fault if it is planned for this step."""
        if self._is_due():
            if self._plan.fault == "kill":
                signal.raise_signal(signal.SIGKILL)
            raise OSError(ENOSPC, "No space left on device")

    def _next_write(self) -> None:
        """Count a write that comes next. The planned fault occurs in the middle of it: a kill, or a full disk."""
        if self._is_due():
            if self._plan.fault == "kill":
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                signal.signal(
                    signal.SIGXFSZ, signal.SIG_DFL
                )  # Python ignores this signal, and raises OSError at the write
            resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))  # bytes

    def watch(self, lake: str) -> None:
        """Count every operation on a file below the folder as a step."""

        def watched(event: str, args: tuple[Any, ...]) -> None:
            if not args or not str(args[0]).startswith(lake):
                return
            if event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR):
                self.next()
                self._next_write()
            elif event in {"os.link", "os.rename", "os.remove"} or (event == "os.mkdir" and not Path(args[0]).exists()):
                self.next()

        sys.addaudithook(watched)


class _Stepped:
    """A store whose calls are steps."""

    def __init__(self, inner: Store, steps: _Steps) -> None:
        self._inner, self._steps = inner, steps

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._inner, name)

        def stepped(*args: Any, **more: Any) -> Any:
            self._steps.next()
            return call(*args, **more)

        return stepped
