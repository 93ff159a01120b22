"""`tenfold stop`: stop a run and all its processes, as `tenfold down` does.

`docker compose stop` keeps the containers and `docker compose down` removes them. A stopped run of
tenfold leaves nothing but files, so both words mean the same here. `tenfold rm` removes the files.
"""

from __future__ import annotations

from tenfold.cli.down import make_command

command = make_command("stop")
