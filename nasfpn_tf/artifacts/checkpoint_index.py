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
"""Checks the checksums of a checkpoint's `.index`.

TensorFlow does not check all of it: of a large one, it leaves out the variables of a damaged block and reports nothing.

The file is a sorted table (tensorflow/core/lib/io/table_format.txt): blocks, each with its kind and a CRC32C behind it,
the last of which lists the others, and a footer that says where that one is.
"""

import struct

import google_crc32c

_MAGIC = 0xDB4775248B80FB57
_FOOTER, _HANDLES = 48, 40
_TRAILER = 5  # Kind of compression, checksum.
_PLAIN = 0
_MASK = 0xA282EAD8


def problem(prefix: str) -> str | None:
  """Returns what is wrong with the `.index` of a checkpoint, which must exist; None if nothing is."""
  import tensorflow as tf

  path = f'{prefix}.index'
  with tf.io.gfile.GFile(path, 'rb') as file:
    content = file.read()
  try:
    found = _problem(content)
  except (IndexError, struct.error):
    found = 'it ends too early'
  return found and f'{path}: {found}'


def _problem(content: bytes) -> str | None:
  """Returns what is wrong with the file; None if nothing is."""
  footer = content[-_FOOTER:]
  if len(footer) < _FOOTER or struct.unpack('<Q', footer[_HANDLES:])[0] != _MAGIC:
    return 'it does not end as an index does'
  handles, position = [], 0
  for _ in range(4):
    number, position = _varint(footer, position)
    handles.append(number)
  if any(footer[position:_HANDLES]):
    return 'a wrong checksum'
  other, index = (handles[0], handles[1]), (handles[2], handles[3])
  blocks = [other, index]
  if not _is_right(content, *index):
    return 'a wrong checksum'
  if content[sum(index)] == _PLAIN:
    blocks += _listed(content[index[0] : sum(index)])
    if sum(size + _TRAILER for _, size in blocks) + _FOOTER != len(content):
      return 'parts are missing'
  return None if all(_is_right(content, *block) for block in blocks) else 'a wrong checksum'


def _is_right(content: bytes, start: int, size: int) -> bool:
  end = start + size + 1  # The kind counts.
  if end + 4 > len(content) - _FOOTER:
    return False
  crc = google_crc32c.value(content[start:end])
  masked = (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF
  return masked == struct.unpack('<I', content[end : end + 4])[0]


def _listed(block: bytes) -> list[tuple[int, int]]:
  """Returns start and size of the blocks that an index block lists."""
  end = len(block) - 4 * (struct.unpack('<I', block[-4:])[0] + 1)  # Before the restart points.
  found, position = [], 0
  while position < end:
    _, position = _varint(block, position)
    key_size, position = _varint(block, position)
    value_size, position = _varint(block, position)
    value = position + key_size
    start, after = _varint(block, value)
    size, _ = _varint(block, after)
    found.append((start, size))
    position = value + value_size
  return found


def _varint(data: bytes, position: int) -> tuple[int, int]:
  """Returns the number that begins at `position`, seven bits a byte, and where it ends."""
  number, shift = 0, 0
  while True:
    byte = data[position]
    position += 1
    number |= (byte & 0x7F) << shift
    if byte < 0x80:
      if byte == 0 and shift:
        raise IndexError('a number that is longer than it needs to be')
      return number, position
    shift += 7
