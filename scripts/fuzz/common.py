"""Hostile texts, numbers and bytes."""

from __future__ import annotations

import random

TEXTS = [
    "",
    " ",
    "<script>document.title='owned'</script>",
    "</script><script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "javascript:document.title='owned'",
    "]]><svg onload=document.title='owned'>",
    "{{ 7 * 7 }}{% for x in y %}",
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\x1b[31mred\x1b[0m\x07",
    "\x9b2J",
    "\u202egnp.exe",
    "\u2066\u2069\u200f",
    "../../../etc/passwd",
    "/etc/passwd",
    "..",
    "a/b\\c:d*e?f",
    "nul\x00byte",
    "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
    "n" * 10_000,
    "\u6e29\u5ea6 \U0001f600 \u0301",
    "`$(touch owned)`; | & > owned",
    "%s%n{0}{}",
    "[bold red]x[/]",
    "| a | b |\n---\n# x",
    "a\r\nb",
    "ds",
    "unique_id",
    "y",
    "nan",
    "1e999",
    "True",
    "__class__",
]
NUMBERS = [
    "0",
    "-0",
    "1e308",
    "-1e308",
    "1e-320",
    "1e999",
    "nan",
    "inf",
    "1,5",
    "1.234,5",
    "1 000",
    "0x10",
    "1_0",
    "--1",
]
CELLS = [
    *NUMBERS,
    "",
    "NA",
    "null",
    "-",
    "?",
    '"',
    "'",
    '""',
    "1;2",
    "2024-01-01",
    "99999-99-99",
    "1.5.2",
    "٣",
    "½",
    "∞",
    "#1",
]


def text(draw: random.Random) -> str:
    """A hostile text, at times of several."""
    return "".join(draw.choices(TEXTS, k=draw.choice([1, 1, 1, 2])))


def value(draw: random.Random) -> object:
    """Any value that JSON may hold."""
    return draw.choice(
        [None, True, False, 0, -1, 1, 2**70, -0.5, 1e308, 1e-320, text(draw), [], {}, [1, "a"], {"a": 1}, [[[]]], "7"]
    )


def mutated(draw: random.Random, content: bytes) -> bytes:
    """Bytes of which some are others, gone, doubled, or cut off."""
    changed = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 5])):
        at = draw.randrange(len(changed) + 1)
        end = min(len(changed), at + draw.choice([1, 2, 8, 100]))
        how = draw.randrange(6)
        if how == 0 and at < len(changed):
            changed[at] ^= 1 << draw.randrange(8)
        elif how == 1:
            del changed[at:end]
        elif how == 2:
            changed[at:at] = changed[at:end] * draw.choice([1, 3])
        elif how == 3:
            changed[at:at] = draw.choice(
                [b"\x00", b"\xff\xfe", b'"', b"\n", b",", b"\xef\xbb\xbf", b"\r", b"\x1b[2J", b"9" * 400]
            )
        elif how == 4:
            changed[at:end] = draw.randbytes(end - at)
        else:
            del changed[at:]
    return bytes(changed)


def changed(draw: random.Random, described: object) -> object:
    """JSON of which one value is another, gone, or doubled; or a key is."""
    if isinstance(described, dict) and described and draw.random() < 0.9:
        key = draw.choice(list(described))
        made = dict(described)
        how = draw.random()
        if how < 0.1:
            del made[key]
        elif how < 0.2:
            made[text(draw)] = made.pop(key)
        else:
            made[key] = changed(draw, described[key])
        return made
    if isinstance(described, list) and described and draw.random() < 0.9:
        at = draw.randrange(len(described))
        how = draw.random()
        if how < 0.1:
            return described[:at] + described[at + 1 :]
        if how < 0.2:
            return [*described[:at], described[at], *described[at:]]
        return [*described[:at], changed(draw, described[at]), *described[at + 1 :]]
    return value(draw)
