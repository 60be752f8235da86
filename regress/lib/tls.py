"""Certificates for tests, the client's side of TLS, and a next hop with it."""
import os
import re
import ssl
import subprocess
import time

from relais import Sink

VERSIONS = {'tls1.0': ssl.TLSVersion.TLSv1, 'tls1.1': ssl.TLSVersion.TLSv1_1,
            'tls1.2': ssl.TLSVersion.TLSv1_2,
            'tls1.3': ssl.TLSVersion.TLSv1_3}
EC = ('ec', '-pkeyopt', 'ec_paramgen_curve:P-256')


def certificate(folder, name, kind=EC, ca=None, subject=None):
    """folder/name.crt and .key, self-signed or of ca, of another subject than
    the name if told; the path of both."""
    path = os.path.join(folder, name)
    command = ['openssl', 'req', '-x509', '-newkey', *kind, '-nodes',
               '-keyout', f'{path}.key', '-out', f'{path}.crt', '-days', '90',
               '-subj', f'/CN={subject or name}', '-addext', f'subjectAltName=DNS:{name}']
    if ca:
        command += ['-CA', f'{ca}.crt', '-CAkey', f'{ca}.key', '-addext',
                    'basicConstraints=critical,CA:FALSE']
    subprocess.run(command, check=True, capture_output=True)
    os.chmod(f'{path}.key', 0o600)
    return path


def brief_certificate(folder, name, ca, seconds):
    """One of ca's that is over so many seconds from now; its path."""
    path = os.path.join(folder, name)
    end = time.strftime('%y%m%d%H%M%SZ', time.gmtime(time.time() + seconds))
    with open(f'{path}.cnf', 'w', encoding='ascii') as f:
        f.write(f'[ca]\ndefault_ca = own\n[own]\nnew_certs_dir = {folder}\n'
                f'database = {path}.index\npolicy = any\nrand_serial = yes\n'
                'default_md = sha256\n[any]\ncommonName = supplied\n')
    with open(f'{path}.index', 'w', encoding='ascii'):
        pass
    for command in (
            ('req', '-newkey', *EC, '-nodes', '-keyout', f'{path}.key',
             '-out', f'{path}.csr', '-subj', f'/CN={name}'),
            ('ca', '-batch', '-notext', '-config', f'{path}.cnf',
             '-cert', f'{ca}.crt', '-keyfile', f'{ca}.key',
             '-in', f'{path}.csr', '-out', f'{path}.crt', '-enddate', end)):
        subprocess.run(['openssl', *command], check=True, capture_output=True)
    return path


def client_context(version=None, certfile=None, alpn=None):
    """A client that trusts everybody. Of any age: `version` fixes it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version:
        if version in ('tls1.0', 'tls1.1'):
            context.set_ciphers('ALL:@SECLEVEL=0')
        context.minimum_version = VERSIONS[version]
        context.maximum_version = VERSIONS[version]
    if certfile:
        context.load_cert_chain(f'{certfile}.crt', f'{certfile}.key')
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def peer_name(sock):
    """The CN that the server's certificate shows."""
    pem = ssl.DER_cert_to_PEM_cert(sock.getpeercert(binary_form=True))
    text = subprocess.run(['openssl', 'x509', '-noout', '-subject'],
                          input=pem, text=True, capture_output=True,
                          check=True).stdout
    return re.search(r'CN\s*=\s*(\S+)', text).group(1)


class TlsSink(Sink):
    """A next hop with the certificate of a path of certificate(), that offers
    `before` and STARTTLS in clear, and `ehlo` under TLS."""

    def __init__(self, before, certificate, **kw):
        self.before = before
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(f'{certificate}.crt',
                                     f'{certificate}.key')
        super().__init__(**kw)

    def session(self, sock):
        words = ['sink.test', *self.before, 'STARTTLS']
        with sock.makefile('rb') as f:
            sock.sendall(b'220 sink.test ESMTP\r\n')
            f.readline()
            sock.sendall(''.join(
                f'250{"-" if i < len(words) - 1 else " "}{x}\r\n'
                for i, x in enumerate(words)).encode())
            f.readline()
            sock.sendall(b'220 go\r\n')
        super().session(self.context.wrap_socket(sock, server_side=True))

    def answer(self, sock, key, usual):
        return '2' if key == 'banner' else super().answer(sock, key, usual)
