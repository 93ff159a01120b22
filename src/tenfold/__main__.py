"""`python -m tenfold`: the same as the `tenfold` command."""

from __future__ import annotations

from tenfold.cli import main

if __name__ == "__main__":
    main()
