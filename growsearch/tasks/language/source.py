"""What the data sets of text share."""

from abc import abstractmethod
from dataclasses import dataclass

from growsearch.trial.kinds import DataSource


@dataclass(frozen=True, kw_only=True)
class TextSource(DataSource):
    """A text, in UTF-8."""

    holds = "text"

    @abstractmethod
    def read(self, data_dir: str | None) -> bytes:
        """The whole text; InputError if it is not there."""

    def state(self, data_dir: str | None) -> str:
        """A text that changes when the file changes. The file is read again when it has changed."""
        return ""
