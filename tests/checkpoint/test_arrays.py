"""Nests of arrays, with JAX and without it: the same tree comes back, and nothing unpickled."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.checkpoint import Arrays, arrays
from tenfold.errors import TenfoldError

PLAIN = """
import sys
import numpy as np
from tenfold.checkpoint import arrays
saved = arrays(place=sys.argv[1])
tree = {"w": [np.arange(6.0).reshape(2, 3), np.ones(2, np.int8)], "n": (3, 0.5)}
assert saved.restore(like=tree) is None
assert saved.save(4, tree, {"epoch": 2})
like = {"w": [np.zeros((2, 3)), np.zeros(2, np.int8)], "n": (0, 0.0)}
again, found = saved.restore(like=like)
assert (found.step, found.position) == (4, {"epoch": 2})
assert again["n"] == (3, 0.5) and list(map(type, again["n"])) == [int, float]
assert np.array_equal(again["w"][0], tree["w"][0]) and again["w"][1].dtype == np.int8
assert "jax" not in sys.modules
"""


def test_arrays_need_numpy_and_no_framework(tmp_path: Path) -> None:
    run(PLAIN, tmp_path)


ONLY_IMPORTED = """
import sys
import jax
import numpy as np
from tenfold.checkpoint import arrays
saved = arrays(place=sys.argv[1])
assert saved.save(1, {"a": np.ones(2)})
assert saved.restore(like={"a": np.zeros(2)})[0]["a"].tolist() == [1, 1]
assert not jax._src.xla_bridge.backends_are_initialized()
"""

JAX = """
import sys
from typing import NamedTuple
import jax, jax.numpy as jnp, numpy as np
from tenfold.checkpoint import arrays

class State(NamedTuple):
    count: int
    mean: list

tree = {"w": jnp.ones((2, 3), jnp.bfloat16) / 3, "s": State(7, [jnp.arange(4), None])}
saved = arrays(place=sys.argv[1])
assert saved.save(1, tree)
again, _ = saved.restore(like=jax.tree.map(lambda leaf: leaf * 0, tree))
assert jax.tree.structure(again) == jax.tree.structure(tree)
assert again["s"].count == 7 and again["s"].mean[0].tolist() == [0, 1, 2, 3]
assert again["w"].dtype == jnp.bfloat16
assert np.array_equal(again["w"], np.asarray(tree["w"]))
"""


needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed: make test brings it"
)


@needs_jax
def test_nested_jax_trees_are_restored(tmp_path: Path) -> None:
    run(JAX, tmp_path)


@needs_jax
def test_jax_that_is_only_imported_is_not_started(tmp_path: Path) -> None:
    """TensorFlow imports it; its threads would make forking unsafe."""
    run(ONLY_IMPORTED, tmp_path)


def run(script: str, place: Path) -> None:
    """Run a script that has to end well."""
    command = [sys.executable, "-c", script, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def saved(tmp_path: Path) -> Arrays:
    """A checkpoint of two arrays."""
    made = arrays(place=tmp_path)
    assert made.save(1, {"a": np.zeros(3), "b": np.ones((2, 2), np.float32)})
    return made


@pytest.mark.parametrize(
    ("like", "words"),
    [
        ({"a": np.zeros(3)}, "another structure.*b"),
        ({"a": np.zeros(4), "b": np.ones((2, 2), np.float32)}, r"a.*float64\[3\].*float64\[4\]"),
        ({"a": np.zeros(3), "b": np.ones((2, 2))}, "saved as float32.*is now float64"),
    ],
)
def test_another_tree_is_refused(saved: Arrays, like: Any, words: str) -> None:
    with pytest.raises(TenfoldError, match=words):
        saved.restore(like=like)


def test_python_objects_are_neither_saved_nor_loaded(saved: Arrays) -> None:
    bad = np.array([{"an": "object"}], dtype=object)
    with pytest.raises(TenfoldError, match="not an array of numbers"):
        saved.save(2, {"a": bad})

    def write(path: Path) -> None:
        np.savez(path / "arrays.npz", bad)
        (path / "names.json").write_text(json.dumps(["['a']"]))

    saved.checkpoints.save(3, write)
    with pytest.raises(ValueError, match="allow_pickle"):
        saved.restore(like={"a": np.zeros(1)})
