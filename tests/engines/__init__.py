"""Real engines for tests: a Docker engine, images to run in it, and a Slurm of four nodes.

Tests ask for the session fixtures by name; `tests/conftest.py` makes them known everywhere.

fixture          what it is                                                     module
docker_engine    a Docker engine that answers; ours is stopped at the end       `docker`
base_image       Debian with Python, made here, since no registry is needed     `image`
light_image      `docker/Dockerfile` without extras: tenfold, Python, a shell   `image`
tenfold_image    `docker/Dockerfile` as it is, with TensorFlow                  `image`
slurm            munged, slurmctld and four slurmds; SLURM_CONF points at it    `slurm`
browser          Debian's Chromium, headless, a module long; `new_page`, `faults`  `browser`

What Debian can install is installed when a fixture is first asked for, as root. On a machine where
it cannot be, the tests are skipped with the words of what is missing; under CI=true they fail.

Images stay between sessions and are found again by a hash of what they are made of, so only the
first run on a machine pays for them: `docker image prune -a --filter label=tenfold.test` drops
them.
"""
