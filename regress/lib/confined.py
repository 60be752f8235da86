"""What the tests of the sandboxes share: how a process that has given up all
that it may looks from outside, and what it is made to try."""
import os
import resource

# Where cores are forbidden already, a process that forgets to would not show.
_, most = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (most, most))

# Of common/ipc/test_hook.c: each ends a process that may not make it.
CALLS = ('open', 'connect', 'unix', 'execve', 'ptrace', 'fork', 'signal',
         'owner', 'clone', 'protocol')


def status(pid):
    with open(f'/proc/{pid}/status') as f:
        return dict(line.rstrip('\n').split(':\t', 1) for line in f
                    if ':\t' in line)


def check(pid, name):
    """The status of a process, which must be shut in."""
    s = status(pid)
    assert s['Seccomp'].strip() == '2', f'{name}: Seccomp {s["Seccomp"]}'
    assert s['NoNewPrivs'].strip() == '1', f'{name}: NoNewPrivs'
    for cap in ('CapEff', 'CapPrm', 'CapInh', 'CapAmb'):
        assert int(s[cap], 16) == 0, f'{name}: {cap} {s[cap]}'
    return s
