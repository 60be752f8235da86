"""A network of the test's own, and a name server in it.

own_network() runs the program again in a network namespace where nothing else
is: every port is free, 192.0.2.0/24 and 2001:db8::/64 are this machine's, so
that clients can come from any of these addresses without being local ones.
"""
import os
import socket
import struct
import subprocess
import sys
import threading

TYPES = {'A': 1, 'CNAME': 5, 'PTR': 12, 'MX': 15, 'TXT': 16, 'AAAA': 28}


def ip(*words):
    subprocess.run(['ip', *words], check=True, capture_output=True)


def own_network():
    if os.environ.pop('RELAIS_OWN_NETWORK', None):
        ip('link', 'set', 'lo', 'up')
        ip('route', 'add', 'local', '192.0.2.0/24', 'dev', 'lo')
        ip('-6', 'route', 'add', 'local', '2001:db8::/64', 'dev', 'lo')
        return
    if os.geteuid() != 0:
        print('1..1\nok 1 - all of it # SKIP a network namespace needs root')
        sys.exit(0)
    os.environ['RELAIS_OWN_NETWORK'] = 'yes'
    os.execvp('unshare', ['unshare', '--net', '--', sys.executable,
                          *sys.argv])


def name_octets(name):
    """A name in wire form; str with dots, or a list of labels as octets."""
    if isinstance(name, str):
        name = [x.encode() for x in name.split('.') if x]
    return b''.join(bytes([len(x)]) + x for x in name) + b'\0'


class Dns(threading.Thread):
    """Answers from `records`: {(name, type): [value, ...]} where a value is
    an address for A and AAAA, (preference, name) for MX, and octets or a name
    for the rest. A name that is not there does not exist; None in place of
    the values is a failure of the server."""

    def __init__(self, records=None, host='127.0.0.1', port=53):
        super().__init__(daemon=True)
        self.records = dict(records or {})
        self.questions = []
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_DGRAM)[0]
        self.sock = socket.socket(family, kind)
        self.sock.bind(address)
        self.start()

    @staticmethod
    def octets(kind, value):
        if kind == 'A':
            return socket.inet_aton(value)
        if kind == 'AAAA':
            return socket.inet_pton(socket.AF_INET6, value)
        if kind == 'MX':
            return struct.pack('>H', value[0]) + name_octets(value[1])
        return value if isinstance(value, bytes) else name_octets(value)

    def answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]])
            at += 1 + query[at]
        question = query[12:at + 5]
        code = struct.unpack('>H', query[at + 1:at + 3])[0]
        name = b'.'.join(labels).decode('latin-1').lower()
        kind = next((k for k, n in TYPES.items() if n == code), str(code))
        self.questions.append((name, kind))
        values = self.records.get((name, kind), [])
        exists = any(n == name for n, _ in self.records)
        flags = 0x8582 if values is None else 0x8580 if exists else 0x8583
        out = query[:2] + struct.pack('>HHHHH', flags, 1, len(values or []),
                                      0, 0)
        out += question
        for value in values or []:
            data = self.octets(kind, value)
            out += b'\xc0\x0c' + struct.pack('>HHIH', code, 1, 60, len(data))
            out += data
        return out

    def run(self):
        while True:
            query, client = self.sock.recvfrom(4096)
            try:
                self.sock.sendto(self.answer(query), client)
            except (IndexError, struct.error):
                pass
