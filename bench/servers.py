"""The servers that are measured, each tuned as its own documentation advises;
`settings` says how. All log to a file. A server is made with the port of its
next hop, and has what Relais has below."""
import atexit
import os
import shutil
import signal
import subprocess
import tempfile

import load
import peer_servers
import peers
import relais

DEAD = 9        # nobody listens there


class Relais(relais.Instance):
    """Our own as it is shipped, but for limits that the load would meet."""

    sessions = 20000    # that it takes at one time
    backlog = 1000000   # that it queues while the next hop is down
    options = ('smtp limit max-mails 10000000 max-rcpt 1000 '
               'max-conn 20000\nsmtp max-message-size 20M\n')
    settings = options.strip().replace('\n', '; ')

    def __init__(self, root, hop=DEAD, tls=False, conf='', action=None):
        listen = 'listen on 127.0.0.1 port {port}'
        if tls:
            conf += ('pki mx.test cert "{dir}/cert.pem"\n'
                     'pki mx.test key "{dir}/key.pem"\n')
            listen += ' tls pki mx.test'
        action = action or f'relay host smtp://127.0.0.1:{hop}'
        super().__init__(
            f'{self.options}{conf}{listen}\naction "out" {action}\n'
            'match from local for any action "out"\n', root=root,
            start=False)
        if tls:
            make_certificate(f'{self.dir}/cert.pem', f'{self.dir}/key.pem')
        self.start()

    @staticmethod
    def prepare():
        """The peers fetch their packages here."""

    def start(self, wait=True, options=()):
        """Without the words for a developer that tests want."""
        return super().start(wait, options)

    def flush(self):
        """Tries all that waits, now."""
        self.smtpctl('schedule', 'all')

    def list_queue(self):
        return self.smtpctl('show', 'queue').count('\n')

    def list_page(self):
        return self.smtpctl('show', 'queue', '--limit', '100')


class InRoot:
    """What the peers share, beside peers.Peer: a tuned start, and their
    tools, which run in their root."""

    def __init__(self, root, hop=DEAD, tls=False):
        super().__init__(main=self.tuned(tls), relay=hop, tls=tls)

    def tuned(self, tls):
        return self.tuning

    def tool(self, *command):
        return subprocess.run(
            ['nsenter', '--mount', '--pid', '--target', str(self.main_pid()),
             'chroot', self.dir, *command], text=True, check=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT).stdout


class Postfix(InRoot, peer_servers.Postfix):
    """TUNING_README, STRESS_README, CONNECTION_CACHE_README."""

    sessions = 250      # a process each
    backlog = 100000
    tuning = {
        'default_process_limit': '300',
        'in_flow_delay': '0',
        'smtpd_client_connection_count_limit': '0',
        'smtpd_peername_lookup': 'no',
        'smtpd_recipient_limit': '2000',
        'qmgr_message_active_limit': '40000',
        'qmgr_message_recipient_limit': '40000',
        'default_destination_concurrency_limit': '100',
        'initial_destination_concurrency': '20',
        'minimal_backoff_time': '300s', 'queue_run_delay': '300s',
        'maximal_backoff_time': '4000s',
    }
    settings = '; '.join(f'{k}={v}' for k, v in tuning.items())

    def tuned(self, tls):
        main = dict(self.tuning)
        if tls:
            main.update({'smtp_tls_security_level': 'none',
                         'smtpd_tls_loglevel': '0'})
        return main

    def flush(self):
        self.tool('postqueue', '-f')

    def list_queue(self):
        return self.tool('postqueue', '-j').count('\n')


class OpenSMTPD(InRoot, peer_servers.OpenSMTPD):
    """smtpd.conf(5): the limits of sessions and of the route."""

    sessions = 1000
    backlog = 100000
    tuning = ('smtp limit max-mails 10000000 max-rcpt 2000\n'
              'mta limit max-conn-per-domain 200 max-conn-per-host 200 '
              'max-conn-per-route 200 max-conn-per-source 200 '
              'max-conn-per-connector 200 max-conn-per-relay 200 '
              'conn-delay-domain 0 conn-delay-relay 0 '
              'conn-delay-route 0 conn-delay-source 0 conn-delay-connector 0 '
              'session-transaction-delay 0 task-hiwat 20000 task-lowat 10000')
    settings = tuning.replace('\n', '; ')

    def flush(self):
        """A route that failed is closed for a while."""
        for line in self.tool('smtpctl', 'show', 'routes').splitlines():
            self.tool('smtpctl', 'resume', 'route', line.split('.')[0])
        self.tool('smtpctl', 'schedule', 'all')

    def list_queue(self):
        return self.tool('smtpctl', 'show', 'queue').count('\n')


class Exim(InRoot, peer_servers.Exim):
    """The specification's chapter on performance: a split spool, a queue
    beyond the load, many messages a connection."""

    sessions = 400      # a process each
    # each message starts a process that waits for the same lock: at 19,000
    # messages 23,000 of them took 20 GB
    backlog = 10000
    tuning = ('split_spool_directory\nsmtp_accept_max = 500\n'
              'smtp_accept_queue_per_connection = 0\n'
              'smtp_accept_max_per_connection = 0\n'
              'remote_max_parallel = 20\nqueue_run_max = 20\n'
              'smtp_connect_backlog = 1024\nmessage_size_limit = 20M')
    settings = (tuning.replace('\n', '; ') +
                '; with TLS: tls_resumption_hosts = *')

    def tuned(self, tls):
        return self.tuning + ('\ntls_resumption_hosts = *' if tls else '')

    def flush(self):
        """A queue runner delivers one message after the other: one a CPU."""
        for _ in range(os.cpu_count()):
            self.tool('sh', '-c', 'exim4 -qff >/dev/null 2>&1 &')

    def list_queue(self):
        return int(self.tool('exim4', '-bpc'))


HARAKA_RELAY = """// The clients of loopback may relay, and all mail goes to one next hop.
exports.hook_rcpt = (next, connection) => {
    connection.relaying = true
    next(OK)
}
exports.hook_get_mx = (next) => next(OK, { exchange: '127.0.0.1', port: %d })
"""


class Haraka:
    """The wiki's Performance-Tuning: a worker a CPU, few plugins, few log
    lines. From the npm registry, so it needs Debian's nodejs and npm (or
    another node); it is no server of Debian and has no root of its own."""

    sessions = 1000
    backlog = 10000     # listing opens all files at one time
    files = {
        'smtp.ini': 'listen=127.0.0.1:{port}\nnodes=cpus\n',
        'loglevel': 'WARN', 'me': 'haraka.test', 'host_list': '',
        'outbound.ini': 'enable_tls=false\nconcurrency_max=100\n'
                        'temp_fail_intervals=300s\n'}
    settings = '; '.join(f'{k}: {v.strip()}' for k, v in files.items() if v
                         ).replace('\n', ', ')
    home = os.path.join(peers.CACHE, 'haraka')
    program = f'{home}/node_modules/Haraka/bin/haraka'

    @classmethod
    def prepare(cls):
        """Installed once into the cache of the peers."""
        if not os.path.exists(cls.program):
            subprocess.run(['npm', 'install', '--silent', '--no-audit',
                            '--no-fund', '--prefix', cls.home, 'Haraka'],
                           check=True)
        # it would make these itself, beside its first connections
        if not os.path.exists(f'{cls.home}/dhparams.pem'):
            subprocess.run(['openssl', 'dhparam', '-out',
                            f'{cls.home}/dhparams.pem', '2048'], check=True,
                           capture_output=True)

    def __init__(self, root, hop=DEAD, tls=False):
        self.port = relais.free_port()
        self.dir = tempfile.mkdtemp(prefix='relais-haraka-')
        atexit.register(self.cleanup)
        self.process = None
        shutil.copytree(f'{self.home}/node_modules/Haraka/config',
                        f'{self.dir}/config')
        self.write('config/plugins', 'tls\none_hop\n' if tls
                   else 'one_hop\n')
        self.write('plugins/one_hop.js', HARAKA_RELAY % hop)
        for name, text in self.files.items():
            self.write(f'config/{name}', text.format(port=self.port))
        if tls:
            make_certificate(f'{self.dir}/config/tls_cert.pem',
                             f'{self.dir}/config/tls_key.pem')
            shutil.copy(f'{self.home}/dhparams.pem', f'{self.dir}/config')
        self.start()


    def write(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as f:
            f.write(text)

    def start(self, wait=True):
        with open(f'{self.dir}/log', 'a') as log:
            self.process = subprocess.Popen(
                ['node', self.program, '-c', self.dir], stdout=log,
                stderr=log, stdin=subprocess.DEVNULL)
        if wait:
            relais.wait_for('Haraka listens',
                            lambda: peers.listening(self.port), 30)

    def stop(self, seconds=15):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def cleanup(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def flush(self):
        self.process.send_signal(signal.SIGHUP)

    def list_queue(self):
        return subprocess.run(
            ['node', self.program, '-c', self.dir, '--qlist'], text=True,
            check=True, stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL).stdout.count('Q: ')


class Floor:
    """No server: the next hop of the bench takes the mail and keeps nothing,
    so that all that is left is the protocol, and the generator."""

    only = 'ingest'     # the scenarios that it has a part in
    settings = 'bench/sink in the place of a server, or smtp-sink'

    @staticmethod
    def prepare():
        """It is built with the bench."""

    def __init__(self, root, sink=load.Sink):
        self.sink = sink()
        self.port = self.sink.port
        self.process = self.sink.process

    def stop(self):
        self.sink.stop()

    def cleanup(self):
        """It has left nothing."""


ALL = {c.__name__.lower(): c
       for c in (Relais, Postfix, OpenSMTPD, Exim, Haraka, Floor)}


def make_certificate(cert, key):
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
         '/CN=mx.test', '-keyout', key, '-out', cert],
        check=True, capture_output=True)
    os.chmod(key, 0o600)
