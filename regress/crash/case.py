"""One fault and the questions after it: was what was acknowledged kept, did
it arrive whole, is service back?"""
import os

import harness
import relais
from harness import Counter, Disk, Load, Victim, drain, make_mixed
from relais import Skip


class Case:
    """An instance whose next hop is down, under load; verify() then opens
    the next hop and compares all."""

    def __init__(self, prefix, disk=None, clients=4, body=make_mixed,
                 conf=harness.RELAY, kind=Victim):
        self.port, self.body = relais.free_port(), body
        self.victim = kind(conf, sink=self.port, start=False)
        self.disk = Disk('ext4', f'{self.victim.dir}/spool', **disk) \
            if disk else None
        self.victim.start()
        self.prefix, self.clients, self.count = prefix, clients, 0

    def load(self, **kw):
        self.count += 1
        return Load(self.victim.port, self.clients,
                    f'{self.prefix}{self.count}', body=self.body, **kw)

    def verify(self, load):
        """Stops the load: nothing acknowledged may be missing or torn."""
        load.stop()
        queued = self.victim.queued()
        lost = load.acked.keys() - queued
        assert not lost, f'lost from the queue: {sorted(lost)[:20]}'
        codes = set(load.replies) | {r[:3] for r in load.refused.values()}
        wrong = {c for c in codes if not c.startswith('4')}
        assert not wrong, f'refused with {wrong}'
        sink = Counter(self.port, body=self.body)
        missing = drain(self.victim, sink, load.acked)
        sink.stop()
        assert not missing, f'not delivered: {sorted(missing)[:20]}'
        assert not sink.torn, f'torn: {sorted(sink.torn)[:20]}'
        return codes

    def close(self):
        self.victim.stop()
        if self.disk:
            self.disk.close()


def need_root():
    if os.geteuid() != 0:
        raise Skip('needs root')


def take_space(disk, leave):
    """Others take all that is free but `leave` octets."""
    v = os.statvfs(disk.where)
    with open(f'{disk.where}/others', 'wb') as f:
        os.posix_fallocate(f.fileno(), 0,
                           max(1, v.f_bavail * v.f_frsize - leave))
