"""Equations of docstrings, written as `.. math::`, as blocks that MkDocs shows."""

import re

import griffe

_BLOCK = re.compile(r"^( *)\.\. math::(.*(?:\n(?!\1?\s*$).+)*)", re.MULTILINE)


def as_markdown(text: str) -> str:
    """The text with every equation between lines of two dollars."""
    return _BLOCK.sub(lambda found: f"{found[1]}$$\n{found[1]}{found[2].strip()}\n{found[1]}$$", text)


class Equations(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Change the docstring in place."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
