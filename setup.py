"""Adapt the README to package indexes, which show no relative picture and follow no relative link."""

import re
from pathlib import Path

from setuptools import setup


def long_description(readme: str) -> str:
    """Drop relative pictures, and write relative links ``[text](path)`` as ``text (path)``. Absolute links stay."""
    relative = r"\((?!https?://)([^)]+)\)"
    text = re.sub(rf"^!\[[^\]]*\]{relative}\n\n", "", readme, flags=re.MULTILINE)
    return re.sub(rf"\[([^\]]+)\]{relative}", r"\1 (\2)", text)


if __name__ == "__main__":
    readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    setup(long_description=long_description(readme), long_description_content_type="text/markdown")
