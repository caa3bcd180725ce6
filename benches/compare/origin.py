"""The origin: answers a GET of /<name>?… with the bytes of a picture, and 304 where the validator is known.

Runs as a process of its own, so that its CPU time is nobody's. It only cuts a name out of the request line and writes
bytes that were put together before.
"""

import multiprocessing
import socket
import threading


def start(pictures):
    """Starts the process for `{name: bytes}`; gives it with the address it listens on."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    answers = {name.encode(): _answers(name, body) for name, body in pictures.items()}
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(listener, answers), daemon=True)
    process.start()
    address = "http://127.0.0.1:%d" % listener.getsockname()[1]
    listener.close()
    return process, address


def _answers(name, body):
    etag = b'"%s"' % name.encode()
    kind = {"jpg": b"jpeg"}.get(name.rpartition(".")[2], name.rpartition(".")[2].encode())
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/%s\r\nETag: %s\r\nContent-Length: %d\r\n\r\n" % (kind, etag, len(body))
    return etag, head + body, b"HTTP/1.1 304 Not Modified\r\nETag: %s\r\n\r\n" % etag


def _serve(listener, answers):
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_connection, args=(connection, answers), daemon=True).start()


def _connection(connection, answers):
    waiting = b""
    try:
        while data := connection.recv(65536):
            waiting += data
            while b"\r\n\r\n" in waiting:
                request, _, waiting = waiting.partition(b"\r\n\r\n")
                name = request.split(b" ", 2)[1].lstrip(b"/").partition(b"?")[0]
                etag, full, unchanged = answers[name]
                connection.sendall(unchanged if b"if-none-match: " + etag in _lower_names(request) else full)
    except (OSError, KeyError, IndexError):
        pass
    finally:
        connection.close()


def _lower_names(request):
    """The head with the one header name that matters in one spelling."""
    return request.replace(b"If-None-Match", b"if-none-match")
