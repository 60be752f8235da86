"""The servers that are measured, each tuned as its own documentation advises;
`settings` says how. All log to a file. A server is made with the port of its
next hop, and has what Relais has below."""
import os
import subprocess

import peer_servers
import relais

DEAD = 9        # nobody listens there


class Relais(relais.Instance):
    """Our own as it is shipped, but for limits that the load would meet."""

    sessions = 20000    # that it takes at one time
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

    def start(self, wait=True, options=()):
        """Without the words for a developer that tests want."""
        return super().start(wait, options)

    def flush(self):
        """Tries all that waits, now."""
        self.smtpctl('schedule', 'all')

    def list_queue(self):
        return self.smtpctl('show', 'queue').count('\n')


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
    tuning = ('smtp limit max-mails 10000000 max-rcpt 2000\n'
              'mta limit max-conn-per-domain 200 max-conn-per-host 200 '
              'max-conn-per-route 200 max-conn-per-source 200 '
              'max-conn-per-connector 200 session-transaction-delay 0 '
              'task-hiwat 1000 task-lowat 100')
    settings = tuning.replace('\n', '; ')

    def flush(self):
        self.tool('smtpctl', 'schedule', 'all')

    def list_queue(self):
        return self.tool('smtpctl', 'show', 'queue').count('\n')


class Exim(InRoot, peer_servers.Exim):
    """The specification's chapter on performance: a split spool, a queue
    beyond the load, many messages a connection."""

    sessions = 400      # a process each
    tuning = ('split_spool_directory\nsmtp_accept_max = 500\n'
              'smtp_accept_queue_per_connection = 0\n'
              'smtp_accept_max_per_connection = 0\n'
              'remote_max_parallel = 20\nqueue_run_max = 20\n'
              'smtp_connect_backlog = 1024\nmessage_size_limit = 20M')
    settings = tuning.replace('\n', '; ')

    def flush(self):
        self.tool('exim4', '-qff')

    def list_queue(self):
        return int(self.tool('exim4', '-bpc'))


ALL = {c.__name__.lower(): c for c in (Relais, Postfix, OpenSMTPD, Exim)}


def make_certificate(cert, key):
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
         '/CN=mx.test', '-keyout', key, '-out', cert],
        check=True, capture_output=True)
    os.chmod(key, 0o600)
