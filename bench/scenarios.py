"""The scenarios. Each is called with a server class, where Relais is
installed and the scale (1, or less for a quick run); it starts a server,
loads it, and returns {figure: number}. Figures of the same name are compared
between servers; report.py knows their units and which way is better."""
import contextlib
import functools
import socket
import statistics
import time

import load
import names
import relais
import servers
import smtp_tools
import tree

SESSIONS = (20, 100)
DEEP_ROUNDS = 1     # it takes a peer minutes to queue 100,000


@contextlib.contextmanager
def running(cls, root, **kw):
    server = cls(root, **kw)
    try:
        yield server
    finally:
        server.stop()
        server.cleanup()


@contextlib.contextmanager
def sinking(*options, **kw):
    sink = load.Sink(*options, **kw)
    try:
        yield sink
    finally:
        sink.stop()


class Gauge:
    """What a server uses from here on."""

    def __init__(self, server):
        self.pid = server.process.pid
        self.before = tree.total_cpu(self.pid), tree.written(self.pid)

    def figures(self, count):
        return {
            'cpu': (tree.total_cpu(self.pid) - self.before[0]) / count,
            'written': (tree.written(self.pid) - self.before[1]) / count,
            'memory': tree.memory(self.pid)}


# ---- the way in -----------------------------------------------------------

def ingest(sessions, kept):
    def scenario(cls, root, scale):
        with running(cls, root) as server:
            load.send(server.port, 200, sessions, kept)
            gauge = Gauge(server)
            count = int((10000 if kept else 6000) * scale)
            got = load.send(server.port, count, sessions, kept)
            return {'rate': count / got['seconds'], 'p99': got['p99'],
                    **gauge.figures(count)}
    how = 'kept' if kept else 'new'
    scenario.__name__ = f'ingest_{how}_{sessions}'
    scenario.__doc__ = (
        f'ingest, next hop down, {sessions} sessions, ' +
        ('connections kept' if kept else 'a connection a message'))
    return scenario


def ingest_smtp_source(kept):
    def scenario(cls, root, scale):
        count = int((10000 if kept else 6000) * scale)
        how = {'sink': smtp_tools.Sink} if cls is servers.Floor else {}
        with running(cls, root, **how) as server:
            smtp_tools.send(server.port, 200, 20, kept)
            return {'rate': count / smtp_tools.send(
                server.port, count, 20, kept)}
    scenario.__name__ = f'ingest_smtp_source_{"kept" if kept else "new"}'
    scenario.__doc__ = "by Postfix's smtp-source, 20 sessions, " + (
        'connections kept' if kept else 'a connection a message')
    return scenario


def half_load(cls, root, scale):
    """half of what is possible, 5,000 a second on kept connections"""
    if cls is not servers.Relais:
        return None
    with running(cls, root) as server:
        load.send(server.port, 1000, kept=True)
        got = load.send(server.port, int(200000 * scale), kept=True,
                        options=['-R', 5000])
        return {'p99': got['p99'], 'p999': got['p999']}


def calls(cls, root, scale):
    """ingest, 20 sessions, connections kept: system calls (strace)"""
    with running(cls, root) as server:
        load.send(server.port, 100, kept=True)
        trace = tree.Trace(server.process.pid)
        load.send(server.port, 500, kept=True)
        return trace.stop(500)


def starttls(resumed):
    option = '-S' if resumed else '-T'

    def scenario(cls, root, scale):
        if not getattr(cls, 'serves_tls', True):
            return None
        with running(cls, root, tls=True) as server:
            load.send(server.port, 40, options=[option])
            gauge = Gauge(server)
            count = int(3000 * scale)
            got = load.send(server.port, count, options=[option])
            figures = {'rate': count / got['seconds'], 'p99': got['p99'],
                       'source': got['cpu'] / count, **gauge.figures(count)}
            if resumed:
                figures['resumed'] = got['resumed']
            return figures
    scenario.__name__ = 'starttls_resumed' if resumed else 'starttls'
    scenario.__doc__ = 'STARTTLS, 20 sessions, a connection a message' + (
        ', TLS resumed' if resumed else '')
    return scenario


def large(cls, root, scale):
    """200 messages of 5 MiB, 20 sessions, next hop down"""
    with running(cls, root) as server:
        gauge = Gauge(server)
        count = int(200 * scale) + 1
        got = load.send(server.port, count, kept=True, size=5 << 20)
        return {'bytes': count * (5 << 20) / got['seconds'],
                **gauge.figures(count)}


def relay_bodies(cls, root, scale):
    """200 messages of 5 MiB to the end, 20 sessions"""
    with sinking() as sink, running(cls, root, hop=sink.port) as server:
        load.send(server.port, 20)
        sink.wait(20)
        gauge, read = Gauge(server), tree.read(server.process.pid)
        count = int(200 * scale) + 1
        start = time.time()
        load.send(server.port, count, kept=True, size=5 << 20)
        got = sink.wait(count + 20)
        return {'bytes': count * (5 << 20) / (got['last'] - start),
                **gauge.figures(count),
                'read': (tree.read(server.process.pid) - read) / count}


def beside(cls, root, scale):
    """4 KiB messages of 5 sessions while 2 send messages of 10 MiB"""
    with running(cls, root) as server:
        send = functools.partial(load.send, server.port, sessions=5,
                                 kept=True, options=['-R', 100])
        send(100)
        count = int(2000 * scale)
        lone = send(count)
        crowd = load.Source(server.port, '-m', 10000, '-s', 2, '-l',
                            10 << 20, '-d')
        got = send(count)
        assert crowd.process.poll() is None, 'the large ones went'
        crowd.process.terminate()
        crowd.stop()
        return {'lone': lone['p99'], 'beside': got['p99']}


# ---- the way through ------------------------------------------------------

def relay(kept):
    def scenario(cls, root, scale):
        with sinking() as sink, running(cls, root, hop=sink.port) as server:
            load.send(server.port, 50)
            sink.wait(50)
            gauge = Gauge(server)
            count = int(6000 * scale)
            start = time.time()
            load.send(server.port, count, kept=kept)
            got = sink.wait(count + 50)
            return {'rate': count / (got['last'] - start),
                    **gauge.figures(count)}
    scenario.__name__ = f'relay_{"kept" if kept else "new"}'
    scenario.__doc__ = 'relay to the end, 20 sessions, ' + (
        'connections kept' if kept else 'a connection a message')
    return scenario


def drain(cls, root, scale):
    """drain of 10,000 after the next hop's return and a flush"""
    with sinking(start=False) as sink, \
            running(cls, root, hop=sink.port) as server:
        count = int(10000 * scale)
        load.send(server.port, count, kept=True)
        time.sleep(3)
        gauge = Gauge(server)
        sink.start()
        start = time.time()
        server.flush()
        got = sink.wait(count)
        return {'rate': count / (got['last'] - start),
                'first': got['first'] - start, **gauge.figures(count)}


def thousand(pipelined):
    def scenario(cls, root, scale):
        with sinking() as sink, running(cls, root, hop=sink.port) as server:
            count = int(20 * scale) + 1
            gauge = Gauge(server)
            start = time.time()
            load.send(server.port, count, sessions=1, kept=True,
                      options=['-r', 1000, '-t', 'u#@dst.test'] +
                      ['-P'] * pipelined)
            got = sink.wait(count * 1000)
            return {'rate': count * 1000 / (got['last'] - start),
                    **gauge.figures(count * 1000)}
    scenario.__name__ = 'thousand' + '_pipelined' * pipelined
    scenario.__doc__ = ('the same, the client pipelines' if pipelined else
                        'one message to 1,000 recipients, again and again')
    return scenario


def send_mix(server, count, options=()):
    return load.send(server.port, count, size='1024:1048576', options=[
        '-r', 3, '-t', 'u#@d%.test', '-D', 50, *options])


def mixed(cls, root, scale):
    """a day's mix: 1 KiB to 1 MiB, 3 recipients, a tenth refused for now"""
    with sinking('-f', 10) as sink, \
            running(cls, root, hop=sink.port) as server:
        count = int(4000 * scale)
        gauge = Gauge(server)
        start = time.time()
        got = send_mix(server, count)
        # all were tried once
        while sink.seen()['recipients'] + sink.seen()['refused'] < 3 * count:
            time.sleep(0.1)
        return {'rate': 3 * count / (sink.seen()['last'] - start),
                'p99': got['p99'], **gauge.figures(count)}


def mixed_paced(cls, root, scale):
    """the same mix, 60 messages a second for each server"""
    with sinking('-f', 10) as sink, \
            running(cls, root, hop=sink.port) as server:
        return {'p99': send_mix(server, int(1200 * scale),
                                ['-R', 60])['p99']}


# ---- many that wait -------------------------------------------------------

def idle(sessions):
    def scenario(cls, root, scale):
        if cls is not servers.Relais and sessions > 1000:
            return None
        with running(cls, root) as server:
            before = tree.memory(server.process.pid)
            count = min(sessions, cls.sessions)
            source = load.Source(server.port, '-I', '-s', count, pipe=True)
            held = source.line(300)['held']
            time.sleep(1)
            memory = tree.memory(server.process.pid) - before
            greeted = max(greeting(server.port) for _ in range(100))
            source.stop()
            return {'held': held, 'each': memory / max(held, 1),
                    'greeted': greeted}
    scenario.__name__ = f'idle_{sessions}'
    scenario.__doc__ = f'{sessions:,} idle sessions'
    return scenario


def greeting(port, seconds=60):
    """How long a new client waits for its 220."""
    start = time.monotonic()
    with socket.create_connection(('127.0.0.1', port), seconds) as s:
        assert s.recv(3) == b'220', 'a new client is not let in'
    return time.monotonic() - start


def greets(port):
    try:
        return greeting(port, 1) > 0
    except (OSError, AssertionError):
        return False


def timed(function):
    """What it returns, and the seconds that it took."""
    start = time.monotonic()
    got = function()
    return got, time.monotonic() - start


def backlog(count):
    def scenario(cls, root, scale):
        if count > cls.backlog:
            return None
        with running(cls, root) as server:
            queued = int(count * scale)
            load.send(server.port, queued, 50, kept=True, size=1024)
            figures = {}
            listed, figures['listing'] = timed(server.list_queue)
            assert listed >= queued, f'{listed} of {queued} listed'
            if hasattr(server, 'list_page'):
                _, figures['page'] = timed(server.list_page)
            server.stop(60)
            start = time.monotonic()
            server.start(wait=False)
            relais.wait_for('220', lambda: greets(server.port), 120, 0.02)
            figures['restart'] = time.monotonic() - start
            time.sleep(2)
            return {'memory': tree.memory(server.process.pid), **figures}
    scenario.rounds = DEEP_ROUNDS
    scenario.__name__ = f'backlog_{count}'
    scenario.__doc__ = f'{count:,} messages queued: restart and listing'
    return scenario


def depth(cls, root, scale):
    """a message behind 1,000 queued ones and behind 1,000,000, in turns"""
    if cls.backlog < 100000:    # those who are let off with 100,000
        return None
    count, runs = int(5000 * scale), {}
    with running(cls, root) as shallow, running(cls, root) as deep:
        load.send(shallow.port, int(1000 * scale), kept=True)
        load.send(deep.port, int(cls.backlog * scale), kept=True)
        time.sleep(5)
        for _ in range(9):
            for name, server in (('shallow', shallow), ('deep', deep)):
                gauge = Gauge(server)
                got = load.send(server.port, count, kept=True)
                for figure, value in (
                        ('rate', count / got['seconds']),
                        ('cpu', gauge.figures(count)['cpu'])):
                    runs.setdefault(f'{figure}_{name}', []).append(value)
    return {k: statistics.median(v) for k, v in runs.items()}


depth.rounds = DEEP_ROUNDS


# ---- many destinations: a name server of our own, Relais alone ------------

ZONE = """*.live MX 10 live
*.slow MX 10 slow
*.dead MX 10 dead
live A 127.0.0.1
slow A 127.0.0.2
dead A 127.0.0.3
"""


@contextlib.contextmanager
def routed(cls, root, port):
    """Relais, routing by a zone whose hosts take mail on `port`."""
    zone = names.NameServer({'test': ZONE})
    conf = (f'set resolver {{{{ 127.0.0.1@{zone.port} }}}}\n'
            f'set mx-port {port}\nset mx-loopback yes\n')
    try:
        with running(cls, root, conf=conf, action='relay') as server:
            yield server
    finally:
        zone.stop()


def destinations(cls, root, scale):
    """100,000 destinations, 5 in 100 of them dead"""
    if cls is not servers.Relais:
        return None
    count = int(100000 * scale)
    with sinking() as sink, routed(cls, root, sink.port) as server:
        gauge = Gauge(server)
        start = time.time()
        load.send(server.port, count, 50, kept=True, size=1024, options=[
            '-t', 'u@d%.live.test', '-a', 'u@d%.dead.test', '-A', 20,
            '-D', count])
        got = sink.wait(count - (count + 19) // 20, 900)
        return {'rate': got['messages'] / (got['last'] - start),
                **gauge.figures(count)}


def probe(server, sink, count):
    """The p99 of the way of single messages to a live destination."""
    before = sink.seen()['probes']
    load.send(server.port, count, 1, kept=True, options=[
        '-R', 20, '-t', 'probe@lone.live.test'])
    sink.wait(before + count, 120)
    got = sink.seen()
    sink.stop()
    sink.start()
    return got['p99']


def fairness(name, what, crowd, queued):
    def scenario(cls, root, scale):
        if cls is not servers.Relais:
            return None
        count = int(queued * scale)
        with sinking('-q', 'probe') as sink, \
                sinking('-w', 10000, port=sink.port, host='127.0.0.2'), \
                routed(cls, root, sink.port) as server:
            probe(server, sink, 40)
            lone = probe(server, sink, 400)
            load.send(server.port, count, 50, kept=True, size=1024, options=[
                '-t', crowd, '-D', 100])
            assert server.list_queue() > count / 2, 'the crowd is gone'
            beside = probe(server, sink, 400)
            assert server.list_queue() > count / 4, 'the crowd went'
            return {'lone': lone, 'beside': beside}
    scenario.__name__ = f'fairness_{name}'
    scenario.__doc__ = f'single messages while {queued:,} {what}'
    return scenario


ALL = [*(ingest(s, kept) for kept in (True, False) for s in SESSIONS),
       ingest_smtp_source(True), ingest_smtp_source(False),
       half_load, calls, starttls(False), starttls(True), relay(True),
       relay(False), drain, large, relay_bodies, beside, thousand(False), thousand(True),
       mixed, mixed_paced, idle(1000), idle(5000), idle(10000), destinations,
       fairness('slow', 'of a mailing wait for 100 slow destinations',
                'u@d%.slow.test', 200000),
       fairness('dead', 'wait for one dead destination', 'u@one.dead.test',
                100000),
       depth, backlog(100000), backlog(1000000)]
QUICK = ('ingest_kept_20', 'ingest_new_20', 'calls', 'starttls',
         'starttls_resumed', 'relay_kept', 'relay_new', 'drain',
         'large', 'idle_1000')
