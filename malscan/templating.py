"""Pages and cards from the templates of the package."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

import jinja2
from markupsafe import Markup


def render_page(template: str, **content: object) -> str:
    """Fill a template of an HTML page; what is put in is escaped.

    Args:
        template: name of its file in `malscan/templates`.
        content: what it asks for, all of it.
    """
    return _filled(template, content, escaped=True)


def render_text(template: str, **content: object) -> str:
    """Fill a template of plain text or Markdown; what is put in stays as it is.

    Args:
        template: name of its file in `malscan/templates`.
        content: what it asks for, all of it.
    """
    return _filled(template, content, escaped=False)


def inlined(name: str) -> tuple[Markup, str]:
    """A style sheet or script of `malscan/templates`, to stand in a page as it is.

    Returns:
        Its text, and the source expression that allows it in a Content-Security-Policy.
    """
    text = (files("malscan") / "templates" / name).read_text(encoding="utf-8")
    digest = b64encode(sha256(text.encode()).digest()).decode("ascii")
    return Markup(text), f"'sha256-{digest}'"


def _filled(template: str, content: dict[str, object], *, escaped: bool) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("malscan"),
        undefined=jinja2.StrictUndefined,
        autoescape=escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not escaped,
    )
    return environment.get_template(template).render(content)
