# Copyright 2026 The nasfpn_tf Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Downloads from a server on this machine that breaks off, resumes, and tells checksums as Google's does."""

import base64
import hashlib
import http.server
import io
import tarfile
import threading

import pytest

from nasfpn_tf.public_weights import download

CONTENT = bytes(range(256)) * 20000  # 5 MB.


class _Handler(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    server = self.server
    server.ranges.append(self.headers.get('Range'))
    start = int((self.headers.get('Range') or 'bytes=0-')[6:-1])
    if self.path == '/none':
      self.send_error(404)
      return
    if start >= len(CONTENT):
      self.send_error(416)
      return
    self.send_response(206 if start and server.resumes else 200)
    body = CONTENT[start:] if server.resumes else CONTENT
    self.send_header('Content-Length', str(len(body)))
    self.send_header('x-goog-hash', f'crc32c=AAAAAA==,md5={base64.b64encode(server.md5).decode()}')
    self.end_headers()
    self.wfile.write(body[: server.breaks_after])
    server.breaks_after = None

  def log_message(self, *args):
    pass


@pytest.fixture
def server():
  server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
  server.ranges, server.breaks_after, server.resumes = [], None, True
  server.md5 = hashlib.md5(CONTENT).digest()
  server.url = f'http://127.0.0.1:{server.server_port}/models/a.tar.gz?generation=1'
  thread = threading.Thread(target=server.serve_forever)
  thread.start()
  yield server
  server.shutdown()
  thread.join()
  server.server_close()


def _broken_download(server, tmp_path):
  server.breaks_after = 3 * 2**20 + 5
  with pytest.raises(OSError, match='the same command goes on'):
    download.fetch(server.url, str(tmp_path), show=False)
  assert not (tmp_path / 'a.tar.gz').exists()


def test_goes_on_where_it_broke_off_and_is_not_repeated(server, tmp_path):
  _broken_download(server, tmp_path)
  path = download.fetch(server.url, str(tmp_path), show=False)
  assert path == str(tmp_path / 'a.tar.gz')
  assert (tmp_path / 'a.tar.gz').read_bytes() == CONTENT
  assert download.fetch(server.url, str(tmp_path), show=False) == path
  assert [r is None for r in server.ranges] == [True, False]
  assert [p.name for p in tmp_path.iterdir()] == ['a.tar.gz']


def test_a_server_that_cannot_resume_sends_the_whole_file(server, tmp_path):
  _broken_download(server, tmp_path)
  server.resumes = False
  download.fetch(server.url, str(tmp_path), show=False)
  assert (tmp_path / 'a.tar.gz').read_bytes() == CONTENT


def test_another_checksum_is_an_error(server, tmp_path):
  server.md5 = hashlib.md5(b'other').digest()
  with pytest.raises(OSError, match='another checksum'):
    download.fetch(server.url, str(tmp_path), show=False)
  assert not list(tmp_path.iterdir())


def test_the_name_of_a_pth_file_tells_its_checksum(server, tmp_path):
  digest = hashlib.sha256(CONTENT).hexdigest()
  address = server.url.rpartition('/models')[0] + '/nas_fpn-{}.pth'
  with pytest.raises(OSError, match='another checksum'):
    download.fetch(address.format('0ad1f644'), str(tmp_path), show=False)
  assert not list(tmp_path.iterdir())
  assert download.fetch(address.format(digest[:8]), str(tmp_path), show=False).endswith(f'-{digest[:8]}.pth')


def test_wrong_addresses(server, tmp_path):
  with pytest.raises(OSError, match='404'):
    download.fetch(server.url.rpartition('/models')[0] + '/none', str(tmp_path), show=False)
  for url in ('file:///etc/passwd', 'http://127.0.0.1/', 'http://127.0.0.1/..'):
    with pytest.raises(ValueError, match='is no address of a file'):
      download.fetch(url, str(tmp_path), show=False)


def _archive(path, name, content=b'x'):
  with tarfile.open(path, 'w:gz') as file:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    file.addfile(member, io.BytesIO(content))
  return str(path)


@pytest.mark.parametrize('name', ['../outside', 'a/../../outside'])
def test_unpacks_nothing_outside_its_folder(tmp_path, name):
  archive = _archive(tmp_path / 'a.tar.gz', name)
  with pytest.raises(ValueError, match=r'a\.tar\.gz is not unpacked: .*outside'):
    download.unpack(archive, str(tmp_path / 'folder'))
  assert not (tmp_path / 'outside').exists()


def test_unpacks_a_whole_archive_only(tmp_path):
  content = hashlib.sha512(b'x').digest() * 1000
  archive = tmp_path / 'a.tar.gz'
  _archive(archive, 'model/ckpt.index', content)
  download.unpack(str(archive), str(tmp_path / 'folder'))
  assert (tmp_path / 'folder' / 'model' / 'ckpt.index').read_bytes() == content
  archive.write_bytes(archive.read_bytes()[:100])
  with pytest.raises(ValueError, match=r'a\.tar\.gz is no whole tar archive'):
    download.unpack(str(archive), str(tmp_path / 'other'))


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (b'<!DOCTYPE html><html>Sign in</html>', 'is a web page'),
    (b"<?xml version='1.0'?><Error>AccessDenied</Error>", 'message of a server'),
    (b'', 'is empty'),
    (b'PK\x03\x04', 'is a zip archive'),
  ],
)
def test_what_comes_instead_of_a_file_is_named(tmp_path, content, message):
  (tmp_path / 'a.tar.gz').write_bytes(content)
  with pytest.raises(ValueError, match=rf'a\.tar\.gz {message}|{message}'):
    download.check_is_file(str(tmp_path / 'a.tar.gz'))
  (tmp_path / 'a.pth').write_bytes(b'PK\x03\x04')
  download.check_is_file(str(tmp_path / 'a.pth'))


def test_another_kind_of_file_is_told_in_one_line(tmp_path):
  (tmp_path / 'a.tar.gz').write_bytes(b'weights')
  with pytest.raises(ValueError, match=r'a\.tar\.gz is no whole tar archive \(its beginning .*\): remove it') as error:
    download.unpack(str(tmp_path / 'a.tar.gz'), str(tmp_path / 'a'))
  assert '\n' not in str(error.value)
