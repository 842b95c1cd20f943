"""A policy that tells the effect ledger of every call before it is made; it is copied beside the example's manifest."""

from __future__ import annotations

import json
import os
import socket


class Ledger:
    """Sends ``{"path", "key", "pid"}`` for each call, and waits until the ledger's process has the datagram."""

    def __init__(self, settings: dict[str, object], context: object) -> None:
        self._address = str(settings["address"])
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def wrap(self, call):
        """The call, told to the ledger first."""

        async def told(request):
            line = {"path": request.path, "key": request.key, "pid": os.getpid()}
            self._sender.sendto(json.dumps(line).encode(), self._address)
            return await call(request)

        return told
