"""What pyproject.toml cannot say: folders outside growsearch/ that are packages of growsearch."""

from setuptools import find_packages, setup

SPACES, REPRODUCED = "growsearch.search_spaces", "growsearch.reproduced"

setup(
    packages=[*find_packages(include=["growsearch*"]), SPACES, REPRODUCED],
    package_dir={SPACES: "search_spaces", REPRODUCED: "analysis/studies/reproduced"},
)
