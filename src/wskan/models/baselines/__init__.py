"""The models that WS-KAN is compared with."""
