"""The table of all cases, in the order of the page."""

from __future__ import annotations

from chaos import (
    calls,
    clock,
    damage,
    disk,
    foreign,
    kills,
    logs,
    many,
    memory,
    modules,
    ports,
    signals,
    stops,
    tasks,
)
from chaos.trial import Case

CASES = (
    Case("worker-kills", "100 random `kill -9` of workers", kills.worker_kills, 1500, 240),
    Case("ps-kills", "`kill -9` of a ps at 20 random moments", kills.ps_kills, 900, 180),
    Case("chief-kills", "`kill -9` of the chief at 20 random moments", kills.chief_kills, 900, 180),
    Case(
        "supervisor-kills",
        "`kill -9` of the supervisor at 20 random moments",
        kills.supervisor_kills,
        1200,
        180,
    ),
    Case("stopped-tasks", "SIGSTOP of a worker, a ps, the chief", stops.stopped_tasks, 900, 180),
    Case(
        "disk-full-logs", "disk full under the logs", disk.full_for_logs, 120, needs=disk.needs_root
    ),
    Case(
        "disk-full-checkpoints",
        "disk full under the checkpoints",
        disk.full_for_checkpoints,
        120,
        needs=disk.needs_root,
    ),
    Case(
        "stolen-ports",
        "ports that others take between plan and start, 200 starts",
        ports.stolen_ports,
        1200,
    ),
    Case("out-of-memory", "one task above its memory limit", memory.out_of_memory, 120),
    Case(
        "supervisor-calls",
        "the supervisor killed at every state-changing system call in turn",
        calls.supervisor_calls,
        1200,
        needs=calls.needs_strace,
    ),
    Case(
        "damaged-state",
        "state files truncated, overwritten, or changed in one bit",
        damage.damaged_state,
        300,
    ),
    Case(
        "foreign-files",
        "a task replaces all files of its run with pipes, links, directories or huge files",
        foreign.foreign_files,
        420,
        180,
    ),
    Case("removed-run", "a task removes the directory of its run", foreign.removed_run, 120),
    Case(
        "forged-pid",
        "status.json has the pid of another process, and the supervisor does not respond",
        foreign.forged_pid,
        240,
        90,
    ),
    Case("ignores-term", "a task that ignores SIGTERM", tasks.ignores_term, 60),
    Case(
        "wrapped-stops",
        "a stop of trainings below shells, pipes and daemons",
        signals.wrapped_stops,
        180,
    ),
    Case(
        "stray-signals",
        "tasks that send every signal to their parent",
        signals.stray_signals,
        240,
        120,
    ),
    Case(
        "inherited-signals",
        "signals that the parent of tenfold blocks or ignores",
        signals.inherited_signals,
        300,
        120,
    ),
    Case("crash-loop", "a crash loop, the supervisor killed in the middle", tasks.crash_loop, 180),
    Case(
        "clock",
        "the clock set two hours forward, and back",
        clock.set_clock,
        180,
        90,
        needs=clock.needs_compiler,
    ),
    Case(
        "damaged-checkpoints",
        "the newest checkpoint truncated, overwritten, or changed in one bit",
        damage.damaged_checkpoints,
        120,
    ),
    Case(
        "network-cut",
        "no network between the ps and all others for 20 s",
        stops.network_cut,
        600,
        240,
        needs=stops.needs_iptables,
    ),
    Case(
        "own-modules",
        "a directory of modules with the names of those that tenfold imports",
        modules.own_modules,
        180,
    ),
    Case("thousand", "1,000 tasks of sleep, half of them failing", many.thousand, 300),
    Case("flood", "13 tasks that write at full speed for 10 s", logs.flood, 240),
)
