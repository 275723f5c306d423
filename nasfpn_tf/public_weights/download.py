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
"""Fetches a published archive: goes on where a broken download stopped, checks it, unpacks it into its folder only."""

import base64
import binascii
import errno
import hashlib
import http.client
import os
import pathlib
import re
import shutil
import tarfile
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator

from nasfpn_tf import whole_file
from nasfpn_tf.data import progress

_BLOCK = 2**20
_SECONDS = 60.0
_ALWAYS_UNPACKED = (
  2**30
)  # Bytes; weights hardly compress, so that more than a multiple of the archive is no checkpoint.
_MOST_TIMES = 20


def fetch(url: str, directory: str, show: bool = True) -> str:
  """Downloads a file, or what is missing of it; a file that is there is not downloaded again.

  Length is checked; so are MD5, where the server tells it as Google's does (`x-goog-hash`), and SHA-256, of which the
  names of OpenMMLab's files tell the beginning (`...-0ad1f644.pth`).

  Args:
    url: http or https.
    directory: where to; made if it does not exist.
    show: whether to show the progress.

  Returns:
    The path of the file.

  Raises:
    ValueError: the address is not of a file, or the file that is there has another checksum than its name tells.
    OSError: the server does not give it, or what came is shorter or another one.
  """
  try:
    parsed = urllib.parse.urlsplit(url)
    name = pathlib.PurePosixPath(urllib.parse.unquote(parsed.path)).name
    usable = parsed.scheme in ('http', 'https') and parsed.hostname and (parsed.port or True)
  except ValueError:  # Of an IPv6 address or a port that is none.
    usable, name = False, ''
  if not usable or not name or name in ('.', '..') or re.search(r'[\s\x00-\x1f]', url):
    raise ValueError(f'{url!r} is no address of a file: http:// or https:// and a name are wanted.')
  path = pathlib.Path(directory) / name
  if path.exists():
    if path.is_file() and not _has_sha256_of_name(path, name):
      raise ValueError(f'{path} has another checksum than its name tells: remove it and download it again.')
    return str(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f'{name}.partial')
  by_hand = f'or download it in another way, put it there as {path}, and give the same command'
  try:
    total, md5 = _receive(url, partial, name, show)
  except urllib.error.HTTPError as error:
    reason = ' '.join(str(error.reason).split())
    raise OSError(f'{url}: the server answers {error.code} ({reason}); try again later, {by_hand}.') from error
  except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
    reason = f'no answer for {_SECONDS:g} seconds' if isinstance(error, TimeoutError) else _reason(error)
    raise OSError(
      f'{url} cannot be downloaded ({reason}); the same command goes on where it stopped, {by_hand}.'
    ) from error
  size = partial.stat().st_size
  if total and size < total:
    raise OSError(f'{url} broke off after {size} of {total} bytes; the same command goes on there, {by_hand}.')
  if (md5 and _digest(partial, 'md5') != md5) or not _has_sha256_of_name(partial, name):
    partial.unlink()
    raise OSError(f'{url}: what came has another checksum than was published, and is removed: try again.')
  partial.replace(path)
  return str(path)


def _receive(url: str, partial: pathlib.Path, name: str, show: bool) -> tuple[int, bytes | None]:
  """Appends to `partial` what is missing of it; returns length and MD5 as the server tells them, 0 and None: not."""
  start = partial.stat().st_size if partial.exists() else 0
  # No encoding: a server may otherwise pack the archive once more.
  headers = {'Accept-Encoding': 'identity', **({'Range': f'bytes={start}-'} if start else {})}
  try:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_SECONDS) as response:
      if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        start = 0  # The server sends the whole file again.
      elif not response.headers.get('Content-Range', f'bytes {start}-').startswith(f'bytes {start}-'):
        partial.unlink()
        raise OSError(f'{url}: the server sends another part than was asked for; what there was is removed: try again.')
      length = _number(response.headers.get('Content-Length'))
      blocks = -(-length // _BLOCK) if length else None
      with whole_file.naming(partial), open(partial, 'ab' if start else 'wb') as file:
        for _ in progress.track(_written(response, file), blocks, f'{name}: MiB', show):
          pass
      return (start + length if length else 0), _md5_of(response.headers.get_all('x-goog-hash', []))
  except urllib.error.HTTPError as error:
    if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
      raise
    if _number(error.headers.get('Content-Range', '').rpartition('/')[2]) == start:
      return start, _md5_of(error.headers.get_all('x-goog-hash', []))  # It was whole, and had not got its name.
    partial.unlink()
    raise OSError(f'{url}: what was downloaded before does not belong to it and is removed: try again.') from error


def _written(response: http.client.HTTPResponse, file) -> Iterator[None]:
  """Writes what comes as it comes, so that nothing of it is lost where it stops; yields after each MiB."""
  pending = 0
  while block := response.read1(_BLOCK):
    file.write(block)
    pending += len(block)
    while pending >= _BLOCK:
      yield
      pending -= _BLOCK
  if pending:
    yield


def unpack(archive: str, directory: str) -> str:
  """Unpacks a tar archive into `directory`, and nothing beside it; returns `directory`.

  All of it or nothing: it is unpacked beside the directory and then moved there.

  Raises:
    ValueError: it is no whole tar archive, it has a member that leads out of the directory, or it would become larger
      than weights can be or than there is room.
    OSError: it cannot be written.
  """
  partial = f'{directory}.partial'
  shutil.rmtree(partial, ignore_errors=True)
  os.makedirs(partial)
  try:
    with whole_file.naming(directory), tarfile.open(archive) as file:
      file.extractall(partial, _fitting(file, archive, partial), filter='data')
    _move(partial, directory)
  except tarfile.FilterError as error:
    raise ValueError(f'{archive} is not unpacked: {str(error).replace(partial, directory)}.') from error
  except tarfile.ReadError as error:
    reason = str(error).partition('\n')[0]  # Of a file of another kind: what it is not, line by line.
    reason = 'its beginning is that of another kind of file' if reason != str(error) else reason
    raise ValueError(f'{archive} is no whole tar archive ({reason}): remove it and download it again.') from error
  except (tarfile.TarError, EOFError, OSError, zlib.error, ArithmeticError) as error:
    if isinstance(error, OSError) and error.errno:  # Of the disk, not of the archive.
      raise
    reason = getattr(error, 'strerror', None) or error
    raise ValueError(f'{archive} is no whole tar archive ({reason}): remove it and download it again.') from error
  finally:
    shutil.rmtree(partial, ignore_errors=True)
  return directory


def _fitting(file: tarfile.TarFile, archive: str, directory: str) -> Iterator[tarfile.TarInfo]:
  """Yields the members before each is written; refuses those that are too large."""
  limit = max(_ALWAYS_UNPACKED, _MOST_TIMES * os.path.getsize(archive))
  written = 0
  for member in file:
    written += member.size
    if written > limit:
      raise ValueError(
        f'{archive} is not unpacked: with {member.name!r} it would have {written / 2**30:.1f} GiB, which no archive of'
        ' weights of its size has. Unpack it by hand if you trust it, and give --checkpoint.'
      )
    free = shutil.disk_usage(directory).free
    if member.size > free:
      raise ValueError(
        f'{archive} is not unpacked: {member.name!r} has {member.size / 2**20:.0f} MiB, and {free / 2**20:.0f} MiB are'
        f' free in {os.path.dirname(directory) or "."}. Make room, or give another --download_dir.'
      )
    yield member


def _move(source: str, target: str) -> None:
  """Moves a directory into another one of the same disk, whose other files stay."""
  if not os.path.isdir(target) or os.path.islink(source):
    os.replace(source, target)
    return
  if not os.path.isdir(source):
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
  for name in os.listdir(source):
    _move(os.path.join(source, name), os.path.join(target, name))


def check_is_file(path: str) -> None:
  """Refuses what servers send instead of a file, and a zip archive.

  Raises:
    ValueError: it is a web page, empty, or a zip archive.
  """
  with open(path, 'rb') as file:
    begin = file.read(512).lstrip().lower()
  if not begin:
    raise ValueError(f'{path} is empty: remove it and download it again.')
  if begin.startswith((b'<!doctype', b'<html', b'<?xml')):
    raise ValueError(
      f'{path} is a web page or the message of a server, perhaps because its address needs a login: remove it,'
      ' download the file with a browser, and give it as --checkpoint, unpacked.'
    )
  if begin.startswith(b'pk\x03\x04') and not path.endswith('.pth'):  # A .pth is a zip archive.
    raise ValueError(f'{path} is a zip archive, and only tar archives are unpacked: unpack it, and give --checkpoint.')


def _reason(error: Exception) -> str:
  """Returns the innermost reason of a failed connection in words, without numbers of the system."""
  reason = getattr(error, 'reason', None) or error
  if isinstance(reason, TimeoutError):
    return f'no answer for {_SECONDS:g} seconds'
  return ' '.join(str(getattr(reason, 'strerror', None) or reason).split()) or type(reason).__name__


def _number(text: str | None) -> int:
  """Returns a length in a header, 0 where it is none."""
  return int(text) if text and text.isascii() and text.isdecimal() else 0


def _md5_of(hashes: list[str]) -> bytes | None:
  parts = [part.strip() for line in hashes for part in line.split(',')]
  found = [part.removeprefix('md5=') for part in parts if part.startswith('md5=')]
  try:
    return base64.b64decode(found[0], validate=True) if found else None
  except binascii.Error:
    return None


def _has_sha256_of_name(path: pathlib.Path, name: str) -> bool:
  """Tells whether a file has the checksum in the name of OpenMMLab's files, or the name has none."""
  given = re.search(r'-([0-9a-f]{8})\.pth$', name)
  return given is None or _digest(path, 'sha256').hex().startswith(given.group(1))


def _digest(path: pathlib.Path, algorithm: str) -> bytes:
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, algorithm).digest()
