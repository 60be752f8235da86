"""What the crash tests share: mail whose every octet is known again, a load
that remembers what was acknowledged and when, a next hop that counts, and an
instance that can die in every way.

A message is made from its ident alone: size, lines and checksum follow from
it. So whoever meets it later, in the queue or at the next hop, can tell
whether it is whole.
"""
import collections
import ctypes
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '..', 'lib'))
import relais  # noqa: E402
from relais import Client, Instance, Sink, wait_for  # noqa: E402

LONG = bool(os.environ.get('RELAIS_LONG'))
SEED = int(os.environ.get('RELAIS_SEED') or random.SystemRandom().randrange(
    1 << 31))
PER_SESSION = 50

RELAY = '''
listen on 127.0.0.1 port {port}
action "out" relay host smtp://127.0.0.1:{sink}
match from any for domain "example.org" action "out"
'''


def rounds(short, many):
    """How many rounds this run plays: RELAIS_ROUNDS, or the usual ones."""
    return int(os.environ.get('RELAIS_ROUNDS') or (many if LONG else short))


def make_head(ident):
    """A program on this machine would get what is left out of it."""
    return (f'X-Ident: {ident}\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n'
            f'Message-ID: <{ident}@load.test>\r\n\r\n')


def make_text(ident, rng, size):
    text = rng.randbytes(size // 2).hex()
    lines = [text[i:i + 72] for i in range(0, len(text), 72)]
    return (make_head(ident) + '\r\n'.join(lines) + '\r\n').encode()


def make_body(ident):
    """Mostly a few KiB; one in 16 is so large that it gets a file of its
    own in the spool, one in 64 so large that its end is written around the
    page cache."""
    rng = random.Random(ident)
    kind = rng.randrange(64)
    low, high = (300_000, 900_000) if kind == 0 else \
        (70_000, 200_000) if kind <= 4 else (100, 8_000)
    return make_text(ident, rng, rng.randrange(low, high))


def make_mixed(ident):
    """Every other body in a file."""
    if random.Random(ident + 'size').randrange(2):
        return make_body(ident)
    return make_text(ident, random.Random(ident), 80_000)


class Load:
    """Clients that send message after message to port() and never give up.
    Afterwards every message is in one of `acked` (ident: when), `unanswered`
    (sent whole, no answer came) and `refused` (ident: reply); those that were
    not sent whole are not kept. `replies` counts the codes that came earlier
    in a session where a message would have begun."""

    def __init__(self, port, clients=4, prefix='m', domain='example.org',
                 body=make_body, pause=0):
        self.port = port if callable(port) else lambda: port
        self.prefix, self.domain = prefix, domain
        self.body, self.pause = body, pause
        self.acked = {}
        self.unanswered = {}
        self.refused = {}
        self.replies = collections.Counter()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,),
                                         daemon=True)
                        for i in range(clients)]
        for t in self.threads:
            t.start()

    def run(self, client):
        n = 0
        while not self.stopping.is_set():
            try:
                c = Client(self.port(), timeout=20)
                if not c.greeting.startswith('220'):
                    raise EOFError
                c.expect('EHLO load.test', 250)
                for _ in range(PER_SESSION):
                    if self.stopping.is_set():
                        break
                    n += 1
                    self.send(c, f'{self.prefix}-{client}-{n}')
                    time.sleep(self.pause)
                c.say('QUIT')
                c.close()
            except AssertionError:
                self.replies[c.dialogue[-1][3:6]] += 1
                c.close()
                time.sleep(0.02)
            except (OSError, EOFError):
                time.sleep(0.02)

    def send(self, c, ident):
        c.dialogue.clear()
        c.expect(f'MAIL FROM:<{ident}@load.test>', 250)
        c.expect(f'RCPT TO:<r@{self.domain}>', 250)
        c.expect('DATA', 354)
        self.unanswered[ident] = time.monotonic()
        c.send(self.body(ident) + b'.\r\n')
        reply = c.reply()
        del self.unanswered[ident]
        if reply.startswith('250'):
            self.acked[ident] = time.monotonic()
        else:
            self.refused[ident] = reply

    def wait_acked(self, more, seconds=60):
        """Waits until so many more are acknowledged: service is there."""
        mark = len(self.acked)
        wait_for('mail is taken', lambda: len(self.acked) >= mark + more,
                 seconds)

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join()


class Counter(Sink):
    """A next hop that compares each message with what its ident says, and
    keeps only when it came."""

    def __init__(self, *args, body=make_body, **kw):
        self.arrivals = {}
        self.torn = {}
        self.aliens = []
        self.body = body
        super().__init__(*args, **kw)
        self.commands = collections.deque(maxlen=100)
        self.messages = self

    def append(self, mail):
        """In place of a list of messages; called with the lock held."""
        text = mail['body']
        m = re.search(rb'^X-Ident: (\S+)\r\n', text, re.M)
        if not m:
            self.aliens.append(text)
            return
        ident = m.group(1).decode()
        # trace fields of ours come before what was sent
        if text[m.start():] != self.body(ident):
            self.torn[ident] = text
        self.arrivals.setdefault(ident, []).append(time.monotonic())

    def twice(self):
        with self.lock:
            return {i: t for i, t in self.arrivals.items() if len(t) > 1}


class Victim(Instance):
    """An instance that is killed and started again."""

    def log(self):
        """The end of the log; a long run writes gigabytes."""
        try:
            with open(self.log_path, 'rb') as f:
                f.seek(max(0, os.path.getsize(self.log_path) - 200_000))
                return f.read().decode(errors='replace')
        except FileNotFoundError:
            return ''

    def start(self, wait=True, options=()):
        if os.path.exists(self.log_path) and \
                os.path.getsize(self.log_path) > 50_000_000:
            os.rename(self.log_path, self.log_path + '.old')
        with open(self.log_path, 'a') as log:
            log.write(f'==== start {time.time()}\n')
        super().start(wait=False, options=options)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=60):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError('relaisd ended:\n' + self.log()[-4000:])
            return ': info: ready\n' in self.log().rpartition('====')[2]
        wait_for('relaisd becomes ready', ready, seconds)

    def workers(self):
        """The pids of all workers, now."""
        return [p for group in self.pids().values() for p in group]

    def queued(self):
        """The senders in the queue: {ident}."""
        return set(re.findall(r'([^|@ ]+)@load\.test',
                              self.smtpctl('show', 'queue')))

    def kill_master(self):
        """Kills the master alone; its workers, which must end by
        themselves."""
        pids = self.workers()
        self.process.kill()
        self.process.wait()
        return pids


def kill_pid(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def gone(pid):
    """Whether a process has ended (a zombie has)."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rpartition(')')[2].split()[0] in 'ZX'
    except OSError:
        return True


def drain(victim, sink, want, seconds=120):
    """Waits until the queue is empty, or until nothing moves any more; then
    the idents that never came."""
    def missing():
        with sink.lock:
            return set(want) - sink.arrivals.keys()
    end = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < end:
        if time.monotonic() - tried > 2:
            tried = time.monotonic()
            victim.smtpctl('flush', check=False)
        if not victim.smtpctl('show', 'queue').strip():
            break
        time.sleep(0.1)
    return missing()


def own_mounts():
    """From here on this process mounts for itself and its children alone:
    nothing stays mounted however it ends, and a namespace that another
    process makes meanwhile does not keep our file systems."""
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newns, ms_rec_private = 0x00020000, 0x4000 | 0x40000
    if libc.unshare(clone_newns) != 0 or \
            libc.mount(b'none', b'/', None, ms_rec_private, None) != 0:
        raise relais.Skip('no mount namespace: '
                          + os.strerror(ctypes.get_errno()))


class Disk:
    """A file system in a file, mounted at `where` through a loop device."""

    MKFS = {'ext4': ['mkfs.ext4', '-q', '-F'], 'xfs': ['mkfs.xfs', '-q', '-f']}
    # FS_IOC_SHUTDOWN with FS_SHUTDOWN_FLAGS_NOLOGFLUSH
    SHUTDOWN, NOLOGFLUSH = 0x8004587d, 2

    def __init__(self, kind, where, megabytes=600, options=(), image=None):
        own_mounts()
        self.where, self.image = where, image or where + '.img'
        os.makedirs(where, exist_ok=True)
        with open(self.image, 'wb') as f:
            f.truncate(megabytes << 20)
        try:
            subprocess.run([*self.MKFS[kind], *options, self.image],
                           check=True, capture_output=True)
        except FileNotFoundError as e:
            raise relais.Skip(f'{e.filename} is not installed') from e
        self.mounted = False
        self.mount()

    def mount(self):
        r = subprocess.run(['mount', '-o', 'loop', self.image, self.where],
                           capture_output=True, text=True)
        if r.returncode != 0:
            raise relais.Skip(f'no loop mounts here: {r.stderr.strip()}')
        self.mounted = True

    def umount(self, lazy=False):
        if not self.mounted:
            return
        # a process that was killed may hold it a moment longer
        for _ in range(100):
            if subprocess.run(['umount', *(['-l'] if lazy else []),
                               self.where], capture_output=True
                              ).returncode == 0:
                self.mounted = False
                return
            time.sleep(0.1)
        raise AssertionError(f'{self.where} cannot be unmounted')

    def cut(self):
        """The power goes: nothing more reaches the disk, not even the log
        of the file system. When the call began and ended."""
        import fcntl
        import struct
        fd = os.open(self.where, os.O_RDONLY)
        try:
            begin = time.monotonic()
            fcntl.ioctl(fd, self.SHUTDOWN, struct.pack('I', self.NOLOGFLUSH))
            return begin, time.monotonic()
        finally:
            os.close(fd)

    def close(self):
        try:
            self.umount()
        except AssertionError:
            self.umount(lazy=True)
        os.unlink(self.image)
