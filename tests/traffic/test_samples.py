"""Sample files: bounded, read at their end, whatever is wrong with them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from tenfold.traffic.samples import (
    SampleLog,
    SampleReader,
    TrafficSample,
    UsageSample,
    all_samples,
    last_sample,
)


def _write(path: Path, times: range, most_bytes: int = 1 << 20) -> SampleLog:
    log = SampleLog(path, most_bytes)
    for moment in times:
        log.write(UsageSample(float(moment), moment * 2))
    return log


def test_samples_of_a_long_run_are_thinned_out_to_a_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    _write(path, range(5_000), most_bytes=16_000)
    assert path.stat().st_size <= 16_100
    times = [sample.time for sample in all_samples(UsageSample, path)]
    assert times == sorted(times)
    assert times[-1] == 4_999
    assert times[0] == 0
    assert max(later - sooner for sooner, later in itertools.pairwise(times)) < 200
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_gives_the_last_seconds(tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    reader = SampleReader(UsageSample, path, keep_s=10)
    assert reader.read() == []
    log = _write(path, range(100))
    assert [s.time for s in reader.read()] == list(range(89, 100))
    log.write(UsageSample(100.0))
    assert [s.time for s in reader.read()] == list(range(90, 101))


def test_rare_samples_are_two_at_least(tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    _write(path, range(0, 1_000, 100))
    assert [s.time for s in SampleReader(UsageSample, path, keep_s=10).read()] == [800, 900]


def test_only_the_end_of_a_large_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    with path.open("w") as stream:
        for moment in range(40_000):
            stream.write(json.dumps({"time": float(moment), "peers": {}}) + "\n")
    recent = SampleReader(TrafficSample, path, keep_s=2).read()
    assert [sample.time for sample in recent] == [39_997, 39_998, 39_999]


def test_long_lines_are_found_completely(tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    peers = {f"worker/{n}": [n, n, 1, 1] for n in range(5_000)}
    with path.open("w") as stream:
        for moment in range(10):
            stream.write(json.dumps({"time": float(moment), "peers": peers}) + "\n")
    recent = SampleReader(TrafficSample, path, keep_s=1).read()
    assert [sample.time for sample in recent] == [8, 9]
    assert recent[-1].peers == {peer: tuple(total) for peer, total in peers.items()}


def test_a_thinned_out_file_is_read_again_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    reader = SampleReader(UsageSample, path, keep_s=5)
    log = SampleLog(path, most_bytes=2_000)
    for moment in range(500):
        log.write(UsageSample(float(moment)))
        assert reader.read()[-1].time == moment
    assert not reader.damaged


def test_damaged_samples_are_reported_and_skipped(tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    bad = b'\xff\xfe garbage\n["no object"]\n{"time": "x"}\n{"time": NaN}\n{"time": 1e999}\n'
    bad += b'{"time": ' + b"9" * 400 + b'}\n{"time": true}\n'
    path.write_bytes(b'{"time": 1.0}\n' + bad + b'{"time": 2.0}\n')
    reader = SampleReader(UsageSample, path)
    assert [sample.time for sample in reader.read()] == [1, 2]
    assert reader.damaged
    with path.open("ab") as stream:
        stream.write(b'{"time": 3.0')
    assert [sample.time for sample in reader.read()] == [1, 2]
    with path.open("ab") as stream:
        stream.write(b"}\n")
    assert [sample.time for sample in reader.read()] == [1, 2, 3]
    assert last_sample(UsageSample, path) == UsageSample(3.0)
    assert last_sample(UsageSample, tmp_path / "nothing") is None


def test_a_disk_that_is_full_costs_samples_only(tmp_path: Path) -> None:
    SampleLog(tmp_path / "no such directory" / "usage.jsonl").write(UsageSample(1.0))


def test_a_new_file_with_the_same_inode_is_recognized_by_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    _write(path, range(50))
    reader = SampleReader(UsageSample, path)
    reader.read()
    lines = [json.dumps({"time": float(moment)}) for moment in range(100, 300)]
    with path.open("r+") as stream:  # as a new file that got the inode of the last
        stream.truncate()
        stream.write("\n".join(lines) + "\n")
    assert reader.read()[-1].time == 299
    assert not reader.damaged
