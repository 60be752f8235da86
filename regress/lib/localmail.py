"""Real users, homes and mailboxes for the tests of local delivery.

All of it lives in a mount namespace of the test's own: copies of the password
database with users added, and empty /home and /var/mail. It ends with the
test, whatever happens, and the machine never sees it.
"""
import ctypes
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile

from relais import Instance, Skip, wait_for

FIRST_UID = 61000
NAMES = ['relaist1', 'relaist2', 'relaist3', 'relaist4', 'relaist5']
# More accounts of a test, without a home: their uids by their names.
MORE = {}
CLONE_NEWNS = 0x20000
EVENTS = ('delivered', 'deferred', 'failed', 'expired', 'expanded', 'relayed')

libc = ctypes.CDLL(None, use_errno=True)
numbers = itertools.count(1)


def mount(*args):
    subprocess.run(['mount', *args], check=True)


def extend(name, lines, mode=0o644):
    """/etc/name becomes a copy of itself with lines added."""
    with tempfile.NamedTemporaryFile('w', delete=False) as f:
        with open(f'/etc/{name}') as old:
            f.write(old.read().rstrip('\n') + '\n')
        f.write(''.join(lines))
    os.chmod(f.name, mode)
    mount('--bind', f.name, f'/etc/{name}')
    os.unlink(f.name)


def enter_world():
    """Leaves the machine's mounts for our own; root only."""
    if os.geteuid() != 0:
        raise Skip('needs root: it becomes other users')
    if libc.unshare(CLONE_NEWNS) != 0:
        raise Skip(f'no mount namespace: {os.strerror(ctypes.get_errno())}')
    mount('--make-rprivate', '/')
    mount('-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', '/home')
    mount('-t', 'tmpfs', '-o', 'mode=02775,gid=8', 'tmpfs', '/var/mail')
    extend('passwd', [f'{x}:x:{uid(x)}:{uid(x)}::/home/{x}:/bin/sh\n'
                      for x in NAMES] +
           [f'{x}:x:{n}:{n}::/nonexistent:/bin/sh\n'
            for x, n in MORE.items()])
    extend('group', [f'{x}:x:{uid(x)}:\n' for x in NAMES])
    for user in NAMES:
        make_home(user)


def uid(user):
    return FIRST_UID + NAMES.index(user)


def make_home(user):
    """An empty home; what was there is gone."""
    home = f'/home/{user}'
    shutil.rmtree(home, ignore_errors=True)
    os.mkdir(home, 0o755)
    os.chown(home, uid(user), uid(user))
    return home


def write(user, name, text, mode=0o644):
    """A file of the user's, under his home unless its name is absolute."""
    path = os.path.join(f'/home/{user}', name)
    with open(path, 'w') as f:
        f.write(text)
    os.chown(path, uid(user), uid(user))
    os.chmod(path, mode)
    return path


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def mbox(user):
    try:
        return read(f'/var/mail/{user}')
    except FileNotFoundError:
        return b''


def maildir(path):
    """The messages in new/ of a Maildir."""
    try:
        names = sorted(os.listdir(f'{path}/new'))
    except FileNotFoundError:
        return []
    return [read(f'{path}/new/{name}') for name in names]


class Host(Instance):
    """An instance whose local mail can be followed."""

    def start(self, wait=True, options=()):
        super().start(wait, options)
        if wait:
            wait_for('mail is taken', self.takes_mail)
        return self

    def takes_mail(self):
        c = self.connect()
        c.expect('EHLO client.test', 250)
        reply = c.say('MAIL FROM:<a@out.test>')
        c.close()
        return reply.startswith('250')

    def send(self, *rcpts, body='Subject: t\r\n\r\nbody\r\n', sender=None,
             params=''):
        """One message to each; returns the sender, by which to follow it."""
        if sender is None:
            sender = f's{next(numbers)}@out.test'
        c = self.connect()
        c.expect('EHLO client.test', 250)
        reply = c.transfer(sender, rcpts, body, params)
        assert reply.startswith('250'), reply
        c.close()
        return sender

    def events(self, sender):
        """[(event, to, result)] of what the queue said of a message."""
        out = []
        for line in self.log().splitlines():
            m = re.search(r'\b(%s)\b.* from="?%s"? to=(\S+)' %
                          ('|'.join(EVENTS), re.escape(sender)), line)
            if m:
                r = re.search(r' result="([^"]*)"', line)
                out.append((m.group(1), m.group(2).strip('"'),
                            r.group(1) if r else ''))
        return out

    def outcome(self, *rcpts, seconds=30, **kw):
        """Sends and waits for what came of it: the last events, those of
        expansions aside."""
        sender = self.send(*rcpts, **kw)
        final = wait_for(f'an outcome of {rcpts}', lambda: [
            e for e in self.events(sender) if e[0] != 'expanded'], seconds)
        return final[0]

    def expect(self, rcpt, event, text='', **kw):
        got = self.outcome(rcpt, **kw)
        assert got[0] == event and text in got[2], \
            f'{rcpt}: {got}, expected {event} {text!r}\n{self.log()[-1500:]}'
        return got

    def alive(self):
        """All is as it was: no worker has died, no sanitizer spoke."""
        log = self.log()
        for word in ('was killed', 'Sanitizer', 'runtime error', 'ended with'):
            assert word not in log, [l for l in log.splitlines() if word in l][:5]


def begin(conf, **kw):
    """The world and an instance in it; skips the whole test without root."""
    try:
        enter_world()
    except Skip as e:
        print(f'1..1\nok 1 - local delivery # SKIP {e}')
        sys.exit(0)
    return Host(conf, **kw)
