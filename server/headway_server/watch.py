"""A thread in every serving process that sends webhook messages soon after they were written, and watches timestamps.

It needs no timer and no second service; where ``headway server tick`` stands still, this is what still notices. A round
that fails is logged and tried again: it never stops serving, and it ends with its process.
"""

from __future__ import annotations

import logging
import threading
import time

from headway_server.maintenance.lateness import alarm
from headway_server.notifying.sending import send_due
from headway_server.ports import Actor, Ports

_log = logging.getLogger("headway.webhooks")
_WATCH_EVERY_S = 60.0
_ACTOR = Actor("watch", "-")


class Watch:
    """The thread; ``start`` it once per process."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin, unless the settings say that only ``tick`` sends."""
        if self._ports.settings.webhook_every_s > 0:
            self._thread.start()

    def stop(self) -> None:
        """Finish the round that is running."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        watched = float("-inf")
        while not self._stop.wait(self._ports.settings.webhook_every_s):
            try:
                if time.monotonic() - watched >= _WATCH_EVERY_S:
                    watched = time.monotonic()
                    alarm(self._ports, _ACTOR)
                send_due(self._ports)
            except Exception as error:  # noqa: BLE001 - the next round is the remedy, whatever it was
                _log.warning("a round of webhooks failed", exc_info=error)
