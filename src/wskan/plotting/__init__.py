"""Pictures of KANs and of scores; they need matplotlib (the extra ``plot``)."""
