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

"""Checks TFRecord files in plain Python, before TensorFlow opens them.

A record is: its length (8 bytes, little-endian), the masked CRC-32C of the length (4), the data, and the masked CRC-32C
of the data (4).
TensorFlow 2.20 crashes on a record that claims 2**40 bytes, and silently loses records if a file ends inside a
header; a broken file is therefore rejected here, with its name, record and offset.
"""

import os
import re
import struct
from collections.abc import Iterator, Sequence

import google_crc32c

from nasfpn_tf.data.records.manifest import Manifest, find_manifest
from nasfpn_tf.data.sources.problems import DataError

_HEADER = struct.Struct('<QI')
_FOOTER = struct.Struct('<I')
_SHARD = re.compile(r'(?P<prefix>.*)-(?P<index>\d{5})-of-(?P<count>\d{5})\.tfrecord$')
_REMEDY = 'Write the records again with create_tfrecord.py, or copy them again.'


class FramingError(DataError):
  """A TFRecord file that is damaged, cut off or not the one its manifest describes."""


def check_files(paths: Sequence[str], manifest: Manifest | None = None, data: bool = False) -> int:
  """Checks that files are whole TFRecord files and, where a manifest describes them, the ones it describes.

  Args:
    paths: the files (see `manifest.match_shards` for patterns).
    manifest: describes them; None: the one that lies beside each file, if any.
    data: check the CRC of the data as well, which reads every byte; else only headers are read.

  Returns:
    the number of records in all files.

  Raises:
    FramingError: names the file and, for a broken record, its index and byte offset.
    FileNotFoundError: no such file.
  """
  described: dict[str, Manifest | None] = {}
  total = 0
  for path in map(os.fspath, paths):
    prefix = _prefix(path)
    if prefix not in described:
      described[prefix] = manifest or find_manifest(path)
    total += check_file(path, described[prefix], data)
  check_complete(paths)
  return total


def check_file(path: str | os.PathLike[str], manifest: Manifest | None = None, data: bool = False) -> int:
  """Checks one file; see `check_files`. Without a manifest only that it is a whole TFRecord file."""
  path = os.fspath(path)
  shard = manifest.shard(os.path.basename(path)) if manifest else None
  if manifest and not shard:
    raise FramingError(f'{path}: {manifest.path} does not list this file, it belongs to another run. {_REMEDY}')
  if '://' not in path and os.path.isdir(path):
    raise FramingError(f'{path}: a directory, not a file of records. {_REMEDY}')
  size = _size(path)
  if shard and size != shard.num_bytes:
    raise FramingError(f'{path}: {size} bytes where {manifest.path} says {shard.num_bytes}. {_REMEDY}')
  if '://' in path and shard and not data:
    return shard.num_records  # A request per header would take minutes; the size is the one that was written.
  num_records = sum(1 for _ in record_spans(path, data))
  if shard and num_records != shard.num_records:
    raise FramingError(f'{path}: {num_records} records where {manifest.path} says {shard.num_records}. {_REMEDY}')
  return num_records


def check_complete(paths: Sequence[str]) -> None:
  """Raises a `FramingError` if names such as 'P-00000-of-00008.tfrecord' imply files that are missing."""
  found: dict[tuple[str, int], set[int]] = {}
  for path in paths:
    match = _SHARD.match(os.fspath(path))
    if match:
      found.setdefault((match['prefix'], int(match['count'])), set()).add(int(match['index']))
  for (prefix, count), indices in found.items():
    for index in sorted(set(range(count)) - indices):
      path = f'{prefix}-{index:05d}-of-{count:05d}.tfrecord'
      if '://' not in path and not os.path.exists(path):
        raise FramingError(f'{path} is missing: the set is incomplete. {_REMEDY}')


def record_spans(path: str | os.PathLike[str], data: bool = False) -> Iterator[tuple[int, int]]:
  """Yields (offset, length) of the data of each record in a file.

  Args:
    path: the file.
    data: check the CRC of the data as well.

  Raises:
    FramingError: names the file, the record's index and its byte offset.
  """
  path = os.fspath(path)
  size = _size(path)
  with _open(path) as file:
    offset = index = 0
    while offset < size:
      file.seek(offset)
      header = file.read(_HEADER.size)
      if index == 0 and header[:2] == b'\x1f\x8b':
        raise FramingError(f'{path}: is compressed with gzip, but records are read uncompressed: decompress it.')
      if len(header) < _HEADER.size:
        raise _broken(path, index, offset, f'the file ends inside the header, after {size} bytes')
      length, crc = _HEADER.unpack(header)
      if masked_crc32c(header[:8]) != crc:
        raise _broken(path, index, offset, 'the CRC of the length is wrong (damaged, or not a TFRecord file)')
      end = offset + _HEADER.size + length + _FOOTER.size
      if end > size:
        raise _broken(path, index, offset, f'claims {length} bytes, the file has {size - offset - 16} left for it')
      if data:
        content = file.read(length + _FOOTER.size)
        if masked_crc32c(content[:length]) != _FOOTER.unpack(content[length:])[0]:
          raise _broken(path, index, offset, f'the CRC of its {length} bytes of data is wrong')
      yield offset + _HEADER.size, length
      offset = end
      index += 1


def read_records(path: str | os.PathLike[str]) -> Iterator[tuple[bytes, bool]]:
  """Yields the data of each record and whether it is intact by its CRC; a `FramingError` where the framing breaks."""
  with _open(os.fspath(path)) as file:
    for offset, length in record_spans(path):
      file.seek(offset)
      content = file.read(length + _FOOTER.size)
      yield content[:length], masked_crc32c(content[:length]) == _FOOTER.unpack(content[length:])[0]


def masked_crc32c(data: bytes) -> int:
  """Returns the CRC-32C (RFC 3720) of `data`, rotated and offset as TFRecord stores it."""
  crc = google_crc32c.value(data)
  return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _broken(path: str, index: int, offset: int, what: str) -> FramingError:
  return FramingError(f'{path}: record {index} at byte {offset}: {what}. {_REMEDY}')


def _prefix(path: str) -> str:
  match = _SHARD.match(path)
  return match['prefix'] if match else path


def _open(path: str):
  if '://' not in path:
    return open(path, 'rb')
  import tensorflow as tf  # Only remote paths need TensorFlow's file systems.

  return tf.io.gfile.GFile(path, 'rb')


def _size(path: str) -> int:
  if '://' not in path:
    return os.path.getsize(path)
  import tensorflow as tf  # Only remote paths need TensorFlow's file systems.

  return tf.io.gfile.stat(path).length
