"""sendmail with the right that a package gives it, and the instance that it
knows without being told: that of the default configuration. All in a mount
namespace of the test's own."""
import atexit
import os
import shutil
import subprocess
import sys
import tempfile

import localmail
from localmail import uid
from relais import ROOT, Instance, Sink, read_log

USER, OTHER = localmail.NAMES[:2]
# where the programs look that no option and no variable tells otherwise
PREFIX = os.path.abspath(os.path.join(
    os.environ.get('RELAIS_BUILD', 'build/hooks'), 'root'))
CONFIGURATION = f'{PREFIX}/etc/relais/relais.conf'
STATE = f'{PREFIX}/var/spool/relais'
CONF = '''{extra}
listen on 127.0.0.1 port {port}
action "out" relay host smtp://127.0.0.1:{next}
match from local for any action "out"
'''
sink = None
programs = None


class Default(Instance):
    """The instance whose configuration is the one that programs know. There
    is one at a time."""
    last = None

    def __init__(self, extra=''):
        if Default.last:
            Default.last.stop()
        Default.last = self
        super().__init__(CONF, start=False, next=sink.port, extra=extra)
        text = read_log(self.conf_path).replace(
            f'set spool "{self.dir}/spool"\n', '').replace(
            f'set control-socket "{self.dir}/control"\n', '')
        self.conf_path = CONFIGURATION
        with open(CONFIGURATION, 'w') as f:
            f.write(text)
        os.chmod(CONFIGURATION, 0o600)


def make_programs():
    """sendmail as a package installs it, and one without its right."""
    folder = tempfile.mkdtemp(prefix='relais-setgid-')
    atexit.register(shutil.rmtree, folder)
    os.chmod(folder, 0o755)
    for name, mode in (('sendmail', 0o2755), ('plain/sendmail', 0o755)):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        shutil.copy(os.path.join(ROOT, 'sbin/smtpctl'), path)
        shutil.chown(path, 'root', '_relaisq')
        os.chmod(path, mode)
    return folder


def sendmail(*args, name='sendmail', user=USER, env=None,
             text='Subject: waits\n\nbody\n'):
    return subprocess.run(
        [os.path.join(programs, name), *args], input=text, text=True,
        capture_output=True, timeout=30, env=env or {}, user=uid(user),
        group=uid(user), extra_groups=[])


def received():
    """What has come to the sink since the last question."""
    with sink.lock:
        messages, sink.messages = sink.messages, []
    return messages


def clean():
    """The spool and the drop folder are gone."""
    shutil.rmtree(STATE, ignore_errors=True)


def fresh(extra=''):
    """An instance that does not run, whose folders are there and empty."""
    clean()
    i = Default(extra)
    i.start()
    i.stop()
    received()
    return i


def begin():
    """The world; skips the whole test where there can be none."""
    global sink, programs
    try:
        localmail.enter_world()
    except localmail.Skip as e:
        print(f'1..1\nok 1 - a setgid sendmail # SKIP {e}')
        sys.exit(0)
    for path in (os.path.dirname(CONFIGURATION), f'{PREFIX}/var',
                 f'{PREFIX}/run'):
        os.makedirs(path, exist_ok=True)
        localmail.mount('-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', path)
    sink = Sink()
    programs = make_programs()
