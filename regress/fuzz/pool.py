"""Fuzz targets as processes: how each is called, and several beside each other.

regress/fuzz/run calls it. A target's log, its exit status, what it found and
its corpus are in the build folder; a target that ended with another status
than libFuzzer's own two has found something.
"""
import collections
import contextlib
import os
import re
import signal
import subprocess
import tempfile

import linked

MEMORY = '/dev/shm'     # a sync of a file there costs nothing
CORPUS = os.path.join(linked.TOP, 'regress/fuzz/corpus')
PATIENCE = 10   # s for a target to end after SIGINT
INTERRUPTED = 72    # libFuzzer's exit status then

Result = collections.namedtuple(
    'Result', 'target runs seconds edges inputs findings')


def targets_of(build):
    """A build folder may still hold a target that the tree has no more."""
    folder = os.path.join(build, 'regress/fuzz')
    for name in sorted(os.listdir(folder) if os.path.isdir(folder) else ()):
        path = os.path.join(folder, name)
        if os.path.exists(f'{linked.TOP}/regress/fuzz/{name}.c') and \
                os.access(path, os.X_OK):
            yield name[5:]


def command(build, target, prefix, *options):
    return [linked.binary(build, target),
            '-timeout=10', '-rss_limit_mb=2048',
            f'-artifact_prefix={build}/{prefix}', *options]


def folders(own, target):
    """What libFuzzer finds goes into the first folder."""
    os.makedirs(own, exist_ok=True)
    seeds = os.path.join(CORPUS, target)
    return [own, seeds] if os.path.isdir(seeds) else [own]


def dictionary(build, target):
    """The words of the grammar, for mutations of a configuration."""
    if target != 'conf_parse':
        return []
    master = os.path.join(linked.TOP, 'master')
    text = ''.join(re.findall(r'^%token.*', linked.read(
        os.path.join(master, 'parse.y')), re.M))
    for name in os.listdir(master):
        if re.fullmatch(r'build.*\.c|options\.c', name):
            text += linked.read(os.path.join(master, name))
    path = f'{build}/{target}.dict'
    with open(path, 'w', encoding='utf-8') as f:
        for word in sorted(set(re.findall(r'"[a-z][a-z0-9-]*"', text))):
            print(word, file=f)
    return [f'-dict={path}']


class Pool:
    """Runs targets beside each other until there is none to run, or a signal
    says stop. A target's log and its exit status stay in the build folder, its
    other files are in memory."""

    def __init__(self, build, jobs):
        self.build, self.jobs = build, jobs
        self.running, self.stopped, self.folder = {}, False, None
        self.results, self.status, self.findings = {}, {}, []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or \
                    signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self.stop)
        signal.signal(signal.SIGALRM, lambda *_: self.kill(signal.SIGKILL))

    def kill(self, number):
        for child in list(self.running):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

    def stop(self, *_):
        self.stopped = True
        self.kill(signal.SIGINT)
        signal.alarm(PATIENCE)

    def start(self, target, seconds):
        """In a session of its own: a terminal's ^C reaches only us."""
        with open(f'{self.build}/fuzz-{target}.log', 'wb') as log:
            p = subprocess.Popen(
                command(self.build, target, f'{target}-',
                        f'-max_total_time={seconds}', '-print_final_stats=1',
                        *dictionary(self.build, target),
                        *folders(f'{self.build}/corpus/{target}', target)),
                stdout=log, stderr=log, start_new_session=True,
                env=dict(os.environ, TMPDIR=self.folder))
        self.running[p.pid] = (target, p)
        if self.stopped:
            os.kill(p.pid, signal.SIGINT)

    def end(self, ended):
        """Of the child that ended: its result, and its CPU time if that
        counts."""
        pid, status, usage = os.wait4(-1, 0)
        target, p = self.running.pop(pid)
        p.returncode = os.waitstatus_to_exitcode(status)
        with open(f'{self.build}/fuzz-{target}.status', 'w',
                  encoding='utf-8') as f:
            print(p.returncode, file=f)
        self.status[target] = p.returncode
        counts = p.returncode in (0, INTERRUPTED)
        # Our signal may come before it can say anything, or in vain.
        ours = self.stopped and \
            p.returncode in (-signal.SIGINT, -signal.SIGKILL)
        result = self.result(target, not counts and not ours)
        if result.findings:
            self.findings.append(target)
            self.say(target)
        elif counts:
            ended(result, usage.ru_utime + usage.ru_stime)
        old = self.results.get(target)
        if old:
            result = result._replace(runs=old.runs + result.runs,
                                     seconds=old.seconds + result.seconds)
        self.results[target] = result

    def result(self, target, finding):
        with open(f'{self.build}/fuzz-{target}.log', encoding='utf-8',
                  errors='replace') as f:
            text = f.read()

        def last(pattern):
            found = re.findall(pattern, text, re.M)
            return int(found[-1]) if found else 0
        return Result(
            target, last(r'^stat::number_of_executed_units: (\d+)') or
            last(r'^#(\d+)'), last(r'^Done \d+ runs in (\d+)'),
            last(r'^#\d.* cov: (\d+)'), last(r'^#\d.* corp: (\d+)'),
            int(finding))

    def fill(self, choose):
        while not self.stopped and len(self.running) < self.jobs:
            busy = {target for target, _ in self.running.values()}
            job = choose(busy | set(self.findings))
            if not job:
                break
            self.start(*job)

    def run(self, choose, ended):
        """choose(running targets, findings) says which is next and for how
        long, or None; ended(result, CPU seconds) hears of what counts."""
        with tempfile.TemporaryDirectory(
                prefix='relais-fuzz.', ignore_cleanup_errors=True,
                dir=MEMORY if os.path.isdir(MEMORY) else None) as self.folder:
            try:
                self.fill(choose)
                while self.running:
                    self.end(ended)
                    self.fill(choose)
            finally:
                self.kill(signal.SIGINT)
                signal.alarm(0)

    def say(self, target):
        """Where a finding is, and the words of its log that say which."""
        path = f'{self.build}/fuzz-{target}.log'
        with open(path, encoding='utf-8', errors='replace') as f:
            said = re.search(r'^.*(?: does not hold: |^SUMMARY: ).*', f.read(),
                             re.M)
        print(f'fuzz_{target}: a finding, see {path}:', said[0] if said else
              f'it ended with status {self.status[target]}', flush=True)
