"""An instance whose workers run on preload.so: the test moves their clocks and
lets their allocations fail. Master starts workers with an empty environment,
so its `libexec` is a folder of scripts that set it."""
import mmap
import os
import struct

from harness import Victim
from relais import Skip

BUILD = os.path.abspath(os.environ.get('RELAIS_BUILD', 'build/hooks'))
LIBRARY = os.path.join(BUILD, 'regress/crash/preload.so')
KINDS = ('queue', 'smtpd', 'deliver', 'auth', 'keys', 'resolver', 'local')
SCRIPT = '''#!/bin/sh
RELAIS_FAULTS='{page}' LD_PRELOAD='{library}' exec '{program}' "$@"
'''


class Page:
    """What all workers of one kind are told, as preload.c has it."""

    FIELDS = ('wall', 'mono', 'left', 'many', 'failed', 'calls',
              'broken', 'refused')

    def __init__(self, path):
        with open(path, 'wb') as f:
            f.write(bytes(4096))
        os.chmod(path, 0o666)
        with open(path, 'r+b') as f:
            self.map = mmap.mmap(f.fileno(), 4096)

    def get(self, field):
        return struct.unpack_from('=q', self.map,
                                  8 * self.FIELDS.index(field))[0]

    def set(self, field, value):
        struct.pack_into('=q', self.map, 8 * self.FIELDS.index(field),
                         int(value))


class Faulty(Victim):
    def __init__(self, conf, start=True, **kw):
        if not os.path.exists(LIBRARY):
            raise Skip(f'{LIBRARY} is not built')
        super().__init__(conf, start=False, **kw)
        folder = os.path.join(self.dir, 'libexec')
        os.mkdir(folder)
        self.pages = {}
        for kind in KINDS:
            page = os.path.join(folder, kind + '.page')
            self.pages[kind] = Page(page)
            self.write(f'libexec/{kind}', SCRIPT.format(
                page=page, library=LIBRARY, program=self.command(kind)),
                0o755)
        with open(self.conf_path) as f:
            text = f.read()
        own = f'set libexec "{self.root}/libexec/relais"'
        assert own in text, text
        self.write('relais.conf', text.replace(
            own, f'set libexec "{folder}"'))
        if start:
            self.start()

    def shift(self, seconds, clock='wall'):
        """All workers' clocks are so far ahead from now on."""
        for page in self.pages.values():
            page.set(clock, seconds * 10**9)

    def starve(self, kind, nth, many=1):
        """The nth allocation from now on fails in a worker of this kind, and
        those after it until so many did."""
        page = self.pages[kind]
        page.set('failed', 0)
        page.set('many', many - 1)
        page.set('left', nth + many - 1)
