"""Plan → manifests.yaml for `kubectl apply`, with comments for people.

Owns the order of the objects, what is said of each, and what cannot be said in this form. The
objects themselves are `kubernetes_objects`'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from tenfold.cells.kubernetes.jobsets import jobset
from tenfold.cells.kubernetes.names import (
    Piece,
    indexed_name,
    pieces,
    placed,
    placed_in_jobs,
    placed_in_set,
    run_directory,
    set_name,
)
from tenfold.cells.kubernetes.objects import (
    claim,
    config_map,
    indexed_job,
    network_policy,
    require_images,
    secret,
    service,
    task_job,
)
from tenfold.cells.kubernetes.pod_specs import Form
from tenfold.cells.kubernetes.yaml_text import Document, documents
from tenfold.cells.rendering import File, RenderLocations
from tenfold.errors import InputError
from tenfold.planning.plan import Plan, Task

Part = tuple[str, Document]


def manifests(plan: Plan, secrets: Mapping[str, str], places: RenderLocations) -> File:
    """The file: `cell/manifests.yaml` of the run directory when it is supervised.

    Args:
        secrets: the secret variables by name (`tenfold.cells.secrets_of`). Their values are not
            written.

    Raises InputError for what this form cannot say.
    """
    require_images(plan)
    if places.supervised:
        form = Form(placed(plan), PurePosixPath(places.run).name, bool(secrets))
        parts = [_service_part(form), *_before(form, secrets), *_supervised(form)]
        return File("cell/manifests.yaml", documents(_headed(_supervised_head(form), parts)))
    if "jobset" in places.extra:
        form = Form(placed_in_set(plan), None, bool(secrets))
        parts = [*_before(form, secrets), _set_part(form), _plan_part(form)]
        head = _head(form, f"jobset/{set_name(plan)}", secrets)
    else:
        form = Form(placed_in_jobs(plan), None, bool(secrets))
        _require_order(form.plan)
        jobs = (_job_part(form, piece) for piece in pieces(form.plan))
        parts = [_service_part(form), *_before(form, secrets), *jobs, _plan_part(form)]
        head = _head(form, None, secrets)
    return File("manifests.yaml", documents(_headed(head, parts)))


def _headed(head: str, parts: list[Part]) -> list[Part]:
    (words, first), *rest = parts
    return [(f"{head}\n\n{words}", first), *rest]


def _service_part(form: Form) -> Part:
    return f"Tasks are found by name: {form.plan.tasks[0].address}", service(form)


def _plan_part(form: Form) -> Part:
    return "What the task runners are told: one line a task.", config_map(form)


def _before(form: Form, secrets: Mapping[str, str]) -> Iterator[Part]:
    """What has to exist before a task starts."""
    yield (
        "Only the cluster's own pods reach the tasks' ports; `kubectl port-forward` still works.\n"
        "A network plug-in that does not know NetworkPolicy enforces nothing.",
        network_policy(form),
    )
    if own := claim(form):
        yield "The run directory: logs, checkpoints, results. It outlives the pods.", own
    if secrets and form.supervised:
        words = "The secret variables. `tenfold up` fills them in, and writes them to no file."
        yield words, secret(form, dict.fromkeys(secrets, ""))
    if form.supervised:
        yield _plan_part(form)


def _jobs_in_words(plan: Plan) -> str:
    return ", ".join(
        f"{len(tasks)} {job}" if len(tasks) > 1 else job for job, tasks in plan.jobs().items()
    )


def _supervised_head(form: Form) -> str:
    return (
        f"{form.plan.cluster} on Kubernetes: {_jobs_in_words(form.plan)}.\n"
        f"Run {form.run}, made by `tenfold up`, whose supervisor starts and watches these; to read."
    )


def _supervised(form: Form) -> Iterator[Part]:
    for piece in pieces(form.plan):
        task, count = piece.tasks[0], len(piece.tasks)
        more = "" if count == 1 else f" One like this for each of the {count} of {piece.label}."
        yield f"{task.name}: {_command(form, task)}{more}", task_job(form, task, 1)


def _head(form: Form, one: str | None, secrets: Mapping[str, str]) -> str:
    """A description of the file, and the commands to type."""
    plan = form.plan
    space = f" -n {plan.settings['namespace']}" if "namespace" in plan.settings else ""
    last = next((p for p in pieces(plan) if p.job in plan.success), pieces(plan)[0])
    lines = [
        f"{plan.cluster} on Kubernetes: {_jobs_in_words(plan)}.",
        f"Made by `tenfold render --on kubernetes{' --with jobset' if one else ''}`.",
        "",
        *_secret_lines(form, space, secrets),
        "  kubectl apply -f manifests.yaml",
    ]
    if one:
        name = set_name(plan)
        lines += [
            f"  kubectl{space} logs -f -l jobset.sigs.k8s.io/jobset-name={name} --prefix",
            f"  kubectl{space} wait --for=condition=Completed --timeout=24h {one}",
            f"  kubectl{space} delete {one} configmap/{form.name('plan')}"
            f" networkpolicy/{form.name('only')}",
        ]
    else:
        mark = f"app.kubernetes.io/name={plan.cluster}"
        lines += [
            f"  kubectl{space} logs -f job/{indexed_name(plan, last)}",
            f"  kubectl{space} wait --for=condition=Complete --timeout=24h "
            f"job/{indexed_name(plan, last)}",
            f"  kubectl{space} delete job,service,networkpolicy,configmap -l {mark}",
        ]
    return "\n".join([*lines, *_pages(form, one, space), "", *_limits(form, one)]).rstrip()


def _secret_lines(form: Form, space: str, secrets: Mapping[str, str]) -> Iterator[str]:
    """Instructions for secrets, which are in no file.

    Pods wait until the secrets are there.
    """
    if secrets:
        yield f"  kubectl{space} create secret generic {form.name('secrets')} \\"
        yield "    " + " ".join(f'--from-literal={one}="${one}"' for one in secrets)


def _pages(form: Form, one: str | None, space: str) -> Iterator[str]:
    """How people reach the pages of a cluster. Nobody else reaches them."""
    found: list[str] = []
    for piece in pieces(form.plan):
        task = piece.tasks[0]
        for name in task.publish:
            job = f"{set_name(form.plan)}-{piece.name}-0" if one else indexed_name(form.plan, piece)
            yield f"  kubectl{space} port-forward job/{job} {task.ports[name]}   # see below"
            token = f"{run_directory(form.plan, None)}/tasks/{task.label}/token"
            found.append(f"  kubectl{space} exec job/{job} -- cat {token}")
    if found:
        yield ""
        yield "Pages are at http://127.0.0.1:PORT/?token=TOKEN while `port-forward` runs. Tokens:"
        yield ""
        yield from found


def _limits(form: Form, one: str | None) -> Iterator[str]:
    """The limits of what the objects do by themselves."""
    plan = form.plan
    if not one:
        yield f"The end of {' and '.join(plan.success)} is the cluster's; Jobs that never end by"
        yield "themselves go on until you delete them."
    if "storage" in plan.settings:
        yield f"Logs and results are on the claim, in {run_directory(plan, None)}. To run it"
        yield "again, remove that directory, or name another in TENFOLD_RUN_DIRECTORY of every Job."
    else:
        yield "Each pod has a run directory of its own, which ends with it (storage: shares one)."
    always = [job for job, tasks in plan.jobs().items() if tasks[0].restart.policy == "always"]
    for job in always:
        yield f"{job} has `restart: always`; a Job starts a task again when it failed, only."


def _require_order(plan: Plan) -> None:
    """Require a shared directory for an order.

    Without one, nobody knows whether another task has ended well.
    """
    if "storage" in plan.settings:
        return
    for job, tasks in plan.jobs().items():
        for other, condition in tasks[0].after.items():
            first = plan.jobs()[other][0]
            seen = first.ready is not None and first.ready.kind == "tcp" and not first.ready.port
            if condition == "succeeded" or (condition == "ready" and not seen):
                raise InputError(
                    f"{job} waits until {other} is {condition}, and plain Jobs can only look at "
                    "ports: the run directory has to be shared",
                    hint="cells: {kubernetes: {storage: {size: 10GiB}}} makes a volume for it; "
                    "--with jobset needs none, and `tenfold up` neither",
                )


def _command(form: Form, task: Task) -> str:
    """The task's command on one line, shortened if it is long."""
    text = " ".join(" ".join(form.plan.shown(word) for word in task.command).split())
    return text if len(text) <= 70 else f"{text[:69]}…"


def _job_part(form: Form, piece: Piece) -> Part:
    task = piece.tasks[0]
    words = [f"{piece.label}: {_command(form, task)}"]
    if task.after:
        order = ", ".join(f"{job} {condition}" for job, condition in task.after.items())
        words.append(f"starts when: {order}")
    if task.service:
        words.append("never ends by itself")
    return "\n".join(words), indexed_job(form, piece)


def _set_part(form: Form) -> Part:
    words = f"Tasks are found by name: {form.plan.tasks[0].address}. JobSet makes the Service."
    return words, jobset(form)
