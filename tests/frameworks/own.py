"""A framework that only these tests have: this module, and a line in `FRAMEWORKS`."""

from __future__ import annotations

from tenfold.frameworks import Addresses
from tenfold.frameworks.packages import GpuQuestion, MemoryCost, Package
from tenfold.frameworks.ranks import RankFramework, is_member, place

_VARIABLES = ("OWN_RANK", "OWN_SIZE", "OWN_HEAD")


class OwnFramework(RankFramework):
    """Processes that find each other by number, count and address of the first."""

    name = "own"
    package = Package("own_framework", ("own-framework",), "own-framework")
    gpus = GpuQuestion("import own_framework as f; n = f.gpus()", "own-framework[cuda]")
    memory = MemoryCost(1 << 20, 1 << 20, 1 << 20)
    process = "member"
    rank_variables = _VARIABLES
    read_at_import = ("OWN_",)
    read_later = frozenset(_VARIABLES)

    def environment(self, job: str, index: int, addresses: Addresses) -> dict[str, str]:
        """Number, count and address of the first."""
        if not is_member(job):
            return {}
        own = place(job, index, addresses)
        head = f"{own.head_host}:{own.head_port}"
        return dict(zip(_VARIABLES, (str(own.rank), str(own.size), head), strict=True))

    def process_environment(self, job: str, tasks: int, cores: int) -> dict[str, str]:
        """The cores shared out."""
        del job
        return {"OMP_NUM_THREADS": str(max(1, cores // tasks))}

    def preload(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def requirement(self) -> tuple[str, str] | None:
        """Nothing: these tests install no package."""
        return None


FRAMEWORK = OwnFramework()
