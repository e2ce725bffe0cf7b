import platform
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from wskan.native import load_library


@pytest.fixture(params=["-mno-amx-bf16", "-mno-avx512f"])
def lesser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType], Any]:
    """Replace a kernel by one for a lesser processor: without tiles, or without AVX-512."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("flags of x86")

    def put(kernel: ModuleType) -> Any:
        library = load_library(kernel.SOURCE, "-fopenmp", request.param)
        if isinstance(library, str) and request.param == "-mno-amx-bf16":
            pytest.skip("a compiler from before tiles")
        assert not isinstance(library, str), library
        monkeypatch.setattr(kernel, "_library", lambda: library)
        return library

    return put
