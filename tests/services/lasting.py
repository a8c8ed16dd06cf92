"""A RabbitMQ that restarts in a tenth of the time: its server stops, while the Erlang VM keeps running."""

from typing import Self

from tests.services.rabbitmq import RabbitMQ
from tests.waiting import wait_until

# In Erlang. 4.3 has no Mnesia any more, 3.10 nothing else.
_ITS_DATABASE = "(case code:ensure_loaded(rabbit_db) of {module, _} -> rabbit_db; _ -> rabbit_mnesia end)"


class LastingRabbitMQ(RabbitMQ):
    """Stops and starts as ``rabbitmqctl stop_app`` and ``start_app`` do.

    Who uses it sees no difference: it closes connections, refuses new ones, reads what it has on its disk when it
    starts, and has lost what is not there. Its Erlang machine goes on, or each start would load a thousand modules,
    which takes four seconds of a core. ``kill`` ends that too, and the next start is one from scratch.
    """

    def start(self) -> Self:
        if not self._machine_runs():
            return super().start()
        self.evaluate("ok = rabbit:start().")  # which has no effect on one that runs
        self.wait_ready()
        return self

    def stop(self) -> None:
        if self._machine_runs():
            # It answers a little before its start is over, and one that is stopped before that never starts again.
            wait_until(lambda: self.evaluate("whereis(rabbit_boot).") == "undefined")
            self.evaluate("ok = rabbit:stop().")

    def erase(self) -> None:
        if self._machine_runs():
            self._write_definitions()
            self.evaluate(f"ok = {_ITS_DATABASE}:reset().")
        else:
            super().erase()

    def recover(self) -> None:
        super().recover()
        self.start()

    def _machine_runs(self) -> bool:
        return self.process is not None and self.process.running
