"""What a Python command would do before its imports, without running it.

This is read from its files.

sources.py   which files a command runs: the script, and the local modules that it imports
trees.py     what of a syntax tree is known without running it: names, texts, paths
early.py     what those files do that an import may look at: variables, sys.path, and the like
doubts.py    what they do that may lead to such things without a syntax tree showing it
verdict.py   what follows for a task
hiding.py    local modules that have the name of an installed one

A task that is forked from a process with its framework imported does all this too late (see
`launch.preloads`). Nothing here starts a process, and nothing is imported or executed.
"""
