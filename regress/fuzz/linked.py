"""What of this tree a fuzz target is made of, as one short name.

regress/fuzz/run counts the time of a target for as long as this name is the
same. It is of the sources of those objects that the linker really took, which
the debug information of the binary lists, and of what they use of the headers
that they include. It trusts that the binary was made of the sources that are
here now. Comments and blank space do not count, nor does where the tree lies.
"""
import functools
import hashlib
import os
import re
import subprocess

import declared

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), '../..'))

TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|'
                   r'(?:\s|//[^\n]*|/\*.*?\*/)+', re.S)
COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/', re.S)
UNIT = re.compile(r'DW_AT_name\s*: (?:\([^)]*\): )?(.*?)\s*$', re.M)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.M)


def bare(text):
    """C without its comments, and with little blank space."""
    def token(m):
        if m[0][0] in '"\'':
            return m[0]
        # The end of a line ends a directive, but not within a comment.
        return '\n' if '\n' in COMMENT.sub(' ', m[0]) else ' '
    return TOKEN.sub(token, text).strip()


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def binary(build, target):
    return os.path.join(build, 'regress/fuzz', f'fuzz_{target}')


def source_of(path):
    """What a file was made of: bison's versions write different parsers."""
    grammar = os.path.splitext(path)[0] + '.y'
    return grammar if os.path.exists(os.path.join(TOP, grammar)) else path


def options(text):
    """What configure was told; what it found is the machine's."""
    return '\n'.join(re.findall(r'^#define RELAIS_.*', text, re.M))


@functools.lru_cache(None)
def contents(path, build):
    """The octets of one file that count, and the files that it includes.
    `path` is relative to the tree."""
    if path == 'config.h':
        return options(read(os.path.join(build, path))), ()
    text = read(os.path.join(TOP, path))
    found = []
    for name in INCLUDE.findall(text):
        if name == 'config.h':
            found.append(name)
            continue
        places = [source_of(os.path.normpath(os.path.join(folder, name)))
                  for folder in (os.path.dirname(path), 'common', '')]
        here = [x for x in places if os.path.exists(os.path.join(TOP, x))]
        if not here:
            raise ValueError(f'{path} includes {name}, which is nowhere')
        found.append(here[0])
    return bare(text), tuple(found)


def units(build, target):
    """The sources of the objects in a binary, relative to the tree. The
    compiler's folder is not looked at: a cache may have it from elsewhere."""
    out = subprocess.run(['readelf', '-wi', '--dwarf-depth=1',
                          binary(build, target)],
                         text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, check=True,
                         env=dict(os.environ, LC_ALL='C')).stdout
    for name in UNIT.findall(out):
        path = os.path.realpath(os.path.join(build, name))
        for root in (os.path.realpath(build), TOP):
            if path.startswith(root + '/'):
                yield source_of(os.path.relpath(path, root))
                break


def sources(build, target):
    """All files of this tree that are in a target."""
    todo = list(units(build, target))
    if f'regress/fuzz/fuzz_{target}.c' not in todo:
        raise ValueError(f'fuzz_{target} is not made of this tree')
    seen = set()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += contents(path, build)[1]
    return sorted(seen)


def changed(path):
    """When, in ns: what was built before is not made of it."""
    if path == 'config.h':
        return 0
    return os.stat(os.path.join(TOP, path)).st_mtime_ns


def code(build, target):
    texts = {x: contents(x, build)[0] for x in sources(build, target)}
    headers = {x: t for x, t in texts.items() if x.endswith('.h')}
    texts.update(declared.used(
        [t for x, t in texts.items() if x not in headers], headers))
    h = hashlib.sha256()
    for path in sorted(texts):
        h.update(f'{path}\0{texts[path]}\0'.encode())
    return h.hexdigest()[:12]
