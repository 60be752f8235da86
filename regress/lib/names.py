"""A name server of zones that the test writes: nsd on a loopback port."""
import atexit
import os
import shutil
import subprocess
import tempfile

from relais import free_port, read_log, wait_for

CONF = '''server:
  ip-address: 127.0.0.1@{port}
  zonesdir: "{dir}"
  database: ""
  pidfile: "{dir}/nsd.pid"
  xfrdfile: "{dir}/xfrd.state"
  zonelistfile: "{dir}/zone.list"
  username: ""
  chroot: ""
  server-count: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: no
'''
ZONE = 'zone:\n  name: {zone}.\n  zonefile: {zone}.zone\n'
HEAD = '''$ORIGIN {zone}.
$TTL {ttl}
@ IN SOA ns root 1 3600 600 86400 {ttl}
@ IN NS ns
ns IN A 127.0.0.1
'''


class NameServer:
    """Serves `zones`, {name: lines of a zone file below its SOA}; the root is
    ''. A zone of None is configured and not there: whoever asks hears SERVFAIL,
    until it is written and the server started anew."""

    def __init__(self, zones, port=None, ttl=5):
        self.dir = tempfile.mkdtemp(prefix='relais-names-')
        self.port, self.ttl, self.process = port or free_port(), ttl, None
        self.log_path = f'{self.dir}/log'
        atexit.register(self.cleanup)
        with open(f'{self.dir}/conf', 'w') as f:
            f.write(CONF.format(port=self.port, dir=self.dir))
            f.write(''.join(ZONE.format(zone=zone) for zone in zones))
        for zone, records in zones.items():
            if records is not None:
                self.write(zone, records)
        self.start()

    def write(self, zone, records):
        with open(self.path(zone), 'w') as f:
            f.write(HEAD.format(zone=zone, ttl=self.ttl) + records)

    def path(self, zone):
        return f'{self.dir}/{zone}.zone'

    def sign(self, zone):
        """Signs what was written, with a new key; its DS record."""
        def ldns(*words):
            return subprocess.run([f'/usr/bin/ldns-{words[0]}', *words[1:]],
                                  cwd=self.dir, check=True, text=True,
                                  capture_output=True).stdout.strip()
        key = ldns('keygen', '-a', 'ED25519', '-k', f'{zone}.')
        ldns('signzone', '-f', self.path(zone), self.path(zone), key)
        with open(f'{self.dir}/{key}.ds') as f:
            return f.read()

    def start(self):
        with open(self.log_path, 'a') as log:
            self.process = subprocess.Popen(
                ['/usr/sbin/nsd', '-d', '-c', f'{self.dir}/conf'],
                stdout=log, stderr=log)

        def serves():
            if self.process.poll() is not None:
                raise AssertionError('nsd ended: ' + read_log(self.log_path))
            return os.path.exists(f'{self.dir}/nsd.pid')
        wait_for('nsd serves', serves, 30)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def cleanup(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
