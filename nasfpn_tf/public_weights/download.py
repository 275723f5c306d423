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
import hashlib
import http.client
import pathlib
import re
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

from nasfpn_tf import whole_file
from nasfpn_tf.data import progress

_BLOCK = 2**20
_SECONDS = 60.0


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
    ValueError: the address is not of a file.
    OSError: the server does not give it, or what came is shorter or another one.
  """
  parsed = urllib.parse.urlsplit(url)
  name = pathlib.PurePosixPath(urllib.parse.unquote(parsed.path)).name
  if parsed.scheme not in ('http', 'https') or not name or name in ('.', '..'):
    raise ValueError(f'{url!r} is no address of a file: http:// or https:// and a name are wanted.')
  path = pathlib.Path(directory) / name
  if path.exists():
    return str(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f'{name}.partial')
  start = partial.stat().st_size if partial.exists() else 0
  request = urllib.request.Request(url, headers={'Range': f'bytes={start}-'} if start else {})
  try:
    with urllib.request.urlopen(request, timeout=_SECONDS) as response:
      if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        start = 0  # The server sends the whole file again.
      total = start + int(response.headers.get('Content-Length', 0))
      md5 = _md5_of(response.headers.get_all('x-goog-hash', []))
      blocks = _blocks(response)
      with whole_file.naming(partial), open(partial, 'ab' if start else 'wb') as file:
        for block in progress.track(blocks, -(-(total - start) // _BLOCK), f'{name}: MiB', show):
          file.write(block)
  except urllib.error.HTTPError as error:
    if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
      raise OSError(f'{url}: the server answers {error.code} {error.reason}.') from error
    partial.unlink()  # It is as long as the file or longer, and was not whole.
    raise OSError(f'{url}: what was downloaded before does not belong to it and is removed: try again.') from error
  except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
    reason = getattr(error, 'reason', None) or type(error).__name__
    raise OSError(f'{url} cannot be downloaded ({reason}); the same command goes on where it stopped.') from error
  size = partial.stat().st_size
  if total and size < total:
    raise OSError(f'{url} broke off after {size} of {total} bytes; the same command goes on there.')
  sha256 = re.search(r'-([0-9a-f]{8})\.pth$', name)
  if (md5 and _digest(partial, 'md5') != md5) or (
    sha256 and not _digest(partial, 'sha256').hex().startswith(sha256.group(1))
  ):
    partial.unlink()
    raise OSError(f'{url}: what came has another checksum than was published, and is removed: try again.')
  partial.replace(path)
  return str(path)


def unpack(archive: str, directory: str) -> str:
  """Unpacks a tar archive into `directory`, and nothing beside it; returns `directory`.

  Raises:
    ValueError: it is no whole tar archive, or it has a member that leads out of the directory.
  """
  try:
    with tarfile.open(archive) as file:
      file.extractall(directory, filter='data')
  except tarfile.FilterError as error:
    raise ValueError(f'{archive} is not unpacked: {error}.') from error
  except tarfile.ReadError as error:
    reason = str(error).partition('\n')[0]  # Of a file of another kind: what it is not, line by line.
    reason = 'its beginning is that of another kind of file' if reason != str(error) else reason
    raise ValueError(f'{archive} is no whole tar archive ({reason}): remove it and download it again.') from error
  except (tarfile.TarError, EOFError, OSError) as error:
    raise ValueError(f'{archive} is no whole tar archive ({error}): remove it and download it again.') from error
  return directory


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


def _blocks(response) -> Iterator[bytes]:
  while block := response.read(_BLOCK):
    yield block


def _md5_of(hashes: list[str]) -> bytes | None:
  parts = [part.strip() for line in hashes for part in line.split(',')]
  found = [part.removeprefix('md5=') for part in parts if part.startswith('md5=')]
  return base64.b64decode(found[0]) if found else None


def _digest(path: pathlib.Path, algorithm: str) -> bytes:
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, algorithm).digest()
