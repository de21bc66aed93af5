"""What pyproject.toml cannot say: search_spaces/ at the top is a package of growsearch."""

from setuptools import find_packages, setup

SPACES = "growsearch.search_spaces"

setup(
    packages=[*find_packages(include=["growsearch*"]), SPACES],
    package_dir={SPACES: "search_spaces"},
)
