"""Pages from the templates of the package; whatever is put in stays text."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

import jinja2
from markupsafe import Markup


def render_page(template: str, **content: object) -> str:
    """Fill a template of `malscan/templates`.

    Args:
        template: name of its file.
        content: what it asks for, all of it.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("malscan"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(content)


def inlined(name: str) -> tuple[Markup, str]:
    """A style sheet or script of `malscan/templates`, to stand in a page as it is.

    Returns:
        Its text, and the source expression that allows it in a Content-Security-Policy.
    """
    text = (files("malscan") / "templates" / name).read_text(encoding="utf-8")
    digest = b64encode(sha256(text.encode()).digest()).decode("ascii")
    return Markup(text), f"'sha256-{digest}'"
