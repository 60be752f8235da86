"""What the tests share: an instance of Relais in a folder of its own, an SMTP
client that shows its dialogue, a next hop that can fail, and TAP.

Everything listens on 127.0.0.1 at a port that the kernel chose, and whatever
was started is ended by its pid when the test ends.
"""
import atexit
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.environ.get('RELAIS_ROOT', 'build/hooks/root')
SANITIZER = re.compile(r'Sanitizer|runtime error:')


def free_port():
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def read_log(path):
    """What a log says so far; '' before there is one."""
    try:
        with open(path, errors='replace') as f:
            return f.read()
    except FileNotFoundError:
        return ''


def no_sanitizer(text):
    """Fails if a sanitizer spoke, with what it said first."""
    m = SANITIZER.search(text)
    if m:
        begin = text.rfind('\n', 0, m.start()) + 1
        raise AssertionError('\n'.join(text[begin:].splitlines()[:40]))


def wait_for(what, condition, seconds=10, step=0.02):
    """Waits until condition() is true and returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'{what}: did not happen in {seconds} s')
        time.sleep(step)


class Instance:
    """A relaisd with its own folder. `conf` is the configuration without the
    paths; {port} in it is a free port, {dir} the folder. What a sanitizer
    wrote into its log fails the test that stops it; where none does, it is
    one more test that fails."""

    def __init__(self, conf, root=ROOT, env=None, user=None, files=None,
                 start=True, port=None, **names):
        self.dir = tempfile.mkdtemp(prefix='relais-test-')
        os.chmod(self.dir, 0o755)
        self.root = os.path.abspath(root)
        self.port = port or free_port()
        self.user = user
        self.env = env or {}
        self.process = None
        for name, text in (files or {}).items():
            self.write(name, text)
        names = dict(port=self.port, dir=self.dir, root=self.root, **names)
        text = PATHS.format(**names) + conf.format(**names)
        if 'set server-name' not in text:
            text = 'set server-name "mx.test"\n' + text
        self.conf_path = self.write('relais.conf', text)
        self.log_path = os.path.join(self.dir, 'log')
        if user:
            subprocess.run(['chown', '-R', user, self.dir], check=True)
        atexit.register(self.cleanup)
        if start:
            self.start()

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.dir, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def command(self, name):
        for folder in ('sbin', 'bin', 'libexec/relais'):
            path = os.path.join(self.root, folder, name)
            if os.path.exists(path):
                return path
        raise AssertionError(f'{name} is not installed under {self.root}')

    def start(self, wait=True, options=('-v',)):
        command = [self.command('relaisd'), '-d', *options,
                   '-f', self.conf_path]
        if self.user:
            gid = str(pwd.getpwnam(self.user).pw_gid)
            command = ['setpriv', '--reuid', self.user, '--regid', gid,
                       '--clear-groups', '--'] + command
        mark = len(self.log())
        with open(self.log_path, 'a') as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.env})
        if wait:
            def ready():
                if self.process.poll() is not None:
                    raise AssertionError('relaisd ended:\n' + self.log())
                return ': info: ready\n' in self.log()[mark:]
            wait_for('relaisd becomes ready', ready, 30)
        return self

    def awake(self, seconds=20):
        """Waits until all smtpd take mail: those whose queue has died and
        come back have no message ids for a moment, and answer MAIL by 451.
        Connections that are open at once reach every worker."""
        def takes():
            clients = [self.connect() for _ in range(8)]
            try:
                for c in clients:
                    c.expect('EHLO awake.test', 250)
                return all(c.say('MAIL FROM:<a@awake.test>').startswith('250')
                           for c in clients)
            finally:
                for c in clients:
                    c.close()
        wait_for('mail is taken', takes, seconds)
        return self

    def log(self):
        return read_log(self.log_path)

    def pids(self):
        """{'smtpd': [pid, ...], ...} of the workers that run now."""
        out = {}
        path = f'/proc/{self.process.pid}/task/{self.process.pid}/children'
        # where a child ends meanwhile, the list may leave others out
        listed, again = None, ''
        while listed != again:
            listed = again
            with open(path) as f:
                again = f.read()
        for pid in listed.split():
            try:
                with open(f'/proc/{pid}/comm') as comm:
                    out.setdefault(comm.read().strip(), []).append(int(pid))
            except OSError:
                pass
        return out

    def smtpctl(self, *args, check=True, input=None):
        r = subprocess.run(
            [self.command('smtpctl'), '-S', os.path.join(self.dir, 'control'),
             *args], text=True, capture_output=True, input=input, timeout=60)
        no_sanitizer(r.stderr)
        if check and r.returncode != 0:
            raise AssertionError(f'smtpctl {args}: {r.stdout}{r.stderr}')
        return r.stdout

    def stop(self, sig=signal.SIGTERM, seconds=20):
        if self.process and self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError('relaisd did not stop:\n' + self.log())
        no_sanitizer(self.log())
        return self.process.returncode if self.process else None

    def kill(self):
        """A crash of the whole instance: master first, so that it restarts
        nobody, then the workers."""
        pids = [p for group in self.pids().values() for p in group]
        self.process.kill()
        self.process.wait()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def cleanup(self):
        try:
            self.stop()
        except AssertionError as e:
            print(f'not ok - the end of {self.dir}')
            for line in str(e).splitlines():
                print(f'# {line}')
        if os.environ.get('RELAIS_KEEP'):
            print(f'# kept {self.dir}')
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def connect(self, **kw):
        return Client(self.port, **kw)


PATHS = '''set libexec "{root}/libexec/relais"
set spool "{dir}/spool"
set control-socket "{dir}/control"
set chroot "{dir}/empty"
set pid-file "{dir}/pid"
'''


class Client:
    """One SMTP connection. say() sends a line and returns the reply."""

    def __init__(self, port, host='127.0.0.1', greet=True, timeout=10,
                 sock=None):
        self.sock = sock or socket.create_connection((host, port), timeout)
        self.sock.settimeout(timeout)
        self.buffer = b''
        self.dialogue = []
        if greet:
            self.greeting = self.reply()

    def line(self):
        while b'\n' not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError('closed; dialogue so far:\n' +
                               '\n'.join(self.dialogue[-20:]))
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        assert line.endswith(b'\r'), f'a bare LF in the reply: {line!r}'
        text = line[:-1].decode('utf-8', 'replace')
        self.dialogue.append('S: ' + text)
        return text

    def reply(self):
        """The whole reply, lines joined by newlines."""
        lines = []
        while True:
            lines.append(self.line())
            assert re.match(r'\d{3}([ -]|$)', lines[-1]), lines[-1]
            if lines[-1][3:4] != '-':
                return '\n'.join(lines)

    def send(self, data):
        if isinstance(data, str):
            data = data.encode('utf-8')
        self.dialogue.append(f'C: {data[:200]!r}')
        self.sock.sendall(data)

    def say(self, text):
        self.send(text + '\r\n')
        return self.reply()

    def expect(self, text, code):
        r = self.say(text)
        assert r.startswith(str(code)), f'{text!r}: {r!r}, expected {code}'
        return r

    def closed(self):
        """True if the server has closed the connection."""
        try:
            return self.sock.recv(1) == b''
        except (ConnectionError, OSError):
            return True

    def transfer(self, sender, rcpts, body, params=''):
        """One message; the reply to its end of data. Body lines end in CRLF
        and the dots are stuffed here."""
        self.expect(f'MAIL FROM:<{sender}>{params}', 250)
        for r in rcpts:
            self.expect(f'RCPT TO:<{r}>', 250)
        self.expect('DATA', 354)
        if isinstance(body, str):
            body = body.encode('utf-8')
        body = re.sub(rb'(?m)^\.', b'..', body)
        if body and not body.endswith(b'\r\n'):
            body += b'\r\n'
        self.send(body + b'.\r\n')
        return self.reply()

    def close(self):
        self.sock.close()


class Sink(threading.Thread):
    """A next hop, by LMTP too, that keeps what it gets. `answers` maps a verb (or 'RCPT
    address', 'EOD') to a reply that is given instead of the usual one; a
    reply that is None closes the connection."""

    EHLO = ('PIPELINING', 'SIZE 104857600', '8BITMIME', 'SMTPUTF8', 'DSN',
            'ENHANCEDSTATUSCODES')

    def __init__(self, port=None, answers=None, ehlo=EHLO, host='127.0.0.1'):
        super().__init__(daemon=True)
        self.answers = answers or {}
        self.ehlo = ehlo
        self.messages = []
        self.commands = []
        self.sessions = 0
        self.peak = 0
        self.first_at = None
        self.open = set()
        self.lock = threading.Lock()
        self.server = socket.socket(
            socket.AF_INET6 if ':' in host else socket.AF_INET)
        if ':' in host:
            self.server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.server.bind((host, port or 0))
        self.server.listen(512)
        self.port = self.server.getsockname()[1]
        self.stopping = False
        self.start()

    def run(self):
        while not self.stopping:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            with self.lock:
                self.sessions += 1
                self.open.add(sock)
                self.peak = max(self.peak, len(self.open))
            threading.Thread(target=self.session, args=(sock,),
                             daemon=True).start()

    def session(self, sock):
        try:
            self.serve(sock, sock.makefile('rb'))
        except (OSError, EOFError):
            pass
        finally:
            with self.lock:
                self.open.discard(sock)
            sock.close()

    def answer(self, sock, key, usual):
        text = self.answers.get(key, usual)
        if callable(text):
            text = text()
        if text is None:
            raise EOFError
        sock.sendall(text.encode() + b'\r\n')
        return text[0]

    def end_of_data(self, sock, mail, lmtp):
        taken = [self.answer(sock, 'EOD', '250 2.0.0 kept')
                 for _ in (mail['rcpt'] if lmtp else '1')]
        if '2' in taken:
            with self.lock:
                self.first_at = self.first_at or time.monotonic()
                self.messages.append(mail)

    def serve(self, sock, f):
        mail, lmtp = {}, False
        if self.answer(sock, 'banner', '220 sink.test ESMTP') != '2':
            raise EOFError
        while True:
            line = f.readline()
            if not line:
                return
            text = line.rstrip(b'\r\n').decode('utf-8', 'replace')
            with self.lock:
                self.commands.append(text)
            verb = text.split(' ')[0].upper()
            if verb in ('EHLO', 'LHLO'):
                lmtp = verb == 'LHLO'
                lines = ['sink.test', *self.ehlo]
                usual = '\r\n'.join(
                    f'250{" " if i == len(lines) - 1 else "-"}{x}'
                    for i, x in enumerate(lines))
                self.answer(sock, 'EHLO', usual)
            elif verb == 'MAIL':
                taken = self.answer(sock, 'MAIL', '250 2.1.0 ok') == '2'
                mail = {'mail': text, 'rcpt': []} if taken else {}
            elif verb == 'RCPT' and not mail:
                sock.sendall(b'503 5.5.1 MAIL first\r\n')
            elif verb == 'DATA' and not mail.get('rcpt'):
                sock.sendall(b'503 5.5.1 RCPT first\r\n')
            elif verb == 'RCPT':
                m = re.search(r'<([^>]*)>', text)
                key = f'RCPT {m.group(1)}' if m else 'RCPT'
                if key not in self.answers:
                    key = 'RCPT'
                if self.answer(sock, key, '250 2.1.5 ok') == '2':
                    mail['rcpt'].append(text)
            elif verb == 'DATA':
                if self.answer(sock, 'DATA', '354 go on') != '3':
                    continue
                body = bytearray()
                while True:
                    line = f.readline()
                    if not line:
                        return
                    if line == b'.\r\n':
                        break
                    body += line[1:] if line.startswith(b'.') else line
                mail['body'] = bytes(body)
                self.end_of_data(sock, mail, lmtp)
                mail = {}
            elif verb == 'BDAT' and mail.get('rcpt'):
                chunk = f.read(int(text.split(' ')[1]))
                mail['body'] = mail.get('body', b'') + chunk
                if not text.upper().endswith(' LAST'):
                    self.answer(sock, 'BDAT', '250 2.0.0 go on')
                    continue
                self.end_of_data(sock, mail, lmtp)
                mail = {}
            elif verb == 'RSET':
                mail = {}
                self.answer(sock, 'RSET', '250 2.0.0 ok')
            elif verb == 'QUIT':
                self.answer(sock, 'QUIT', '221 2.0.0 bye')
                return
            else:
                self.answer(sock, verb, '250 2.0.0 ok')

    def stop(self):
        self.stopping = True
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        with self.lock:
            for sock in list(self.open):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


# ---- limits of a worker ---------------------------------------------------

def limit(pid, what, value):
    """Sets a soft limit of a worker, as its own user: a container's root may
    not, and raising it again up to the hard limit needs no privilege."""
    with open(f'/proc/{pid}/status') as f:
        ids = dict(re.findall(r'^([UG]id):\s+(\d+)', f.read(), re.M))
    subprocess.run(['setpriv', f'--reuid={ids["Uid"]}',
                    f'--regid={ids["Gid"]}', '--clear-groups', 'prlimit',
                    f'--pid={pid}', f'--{what}={value}:'], check=True)


def soft_files(pid):
    with open(f'/proc/{pid}/limits') as f:
        return int(re.search(r'^Max open files\s+(\d+)', f.read(),
                             re.M).group(1))


# ---- TAP ------------------------------------------------------------------

class Skip(Exception):
    """Raised by a test that cannot run here, with the reason."""


def main(tests):
    """Runs functions as tests; the name is the function's first doc line."""
    failed = 0
    chosen = [t for t in tests
              if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]]
    print(f'1..{len(chosen)}', flush=True)
    for i, test in enumerate(chosen, 1):
        name = (test.__doc__ or test.__name__).strip().splitlines()[0]
        try:
            test()
            print(f'ok {i} - {name}', flush=True)
        except Skip as e:
            print(f'ok {i} - {name} # SKIP {e}', flush=True)
        except Exception:
            failed += 1
            print(f'not ok {i} - {name}', flush=True)
            for line in traceback.format_exc().splitlines():
                print(f'# {line}', flush=True)
    sys.exit(1 if failed else 0)
