"""`growsearch report --watch`: the report of a study that still changes, served on this machine."""

import argparse

from growsearch.trial.errors import InputError


def watch(parsed: argparse.Namespace) -> int:
    """Serves the report until a signal ends it."""
    if parsed.json:
        raise InputError(
            "--json prints one document, and --watch goes on until it is ended; leave one out"
        )
    from growsearch.study.console import printable
    from growsearch.study.live import LiveStudy
    from growsearch.study.live_server import LiveServer

    study = LiveStudy(parsed.study, parsed.metric)
    server = LiveServer(study, getattr(parsed, "port", 0))
    try:
        study.wait_until_made()
        study.look()
    except BaseException:
        server.server_close()
        raise
    with server.serving():
        print(f"report of {printable(parsed.study)} at {server.url} until Ctrl-C", flush=True)
        study.follow()
    return 0
