#!/usr/bin/env python3
"""A backup MX at work, all of it real and all on loopback: a name server, a
primary and a backup, both Relais. The primary is down; 1,000 messages of all
shapes are accepted by the backup and wait in its queue; the primary comes up,
the queue drains, and every message is compared octet for octet.
"""
import argparse
import getpass
import glob
import os
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '..', 'lib'))
import names  # noqa: E402
import relais  # noqa: E402

TTY = sys.stderr.isatty()
PER_SESSION = 50


def say(text):
    print(text, flush=True)


class Progress:
    """A bar on a terminal, a line at the end elsewhere."""

    def __init__(self, title, total):
        self.title, self.total, self.start = title, total, time.monotonic()

    def show(self, n):
        if TTY:
            width = 40 * n // max(self.total, 1)
            sys.stderr.write(f'\r  {self.title} [{"#" * width:40}] '
                             f'{n}/{self.total} ')
            sys.stderr.flush()

    def done(self, n):
        seconds = time.monotonic() - self.start
        if TTY:
            sys.stderr.write('\r\033[K')
        say(f'  {self.title}: {n} in {seconds:.1f} s '
            f'({n / max(seconds, 0.001):.0f} a second)')


# ---- the messages -------------------------------------------------------

def make_message(i, rng):
    """(recipient, octets with CRLF line ends) of message i."""
    rcpt = f'user{i:04d}@example.test'
    # a program on this machine gets these where it leaves them out
    whole = ('Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n'
             f'Message-ID: <{i}@source.test>\r\n')
    head = (f'{whole}From: sender@source.test\r\nTo: <{rcpt}>\r\n'
            f'Subject: message {i}\r\n\r\n').encode()
    kind = i % 10
    if i == 0:
        return rcpt, whole.encode()
    if kind == 1:
        body = b'.\r\n..\r\n.a dot line\r\n...\r\n' * (1 + i % 7)
    elif kind == 2:
        body = (b'x' * 998 + b'\r\n') * (1 + i % 9)
    elif kind == 3:
        body = 'Grüße, Привет, 你好 – 8 bit\r\n'.encode() * (1 + i % 50)
    elif kind == 4:
        rcpt = f'usér{i:04d}@example.test'
        head = (f'{whole}From: sender@source.test\r\nTo: <{rcpt}>\r\n'
                f'Subject: Nachricht für {i}\r\n\r\n').encode()
        body = b'an address in UTF-8\r\n'
    elif kind == 5:
        return rcpt, head
    elif kind == 6:
        body = b'From the start of a line\r\n>From\r\n\r\n' * 3
    else:
        size = int(2 ** rng.uniform(6, 17))
        line = bytes(rng.choices(range(0x21, 0x7f), k=76)) + b'\r\n'
        body = line * (size // len(line) + 1)
    if i in (100, 500, 900):
        line = bytes(rng.choices(range(0x80, 0x100), k=510)) + b'\r\n'
        body = line * (10 * 1024 * 1024 // len(line))
    return rcpt, head + body


def send_some(port, indices, messages, counter, errors):
    try:
        for n, i in enumerate(indices):
            if n % PER_SESSION == 0:
                c = relais.Client(port, timeout=120)
                c.expect('EHLO source.test', 250)
            rcpt, body = messages[i]
            params = ' BODY=8BITMIME'
            if not rcpt.isascii():
                params += ' SMTPUTF8'
            reply = c.transfer('sender@source.test', [rcpt], body, params)
            if not reply.startswith('250'):
                raise AssertionError(f'message {i}: {reply}')
            counter.append(i)
        c.expect('QUIT', 221)
    except Exception as e:
        errors.append(e)


def send_all(port, messages):
    counter, errors, workers = [], [], 8
    threads = [threading.Thread(
        target=send_some,
        args=(port, range(w, len(messages), workers), messages, counter,
              errors)) for w in range(workers)]
    bar = Progress('accepted by the backup', len(messages))
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        bar.show(len(counter))
        time.sleep(0.1)
    if errors:
        raise errors[0]
    bar.done(len(counter))


# ---- the hosts ----------------------------------------------------------

ZONE = '''@ IN MX 10 primary
@ IN MX 20 backup
primary IN A 127.0.0.2
backup IN A 127.0.0.1
'''

BACKUP = '''set server-name "backup.example.test"
set resolver {{ 127.0.0.1@{dns_port} }}
set mx-port {port}
set mx-loopback yes
smtp max-message-size 20M
listen on 127.0.0.1 port {port}
action "hold" relay backup mx "backup.example.test" probe-interval 2s
table own {{ postmaster = "postmaster@example.test" }}
action "own" expand-only alias <own>
match from any for domain "example.test" action "hold"
match from any for rcpt-to "postmaster@backup.example.test" action "own"
'''

PRIMARY = '''set server-name "primary.example.test"
smtp max-message-size 20M
table everyone {{ "@example.test" = "{me}" }}
listen on 127.0.0.2 port {port}
action "in" maildir "{dir}/Maildir" virtual <everyone>
match from any for domain "example.test" action "in"
match from any for rcpt-to "postmaster@primary.example.test" action "in"
'''


def queue_length(instance):
    return len([x for x in instance.smtpctl('show', 'queue').splitlines()
                if x])


# ---- the comparison -----------------------------------------------------

def compare(folder, messages):
    """Every delivered file is trace fields and then the message as it was
    sent, line ends aside. The number of messages found, each once."""
    found = {}
    by_rcpt = {rcpt: i for i, (rcpt, _) in enumerate(messages)}
    for path in glob.glob(f'{folder}/Maildir/new/*'):
        with open(path, 'rb') as f:
            text = f.read()
        m = re.search(rb'\n\s+for <([^>]+)>', text)
        assert m, f'{path}: no recipient in its Received fields'
        i = by_rcpt[m.group(1).decode()]
        want = messages[i][1].replace(b'\r\n', b'\n')
        assert text.endswith(want), f'message {i} came out changed'
        trace = text[:len(text) - len(want)]
        assert re.fullmatch(
            rb'(?:(?:Return-Path|Delivered-To|Received): .*\n(?:[ \t].*\n)*)+'
            rb'\n?', trace), f'message {i}: more than trace was added'
        found[i] = found.get(i, 0) + 1
    return found


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--root', required=True, help='where Relais is installed')
    p.add_argument('--count', type=int, default=1000)
    args = p.parse_args()
    rng = random.Random(1)
    messages = [make_message(i, rng) for i in range(args.count)]
    server = names.NameServer({'example.test': ZONE})
    try:
        play(args, messages, server.port)
    finally:
        server.cleanup()


def play(args, messages, dns_port):
    say('1. A backup MX for example.test starts; its primary is down.')
    backup = relais.Instance(BACKUP, root=args.root, dns_port=dns_port)
    say(f'2. {len(messages)} messages arrive, of a header alone up to 10 MiB.')
    send_all(backup.port, messages)
    waiting = queue_length(backup)
    say(f'3. smtpctl show queue: {waiting} wait, durable. The first three:')
    for line in backup.smtpctl('show', 'queue').splitlines()[:3]:
        say('     ' + line[:100])
    assert waiting == len(messages), 'the queue does not hold them all'
    say('4. The primary comes up.')
    primary = relais.Instance(PRIMARY, root=args.root, port=backup.port,
                              me=getpass.getuser())
    began = time.monotonic()
    bar = Progress('delivered to the primary', len(messages))
    first, patience = None, 60 + len(messages) / 10
    new = f'{primary.dir}/Maildir/new'
    while True:
        n = len(os.listdir(new)) if os.path.isdir(new) else 0
        if n and first is None:
            first = time.monotonic() - began
        bar.show(n)
        if n >= len(messages) and queue_length(backup) == 0:
            break
        if time.monotonic() - began > patience:
            raise AssertionError(f'only {n} came through in {patience} s:\n' +
                                 backup.log()[-2000:] + primary.log()[-2000:])
        time.sleep(0.1)
    bar.done(n)
    say(f'  first message out {first:.1f} s after the return')
    found = compare(primary.dir, messages)
    assert len(found) == len(messages), \
        f'{len(messages) - len(found)} messages are missing'
    twice = sum(1 for n in found.values() if n > 1)
    say(f'5. All {len(found)} messages compared octet for octet: none lost, '
        f'none changed, {twice} twice.')
    primary.stop()
    backup.stop()


if __name__ == '__main__':
    try:
        main()
    except AssertionError as e:
        print(f'demo: {e}', file=sys.stderr)
        sys.exit(1)
