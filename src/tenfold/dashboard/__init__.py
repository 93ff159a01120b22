"""The dashboard: one process that shows all runs of a directory in a browser.

Owns the HTTP interface, who may use it, and the life of the process. What a run looks like is read
by the views from its directory; what the page looks like is in `static/`.

launch.py    find or start the process of a runs directory
__main__.py  the process: `python -m tenfold.dashboard RUNS`
server.py    uvicorn, and when it ends
app.py       the routes
names.py     runs and tasks by name, looked up among those that are there
elsewhere.py runs whose supervisor is not here
boards.py    the readers of a run, shared by all who look at it
questions.py what a request for log lines says
changes.py   what is worth telling of two looks at a run
stream.py    server-sent events: what changed
manual.py    pages of the documentation
statetable.py  writes static/states.js
metrics.py   the same for Prometheus
replies.py   JSON that any browser reads, files that grow
guard.py     host, origin, token, and the headers of every answer
"""
