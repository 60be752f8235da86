"""The ledger of the CPU time that each fuzz target has run, and the table of
doc/security.md that is made of it.

regress/fuzz/run calls it, maybe several at a time. A line counts only for the
code that it names (regress/fuzz/linked.py).
"""
import collections
import fcntl
import os
import re

import linked

LEDGER = os.path.join(linked.TOP, 'regress/fuzz/ledger')
SECURITY = os.path.join(linked.TOP, 'doc/security.md')
TABLE = re.compile(r'^\| target \| input \|.*\n\|[-|]+\n((?:\|.*\n)+)', re.M)
HEAD = ('| target | input | runs | runs/s | edges | CPU min |\n'
        '|---|---|---|---|---|---|\n')

Line = collections.namedtuple('Line', 'code cpu runs edges')
NOTHING = Line('', 0, 0, 0)


def rate(n, seconds):
    return n // seconds if seconds else 0


def read():
    """Its head, and its lines by target."""
    head, lines = [], {}
    for line in linked.read(LEDGER).splitlines():
        if line.startswith('#'):
            head.append(line)
            continue
        words = line.split()
        if len(words) != 5 or not ''.join(words[2:]).isdecimal():
            raise ValueError(f'{LEDGER} has a line that is none: {line}')
        lines[words[0]] = Line(words[1], *map(int, words[2:]))
    return head, lines


def known(lines, target, code):
    """What the ledger says of the code that is here."""
    line = lines.get(target, NOTHING)
    return line if line.code == code else NOTHING


def record(result, code, cpu):
    """Adds to the line of a target. Others may do so as well: they wait."""
    folder = os.open(os.path.dirname(LEDGER), os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    head, lines = read()
    old = known(lines, result.target, code)
    new = Line(code, old.cpu + round(cpu), old.runs + result.runs,
               max(old.edges, result.edges))
    lines[result.target] = new
    with open(f'{LEDGER}.tmp', 'w', encoding='utf-8') as f:
        for line in head:
            print(line, file=f)
        for target in sorted(lines):
            print(target, *lines[target], file=f)
        f.flush()
        os.fsync(f.fileno())
    os.rename(f'{LEDGER}.tmp', LEDGER)
    os.close(folder)
    return new


def table(lines):
    """doc/security.md before its table, the table anew, and what follows. The
    words for the inputs are those that are there."""
    text = linked.read(SECURITY)
    old = TABLE.search(text)
    if not old:
        raise ValueError(f'{SECURITY} has no table of targets')
    rows = dict(re.findall(r'^\| (\w+) (\| [^|]* \|).*\n', old[1], re.M))
    for target in sorted(set(lines) ^ set(rows)):
        raise ValueError(f'fuzz_{target} is not both in the build and in the '
                         f'table of {SECURITY}')
    new = ''
    for target, words in rows.items():
        line = lines[target]
        new += (f'| {target} {words} {line.runs:,} | '
                f'{rate(line.runs, line.cpu):,} | {line.edges:,} | '
                f'{line.cpu // 60:,} |\n')
    return text[:old.start()], HEAD + new, text[old.end():]
