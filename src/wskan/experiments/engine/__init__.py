"""Provide what experiments share: scales, plans of runs, the workspace that keeps them, tables and their pictures."""
