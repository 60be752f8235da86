"""An instance with its next hop, and the question after each attack: is it
unharmed? The sanitized build is used where it was built, since it sees more.
"""
import array
import itertools
import os
import re
import socket
import struct
import subprocess
import time

import relais
from relais import Client, Instance, Sink, wait_for

SANITIZE = os.environ.get('RELAIS_SANITIZE_ROOT', '')
BAD = re.compile(relais.SANITIZER.pattern + r'|killed by signal|'
                 r'exited with status|a malformed (frame|message|credit)|'
                 r'forbidden')
# 'secret'
HASH = ('$6$relais$FCVoJzChSI0WjtejeG.mV5n1A3jqPVkW3YxW9ucvGQaJ9zLTdmTy4uNsbkn'
        'n4ajd/cCzOBwsHQkTaYL9egcmk.')


def best_root():
    """The sanitized installation if it is there."""
    if os.path.exists(os.path.join(SANITIZE, 'sbin/relaisd')):
        return SANITIZE
    return relais.ROOT


class Scene:
    """`conf` may speak of {sink}, the port of the next hop. prepare is called
    with the instance before it starts."""

    ids = itertools.count(1)

    def __init__(self, conf, sink=None, port=25, host='127.0.0.1',
                 prepare=None, **kw):
        self.sink = sink or Sink()
        self.host = host
        self.instance = Instance(conf, root=best_root(), port=port,
                                 sink=self.sink.port, start=False, **kw)
        if prepare:
            prepare(self.instance)
        self.instance.start()
        self.pids = self.instance.pids()
        self.mark = 0
        self.log_mark = 0

    def client(self, **kw):
        kw.setdefault('timeout', 30)
        return Client(self.instance.port, host=self.host, **kw)

    def queue_is_empty(self):
        # the plain smtpctl, which starts faster
        program = os.path.join(relais.ROOT, 'sbin/smtpctl')
        if not os.path.exists(program):
            program = self.instance.command('smtpctl')
        return subprocess.run(
            [program, '-S', os.path.join(self.instance.dir, 'control'),
             'show', 'queue'], capture_output=True, check=True,
            timeout=60).stdout.strip() == b''

    def fresh(self, count):
        """The messages that came since the last question; exactly count."""
        wait_for('the queue is empty', self.queue_is_empty, 60, 0.1)
        with self.sink.lock:
            new = self.sink.messages[self.mark:]
            self.mark = len(self.sink.messages)
        assert len(new) == count, \
            f'{len(new)} messages at the sink, expected {count}: ' + \
            repr([(m['mail'], m['rcpt'], m['body'][-200:]) for m in new])[:2000]
        return new

    def control(self):
        """A message goes through."""
        ident = f'control-{os.getpid()}-{next(self.ids)}'
        c = self.client()
        c.expect('EHLO control.test', 250)
        r = c.transfer('c@control.test', ['control@example.org'],
                       f'X-Ident: {ident}\r\n\r\nx\r\n')
        assert r.startswith('250'), f'control message: {r}'
        c.close()

        def arrived():
            with self.sink.lock:
                for i, m in enumerate(self.sink.messages):
                    if ident.encode() in m['body']:
                        del self.sink.messages[i]
                        return True
            return False
        wait_for('the control message arrives', arrived, 60)

    def unharmed(self, messages=0):
        """Same processes, no sanitizer line, nothing at the sink but
        `messages`, and mail still goes through. Returns these messages."""
        self.control()
        new = self.fresh(messages)
        log = self.instance.log()
        bad = [x for x in log[self.log_mark:].splitlines() if BAD.search(x)]
        self.log_mark = len(log)
        assert not bad, 'in the log: ' + '\n'.join(bad[:20])
        assert self.instance.pids() == self.pids, \
            f'{self.pids} became {self.instance.pids()}'
        return new

    def sane_log(self):
        """One line an event, no control character, no line without end."""
        with open(self.instance.log_path, 'rb') as f:
            for line in f.read().split(b'\n'):
                assert re.fullmatch(rb'[\x20-\x7e\x80-\xff]*', line), \
                    f'in the log: {line!r}'
                assert len(line) < 8192, f'a line of {len(line)} octets'

    def end(self):
        self.instance.stop()
        self.sink.stop()
        log = self.instance.log()
        bad = [x for x in log.splitlines() if BAD.search(x)]
        assert not bad, 'in the log: ' + '\n'.join(bad[:20])


def message_number(name):
    """What a message of common/ipc/messages.tbl is on the wire."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                        '../../common/ipc/messages.tbl')
    with open(path) as f:
        names = re.findall(r'^MESSAGE\((\w+)', f.read(), re.M)
    return 1 + names.index(name)


def control_connection(instance):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(os.path.join(instance.dir, 'control'))
    return s


def ask_session(s):
    """Asks by a control connection for a session of smtpd."""
    word = struct.pack('>I', 6) + b'submit\0'
    payload = struct.pack('>III', 1, len(word), 1) + word
    s.sendall(struct.pack('>IHH', len(payload),
                          message_number('ctl_request'), 0) + payload)


def local_session(instance):
    """A socket on which smtpd serves us, by way of the control socket."""
    s = control_connection(instance)
    ask_session(s)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        data, anc, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(4))
        for level, kind, octets in anc:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fd = array.array('i', octets[:4])[0]
                s.close()
                return socket.socket(fileno=fd)
        assert data, 'the control socket was closed'
    raise AssertionError('no session by the control socket')
