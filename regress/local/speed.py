#!/usr/bin/env python3
"""How fast local mail is delivered: waits in the queue, then goes.

usage: speed.py [--count N] [--users N] [--root DIR] [--method METHOD]
Prints messages a second; compare only figures of one sitting.
"""
import argparse
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '..', 'lib'))
import localmail  # noqa: E402
import relais  # noqa: E402
from relais import wait_for  # noqa: E402

CONF = '''
set libexec "{libexec}"
listen on 127.0.0.1 port {port}
action "in" {method}
match from any for any action "in"
'''


def send(port, users, count):
    for i in range(count):
        if i % 50 == 0:
            c = relais.Client(port, timeout=60)
            c.expect('EHLO client.test', 250)
        user = localmail.NAMES[i % users]
        reply = c.transfer('a@out.test', [f'{user}@in.test'],
                           'Subject: t\r\n\r\n' + 'x' * 2000 + '\r\n')
        assert reply.startswith('250'), reply


def delivered(host, users):
    total = 0
    for user in localmail.NAMES[:users]:
        try:
            total += len(os.listdir(f'{host.dir}/{user}/new'))
        except FileNotFoundError:
            pass
        try:
            total += localmail.mbox(user).count(b'\nReturn-Path: ')
        except FileNotFoundError:
            pass
    return total


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--count', type=int, default=1000)
    p.add_argument('--users', type=int, default=1)
    p.add_argument('--root', default=os.path.abspath(relais.ROOT))
    p.add_argument('--method', default='maildir "{dir}/%{{user.username}}"')
    args = p.parse_args()
    localmail.enter_world()
    host = localmail.Host(CONF.replace('{method}', args.method),
                          root=args.root, start=False,
                          libexec=f'{args.root}/libexec/relais')
    for user in localmail.NAMES:
        os.mkdir(f'{host.dir}/{user}', 0o700)
        os.chown(f'{host.dir}/{user}', localmail.uid(user), -1)
    host.start()
    host.smtpctl('pause', 'mda')
    threads = [threading.Thread(target=send, args=(
        host.port, args.users, args.count // 4)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    total = args.count // 4 * 4
    wait_for('all are expanded', lambda: host.log().count(
        ' queue expanded ') >= total, 60)
    began = time.monotonic()
    host.smtpctl('resume', 'mda')
    wait_for('all are delivered', lambda: delivered(host, args.users) >=
             total, 60)
    took = time.monotonic() - began
    print(f'{total} messages to {args.users} users in {took:.2f} s: '
          f'{total / took:.0f} a second')
    host.stop()


if __name__ == '__main__':
    main()
