"""Plot KANs and scores with matplotlib (the extra ``plot``)."""
