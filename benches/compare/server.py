"""A server under test: start, CPU time, peak memory, stop."""

import base64
import hashlib
import hmac
import os
import pathlib
import re
import socket
import subprocess
import time

KEY, SALT = b"compare-key", b"compare-salt"

# The same for every server. Everything else is the default, logging included.
ENVIRONMENT = {
    "IMGPROXY_KEY": KEY.hex(),
    "IMGPROXY_SALT": SALT.hex(),
    "IMGPROXY_ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
    "IMGPROXY_TIMEOUT": "60",
}


class Server:
    """A running process that answers on `port` until the `with` ends."""

    def __init__(self, binary, environment):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        inherited = {n: v for n, v in os.environ.items() if not n.startswith(("IMGPROXY_", "IMGFORGE_"))}
        bind = {"IMGPROXY_BIND": f"127.0.0.1:{self.port}"}
        # imgforge gives its workers this priority itself. On a machine with other work the one who does not would be
        # favoured, so all threads of both get it.
        self.process = subprocess.Popen(
            ["nice", "-n", "10", binary], env={**inherited, **ENVIRONMENT, **bind, **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Linux' clock of the CPU time of another process, all its threads, ended ones included: what
        # /proc/PID/stat counts as utime and stime, in nanoseconds instead of hundredths of a second.
        self.clock = (~self.process.pid << 3) | 2
        self.binary = binary

    def __enter__(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as stream:
                    stream.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                    if b" 200 " in stream.recv(64):
                        return self
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SystemExit(f"{self.binary} does not start")
            time.sleep(0.05)

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu(self):
        """Seconds of CPU that the process has used."""
        return time.clock_gettime(self.clock)

    def peak(self):
        """The most memory that was resident so far, bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024


def signed(path):
    """The target of a request for `path`."""
    mac = hmac.new(KEY, SALT + path.encode(), hashlib.sha256).digest()
    return "/" + base64.urlsafe_b64encode(mac).rstrip(b"=").decode() + path
