"""Drives bench/source and bench/sink, and reads what they print."""
import os
import re
import select
import signal
import socket
import subprocess
import time

import relais

TOOLS = None        # the folder of source and sink


def figures(line):
    """{name: number} of a line of name=number."""
    found = re.findall(r'(\w+)=([-\d.]+)', line)
    return {k: float(v) for k, v in found}


class Source:
    """A run of the generator; result() waits for its figures."""

    def __init__(self, port, *options, pipe=False):
        self.process = subprocess.Popen(
            [os.path.join(TOOLS, 'source'), *map(str, options), '127.0.0.1',
             str(port)], text=True, stdout=subprocess.PIPE,
            stdin=subprocess.PIPE if pipe else subprocess.DEVNULL,
            stderr=subprocess.PIPE)

    def line(self, seconds):
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            self.process.kill()
            raise AssertionError(f'source: nothing in {seconds} s')
        return figures(self.process.stdout.readline())

    def result(self, seconds=600):
        got = self.line(seconds)
        error = self.process.communicate()[1]
        if self.process.returncode != 0:
            raise AssertionError(f'source: {error}')
        return got

    def stop(self):
        self.process.communicate()


def send(port, count, sessions=20, kept=False, size=4096, options=()):
    """Sends and waits; the figures of the run."""
    if kept:
        options = ('-d', *options)
    got = Source(port, '-m', count, '-s', sessions, '-l', size,
                 *options).result()
    assert got['messages'] == count, f'{got} of {count}'
    return got


class Sink:
    """A next hop; start() and stop() may be called again and again."""

    def __init__(self, *options, port=None, host='127.0.0.1', start=True):
        self.host = host
        self.port = port or relais.free_port()
        self.options = options
        self.process = None
        if start:
            self.start()

    def start(self):
        self.process = subprocess.Popen(
            [os.path.join(TOOLS, 'sink'), '-a', self.host, '-p',
             str(self.port), *map(str, self.options)], text=True, stdout=subprocess.PIPE)
        self.started = time.time()
        relais.wait_for('the sink listens', self.listens, 10, 0.01)

    def listens(self):
        """By the list of sockets: a connection would be counted."""
        address = socket.inet_aton(self.host)[::-1].hex().upper()
        with open('/proc/net/tcp') as f:
            return f'{address}:{self.port:04X} 00000000:0000 0A ' in f.read()

    def seen(self):
        self.process.send_signal(signal.SIGUSR1)
        return figures(self.process.stdout.readline())

    def wait(self, recipients, seconds=600):
        """Waits for so many recipients; what was seen then."""
        end = time.monotonic() + seconds
        while True:
            got = self.seen()
            if got['recipients'] >= recipients:
                return got
            if time.monotonic() > end:
                raise AssertionError(f'{got} of {recipients}')
            time.sleep(0.05)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.communicate()
