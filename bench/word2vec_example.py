"""The modules of examples/word2vec, from where they lie: `from word2vec_example import corpus`.

Those that need TensorFlow (model, training) are imported by name, late, once this one is.
"""

from __future__ import annotations

import sys
from pathlib import Path

WORD2VEC = Path(__file__).resolve().parents[1] / "examples" / "word2vec"
if str(WORD2VEC) not in sys.path:
    sys.path.append(str(WORD2VEC))

import corpus  # noqa: E402
import evaluate  # noqa: E402
import pictures  # noqa: E402
import sampling  # noqa: E402
import vocabulary  # noqa: E402
from settings import Settings  # noqa: E402

__all__ = ["WORD2VEC", "Settings", "corpus", "evaluate", "pictures", "sampling", "vocabulary"]
