"""Structure-aware mutants of every kind of file that wskan reads, and what its readers make of them.

``make fuzz`` (``N=300`` for fewer; 10,000 of each kind otherwise) copies a small valid folder of each kind, changes
one file of it, and reads it as a user would, in a child process whose memory, time and files are bounded::

    python -m fuzz --count 300                     # of all kinds, a table, results/safety/fuzz.json
    python -m fuzz --kind manifest --count 300     # of one kind
    python -m fuzz --kind manifest --seed 123      # one mutant alone, with its traceback and its message

A mutant is a function of its kind and seed. Each ends in one of the columns of the table:

- fine: it was read, and all that came out is finite.
- rejected: an error of the library's own (``WSKANError``), one printable line of at most 1,000 characters.
- message: such an error, but of several lines, too long, with control characters, an errno, or unsafe advice.
- exception: any other. not finite: NaN or infinity came out without an error.
- time, memory, crash: more than 10 s of time, than the kind's bound, or killed by a signal.
- outside: something outside the folder was written or removed, a command ran, or an address was asked for.

All but the first two are broken promises, and the exit code is 1. ``kinds.py`` lists the kinds; the mutators lie in
``json_text.py``, ``tensors.py``, ``checkpoints.py``, ``images.py``, ``tables.py`` and, for any file, ``raw.py``.
"""
