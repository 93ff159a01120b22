"""The supervisor side of one run in a Kubernetes cluster. See `kubernetes.py`."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from tenfold.cells import (
    Ended,
    Handlers,
    Patience,
    Placed,
    Protection,
    SupervisorSide,
    Wishes,
)
from tenfold.cells.kubernetes.api import Api, Object, kubectl, slim_api
from tenfold.cells.kubernetes.logs import LogFollower
from tenfold.cells.kubernetes.made import (
    Exists,
    create,
    create_own,
    events_of,
    forget,
    remember,
    remove,
    selector,
)
from tenfold.cells.kubernetes.names import LIFE_LABEL, TASK_LABEL
from tenfold.cells.kubernetes.objects import (
    claim,
    config_map,
    network_policy,
    secret,
    service,
    task_job,
)
from tenfold.cells.kubernetes.pod_specs import CONTAINER, Form, claim_name
from tenfold.cells.kubernetes.pods import (
    End,
    Pod,
    container_began,
    ended,
    is_ready,
    runs,
    trouble,
)
from tenfold.cells.kubernetes.watch import Ears, PodWatch
from tenfold.cells.kubernetes.yaml_text import without_comments
from tenfold.errors import TenfoldError
from tenfold.planning.plan import Plan, Task
from tenfold.run.rendezvous import announce
from tenfold.run.rundir import RunDirectory

_THREADS = 32
_EVENTS_EVERY_S = 1.0
_LOG_S = 45.0
_KILL_S = 10.0

T = TypeVar("T")


@dataclass(slots=True)
class _Life:
    """One life of a task: its Job, the latest state of its pod, and its output."""

    task: Task
    number: int
    begun: asyncio.Future[None]
    job: Object | None = None
    pod: Pod | None = None
    follower: LogFollower | None = None
    log_done: asyncio.Event = field(default_factory=asyncio.Event)
    end: End | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    told_to_end: bool = False
    noted: set[str] = field(default_factory=set)
    image_words: TenfoldError | None = None


class KubernetesCell:
    """See `tenfold.cells.Cell` for what each method promises."""

    def __init__(self, plan: Plan, run: RunDirectory, hear: Handlers, wishes: Wishes) -> None:
        self._plan = plan
        self._run = run
        self._hear = hear
        self._secrets = dict(wishes.secrets)
        self._form = Form(plan, run.run, bool(self._secrets))
        self._grace_s = max(1, math.ceil(plan.stop_grace_s))
        self._lives: dict[str, _Life] = {}
        self._numbers: dict[str, int] = {}
        self._pods: dict[str, str] = {}
        self._aside: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(_THREADS)
        self._api: Api | None = None
        self._watch: PodWatch | None = None

    async def open(self, on_lost: Callable[[str], None]) -> Protection:
        """Create what the tasks share, and begin to watch pods."""
        del on_lost  # tasks go on when the API server is silent, and so does the run
        self._loop = asyncio.get_running_loop()
        api = await self._call(lambda: slim_api(self._plan.settings))
        remember(self._run, api.where, {})
        self._api = api
        await self._call(self._make_shared)
        announce(self._run, {t.label: t.address for t in self._plan.tasks if t.address})
        self._watch = PodWatch(api, selector(self._run), self._ears())
        self._watch.start()
        if (own := claim_name(self._form)) is not None:
            where = f"claim {own} of namespace {api.where.namespace}"
            self._hear.on_note(f"checkpoints and results stay on {where}", None)
        return Protection(
            "policy",
            "a NetworkPolicy lets only the run's own pods reach its ports, as far as the "
            "cluster's network plug-in enforces those",
        )

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _make_shared(self) -> None:
        form = self._form
        if (own := claim(form)) is not None:
            with contextlib.suppress(Exists):
                create(self._known(), own)
        made = [service(form), network_policy(form), config_map(form)]
        made += [secret(form, self._secrets)] if self._secrets else []
        for one in made:
            create_own(self._known(), one)

    def _known(self) -> Api:
        assert self._api is not None
        return self._api

    def _ears(self) -> Ears:
        def here(work: Callable[..., None]) -> Callable[..., None]:
            def call(*given: Any) -> None:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
                    self._loop.call_soon_threadsafe(work, *given)

            return call

        return Ears(here(self._heard), here(self._heard_all), here(self._hear.on_note))

    async def start(self, task: Task) -> Placed:
        """Create the Job of the task's next life, and wait until its command runs."""
        number = self._numbers[task.label] = self._numbers.get(task.label, 0) + 1
        life = _Life(task, number, self._loop.create_future())
        self._lives[task.label] = life
        try:
            made = without_comments(task_job(self._form, task, number))
            life.job = await self._call(lambda: create_own(self._known(), made))
            await self._begun(life)
        except BaseException as error:
            self._drop(life)
            if isinstance(error, TenfoldError) and error.hint:
                self._hear.on_note(f"{task.name}: {error.message}", error.hint)
            raise
        if life.end is not None:  # heard of before this returned
            self._loop.call_soon(self._tell_end, life, life.end)
        self._tell_pages(life)
        return Placed(None, (life.pod or {}).get("spec", {}).get("nodeName") or "")

    async def _begun(self, life: _Life) -> None:
        """Wait for the life to begin. Only events show a Job that creates no pod."""
        while not life.begun.done():
            await asyncio.wait({life.begun}, timeout=_EVENTS_EVERY_S)
            if life.pod is None and not life.begun.done() and life.job is not None:
                name = life.job["metadata"]["name"]
                with contextlib.suppress(TenfoldError):  # asked again in a second
                    _refuse_if_told(life, await self._call(partial(events_of, self._known(), name)))
        life.begun.result()

    def _drop(self, life: _Life) -> None:
        """Forget a life that did not begin, and delete its Job."""
        if self._lives.get(life.task.label) is life:
            del self._lives[life.task.label]
        if life.follower is not None:
            life.follower.give_up()
        life.begun.cancel()
        if life.job is not None:
            self._do_aside(self._delete("Job", life.job, None))

    def _do_aside(self, work: Coroutine[Any, Any, None]) -> None:
        doing = asyncio.create_task(work)
        self._aside.add(doing)
        doing.add_done_callback(self._aside.discard)

    async def _delete(self, kind: str, made: Mapping[str, Any], grace_s: int | None) -> None:
        try:
            await self._call(lambda: self._known().delete(kind, dict(made), grace_s))
        except TenfoldError as error:
            name = made["metadata"]["name"]
            self._hear.on_note(f"{kind} {name} was not deleted: {error.message}", error.hint)

    def _heard_all(self, uids: frozenset[str]) -> None:
        for life in list(self._lives.values()):
            if life.pod is not None and life.pod["metadata"]["uid"] not in uids:
                self._heard(life.pod, deleted=True)

    def _heard(self, pod: Pod, deleted: bool) -> None:
        own = pod["metadata"].get("labels") or {}
        life = self._lives.get(own.get(TASK_LABEL, ""))
        if life is None or str(life.number) != own.get(LIFE_LABEL) or life.end is not None:
            return
        if life.pod is None:
            self._pods[life.task.label] = pod["metadata"]["name"]
            remember(self._run, self._known().where, self._pods)
        life.pod = pod
        if container_began(pod) and life.follower is None:
            self._follow(life)
        if runs(pod) and not life.begun.done():
            life.begun.set_result(None)
        end = ended(pod)
        if end is None and deleted:
            end = End(None, int(signal.SIGKILL))
        if end is not None:
            life.end = end
            self._do_aside(self._conclude(life, end))
        elif not life.begun.done():
            self._look_for_trouble(life, pod)

    def _follow(self, life: _Life) -> None:
        name = (life.pod or {})["metadata"]["name"]

        def done() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(life.log_done.set)

        life.follower = LogFollower(
            lambda since: self._known().log(name, CONTAINER, since, follow=True),
            self._run.task(life.task.label),
            self._plan.log_limit,
            done,
        )
        life.follower.start()

    def _look_for_trouble(self, life: _Life, pod: Pod) -> None:
        found = trouble(pod)
        if found is None:
            return
        error = life.image_words or TenfoldError(found.words, hint=found.hint)
        if found.final:
            life.begun.set_exception(error)
        elif "cannot be pulled" in found.words:
            life.image_words = error  # what comes next says less
        elif found.words not in life.noted:
            life.noted.add(found.words)
            self._hear.on_note(f"{life.task.name}: {found.words}", found.hint)

    async def _conclude(self, life: _Life, end: End) -> None:
        """Wait for all output of the life, then report its end."""
        await self._have_output(life)
        if life.begun.done():
            self._tell_end(life, end)
        elif end.refused is not None or life.follower is None:
            words = end.refused or end.words or "its pod ended before the command ran"
            life.begun.set_exception(TenfoldError(words, hint=end.hint))
        else:
            life.begun.set_result(None)  # `start` tells the end

    async def _have_output(self, life: _Life) -> None:
        if life.follower is None:
            return
        life.follower.container_ended()
        lost = None
        try:
            await asyncio.wait_for(life.log_done.wait(), _LOG_S)
            lost = life.follower.lost
        except TimeoutError:
            life.follower.give_up()
            lost = "the last of its output could not be fetched"
        if lost:
            self._hear.on_note(f"{life.task.name}: {lost}", None)

    def _tell_end(self, life: _Life, end: End) -> None:
        if self._lives.get(life.task.label) is not life:
            return
        del self._lives[life.task.label]
        life.over.set()
        words, cause = end.words or end.refused, end.cause
        if words is None and not life.told_to_end and _is_deleted(life.pod or {}):
            words = "was ended from outside: its pod was deleted"
            cause = "removed"
        if words:
            self._hear.on_note(f"{life.task.name} {words}", end.hint)
        self._hear.on_exit(life.task.name, Ended(end.exit_code, end.signal, words, cause))

    def _tell_pages(self, life: _Life) -> None:
        for name in life.task.publish:
            port, pod = life.task.ports[name], self._pods.get(life.task.label)
            where = " ".join(kubectl(self._known().where.context, self._known().where.namespace))
            token = f"$TENFOLD_RUN_DIRECTORY/tasks/{life.task.label}/token"
            self._hear.on_note(
                f"{life.task.name}: {where} port-forward pod/{pod} {port}, then open "
                f"http://127.0.0.1:{port}/",
                f"its token: tenfold exec {life.task.name} -- sh -c 'cat {token}'",
            )

    def signal(self, task: Task, number: int) -> None:
        """Delete the pod with grace. For SIGKILL, it is the shortest ever confirmed."""
        life = self._lives.get(task.label)
        if life is None:
            return
        life.told_to_end = True
        kill = number == signal.SIGKILL
        self._do_aside(self._kill(life) if kill else self._end_pod(life, self._grace_s))

    async def _end_pod(self, life: _Life, grace_s: int) -> None:
        if life.pod is not None:
            await self._delete("Pod", life.pod, grace_s)
        elif life.job is not None:
            await self._delete("Job", life.job, None)

    async def _kill(self, life: _Life) -> None:
        """Kill a pod. A node that does not confirm the end in seconds counts as gone."""
        await self._end_pod(life, 1)
        for grace_s in (0, None):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(life.over.wait(), _KILL_S)
                return
            if grace_s is not None:
                await self._end_pod(life, grace_s)
        if life.end is None:
            life.end = End(None, int(signal.SIGKILL))
            await self._conclude(life, life.end)

    async def is_ready(self, task: Task) -> bool:
        """Whether the pod's readiness probe succeeds."""
        life = self._lives.get(task.label)
        return life is not None and life.pod is not None and is_ready(life.pod)

    def address(self, task: Task) -> str | None:
        """Its name in the run's domain: for pods of the run, not for this machine."""
        return task.address

    def urls(self, task: Task) -> dict[str, str]:
        """Empty: `kubectl port-forward` opens a page, and a note explains how."""
        del task
        return {}

    async def close(self) -> None:
        """Delete everything of the run, and wait until its pods are gone."""
        if self._watch is not None:
            self._watch.stop()
        for life in self._lives.values():
            if life.follower is not None:
                life.follower.give_up()
        if self._aside:
            await asyncio.wait(self._aside, timeout=_KILL_S)
        for doing in list(self._aside):
            doing.cancel()
        try:
            if self._api is not None:
                await self._call(lambda: remove(self._known(), self._run))
                forget(self._run)
        except TenfoldError as error:
            self._hear.on_note(
                f"objects of the run remain in the cluster: {error.message}",
                f"tenfold down {self._run.cluster}/{self._run.run} removes them",
            )
        self._threads.shutdown(wait=False)


def _is_deleted(pod: Pod) -> bool:
    """Whether the pod was deleted, or vanished before its end was seen."""
    return "deletionTimestamp" in pod.get("metadata", {}) or ended(pod) is None


def _refuse_if_told(life: _Life, events: Sequence[Object]) -> None:
    """Fail the life if a quota, a policy or a missing account forbids its pod."""
    for event in events:
        if event.get("reason") == "FailedCreate" and not life.begun.done():
            said = str(event.get("message") or "").removeprefix("Error creating: ")
            hint = "request less (resources), or ask the administrator of the namespace"
            life.begun.set_exception(
                TenfoldError(f"the cluster rejects its pod: {said}", hint=hint)
            )


class KubernetesSupervisor(SupervisorSide):
    """Jobs of a Kubernetes cluster."""

    patience = Patience(kill_s=90.0, settle_s=10.0)  # what is not heard of a node is waited for

    def make(self, plan: Plan, run: RunDirectory, hear: Handlers, wishes: Wishes) -> KubernetesCell:
        """The cell of one run."""
        return KubernetesCell(plan, run, hear, wishes)


SUPERVISOR = KubernetesSupervisor()
