"""Compose files as cluster files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.cluster.file import loads
from tenfold.cluster.spec import Cluster
from tenfold.errors import InputError
from tenfold.starter.compose_draft import READ_KEYS, compose_draft
from tenfold.starter.draft import Draft
from tenfold.starter.drafting import checked_text, draft_from, draft_of
from tests.starter import scripts


def drafted(directory: Path, text: str) -> Draft:
    (directory / "compose.yaml").write_text(text)
    return compose_draft(directory / "compose.yaml", "compose.yaml")


def made(directory: Path, text: str, **environment: str) -> Cluster:
    written, _ = checked_text(drafted(directory, text), directory, "s")
    return loads(written, directory=directory, environment=environment).cluster


def notes(draft: Draft) -> str:
    return "\n".join(map(str, draft.notes))


def talk() -> str:
    """The cluster of the talk in 2016: every service, host and port by hand."""
    ps = ",".join(f"ps{i}:2222" for i in range(2))
    workers = ",".join(f"worker{i}:2222" for i in range(12))
    lines = ["services:"]
    for job, count in (("ps", 2), ("worker", 12)):
        for index in range(count):
            lines += [
                f"  {job}{index}:",
                "    image: tensorflow/tensorflow",
                f"    command: python train.py --ps_hosts={ps} --worker_hosts={workers} "
                f"--job_name={job} --task_index={index}",
                "    volumes: [.:/code]",
                "    working_dir: /code",
            ]
    lines += [
        "  board:",
        "    image: tensorflow/tensorflow",
        "    command: tensorboard --logdir /l",
    ]
    return "\n".join(lines) + "\n"


def test_numbered_services_become_one_job(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(scripts.TENSORFLOW_1)
    cluster = made(tmp_path, talk())
    assert cluster.framework == "tensorflow"
    assert {name: job.tasks for name, job in cluster.jobs.items()} == {"ps": 2, "worker": 12}
    assert cluster.jobs["worker"].run == (
        "python",
        "train.py",
        "--ps_hosts=${jobs.ps.addresses}",
        "--worker_hosts=${jobs.worker.addresses}",
        "--job_name=worker",
        "--task_index=${task.index}",
    )
    assert cluster.tensorboard is not None
    assert cluster.image == "tensorflow/tensorflow"


RICH = """\
x-common: &common
  build: {context: ., args: {CUDA: "12"}, target: run}
  volumes: [".:/app", "./data:/data", "/mnt/big:/big:ro", "cache:/cache"]
  working_dir: /app
  environment: {RATE: "${RATE:-0.1}", EMPTY: "${UNSET}", PRICE: "5$$", HOST_ONLY: }
services:
  trainer:
    <<: *common
    command: python /app/train.py --data /data/x --out /big/y --db postgres://db:5432/x
    depends_on:
      db: {condition: service_healthy}
      prepare: {condition: service_completed_successfully}
    deploy:
      replicas: 3
      resources:
        limits: {cpus: "0.5", memory: 512M}
        reservations: {devices: [{driver: nvidia, count: 1, capabilities: [gpu]}]}
    shm_size: 2gb
    restart: on-failure:5
    env_file: train.env
    ulimits: {nofile: 1000}
  prepare:
    <<: *common
    command: [python, prepare.py]
  db:
    image: db:1
    entrypoint: [dbserver]
    command: --port 5432
    environment: [DB_HOST=db]
    healthcheck: {test: "dbping || exit 1", interval: 5s, retries: 6, start_period: 10s}
    ports: ["127.0.0.1:5432:5432"]
    restart: always
  debugger: {image: busybox, command: sh, profiles: [debug]}
  cache: {image: redis}
volumes: {cache: {}}
"""


def test_the_keys_of_a_service_are_translated(tmp_path: Path) -> None:
    (tmp_path / "train.env").write_text("# settings\nSIZE=3\nQUOTED='a b' # c\nHF_TOKEN=hf_abc\n")
    (tmp_path / "train.py").write_text(scripts.PLAIN_TORCH)
    cluster = made(tmp_path, RICH, RATE="0.5", HF_TOKEN="hf_mine")
    trainer, db = cluster.jobs["trainer"], cluster.jobs["db"]
    assert trainer.tasks == 3
    assert trainer.run == (
        *("python", "train.py", "--data", "data/x", "--out", "/mnt/big/y"),
        *("--db", "postgres://${jobs.db.hosts.0}:5432/x"),
    )
    assert {k: v for k, v in trainer.env.items() if k != "OMP_NUM_THREADS"} == {
        "SIZE": "3", "QUOTED": "a b", "HF_TOKEN": "hf_mine", "RATE": "0.5", "EMPTY": "",
        "PRICE": "5$", "HOST_ONLY": "",
    }  # fmt: skip
    resources = trainer.resources
    assert (resources.cpu, resources.memory, resources.gpu) == (0.5, 512 << 20, 1)
    assert trainer.after == {"db": "ready", "prepare": "succeeded"}
    assert trainer.restart is not None
    assert (trainer.restart.policy, trainer.restart.limit) == ("on-failure", 5)
    assert db.run == ("dbserver", "--port", "5432")
    assert db.ready is not None
    assert (db.ready.command, db.ready.timeout) == ("sh -c 'dbping || exit 1'", 40.0)
    assert (db.ports, db.publish) == ({"p5432": 5432}, ("p5432",))
    assert db.env["DB_HOST"] == "${jobs.db.hosts.0}"
    assert cluster.cells.docker.mounts == ("/mnt/big:/mnt/big:ro",)
    assert cluster.cells.docker.shm_size == 2 << 30
    assert cluster.build is not None
    assert cluster.build.args == {"CUDA": "12"}
    assert db.image == "db:1"


def test_what_a_compose_file_loses_is_named_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "train.env").write_text("HF_TOKEN=hf_abc\n")
    draft = drafted(tmp_path, RICH)
    told = notes(draft)
    for what in (
        "volume cache:/cache: a named volume",
        "services.debugger: left out",
        "services.cache: left out: its command is in the image",
        "services.db.restart: always",
        "services.trainer.ulimits",
        "HF_TOKEN in train.env: not copied, as it is a secret",
    ):
        assert what in told
    assert "hf_abc" not in told + checked_text(draft, tmp_path, "s")[0]


def test_the_command_of_an_image_is_read_from_its_dockerfile(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        'FROM python AS base\nWORKDIR /app\nENTRYPOINT ["python", \\\n  "train.py"]\n'
        'FROM base\nCMD ["--lr", "1"]\nFROM alpine AS other\nCMD x\n'
    )
    text = "services:\n  a: {build: {context: ., target: base}, command: --lr 2}\n"
    assert made(tmp_path, text).jobs["a"].run == ("python", "train.py", "--lr", "2")
    text = "services:\n  a: {build: .}\n"
    assert made(tmp_path, text).jobs["a"].run == ("sh", "-c", "x") or made(tmp_path, text).jobs[
        "a"
    ].run == ("x",)


def test_services_for_torchrun_become_ranks(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(scripts.DDP)
    lines = ["services:"]
    for index in range(2):
        lines += [
            f"  node{index}:",
            "    build: .",
            f"    command: torchrun --nnodes=2 --nproc-per-node=2 --node-rank={index} "
            "--master-addr=node0 --master-port=29500 train.py --lr 0.3",
            f"    environment: {{NODE_RANK: '{index}', MASTER_ADDR: node0}}",
        ]
    cluster = made(tmp_path, "\n".join(lines) + "\n")
    assert cluster.framework == "torch"
    job = cluster.jobs["node"]
    assert (job.tasks, job.run, job.env) == (4, ("python", "train.py", "--lr", "0.3"), {})


def test_extends_is_followed_inside_of_the_project_only(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "outside.yaml").write_text("services: {b: {environment: {SECRET_PLACE: x}}}\n")
    (project / "base.yaml").write_text(
        "services:\n  b: {command: python b.py, environment: {A: 1, B: 2}}\n"
    )
    text = (
        "services:\n"
        "  a: {extends: {service: b, file: base.yaml}, environment: [B=3]}\n"
        "  c: {extends: {service: b, file: ../outside.yaml}, command: python c.py}\n"
        "  d: {extends: e, command: python d.py}\n"
        "  e: {extends: d}\n"
    )
    cluster = made(project, text)
    env = {k: v for k, v in cluster.jobs["a"].env.items() if k != "OMP_NUM_THREADS"}
    assert (cluster.jobs["a"].run, env) == (("python", "b.py"), {"A": "1", "B": "3"})
    assert "SECRET_PLACE" not in cluster.jobs["c"].env
    told = notes(drafted(project, text))
    assert "outside of the directory of the compose file" in told
    assert "not followed: a circle" in told


def test_defaults_come_from_the_file_of_the_project(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("RATE=0.7\nexport COUNT=2\nAPI_KEY=abc\n")
    text = (
        "services:\n  a:\n    command: python a.py --rate $RATE --n ${A:-${B:-4}} --k ${API_KEY}\n"
        "    deploy: {replicas: '${COUNT}'}\n"
    )
    cluster = made(tmp_path, text)
    assert cluster.jobs["a"].tasks == 2
    assert cluster.jobs["a"].run == (*("python", "a.py", "--rate", "0.7", "--n", "4", "--k"), "")
    assert made(tmp_path, text, RATE="2").jobs["a"].run[3] == "2"  # type: ignore[index]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{BOMB}services: {{a: {{command: *i}}}}\n", "values"),
        ("services: {a: &a {command: *a}}\n", "contains itself"),
        ("services:\n  a: [\n", "compose.yaml:"),
        ("services: !!python/object/apply:os.system [touch x]\n", "unknown tag"),
        ("services:\n  a: {}\n  a: {}\n", "occurs twice"),
        ("hello\n", "has no services"),
        ("services: []\n", "has no services"),
        ("services: {a: 3}\n", "no service"),
        ("[" * 5000, "compose.yaml:"),
        ("services: {a: {command: x}}\n" + "#" * 600_000, "too large"),
    ],
)
def test_a_hostile_compose_file_is_an_error_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        drafted(tmp_path, text)
    found = [str(caught.value), *map(str, caught.value.faults)]
    assert any(message in each for each in found), found


ODD: tuple[str, ...] = (
    "3",
    "[]",
    "{}",
    "[{}]",
    "[[1]]",
    "{a: [b]}",
    "'$${'",
    "'${'",
    "null",
    "'\\0'",
)


@pytest.mark.parametrize("value", ODD)
def test_odd_values_of_known_keys_never_crash(tmp_path: Path, value: str) -> None:
    for key in sorted({*READ_KEYS, "extends"} - {"command"}):
        text = f"services:\n  a:\n    command: python a.py\n    {key}: {value}\n"
        try:
            made(tmp_path, text)
        except InputError as error:
            message = str(error)
        else:
            continue
        assert "no service" in message or "compose" in message, (key, value)


def test_a_compose_file_without_python_is_not_taken_by_itself(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: nginx, command: nginx}}\n")
    assert draft_of(tmp_path) is None
    assert draft_from("compose.yaml", tmp_path).jobs["web"].run == ("nginx",)
    (tmp_path / "compose.yaml").write_text("services: {t: {image: x, command: python a.py}}\n")
    draft = draft_of(tmp_path)
    assert draft is not None
    assert draft.jobs["t"].run == ("python", "a.py")
