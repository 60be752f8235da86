"""The servers that peers.py can start: how each is configured so that it
takes mail on loopback, keeps mail for its own domain in ~/Maildir of alice or
bob, and relays the rest. A test changes what it needs by arguments."""
import os
import re

from peers import Peer, USERS

__all__ = ['Postfix', 'Exim', 'OpenSMTPD', 'Dovecot']


def read(path):
    try:
        with open(path, errors='replace') as f:
            return f.read()
    except FileNotFoundError:
        return ''


POSTFIX_MAIN = {
    'compatibility_level': '3.6', 'default_database_type': 'hash',
    'myhostname': 'postfix.test',
    'mydestination': 'postfix.test', 'mynetworks': '127.0.0.0/8',
    'inet_protocols': 'ipv4',
    'maillog_file': '/var/log/postfix.log', 'alias_maps': '',
    'alias_database': '', 'smtp_dns_support_level': 'disabled',
    'local_recipient_maps': 'unix:passwd.byname',
    'home_mailbox': 'Maildir/', 'biff': 'no',
    'smtpd_recipient_restrictions': 'permit_mynetworks, reject',
    'queue_directory': '/var/spool/postfix',
    'minimal_backoff_time': '2s', 'queue_run_delay': '2s',
    'maximal_backoff_time': '4s', 'message_size_limit': '0',
    'mailbox_size_limit': '0', 'smtputf8_enable': 'yes',
}


class Postfix(Peer):
    """main: settings of main.cf that are added or replaced; relay: the port
    on loopback that all other mail goes to; tls: offer and use STARTTLS.
    Tools such as smtp-source are reached through run() and spawn()."""

    packages = ('postfix',)
    command = ('postfix', 'start-fg')

    def __init__(self, main=None, relay=None, tls=False, **kw):
        self.main = dict(POSTFIX_MAIN)
        if relay:
            self.main['relayhost'] = f'[127.0.0.1]:{relay}'
        self.tls = tls
        self.changes = main or {}
        super().__init__(**kw)

    @staticmethod
    def finish(root):
        for name in ('master.cf', 'postfix-files', 'post-install',
                     'postfix-script'):
            src = f'{root}/usr/share/postfix/{name}.dist'
            if os.path.exists(src):
                with open(f'{root}/etc/postfix/{name}', 'w') as f:
                    f.write(read(src))
        drop = USERS['postdrop'][0]
        for name in ('postdrop', 'postqueue'):
            os.chown(f'{root}/usr/sbin/{name}', 0, drop)
            os.chmod(f'{root}/usr/sbin/{name}', 0o2755)
        os.makedirs(f'{root}/var/lib/postfix', exist_ok=True)
        os.chown(f'{root}/var/lib/postfix', USERS['postfix'][0], 0)

    def configure(self):
        self.main['smtp_bind_address'] = self.host
        self.main['inet_interfaces'] = self.host
        if self.tls:
            self.certify()
            self.main.update({
                'smtpd_tls_cert_file': '/etc/ssl/peer.crt',
                'smtpd_tls_key_file': '/etc/ssl/peer.key',
                'smtpd_tls_security_level': 'may', 'smtpd_tls_loglevel': '1',
                'smtp_tls_security_level': 'encrypt',
                'smtp_tls_loglevel': '1', 'smtpd_tls_received_header': 'yes'})
        self.main.update(self.changes)
        self.write('/etc/postfix/main.cf', ''.join(
            f'{k} = {v}\n' for k, v in self.main.items()))
        services = read(self.path('/etc/postfix/master.cf'))
        services = re.sub(r'(?m)^smtp      inet', f'{self.port} inet',
                          services)
        # the spool is no chroot: no copies of /etc have to be kept there
        services = re.sub(r'(?m)^(\S+\s+(?:inet|unix|fifo|pass|unix-dgram)'
                          r'\s+\S+\s+\S+\s+)\S+', r'\1n', services)
        self.write('/etc/postfix/master.cf', services)
        self.write('/etc/default/postfix', 'SYNC_CHROOT=\n')

    def log(self):
        return super().log() + read(self.path('/var/log/postfix.log'))


EXIM_CONF = '''primary_hostname = exim.test
qualify_domain = exim.test
domainlist local_domains = exim.test
local_interfaces = {host}
daemon_smtp_ports = {port}
log_file_path = /var/log/exim4/%slog
spool_directory = /var/spool/exim4
pid_file_path = /run/exim4.pid
never_users = root
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = take
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
keep_environment =
queue_run_in_order
{tls}
{main}
begin acl
take:
  accept hosts = 127.0.0.0/8
begin routers
away:
  driver = manualroute
  domains = !+local_domains
  route_data = 127.0.0.1
  self = send
  transport = remote
home:
  driver = accept
  domains = +local_domains
  check_local_user
  transport = keep
begin transports
remote:
  driver = smtp
  port = {relay}
  allow_localhost
{remote}
keep:
  driver = appendfile
  directory = /home/$local_part_data/Maildir
  maildir_format
  delivery_date_add
  envelope_to_add
  return_path_add
begin retry
* * F,1h,2s
'''


class Exim(Peer):
    """main, remote: lines added to the main part and to the transport that
    sends."""

    packages = ('exim4-daemon-light',)
    command = ('exim4', '-bdf', '-q2s')

    def __init__(self, main='', remote='', relay=None, tls=False, **kw):
        self.parts = {'main': main, 'remote': remote, 'relay': relay or 25,
                      'tls': ''}
        self.tls = tls
        super().__init__(**kw)

    def configure(self):
        parts = self.parts
        if self.tls:
            self.certify(owner='Debian-exim')
            parts['tls'] = ('tls_advertise_hosts = *\n'
                            'tls_certificate = /etc/ssl/peer.crt\n'
                            'tls_privatekey = /etc/ssl/peer.key\n')
            parts['remote'] += '  hosts_require_tls = *\n' \
                '  tls_verify_certificates =\n  tls_try_verify_hosts =\n'
        else:
            parts['tls'] = 'tls_advertise_hosts =\n'
            parts['remote'] += '  hosts_avoid_tls = *\n'
        for name in ('/var/spool/exim4', '/var/log/exim4'):
            self.folder(name, 'Debian-exim', 0o750)
        self.write('/etc/exim4/exim4.conf', EXIM_CONF.format(
            host=self.host, port=self.port, **parts))

    def log(self):
        return super().log() + ''.join(
            read(self.path(f'/var/log/exim4/{n}log'))
            for n in ('main', 'panic', 'reject'))


OPENSMTPD_CONF = '''pki peer cert "/etc/ssl/peer.crt"
pki peer key "/etc/ssl/peer.key"
listen on {host} port {port} hostname "opensmtpd.test" {tls}
{main}
action "keep" maildir "/home/%{{user.username}}/Maildir"
action "away" relay host {url} helo "opensmtpd.test"
match from any for domain "opensmtpd.test" action "keep"
match from any for any action "away"
'''


class OpenSMTPD(Peer):
    """main: lines added ahead of the actions. With tls it uses STARTTLS as a
    client; as a server it offers STARTTLS, and with 6.8 every handshake then
    fails: Debian 12's does not work with OpenSSL 3 (OpenSMTPD issue 1239).
    """

    packages = ('opensmtpd',)
    command = ('smtpd', '-d', '-v', '-f', '/etc/smtpd.conf')

    def __init__(self, main='', relay=None, tls=False, **kw):
        self.main, self.relay, self.tls = main, relay or 25, tls
        super().__init__(**kw)

    @staticmethod
    def finish(root):
        os.chown(f'{root}/usr/sbin/smtpctl', 0, USERS['opensmtpq'][0])
        os.chmod(f'{root}/usr/sbin/smtpctl', 0o2755)

    def configure(self):
        self.certify()
        # 7 reads the authorities of the machine, or does not start
        self.write('/etc/ssl/certs/ca-certificates.crt',
                   read(self.path('/etc/ssl/peer.crt')))
        # its usage, which names the version, has a status of failure
        self.serves_tls = 'OpenSMTPD 6.' not in self.run(
            'sh', '-c', 'smtpd -h || :')
        self.folder('/var/lib/opensmtpd/empty', 'root', 0o755)
        self.folder('/var/spool/smtpd', 'root', 0o711)
        self.write('/etc/mailname', 'opensmtpd.test\n')
        # smtp+tls:// wants a certificate that it can verify
        url = f'smtp://127.0.0.1:{self.relay}'
        self.write('/etc/smtpd.conf', OPENSMTPD_CONF.format(
            host=self.host, port=self.port, main=self.main, url=url,
            tls='tls pki peer' if self.tls else ''), mode=0o600)


# What 2.4 says otherwise than 2.3, of which Debian 12 has it.
DOVECOT_23 = '''mail_location = maildir:~/Maildir
auth_username_format = %Ln
userdb {
  driver = passwd-file
  args = /etc/dovecot/users
}
passdb {
  driver = passwd-file
  args = /etc/dovecot/users
}
'''
DOVECOT_24 = '''dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
mail_driver = maildir
mail_path = ~/Maildir
auth_username_format = %{user | username | lower}
userdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
passdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
'''
DOVECOT_CONF = '''{dialect}protocols = lmtp
log_path = /dev/stderr
base_dir = /run/dovecot
ssl = no
service lmtp {{
  unix_listener {socket} {{
    mode = 0666
  }}
  inet_listener lmtp {{
    {address} = {host}
    port = {port}
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@dovecot.test
}}
{main}
'''


class Dovecot(Peer):
    """LMTP for alice and bob, by TCP at `port` and by the Unix socket whose
    path outside is `socket`. names: {other name: 'alice' or 'bob'}."""

    packages = ('dovecot-lmtpd',)
    command = ('dovecot', '-F', '-c', '/etc/dovecot/dovecot.conf')

    def __init__(self, main='', names=None, **kw):
        self.main = main
        self.names = {'alice': 'alice', 'bob': 'bob', **(names or {})}
        super().__init__(**kw)

    @property
    def socket(self):
        return self.path('/run/lmtp')

    def configure(self):
        self.write('/etc/dovecot/users', ''.join(
            f'{name}:{{PLAIN}}x:{USERS[who][0]}:{USERS[who][0]}::'
            f'/home/{who}\n' for name, who in self.names.items()))
        old = self.run('dovecot', '--version').startswith('2.3.')
        self.write('/etc/dovecot/dovecot.conf', DOVECOT_CONF.format(
            dialect=DOVECOT_23 if old else DOVECOT_24,
            address='address' if old else 'listen',
            host=self.host, port=self.port, socket='/run/lmtp',
            main=self.main))
        self.folder('/run/dovecot', 'root', 0o755)
        self.folder('/var/lib/dovecot', 'root', 0o755)
