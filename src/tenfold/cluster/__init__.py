"""From text to a `Cluster`: what a file can contain, loading and checking.

cell_settings.py    What `cells:` and `build:` of a cluster file can say
cell_table.py       The table of cells, and what code outside a cell's folder may ask about a cell
check.py            What is wrong or unwise about a cluster as a whole
check_python.py     What is wrong or unwise about the interpreter that `python` means
check_scripts.py    What is known of the scripts that jobs run
command_line.py     A command line as its words
file/               A cluster file → a Cluster, or every fault of it with its place
foreign_words.py    Words of compose, torchrun and Slurm, and how a cluster file says the same
programs.py         Programs and scripts that a command needs, and whether this machine has them
python_choice.py    The Python interpreter that `python` in a command means
python_probe.py     Ask Python interpreters what they are and which packages they have
schema.py           The JSON Schema of a cluster file, and the reference page made of it
scripts/            What a Python command would do before its imports
settings.py         User settings, and which of several sources wins
spec.py             The model of a cluster file: `Cluster`, `Job`, `Resources` and their parts
task_references.py  Faults of `${jobs.JOB.addresses.0}` and its kind
template.py         The grammar of `${…}`: parts of a text, how to escape
units.py            The values that a cluster file writes with a rule of their own: times, sizes
"""
