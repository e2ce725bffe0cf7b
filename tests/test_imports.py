"""The import graph of wskan; the layers are checked by import-linter (``make lint``)."""

import graphlib

import grimp


def test_no_module_imports_itself_in_a_circle() -> None:
    """Imports inside functions and those for type checkers count, too."""
    graph = grimp.build_graph("wskan", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules if module != "wskan"}
    list(graphlib.TopologicalSorter(imports).static_order())  # raises CycleError, which names the circle
