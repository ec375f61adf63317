"""Names as people are shown them: always text, never longer than there is room for."""

import unicodedata

_JOINERS = "\u200c\u200d"
"""Part of many scripts and of emoji, and harmless."""


def shown(text: str) -> str:
    r"""Text in which nothing is unseen, breaks the line or turns its neighbours around.

    Control characters, bidirectional overrides and the like appear as `\n`, `\x1b`, `\u202e`.
    """
    return "".join(escaped(sign) if _is_unseen(sign) else sign for sign in text)


def escaped(sign: str) -> str:
    r"""A character by its number, such as `\u202e`."""
    return sign.encode("unicode_escape").decode("ascii")


def shortened(text: str, most: int) -> str:
    """Text of at most `most` characters; a longer one loses its middle."""
    if len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head]}…{text[head + 1 - most :]}"


def _is_unseen(sign: str) -> bool:
    kind = unicodedata.category(sign)
    return kind in ("Cc", "Cs", "Zl", "Zp") or (kind == "Cf" and sign not in _JOINERS)
