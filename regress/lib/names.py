"""A name server of a zone that the test writes: nsd on a loopback port."""
import atexit
import os
import shutil
import subprocess
import tempfile

from relais import free_port, wait_for

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
remote-control:
  control-enable: no
zone:
  name: {zone}
  zonefile: zone
'''


class NameServer:
    """Serves `records` (lines of a zone file below its SOA) for `zone`."""

    def __init__(self, zone, records):
        self.dir = tempfile.mkdtemp(prefix='relais-names-')
        self.port = free_port()
        with open(f'{self.dir}/zone', 'w') as f:
            f.write(f'$ORIGIN {zone}.\n$TTL 5\n'
                    '@ IN SOA ns root 1 3600 600 86400 5\n@ IN NS ns\n'
                    'ns IN A 127.0.0.1\n' + records)
        with open(f'{self.dir}/conf', 'w') as f:
            f.write(CONF.format(port=self.port, dir=self.dir, zone=zone))
        self.log = open(f'{self.dir}/log', 'w+')
        self.process = subprocess.Popen(
            ['/usr/sbin/nsd', '-d', '-c', f'{self.dir}/conf'],
            stdout=self.log, stderr=self.log)
        atexit.register(self.stop)
        wait_for('nsd serves', self.serves, 20)

    def serves(self):
        if self.process.poll() is not None:
            self.log.seek(0)
            raise AssertionError('nsd ended: ' + self.log.read())
        return os.path.exists(f'{self.dir}/nsd.pid')

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
