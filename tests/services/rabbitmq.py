"""A private RabbitMQ node: its own epmd, cookie, ports and directories. Several run side by side, as root or not."""

import base64
import functools
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import amqp

from tests.services.base import Broker, find_binary, free_port
from tests.services.managed import Managed
from tests.waiting import wait_until

# Debian's /usr/sbin/rabbitmq-server insists on its own user and directories; these are the scripts behind it.
_PLACES = ["/usr/lib/rabbitmq/bin"]
_SEPARATE = 8  # as many as processes that share it
_calls = count(1)  # of this process


def _script(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join(_PLACES)) or find_binary(name)


@functools.cache
def _plugins() -> list[Path]:
    """The server's own parts lie among its plugins, where its scripts are those that came with it."""
    return [*(Path(str(_script("rabbitmq-server"))).resolve().parents[1] / "plugins").glob("*-*")]


def _grant(user: str, vhost: str) -> str:
    """In Erlang."""
    names = ", ".join(f'<<"{word}">>' for word in (user, vhost, ".*", ".*", ".*", "tests"))
    return f"ok = rabbit_auth_backend_internal:set_permissions({names})"


class RabbitMQ(Broker):
    """``settings`` are those of the application rabbit, in Erlang (``{"consumer_timeout": "60000"}``).

    ``erlang`` are flags of its virtual machine.
    """

    name = "rabbitmq"
    start_seconds = 60.0

    def __init__(
        self,
        directory: Path,
        *,
        settings: Mapping[str, str] | None = None,
        erlang: str = "+sbwt none +S 2:2",
        port: int | None = None,
    ) -> None:
        super().__init__(directory)
        self.settings = dict(settings or {})
        self.erlang = erlang
        self.port = port or free_port()
        self.dist_port = free_port()
        self.epmd_port = free_port()
        self.epmd: Managed | None = None
        self.vhost = "/"
        self._made = 0  # virtual hosts

    @classmethod
    def is_available(cls) -> bool:
        return bool(_script("rabbitmq-server") and find_binary("epmd"))

    @property
    def url(self) -> str:
        return self.vhost_url(self.vhost)

    def separate_urls(self) -> list[str]:
        """New virtual hosts."""
        return [self.vhost_url(self.new_vhost()) for _ in range(_SEPARATE)]

    def vhost_url(self, vhost: str) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{vhost}"

    def connect(self, vhost: str | None = None) -> amqp.Connection:
        connection = amqp.Connection(
            f"127.0.0.1:{self.port}",
            virtual_host=vhost or self.vhost,
            userid="guest",
            password="guest",
            connect_timeout=3,
            read_timeout=5,
        )
        connection.connect()
        return connection

    def is_ready(self) -> bool:
        try:
            self.connect().close()
        except (OSError, amqp.AMQPError):
            return False
        return True

    def ctl(self, *arguments: str) -> str:
        """``rabbitmqctl``: about two seconds a call."""
        command = [str(_script("rabbitmqctl")), "--node", self.node, "--quiet", *arguments]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env=self._environment(), timeout=180
        ).stdout

    def evaluate(self, expression: str) -> str:
        """In Erlang, on the node; its value. ``erl_call``, where installed, starts no virtual machine for it."""
        if (program := find_binary("erl_call")) is None:
            return self.ctl("eval", expression).strip()
        cookie = (self.directory / ".erlang.cookie").read_text()
        ours = f"of{os.getpid()}no{next(_calls)}"  # a second one of a name is refused, as the first leaves too
        command = [program, "-n", self.node, "-h", ours, "-c", cookie, "-e"]
        env = self._environment()
        done = subprocess.run(command, input=expression + "\n", capture_output=True, text=True, env=env, timeout=60)
        if not done.stdout.startswith("{ok,"):
            raise AssertionError(f"{expression}: {done.stdout}{done.stderr}")
        return done.stdout.strip().removeprefix("{ok, ").removesuffix("}")

    @property
    def node(self) -> str:
        return f"cnaasjobs{self.port}@localhost"

    def use_new_vhost(self) -> None:
        """Use a new virtual host, with its own queues; after ``wipe`` it exists again, empty.

        ``url``, ``queues`` and ``purge`` mean it from now on.
        """
        self.vhost = self.new_vhost()

    def new_vhost(self) -> str:
        """Its name."""
        self._made += 1
        name = self._vhost_name(self._made)
        self.evaluate(f'ok = rabbit_vhost:add(<<"{name}">>, <<"tests">>), {_grant("guest", name)}.')
        return name

    def _vhost_name(self, number: int) -> str:
        return f"test{number}"

    def add_user(self, name: str, password: str) -> None:
        """Who may do everything in the virtual host of now."""
        add = f'rabbit_auth_backend_internal:add_user(<<"{name}">>, <<"{password}">>, <<"tests">>)'
        self.evaluate(f"ok = {add}, {_grant(name, self.vhost)}.")

    def delete_user(self, name: str) -> None:
        self.evaluate(f'ok = rabbit_auth_backend_internal:delete_user(<<"{name}">>, <<"tests">>).')

    def queues(self) -> dict[str, int]:
        """Each queue with the number of its messages, unacknowledged ones included."""
        return self._counted("messages")

    def unacknowledged(self) -> dict[str, int]:
        """Each queue with the number of its messages that workers hold."""
        return self._counted("messages_unacknowledged")

    def _counted(self, what: str) -> dict[str, int]:
        queue = f"element(4, proplists:get_value(name, Q)), proplists:get_value({what}, Q, 0)"
        all_of_them = f'rabbit_amqqueue:info_all(<<"{self.vhost}">>, [name, {what}])'
        lines = f'iolist_to_binary([io_lib:format("~s~n~b~n", [{queue}]) || Q <- {all_of_them}])'
        # Each program that evaluates escapes a text in its own way, but for letters and digits.
        words = base64.b64decode(self.evaluate(f"base64:encode_to_string({lines}).").strip('"[]')).decode().splitlines()
        return {name: int(count) for name, count in zip(words[::2], words[1::2], strict=True)}

    def purge(self) -> None:
        with self.connect() as connection:
            for queue in self.queues():
                connection.channel().queue_purge(queue)

    def cut_connections(self) -> None:
        all_of_them = "rabbit_networking:connection_info_all([pid, vhost])"
        ours = f'[Pid || [{{pid, Pid}}, {{vhost, <<"{self.vhost}">>}}] <- {all_of_them}]'
        self.evaluate(f'rabbit_networking:close_connections({ours}, "cut by a test").')

    def block_publishers(self) -> None:
        """The memory alarm: publishers' connections are blocked until ``unblock_publishers``."""
        self.evaluate("vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1}).")

    def unblock_publishers(self) -> None:
        self.evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.4).")

    def launch(self) -> Managed:
        (self.directory / "enabled_plugins").write_text("[].\n")
        self._leave_plugins_out()
        settings = {
            "tcp_listeners": f'[{{"127.0.0.1", {self.port}}}]',
            "log": "[{console, [{enabled, true}]}, {file, [{file, false}]}]",
            "load_definitions": f'"{self._write_definitions()}"',
            **self.settings,
        }
        # A rabbitmq.conf is translated into this at each start, by a compiler that takes a seventh of that time.
        terms = ", ".join(f"{{{name}, {value}}}" for name, value in settings.items())
        (self.directory / "rabbitmq.config").write_text(f"[{{rabbit, [{terms}]}}].\n")
        if self.epmd is None or not self.epmd.running:
            argv = [str(find_binary("epmd")), "-address", "127.0.0.1", "-port", str(self.epmd_port)]
            self.epmd = Managed("epmd", argv, log=self.directory / "epmd.log", env=self._environment())
            wait_until(self._epmd_answers, message="epmd")
        log = self.directory / "rabbitmq.log"
        return Managed(
            "rabbitmq", [str(_script("rabbitmq-server"))], log=log, env=self._environment(), cwd=self.directory
        )

    def stop(self) -> None:
        super().stop()
        self._stop_epmd()

    def kill(self) -> None:
        super().kill()
        self._stop_epmd()

    def erase(self) -> None:
        shutil.rmtree(self.directory / "mnesia", ignore_errors=True)

    def _write_definitions(self) -> Path:
        """The user, and the virtual hosts that were made."""
        vhosts = ["/", *map(self._vhost_name, range(1, self._made + 1))]
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        definitions = {
            "users": [{"name": "guest", "password": "guest", "tags": ["administrator"]}],
            "vhosts": [{"name": name} for name in vhosts],
            "permissions": [{"user": "guest", "vhost": name, **everything} for name in vhosts],
        }
        path = self.directory / "definitions.json"
        path.write_text(json.dumps(definitions))
        return path

    def _leave_plugins_out(self) -> None:
        """The server reads all that there are when it starts, for a sixth of that time, and uses none."""
        (self.directory / "plugins").mkdir(exist_ok=True)
        for part in _plugins():
            link = self.directory / "plugins" / part.name
            if not link.is_symlink() and (not part.name.startswith("rabbitmq_") or "_prelaunch" in part.name):
                link.symlink_to(part)

    def _stop_epmd(self) -> None:
        if self.epmd is not None:
            self.epmd.kill_tree()
            self.epmd = None

    def _epmd_answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.epmd_port), timeout=1).close()
        except OSError:
            return False
        return True

    def _environment(self) -> dict[str, str]:
        """Everything of the machine's own RabbitMQ is overridden, including its configuration files."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ_", "ERL_"))}
        directory = str(self.directory)
        return kept | {
            "HOME": directory,  # holds the Erlang cookie
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{self.erlang} -kernel inet_dist_use_interface {{127,0,0,1}}",
            "RABBITMQ_CONF_ENV_FILE": f"{directory}/none.conf",
            "RABBITMQ_CONFIG_FILE": f"{directory}/rabbitmq.config",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{directory}/advanced",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{directory}/enabled_plugins",
            **({"RABBITMQ_PLUGINS_DIR": f"{directory}/plugins"} if _plugins() else {}),
            "RABBITMQ_MNESIA_BASE": f"{directory}/mnesia",
            "RABBITMQ_LOG_BASE": directory,
            "RABBITMQ_PID_FILE": f"{directory}/rabbitmq.pid",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the server: signals reach it
        }
