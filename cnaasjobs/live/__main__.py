"""``python -m cnaasjobs.live --bind 127.0.0.1:8001``: the events process."""

import argparse
import gc
import os
import sys

import django
import uvicorn


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m cnaasjobs.live", description="Tells listeners what has changed.")
    options.add_argument("--bind", default="127.0.0.1:8001", help="host:port, unix:/path or fd://number")
    options.add_argument("--proxy-protocol", action="store_true", help="each connection begins with a PROXY line")
    return options


def main() -> None:
    options = parser().parse_args()

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnaasjobs.settings")
    gc.disable()  # while modules load: what they hold stays, so a search would find no garbage
    django.setup(set_prefix=False)
    from cnaasjobs.db.bounded_waits import bound_waits
    from cnaasjobs.live import application, server
    from cnaasjobs.startup import problems

    gc.enable()
    gc.freeze()
    if wrong := problems():
        sys.exit("\n".join(wrong))
    bound_waits()  # one thread asks for all listeners: a frozen database must not hold it up
    config = server.config(application.application(), proxy_protocol=options.proxy_protocol)
    uvicorn.Server(config).run(sockets=[server.listener(options.bind)])


if __name__ == "__main__":
    main()
