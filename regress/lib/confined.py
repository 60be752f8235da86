"""What the tests of the sandboxes share: how a process that has given up all
that it may looks from outside, and what it is made to try."""
import ctypes
import os
import re
import resource

# Where cores are forbidden already, a process that forgets to would not show.
_, most = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (most, most))

# Of common/ipc/test_hook.c: each ends a process that may not make it.
CALLS = ('open', 'connect', 'unix', 'execve', 'ptrace', 'fork', 'signal',
         'owner', 'clone', 'protocol', 'uring', 'unshare', 'namespace',
         'socketcall', 'memory')


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
    with open(f'/proc/{pid}/limits') as f:
        core = re.search(r'^Max core file size +(\S+) +(\S+)', f.read(), re.M)
    assert core.groups() == ('0', '0'), f'{name}: {core.group()}'
    # others of its user may neither read nor trace what is not dumpable
    owner = os.stat(f'/proc/{pid}/mem').st_uid
    assert owner == 0, f'{name}: its memory belongs to uid {owner}'
    return s


def landlock_abi():
    """The version of this kernel's Landlock; below 1: none"""
    create_ruleset, version = 444, 1
    return ctypes.CDLL(None).syscall(create_ruleset, None, 0, version)


def opened(log):
    """What came of each file that `open` tried."""
    return dict(re.findall(r' open (\S+): (.*)', log))


# Landlock alone keeps these from a process that may open files.
REFUSED = dict.fromkeys(('/etc/passwd', '/dev/null', '/'), 'Permission denied')
