"""What happens to wskan when it is killed, its disk fills up, two of it meet, or its files are damaged: ``python -m faults`` (``make faults``)."""
