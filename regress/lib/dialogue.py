"""Plays SMTP dialogues that are written as dialogues.

A file begins with the configuration of its instance; `==== NAME` begins a
dialogue. The first word of a line says who does what:

  L: HOST PORT [from ADDRESS] [tls]   connects (the first line; else
                127.0.0.1 25)
                ... early   and says EHLO before it can be greeted
  L: local      connects by the control socket
  C: line       the client sends a line; CRLF is added
  c: octets     the client sends octets: \\r \\n \\0 \\t \\\\ \\xNN, and
                {N*text} for text N times
  S: line       the server sends this line; * stands for anything
  S: 250 ...    or a whole reply with this code, of any length
  T: [tls1.2]   TLS from here on
  X:            the server hangs up
  D:            the client hangs up
  W: seconds    the client does nothing
  N: number     so many messages reach the next hop, all told
  M: line       the last of them has this line: its MAIL, its RCPT or a line
                of what followed DATA; * stands for anything
  m: line       it has no such line; \\t and so on as in `c:`
  #             a remark

Each dialogue connects anew and its greeting is not written down, unless it
begins with `L!` instead of `L:`. At its end it says QUIT if it may, and
nothing that was not written may have come.
"""
import os
import re
import select
import signal
import socket

from relais import Client
import scene
import tls

OCTET = {'r': b'\r', 'n': b'\n', '0': b'\0', 't': b'\t', '\\': b'\\'}


def octets(text):
    text = re.sub(r'\{(\d+)\*([^}]*)\}',
                  lambda m: m.group(2) * int(m.group(1)), text)
    out, at = b'', 0
    for m in re.finditer(r'\\(x..|.)', text):
        out += text[at:m.start()].encode()
        word = m.group(1)
        out += bytes([int(word[1:], 16)]) if word[0] == 'x' else OCTET[word]
        at = m.end()
    return out + text[at:].encode()


def same(pattern, text):
    return re.fullmatch('.*'.join(re.escape(x) for x in pattern.split('*')),
                        text, re.S) is not None


def read(path):
    """The configuration of a file and its dialogues as (name, steps)."""
    conf, out = '', []
    with open(path, encoding='utf-8') as f:
        for n, line in enumerate(f, 1):
            line = line.rstrip('\n')
            if line.startswith('==== '):
                out.append((line[5:], []))
            elif not out:
                conf += line + '\n'
            elif line and not line.startswith('#'):
                if not re.match(r'[LCcSTXDWNMm][:!]( |$)', line):
                    raise ValueError(f'{path}:{n}: {line}')
                out[-1][1].append((n, line[0], line[1], line[3:]))
    return conf, out


class Play:
    """One dialogue against one scene."""

    def __init__(self, stage, steps):
        self.stage = stage
        self.steps = steps
        self.client = None
        self.over = False
        self.messages = 0
        self.new = []

    def connect(self, text, greet):
        words = text.split() or [self.stage.host, '25']
        early = words[-1] == 'early'
        if words[0] == 'local':
            sock = scene.local_session(self.stage.instance)
        else:
            source = (words[3], 0) if 'from' in words else None
            workers = self.stage.pids['smtpd'] if early else ()
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)
            sock = socket.create_connection((words[0], int(words[1])), 30,
                                            source)
            if early:
                sock.sendall(b'EHLO early\r\n')
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
        if words[-1] == 'tls':
            sock = tls.client_context().wrap_socket(sock)
        self.client = Client(0, sock=sock, greet=greet, timeout=30)
        self.over = False

    def wait_closed(self):
        assert self.client.buffer == b'', self.client.buffer
        try:
            data = self.client.sock.recv(4096)
        except ConnectionError:
            data = b''
        assert data == b'', f'the server goes on: {data!r}'
        self.over = True
        self.client.close()

    def hear(self, text):
        if re.fullmatch(r'\d{3} \.\.\.', text):
            reply = self.client.reply()
            assert reply.startswith(text[:3]), f'{reply!r}, expected {text}'
            return
        line = self.client.line()
        assert same(text, line), f'the server says {line!r}, not {text!r}'

    def lines(self):
        m = self.new[-1]
        return [m['mail'], *m['rcpt'],
                *m['body'].decode('utf-8', 'replace').split('\r\n')]

    def step(self, kind, text):
        if kind == 'C':
            self.client.send(text + '\r\n')
        elif kind == 'c':
            self.client.send(octets(text))
        elif kind == 'S':
            self.hear(text)
        elif kind == 'T':
            self.client.sock = tls.client_context(text or None).wrap_socket(
                self.client.sock)
        elif kind == 'X':
            self.wait_closed()
        elif kind == 'D':
            self.client.close()
            self.over = True
        elif kind == 'W':
            select.select([], [], [], float(text))
        elif kind == 'N':
            self.messages += int(text)
            self.new = self.stage.fresh(int(text))
        else:
            text = octets(text).decode()
            found = any(same(text, line) for line in self.lines())
            assert found == (kind == 'M'), \
                f'{"no" if kind == "M" else "a"} line {text!r} in ' + \
                repr(self.lines())

    def run(self):
        if not self.steps or self.steps[0][1] != 'L':
            self.connect('', True)
        for n, kind, mark, text in self.steps:
            try:
                if kind == 'L':
                    if self.client:
                        self.client.close()
                    self.connect(text, mark == ':')
                else:
                    self.step(kind, text)
            except (AssertionError, OSError, EOFError) as e:
                said = '\n'.join(self.client.dialogue[-20:]
                                 if self.client else [])
                raise AssertionError(f'line {n}: {e}\n{said}') from e
        if not self.over:
            self.client.send('QUIT\r\n')
            self.hear('221 2.0.0 Goodbye')
            self.wait_closed()
