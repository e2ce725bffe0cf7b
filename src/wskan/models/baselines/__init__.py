"""Baselines for WS-KAN."""
