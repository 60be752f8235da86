"""Real mail servers of Debian as peers of Relais: Postfix, Exim, OpenSMTPD
and Dovecot, each in a root of its own, since their packages exclude one
another and none of them shall touch the machine.

A Root is made once and kept in $RELAIS_CACHE (/var/tmp/relais-peers): apt
resolves and fetches the packages, tar unpacks them, and no script of theirs
runs. A Peer has its own /etc and /var in a folder made for it, shares /usr of
its Root read-only, and runs in mount and pid namespaces: what it starts ends
with it, and no mount is seen outside. The network is that of the caller;
private_network() gives the caller one of its own. All of this needs root.
"""
import atexit
import contextlib
import ctypes
import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import relais

CACHE = os.environ.get('RELAIS_CACHE') or '/var/tmp/relais-peers'
LAYOUT = '3'            # another word makes every root anew

# What the peers need of their dependencies' maintainer scripts: nothing.
NEEDLESS = re.compile(
    r'^(perl.*|libperl.*|libgdbm.*|dpkg|debconf|usrmerge|usr-is-merged|'
    r'e2fsprogs|libext2fs2|libss2|logsave|init-system-helpers|adduser|'
    r'ssl-cert|.*-perl|cpio|libsemanage.*|libsepol2|ucf|exim4-config|'
    r'cron|cron-daemon-common|psmisc|sensible-utils)$')
BASE = ('base-files', 'libc-bin', 'coreutils', 'dash', 'sed', 'grep',
        'findutils', 'diffutils', 'netbase')

USERS = {   # name: (uid, shell)
    'root': (0, '/bin/sh'), 'daemon': (1, '/usr/sbin/nologin'),
    'mail': (8, '/usr/sbin/nologin'), 'nobody': (65534, '/usr/sbin/nologin'),
    'postfix': (41001, '/usr/sbin/nologin'),
    'postdrop': (41002, '/usr/sbin/nologin'),
    'Debian-exim': (41003, '/usr/sbin/nologin'),
    'opensmtpd': (41004, '/usr/sbin/nologin'),
    'opensmtpq': (41005, '/usr/sbin/nologin'),
    'dovecot': (41006, '/usr/sbin/nologin'),
    'dovenull': (41007, '/usr/sbin/nologin'),
    'alice': (41101, '/bin/sh'), 'bob': (41102, '/bin/sh'),
}


def run(*argv, **kw):
    r = subprocess.run(argv, text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, errors='replace', **kw)
    if r.returncode != 0:
        raise AssertionError(f'{" ".join(map(str, argv))[:300]}: '
                             f'status {r.returncode}\n{r.stdout[-3000:]}')
    return r.stdout


def need_root():
    if os.geteuid() != 0:
        raise relais.Skip('only root can make a root for a real peer')


# ---- roots ----------------------------------------------------------------

def resolve(packages, folder):
    """{name: file} of the packages and of all that they depend on, as apt
    would install them on an empty machine."""
    status = os.path.join(folder, 'status')
    with open(status, 'w'):
        pass
    plan = run('apt-get', '-qq', '-s', '--no-install-recommends', '-o',
               f'Dir::State::status={status}', 'install', *packages, *BASE,
               'usr-is-merged')
    files = {}
    for name, version, arch in re.findall(
            r'(?m)^Inst (\S+) \((\S+) .*?\[(\w+)\]\)', plan):
        if not NEEDLESS.match(name):
            files[name] = f'{name}_{version.replace(":", "%3a")}_{arch}.deb'
    assert set(packages) <= set(files), plan
    return files


def fetch(files, store):
    missing = [n for n, f in files.items()
               if not os.path.exists(os.path.join(store, f))]
    if missing:
        run('apt-get', '-qq', 'download', *missing, cwd=store)
    for f in files.values():
        assert os.path.exists(os.path.join(store, f)), f


def fetch_packages(packages, folder):
    """The .deb files of the packages and all that they depend on."""
    store = os.path.join(CACHE, 'packages')
    os.makedirs(store, exist_ok=True)
    shutil.chown(store, '_apt')
    try:
        files = resolve(packages, folder)
        fetch(files, store)
    except AssertionError:      # no lists, or older than the archive
        run('apt-get', '-qq', 'update')
        files = resolve(packages, folder)
        fetch(files, store)
    return [os.path.join(store, f) for f in files.values()]


def make_folders(root):
    """What Debian's merged /usr looks like, for tar to fill."""
    for name in ('bin', 'sbin', 'lib', 'lib64'):
        os.makedirs(f'{root}/usr/{name}')
        os.symlink(f'usr/{name}', f'{root}/{name}')


def unpack(deb):
    """The folder with the content of a package, unpacked once for all
    Roots."""
    path = os.path.join(CACHE, 'unpacked', os.path.basename(deb)[:-4])
    if os.path.isdir(path):
        return path
    new = path + '.new'
    shutil.rmtree(new, ignore_errors=True)
    make_folders(new)
    with subprocess.Popen(['dpkg-deb', '--fsys-tarfile', deb],
                          stdout=subprocess.PIPE) as p:
        run('tar', '-x', '--keep-directory-symlink', '-C', new,
            '--exclude=./usr/share/doc/*', '--exclude=./usr/share/man/*',
            '--exclude=./usr/share/locale/*', stdin=p.stdout)
    assert p.returncode == 0, deb
    for name in ('bin', 'sbin', 'lib', 'lib64'):
        os.unlink(f'{new}/{name}')
    os.rename(new, path)
    return path


def join(root, folders):
    """Puts the content of packages together: /usr is shared, as links."""
    make_folders(root)
    run('cp', '-al', *(f'{f}/usr' for f in folders), root)
    for folder in folders:
        for name in os.listdir(folder):
            if name != 'usr':
                run('cp', '-a', os.path.join(folder, name), root)


def write_users(root):
    lines = {'passwd': [], 'group': []}
    for name, (uid, shell) in USERS.items():
        home = {'root': '/root'}.get(name, f'/home/{name}')
        if shell == '/usr/sbin/nologin':
            home = '/nonexistent'
        lines['passwd'].append(f'{name}:x:{uid}:{uid}::{home}:{shell}')
        lines['group'].append(f'{name}:x:{uid}:')
    lines['group'].append('nogroup:x:65533:')
    for file, rows in lines.items():
        with open(f'{root}/etc/{file}', 'w') as f:
            f.write('\n'.join(rows) + '\n')
    with open(f'{root}/etc/nsswitch.conf', 'w') as f:
        f.write('passwd: files\ngroup: files\nhosts: files dns\n'
                'services: files\nprotocols: files\n')


def make_root(packages, finish):
    """The path of a root that holds the packages; finish(path) does what the
    maintainer scripts would have done."""
    need_root()
    os.makedirs(CACHE, exist_ok=True)
    key = hashlib.sha256(repr((LAYOUT, sorted(packages), USERS)).encode())
    path = os.path.join(CACHE, f'{packages[0]}-{key.hexdigest()[:12]}')
    with open(os.path.join(CACHE, 'lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(path):
            return path
        new = tempfile.mkdtemp(prefix='new-', dir=CACHE)
        try:
            os.chmod(new, 0o755)
            debs = fetch_packages(packages, new)
            root = os.path.join(new, 'root')
            join(root, [unpack(deb) for deb in debs])
            for name, mode in (('proc', 0o755), ('dev', 0o755),
                               ('tmp', 0o1777), ('run', 0o755),
                               ('home', 0o755), ('root', 0o700)):
                os.makedirs(f'{root}/{name}', exist_ok=True)
                os.chmod(f'{root}/{name}', mode)
            write_users(root)
            run('chroot', root, 'ldconfig')
            finish(root)
            os.rename(root, path)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return path


# ---- networks -------------------------------------------------------------

def private_network():
    """Moves the caller, and all that it starts from now on, into a network
    of its own that has loopback only: every port and every address of
    127.0.0.0/8 is free there."""
    need_root()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000) != 0:       # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), 'unshare')
    run('ip', 'link', 'set', 'lo', 'up')


def listening(port, host='127.0.0.1'):
    """True when the port takes connections; nothing is said there."""
    try:
        with socket.create_connection((host, port), 1):
            return True
    except OSError:
        return False


def end(process):
    """Ends what spawn() started, with all that it has started: the first
    process of a pid namespace takes the rest along. --kill-child is forgotten
    by one that changes its user."""
    if process.poll() is None:
        children = f'/proc/{process.pid}/task/{process.pid}/children'
        with contextlib.suppress(OSError), open(children) as f:
            for pid in f.read().split():
                os.kill(int(pid), signal.SIGKILL)
        process.kill()
        process.wait()


# ---- peers ----------------------------------------------------------------

# $1 is the peer's folder, $2 its Root; the rest is the command.
ENTER = '''set -e
dir=$1 root=$2
shift 2
mount --bind "$root/usr" "$dir/usr"
mount -o remount,bind,ro "$dir/usr"
mount -t proc proc "$dir/proc"
mount -t tmpfs -o mode=755 tmpfs "$dir/dev"
for node in null zero full random urandom tty; do
	: >"$dir/dev/$node"
	mount --bind "/dev/$node" "$dir/dev/$node"
done
ln -s /proc/self/fd "$dir/dev/fd"
ln -s /proc/self/fd/1 "$dir/dev/stdout"
ln -s /proc/self/fd/2 "$dir/dev/stderr"
mkdir -m 1777 "$dir/dev/shm"
exec chroot "$dir" "$@"
'''


class Peer:
    """A server in a root of its own. A subclass names its packages, its
    command and the port by which it is known to be up."""

    packages = ()
    command = ()
    host = '127.0.0.1'
    serves_tls = True       # a handshake with it can succeed

    def __init__(self, folder=None, host=None, port=None, start=True):
        """folder: where the peer's root is made, its spool within (a new
        folder in /tmp, or in `folder`)."""
        self.base = self.prepare()
        self.host = host or self.host
        self.port = port or relais.free_port()
        self.dir = tempfile.mkdtemp(
            prefix=f'relais-{type(self).__name__.lower()}-', dir=folder)
        os.chmod(self.dir, 0o755)
        self.process = None
        self.log_path = os.path.join(self.dir, 'log')
        atexit.register(self.cleanup)
        self.furnish()
        self.configure()
        if start:
            self.start()

    @classmethod
    def prepare(cls):
        """Makes the Root, for which the packages are fetched; its path."""
        return make_root(cls.packages, cls.finish)

    @staticmethod
    def finish(root):
        """Once, when the Root is made."""

    def configure(self):
        """Writes the configuration; called when the folder is furnished."""

    def furnish(self):
        for name in sorted(os.listdir(self.base)):
            path = os.path.join(self.base, name)
            if name in ('usr', 'proc', 'dev'):
                os.mkdir(os.path.join(self.dir, name))
            else:
                run('cp', '-a', path, self.dir)
        for name, (uid, shell) in USERS.items():
            if shell == '/bin/sh' and uid:
                home = self.path(f'/home/{name}')
                os.makedirs(home, exist_ok=True)
                os.chmod(home, 0o700)
                os.chown(home, uid, uid)
        self.write('/etc/hosts', '127.0.0.1 localhost\n::1 localhost\n')
        self.write('/etc/resolv.conf', 'nameserver 127.0.0.1\n'
                   'options timeout:1 attempts:1\n')
        self.write('/etc/hostname', 'peer.test\n')

    def path(self, inside):
        """The path outside of a path inside the peer's root."""
        return self.dir + inside

    def write(self, inside, text, mode=0o644, owner=None):
        path = self.path(inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        os.chmod(path, mode)
        if owner:
            os.chown(path, USERS[owner][0], USERS[owner][0])
        return path

    def folder(self, inside, owner, mode):
        path = self.path(inside)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        os.chown(path, USERS[owner][0], USERS[owner][0])
        return path

    def certify(self, inside='/etc/ssl/peer', kind='ec', owner='root'):
        """Makes inside.crt and inside.key, signed by themselves."""
        key = self.path(inside + '.key')
        os.makedirs(os.path.dirname(key), exist_ok=True)
        curve = ['-pkeyopt', 'ec_paramgen_curve:P-256'] if kind == 'ec' else []
        run('openssl', 'req', '-x509', '-newkey', kind, *curve, '-nodes',
            '-days', '2', '-subj', '/CN=peer.test', '-addext',
            'subjectAltName=DNS:peer.test', '-keyout', key, '-out',
            self.path(inside + '.crt'))
        os.chmod(key, 0o600)
        os.chown(key, USERS[owner][0], USERS[owner][0])

    def spawn(self, *argv, **kw):
        """A command inside the peer's root, in namespaces of its own."""
        return subprocess.Popen(
            ['unshare', '--mount', '--pid', '--fork', '--kill-child',
             '--propagation', 'private', 'sh', '-c', ENTER, 'enter',
             self.dir, self.base, *argv],
            **{'stdin': subprocess.DEVNULL, **kw})

    def run(self, *argv, input=None, timeout=120):
        """Runs a command inside the peer's root; its output."""
        p = self.spawn(*argv, text=True, errors='replace',
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
        out, _ = p.communicate(input or '', timeout)
        if p.returncode != 0:
            raise AssertionError(f'{argv}: status {p.returncode}\n{out}')
        return out

    def start(self, wait=True, seconds=120):
        with open(self.log_path, 'a') as log:
            self.process = self.spawn(*self.command, stdout=log, stderr=log)
        if wait:
            self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=120):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f'{self.command} ended:\n{self.log()}')
            return self.up()
        try:
            relais.wait_for(f'{self.command[0]} listens', ready, seconds,
                            0.05)
        except AssertionError as e:
            raise AssertionError(f'{e}\n{self.log()}') from None

    def up(self):
        return listening(self.port, self.host)

    def log(self):
        return relais.read_log(self.log_path)

    def pids(self):
        """{command name: [pid, ...]} of all that runs in this peer, with the
        pids of the machine."""
        out = {}
        todo = [self.process.pid] if self.process else []
        while todo:
            pid = todo.pop()
            try:
                with open(f'/proc/{pid}/task/{pid}/children') as f:
                    children = [int(x) for x in f.read().split()]
                for child in children:
                    with open(f'/proc/{child}/comm') as f:
                        out.setdefault(f.read().strip(), []).append(child)
                todo += children
            except OSError:
                pass
        return out

    def main_pid(self):
        """The pid of the command itself, which is init of its namespace."""
        path = f'/proc/{self.process.pid}/task/{self.process.pid}/children'
        with open(path) as f:
            return int(f.read().split()[0])

    def stop(self, seconds=15):
        """Asks the server to end, then ends all that it has left."""
        if not self.process or self.process.poll() is not None:
            return
        try:
            os.kill(self.main_pid(), signal.SIGTERM)
            self.process.wait(seconds)
        except (OSError, IndexError, subprocess.TimeoutExpired):
            self.kill()

    def kill(self):
        """A crash: everything in the namespace dies at once."""
        if self.process and self.process.poll() is None:
            try:
                os.kill(self.main_pid(), signal.SIGKILL)
                self.process.wait(5)
            except (OSError, IndexError, subprocess.TimeoutExpired):
                end(self.process)

    def cleanup(self):
        self.kill()
        if os.environ.get('RELAIS_KEEP'):
            print(f'# kept {self.dir}')
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


def maildir(path):
    """The messages of a Maildir, oldest name first, as octets."""
    out = []
    for folder in ('new', 'cur'):
        try:
            names = sorted(os.listdir(os.path.join(path, folder)))
        except FileNotFoundError:
            continue
        for name in names:
            with open(os.path.join(path, folder, name), 'rb') as f:
                out.append(f.read())
    return out
