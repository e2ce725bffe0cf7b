"""C++ code of this library: compiled once on this machine, cached, and called through ctypes."""

from wskan.native.build import load_library

__all__ = ["load_library"]
