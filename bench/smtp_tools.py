"""Postfix's own smtp-source and smtp-sink, in a root of Postfix's: the load
that others' figures are of, to compare with. They cost more than the generator
of the bench (bench/source.c), which is used for all else."""
import functools
import subprocess
import time

import peer_servers
import peers
import relais

SECONDS = 300   # the slowest needs one or two minutes


@functools.lru_cache(None)
def tools():
    """The root that both run in; Postfix itself does not."""
    return peer_servers.Postfix(start=False)


def spawn(*command):
    root = tools()
    with open(root.path(f'/{command[0]}.log'), 'w') as f:
        return root.spawn(*map(str, command), stdout=f, stderr=f)


def send(port, count, sessions, kept, size=4096):
    """The seconds that smtp-source took."""
    start = time.monotonic()
    process = spawn('smtp-source', *['-d'] * kept, '-N', '-s', sessions, '-m',
                    count, '-l', size, '-f', 's@src.test', '-t',
                    'r@dst.test', f'127.0.0.1:{port}')
    try:
        assert process.wait(SECONDS) == 0, 'smtp-source failed'
    except subprocess.TimeoutExpired:   # its words are those of the root
        peers.end(process)
        raise AssertionError(f'smtp-source: not done in {SECONDS} s') from None
    return time.monotonic() - start


class Sink:
    """smtp-sink in the place of a server."""

    def __init__(self):
        self.port = relais.free_port()
        self.process = spawn('smtp-sink', '-u', 'postfix',
                             f'127.0.0.1:{self.port}', 256)
        relais.wait_for('smtp-sink listens',
                        lambda: peers.listening(self.port), 30)

    def stop(self):
        peers.end(self.process)
