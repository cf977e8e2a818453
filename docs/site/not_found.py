"""No page for addresses that are none, unless the site's address is known.

Such a page is shown at any depth, so its links have to be absolute; below a folder of a server they lead nowhere.
"""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    if not config.site_url:
        config.theme.static_templates.discard("404.html")
    return config
