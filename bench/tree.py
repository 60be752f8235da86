"""What a tree of processes has used: CPU, memory, octets written. Read from
/proc, so the program that is measured need not know. A child that has ended
counts once its parent has waited for it."""
import os
import re
import signal
import subprocess
import tempfile
import time

TICKS = os.sysconf('SC_CLK_TCK')


def _stat(pid):
    with open(f'/proc/{pid}/stat', 'rb') as f:
        return f.read().rsplit(b') ', 1)[1].split()


def pids(root):
    """root and all that descend from it."""
    parents = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                parents.setdefault(int(_stat(name)[1]), []).append(int(name))
            except OSError:
                pass
    found = [root]
    for pid in found:
        found += parents.get(pid, [])
    return found


def name_of(pid):
    with open(f'/proc/{pid}/comm') as f:
        return f.read().strip()


def cpu(root):
    """{name: CPU seconds} of the tree, user and system, dead children with
    whoever waited for them."""
    used = {}
    for pid in pids(root):
        try:
            name, s = name_of(pid), _stat(pid)
        except OSError:
            continue
        used[name] = used.get(name, 0) + sum(map(int, s[11:15])) / TICKS
    return used


def total_cpu(root):
    return sum(cpu(root).values())


def total(root, file, field):
    """The sum of a numeric field of /proc/PID/FILE over the tree."""
    found = 0
    for pid in pids(root):
        try:
            with open(f'/proc/{pid}/{file}') as f:
                found += sum(int(line.split()[1]) for line in f
                             if line.startswith(field + ':'))
        except OSError:
            pass
    return found


def written(root):
    """Octets that the tree has sent towards a disk."""
    return total(root, 'io', 'write_bytes')


def read(root):
    """Octets that the tree has had from a disk, and not from its cache."""
    return total(root, 'io', 'read_bytes')


def memory(root):
    """Octets in memory, shared pages by their share (PSS)."""
    return total(root, 'smaps_rollup', 'Pss') * 1024


SYNCS = ('fsync', 'fdatasync', 'msync', 'syncfs')


class Trace:
    """Counts the system calls of a tree, new children too. strace slows what
    it watches by far: nothing else can be measured at the same time."""

    def __init__(self, root):
        self.file = tempfile.NamedTemporaryFile(mode='r')
        watched = [x for p in pids(root) for x in ('-p', str(p))]
        self.strace = subprocess.Popen(
            ['strace', '-f', '-c', '-o', self.file.name, *watched],
            stderr=subprocess.DEVNULL)
        time.sleep(2)

    def stop(self, count):
        """{figure: number a message} of so many messages."""
        self.strace.send_signal(signal.SIGINT)
        self.strace.wait()
        calls = {name: int(n) for n, name in re.findall(
            r'(?m)^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$',
            self.file.read())}
        calls.pop('total', None)
        return {'calls': sum(calls.values()) / count,
                'syncs': sum(calls.get(s, 0) for s in SYNCS) / count}
