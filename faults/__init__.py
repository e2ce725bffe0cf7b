"""Kill wskan, fill its disk, run two of it at once and damage its files: ``python -m faults`` (``make faults``)."""
