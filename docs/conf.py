"""The documentation site: `make docs` builds it from docs/ into build/docs, without a network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import generate

import growsearch

generate.write(Path(__file__).parent / "reference")

project = "growsearch"
copyright = "The growsearch contributors"
version = release = growsearch.__version__
extensions = ["myst_parser", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
highlight_language = "none"
nitpicky = True
smartquotes = False
pygments_dark_style = "github-dark"
html_theme = "furo"
html_title = "growsearch"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0f766e",
        "color-brand-content": "#0f766e",
        "color-brand-visited": "#0f766e",
    },
    "dark_css_variables": {
        "color-brand-primary": "#5eead4",
        "color-brand-content": "#5eead4",
        "color-brand-visited": "#5eead4",
    },
}
copybutton_exclude = ".linenos, .gp, .go"
