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
import errno
import hashlib
import http.server
import io
import pathlib
import shutil
import tarfile
import threading

import numpy as np
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
      self.send_response(416)
      self.send_header('Content-Range', f'bytes */{len(CONTENT)}')
      self.end_headers()
      return
    if self.path == '/hanging':
      server.released.wait(20)
      return
    self.send_response(206 if start and server.resumes else 200)
    body = CONTENT[start:] if server.resumes else CONTENT
    hashes = f'crc32c=AAAAAA==,md5={base64.b64encode(server.md5).decode()}'
    headers = {'Content-Length': str(len(body)), 'x-goog-hash': hashes, **server.headers}
    for name, value in headers.items():
      self.send_header(name, value)
    self.end_headers()
    self.wfile.write(body[: server.breaks_after])
    server.breaks_after = None

  def log_message(self, *args):
    pass


@pytest.fixture
def server():
  server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
  server.ranges, server.breaks_after, server.resumes = [], None, True
  server.headers, server.released = {}, threading.Event()
  server.md5 = hashlib.md5(CONTENT).digest()
  server.url = f'http://127.0.0.1:{server.server_port}/models/a.tar.gz?generation=1'
  thread = threading.Thread(target=server.serve_forever)
  thread.start()
  yield server
  server.released.set()
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
  for url in (
    'file:///etc/passwd',
    'http://127.0.0.1/',
    'http://127.0.0.1/..',
    'http:///a',
    'http://a:b/c',
    'http://[/c',
    'http://a/b c',
  ):
    with pytest.raises(ValueError, match='is no address of a file'):
      download.fetch(url, str(tmp_path), show=False)


def test_keeps_what_came_before_it_broke_off(server, tmp_path):
  server.breaks_after = 12345  # Less than a block.
  with pytest.raises(OSError, match='broke off after 12345 of 5120000 bytes'):
    download.fetch(server.url, str(tmp_path), show=False)
  assert (tmp_path / 'a.tar.gz.partial').read_bytes() == CONTENT[:12345]


@pytest.mark.parametrize(
  'headers',
  [{'Content-Length': 'many'}, {'Content-Length': '-5'}, {'x-goog-hash': 'md5=!'}, {'x-goog-hash': 'md5=aGFsZ'}],
)
def test_headers_that_are_none_count_as_missing(server, tmp_path, headers):
  server.headers = headers
  path = download.fetch(server.url, str(tmp_path), show=False)
  assert pathlib.Path(path).read_bytes() == CONTENT


def test_a_server_that_sends_another_part_is_not_believed(server, tmp_path):
  _broken_download(server, tmp_path)
  server.headers = {'Content-Range': 'bytes 17-5119999/5120000'}
  with pytest.raises(OSError, match='sends another part than was asked for'):
    download.fetch(server.url, str(tmp_path), show=False)
  assert not list(tmp_path.iterdir())


def test_a_whole_file_that_had_not_got_its_name_gets_it(server, tmp_path):
  (tmp_path / 'a.tar.gz.partial').write_bytes(CONTENT)
  assert download.fetch(server.url, str(tmp_path), show=False) == str(tmp_path / 'a.tar.gz')
  assert [p.name for p in tmp_path.iterdir()] == ['a.tar.gz']
  (tmp_path / 'a.tar.gz').rename(tmp_path / 'a.tar.gz.partial')
  with open(tmp_path / 'a.tar.gz.partial', 'ab') as file:
    file.write(b'more')
  with pytest.raises(OSError, match='does not belong to it and is removed'):
    download.fetch(server.url, str(tmp_path), show=False)
  assert not list(tmp_path.iterdir())


def test_no_answer_is_an_error_with_another_way(server, tmp_path, monkeypatch):
  monkeypatch.setattr(download, '_SECONDS', 0.2)
  path = tmp_path / 'hanging'
  message = (
    rf'/hanging cannot be downloaded \(no answer for 0.2 seconds\); .* put it there as {path}, and give the same'
  )
  with pytest.raises(OSError, match=message):
    download.fetch(server.url.rpartition('/models')[0] + '/hanging', str(tmp_path), show=False)
  with pytest.raises(OSError, match=r'cannot be downloaded \([A-Z][a-z ]+\); .* download it in another way'):
    download.fetch('http://127.0.0.1:9/a.tar.gz', str(tmp_path), show=False)
  with pytest.raises(OSError, match=r'answers 404 \(Not Found\); .* download it in another way'):
    download.fetch(server.url.rpartition('/models')[0] + '/none', str(tmp_path), show=False)


def _archive(path, name, content=b'x'):
  with tarfile.open(path, 'w:gz') as file:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    file.addfile(member, io.BytesIO(content))
  return str(path)


def test_nothing_of_a_bad_archive_is_left_and_other_files_stay(tmp_path):
  folder = tmp_path / 'folder'
  with tarfile.open(tmp_path / 'a.tar.gz', 'w:gz') as file:
    for name in ('model/ckpt.index', '../outside'):
      file.addfile(tarfile.TarInfo(name))
  with pytest.raises(ValueError, match='is not unpacked'):
    download.unpack(str(tmp_path / 'a.tar.gz'), str(folder))
  assert [path.name for path in tmp_path.iterdir()] == ['a.tar.gz']
  (folder / 'model').mkdir(parents=True)
  (folder / 'model' / 'params.yaml').write_text('mine')
  _archive(tmp_path / 'a.tar.gz', 'model/ckpt.index')
  for _ in range(2):
    download.unpack(str(tmp_path / 'a.tar.gz'), str(folder))
    assert {path.name: path.read_text() for path in (folder / 'model').iterdir()} == {
      'params.yaml': 'mine',
      'ckpt.index': 'x',
    }
  (folder / 'model' / 'ckpt.index').unlink()
  (folder / 'model' / 'ckpt.index').mkdir()
  with pytest.raises(OSError, match=r'Is a directory: .*ckpt\.index'):
    download.unpack(str(tmp_path / 'a.tar.gz'), str(folder))


def test_an_empty_archive_is_unpacked_to_an_empty_directory(tmp_path):
  tarfile.open(tmp_path / 'a.tar.gz', 'w:gz').close()
  assert not list(pathlib.Path(download.unpack(str(tmp_path / 'a.tar.gz'), str(tmp_path / 'folder'))).iterdir())


@pytest.mark.parametrize(('size', 'message'), [(100 * 2**30, r'100\.0 GiB, which no archive of'), (2**20, 'Make room')])
def test_what_would_fill_the_disk_is_not_unpacked(tmp_path, monkeypatch, size, message):
  monkeypatch.setattr(download.shutil, 'disk_usage', lambda path: shutil._ntuple_diskusage(2**30, 2**30 - 5, 5))
  member = tarfile.TarInfo('big')
  member.size = size
  (tmp_path / 'a.tar').write_bytes(member.tobuf())
  with pytest.raises(ValueError, match=rf"a\.tar is not unpacked: .*'big' .*{message}"):
    download.unpack(str(tmp_path / 'a.tar'), str(tmp_path / 'folder'))
  assert [path.name for path in tmp_path.iterdir()] == ['a.tar']


def test_a_full_disk_is_not_a_broken_archive(tmp_path, monkeypatch):
  def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, 'No space left on device')

  archive = _archive(tmp_path / 'a.tar.gz', 'model/ckpt.index')
  monkeypatch.setattr(tarfile, 'copyfileobj', full)
  with pytest.raises(OSError, match='No space left on device') as error:
    download.unpack(archive, str(tmp_path / 'folder'))
  assert error.value.filename == str(tmp_path / 'folder')
  assert [path.name for path in tmp_path.iterdir()] == ['a.tar.gz']


def test_a_changed_byte_is_one_line_and_leaves_nothing(tmp_path):
  content = np.random.default_rng(0).integers(0, 256, 3000).astype(np.uint8).tobytes()
  archive, folder = tmp_path / 'a.tar.gz', tmp_path / 'folder'
  whole = pathlib.Path(_archive(archive, 'model/ckpt.index', content + bytes(9000))).read_bytes()
  for place in range(0, len(whole), 7):
    archive.write_bytes(whole[:place] + bytes([whole[place] ^ 85]) + whole[place + 1 :])
    try:
      download.unpack(str(archive), str(folder))
      shutil.rmtree(folder)
    except ValueError as error:
      assert f'{archive} is no' in str(error) and '\n' not in str(error)
    assert [path.name for path in tmp_path.iterdir()] == ['a.tar.gz']


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
