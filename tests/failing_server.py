"""A server of files that fails for a while."""

from fsspec.implementations.memory import MemoryFileSystem


class Server(MemoryFileSystem):
    """Files in memory, behind calls that fail for a while."""

    store, pseudo_dirs, cachable = {}, [""], False
    asked, fails = 0, 0

    def _answer(self):
        type(self).asked += 1
        if self.fails > 0:
            type(self).fails -= 1
            raise OSError("connection refused")

    def info(self, path, **options):
        self._answer()
        return super().info(path, **options)

    def _open(self, path, *given, **options):
        self._answer()
        return super()._open(path, *given, **options)


def working_server(monkeypatch):
    """The server without files or failures, until the test ends."""
    monkeypatch.setattr(Server, "store", {})
    monkeypatch.setattr(Server, "asked", 0)
    monkeypatch.setattr(Server, "fails", 0)
    return Server
