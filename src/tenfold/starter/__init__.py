"""What `tenfold init` writes: a file for what is there, or a first example.

batch_draft.py      A draft from a shell script, with or without `#SBATCH` lines
command_draft.py    A draft from the command line that starts a training today
compose_draft.py    A draft from a compose file: what each key of a service becomes
compose_file.py     A compose file as its services: `extends`, `env_file`, `${VAR:-x}`
compose_groups.py   Numbered services as one job, and their names as addresses
compose_places.py   Replicas, resources, directories and image of a service
dockerfile.py       The command of an image, read from its Dockerfile
draft.py            A cluster file that is about to be written
drafting.py         Which of several sources is taken, and the check of the draft
launcher_options.py The options of torchrun, accelerate, deepspeed, fabric, srun and mpirun
launchers.py        What the command of a launcher would start
recipes.py          What a script needs from its launcher, by what it calls
script_facts.py     What a script does, read from its syntax tree
script_jobs.py      The jobs that run a script: ranks, arguments, variables
shell_text.py       The commands of a shell script, read without a shell
survey.py           Scripts, batch scripts and compose files of a directory
templates/          The first example for each framework
text.py             The text of a draft

Nothing here runs, imports or changes anything of the user's.
"""
