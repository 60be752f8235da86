"""Reads what strace saw of the queue process and decides whether each message
was durable before it was acknowledged.

What makes a message durable: its record, and its body unless that has a file
of its own, were written to a log file of the database and a sync of that file
began afterwards and succeeded; a body in a file was written, then synced, then
renamed to the message's name, and then the folder that it was renamed into was
synced. An acknowledgement is a `submitted` message with code 250 on a socket.

A record is known by its form (queue/envelope_codec.c) behind its length, as
the log of Berkeley DB has it; a body by the id in its Received field.
"""
import re
import zlib

SUBMITTED_LEN = 8 + 4 + 2  # id, msgid, code; strings follow
LINE = re.compile(r'^(\d+) +(?:\d+\.\d+ +)?(.*)$')
CALL = re.compile(r'^(\w+)\((.*)\) += (-?\d+|\?)(.*)$', re.S)
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
FD = re.compile(r'^(\d+)<([^>]*)>')
TRACE_ID = re.compile(rb'ESMTP[A-Z]* id ([0-9a-f]{8})\b')
# of record 0: the length, version 1, the CRC, the id in groups of 7 bits
RECORD = re.compile(rb'(?s)(?=(..\0\0)\x01(....)([\x80-\xff]{0,4}[\0-\x7f])\0)')
TAIL = 4096  # of one write, where what the next one has may begin
BODY = re.compile(r'bodies/[0-9a-f]{2}$')


def unescape(text):
    return text.encode('latin-1').decode('unicode_escape').encode('latin-1')


def strings(args):
    return b''.join(unescape(s) for s in STRING.findall(args))


class Fault(Exception):
    pass


def records(data):
    """The ids of the messages whose record 0 is in data, whole."""
    for m in RECORD.finditer(data):
        at = m.start() + 4
        record = data[at:at + int.from_bytes(m.group(1), 'little')]
        if zlib.crc32(record[:1] + record[5:]) == \
                int.from_bytes(m.group(2), 'big'):
            yield sum((group & 0x7f) << (7 * i)
                      for i, group in enumerate(m.group(3)))


def calls(lines):
    """(begun, ended, name, args, result) in the order in which calls ended;
    begun and ended are line numbers."""
    open_calls = {}
    for number, line in enumerate(lines):
        m = LINE.match(line.rstrip('\n'))
        if not m:
            continue
        pid, text = m.groups()
        if text.endswith('<unfinished ...>'):
            open_calls[pid] = (number, text[:-len('<unfinished ...>')])
            continue
        begun = number
        resumed = re.match(r'<\.\.\. \w+ resumed>(.*)$', text, re.S)
        if resumed:
            begun, head = open_calls.pop(pid, (number, ''))
            text = head.rstrip() + resumed.group(1)
        m = CALL.match(text)
        if m:
            yield begun, number, m.group(1), m.group(2), m.group(3)


def frames(data):
    """The frames of channel data that begins with a frame: (type, payload)."""
    while len(data) >= 8:
        size = int.from_bytes(data[:4], 'big')
        kind = int.from_bytes(data[4:6], 'big')
        if len(data) < 8 + size:
            raise Fault('strace cut a message off: a larger -s is needed')
        yield kind, data[8:8 + size]
        data = data[8 + size:]


class Checker:
    """submitted is the number of that message type on the wire."""

    def __init__(self, submitted):
        self.submitted = submitted
        # log file: {('record' or 'body', msgid): line where it was written}
        self.written = {}
        self.tail = {}         # log file: the end of what was written last
        self.durable = set()   # of these what was synced
        self.in_file = {}      # msgid: [steps still missing]
        self.synced = {}       # path of a spool file: it was synced
        self.acked = []
        self.syncs = 0
        self.partial = {}      # socket: the part of a frame not yet sent

    def pwrite(self, begun, ended, args, result):
        name = FD.match(args).group(2)
        if '/log.' not in name or result == '?' or int(result) < 0:
            return
        data = self.tail.get(name, b'') + strings(args)[:int(result)]
        self.tail[name] = data[-TAIL:]
        found = [('body', int(m, 16)) for m in TRACE_ID.findall(data)]
        found += [('record', msgid) for msgid in records(data)]
        for part in found:
            self.written.setdefault(name, {}).setdefault(part, ended)

    def write(self, begun, ended, args, result):
        # what was synced before is not all of it
        self.synced.pop(FD.match(args).group(2), None)

    def sync(self, begun, ended, args, result):
        name = FD.match(args).group(2)
        if '/log.' in name:
            self.syncs += 1
        if int(result) != 0:
            return
        waiting = self.written.get(name, {})
        for part in [p for p, at in waiting.items() if at < begun]:
            self.durable.add(part)
            del waiting[part]
        self.synced[name] = ended
        if BODY.search(name):
            for steps in self.in_file.values():
                if steps.get('folder') == name and steps['at'] < begun:
                    steps['named'] = True

    def rename(self, begun, ended, args, result):
        parts = re.match(r'\d+<([^>]*)>, "([^"]*)", \d+<([^>]*)>, "([^"]*)"',
                         args)
        if not parts or int(result) != 0 or not BODY.search(parts.group(3)):
            return
        source = f'{parts.group(1)}/{parts.group(2)}'
        self.in_file[int(parts.group(4), 16)] = {
            'synced': source in self.synced, 'folder': parts.group(3),
            'at': ended, 'named': False}

    def send(self, begun, ended, args, result):
        where = FD.match(args).group(1)
        if result == '?' or int(result) <= 0:
            return
        sent = strings(args)[:int(result)]
        data = self.partial.pop(where, b'') + sent
        whole = 0
        while len(data) - whole >= 8:
            size = 8 + int.from_bytes(data[whole:whole + 4], 'big')
            if len(data) - whole < size:
                break
            whole += size
        self.partial[where] = data[whole:]
        for kind, payload in frames(data[:whole]):
            if kind == self.submitted:
                self.check(payload, begun)

    def check(self, payload, line):
        msgid = int.from_bytes(payload[8:12], 'big')
        if int.from_bytes(payload[12:14], 'big') != 250:
            return
        where = f'line {line + 1}: message {msgid:08x} is acknowledged'
        steps = self.in_file.get(msgid)
        if steps is not None:
            if not steps['synced']:
                raise Fault(f'{where}, its file was renamed unsynced')
            if not steps['named']:
                raise Fault(f'{where}, its folder is not synced')
        elif ('body', msgid) not in self.durable:
            raise Fault(f'{where}, its body is not synced')
        if ('record', msgid) not in self.durable:
            raise Fault(f'{where}, its record is not synced')
        self.acked.append(msgid)


HANDLERS = {'pwrite64': Checker.pwrite, 'fdatasync': Checker.sync,
            'fsync': Checker.sync, 'renameat': Checker.rename,
            'sendmsg': Checker.send, 'write': Checker.write}


def check(lines, submitted):
    """Raises Fault at the first acknowledgement that came too early; else
    the Checker, with what it counted."""
    checker = Checker(submitted)
    for begun, ended, name, args, result in calls(lines):
        if name in HANDLERS:
            HANDLERS[name](checker, begun, ended, args, result)
    return checker


def submitted_type(table):
    """The number of `submitted`: its place in messages.tbl."""
    with open(table) as f:
        names = re.findall(r'^MESSAGE\((\w+),', f.read(), re.M)
    return 1 + names.index('submitted')
